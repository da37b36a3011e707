package simulate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Service names, handles and links stand between these bytes while a text is written: no noise touches them.
const (
	protect   = '\x01'
	unprotect = '\x02'
)

// voice is how a person types. It follows from the author's key, so one person always types the same way.
type voice struct {
	casing      casing
	typo        float64 // chance per word
	abbreviate  float64 // chance per word that has an abbreviation
	stretch     float64 // chance per word that people stretch: "sooo"
	emoticon    float64 // chance per post
	hashtag     float64 // chance per post
	interject   float64 // chance per post of an opener or a closer
	bareEnd     float64 // chance that the final stop is left out
	dropAccents bool
}

type casing uint8

const (
	asWritten casing = iota // as in the texts: small first letters, names as they are
	proper                  // sentences begin with capitals
	lower
	upper
)

func voiceOf(key uint64) voice {
	part := func(i int) float64 { return float64(key>>(8*i)&0xff) / 256 }
	v := voice{abbreviate: 0.05, stretch: 0.08, emoticon: 0.12, hashtag: 0.06, interject: 0.3, bareEnd: 0.7}
	switch c := part(0); {
	case c < 0.42:
		v.casing = proper
	case c < 0.72:
		v.casing = asWritten
	case c < 0.98:
		v.casing = lower
	default:
		v.casing = upper
	}
	if part(1) < 0.3 {
		v.typo = 0.01 + 0.05*part(2)
	}
	if part(3) < 0.35 {
		v.abbreviate = 0.3 + 0.6*part(4)
	}
	if part(5) < 0.25 {
		v.emoticon, v.stretch = 0.5, 0.3
	}
	if part(6) < 0.15 {
		v.hashtag = 0.35
	}
	if v.casing == proper {
		v.bareEnd = 0.35
	}
	v.dropAccents = part(7) < 0.3
	return v
}

// marks are a time's emoticons and hashtags for a mood.
type marks struct {
	since, till         int
	emoticons, hashtags []string
}

func (w *world) addMarks(f []string) error {
	if len(f) != 5 {
		return fmt.Errorf("%d columns instead of 5", len(f))
	}
	var m marks
	var err error
	if m.since, err = strconv.Atoi(f[1]); err != nil {
		return err
	}
	if m.till, err = strconv.Atoi(f[2]); err != nil {
		return err
	}
	m.emoticons, m.hashtags = strings.Fields(f[3]), strings.Fields(f[4])
	if w.marks == nil {
		w.marks = map[string][]marks{}
	}
	w.marks[f[0]] = append(w.marks[f[0]], m)
	return nil
}

func (w *world) marksOf(mood string, year int) *marks {
	for i := range w.marks[mood] {
		if m := &w.marks[mood][i]; year >= m.since && year <= m.till {
			return m
		}
	}
	return nil
}

// speak appends text to out as the person would type it.
func (v *voice) speak(out, text []byte, l *lang, rng *rand.Rand) []byte {
	sentence := true // a sentence begins here
	for len(text) > 0 {
		var word []byte
		if text[0] == protect { // a name, whole, with what is glued to it
			end := bytes.IndexByte(text, unprotect) + 1
			word, text = text[:end], text[end:]
			if v.casing == lower && rng.IntN(3) > 0 {
				out = appendLower(out, word)
			} else {
				out = append(out, word...)
			}
			sentence = false
			continue
		}
		end := bytes.IndexAny(text, " \x01")
		switch end {
		case 0:
			out = append(out, ' ')
			text = text[1:]
			continue
		case -1:
			end = len(text)
		}
		word, text = text[:end], text[end:]
		start := len(out)
		out = v.word(out, word, l, rng)
		switch v.casing {
		case proper:
			if sentence {
				capitalise(out[start:])
			} else if l.code == "en" {
				capitaliseI(out[start:])
			}
		case lower:
			out = appendLower(out[:start], bytes.Clone(out[start:]))
		case upper:
			out = append(out[:start], bytes.ToUpper(out[start:])...)
		}
		last := word[len(word)-1]
		sentence = last == '.' || last == '!' || last == '?'
	}
	return out
}

