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
	single, several := &s.m.trie.single, &s.m.trie.several
	last := nothing
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
		after := byte(' ')
		if end < len(text) {
			after = text[end]
		}
		if after >= utf8.RuneSelf && (end == i || r.continues(text, end)) {
			if next := s.characters(i); next > i {
				i, last = next, nothing
				continue
			}
			w := r.runes(text, i)
			if w.class == fold.Break {
				next, whole := s.sign(i, w.end)
				if whole {
					last = nothing
				}
				i = next
				continue
			}
			hash, end, after = w.hash, w.end, ' '
			if end < len(text) {
				after = text[end]
			}
		} else if end == i {
			i++
			switch after {
			case '@', '#':
				i, _ = s.sign(i-1, i)
				last = nothing
			case '&', '+':
				if next := s.symbol(last); next > 0 {
					i, last = next, nothing
				}
			}
			continue
		}
		two, three := pairHash(last.hash, hash), pairHash(last.pair, hash)
		if several.has(two) || several.has(three) || single.has(hash) || isAddressSign[after] {
			if next := s.word(i, end, hash, last); next > 0 {
				i, last = next, nothing
				continue
			}
		}
		last = behind{hash: hash, pair: two, one: i, two: last.one}
		i = end
		if after == ' ' {
			i++
		}
	}
}

// behind are the words before the one that is read.
type behind struct {
	hash     uint64 // of the last one
	pair     uint64 // of the last two
	one, two int    // where the last one and the one before begin; -1 where no name goes on from there
}

// nothing is behind the begin of a text, a name, a handle, a hashtag, a link or another script.
var nothing = behind{one: -1, two: -1}

// word handles a word that may end the first two or three words of a name, begin one, or begin an address. It gives the end of what it
// found, or 0.
func (s *search) word(start, end int, hash uint64, last behind) int {
	t := &s.m.trie
	if last.two >= 0 && t.several.has(pairHash(last.pair, hash)) {
		if end := s.name(last.two); end > 0 {
			return end
		}
	}
	if last.one >= 0 && t.several.has(pairHash(last.hash, hash)) {
		if end := s.name(last.one); end > 0 {
			return end
		}
	}
	if end < len(s.text) && isAddressSign[s.text[end]] {
		if end := s.address(start, end); end > 0 {
			return end
		}
	}
	if t.single.has(hash) {
		return s.name(start)
	}
	return 0
}

// symbol handles an "&" or "+" behind words that may begin a name with it. Names without it have been found before.
func (s *search) symbol(last behind) int {
	if last.two >= 0 {
		if end := s.name(last.two); end > 0 {
			return end
		}
	}
	if last.one >= 0 {
		return s.name(last.one)
	}
	return 0
}

// characters reads the characters at i of scripts in which each is a word, until a name or another script, and gives the end. Names in
// them begin anywhere, but within a Hangul run at its first character only; they show at their second character.
func (s *search) characters(i int) int {
	text, r := s.text, &s.m.reader
	single, several := &s.m.trie.single, &s.m.trie.several
	before, beforeHash := -1, uint64(0) // the character before; -1 where no name begins with it
	inRun := false                      // of Hangul
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
		h := newHasher()
		if self {
			h.addRune(c)
		} else {
			f := r.fold.Rune(c)
			for _, c := range f.Runes[:f.Len] {
				h.addRune(c)
			}
		}
		hash := h.sum()
		if before >= 0 && several.has(pairHash(beforeHash, hash)) {
			if end := s.name(before); end > 0 {
				return end
			}
		}
		starts := class == fold.Ideograph || !inRun
		if starts && single.has(hash) {
			if end := s.name(i); end > 0 {
				return end
			}
		}
		inRun = class == fold.Hangul
		before, beforeHash = -1, hash
		if starts {
			before = i
		}
		i += size
	}
	return i
}

// isAddressSign are the bytes that make a word the begin of an address, or not.
var isAddressSign = [256]bool{'.': true, '@': true, ':': true}

// name reports the longest name that begins at start and gives its end, or 0 where there is none.
func (s *search) name(start int) int {
	n, end := s.walk(s.m.reader.word(s.text, start))
	if n >= 0 {
		s.add(s.m.trie.names[n], start, end)
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
