package names

import (
	"strings"
	"testing"
	"unicode/utf8"

	"outcry.dev/pkg/names/fold"
)

// However a word's bytes arrive, they hash alike.
func TestHashesAgree(t *testing.T) {
	r := reader{fold: fold.NewTable()}
	for _, s := range []string{"a", "skype", "abcdefg", "abcdefgh", "abcdefghi", strings.Repeat("x", 64), "абв", "вконтакте", "сберб", "ツイッター", "ラ", "日", "한", "नमस्ते", "𐐨𐐨"} {
		byBytes := hashString(s)
		byRunes := newHasher()
		for _, c := range s {
			byRunes.addRune(c)
		}
		if byRunes.sum() != byBytes {
			t.Errorf("%q: %x by runes, %x by bytes", s, byRunes.sum(), byBytes)
		}
		if w := r.runes(s, 0); w.end == len(s) && w.hash != byBytes {
			t.Errorf("%q: the reader's hash is %x, want %x", s, w.hash, byBytes)
		}
		if w, ok := r.ascii(s, 0); ok && w.end == len(s) && w.hash != byBytes {
			t.Errorf("%q: eight at a time %x, want %x", s, w.hash, byBytes)
		}
	}
	short := map[uint64]string{} // words of up to eight bytes never collide
	for a := byte('a'); a <= 'z'; a++ {
		for b := byte('0'); b <= '9'; b++ {
			for _, s := range []string{string(a), string(b), string(a) + string(b), string(b) + string(a), strings.Repeat(string(a), 8)} {
				if other, ok := short[hashString(s)]; ok && other != s {
					t.Fatalf("%q and %q collide", s, other)
				}
				short[hashString(s)] = s
			}
		}
	}
}

func TestNonWord(t *testing.T) {
	for c := range 256 {
		var text [8]byte
		for i := range text {
			text[i] = 'a'
		}
		for i := range text {
			text[i] = byte(c)
			got := nonWord(load8(string(text[:]), 0))
			want := uint64(0)
			if c >= utf8.RuneSelf || !isWordByte(byte(c)) {
				want = 0x80 << (8 * i)
			}
			if got != want {
				t.Fatalf("byte %#x at %d: %x, want %x", c, i, got, want)
			}
			text[i] = 'a'
		}
	}
}

func TestLoad8(t *testing.T) {
	const text = "abcdefghijklm"
	for n := range len(text) {
		for i := range n + 1 {
			var want uint64
			for j := 0; j < 8 && i+j < n; j++ {
				want |= uint64(text[i+j]) << (8 * j)
			}
			if got := load8(text[:n], i); got != want {
				t.Errorf("load8(%q, %d) = %x, want %x", text[:n], i, got, want)
			}
		}
	}
}