// word appends one word, perhaps shortened, stretched or mistyped.
func (v *voice) word(out, word []byte, l *lang, rng *rand.Rand) []byte {
	core := bytes.TrimRight(word, ".,!?:;)")
	tail := word[len(core):]
	if len(core) == 0 {
		return append(out, word...)
	}
	if short, ok := l.abbrev[string(core)]; ok && rng.Float64() < v.abbreviate {
		return append(append(out, short...), tail...)
	}
	if l.stretchable[string(core)] && rng.Float64() < v.stretch {
		last, _ := utf8.DecodeLastRune(core)
		out = append(out, core...)
		for range 1 + rng.IntN(4) {
			out = utf8.AppendRune(out, last)
		}
		return append(out, tail...)
	}
	switch {
	case v.typo > 0 && rng.Float64() < v.typo && mistypable(core):
		out = mistype(out, core, rng)
	case v.dropAccents && accented[l.code]:
		for _, r := range string(core) {
			if plain, ok := withoutAccent[r]; ok {
				r = plain
			}
			out = utf8.AppendRune(out, r)
		}
	default:
		out = append(out, core...)
	}
	return append(out, tail...)
}

func mistypable(word []byte) bool {
	if len(word) < 4 || len(word) > 14 {
		return false
	}
	for _, b := range word {
		if b < 'a' || b > 'z' {
			return false
		}
	}
	return true
}

// besides are the keys next to each letter, from a on.
var besides = [26]string{
	"sq", "vn", "xv", "sf", "wr", "dg", "fh", "gj", "uo", "hk", "jl", "k", "n", "bm", "ip", "o", "w", "et", "ad", "ry", "yi", "cb", "qe", "zc", "tu", "x",
}

func mistype(out, word []byte, rng *rand.Rand) []byte {
	i := 1 + rng.IntN(len(word)-2) // first letters are seldom wrong
	switch rng.IntN(4) {
	case 0: // swapped
		out = append(out, word[:i]...)
		out = append(out, word[i+1], word[i])
		return append(out, word[i+2:]...)
	case 1: // left out
		out = append(out, word[:i]...)
		return append(out, word[i+1:]...)
	case 2: // doubled
		out = append(out, word[:i+1]...)
		return append(out, word[i:]...)
	default: // the key beside it
		near := besides[word[i]-'a']
		out = append(out, word[:i]...)
		out = append(out, near[rng.IntN(len(near))])
		return append(out, word[i+1:]...)
	}
}

// accented are the languages whose people often leave accents out.
var accented = map[string]bool{"es": true, "pt": true, "fr": true, "it": true, "tr": true}

var withoutAccent = func() map[rune]rune {
	m := map[rune]rune{}
	from := []rune("áàâãäéèêëíìîïóòôõöúùûüçñşğıÁÉÍÓÚÀÇ")
	to := []rune("aaaaaeeeeiiiiooooouuuucnsgiAEIOUAC")
	for i, r := range from {
		m[r] = to[i]
	}
	return m
}()

func appendLower(out, s []byte) []byte {
	for _, r := range string(s) {
		out = utf8.AppendRune(out, unicode.ToLower(r))
	}
	return out
}

// capitalise changes the first letter when both cases have the same length in bytes, as letters of the languages here have.
func capitalise(word []byte) {
	r, size := utf8.DecodeRune(word)
	if upper := unicode.ToUpper(r); upper != r && utf8.RuneLen(upper) == size {
		utf8.EncodeRune(word, upper)
	}
}

// capitaliseI writes the English I.
func capitaliseI(word []byte) {
	if word[0] == 'i' && (len(word) == 1 || word[1] == '\'' || word[1] == ',') {
		word[0] = 'I'
	}
}
