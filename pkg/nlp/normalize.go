package nlp

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of the work for one post.
const (
	MaxBytes = 1500 // of normalized text
	MaxWord  = 40   // of one word; a longer one is broken
)

// latinFold holds the lower-case base letters of U+0080–U+024F and U+1E00–U+1EFF.
var latinFold = buildLatinFold()

func buildLatinFold() map[rune]string {
	fold := map[rune]string{'ß': "ss", 'æ': "ae", 'Æ': "ae", 'œ': "oe", 'Œ': "oe", 'ø': "o", 'Ø': "o", 'đ': "d", 'Đ': "d", 'ł': "l", 'Ł': "l", 'ı': "i", 'İ': "i"}
	add := func(lo, hi rune) {
		for r := lo; r <= hi; r++ {
			if _, ok := fold[r]; ok || !unicode.IsLetter(r) {
				continue
			}
			base, _ := utf8.DecodeRune(norm.NFKD.Bytes([]byte(string(r))))
			fold[r] = string(unicode.ToLower(base))
		}
	}
	add(0x80, 0x24F)
	add(0x1E00, 0x1EFF)
	return fold
}

// Fold returns the rune that stands for r when texts are compared: lower case, half width, without accents; 0 where r is invisible or
// modifies the character before it. The few letters that fold to two are handled by AppendFold.
func Fold(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	case r >= 0x300 && r <= 0x36F, r >= 0x64B && r <= 0x65F, r == 0x670, r == 0x640: // combining accents, Arabic vowel signs and tatweel
		return 0
	case r >= 0xFF01 && r <= 0xFF5E: // full width ASCII
		return Fold(r - 0xFEE0)
	case r == 0x3000:
		return ' '
	case r == 'أ' || r == 'إ' || r == 'آ' || r == 'ٱ':
		return 'ا'
	case r == 'ى':
		return 'ي'
	case r == 'ة':
		return 'ه'
	case r == 'ё' || r == 'Ё':
		return 'е'
	case r == '\u2018' || r == '\u2019' || r == '\u02BC' || r == '`' || r == '\u00B4':
		return '\''
	case r == '\u201C' || r == '\u201D' || r == '«' || r == '»':
		return '"'
	case r == '\u3001':
		return ','
	case r == '\u3002':
		return '.'
	case r == 0xFE0F, r == 0xFE0E, r == 0xAD, unicode.Is(unicode.Cf, r) && r != 0x200D:
		return 0
	case r == 0x200D: // joins emoji, shapes Indic and Arabic letters: nothing is lost without it
		return 0
	case unicode.Is(unicode.Me, r):
		return 0
	}
	return unicode.ToLower(r)
}

// AppendFold appends the folded r.
func AppendFold(dst []byte, r rune) []byte {
	if r >= 0x80 && r <= 0x24F || r >= 0x1E00 && r <= 0x1EFF {
		if s, ok := latinFold[r]; ok {
			return append(dst, s...)
		}
	}
	if r = Fold(r); r != 0 {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// Spaceless reports whether r belongs to a script that is written without spaces between words.
func Spaceless(r rune) bool {
	return r >= 0x2E80 && (r >= 0x3040 && r <= 0x30FF || // kana
		r >= 0x3400 && r <= 0x4DBF || r >= 0x4E00 && r <= 0x9FFF || r >= 0xF900 && r <= 0xFAFF || // Han
		r >= 0xFF66 && r <= 0xFF9F) || // half width kana
		r >= 0x0E00 && r <= 0x0EFF || // Thai, Lao
		r >= 0x1780 && r <= 0x17FF || r >= 0x1000 && r <= 0x109F // Khmer, Burmese
}

// Pictograph reports whether r is an emoji or another picture.
func Pictograph(r rune) bool {
	return r >= 0x1F000 && r <= 0x1FAFF || r >= 0x2600 && r <= 0x27BF || r >= 0x2B00 && r <= 0x2BFF
}
