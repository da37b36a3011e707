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
	if isNormal(s) {
		return s
	}
	return normalized(s)
}

func normalized(s string) string {
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

// isNormal says that a text surely is in the normal form, as most are.
func isNormal(s string) bool {
	if len(s) > post.MaxTextBytes {
		return false
	}
	lines, space, ascii := 2, false, true // of the white space before the next character; nothing stands before a beginning
	for i, r := range s {
		switch {
		case r == ' ':
			if space || lines > 0 {
				return false
			}
			space = true
			continue
		case r == '\n':
			if space || lines == 2 {
				return false
			}
			lines++
			continue
		case r < ' ' || r == 0x7f:
			return false
		case r >= utf8.RuneSelf:
			ascii = false
			if unicode.IsSpace(r) || unicode.IsControl(r) || r == '\uFEFF' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
				return false
			}
		}
		lines, space = 0, false
	}
	return s == "" || !space && lines == 0 && (ascii || norm.NFC.IsNormalString(s))
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

// Expand puts a whole address in the place of the short one that stands for it in a text, wherever it stands by itself. What is no address changes nothing.
func Expand(text, short, whole string) string {
	if whole = URL(whole); whole == "" || len(short) < len("http://x") || short == whole {
		return text
	}
	var b strings.Builder
	for {
		i := strings.Index(text, short)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(short)
		b.WriteString(text[:i])
		if next, _ := utf8.DecodeRuneInString(text[end:]); end < len(text) && (unicode.IsLetter(next) || unicode.IsDigit(next)) {
			b.WriteString(short) // the beginning of another address
		} else {
			b.WriteString(whole)
		}
		text = text[end:]
		if b.Len() > 4*post.MaxTextBytes {
			return b.String() + text
		}
	}
}

// Post brings the fields of a post into the normal form. Ids stay as they are: what names a post must be the same everywhere.
func Post(p *post.Post) {
	p.Text, p.Lang, p.Place, p.URL, p.CreatedAt = Text(p.Text), Lang(p.Lang), Field(p.Place), URL(p.URL), p.CreatedAt.UTC()
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
