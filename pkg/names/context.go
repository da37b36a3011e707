package names

import (
	"slices"
	"strings"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/names/fold"
)

// contexts judges names that are words as well, "Target" or "Zoom": hints that the service is meant and hints that the word is meant
// are weighed by a logistic regression (see evidence.go). Only texts that hold such a name pay for it.
type contexts struct {
	lexicon    wordTable
	services   []context           // by service; empty where no name is weak
	categories map[string][]uint64 // context words, sorted
}

// context is what a service's context words and phrases have become.
type context struct {
	kind     string   // the service's category
	words    []uint64 // sorted
	category []uint64 // sorted
	phrases  []phrase
	nots     []phrase
	uppers   []uint64 // names that are written in capitals
}

func newContexts(c *catalog.Catalog, r *reader) contexts {
	out := contexts{lexicon: newLexicon(r), services: make([]context, len(c.Services)), categories: map[string][]uint64{}}
	for i := range c.Services {
		s := &c.Services[i]
		if !s.Ambiguous && len(s.Weak) == 0 {
			continue
		}
		to := &out.services[i]
		to.kind = s.Category
		if to.category = out.categories[s.Category]; to.category == nil {
			to.category, _ = readContext(catalog.CategoryContext(s.Category), r)
			out.categories[s.Category] = to.category
		}
		to.words, to.phrases = readContext(s.Context, r)
		_, to.nots = readContext(s.Not, r)
		for _, text := range s.Not { // one word alone speaks against the service anywhere
			if p := newPhrase(text, r); len(p.words) == 1 {
				to.nots = append(to.nots, p)
			}
		}
		weak := s.Weak
		if s.Ambiguous {
			weak = append(slices.Clip(weak), s.Name)
		}
		for _, name := range weak {
			if strings.ToUpper(name) == name && strings.ToLower(name) != name {
				to.uppers = append(to.uppers, r.word(name, 0).hash)
			}
		}
	}
	return out
}

// readContext tells single words, sorted, from phrases.
func readContext(texts []string, r *reader) (words []uint64, phrases []phrase) {
	for _, text := range texts {
		switch p := newPhrase(text, r); {
		case len(p.words) == 1:
			words = append(words, p.words[0])
		case len(p.words) > 1:
			phrases = append(phrases, p)
		}
	}
	slices.Sort(words)
	return words, phrases
}

// judge sets InContext of the weak matches.
func (c *contexts) judge(r *reader, text string, found []Match) {
	var a surroundings
	for i := range found {
		if !found[i].InContext {
			a.read(r, &c.lexicon, text, int(found[i].Start), int(found[i].End))
			e := c.gather(r, &a, text, found, i)
			found[i].InContext = e.sum() > 0
		}
	}
	// A post that means the service once means it wherever it names it.
	for i := range found {
		for j := range found {
			if found[j].Service == found[i].Service && found[j].InContext {
				found[i].InContext = true
				break
			}
		}
	}
}

// peers are the other services that a text names.
type peers struct {
	named  bool // there are some
	joined bool // one is joined to the name: "slack and gmail"
	paired bool // so is a name of the same category that may be a word as well: "visa or mastercard"
}

func (c *contexts) peers(r *reader, text string, found []Match, i int) peers {
	var p peers
	for j, other := range found {
		if other.Service == found[i].Service {
			continue
		}
		from, to := found[min(i, j)].End, found[max(i, j)].Start
		joined := max(i, j)-min(i, j) == 1 && to-from <= maxBetween && c.joins(r, text[from:to])
		switch {
		case other.InContext:
			p.named = true
			p.joined = p.joined || joined
		case joined && c.services[other.Service].kind == c.services[found[i].Service].kind:
			p.paired = true
		}
	}
	return p
}

// maxBetween bounds the text that may join two names.
const maxBetween = 12

// joins says whether what stands between two names is a conjunction, or a sign that is one.
func (c *contexts) joins(r *reader, between string) bool {
	found := false
	for i := 0; i < len(between); {
		w := r.word(between, i)
		switch {
		case w.class != fold.Break:
			if c.lexicon.of(w.hash)&joins == 0 {
				return false
			}
			found = true
		case strings.IndexByte(",&/+|", between[i]) >= 0:
			found = true
		case between[i] != ' ':
			return false
		}
		i = w.end
	}
	return found
}

func isIn(words []uint64, hash uint64) bool {
	_, ok := slices.BinarySearch(words, hash)
	return ok
}
