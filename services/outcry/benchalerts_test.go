package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestWhatComesOfAStorm(t *testing.T) {
	r := newBenchReceiver(true)
	take := func(into map[string][]taken, kind int, incident, what string) int {
		w := httptest.NewRecorder()
		r.take(w, into, kind, incident, what, time.Now())
		return w.Code
	}
	both := func(into map[string][]taken, kind int, incident, what string) {
		t.Helper()
		if a, b := take(into, kind, incident, what), take(into, kind, incident, what); a != http.StatusInternalServerError || b != http.StatusOK {
			t.Errorf("answered %d, %d", a, b)
		}
	}
	for _, what := range []string{"minor", "major"} {
		both(r.pages, 0, "service-0-bench", what)
		both(r.changes, 1, "service-0-bench", what)
	}
	if err := r.await(t.Context(), 2, 2); err != nil {
		t.Error(err)
	}
	if s := r.judge(1); s.fault() != nil || s.Requests != 8 || s.Refused != 4 || s.PagesTaken != 2 || s.ChangesSeen != 2 {
		t.Errorf("%+v: %v", s, s.fault())
	}
	both(r.pages, 0, "service-1-bench", "major")
	both(r.pages, 0, "service-1-bench", "minor") // after what was to follow it
	both(r.changes, 1, "service-1-bench", "minor")
	both(r.changes, 1, "service-1-bench", "minor") // again; and what follows is missing
	if s := r.judge(2); s.Missing != 1 || s.Repeated != 1 || s.OutOfOrder != 1 || s.fault() == nil {
		t.Errorf("%+v: %v", s, s.fault())
	}
}

func TestBenchAlertsRefuses(t *testing.T) {
	for _, args := range [][]string{{"--incidents", "1"}, {"--storm", "1"}, {"--time", "1ms"}, {"extra"}} {
		got := outcry(t, append([]string{"bench", "alerts"}, args...)...)
		if got.code == 0 || !strings.Contains(got.stderr, args[0]) {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
