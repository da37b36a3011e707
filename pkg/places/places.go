package places

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

//go:embed places.txt
var table string

// Most bounds the places of one text.
const Most = 8

// place is one line of the gazetteer.
type place struct {
	id, name string
}

type gazetteer struct {
	byID    map[string]place
	phrases map[string]entry // folded words, separated by spaces
	longest int              // words of the longest phrase
	gapless []entry          // of scripts that separate no words
}

type entry struct {
	text string
	id   string
	weak bool // also a word: it counts behind a preposition only
}

// prepositions go before a place, in the languages whose posts name one.
var prepositions = map[string]bool{"in": true, "from": true, "near": true, "around": true, "across": true, "at": true, "em": true,
	"na": true, "en": true, "desde": true, "aus": true, "bei": true, "nach": true, "à": true, "di": true, "da": true, "uit": true, "de": true}

// load reads the gazetteer. A fault in it is a programming error that every test meets.
var load = sync.OnceValue(func() *gazetteer {
	g, err := read(table)
	if err != nil {
		panic(err)
	}
	return g
})

func read(table string) (*gazetteer, error) {
	g := &gazetteer{byID: map[string]place{}, phrases: map[string]entry{}}
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.SplitN(line, ";", 3)
		if len(fields) < 2 {
			return nil, fmt.Errorf("places: %q has no name", line)
		}
		id, name := strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1])
		if _, twice := g.byID[id]; twice {
			return nil, fmt.Errorf("places: %s is there twice", id)
		}
		if country, _, city := strings.Cut(id, "/"); city && g.byID[country].id == "" {
			return nil, fmt.Errorf("places: the country of %s is unknown", id)
		}
		g.byID[id] = place{id: id, name: strings.TrimPrefix(name, "~")}
		names := []string{name}
		if len(fields) == 3 {
			names = append(names, strings.Split(fields[2], ",")...)
		}
		for _, name := range names {
			if err := g.add(id, strings.TrimSpace(name)); err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}

func (g *gazetteer) add(id, name string) error {
	weak := strings.HasPrefix(name, "~")
	words := split(strings.TrimPrefix(name, "~"))
	if len(words) == 0 {
		return fmt.Errorf("places: a name of %s is empty", id)
	}
	e := entry{text: strings.Join(words, " "), id: id, weak: weak}
	if gapless(e.text) {
		g.gapless = append(g.gapless, e)
		return nil
	}
	if before, twice := g.phrases[e.text]; twice && before.id != id {
		return fmt.Errorf("places: %q is %s and %s", e.text, before.id, id)
	}
	g.phrases[e.text] = e
	g.longest = max(g.longest, len(words))
	return nil
}

// gapless reports whether a name is of a script that separates no words, or joins particles to them.
func gapless(name string) bool {
	for _, r := range name {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Hangul)
	}
	return false
}

// split returns the words of a text, folded: lower case, without accents, dots and apostrophes.
func split(text string) []string {
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(text)) {
		switch {
		case unicode.Is(unicode.Mn, r) || r == '.' || r == '\'' || r == '’':
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(norm.NFC.String(b.String()))
}

// Find returns the ids of the places that a text names, cities ("us/austin") before countries ("us"), in the order of the text, at most
// Most. A country is not named by its cities.
func Find(text string) []string {
	g := load()
	var found []string
	take := func(id string) {
		if !slices.Contains(found, id) && len(found) < Most {
			found = append(found, id)
		}
	}
	words := split(text)
	for at := 0; at < len(words); {
		n := 0
		for length := min(g.longest, len(words)-at); length > 0; length-- {
			e, ok := g.phrases[strings.Join(words[at:at+length], " ")]
			if ok && (!e.weak || at > 0 && prepositions[words[at-1]]) {
				take(e.id)
				n = length
				break
			}
		}
		at += max(n, 1)
	}
	folded := strings.Join(words, " ")
	for _, e := range g.gapless {
		if strings.Contains(folded, e.text) {
			take(e.id)
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	return found
}

// Name returns what a place is called in English: "Austin" of us/austin; the id where it is no place of the gazetteer.
func Name(id string) string {
	if p, ok := load().byID[id]; ok {
		return p.name
	}
	return id
}
