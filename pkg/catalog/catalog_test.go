package catalog

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Services); n < 1000 {
		t.Errorf("%d services", n)
	}
	if !slices.IsSortedFunc(c.Services, func(a, b Service) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("services are not sorted by id")
	}
	countries, categories := map[string]int{}, map[string]int{}
	for _, s := range c.Services {
		categories[s.Category]++
		for _, country := range s.Countries {
			countries[country]++
		}
	}
	for _, country := range strings.Fields("US GB DE FR ES IT NL PT BR ID TR JP KR SA EG IN RU MX AR CO CL") {
		if countries[country] < 5 {
			t.Errorf("%s has only %d services of its own", country, countries[country])
		}
	}
	for _, category := range Categories() {
		if categories[category] == 0 {
			t.Errorf("no service is of category %s", category)
		}
	}
}

func TestDefaultHolds(t *testing.T) {
	c := Default()
	for _, id := range strings.Fields(`internet skype viber facebook twitter webex spotify whatsapp gmail github aws azure google-cloud cloudflare
		comcast xfinity spectrum cox suddenlink verizon att t-mobile chase barclays playstation xbox steam fortnite roblox telegram discord
		slack zoom netflix youtube instagram tiktok paypal visa vodafone telekom movistar docomo kakaotalk line`) {
		if _, ok := c.ByID(id); !ok {
			t.Errorf("no service %q", id)
		}
	}
	owner := map[string]string{}
	for _, s := range c.Services {
		for _, handle := range s.Official["twitter"] {
			owner[strings.ToLower(handle)] = s.ID
		}
	}
	for handle, id := range map[string]string{
		"SkypeSupport": "skype", "SpotifyCares": "spotify", "AppleSupport": "apple", "AmazonHelp": "amazon", "comcastcares": "comcast",
		"TMobileHelp": "t-mobile", "Delta": "delta", "AmericanAir": "american-airlines", "sprintcare": "sprint", "ChipotleTweets": "chipotle",
		"XboxSupport": "xbox", "AskPlayStation": "playstation", "Ask_Spectrum": "spectrum", "UPSHelp": "ups", "AskSeagate": "seagate",
		"VirginTrains": "virgin-trains", "hulu_support": "hulu", "BofA_Help": "bank-of-america", "Uber_Support": "uber",
	} {
		if owner[strings.ToLower(handle)] != id {
			t.Errorf("@%s speaks for %q, want %q", handle, owner[strings.ToLower(handle)], id)
		}
	}
}

func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoadAddsAndChanges(t *testing.T) {
	c, err := Load(write(t, `
category: games
services:
  - id: our-shop
    name: Our Shop Online
    category: shopping
    official: {twitter: [OurShop], bluesky: [our.shop.example]}
    handles: {twitter: [OurShopFans]}
    providers: [aws, skype]
  - id: our-game
    name: Our Game Online
  - id: skype
    aliases: [the old skype]
    handles: {mastodon: [skype@social.example]}
`))
	if err != nil {
		t.Fatal(err)
	}
	shop, ok := c.ByID("our-shop")
	if !ok || shop.Category != "shopping" || !slices.Contains(shop.Handles["twitter"], "OurShop") || !slices.Contains(shop.Handles["twitter"], "OurShopFans") {
		t.Errorf("added service is %+v", shop)
	}
	if game, ok := c.ByID("our-game"); !ok || game.Category != "games" {
		t.Errorf("service without a category is %+v", game)
	}
	skype, _ := c.ByID("skype")
	if !slices.Equal(skype.Aliases, []string{"the old skype"}) {
		t.Errorf("changed aliases are %q", skype.Aliases)
	}
	if skype.Name != "Skype" || !slices.Contains(skype.Handles["twitter"], "SkypeSupport") || !slices.Contains(skype.Handles["mastodon"], "skype@social.example") {
		t.Errorf("fields that the file does not state have changed: %+v", skype)
	}
	before, _ := Default().ByID("skype")
	if len(before.Handles["mastodon"]) > 0 || slices.Contains(before.Aliases, "the old skype") {
		t.Error("the default catalog has changed")
	}
}

func TestLoadOfNothingIsDefault(t *testing.T) {
	c, err := Load()
	if err != nil || c != Default() {
		t.Errorf("Load() = %p, %v", c, err)
	}
	c, err = Load(write(t, "# nothing yet\n"))
	if err != nil || len(c.Services) != len(Default().Services) {
		t.Errorf("empty file: %v", err)
	}
}

