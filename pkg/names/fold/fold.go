package fold

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Class says how a character stands to word boundaries.
type Class uint8

const (
	// Break separates words: space, punctuation, symbols, emoji.
	Break Class = iota
	// Ignored characters are not there: zero-width ones, accents and other marks that go.
	Ignored
	// Letter is a letter, digit or needed mark of a script that separates words.
	Letter
	// Katakana runs are words: they are bounded by other scripts.
	Katakana
	// Hangul syllables: words begin at the run's begin, but particles follow without a gap.
	Hangul
	// Ideograph is a character of a script written without gaps: Han, Hiragana, Thai, Lao, Khmer, Burmese. Any may begin a word.
	Ideograph
)

// MaxExpansion is the largest number of characters that one folds to.
const MaxExpansion = 4

// Folded is what a character folds to. Runes beyond Len are zero.
type Folded struct {
	Runes [MaxExpansion]rune
	Len   uint8
	Class Class
}

// An entry packs a class (3 bits), a kind (2 bits) and a value (27 bits).
type entry uint32

const (
	kindSelf    entry = iota << 3 // folds to itself
	kindRune                      // folds to the value
	kindSeveral                   // folds to expansions[value]
	kindMask    entry = 3 << 3
	valueShift        = 5
)

type page [256]entry

type table struct {
	pages      [tabled >> 8]*page
	expansions []Folded
}

// tabled is the end of the characters looked up: what follows are rare ideographs.
const tabled = 0x20000

var shared = sync.OnceValue(newTable)

// Table folds characters. Make it once with NewTable; looking up never allocates.
type Table struct{ t *table }

// NewTable gives the table, which is computed at the first call (some milliseconds).
func NewTable() Table { return Table{shared()} }

// Class gives the class of r.
func (t Table) Class(r rune) Class { return Class(t.t.entry(r) & 7) }

// Plain gives the class of r, and whether r folds to itself: nearly all characters of nearly all texts do.
func (t Table) Plain(r rune) (class Class, self bool) {
	e := t.t.entry(r)
	return Class(e & 7), e&kindMask == kindSelf
}

// Rune folds r.
func (t Table) Rune(r rune) Folded {
	e := t.t.entry(r)
	switch e & kindMask {
	case kindRune:
		return Folded{Runes: [MaxExpansion]rune{rune(e >> valueShift)}, Len: 1, Class: Class(e & 7)}
	case kindSeveral:
		return t.t.expansions[e>>valueShift]
	}
	f := Folded{Runes: [MaxExpansion]rune{r}, Len: 1, Class: Class(e & 7)}
	if f.Class == Ignored {
		f.Len = 0
	}
	return f
}

func (t *table) entry(r rune) entry {
	if uint32(r) < tabled {
		return t.pages[r>>8][r&0xff]
	}
	if r < 0x40000 {
		return entry(Ideograph)
	}
	if r >= 0xE0000 && r < 0xE0200 { // tags and variation selectors
		return entry(Ignored)
	}
	return entry(Break)
}

// String folds s: ignored characters go, every run of breaks becomes one space, none at the ends.
func String(s string) string {
	t := NewTable()
	var b strings.Builder
	gap := false
	for _, r := range s {
		f := t.Rune(r)
		if f.Class == Break {
			gap = true
			continue
		}
		for i := range f.Len {
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(f.Runes[i])
		}
	}
	return b.String()
}

func newTable() *table {
	t := &table{}
	uniform := map[Class]*page{}
	same := map[page]*page{}
	for base := range len(t.pages) {
		first := rune(base << 8)
		if class, ok := uniformClass(first); ok {
			if uniform[class] == nil {
				p := new(page)
				for i := range p {
					p[i] = entry(class)
				}
				uniform[class] = p
			}
			t.pages[base] = uniform[class]
			continue
		}
		var p page
		for i := range p {
			p[i] = t.compute(first + rune(i))
		}
		if same[p] == nil {
			same[p] = &p
		}
		t.pages[base] = same[p]
	}
	return t
}

// uniformClass knows the pages that are not computed, to save time at the start: those in which every character folds to itself and
// has one class, and the scripts of the supplementary plane, which are all but unused and so taken for letters as they are.
func uniformClass(first rune) (Class, bool) {
	switch {
	case first >= 0x3400 && first < 0x4D00, first >= 0x4E00 && first < 0x9F00, first >= 0x17000 && first < 0x18C00:
		return Ideograph, true
	case first >= 0xAC00 && first < 0xD700:
		return Hangul, true
	case first >= 0x1D000 && first < 0x1D800, first >= 0x1F000 && first < 0x1F300: // stylistic letters, letters in circles and squares
		return Break, false
	case first >= 0xD800 && first < 0xF900, first >= 0x1F000: // surrogates, private use; emoji
		return Break, true
	case first >= 0x10000:
		return Letter, true
	}
	return Break, false
}

