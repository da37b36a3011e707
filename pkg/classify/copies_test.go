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
