package names

import (
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
	prev  word // the word before; none at first and behind a name, handle, hashtag or link
	// continued says that prev goes on a Hangul run, so that no name begins with it.
	continued bool
}

func (s *search) run() {
	text, r, t := s.text, &s.m.reader, &s.m.trie
	for i := 0; i < len(text) && len(s.out)-s.first < MaxMatches; {
		w, ok := r.ascii(text, i)
		if !ok || w.class == fold.Break && text[i] >= utf8.RuneSelf {
			w = r.runes(text, i)
		}
		if w.class == fold.Break {
			i = s.sign(i, max(w.end, i+1))
			continue
		}
		if w.end < len(text) {
			switch text[w.end] {
			case '.', '@', ':':
				if end := s.address(w); end > 0 {
					i, s.prev = end, word{}
					continue
				}
			}
		}
		if t.pair.has(pairHash(s.prev.hash, w.hash)) && s.prev.class != fold.Break && !s.continued {
			if end := s.name(s.prev); end > 0 {
				i, s.prev = end, word{}
				continue
			}
		}
		s.continued = w.class == fold.Hangul && s.prev.class == fold.Hangul && s.prev.end == w.start
		if t.single.has(w.hash) && !s.continued {
			if end := s.name(w); end > 0 {
				i, s.prev = end, word{}
				continue
			}
		}
		s.prev = w
		i = w.end
		if i < len(text) && text[i] == ' ' {
			i++
		}
	}
}

// name reports the longest name that begins with w and gives its end, or 0 where there is none.
func (s *search) name(w word) int {
	n, end := s.walk(w)
	if n >= 0 {
		s.add(s.m.trie.names[n], w.start, end)
	}
	return end
}

// sign handles the character at i, which begins no word and ends at end; it gives where to read on.
func (s *search) sign(i, end int) int {
	switch s.text[i] {
	case '@':
		s.prev = word{}
		return s.handle(i, end)
	case '#':
		s.prev = word{}
		return s.hashtag(i, end)
	case 0xEF: // ＠ and ＃ of East Asian keyboards
		switch s.text[i:end] {
		case "＠":
			s.prev = word{}
			return s.handle(i, end)
		case "＃":
			s.prev = word{}
			return s.hashtag(i, end)
		}
	}
	return end
}

func (s *search) add(n name, start, end int) {
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
