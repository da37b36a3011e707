package names

import (
	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/names/fold"
)

// MaxMatches bounds what Find reports of one text. Who names more services than that says nothing of any.
const MaxMatches = 64

// Kind says in which form a text names a service.
type Kind uint8

// The forms of a name.
const (
	Name Kind = iota
	Alias
	Handle
	Hashtag
	Domain
)

func (k Kind) String() string {
	switch k {
	case Name:
		return "name"
	case Alias:
		return "alias"
	case Handle:
		return "handle"
	case Hashtag:
		return "hashtag"
	case Domain:
		return "domain"
	}
	return "unknown"
}

// Match is one place where a text names a service.
type Match struct {
	// Service is the index in Catalog.Services.
	Service int32
	// Start and End bound the name in the text, in bytes. A handle's begin is its "@", a hashtag's its "#".
	Start, End int32
	Kind       Kind
	// InContext is false where the name is also a word and the text does not show that the service is meant: do not count it.
	InContext bool
}

// Matcher finds the names of a catalog. It is read-only: any number of goroutines may use one.
type Matcher struct {
	reader   reader
	trie     trie
	tags     tags
	contexts contexts
}

// New makes a matcher of a valid catalog.
func New(c *catalog.Catalog) *Matcher {
	b := newBuilder(c, fold.NewTable())
	return b.matcher()
}

// Find appends the matches in text to dst, in the order of the text, without overlaps, at most MaxMatches of them.
// Any text will do, whatever its length and however broken. Nothing is allocated where dst has room.
func (m *Matcher) Find(text string, dst []Match) []Match {
	if len(text) > maxTextBytes {
		text = text[:maxTextBytes]
	}
	s := search{m: m, text: text, out: dst, first: len(dst)}
	s.run()
	if s.weak {
		m.contexts.judge(&m.reader, text, s.out[s.first:])
	}
	return s.out
}

// maxTextBytes keeps positions within an int32.
const maxTextBytes = 1 << 30
