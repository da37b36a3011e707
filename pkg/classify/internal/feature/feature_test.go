package feature

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func read(text string, spans ...Span) *Document {
	d := &Document{}
	d.Read(text, spans, Author{})
	return d
}

func TestNormalize(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"I CAN'T load IT", "i cant load it"},
		{"soooo sloooow!!!", "soo sloow !"},
		{"see https://x.example/a?b @someone 12345 404", "see <link> <handle> <number> 404"},
		{"n'arrive pas, l'appli", "n arrive pas , l appli"},
		{"a&amp;b &lt;3", "a & b < 3"},
		{"落ちてる?", "落 ち て る ?"},
		{"#down :(", "down :("},
		{"d\u200bo\u0335wn", "down"},
		{"\ue000\ue100 x", "x"},
		{"weâ€™re", "were"},
		{strings.Repeat("x", 100), strings.Repeat("x", 2)},
	} {
		d := read(row.text)
		got := strings.Join(strings.Fields(readable(d.Normalized())), " ")
		if got != row.want {
			t.Errorf("%q is read as %q, want %q", row.text, got, row.want)
		}
	}
}

func readable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if name := PlaceholderName(r); name != "" {
			b.WriteString(name)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// TestPerspective: what is learnt of one service holds for another, and two services of a post see different things.
func TestPerspective(t *testing.T) {
	a := read("skype is down", Span{Start: 0, End: 5, Service: 7})
	b := read("viber is down", Span{Start: 0, End: 5, Service: 9})
	first := slices.Clone(a.Features(Target{Ordinal: 0}).Index)
	if !slices.Equal(first, b.Features(Target{Ordinal: 0}).Index) {
		t.Error("the name of the service makes a difference")
	}
	both := read("skype is down, viber works", Span{Start: 0, End: 5, Service: 7}, Span{Start: 15, End: 20, Service: 9})
	if got := both.Services(); !slices.Equal(got, []int{7, 9}) {
		t.Errorf("services %v", got)
	}
	first = slices.Clone(both.Features(Target{Ordinal: 0}).Index)
	if slices.Equal(first, both.Features(Target{Ordinal: 1}).Index) {
		t.Error("both services see the same")
	}
}

func TestVectorsHaveLengthOne(t *testing.T) {
	for _, text := range []string{"", "skype", strings.Repeat("no internet again ", 500)} {
		v := read(text).Features(Target{Ordinal: -1})
		var sum float64
		for i, x := range v.Value {
			sum += float64(x) * float64(x)
			if v.Index[i] >= 1<<Bits {
				t.Fatalf("feature %d", v.Index[i])
			}
		}
		if math.Abs(sum-1) > 1e-3 {
			t.Errorf("%.20q: squared length %v", text, sum)
		}
	}
}

func TestWorkIsBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("down ", 100_000), strings.Repeat("落", 100_000), strings.Repeat("(", 100_000), strings.Repeat("😀 ", 50_000), strings.Repeat("a\u0301", 50_000)} {
		if n := len(read(text).Features(Target{Ordinal: -1}).Index); n > 12_000 {
			t.Errorf("%.20q…: %d features", text, n)
		}
	}
}

func TestConceptsCrossLanguages(t *testing.T) {
	for _, row := range []struct{ text, concept string }{
		{"cannot", "CANT"}, {"no puedo", "CANT"}, {"geht nicht", "CANT"}, {"çöktü", "DOWN"}, {"落ちて", "DOWN"}, {"터졌네요", "DOWN"}, {"طايح", "DOWN"}, {"упал", "DOWN"}, {"ठप", "DOWN"},
		{"sign in", "LOGIN"}, {"iniciar sesión", "LOGIN"}, {"ログイン", "LOGIN"},
	} {
		d := read(row.text)
		d.Trace(true)
		v := d.Features(Target{Ordinal: -1})
		if !slices.Contains(v.Notes, "concept "+row.concept) {
			t.Errorf("%q does not have the concept %s", row.text, row.concept)
		}
	}
}