// All faults are told at once, each with its place.
func TestLoadFaults(t *testing.T) {
	for _, test := range []struct {
		name, content string
		want          []string
	}{
		{"unknown field", "category: web\nservices:\n  - id: a\n    name: Aaaa\n    colour: red\n  - id: b\n    nam: Bbbb\n",
			[]string{"mine.yaml:5: field colour", "mine.yaml:7: field nam"}},
		{"unknown field of the file", "categry: web\n", []string{"mine.yaml:1: field categry is not a field of a catalog file"}},
		{"wrong type", "category: web\nservices:\n  - id: a\n    name: Aaaa\n    ambiguous: maybe\n", []string{"mine.yaml:5:"}},
		{"not YAML", "services: [\n", []string{"mine.yaml:"}},
		{"two documents", "category: web\n---\ncategory: games\n", []string{"more than one YAML document"}},
		{"the same id twice", "category: web\nservices:\n  - {id: a, name: Aaaa}\n  - {id: a, name: Bbbb}\n", []string{`mine.yaml:4: service "a" is already at line 3`}},
		{"services", `
category: wab
services:
  - id: Our_Game
    name: "!"
  - id: ours
    name: Xyzzy Ours
    category: web
    web: http://ours.example
    status: ours
    countries: [Germany, XX, de]
    providers: [ours, nobody]
    hashtags: ["#down"]
    handles: {twitter: ["@ours", waytoolongforahandle], myspace: [ours], bluesky: [ours]}
    ambiguous: true
`, []string{
			`mine.yaml:4: service "Our_Game": id "Our_Game" must be made of`, `"Our_Game": name is missing`, `category "wab" is none of`,
			`mine.yaml:6: service "ours": web "http://ours.example"`, `status "ours"`, `country "Germany"`, `country "XX"`, `country "de"`,
			"is its own provider", `provider "nobody"`, `hashtag "#down"`, `handle "@ours"`, `handle "waytoolongforahandle"`,
			`network "myspace"`, `handle "ours" is not one that bluesky`, "no context words",
		}},
		{"names of others", `
category: web
services:
  - id: ours
    name: SKYPÉ
    aliases: [Xyzzy, xyzzy]
    web: https://www.skype.com
    official: {twitter: [skypesupport]}
`, []string{
			`"skype": Skype names service "ours" already`, "Xyzzy and xyzzy are the same name",
			`"skype": @SkypeSupport names service "ours" already`, `"skype": //skype.com names service "ours" already`,
		}},
		{"context", "category: web\nservices:\n  - {id: ours, name: Xyzzy Ours, context: [a], not: [\"~ ~\", \"\", \"a b c d e f g\", \"*\"]}\n",
			[]string{"no name that needs them", `"~ ~"`, `""`, `"a b c d e f g"`, `"*"`}},
		{"a cycle", "category: web\nservices:\n  - {id: xa, name: Xaaa, providers: [xb]}\n  - {id: xb, name: Xbbb, providers: [xc]}\n  - {id: xc, name: Xccc, providers: [xa]}\n",
			[]string{"depends on itself: xa → xb → xc → xa"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(write(t, test.content))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
			if n := strings.Count(err.Error(), "\n") + 1; n > 2*len(test.want)+2 {
				t.Errorf("%d lines:\n%v", n, err)
			}
		})
	}
	if _, err := Load("no-such-file.yaml"); err == nil || !strings.Contains(err.Error(), "no-such-file.yaml") {
		t.Errorf("missing file: %v", err)
	}
}

func TestDomain(t *testing.T) {
	for web, want := range map[string]string{
		"https://www.skype.com": "skype.com", "https://Skype.com/": "skype.com", "https://status.example.co.uk": "status.example.co.uk",
		"https://www.ea.com/games/fifa": "", "": "",
	} {
		if got := (&Service{Web: web}).Domain(); got != want {
			t.Errorf("Domain of %q is %q, want %q", web, got, want)
		}
	}
}

func TestCategoryContext(t *testing.T) {
	for _, category := range Categories() {
		if category != "sports" && len(CategoryContext(category)) < 5 {
			t.Errorf("%s has %d context words", category, len(CategoryContext(category)))
		}
	}
	if CategoryContext("no such") != nil {
		t.Error("context of no category")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("category: web\nservices:\n  - {id: a, name: A, handles: {twitter: [a]}}\n"))
	f.Add([]byte("services: [&a {id: a}, *a]"))
	f.Add([]byte("services:\n  - id: a\n    <<: {name: b}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		p := parse("f.yaml", content)
		if p.err != nil {
			return
		}
		b := newBuilder(nil)
		b.add(p)
		_ = b.catalog().Validate() // must not panic, whatever it says
	})
}
