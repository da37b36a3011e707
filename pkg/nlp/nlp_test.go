package nlp

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func TestTokens(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"skype is down", "skype|is|down"},
		{"wont load :( again", "wont|load|:(|again"},
		{"(really)", "(|really|)"},
		{"a wi-fi outage , 3.5 hours", "a|wi-fi|outage|,|3.5|hours"},
		{"落 ち て る ?", "落|ち|て|る|?"},
		{"", ""},
		{"   ", ""},
	} {
		var tok Tokenizer
		if got := strings.Join(tok.Tokens(row.text, nil), "|"); got != row.want {
			t.Errorf("%q: %q, want %q", row.text, got, row.want)
		}
	}
}

// TestTokensAreProses compares the short cut with asking prose about the whole text.
func TestTokensAreProses(t *testing.T) {
	var tok Tokenizer
	for _, text := range []string{
		"twitter is down again :(", "its 3.5 hours , u.s. only ! xd 8d", "what ? no ; \"ok\" [x] (-_-) $100", "a's dogs' 'quoted' they'll don't",
		"été привет 안돼 😀", "x.y.z ... -- === :-)", "1,000 :p :3 <3",
	} {
		if got, want := tok.Tokens(text, nil), proseTokens(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, prose gives %q", text, got, want)
		}
	}
}

func TestTokensIsBounded(t *testing.T) {
	var tok Tokenizer
	for _, text := range []string{strings.Repeat("(", 1<<20), strings.Repeat("é", 1<<20), strings.Repeat("$ ", 1<<20)} {
		total := 0
		for _, s := range tok.Tokens(text, nil) {
			total += len(s)
			if !utf8.ValidString(s) {
				t.Errorf("token %q is broken", s)
			}
		}
		if total > MaxBytes {
			t.Errorf("%d bytes were read", total)
		}
	}
}

func TestProseFaults(t *testing.T) {
	for _, text := range []string{"\x9c\xd5's", "İ's İİİn't"} { // prose panics
		var tok Tokenizer
		if got := tok.Tokens(text, nil); len(got) == 0 {
			t.Errorf("%q has no tokens", text)
		}
		if got := Tags(text, nil); len(got) == 0 {
			t.Errorf("%q has no tags", text)
		}
	}
}

func TestTags(t *testing.T) {
	want := map[string]string{"down": "RB", "is": "VBZ"}
	var wait sync.WaitGroup
	for range 4 { // the model is shared
		wait.Go(func() {
			for _, tag := range Tags("The network is down.", nil) {
				if part, ok := want[tag.Text]; ok && part != tag.Part {
					t.Errorf("%s is tagged %s, want %s", tag.Text, tag.Part, part)
				}
			}
		})
	}
	wait.Wait()
}

func TestAppendFold(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"ÉCOLE Straße", "ecole strasse"},
		{"ＳＫＹＰＥ　ｄｏｗｎ", "skype down"},
		{"İstanbul ığüş", "istanbul igus"},
		{"Всё", "все"},
		{"إنترنت شبكةٌ", "انترنت شبكه"},
		{"z\u200be\u200dr\u00ado", "zero"},
		{"z\u0335\u0321a", "za"},
		{"नहीं", "नहीं"},
		{"can’t", "can't"},
	} {
		var got []byte
		for _, r := range row.text {
			got = AppendFold(got, r)
		}
		if string(got) != row.want {
			t.Errorf("%q: %q, want %q", row.text, got, row.want)
		}
	}
}

func FuzzTokens(f *testing.F) {
	for _, s := range []string{"skype is down :(", "(((((", "\xff\xfe", "n't 's 'll", separator, "a" + separator + "b", "$100 (x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var tok Tokenizer
		for _, s := range tok.Tokens(text, nil) {
			if s == "" || strings.ContainsAny(s, " ") {
				t.Errorf("%q: token %q", text, s)
			}
		}
	})
}

func BenchmarkTokens(b *testing.B) {
	text := "hi , is skype down again ? i cant sign in since this morning and nobody in the office can either :( fail"
	var tok Tokenizer
	var dst []string
	b.ReportAllocs()
	for b.Loop() {
		dst = tok.Tokens(text, dst[:0])
	}
}

func BenchmarkTags(b *testing.B) {
	Tags("warm up", nil)
	for b.Loop() {
		Tags("hi , is skype down again ? i cant sign in since this morning", nil)
	}
}
