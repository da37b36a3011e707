package names

import (
	"math/bits"
	"unicode/utf8"

	"outcry.dev/pkg/names/fold"
)

// reader reads a text as words.
type reader struct{ fold fold.Table }

// word is one word of a text: a run of letters and digits, a Katakana run, or one character of a script without gaps.
type word struct {
	hash       uint64
	start, end int
	class      fold.Class // fold.Break for none
	accented   bool       // a Latin letter was written with a mark, in one character
}

// maxWordBytes bounds what a name's further words may take of a text; no name has a word that long.
const maxWordBytes = 256

func isWordByte(c byte) bool {
	return c-'0' < 10 || c|0x20-'a' < 26
}

// ascii reads the word at i if it is made of ASCII, as nearly all are; ok is false where it goes on in other characters.
// The class is Break where no word begins at i.
func (r *reader) ascii(text string, i int) (w word, ok bool) {
	h, j := seed, i
	for {
		x := load8(text, j)
		n := bits.TrailingZeros64(nonWord(x)) >> 3
		x |= 0x20 * ones
		if n == 8 {
			h = step(h, x)
			j += 8
			continue
		}
		if n > 0 {
			h = step(h, x&(1<<(8*n)-1))
			j += n
		}
		break
	}
	if j < len(text) && text[j] >= utf8.RuneSelf && r.continues(text, j) {
		return word{}, false
	}
	if j == i {
		return word{start: i, end: i}, true
	}
	return word{hash: h, start: i, end: j, class: fold.Letter}, true
}

// continues says whether the character at i, which is not ASCII, belongs to the word before it.
func (r *reader) continues(text string, i int) bool {
	c, _ := utf8.DecodeRuneInString(text[i:])
	class := r.fold.Class(c)
	return class == fold.Letter || class == fold.Ignored
}

// word reads the word at i. The class is Break where none begins there; its end then is behind the character.
func (r *reader) word(text string, i int) word {
	if i >= len(text) {
		return word{start: i, end: i}
	}
	if text[i] < utf8.RuneSelf {
		w, ok := r.ascii(text, i)
		if ok {
			if w.class == fold.Break {
				w.end = i + 1
			}
			return w
		}
	}
	return r.runes(text, i)
}

// runes reads the word at i character by character.
func (r *reader) runes(text string, i int) word {
	w := word{start: i, end: i}
	h := newHasher()
	for w.end < len(text) {
		c, size := rune(text[w.end]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(text[w.end:])
		}
		class, self := r.fold.Plain(c)
		switch {
		case class == fold.Ignored:
			if w.end == i { // leads no word
				return word{start: i, end: i + size}
			}
			w.end += size
			continue
		case w.end == i: // the first character decides
			w.class = class
			if class == fold.Break {
				w.end += size
				return w
			}
		case class != w.class:
			w.hash = h.sum()
			return w
		}
		if self {
			h.addRune(c)
		} else {
			f := r.fold.Rune(c)
			for _, c := range f.Runes[:f.Len] {
				h.addRune(c)
			}
		}
		w.accented = w.accented || c >= 0xC0 && c < 0x250
		w.end += size
		if class == fold.Hangul || class == fold.Ideograph { // a word each, with the marks that follow
			w.end = r.marks(text, w.end)
			break
		}
	}
	w.hash = h.sum()
	return w
}

// marks gives the end of the ignored characters at i.
func (r *reader) marks(text string, i int) int {
	for i < len(text) && text[i] >= utf8.RuneSelf {
		c, size := utf8.DecodeRuneInString(text[i:])
		if r.fold.Class(c) != fold.Ignored {
			break
		}
		i += size
	}
	return i
}

// gap is what stands between two words of a name.
type gap uint8

const (
	noGap     gap = iota // the name ends here
	tightGap             // nothing, a space or two, or one sign such as a hyphen
	looseGap             // a sign and a space, as in "Yahoo! Japan", where sentences end as well
	symbolGap            // like tightGap, before "&" or "+"
)

// next finds the begin of the word that may continue a name which so far ends at i.
func (r *reader) next(text string, i int) (start int, g gap) {
	sign := false
	if i < len(text) {
		switch text[i] {
		case '-', '_', '.', '\'', '/', ':', '!', '*', ',':
			sign = true
			i++
		case 0xE2: // ’ and ‑, in three bytes
			if i+2 < len(text) && text[i+1] == 0x80 && (text[i+2] == 0x99 || text[i+2] == 0x91) {
				sign = true
				i += 3
			}
		case 0xC2: // °, and the space that does not break
			if i+1 < len(text) && text[i+1] == 0xB0 {
				sign = true
				i += 2
			}
		case 0xE3: // ・
			if i+2 < len(text) && text[i+1] == 0x83 && text[i+2] == 0xBB {
				sign = true
				i += 3
			}
		}
	}
	spaces := 0
	for ; spaces < 3 && i < len(text); spaces++ {
		if c := text[i]; c == ' ' || c == '\t' {
			i++
		} else if c == 0xC2 && i+1 < len(text) && text[i+1] == 0xA0 {
			i += 2
		} else if c == 0xE3 && i+2 < len(text) && text[i+1] == 0x80 && text[i+2] == 0x80 {
			i += 3
		} else {
			break
		}
	}
	if !sign && spaces > 0 && i+1 < len(text) && text[i] == '\'' { // Touch 'n Go
		i++
	}
	switch {
	case i >= len(text) || spaces == 3:
		return i, noGap
	case text[i] == '&' || text[i] == '+':
		if sign {
			return i, noGap
		}
		return i, symbolGap
	case sign && spaces > 0:
		return i, looseGap
	}
	return i, tightGap
}

// symbol reads the "&" or "+" at i as a word.
func (r *reader) symbol(text string, i int) word {
	w := word{hash: symbolHash(text[i]), start: i, end: i + 1, class: fold.Letter}
	const amp = "&amp;"
	if len(text)-i >= len(amp) && text[i:i+len(amp)] == amp {
		w.end = i + len(amp)
	}
	return w
}

func symbolHash(c byte) uint64 { return step(seed, uint64(c)) }
