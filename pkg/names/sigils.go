package names

import (
	"strings"
	"unicode/utf8"

	"outcry.dev/pkg/names/fold"
)

// Limits of what is looked up whole; nothing in a catalog is longer.
const (
	maxHandleBytes  = 160
	maxHashtagBytes = 120
	maxHostBytes    = 253
)

func isHandleByte(c byte) bool { return isWordByte(c) || c == '_' || c == '.' || c == '-' }

// handle reads the handle whose sign is at i and whose first character is at start. Unknown handles are skipped: "@skypefan" does not
// name skype.
func (s *search) handle(i, start int) int {
	text := s.text
	end, dot, at := start, 0, false
	for end < len(text) {
		c := text[end]
		if c == '@' && !at && end > start && end+1 < len(text) && isWordByte(text[end+1]) { // @user@host
			at = true
		} else if !isHandleByte(c) {
			break
		}
		if c == '.' && dot == 0 {
			dot = end
		}
		end++
	}
	for end > start && (text[end-1] == '.' || text[end-1] == '-') { // ends a sentence, not the handle
		end--
	}
	if end == start {
		return start
	}
	if n := s.whole(rootHandles, text[start:end], maxHandleBytes); n >= 0 {
		s.add(s.m.trie.names[n], i, end)
		return end
	}
	if n := s.whole(rootDomains, text[start:end], maxHandleBytes); n >= 0 && !at { // who owns a domain may be called so on Bluesky
		owner := s.m.trie.names[n]
		owner.kind = Handle
		s.add(owner, i, end)
		return end
	}
	// "@skype.please help": Twitter's handles hold no dot. But another server's or domain's user of that name is another one.
	if dot > 0 && dot < end && !at && !isDomain(text[dot+1:end]) {
		if n := s.whole(rootHandles, text[start:dot], maxHandleBytes); n >= 0 {
			s.add(s.m.trie.names[n], i, dot)
		}
		return dot
	}
	return end
}

// isDomain guesses whether what follows a handle's first dot goes on with the handle: Bluesky's are domains.
func isDomain(rest string) bool {
	last := rest[strings.LastIndexByte(rest, '.')+1:]
	if len(last) != len(rest) || len(last) == 2 {
		return true
	}
	for _, top := range [...]string{"com", "org", "net", "app", "dev", "social"} {
		if strings.EqualFold(last, top) {
			return true
		}
	}
	return false
}

// whole looks up text, which is ASCII, without regard to case.
func (s *search) whole(root int32, text string, limit int) int32 {
	if len(text) > limit {
		return -1
	}
	h := newHasher()
	for j := range len(text) {
		h.add(lower(text[j]))
	}
	return s.m.trie.lookUp(root, h.sum())
}

func lower(c byte) byte {
	if c-'A' < 26 {
		return c | 0x20
	}
	return c
}

// address handles a word text[first:after] that a ".", "@" or ":" follows. It gives the end of the link, e-mail address or known host
// that the word begins, or 0 where the word is just a word.
func (s *search) address(first, after int) int {
	text, start := s.text, first
	switch text[after] {
	case ':':
		if !strings.HasPrefix(text[after:], "://") {
			return 0
		}
		start = after + len("://")
	case '@':
		return s.email(after)
	default:
		if first < s.host || after+1 >= len(text) || !isWordByte(text[after+1]) {
			return 0
		}
	}
	end, at := start, start
	for end < len(text) && (isWordByte(text[end]) || text[end] == '.' || text[end] == '-' || text[end] == '_') {
		end++
	}
	scheme := start != first
	if end < len(text) && text[end] == '@' && !scheme {
		return s.email(end)
	}
	host := strings.TrimRight(text[start:end], ".-_")
	path := end == start+len(host) && end < len(text) && (text[end] == ':' || text[end] == '/' || text[end] == '?') &&
		end+1 < len(text) && isLinkByte(text[end+1])
	if path && text[end] == ':' && text[end+1]-'0' >= 10 { // "skype.com:it is down"
		path = false
	}
	if path {
		for end < len(text) && isLinkByte(text[end]) {
			end++
		}
		return end
	}
	end = start + len(host)
	if len(host) <= maxHostBytes {
		for { // status.skype.com is of skype.com
			if n := s.whole(rootDomains, text[at:end], maxHostBytes); n >= 0 {
				s.add(s.m.trie.names[n], first, end)
				if end < len(text) && text[end] == '/' {
					end++
				}
				return end
			}
			dot := strings.IndexByte(text[at:end], '.')
			if dot < 0 {
				break
			}
			at += dot + 1
		}
	}
	if scheme {
		return end
	}
	s.host = end
	return 0
}

