package normal

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"outcry.dev/pkg/post"
)

// Text returns plain text: valid UTF-8 in Unicode NFC, lines of single spaces, at most one empty line in a row, nothing at the ends, no control
// characters, at most post.MaxTextBytes bytes (cut between characters).
func Text(s string) string {
	if plain(s) {
		return s
	}
	// Before NFC, which can be several times as long as what it comes from; what it makes of three bytes is never below one.
	if len(s) > 4*post.MaxTextBytes {
		s = s[:4*post.MaxTextBytes]
	}
	s = norm.NFC.String(strings.ToValidUTF8(s, "\uFFFD"))
	var b strings.Builder
	b.Grow(len(s))
	space, lines := false, 0
	for _, r := range s {
		switch {
		case r == '\n' || r == '\u2028' || r == '\u2029' || r == '\v' || r == '\f' || r == '\u0085':
			lines++
			continue
		case unicode.IsSpace(r):
			space = true
			continue
		case unicode.IsControl(r) || r == '\uFEFF':
			continue
		}
		if b.Len() > 0 {
			switch {
			case lines > 0:
				b.WriteString("\n\n"[:min(lines, 2)])
			case space:
				b.WriteByte(' ')
			}
		}
		space, lines = false, 0
		b.WriteRune(r)
	}
	return cut(norm.NFC.String(b.String()), post.MaxTextBytes)
}

// plain says that a text is surely in the normal form: printable ASCII with single spaces, as most are.
func plain(s string) bool {
	if len(s) > post.MaxTextBytes {
		return false
	}
	before := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f || c == ' ' && before == ' ' {
			return false
		}
		before = c
	}
	return s == "" || before != ' '
}

// cut shortens a text to a number of bytes, between characters, without white space at the new end.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && (!utf8.RuneStart(s[end]) || !norm.NFC.PropertiesString(s[end:]).BoundaryBefore()) {
		end--
	}
	if end == 0 { // one endless character
		for end = most; end > 0 && !utf8.RuneStart(s[end]); end-- {
		}
	}
	return strings.TrimRightFunc(s[:end], unicode.IsSpace)
}

// Link is a stretch of a text, in bytes, that stands for an address.
type Link struct {
	Start, End int
	URL        string
}

// Links puts addresses in the place of what stands for them in a text: networks show them shortened. Links that are out of the text, cut
// characters, overlap an earlier one or have no address are left out.
func Links(text string, links []Link) string {
	if len(links) == 0 {
		return text
	}
	links = slices.Clone(links)
	slices.SortStableFunc(links, func(a, b Link) int { return a.Start - b.Start })
	var b strings.Builder
	at := 0
	for _, l := range links {
		if l.Start < at || l.End <= l.Start || l.End > len(text) || l.URL == "" || len(l.URL) > post.MaxURLBytes ||
			!utf8.RuneStart(text[l.Start]) || l.End < len(text) && !utf8.RuneStart(text[l.End]) {
			continue
		}
		b.WriteString(text[at:l.Start])
		b.WriteString(l.URL)
		at = l.End
	}
	b.WriteString(text[at:])
	return b.String()
}

// Oldest is how old a claimed time may be.
const Oldest = 24 * time.Hour

// Time returns the time that a client claims for a post, or the nearest that can be: from [Oldest] before it was received until then. Clients claim 1970
// and 2099. A claim that is missing counts as of when the post was received.
func Time(claimed, received time.Time) time.Time {
	switch {
	case claimed.IsZero(), claimed.After(received):
		return received.UTC()
	case claimed.Before(received.Add(-Oldest)):
		return received.Add(-Oldest).UTC()
	}
	return claimed.UTC()
}

// Lang returns a language as BCP 47 spells it ("pt-BR"), or "" for what is no language.
func Lang(s string) string {
	switch s {
	case "", "und", "zxx", "mis", "mul":
		return ""
	case "en", "ja", "es", "pt", "de", "fr", "it", "nl", "ko", "id", "tr", "ar", "ru", "hi":
		return s // nearly all
	}
	if len(s) > 35 { // the longest that RFC 5646 recommends room for
		return ""
	}
	tag, err := language.Parse(s)
	if err != nil || tag.IsRoot() {
		return ""
	}
	if v := tag.String(); v != "und" && len(v) <= 35 {
		return v
	}
	return ""
}

// Field returns a short field, such as a place or a name, as one line of plain text within post.MaxIDBytes.
func Field(s string) string {
	return cut(strings.Join(strings.Fields(Text(s)), " "), post.MaxIDBytes)
}

// URL returns an address that begins with http:// or https:// and fits, or "".
func URL(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > post.MaxURLBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) ||
		!strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		return ""
	}
	return s
}
