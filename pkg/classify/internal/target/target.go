package target

import (
	"strings"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify/internal/feature"
	"outcry.dev/pkg/names"
)

// Unnamed is the catalog id of a connection whose provider is not named.
const Unnamed = "internet"

// Finder finds services in texts. It is safe for concurrent use.
type Finder struct {
	catalog  *catalog.Catalog
	names    *names.Matcher
	category []uint64 // by service
	network  []bool   // by service: it connects people to the internet
	unnamed  int32    // or -1
}

// New makes a finder for a valid catalog.
func New(c *catalog.Catalog) *Finder {
	f := &Finder{catalog: c, names: names.New(c), unnamed: -1}
	f.category = make([]uint64, len(c.Services))
	f.network = make([]bool, len(c.Services))
	for i, s := range c.Services {
		f.category[i] = feature.HashName(s.Category)
		f.network[i] = s.Category == "isps" || s.Category == "telecoms"
		if s.ID == Unnamed {
			f.unnamed = int32(i)
		}
	}
	return f
}

// Scratch is memory for Find. The zero value is ready; it must not be shared between goroutines.
type Scratch struct{ matches []names.Match }

// Find appends the places of a text that name services, in order and without overlaps. It allocates nothing when there is none.
func (f *Finder) Find(text string, s *Scratch, dst []feature.Span) []feature.Span {
	if author, ok := f.author(text, s); ok {
		dst = append(dst, author)
	}
	s.matches = f.names.Find(text, s.matches[:0])
	if len(s.matches) == 0 {
		return dst
	}
	provider := false
	for _, m := range s.matches {
		provider = provider || m.InContext && f.network[m.Service]
	}
	for _, m := range s.matches {
		if !m.InContext || provider && m.Service == f.unnamed || len(dst) > 0 && int(m.Start) < dst[len(dst)-1].End {
			continue
		}
		dst = append(dst, feature.Span{Start: int(m.Start), End: int(m.End), Service: int(m.Service), Handle: m.Kind == names.Handle})
	}
	return dst
}

// author reads "[Handle] text", the form in which archives state who wrote a post: the handle without its sign, in brackets at the begin.
func (f *Finder) author(text string, s *Scratch) (feature.Span, bool) {
	if len(text) < 3 || text[0] != '[' {
		return feature.Span{}, false
	}
	end := strings.IndexByte(text[:min(len(text), maxAuthor)], ']')
	if end < 3 {
		return feature.Span{}, false
	}
	handle := "@" + text[1:end]
	s.matches = f.names.Find(handle, s.matches[:0])
	if len(s.matches) != 1 || s.matches[0].Kind != names.Handle || int(s.matches[0].End) != len(handle) {
		return feature.Span{}, false
	}
	return feature.Span{Start: 1, End: end, Service: int(s.matches[0].Service), Handle: true}, true
}

// maxAuthor bounds the handle in brackets, in bytes.
const maxAuthor = 40

// ID gives a service's catalog id.
func (f *Finder) ID(service int) string { return f.catalog.Services[service].ID }

// Category gives the number of a service's kind of business.
func (f *Finder) Category(service int) uint64 { return f.category[service] }

// Lookup gives the service with an id, or with a name that people use.
func (f *Finder) Lookup(name string) (service int, ok bool) {
	if i, ok := f.catalog.Find(name); ok {
		return i, true
	}
	if i, ok := f.catalog.Find(strings.ReplaceAll(name, " ", "-")); ok {
		return i, true
	}
	found := f.names.Find(name, nil)
	if len(found) == 1 && found[0].Start == 0 && int(found[0].End) == len(name) {
		return int(found[0].Service), true
	}
	return 0, false
}
