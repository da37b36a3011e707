package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest/source"
)

// named is a source that is only a name.
type named string

func (n named) Name() string                               { return string(n) }
func (n named) Run(context.Context, *source.Session) error { return errors.New("not run here") }

func TestSourceLines(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	told := func(name, state string, ago time.Duration) *outcryv1.SourceState {
		return &outcryv1.SourceState{Source: name, State: state, Rate: 5, WrittenUs: now.Add(-ago).UnixMicro(), LastEventUs: now.UnixMicro(), EventTimeUs: now.Add(-1500 * time.Millisecond).UnixMicro()}
	}
	lines := sourceLines([]source.Source{named("b"), named("a"), named("c")}, []*outcryv1.SourceState{told("a", "live", time.Second), told("b", "live", time.Minute),
		told("d", "stopped", time.Hour)}, now)
	var got []string
	for _, l := range lines {
		lag := -1.0
		if l.LagSeconds != nil {
			lag = *l.LagSeconds
		}
		got = append(got, fmt.Sprintf("%s %s %v %.1f %.1f", l.Source, l.State, l.Configured, l.Rate, lag))
	}
	// In the order of the configuration, then those that are only remembered.
	want := []string{"b gone true 0.0 1.5", "a live true 5.0 1.5", "c new true 0.0 -1.0", "d stopped false 0.0 1.5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What was lost is not hidden in JSON.
func TestSourceNotes(t *testing.T) {
	l := sourceLine{Note: "its own", Unreadable: 7, Gaps: 2, LastGap: "items 5 to 9"}
	want := []string{"its own", "7 unreadable since its process began; dead.v1 has them, with the reasons", "2 gaps, in which posts were missed; the last one: items 5 to 9"}
	if diff := cmp.Diff(want, l.notes()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := (&sourceLine{Posts: 5}).notes(); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// A source that answers is told from one that does not.
func TestDoctorAsksSources(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/page":
			return
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
			return
		case "/elsewhere":
			http.Error(w, "nothing here", http.StatusNotFound)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.Write(r.Context(), websocket.MessageText, []byte("{}"))
		_ = c.Close(1000, "")
	}))
	defer server.Close()
	for path, want := range map[string]string{
		"/subscribe": "ok     source jetstream",
		"/elsewhere": "wrong  source jetstream the server answered 404 Not Found: nothing here; check ingest.jetstream in the configuration",
		"/page":      "wrong  source jetstream the server answered 200 OK in place of opening a WebSocket; is that the address of one?; check ingest.jetstream",
		"/busy":      "wrong  source jetstream the server answered 429 Too Many Requests; the server is busy, or has had enough of requests: ask again in some minutes",
	} {
		cfg := DefaultConfig()
		cfg.Ingest.Jetstream.URL = "ws" + strings.TrimPrefix(server.URL, "http") + path
		var got strings.Builder
		(&app{stderr: &got}).examineSources(t.Context(), cfg, func(what string, f func() (string, error)) {
			if found, err := f(); err != nil {
				fmt.Fprintf(&got, "wrong  %s %v\n", what, err)
			} else {
				fmt.Fprintf(&got, "ok     %s %s\n", what, found)
			}
		})
		if !strings.Contains(got.String(), want) {
			t.Errorf("%s: %s, want %s", path, got.String(), want)
		}
	}
}