func (t *table) compute(r rune) entry {
	class := classOf(r)
	if class == Ignored || class == Hangul || r == utf8.RuneError {
		return entry(class)
	}
	if r >= 0x4E00 && r < 0xA000 || r >= 0x3400 && r < 0x4DC0 {
		return entry(class)
	}
	to := foldRune(r)
	if len(to) == 0 { // a mark or symbol that decomposes to nothing that stays
		return entry(class)
	}
	if class == Break { // a symbol that stands for letters, such as Ⓣ, is those letters
		class = classOf(to[0])
	}
	for _, c := range to {
		if classOf(c) != class || class == Break {
			return entry(classOf(r))
		}
	}
	switch {
	case len(to) == 1 && to[0] == r:
		return entry(class)
	case len(to) == 1:
		return entry(to[0])<<valueShift | kindRune | entry(class)
	case len(to) > MaxExpansion: // presentation forms of whole phrases
		return entry(class)
	}
	f := Folded{Len: uint8(len(to)), Class: class}
	copy(f.Runes[:], to)
	t.expansions = append(t.expansions, f)
	return entry(len(t.expansions)-1)<<valueShift | kindSeveral | entry(class)
}

// foldRune decomposes r for compatibility, drops what is ignored and lowers the rest.
func foldRune(r rune) []rune {
	if s, ok := undecomposed[r]; ok {
		return []rune(s)
	}
	var buf [utf8.UTFMax]byte
	bytes := buf[:utf8.EncodeRune(buf[:], r)]
	if d := norm.NFKD.Properties(bytes).Decomposition(); d != nil {
		bytes = d
	}
	var out []rune
	for len(bytes) > 0 {
		d, n := utf8.DecodeRune(bytes)
		bytes = bytes[n:]
		if c := classOf(d); c == Ignored || c == Break && unicode.IsLetter(r) {
			continue
		}
		d = unicode.ToLower(d)
		if s, ok := undecomposed[d]; ok {
			out = append(out, []rune(s)...)
			continue
		}
		out = append(out, d)
	}
	return out
}

// undecomposed are letters that Unicode does not decompose although people write one for the other.
var undecomposed = map[rune]string{
	'ß': "ss", 'ẞ': "ss", 'æ': "ae", 'Æ': "ae", 'œ': "oe", 'Œ': "oe", 'ø': "o", 'Ø': "o", 'đ': "d", 'Đ': "d", 'ð': "d", 'Ð': "d",
	'ł': "l", 'Ł': "l", 'þ': "th", 'Þ': "th", 'ı': "i", 'ħ': "h", 'Ħ': "h", 'ŧ': "t", 'Ŧ': "t",
	'ى': "ي", 'ی': "ي", 'ة': "ه", 'ک': "ك", 'ٱ': "ا", // Arabic letters that are typed for one another
	'ё': "е", 'ς': "σ",
	'ー': "ー", 'ｰ': "ー",
}

func classOf(r rune) Class {
	switch {
	case ignored(r):
		return Ignored
	case r == 'ー' || r == 'ｰ':
		return Katakana
	case r < utf8.RuneSelf:
		if r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' {
			return Letter
		}
		return Break
	case r >= 0xAC00 && r <= 0xD7A3 || r >= 0x1100 && r < 0x1200 || r >= 0x3130 && r < 0x3190:
		return Hangul
	case !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.Is(unicode.Nd, r):
		return Break
	case unicode.Is(unicode.Katakana, r):
		return Katakana
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		return Ideograph
	}
	return Letter
}

// ignored says whether r is invisible, or a mark that its script is also written without.
func ignored(r rune) bool {
	switch {
	case r == 0xAD, r == 0x034F, r == 0x061C, r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x180E, r == 0x3164, r == 0xFFA0,
		r == 0xFEFF,
		r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F,
		r >= 0xFE00 && r <= 0xFE0F, r >= 0xFFF9 && r <= 0xFFFB:
		return true
	case r >= 0x0300 && r <= 0x036F, r >= 0x0483 && r <= 0x0489, r >= 0x1AB0 && r <= 0x1AFF, r >= 0x1DC0 && r <= 0x1DFF,
		r >= 0x20D0 && r <= 0x20FF, r >= 0xFE20 && r <= 0xFE2F: // accents of Latin, Greek, Cyrillic
		return true
	case r >= 0x0591 && r <= 0x05BD, r == 0x05BF, r == 0x05C1, r == 0x05C2, r == 0x05C4, r == 0x05C5, r == 0x05C7: // Hebrew points
		return true
	case r == 0x0640, r >= 0x0610 && r <= 0x061A, r >= 0x064B && r <= 0x065F, r == 0x0670, r >= 0x06D6 && r <= 0x06DC: // Arabic
		return true
	case r == 0x093C, r == 0x3099, r == 0x309A, r == 0xFF9E, r == 0xFF9F: // nukta, kana voicing
		return true
	}
	return false
}
