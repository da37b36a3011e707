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
		{"rt", "RT ", "RT @someone: rt "},
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

func TestCopyFingerprint(t *testing.T) {
	const text = "my phone company says that the skype servers have died again"
	want := classify.CopyFingerprint(text)
	if want == 0 {
		t.Fatal("a text of this length can be a copy")
	}
	if classify.CopyFingerprint("RT @skype: RT ") != 0 {
		t.Error("a repost of nothing is a copy")
	}
	for _, copied := range []string{
		"RT @someone: " + text, text + " 😡😡", text + " #skypedown #fail", "My phone company says that the Skype servers have diiied AGAIN!!! https://t.co/abc",
	} {
		if classify.CopyFingerprint(copied) != want {
			t.Errorf("%q is not recognised as a copy", copied)
		}
	}
	for _, other := range []string{text + " 17", text + " i think", "my phone company says that the skype servers are fine again"} {
		if classify.CopyFingerprint(other) == want {
			t.Errorf("%q is taken for a copy", other)
		}
	}
	for _, short := range []string{"skype is down", "skype is down 😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡😡", "skype is down #a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6", "skype is doooooooooooooooooooooooooooooown", ""} {
		if classify.CopyFingerprint(short) != 0 {
			t.Errorf("%q is too short to be a copy", short)
		}
	}
	if n := testing.AllocsPerRun(50, func() { classify.CopyFingerprint(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
