package keyfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"outcry.dev/pkg/keyfile"
)

// Processes that start at once on an empty folder end with one key, and nobody reads half of it.
func TestAKeyIsMadeOnce(t *testing.T) {
	for range 50 {
		dir := filepath.Join(t.TempDir(), "data")
		keys := make([][]byte, 16)
		var all sync.WaitGroup
		for i := range keys {
			all.Go(func() {
				var err error
				if keys[i], err = keyfile.Get(filepath.Join(dir, "author.key")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, k := range keys {
			if len(k) != 64 || !bytes.Equal(k, keys[0]) {
				t.Fatalf("keys %q and %q", keys[0], k)
			}
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 1 {
			t.Fatalf("%v is left: %v", left, err)
		}
		if info, err := left[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("others may read it: %v, %v", info.Mode(), err)
		}
	}
}

func TestAKeyThatIsThereStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.key")
	for content, want := range map[string]string{"sixteen bytes....": "", "half": "has 4 bytes", "": "has 0 bytes"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := keyfile.Get(path)
		if want == "" && (err != nil || string(key) != content) {
			t.Errorf("%q gives %q, %v", content, key, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q gives %q, %v", content, key, err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != content {
			t.Errorf("%q became %q, %v", content, now, err)
		}
	}
}
