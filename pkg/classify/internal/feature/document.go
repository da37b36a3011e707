package feature

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"outcry.dev/pkg/nlp"
)

// Span is a place that names a service.
type Span struct {
	Start, End int // bytes of the text
	Service    int // the caller's number
	Handle     bool
}

// Author says what is known of who wrote a post.
type Author struct {
	Repost bool
	Reply  bool
}

// Placeholders within normalized text: private-use characters, which the text itself cannot contribute.
const (
	firstPlaceholder = 0xE000 // plus the service's ordinal in the post
	link             = 0xE100
	handle           = 0xE101
	number           = 0xE102
	privateLow       = 0xE000
	privateHigh      = 0xF8FF
)

// MaxServices bounds the services looked at in one post; further ones are read as plain words.
const MaxServices = 8

// maxTokens bounds the tokens looked at.
const maxTokens = 160

type token struct {
	text    string
	hash    uint64
	concept concept
	service int8 // ordinal of the service named, or -1
	clause  uint8
	kind    tokenKind
}

type tokenKind uint8

const (
	word tokenKind = iota
	mark           // punctuation
	picture
	placeholder
	character // of a script without spaces
)

// Document is a post read for its features. Its memory is used again by the next Read. Not safe for concurrent use.
type Document struct {
	buf       []byte
	strings   []string
	tokenizer nlp.Tokenizer
	tokens    []token
	services  []int // by ordinal
	flags     []uint64
	official  int // ordinal of the service whose account wrote it in brackets, or -1
	clauses   [maxTokens]bool
	text      string

	hashes []uint32
	weight []float32
	notes  []string // readable features, when tracing
	trace  bool
	seen   []sight
}

// Services gives the caller's numbers of the services in order of appearance.
func (d *Document) Services() []int { return d.services }

// ByOperator reports whether the text states, as archives do, that an account of a service in the catalog wrote it: "[Handle] text".
func (d *Document) ByOperator() bool { return d.official >= 0 }

// Normalized gives the text as the tokenizer saw it.
func (d *Document) Normalized() string { return d.text }

// Read takes in a text and the places where it names services, in order and not overlapping.
func (d *Document) Read(text string, spans []Span, author Author) {
	d.services = d.services[:0]
	d.flags = d.flags[:0]
	d.official = -1
	d.normalize(text, spans)
	if author.Repost {
		d.flag("repost")
	}
	if author.Reply {
		d.flag("reply")
	}
	d.text = string(d.buf)
	d.strings = d.tokenizer.Tokens(d.text, d.strings[:0])
	d.classifyTokens()
	d.findConcepts()
}

func (d *Document) flag(name string) { d.flags = append(d.flags, hashString(name)) }

func (d *Document) ordinal(service int) int {
	for i, s := range d.services {
		if s == service {
			return i
		}
	}
	if len(d.services) == MaxServices {
		return -1
	}
	d.services = append(d.services, service)
	return len(d.services) - 1
}

