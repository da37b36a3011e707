package names

import (
	"strings"
	"testing"

	"outcry.dev/pkg/catalog"
)

func TestDefaultCatalogPassesCheck(t *testing.T) {
	for _, p := range Check(catalog.Default()) {
		t.Error(p)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name    string
		service catalog.Service
		want    string // part of the only problem; empty for none
	}{
		{"fine", catalog.Service{Name: "Skype", Aliases: []string{"スカイプ", "H&M", "sky pe"}}, ""},
		{"short", catalog.Service{Name: "Ee"}, "too short"},
		{"short, in Korean", catalog.Service{Name: "톡"}, "too short"},
		{"short but ambiguous", catalog.Service{Name: "Ee", Ambiguous: true}, ""},
		{"a word", catalog.Service{Name: "Target"}, "common word"},
		{"an ambiguous word", catalog.Service{Name: "Target", Ambiguous: true}, ""},
		{"a weak word", catalog.Service{Name: "Target Corp", Weak: []string{"Target"}}, ""},
		{"a word in another language", catalog.Service{Name: "Telcel", Aliases: []string{"claro"}}, "common word"},
		{"said all the time", catalog.Service{Name: "by.U"}, "made of words that every text holds"},
		{"a word but for accents", catalog.Service{Name: "Uber"}, ""},
		{"holds no word", catalog.Service{Name: "Skype", Aliases: []string{"!!!"}}, "never found"},
		{"an address", catalog.Service{Name: "cl@ve"}, "never found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.service.ID = "it"
			found := Check(catalog.New([]catalog.Service{test.service}))
			switch {
			case test.want == "" && len(found) > 0:
				t.Errorf("found %v", found)
			case test.want != "" && (len(found) != 1 || !strings.Contains(found[0].Text, test.want)):
				t.Errorf("found %v, want %q", found, test.want)
			}
		})
	}
	shadowed := Check(catalog.New([]catalog.Service{{ID: "a", Name: "Google Cloud"}, {ID: "b", Name: "Google-Cloud"}}))
	if len(shadowed) != 1 || shadowed[0].Service != "b" || !strings.Contains(shadowed[0].Text, "found as a") {
		t.Errorf("shadowed name: %v", shadowed)
	}
}
