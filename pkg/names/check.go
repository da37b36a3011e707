package names

import (
	_ "embed"
	"strings"
	"unicode/utf8"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/names/fold"
)

//go:embed common.txt
var commonWords string

// Check finds names that would count where nothing is said of the service, and names that are never found: what Validate cannot know,
// since it takes words. Services without such problems give none. The order is that of the catalog.
func Check(c *catalog.Catalog) []catalog.Problem {
	function, common := readCommon()
	m := New(c)
	var out []catalog.Problem
	for i := range c.Services {
		s := &c.Services[i]
		strong := s.Aliases
		if !s.Ambiguous {
			strong = append([]string{s.Name}, strong...)
		}
		for _, name := range strong {
			if text := hazard(name, function, common); text != "" {
				out = append(out, c.At(s.ID, "%s", text))
			}
		}
		for _, name := range append(append([]string{s.Name}, s.Aliases...), s.Weak...) {
			if text := m.unfound(c, int32(i), name); text != "" {
				out = append(out, c.At(s.ID, "%s", text))
			}
		}
	}
	return out
}

// hazard says why a name that always counts is one that posts hold anyhow; empty where it is not.
func hazard(name string, function, common map[string]bool) string {
	folded := fold.String(name)
	if strings.ContainsAny(name, "&+") { // those signs do not stand there by chance
		return ""
	}
	letters := utf8.RuneCountInString(folded)
	if letters == 0 { // unfound says so
		return ""
	}
	switch latin := strings.IndexFunc(folded, func(r rune) bool { return r >= 0x250 }) < 0; {
	case latin && letters < 3, !latin && letters < 2:
		return "name \"" + name + "\" is too short to mean the service everywhere: set ambiguous, or move it to weak"
	}
	words := strings.Fields(folded)
	if len(words) == 1 && common[strings.ToLower(name)] {
		return "name \"" + name + "\" is a common word: set ambiguous, or move it to weak"
	}
	for _, w := range words {
		if !function[w] {
			return ""
		}
	}
	return "name \"" + name + "\" is made of words that every text holds: set ambiguous, or move it to weak"
}

// readCommon reads common.txt: the words of its first part, and those of all.
func readCommon() (function, common map[string]bool) {
	function, common = map[string]bool{}, map[string]bool{}
	parts := 0
	for line := range strings.Lines(commonWords) {
		if strings.HasPrefix(line, "#") {
			parts++
			continue
		}
		for _, w := range strings.Fields(line) {
			common[strings.ToLower(w)] = true // accents tell "über" from "Uber", see name.plain
			if parts == 2 {                   // the first heading is the file's
				function[strings.ToLower(w)] = true
			}
		}
	}
	return function, common
}

// unfound says why a name is not found in a text that is nothing but the name; empty where it is.
func (m *Matcher) unfound(c *catalog.Catalog, service int32, name string) string {
	found := m.Find(name, nil)
	for _, f := range found {
		if f.Service == service {
			return ""
		}
	}
	if len(found) == 0 {
		return "name \"" + name + "\" is never found: it holds no word"
	}
	return "name \"" + name + "\" is found as " + c.Services[found[0].Service].ID + ": keep the name at one of them"
}
