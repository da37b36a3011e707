package config

import (
	"errors"
	"strings"
)

// changesLayer is what was typed after an option as a koanf provider. Its faults go to the loader.
type changesLayer struct {
	loader  *loader
	option  string
	changes []string
}

func (c changesLayer) ReadBytes() ([]byte, error) {
	return nil, errors.New("not supported: Read gives the values")
}

func (c changesLayer) Read() (map[string]any, error) {
	l, values := c.loader, map[string]any{}
	for _, change := range c.changes {
		name, text, found := strings.Cut(change, "=")
		name = strings.TrimSpace(name)
		f, known := l.schema.byName[name]
		_, again := values[name]
		switch {
		case l.schema.isSection(name):
			l.fault("%s: %s is a section; expected one of its keys, such as %s=…", c.option, name, inSection(name+".", l.schema.keyNames())[0])
		case !found || name == "":
			l.fault("%s has %s; expected KEY=VALUE", c.option, shorten(change))
		case !known:
			l.fault("%s: unknown key %s; the nearest known one is %s", c.option, shorten(name), Nearest(name, l.schema.keyNames()))
		case again:
			l.fault("%s: %s stands there twice; keep one", c.option, name)
		default:
			if value, ok := l.scalar(c.option, f, text); ok {
				values[name] = value
			}
		}
	}
	return unflatten(values), nil
}
