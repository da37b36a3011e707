package classify

import (
	"strings"
	"testing"
)

func TestReadModelRefuses(t *testing.T) {
	for _, row := range []struct {
		name   string
		stored []byte
	}{
		{"nothing", nil},
		{"another file", []byte("PK\x03\x04")},
		{"an older form", []byte("OUTCRY-MODEL-0\n")},
		{"half a model", weights[:len(weights)/2]},
		{"a model and more", append(append([]byte{}, weights...), 0)},
	} {
		if m, err := ReadModel(row.stored); err == nil {
			t.Errorf("%s was read as model %s", row.name, m.Version())
		}
	}
}

func TestVersionFollowsContent(t *testing.T) {
	changed := append([]byte{}, weights...)
	changed[len(magic)+4]++ // in the first bias
	m, err := ReadModel(changed)
	if err != nil {
		t.Fatal(err)
	}
	if m.Version() == DefaultModel().Version() || !strings.HasPrefix(m.Version(), "c1-") {
		t.Errorf("version %s after a change of %s", m.Version(), DefaultModel().Version())
	}
}

func TestWeightsAreSmall(t *testing.T) {
	if len(weights) > 5<<20 {
		t.Errorf("%d bytes of weights are embedded, want at most 5 MiB", len(weights))
	}
}

func FuzzReadModel(f *testing.F) {
	f.Add(weights[:len(magic)+200])
	f.Add([]byte(magic + "\x06\x80\x80\x10"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		_, _ = ReadModel(stored) // must not panic
	})
}
