package classify_test

import (
	"testing"

	"outcry.dev/pkg/classify"
)

func TestFingerprint(t *testing.T) {
	same := [][]string{
		{"Skype is down!!!", "skype is DOWN", "RT @someone: Skype is down", "rt @a: RT @b: skype is down", "@friend Skype is down https://t.co/abc", "Skype is\u200b down…", "SKYPE ís dówn"},
		{"落ちてる", "落ちてる！"},
		{"", "https://t.co/x", "@someone", "!!!"},
		{"rt"},
		{"retweet this"},
		{"Skype is up"},
		{"😀", "😀!"},
	}
	seen := map[uint64]string{}
	for _, group := range same {
		want := classify.Fingerprint(group[0])
		if other, ok := seen[want]; ok {
			t.Errorf("%q and %q are equal", group[0], other)
		}
		seen[want] = group[0]
		for _, text := range group[1:] {
			if classify.Fingerprint(text) != want {
				t.Errorf("%q differs from %q", text, group[0])
			}
		}
	}
	if n := testing.AllocsPerRun(50, func() { classify.Fingerprint("RT @someone: Skype is down, again, says @other") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
package classify_test

import (
	"strings"
	"testing"

	"outcry.dev/pkg/classify"
)

// Many people write the same few words without having read them from each other; nobody writes the same long sentence by chance.
func TestOnlyLongTextsAreCopies(t *testing.T) {
	for _, text := range []string{"", "skype is down", "Skype down again??? @skype https://status.example/a-very-long-path/that-says-nothing/at-all/0123456789",
		"@aaaaaaaaaaaaaaaaaaaaaaaaaa @bbbbbbbbbbbbbbbbbbbbbbbbbbbb skype", strings.Repeat("! ", 100), "スカイプが落ちた"} {
		if f := classify.CopyFingerprint(text); f != 0 {
			t.Errorf("%q has the fingerprint %x of a copy", text, f)
		}
	}
	const long = "Skype has been down for three hours and nobody says a word about it"
	f := classify.CopyFingerprint(long)
	if f == 0 {
		t.Fatalf("%q has no fingerprint", long)
	}
	for _, copied := range []string{strings.ToUpper(long), "RT @someone: " + long, long + " https://t.example/x1", "@friend " + long + "!!!"} {
		if classify.CopyFingerprint(copied) != f {
			t.Errorf("%q is not recognised as a copy of %q", copied, long)
		}
	}
	if classify.CopyFingerprint(long+" today") == f {
		t.Error("another text has the same fingerprint")
	}
}
