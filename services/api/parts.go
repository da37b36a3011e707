package api

import (
	"context"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"outcry.dev/pkg/places"
)

// part is a share of the people who complain.
type part struct {
	Name    string
	People  int64
	Address string // of the chart of all parts; empty for none
}

type partList struct {
	Title, ID string
	Whole     int64
	Parts     []part
	Address   string // of their chart
}

const shownParts = 6

// parts are those of a stretch of a service.
func (a *API) parts(ctx context.Context, v view, s *stretch) ([]partList, error) {
	var out []partList
	for _, by := range []struct{ name, title string }{{"symptom", "What fails"}, {"place", "Where"}, {"language", "Languages"}, {"source", "Sources"}} {
		split := v
		split.by = by.name
		list := partList{Title: by.title, ID: by.name, Address: split.Address()}
		groups, err := a.deps.Store.Breakdown(ctx, s.Service.ID, by.name, s.From, s.To, day)
		if err != nil {
			return nil, err
		}
		for _, g := range groups[:min(len(groups), shownParts)] {
			list.Parts = append(list.Parts, part{Name: partName(by.name, g.Name), People: int64(g.People)})
			list.Whole = max(list.Whole, int64(g.People))
		}
		if len(list.Parts) > 0 {
			out = append(out, list)
		}
	}
	return out, nil
}

// partName is a part of a service for people.
func partName(by, name string) string {
	switch {
	case name == "":
		return "not said"
	case by == "language":
		return languageName(name)
	case by == "place":
		country, _, city := strings.Cut(name, "/")
		if city {
			return places.Name(name) + ", " + places.Name(country)
		}
		return places.Name(name)
	}
	return strings.ReplaceAll(name, "_", " ")
}

// languageName is a BCP 47 language in English; the tag itself where it is none.
func languageName(tag string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return tag
	}
	if name := display.English.Languages().Name(t); name != "" {
		return name
	}
	return tag
}

// ownName is a BCP 47 language in its own words.
func ownName(tag string) string { return display.Self.Name(language.MustParse(tag)) }
