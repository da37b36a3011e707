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