// email skips an address whose "@" is at i; 0 where it is none.
func (s *search) email(i int) int {
	end := i + 1
	for end < len(s.text) && isHandleByte(s.text[end]) {
		end++
	}
	if end == i+1 {
		return 0
	}
	return end
}

// isLinkByte says whether c may stand in a link's path. Scripts beyond ASCII end it: they are written behind links without a gap.
func isLinkByte(c byte) bool {
	return c > ' ' && c < utf8.RuneSelf && c != '"' && c != '<' && c != '>'
}

// hashtag reads the hashtag whose sign is at i and whose first character is at start.
func (s *search) hashtag(i, start int) int {
	text, r := s.text, &s.m.reader
	var folded [maxHashtagBytes]byte
	n, end := 0, start
	var first word
	for end < len(text) {
		c, size := rune(text[end]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(text[end:])
		}
		if c == '_' {
			end += size
			continue
		}
		f := r.fold.Rune(c)
		if f.Class == fold.Break {
			break
		}
		for _, c := range f.Runes[:f.Len] {
			if n+utf8.UTFMax > len(folded) {
				n = len(folded) + 1 // too long for any name
				break
			}
			n += utf8.EncodeRune(folded[n:], c)
		}
		end += size
		if n > len(folded) {
			for end < len(text) && (isWordByte(text[end]) || text[end] >= utf8.RuneSelf) {
				end++
			}
			return end
		}
	}
	if n == 0 {
		return end
	}
	// "#Google Meet" and "#AT&T" are names whose first word is marked.
	if first = r.word(text, start); first.end == end && s.m.trie.single.has(first.hash) {
		if found, longer := s.walk(first); found >= 0 && longer > end {
			s.add(s.m.trie.names[found], i, longer)
			return longer
		}
	}
	if found, sure := s.m.tag(folded[:n]); found >= 0 {
		tagged := s.m.trie.names[found]
		tagged.kind = Hashtag
		tagged.weak = tagged.weak && !sure
		s.add(tagged, i, end)
	}
	return end
}

// tag looks up a folded hashtag: as it is, then without what people add to names. With such an addition a weak name is sure.
func (m *Matcher) tag(body []byte) (found int32, sure bool) {
	if n := m.tagged(body); n >= 0 {
		return n, false
	}
	if n := m.suffixed(body); n >= 0 {
		return n, true
	}
	for _, prefix := range m.tags.prefixes {
		if len(body) > len(prefix) && string(body[:len(prefix)]) == prefix {
			stem := body[len(prefix):]
			if n := m.tagged(stem); n >= 0 {
				return n, true
			}
			if n := m.suffixed(stem); n >= 0 {
				return n, true
			}
		}
	}
	return -1, false
}

func (m *Matcher) suffixed(body []byte) int32 {
	for _, suffix := range m.tags.suffixes[body[len(body)-1]] {
		if n := len(body) - len(suffix); n > 0 && string(body[n:]) == suffix {
			if found := m.tagged(body[:n]); found >= 0 {
				return found
			}
		}
	}
	return -1
}

func (m *Matcher) tagged(body []byte) int32 {
	h := newHasher()
	for _, c := range body {
		h.add(c)
	}
	return m.trie.lookUp(rootHashtags, h.sum())
}
