package fold

import (
	"testing"
	"unicode/utf8"
)

func TestString(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"case", "SkYpE", "skype"},
		{"accents", "Itaú Crédit Agricole Vueling Škoda", "itau credit agricole vueling skoda"},
		{"combining accents", "Ita\u0301u\u0301", "itau"},
		{"stacked accents", "s\u0301\u0302\u0303\u0304\u0305kype", "skype"},
		{"full width", "Ｓｋｙｐｅ　１２３", "skype 123"},
		{"mathematical letters", "𝕊𝕜𝕪𝕡𝕖 𝐬𝐤𝐲𝐩𝐞", "skype skype"},
		{"circled letters", "Ⓢⓚⓨⓟⓔ", "skype"},
		{"zero width", "s\u200bk\u200dy\ufeffp\u00ade", "skype"},
		{"letters of several", "Straße Ærø ﬁve Ĳssel", "strasse aero five ijssel"},
		{"Turkish", "TURKCELL Türk Telekom İşCep ığdır", "turkcell turk telekom iscep igdir"},
		{"Greek", "Βίβερ ΒΙΒΕΡ", "βιβερ βιβερ"},
		{"Cyrillic", "СКАЙП Тинькофф й ё", "скаип тинькофф и е"},
		{"Arabic marks and hamza", "فَيْسبوك أإآا فيـسبوك", "فيسبوك اااا فيسبوك"},
		{"Devanagari nukta", "फ़ेसबुक फेसबुक", "फेसबुक फेसबुक"},
		{"Devanagari vowels stay", "जियो", "जियो"},
		{"half-width Katakana", "ﾂｲｯﾀｰ ツイッター", "ツイッター ツイッター"},
		{"Katakana voicing", "ﾄﾞｺﾓ ドコモ", "トコモ トコモ"},
		{"Hangul stays composed", "카카오톡", "카카오톡"},
		{"breaks", "  a--b...c ", "a b c"},
		{"broken UTF-8", "a\xffb", "a b"},
		{"nothing", "\u200b", ""},
	} {
		if got := String(c.in); got != c.want {
			t.Errorf("%s: String(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestClasses(t *testing.T) {
	table := NewTable()
	for r, want := range map[rune]Class{
		'a': Letter, '7': Letter, 'é': Letter, 'ж': Letter, 'ع': Letter, 'ि': Letter, '्': Letter,
		' ': Break, '\'': Break, '’': Break, '😀': Break, '_': Break, '\n': Break, utf8.RuneError: Break,
		'ツ': Katakana, 'ー': Katakana, 'ｶ': Katakana, '・': Break,
		'한': Hangul, 'ㅋ': Hangul,
		'漢': Ideograph, 'ひ': Ideograph, 'ท': Ideograph, 'ี': Ideograph, '𠮷': Ideograph,
		'\u200b': Ignored, '\u0301': Ignored, '\ufe0f': Ignored,
	} {
		if got := table.Class(r); got != want {
			t.Errorf("Class(%q) = %d, want %d", r, got, want)
		}
	}
}

// Folding again must change nothing: names and texts are compared folded.
func TestIdempotent(t *testing.T) {
	table := NewTable()
	for r := rune(0); r <= utf8.MaxRune; r++ {
		f := table.Rune(r)
		for i := range f.Len {
			again := table.Rune(f.Runes[i])
			if again.Len != 1 || again.Runes[0] != f.Runes[i] {
				t.Fatalf("%U folds to %U, which folds to %U", r, f.Runes[:f.Len], again.Runes[:again.Len])
			}
			if f.Class != Break && again.Class != f.Class {
				t.Fatalf("%U has class %d, what it folds to %U has %d", r, f.Class, f.Runes[i], again.Class)
			}
		}
	}
}

func BenchmarkNewTable(b *testing.B) {
	for b.Loop() {
		newTable()
	}
}
