package ingest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// moody is a source that does on each run what it is told.
type moody struct {
	runs []time.Time
	run  func(ctx context.Context, in *source.Session) error
}

func (m *moody) Name() string { return "moody" }

func (m *moody) Run(ctx context.Context, in *source.Session) error {
	m.runs = append(m.runs, time.Now())
	return m.run(ctx, in)
}

// listenFor runs a source for a while of a bubble's time.
func listenFor(m *moody, d time.Duration) *listener {
	s := &Stage{deps: Deps{Live: true, Log: slog.New(slog.DiscardHandler)}}
	l := newListener(s, m)
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_ = l.listen(ctx, func(e source.Event) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		l.took(&e)
		return ctx.Err()
	})
	return l
}

// However a server fails, it is asked again, and not too often: never without a wait, never before it wants to be.
func TestASourceThatFailsIsNotAskedTooOften(t *testing.T) {
	connected := func(then func(in *source.Session) error) func(context.Context, *source.Session) error {
		return func(_ context.Context, in *source.Session) error {
			in.Status.Connected("peer")
			return then(in)
		}
	}
	for _, tt := range []struct {
		name        string
		run         func(context.Context, *source.Session) error
		least, most int           // runs in an hour
		first, late time.Duration // least and, unless 0, most wait before the second
	}{
		{"not there", func(context.Context, *source.Session) error { return errors.New("dial: refused") }, 45, 70, 500 * time.Millisecond, 0},
		{"200 and the end", connected(func(*source.Session) error { return io.EOF }), 45, 70, 500 * time.Millisecond, 0},
		{"a post and the end", connected(func(in *source.Session) error { return errors.Join(in.Emit(source.Event{Cursor: "c"}), io.EOF) }), 45, 70, 500 * time.Millisecond, 0},
		{"ends after half a minute", connected(func(*source.Session) error { time.Sleep(30 * time.Second); return io.EOF }), 30, 50, 500 * time.Millisecond, 0},
		{"ends after two minutes", connected(func(*source.Session) error { time.Sleep(2 * time.Minute); return io.EOF }), 28, 31, 500 * time.Millisecond, 0},
		{"503", func(context.Context, *source.Session) error { return &polite.StatusError{Code: 503} }, 10, 20, 5 * time.Second, 0},
		{"401", func(context.Context, *source.Session) error { return &polite.StatusError{Code: 401} }, 10, 20, 5 * time.Second, 0},
		{"429", func(context.Context, *source.Session) error { return &polite.StatusError{Code: 429} }, 5, 9, time.Minute, 0},
		{"429 with a header", func(context.Context, *source.Session) error {
			return &polite.StatusError{Code: 429, RetryAfter: 20 * time.Minute}
		}, 3, 4, 20 * time.Minute, 25 * time.Minute},
		{"429 with a header that says soon", func(context.Context, *source.Session) error {
			return &polite.StatusError{Code: 429, RetryAfter: 10 * time.Second}
		}, 288, 361, 10 * time.Second, 12500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &moody{run: tt.run}
				begun := time.Now()
				listenFor(m, time.Hour)
				if n := len(m.runs); n < tt.least || n > tt.most {
					t.Errorf("asked %d times in an hour, want %d to %d", n, tt.least, tt.most)
				}
				if wait := m.runs[1].Sub(begun); wait < tt.first || tt.late > 0 && wait > tt.late {
					t.Errorf("asked again after %s, want %s at least and %s at most", wait, tt.first, tt.late)
				}
			})
		})
	}
}

// A connection that is made again goes on where the last one was, and the state tells what happened.
func TestASourceGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cursors []string
		m := &moody{}
		m.run = func(ctx context.Context, in *source.Session) error {
			cursors = append(cursors, in.Cursor)
			in.Status.Connected("peer")
			switch len(cursors) {
			case 1:
				return errors.Join(in.Emit(source.Event{Cursor: "a"}), in.Emit(source.Event{}), in.Emit(source.Event{Kind: source.Mark, Cursor: "b"}), errors.New("boom\nboom"))
			case 2:
				in.Status.Gap("from b to c")
				return io.EOF
			}
			<-ctx.Done()
			return ctx.Err()
		}
		l := listenFor(m, 10*time.Minute)
		if len(cursors) != 3 || cursors[0] != "" || cursors[1] != "b" || cursors[2] != "b" {
			t.Errorf("began at %q", cursors)
		}
		n := l.status.Snapshot(time.Now())
		if n.State != source.Stopped || n.Peer != "peer" || n.Reconnects != 2 || n.Gaps != 1 || n.LastGap != "from b to c" || n.Posts != 2 || n.LastError != "EOF" {
			t.Errorf("state %+v", n)
		}
	})
}

// Rates are of the last minute, and fall when nothing comes any more.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s source.Status
		for range 600 {
			s.Took(&source.Event{}, time.Now())
			time.Sleep(100 * time.Millisecond)
		}
		if r := s.Snapshot(time.Now()).Rate; r < 9 || r > 11 {
			t.Errorf("rate %.1f, want 10", r)
		}
		time.Sleep(2 * time.Minute)
		if r := s.Snapshot(time.Now()).Rate; r != 0 {
			t.Errorf("rate %.1f after silence", r)
		}
	})
}
