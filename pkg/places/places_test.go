package places

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFind(t *testing.T) {
	for _, row := range []struct {
		text string
		want string
	}{
		{"spectrum out in round rock again", "us/austin"},
		{"no internet in Austin, TX. Anyone else in the USA?", "us/austin us"},
		{"Störung in München und Österreich", "de/munich at"},
		{"sin internet en málaga, España", "es/malaga es"},
		{"sem net em São Paulo", "br/sao-paulo"},
		{"東京でつながらない", "jp/tokyo"},
		{"서울에서 안 돼요", "kr/seoul"},
		{"U.K. here, down for us", "gb"},
		{"cooked a turkey, put a cork in it", ""},
		{"it is down in Turkey and in cork", "ie/cork tr"},
		{"I ate in a chad shop", ""},
		{"new york, New York!", "us/new-york"},
		{"skype is down", ""},
		{"austinpowers is no place", ""},
		{"", ""},
	} {
		if got := strings.Join(Find(row.text), " "); got != row.want {
			t.Errorf("%q: %q, want %q", row.text, got, row.want)
		}
	}
	if n := len(Find(strings.ReplaceAll("paris london berlin madrid rome vienna oslo prague warsaw dublin", " ", ", "))); n != Most {
		t.Errorf("%d places, want %d at most", n, Most)
	}
}

func TestGazetteer(t *testing.T) {
	for id, name := range map[string]string{"us/austin": "Austin", "tr": "Turkey", "gb": "United Kingdom", "xx": "xx"} {
		if got := Name(id); got != name {
			t.Errorf("%s is called %q, want %q", id, got, name)
		}
	}
	for _, broken := range []string{"us", "us; USA\nus; States", "us/austin; Austin", "us; USA\nca; USA", "us; USA; ,"} {
		if _, err := read(broken); err == nil {
			t.Errorf("%q: no fault found", broken)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("no internet in Austin")
	f.Add("東京\xff")
	f.Fuzz(func(t *testing.T, text string) {
		for _, id := range Find(text) {
			if Name(id) == id || !utf8.ValidString(id) {
				t.Errorf("%q is no place", id)
			}
		}
		if again := Find(text + " "); !slices.Equal(again, Find(text)) {
			t.Errorf("a space at the end changes what is found")
		}
	})
}

func BenchmarkFind(b *testing.B) {
	for b.Loop() {
		Find("is anybody else's spectrum internet down in south austin since this morning? no word from them at all")
	}
}
