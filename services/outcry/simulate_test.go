package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"outcry.dev/pkg/post"
	"outcry.dev/pkg/simulate"
)

func TestSimulateGivesPostsThatTheOtherCommandsRead(t *testing.T) {
	got := outcry(t, "simulate", "--volume", "0.01", "--seed", "3")
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("%d %s", got.code, got.stderr)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(got.stdout, "\n"), "\n")
	labelled := 0
	for i, line := range lines {
		if _, err := post.Parse([]byte(line)); err != nil {
			t.Fatalf("line %d: %v\n%s", i+1, err, line)
		}
		var p simulate.Labelled
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		if len(p.Truth) > 0 {
			labelled++
		}
	}
	if len(lines) < 100 || labelled == 0 {
		t.Errorf("%d posts, %d of them about a service", len(lines), labelled)
	}
	classified := call{args: []string{"classify", "-"}, stdin: got.stdout}.run(t)
	if n := strings.Count(classified.stdout, "\n"); n != len(lines) || classified.code != exitOK {
		t.Errorf("%d posts gave %d lines: %s", len(lines), n, classified.stderr)
	}
}

func TestSimulateIsReproducible(t *testing.T) {
	args := []string{"simulate", "--volume", "0.005", "--seed"}
	first, again, other := outcry(t, append(args, "3")...), outcry(t, append(args, "3")...), outcry(t, append(args, "4")...)
	if first != again || first.code != exitOK {
		t.Error("the same seed gave other posts")
	}
	if first == other {
		t.Error("another seed gave the same posts")
	}
}

func TestSimulateWritesTheTruth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "truth.jsonl")
	if got := outcry(t, "simulate", "--volume", "0.005", "--truth", file); got.code != exitOK {
		t.Fatalf("%+v", got.stderr)
	}
	main := simulate.Scenarios()[0]
	truth := readLines[simulate.Truth](t, file)
	if len(truth) != len(main.Outages) {
		t.Fatalf("%d outages, the scenario has %d", len(truth), len(main.Outages))
	}
	for i, o := range main.Outages {
		if truth[i].Service != o.Service || !truth[i].Start.Equal(main.Start.Add(o.From)) {
			t.Errorf("%+v is not %s at %s", truth[i], o.Service, main.Start.Add(o.From))
		}
	}
}

func TestSimulateList(t *testing.T) {
	got := outcry(t, "simulate", "--list")
	for _, s := range simulate.Scenarios() {
		if !strings.Contains(got.stdout, s.Name+" ") {
			t.Errorf("%s is not in\n%s", s.Name, got.stdout)
		}
	}
}

func TestSimulateUsage(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"simulate --scenario " + simulate.Scenarios()[0].Name + "x", simulate.Scenarios()[0].Name},
		{"simulate --volume 0", "--volume is 0"},
		{"simulate --volume nan", "--volume is NaN"},
		{"simulate --seed -1", "--seed"},
		{"simulate x", `"x"`},
	} {
		if got := outcry(t, strings.Fields(tt.line)...); got.code != exitUsage || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
			t.Errorf("%s: %+v", tt.line, got)
		}
	}
}
