package post

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scan reads a post from a line as encoding/json would, several times faster. It says false wherever it is not certain, and encoding/json
// then has the word: on errors, and on what is rare (keys in another case, broken UTF-8, lone surrogates). It must never accept what
// encoding/json refuses, nor read it differently; a fuzz test holds the two beside each other.
func scan(line []byte, p *Post) bool {
	s := scanner{line: line, text: string(line)} // one piece of memory for all of the post's strings
	if !s.object(p) {
		return false
	}
	s.space()
	return s.at == len(s.text)
}

type scanner struct {
	line []byte
	text string // line again
	at   int
}

// maxDepth of unknown values; deeper ones are encoding/json's.
const maxDepth = 32

// object reads the post itself.
func (s *scanner) object(p *Post) bool {
	return s.members(func(key string) bool {
		var field *string
		switch key {
		case "id":
			field = &p.ID
		case "source":
			field = &p.Source
		case "author":
			field = &p.Author
		case "text":
			field = &p.Text
		case "lang":
			field = &p.Lang
		case "url":
			field = &p.URL
		case "reply_to":
			field = &p.ReplyTo
		case "repost_of":
			field = &p.RepostOf
		case "place":
			field = &p.Place
		case "created_at":
			start := s.at
			_, ok := s.string()
			return ok && p.CreatedAt.UnmarshalJSON(s.line[start:s.at]) == nil
		case "author_verified":
			switch {
			case s.word("true"):
				p.AuthorVerified = true
			case s.word("false"):
				p.AuthorVerified = false
			default:
				return false
			}
			return true
		default:
			for _, known := range fields {
				if strings.EqualFold(key, known) {
					return false // encoding/json takes it for the field
				}
			}
			return s.value(0)
		}
		if s.word("null") {
			return true // leaves the field as it is
		}
		value, ok := s.string()
		*field = value
		return ok
	})
}

var fields = []string{"id", "source", "author", "text", "created_at", "lang", "url", "reply_to", "repost_of", "place", "author_verified"}

// members reads an object, and has each value read.
func (s *scanner) members(value func(key string) bool) bool {
	if !s.mark('{') {
		return false
	}
	if s.mark('}') {
		return true
	}
	for {
		s.space()
		key, ok := s.string()
		if !ok || !s.mark(':') {
			return false
		}
		s.space()
		if !value(key) {
			return false
		}
		if s.mark('}') {
			return true
		}
		if !s.mark(',') {
			return false
		}
	}
}

// value passes over a value of any kind.
func (s *scanner) value(depth int) bool {
	if s.at == len(s.text) || depth == maxDepth {
		return false
	}
	switch c := s.text[s.at]; c {
	case '"':
		_, ok := s.string()
		return ok
	case '{':
		return s.members(func(string) bool { return s.value(depth + 1) })
	case '[':
		s.at++
		if s.mark(']') {
			return true
		}
		for {
			s.space()
			if !s.value(depth + 1) {
				return false
			}
			if s.mark(']') {
				return true
			}
			if !s.mark(',') {
				return false
			}
		}
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// mark passes over white space and one character, if that is what follows.
func (s *scanner) mark(c byte) bool {
	s.space()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) word(w string) bool {
	if strings.HasPrefix(s.text[s.at:], w) {
		s.at += len(w)
		return true
	}
	return false
}

// number passes over a number of RFC 8259, section 6.
func (s *scanner) number() bool {
	s.word("-")
	if !s.word("0") && !s.digits() {
		return false
	}
	if s.word(".") && !s.digits() {
		return false
	}
	if s.word("e") || s.word("E") {
		_ = s.word("+") || s.word("-")
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// string reads a string; it is a part of the line where nothing in it is escaped.
func (s *scanner) string() (string, bool) {
	if s.at == len(s.text) || s.text[s.at] != '"' {
		return "", false
	}
	start := s.at + 1
	for i := start; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return s.text[start:i], utf8.ValidString(s.text[start:i])
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// escaped reads on from the first escape of a string.
func (s *scanner) escaped(start, i int) (string, bool) {
	out := make([]byte, 0, i-start+64)
	out = append(out, s.text[start:i]...)
	for i < len(s.text) {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return string(out), utf8.Valid(out)
		case c < ' ':
			return "", false
		case c != '\\':
			out = append(out, c)
			i++
		default:
			if i+1 == len(s.text) {
				return "", false
			}
			if s.text[i+1] == 'u' {
				r, size := unicodeEscape(s.text[i:])
				if size == 0 {
					return "", false
				}
				out = utf8.AppendRune(out, r)
				i += size
				continue
			}
			at := strings.IndexByte(`"\/bfnrt`, s.text[i+1])
			if at < 0 {
				return "", false
			}
			out = append(out, "\"\\/\b\f\n\r\t"[at])
			i += 2
		}
	}
	return "", false
}

// unicodeEscape reads \uXXXX, or two of them where they are a surrogate pair. The size is 0 where it is anything else.
func unicodeEscape(s string) (r rune, size int) {
	r = hex4(s)
	if !utf16.IsSurrogate(r) {
		if r < 0 {
			return 0, 0
		}
		return r, 6
	}
	if r = utf16.DecodeRune(r, hex4(s[6:])); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// hex4 returns the number that \uXXXX gives, or -1.
func hex4(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
