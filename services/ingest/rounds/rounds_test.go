package rounds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// stock is what is stored.
type stock struct {
	ids  []string // in order
	away bool
}

func (s *stock) held(_ context.Context, network, after string, most int) ([]string, error) {
	if network != "net" || s.away {
		return nil, errors.New("connection\nrefused")
	}
	i, found := slices.BinarySearch(s.ids, after)
	if found {
		i++
	}
	return slices.Clone(s.ids[i:min(len(s.ids), i+most)]), nil
}

func stockOf(n int) *stock {
	s := &stock{}
	for i := range n {
		s.ids = append(s.ids, fmt.Sprintf("%06d", i))
	}
	return s
}

// walk asks until the round is over, and returns for what.
func walk(t *testing.T, r *Rounds, n int) (asked []string) {
	t.Helper()
	for {
		ids := r.Next(t.Context(), n, nil)
		if len(ids) == 0 {
			return asked
		}
		if len(ids) > n || len(asked) > 3*most {
			t.Fatalf("%d at once, after %d", len(ids), len(asked))
		}
		r.Asked(ids)
		asked = append(asked, ids...)
	}
}

func TestARoundComesToEverythingOnce(t *testing.T) {
	for _, n := range []int{0, 1, most - 1, most, most + 1, 2*most + 7} {
		s := stockOf(n)
		r := New("net", time.Hour, s.held)
		if ids := r.Next(t.Context(), 9, nil); ids != nil {
			t.Errorf("%q before a round has begun", ids)
		}
		if !r.Begin() || r.Begin() {
			t.Error("one round begins at once")
		}
		if asked := walk(t, r, 7); !slices.Equal(asked, s.ids) || r.At() != "" {
			t.Errorf("of %d, %d were asked for; at %q", n, len(asked), r.At())
		}
		if r.Begin() {
			t.Error("a round too early")
		}
	}
}

// What comes while a round is under way is new, and would keep it from ending.
func TestARoundEnds(t *testing.T) {
	s := stockOf(10)
	r := New("net", time.Hour, s.held)
	r.Begin()
	for turn := range 100 {
		ids := r.Next(t.Context(), 3, nil)
		if len(ids) == 0 {
			return
		}
		r.Asked(ids)
		s.ids = append(s.ids, fmt.Sprintf("%06d", 1000+turn))
	}
	t.Error("it goes on and on")
}

// What the network was not asked for, since it failed, comes again.
func TestNothingIsLeftOut(t *testing.T) {
	r := New("net", time.Hour, stockOf(5).held)
	r.Begin()
	first := r.Next(t.Context(), 3, nil)
	if again := r.Next(t.Context(), 3, nil); !slices.Equal(again, first) || r.At() != "" {
		t.Errorf("%q, then %q; at %q", first, again, r.At())
	}
}

// A restart goes on in the middle of a round, and begins another at once, since what was asked for before may be gone by now.
func TestARestartGoesOn(t *testing.T) {
	s := stockOf(8)
	r := New("net", time.Hour, s.held)
	r.Resume("000004")
	if at := r.At(); at != "000004" || !r.Begin() {
		t.Errorf("at %q", at)
	}
	if asked := walk(t, r, 9); !slices.Equal(asked, s.ids[5:]) {
		t.Errorf("asked for %q", asked)
	}
	if !r.Begin() {
		t.Error("no other round")
	}
	if asked := walk(t, r, 9); !slices.Equal(asked, s.ids) || r.Begin() {
		t.Errorf("asked for %q", asked)
	}
}

// While nobody knows what is stored, a round keeps its place, and the next one goes on there.
func TestClickHouseIsAway(t *testing.T) {
	s := stockOf(most + 5)
	r := New("net", time.Hour, s.held)
	r.Begin()
	r.Asked(r.Next(t.Context(), most, nil))
	s.away = true
	var said bytes.Buffer
	if ids := r.Next(t.Context(), 3, slog.New(slog.NewTextHandler(&said, nil))); ids != nil || r.At() != s.ids[most-1] || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("%q at %q; said %q", ids, r.At(), said.String())
	}
	s.away, r.due = false, time.Now()
	if !r.Begin() {
		t.Error("no other round")
	}
	if asked := walk(t, r, 9); !slices.Equal(asked, s.ids[most:]) {
		t.Errorf("asked for %d from %q on", len(asked), asked[:min(1, len(asked))])
	}
}

func TestNothingIsStored(t *testing.T) {
	r := New("net", time.Hour, nil)
	if !r.Begin() || r.Next(t.Context(), 3, nil) != nil || r.Begin() {
		t.Error("a round through nothing begins, and is over at once")
	}
}
