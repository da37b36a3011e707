package names

import (
	"math/bits"
	"unicode/utf8"

	"outcry.dev/pkg/names/fold"
)

// search is one pass over one text.
type search struct {
	m     *Matcher
	text  string
	out   []Match
	first int  // length of out before
	host  int  // end of a host that is not in the catalog: its words are words
	weak  bool // a name was found that must be judged
}

func (s *search) run() {
	text, r := s.text, &s.m.reader
	single, several := s.m.trie.single, s.m.trie.several
	var last behind
	for i := 0; i < len(text) && len(s.out)-s.first < MaxMatches; {
		// Words of ASCII are nearly all: they are read here, others by the reader.
		hash, end := seed, i
		x := load8(text, i)
		n := bits.TrailingZeros64(nonWord(x)) >> 3
		for n == 8 {
			hash = step(hash, x|0x20*ones)
			end += 8
			x = load8(text, end)
			n = bits.TrailingZeros64(nonWord(x)) >> 3
		}
		if n > 0 {
			hash = step(hash, (x|0x20*ones)&(1<<(8*uint(n)&63)-1))
			end += n
		}
		w := word{hash: hash, start: i, end: end, class: fold.Letter}
		switch {
		case end < len(text) && text[end] >= utf8.RuneSelf && (end == i || r.continues(text, end)):
			if end == i {
				if next := s.characters(i); next > i {
					i, last = next, behind{}
					continue
				}
			}
			if w = r.runes(text, i); w.class == fold.Break {
				next, whole := s.sign(i, w.end)
				if whole {
					last = behind{}
				}
				i = next
				continue
			}
		case end == i:
			i++
			if c := text[i-1]; c == '@' || c == '#' {
				i, _ = s.sign(i-1, i)
				last = behind{}
			}
			continue
		}
		// A name of three words or more shows at its third, one of two at its second.
		next := 0
		two := pairHash(last.one.hash, w.hash)
		if several.has(pairHash(last.pair, w.hash)) && last.two.class != fold.Break {
			next = s.name(last.two)
		}
		if next == 0 && several.has(two) && last.one.class != fold.Break {
			next = s.name(last.one)
		}
		if next == 0 && w.end < len(text) && isAddressSign[text[w.end]] {
			next = s.address(w)
		}
		if next == 0 && single.has(w.hash) {
			next = s.name(w)
		}
		if next > 0 {
			i, last = next, behind{}
			continue
		}
		last.two, last.pair, last.one = last.one, two, w
		i = w.end
		if i < len(text) && text[i] == ' ' {
			i++
		}
	}
}

// behind are the words before the one that is read: none at first and behind a name, handle, hashtag or link.
type behind struct {
	one, two word   // the last and the one before; fold.Break where no name begins with it
	pair     uint64 // hash of both
}

// characters reads the characters at i of scripts in which each is a word, until a name or another script, and gives the end. Names in
// them begin anywhere, but within a Hangul run at its first character only; they show at their second character.
func (s *search) characters(i int) int {
	text, r := s.text, &s.m.reader
	single, several := s.m.trie.single, s.m.trie.several
	var before word // the character before; none where no name begins with it
	inRun := false  // of Hangul
	start := i
	for i < len(text) && text[i] >= utf8.RuneSelf {
		c, size := utf8.DecodeRuneInString(text[i:])
		class, self := r.fold.Plain(c)
		if class == fold.Ignored && i > start {
			i += size
			continue
		}
		if class != fold.Ideograph && class != fold.Hangul {
			break
		}
		w := word{start: i, end: i + size, class: class}
		h := newHasher()
		if self {
			h.addRune(c)
		} else {
			f := r.fold.Rune(c)
			for _, c := range f.Runes[:f.Len] {
				h.addRune(c)
			}
		}
		w.hash = h.sum()
		if before.class != fold.Break && several.has(pairHash(before.hash, w.hash)) {
			if end := s.name(before); end > 0 {
				return end
			}
		}
		starts := class == fold.Ideograph || !inRun
		if starts && single.has(w.hash) {
			if end := s.name(w); end > 0 {
				return end
			}
		}
		inRun = class == fold.Hangul
		if before = w; !starts {
			before.class = fold.Break
		}
		i += size
	}
	return i
}

// isAddressSign are the bytes that make a word the begin of an address, or not.
var isAddressSign = [256]bool{'.': true, '@': true, ':': true}

// name reports the longest name that begins with w and gives its end, or 0 where there is none.
func (s *search) name(w word) int {
	n, end := s.walk(w)
	if n >= 0 {
		s.add(s.m.trie.names[n], w.start, end)
	}
	return end
}

// sign handles the character at i, which begins no word and ends at end. It gives where to read on, and whether a handle or a hashtag
// was there, so that no name goes across.
func (s *search) sign(i, end int) (next int, whole bool) {
	switch s.text[i] {
	case '@':
		return s.handle(i, end), true
	case '#':
		return s.hashtag(i, end), true
	case 0xEF: // ＠ and ＃ of East Asian keyboards
		switch s.text[i:end] {
		case "＠":
			return s.handle(i, end), true
		case "＃":
			return s.hashtag(i, end), true
		}
	}
	return end, false
}

func (s *search) add(n name, start, end int) {
	if len(s.out)-s.first >= MaxMatches {
		return
	}
	s.weak = s.weak || n.weak
	s.out = append(s.out, Match{Service: n.service, Start: int32(start), End: int32(end), Kind: n.kind, InContext: !n.weak})
}

// walk follows the names that begin with w and gives the longest that the text holds; -1 for none.
func (s *search) walk(w word) (found int32, end int) {
	r, t := &s.m.reader, &s.m.trie
	found = -1
	at := t.step(rootWords, w.hash)
	for at >= 0 {
		n := &t.nodes[at]
		if n.name >= 0 && s.ends(&t.names[n.name], w) {
			found, end = n.name, w.end
		}
		if !n.more {
			break
		}
		start, gap := r.next(s.text, w.end)
		if gap == noGap || gap == looseGap && !n.loose {
			break
		}
		if gap == symbolGap {
			w = r.symbol(s.text, start)
		} else {
			w = r.word(s.text[:min(len(s.text), start+maxWordBytes)], start)
			if w.class == fold.Break {
				break
			}
		}
		at = t.step(at, w.hash)
	}
	return found, end
}

// ends says whether a name may end with w. Only Hangul words can be parts of longer ones, see word.
func (s *search) ends(n *name, w word) bool {
	if n.plain && w.accented {
		return false
	}
	if !n.short || w.end >= len(s.text) {
		return true
	}
	c, _ := utf8.DecodeRuneInString(s.text[w.end:])
	return s.m.reader.fold.Class(c) != fold.Hangul || isParticle(c)
}

// isParticle says whether the Hangul syllable begins what commonly follows a noun without a gap: case particles and the copula.
func isParticle(c rune) bool {
	switch c {
	case '이', '가', '은', '는', '을', '를', '도', '만', '의', '에', '로', '으', '와', '과', '랑', '하', '까', '부', '요', '야', '인', '나', '왜', '한',
		'ㅋ', 'ㅠ', 'ㅜ', 'ㅡ', 'ㅎ':
		return true
	}
	return false
}
