package names

import "outcry.dev/pkg/catalog"

type contexts struct{}

func newContexts(c *catalog.Catalog, r *reader) contexts { return contexts{} }

func (c *contexts) judge(r *reader, text string, found []Match) {}
