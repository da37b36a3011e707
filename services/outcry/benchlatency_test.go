package main

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"outcry.dev/pkg/detect"
	"outcry.dev/services/ingest/source"
)

func TestServicesThatFailAreReadable(t *testing.T) {
	failing, err := failingServices(DefaultConfig(), 100)
	if err != nil || len(failing) != 100 {
		t.Fatalf("%d services: %v", len(failing), err)
	}
	if _, err := failingServices(DefaultConfig(), 1_000_000); err == nil || !strings.Contains(err.Error(), "take fewer --outages") {
		t.Errorf("a million services: %v", err)
	}
}

// Every service that fails is complained of by as many people as was said, and never before the time of its posts.
func TestLatencyWriter(t *testing.T) { synctest.Test(t, latencyWriterKeepsTime) }

func latencyWriterKeepsTime(t *testing.T) {
	texts, err := newBenchTexts(DefaultConfig(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w := &latencyWriter{texts: texts, failing: []failing{{"skype", "Skype"}, {"viber", "Viber"}}, rate: 1000, length: latencyBurst + 4*detect.Step,
		rng: rand.New(rand.NewPCG(1, 1)), minPeople: 5, wait: time.Second, passed: map[int64]time.Time{}, tipped: map[string]time.Time{}}
	quiet, people := 0, map[string]int{}
	err = w.Run(t.Context(), &source.Session{Emit: func(e source.Event) error {
		switch early := time.Until(e.Post.CreatedAt); {
		case e.Post.Author == "quiet":
			quiet++
			return nil
		case early > time.Millisecond || early < -time.Millisecond:
			t.Fatalf("a post of %v is written at %v", e.Post.CreatedAt, time.Now())
		}
		if service, ok := strings.CutPrefix(e.Post.Author, "complainer-"); ok {
			people[service[:1]]++
		}
		return nil
	}})
	if err != nil || quiet < 2000 || w.posts < 55_000 || people["0"] != latencyPeople || people["1"] != latencyPeople {
		t.Errorf("%d posts before, %d live, complaints %v: %v", quiet, w.posts, people, err)
	}
	if len(w.tipped) != 2 || len(w.passed) < 5 {
		t.Errorf("noted %v and %v", w.tipped, w.passed)
	}
}

func TestLatencies(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := at.Add(10 * time.Second)
	w := &latencyWriter{failing: []failing{{"a", "A"}, {"b", "B"}, {"never", "N"}}, posts: 100, took: time.Second,
		passed: map[int64]time.Time{end.UnixMicro(): end.Add(time.Second)}, tipped: map[string]time.Time{"a": at, "b": at.Add(9 * time.Second), "never": at}}
	r := w.result(map[string]arrival{"a": {end.Add(2 * time.Second), end.UnixMicro()}, "b": {end.Add(3 * time.Second), end.UnixMicro()},
		"other": {end, end.UnixMicro()}})
	if r.Incidents != 2 || r.Outages != 3 || r.Decision.Max != 2 || r.Decision.P99 != 2 || r.Post.Max != 12 || r.Post.Median != 12 || r.Rate != 100 {
		t.Errorf("%+v", r)
	}
	var b strings.Builder
	if err := r.write(&b, false); err != nil || !strings.Contains(b.String(), "2 of 3 outages became incidents") {
		t.Errorf("%v: %s", err, b.String())
	}
	if err := (benchLatencyResult{}).write(&b, false); err == nil {
		t.Error("no incident at all is no fault")
	}
}

func TestBenchDetect(t *testing.T) {
	got := outcry(t, "bench", "detect", "--services", "50", "--time", "20m", "--json")
	var r benchDetectResult
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	if r.Services != 50 || r.Evaluations != 50*120 || !(r.Microseconds > 0) {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"detect", "--services", "0"}, {"detect", "--time", "1s"}, {"latency", "--rate", "1"}, {"latency", "--time", "1s"}, {"latency", "--outages", "0"}} {
		if got := outcry(t, append([]string{"bench"}, args...)...); got.code != exitUsage || !strings.Contains(got.stderr, args[1]+" is ") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
