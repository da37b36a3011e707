package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"outcry.dev/services/alerter/journal"
)

func open(t *testing.T, path string) (*journal.Journal, []string) {
	t.Helper()
	var got []string
	j, err := journal.Open(path, func(r []byte) error {
		got = append(got, string(r))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, got
}

func TestRecordsAreThereAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "log")
	j, _ := open(t, path)
	if err := j.Append([]byte("a"), []byte("")); err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte("b")); err != nil {
		t.Fatal(err)
	}
	again, got := open(t, path)
	if !slices.Equal(got, []string{"a", "", "b"}) {
		t.Errorf("got %q", got)
	}
	mark := again.Size()
	if err := again.Append([]byte("meanwhile")); err != nil {
		t.Fatal(err)
	}
	if err := again.Compact(mark, []byte("all")); err != nil {
		t.Fatal(err)
	}
	if err := again.Append([]byte("more")); err != nil {
		t.Fatal(err)
	}
	if _, got := open(t, path); !slices.Equal(got, []string{"all", "meanwhile", "more"}) {
		t.Errorf("after compaction: %q", got)
	}
}

// TestEveryCut cuts the file at each byte: what was whole before the cut is there, and what is appended afterwards too.
func TestEveryCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, _ := open(t, path)
	var ends []int64
	for i := range 4 {
		if err := j.Append(fmt.Appendf(nil, "record %d", i)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.Size())
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		cutPath := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(cutPath, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, got := open(t, cutPath)
		want := 0
		for _, e := range ends {
			if int64(cut) >= e {
				want++
			}
		}
		if len(got) != want {
			t.Errorf("cut at %d: %d records, want %d", cut, len(got), want)
		}
		if err := j.Append([]byte("next")); err != nil {
			t.Fatal(err)
		}
		if _, got := open(t, cutPath); len(got) != want+1 || got[want] != "next" {
			t.Errorf("cut at %d, then appended: %q", cut, got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 'x'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, before := open(t, path)
		if _, after := open(t, path); !slices.Equal(before, after) {
			t.Errorf("opened twice: %q, then %q", before, after)
		}
	})
}
