package chart

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// wideLetter is a character of East Asian scripts, in letters of average width.
const wideLetter = 1.75

// letters of average width that a character takes: marks stand on the letter before.
func letterWidth(r rune) float64 {
	switch k := width.LookupRune(r).Kind(); {
	case k == width.EastAsianWide, k == width.EastAsianFullwidth:
		return wideLetter
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	return 1
}

// letterCount is about how many letters of average width a text is wide.
func letterCount(s string) float64 {
	n := 0.0
	for _, r := range s {
		n += letterWidth(r)
	}
	return n
}

// cut shortens a text to n letters.
func cut(s string, n int) string {
	if n < 2 || letterCount(s) <= float64(n) {
		return s
	}
	used := 0.0
	for i, r := range s {
		if used += letterWidth(r); used > float64(n-1) {
			return s[:i] + "…"
		}
	}
	return s
}

// wrap breaks a text into lines of at most n letters, two at most. Between wide characters a line may break anywhere.
func wrap(s string, n int) []string {
	if letterCount(s) <= float64(n) {
		return []string{s}
	}
	used, end := 0.0, 0
	for i, r := range s {
		if r == ' ' || letterWidth(r) == wideLetter {
			end = i
		}
		if used += letterWidth(r); used > float64(n) {
			break
		}
	}
	if end == 0 {
		return []string{cut(s, n)}
	}
	return []string{s[:end], cut(strings.TrimSpace(s[end:]), n)}
}
