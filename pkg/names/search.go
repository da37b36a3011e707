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
	single, pair := s.m.trie.single, s.m.trie.pair
	var prev word      // the word before; none at first and behind a name, handle, hashtag or link
	continued := false // prev goes on a Hangul run: no name begins with it
	for i := 0; i < len(text); {
		// Short ASCII words are nine of ten: they are read here, all others by the reader.
		var w word
		x := load8(text, i)
		n := bits.TrailingZeros64(nonWord(x)) >> 3
		if end := i + n; n > 0 && n < 8 && (end == len(text) || text[end] < utf8.RuneSelf) {
			w = word{hash: step(seed, (x|0x20*ones)&(1<<(8*uint(n)&63)-1)), start: i, end: end, class: fold.Letter}
		} else if w = r.word(text, i); w.class == fold.Break {
			next, whole := s.sign(i, w.end)
			if whole {
				prev = word{}
			}
			i = next
			continue
		}
		end := 0
		if pair.has(pairHash(prev.hash, w.hash)) && prev.class != fold.Break && !continued {
			end = s.name(prev)
		}
		if end == 0 && w.end < len(text) && isAddressSign[text[w.end]] {
			end = s.address(w)
		}
		if end == 0 {
			continued = w.class == fold.Hangul && prev.class == fold.Hangul && prev.end == w.start
			if single.has(w.hash) && !continued {
				end = s.name(w)
			}
		}
		if end > 0 {
			if len(s.out)-s.first >= MaxMatches {
				return
			}
			i, prev = end, word{}
			continue
		}
		prev = w
		i = w.end
		if i < len(text) && text[i] == ' ' {
			i++
		}
	}
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