// normalize writes the folded text with placeholders into d.buf, and notes what folding loses.
func (d *Document) normalize(text string, spans []Span) {
	b := d.buf[:0]
	var (
		next             int // span
		letters, capital int
		run              int // of the same character
		last             rune
		stretched        bool
		shouted          bool
		wordBytes        int
		exclaims, asks   int
		dots             bool
	)
	space := func() {
		if len(b) > 0 && b[len(b)-1] != ' ' {
			b = append(b, ' ')
		}
		wordBytes = 0
	}
	symbol := func(r rune) {
		space()
		b = utf8.AppendRune(b, r)
		b = append(b, ' ')
	}
	for i := 0; i < len(text) && len(b) < nlp.MaxBytes-8; {
		for next < len(spans) && spans[next].Start < i {
			next++
		}
		if next < len(spans) && spans[next].Start == i && spans[next].End > i {
			s := spans[next]
			next++
			if o := d.ordinal(s.Service); o >= 0 {
				if s.Handle && len(b) == 0 {
					d.flag("starts with handle")
				}
				if i > 0 && text[i-1] == '[' && i == 1 && s.End < len(text) && text[s.End] == ']' {
					d.official = o
				}
				symbol(firstPlaceholder + rune(o))
				i = s.End
				last, run = 0, 0
				continue
			}
		}
		c := text[i]
		switch {
		case c == '@' || c == 'h' || c == 'H' || c == 'w' || c == 'W' || c == '[':
			if n := linkLength(text[i:]); n > 0 {
				symbol(link)
				i += min(n, untilSpan(spans, next, i))
				continue
			}
			if n := handleLength(text, i); n > 0 {
				if len(b) == 0 {
					d.flag("starts with unknown handle")
				}
				symbol(handle)
				i += min(n, untilSpan(spans, next, i))
				continue
			}
			if c == '[' && i == 0 {
				if n := bracketLength(text); n > 0 && (next >= len(spans) || spans[next].Start >= n) {
					d.flag("author in brackets")
					symbol(handle)
					i = n
					continue
				}
			}
		case c >= '0' && c <= '9' && (i == 0 || text[i-1] < '0' || text[i-1] > '9'):
			n := 0
			for i+n < len(text) && text[i+n] >= '0' && text[i+n] <= '9' {
				n++
			}
			if n > 3 {
				symbol(number)
				i += min(n, untilSpan(spans, next, i))
				continue
			}
		case c == '&':
			if e, r := entity(text[i:]); e > 0 {
				if r != 0 {
					symbol(r)
				}
				i += e
				continue
			}
		case c == '#':
			i++
			space()
			d.flag("hashtag")
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == 'â' && strings.HasPrefix(text[i:], "â€") { // UTF-8 read as Windows-1252 once, seen in archives
			_, n := utf8.DecodeRuneInString(text[i+len("â€"):])
			r, size = '\'', len("â€")+n
		}
		at := i
		i += size
		if r >= privateLow && r <= privateHigh || r == utf8.RuneError {
			continue
		}
		if unicode.IsSpace(r) {
			space()
			last, run = 0, 0
			continue
		}
		if r == last {
			run++
		} else {
			last, run = r, 1
		}
		if unicode.IsLetter(r) || unicode.IsMark(r) {
			if run >= 3 && r < 0x250 { // "sooooo": two are kept
				stretched = true
				continue
			}
			letters++
			if unicode.IsUpper(r) {
				capital++
			}
			if nlp.Spaceless(r) {
				space()
				b = nlp.AppendFold(b, r)
				b = append(b, ' ')
				continue
			}
			if wordBytes >= nlp.MaxWord {
				space()
			}
			before := len(b)
			b = nlp.AppendFold(b, r)
			wordBytes += len(b) - before
			continue
		}
		if nlp.Pictograph(r) {
			if run <= 2 {
				symbol(r)
			}
			continue
		}
		folded := nlp.Fold(r)
		switch {
		case folded == 0:
		case folded == '\'':
			if contraction(text[i:]) && at > 0 {
				continue // can't, it's: one word
			}
			space()
		case folded == '!':
			exclaims++
			if run == 1 {
				symbol('!')
			}
		case folded == '?' || folded == '؟' || folded == '？':
			asks++
			if run == 1 {
				symbol('?')
			}
		case folded == '.' || folded == '…':
			if run == 2 || folded == '…' {
				dots = true
			}
			if run == 1 {
				if decimal(text, at) {
					b = append(b, '.')
				} else {
					symbol('.')
				}
			}
		case folded >= '0' && folded <= '9' || folded == '-' || folded == '_' || folded == '%' || folded == '*':
			if run > 3 {
				continue
			}
			if wordBytes >= nlp.MaxWord {
				space()
			}
			b = utf8.AppendRune(b, folded)
			wordBytes++
		case folded == ':' || folded == ';' || folded == '=' || folded == ')' || folded == '(' || folded == '<' || folded == '>':
			// Emoticons stay together, so that the tokenizer can find them.
			if run <= 2 && wordBytes < nlp.MaxWord {
				if wordBytes > 0 && b[len(b)-1] != ':' && b[len(b)-1] != ';' && b[len(b)-1] != '=' && b[len(b)-1] != '-' {
					space()
				}
				b = utf8.AppendRune(b, folded)
				wordBytes++
			}
		default:
			if run == 1 {
				symbol(folded)
			}
		}
	}
	if letters >= 8 && capital*10 >= letters*7 {
		shouted = true
	}
	d.buf = b
	for _, f := range []struct {
		on   bool
		name string
	}{
		{stretched, "stretched"}, {shouted, "capitals"}, {exclaims > 0, "!"}, {exclaims > 1, "!!"}, {asks > 0, "?"}, {asks > 1, "??"}, {dots, "..."},
	} {
		if f.on {
			d.flag(f.name)
		}
	}
}

// untilSpan gives how many bytes from i may be consumed before the next named service.
func untilSpan(spans []Span, next, i int) int {
	if next < len(spans) {
		return max(1, spans[next].Start-i)
	}
	return 1 << 30
}

func linkLength(s string) int {
	if !(hasFoldPrefix(s, "http://") || hasFoldPrefix(s, "https://") || hasFoldPrefix(s, "www.")) {
		return 0
	}
	n := 0
	for n < len(s) && s[n] > ' ' && s[n] < utf8.RuneSelf {
		n++
	}
	return n
}

func hasFoldPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func handleLength(s string, i int) int {
	if s[i] != '@' || i > 0 && wordByte(s[i-1]) {
		return 0
	}
	n := 1
	for i+n < len(s) && (wordByte(s[i+n]) || (s[i+n] == '.' || s[i+n] == '@' || s[i+n] == '-') && i+n+1 < len(s) && wordByte(s[i+n+1])) {
		n++
	}
	if n == 1 {
		return 0
	}
	return n
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// bracketLength recognises an author written before the text, as archives do: "[Handle] text".
func bracketLength(s string) int {
	for n := 1; n < len(s) && n < 24; n++ {
		if s[n] == ']' && n > 2 {
			return n + 1
		}
		if !wordByte(s[n]) {
			return 0
		}
	}
	return 0
}

func entity(s string) (int, rune) {
	for _, e := range []struct {
		name string
		r    rune
	}{{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", 0}, {"&nbsp;", 0}} {
		if strings.HasPrefix(s, e.name) {
			return len(e.name), e.r
		}
	}
	return 0, 0
}

// contraction reports whether what follows an apostrophe belongs to the word before it, as in English.
func contraction(rest string) bool {
	n := 0
	for n < len(rest) && (rest[n] >= 'a' && rest[n] <= 'z' || rest[n] >= 'A' && rest[n] <= 'Z') {
		n++
	}
	if n < len(rest) && rest[n] >= utf8.RuneSelf {
		return false
	}
	switch strings.ToLower(rest[:min(n, 3)]) {
	case "t", "s", "re", "ve", "ll", "m", "d":
		return n <= 2
	}
	return false
}

func decimal(s string, at int) bool {
	return at > 0 && at+1 < len(s) && s[at-1] >= '0' && s[at-1] <= '9' && s[at+1] >= '0' && s[at+1] <= '9'
}

// conjunctions begin a clause without punctuation.
var conjunctions = hashSet("but", "so", "because", "cause", "cuz", "coz", "although", "though", "while", "then", "instead", "pero", "mas", "mais", "aber", "ma",
	"maar", "tapi", "ama", "fakat", "porque", "weil", "omdat", "karena", "cunku", "но", "а", "لكن", "लेकिन", "so that", "guess", "since", "unlike", "back")

func hashSet(items ...string) map[uint64]bool {
	m := make(map[uint64]bool, len(items))
	for _, s := range items {
		m[hashString(s)] = true
	}
	return m
}

func (d *Document) classifyTokens() {
	d.tokens = d.tokens[:0]
	clause := uint8(0)
	for _, s := range d.strings {
		if len(d.tokens) == maxTokens {
			break
		}
		t := token{text: s, hash: hashString(s), service: -1, kind: word}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r >= firstPlaceholder && r < firstPlaceholder+MaxServices:
			t.service, t.kind = int8(r-firstPlaceholder), placeholder
		case r >= privateLow && r <= privateHigh:
			t.kind = placeholder
		case nlp.Pictograph(r):
			t.kind = picture
		case size == len(s) && nlp.Spaceless(r):
			t.kind = character
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			t.kind = mark
		}
		if t.kind == mark && strings.ContainsRune(".!?;:,-|/…", r) || t.kind == word && conjunctions[t.hash] {
			if n := len(d.tokens); n > 0 && d.tokens[n-1].kind != mark && clause < 250 {
				clause++
			}
		}
		t.clause = clause
		d.tokens = append(d.tokens, t)
	}
}

// findConcepts looks up phrases first, longest first, then words.
func (d *Document) findConcepts() {
	for i := 0; i < len(d.tokens); {
		t := &d.tokens[i]
		if t.kind != word && t.kind != character {
			i++
			continue
		}
		n := 1
		if words.starts[t.hash] {
			if c, length := d.phrase(i); c != conceptNone {
				t.concept, n = c, length
			}
		}
		if n == 1 && t.concept == conceptNone {
			t.concept = words.word(t.text, t.hash)
		}
		i += n
	}
}

// phrase finds the longest phrase of the lexicon that begins at token i.
func (d *Document) phrase(i int) (found concept, length int) {
	var buf [96]byte
	b := append(buf[:0], d.tokens[i].text...)
	limit := maxPhrase
	if d.tokens[i].kind == character {
		limit = 9
	}
	for n := 1; n < limit && i+n < len(d.tokens); n++ {
		t := d.tokens[i+n]
		if t.kind != d.tokens[i].kind || len(b)+len(t.text)+1 > len(buf) {
			break
		}
		if t.kind == word {
			b = append(b, '_')
		}
		b = append(b, t.text...)
		h := uint64(fnvOffset)
		for _, c := range b {
			h = (h ^ uint64(c)) * fnvPrime
		}
		if c, ok := words.words[finish(h)]; ok {
			found, length = c, n+1
		}
	}
	return found, length
}

// PlaceholderName gives a word for a placeholder in Normalized, or "" for any other character.
func PlaceholderName(r rune) string {
	switch {
	case r >= firstPlaceholder && r < firstPlaceholder+MaxServices:
		return "<service " + string('1'+r-firstPlaceholder) + ">"
	case r == link:
		return "<link>"
	case r == handle:
		return "<handle>"
	case r == number:
		return "<number>"
	}
	return ""
}
