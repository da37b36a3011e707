package names

import (
	"strings"
	"testing"
	"unicode/utf8"

	"outcry.dev/pkg/catalog"
)

// FuzzFind holds for any text: matches lie within it, in order, without overlaps, at most so many; and what is found is found again
// in another's case.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{
		"", "skype is down", "@SpotifyCares #netflixdown https://twitter.com/x twitter.com", "AT&amp;T at&t at&", "ＳＫＹＰＥ\u200b\u0301",
		"ラインが落ちた 카톡이 안돼 फ़ेसबुक الفيسبوك вконтакте", "zoom in zoom out Zoom's 'n ’s \xe2\x80", "a@b.c@d.e http://a.b:80/?#x www.skype.com.",
		strings.Repeat("s\u0301", 300), strings.Repeat("google ", 70), "#" + strings.Repeat("x", 200), "\xff\xfe\xfd", "l\u00adine LINE\u202eEPYKS",
	} {
		f.Add(seed)
	}
	c := catalog.Default()
	m := New(c)
	f.Fuzz(func(t *testing.T, text string) {
		found := m.Find(text, nil)
		if len(found) > MaxMatches {
			t.Fatalf("%d matches", len(found))
		}
		end := int32(0)
		for _, f := range found {
			if f.Start < end || f.End <= f.Start || int(f.End) > len(text) {
				t.Fatalf("%q: match %+v behind %d", text, f, end)
			}
			if f.Service < 0 || int(f.Service) >= len(c.Services) {
				t.Fatalf("service %d", f.Service)
			}
			if f.Kind > Domain {
				t.Fatalf("kind %d", f.Kind)
			}
			end = f.End
		}
		if isASCII(text) && !strings.Contains(text, "&") { // "&amp;" is written so alone
			upper := m.Find(strings.ToUpper(text), nil)
			if len(upper) != len(found) {
				t.Fatalf("%q: %d matches, in capitals %d", text, len(found), len(upper))
			}
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Work must stay linear, whatever the text is made of: each of these takes milliseconds, or hours where it is not.
func TestHostileTexts(t *testing.T) {
	m := New(catalog.Default())
	const size = 2 << 20
	for name, unit := range map[string]string{
		"one word":            "a",
		"names":               "skype ",
		"ambiguous names":     "zoom ",
		"begins of names":     "google ",
		"begins without ends": "bank of ",
		"dots":                "a.",
		"known host's labels": "skype.",
		"signs":               "@",
		"handles":             "@a",
		"hashtags":            "#a",
		"one hashtag":         "#aaaa\u0301",
		"addresses":           "a@",
		"links":               "http://",
		"slashes":             "a/",
		"apostrophes":         "a't",
		"accents":             "\u0301",
		"accented":            "e\u0301\u0302\u0303",
		"zero width":          "\u200b",
		"right to left":       "\u202eسكايب",
		"broken":              "\xf0\x9f",
		"continuation bytes":  "\x80",
		"ideographs":          "支付",
		"katakana":            "ラ",
		"hangul":              "카카오",
		"emoji":               "👨‍👩‍👧",
		"ampersands":          "&amp;",
		"spaces":              " ",
		"newlines":            "a\n",
	} {
		t.Run(name, func(t *testing.T) {
			found := m.Find(strings.Repeat(unit, size/len(unit)), nil)
			if len(found) > MaxMatches {
				t.Errorf("%d matches", len(found))
			}
		})
	}
}

func TestManyGoroutines(t *testing.T) {
	m := New(catalog.Default())
	done := make(chan []Match)
	const n = 8
	for range n {
		go func() { done <- m.Find("Zoom is down, skype too, @SpotifyCares", nil) }()
	}
	for range n {
		if got := <-done; len(got) != 3 {
			t.Errorf("%d matches", len(got))
		}
	}
}
