package names

// A word's hash takes eight folded bytes at a time, the last ones padded with zeros, which no word holds. Each step is a bijection
// of the state for given bytes, so words of up to eight bytes never collide; longer ones do with a probability of 2^-64.

const (
	seed       uint64 = 0x9E3779B97F4A7C15
	multiplier uint64 = 0xD6E8FEB86659FD93
)

func step(h, chunk uint64) uint64 {
	h = (h ^ chunk) * multiplier
	return h ^ h>>32
}

// hasher hashes bytes that come one by one, as step hashes them by eights.
type hasher struct {
	h, chunk uint64
	n        uint // bytes in chunk
}

func newHasher() hasher { return hasher{h: seed} }

func (s *hasher) add(b byte) {
	s.chunk |= uint64(b) << (8 * s.n)
	s.n++
	if s.n == 8 {
		s.h, s.chunk, s.n = step(s.h, s.chunk), 0, 0
	}
}

// addRune adds r as UTF-8; r is valid.
func (s *hasher) addRune(r rune) {
	c := uint64(r)
	switch {
	case r < 0x80:
		s.addSome(c, 1)
	case r < 0x800:
		s.addSome(0x80C0|c>>6|c&0x3F<<8, 2)
	case r < 0x10000:
		s.addSome(0x8080E0|c>>12|c>>6&0x3F<<8|c&0x3F<<16, 3)
	default:
		s.addSome(0x808080F0|c>>18|c>>12&0x3F<<8|c>>6&0x3F<<16|c&0x3F<<24, 4)
	}
}

// addSome adds n bytes, the first in the lowest bits of v.
func (s *hasher) addSome(v uint64, n uint) {
	s.chunk |= v << (8 * s.n & 63)
	s.n += n
	if s.n >= 8 {
		s.h = step(s.h, s.chunk)
		s.n -= 8
		s.chunk = v >> (8 * (n - s.n) & 63)
		if s.n == 0 {
			s.chunk = 0
		}
	}
}

func (s *hasher) sum() uint64 {
	if s.n > 0 {
		return step(s.h, s.chunk)
	}
	return s.h
}

func hashString(text string) uint64 {
	s := newHasher()
	for i := range len(text) {
		s.add(text[i])
	}
	return s.sum()
}

const (
	ones  uint64 = 0x0101010101010101
	highs uint64 = 0x8080808080808080
)

// nonWord sets the high bit of each byte of x that is no ASCII letter or digit.
func nonWord(x uint64) uint64 {
	low := x &^ highs
	lower := low | 0x20*ones // maps A-Z to a-z, and nothing else into a-z or 0-9
	letter := (lower + (0x80-'a')*ones) &^ (lower + (0x80-'z'-1)*ones)
	digit := (low + (0x80-'0')*ones) &^ (low + (0x80-'9'-1)*ones)
	return ^((letter | digit) &^ x) & highs
}

// load8 reads eight bytes of text at i, the first in the lowest byte; bytes behind the text's end are zero.
func load8(text string, i int) uint64 {
	if i+8 <= len(text) {
		return full8(text[i:])
	}
	return last8(text, i)
}

func full8(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func last8(text string, i int) uint64 {
	if len(text) >= 8 && i < len(text) {
		return full8(text[len(text)-8:]) >> (8 * uint(i-(len(text)-8)))
	}
	var x uint64
	for j := len(text) - 1; j >= i; j-- {
		x = x<<8 | uint64(text[j])
	}
	return x
}
