package main

import (
	"bytes"
	"os"
	"sync"
	"testing"
)

// Processes that start at once on an empty folder end with one key, and nobody reads half of it.
func TestAuthorKeyIsMadeOnce(t *testing.T) {
	for range 50 {
		cfg := DefaultConfig()
		cfg.DataDir = t.TempDir()
		keys := make([][]byte, 16)
		var all sync.WaitGroup
		for i := range keys {
			all.Go(func() {
				var err error
				if keys[i], err = authorKey(cfg); err != nil {
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
		if left, err := os.ReadDir(cfg.DataDir); err != nil || len(left) != 1 {
			t.Fatalf("%v is left: %v", left, err)
		}
	}
}
