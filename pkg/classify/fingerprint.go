package classify

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"outcry.dev/pkg/nlp"
)

// fingerprintRunes bounds what is compared of a text.
const fingerprintRunes = 600

// copyRunes is how many letters and digits a text must have to be a copy of an equal one: many people write "skype is down".
const copyRunes = 32

// CopyFingerprint is equal for near-identical texts: beyond what Fingerprint leaves out, it leaves out pictographs, hashtags
// and the repetition of a letter ("sooo"), by which copies are made to look different. It is 0 for a text so short that people write it
// without having read it from each other. It does not allocate.
func CopyFingerprint(text string) uint64 {
	h, runes := fingerprint(text, true)
	if runes < copyRunes {
		return 0
	}
	return h
}

// Fingerprint hashes the letters and digits of a text, without links, handles, case, accents, punctuation and the prefix of a repost:
// it is equal for copied texts. It does not allocate.
func Fingerprint(text string) uint64 {
	h, _ := fingerprint(text, false)
	return h
}

// fingerprint returns the hash and how many runes, up to fingerprintRunes, are in it; bare leaves decoration out.
func fingerprint(text string, bare bool) (h uint64, runes int) {
	text = withoutRepostPrefix(text)
	h = 14695981039346656037
	var buf [utf8.UTFMax * 2]byte
	last := rune(-1)
	for i := 0; i < len(text) && runes < fingerprintRunes; {
		if n := skipped(text, i); n > 0 {
			i += n
			continue
		}
		if bare && text[i] == '#' {
			i++
			for i < len(text) && !boundary(text[i]) {
				i++
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !nlp.Pictograph(r) {
			continue
		}
		if bare {
			if nlp.Pictograph(r) || r == last && !unicode.IsDigit(r) {
				continue
			}
			last = r
		}
		for _, c := range nlp.AppendFold(buf[:0], r) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		runes++
	}
	return h, runes
}

// withoutRepostPrefix cuts "RT @someone: " off, however often it was put before.
func withoutRepostPrefix(text string) string {
	for {
		rest := strings.TrimLeft(text, " \t\"“")
		if len(rest) < 3 || !strings.EqualFold(rest[:2], "rt") || rest[2] != ' ' && rest[2] != ':' && rest[2] != '@' {
			return text
		}
		rest = strings.TrimLeft(rest[2:], " :")
		if n := skipped(rest, 0); n > 0 && rest[0] == '@' {
			rest = strings.TrimLeft(rest[n:], " :")
		} else if rest == "" {
			return text
		}
		text = rest
	}
}

// skipped gives the length of a link or handle that begins at byte i, or 0.
func skipped(s string, i int) int {
	if i > 0 && !boundary(s[i-1]) {
		return 0
	}
	rest := s[i:]
	if strings.HasPrefix(rest, "http://") || strings.HasPrefix(rest, "https://") || strings.HasPrefix(rest, "www.") {
		n := strings.IndexAny(rest, " \t\n\r")
		if n < 0 {
			n = len(rest)
		}
		return n
	}
	if !strings.HasPrefix(rest, "@") {
		return 0
	}
	n := 1
	for n < len(rest) && (rest[n] == '_' || rest[n] == '.' || rest[n] >= '0' && rest[n] <= '9' || rest[n]|0x20 >= 'a' && rest[n]|0x20 <= 'z') {
		n++
	}
	if n == 1 {
		return 0
	}
	return n
}

func boundary(c byte) bool {
	return !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= utf8.RuneSelf)
}
