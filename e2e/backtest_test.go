package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outcry.dev/pkg/backtest"
)

func TestBacktest(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	page := filepath.Join(dir, "page.html")
	feedback := writeFile(t, dir, "feedback.jsonl", `{"service":"github","start":"2026-09-15T17:00:00Z","end":"2026-09-15T18:00:00Z","at":"2026-09-15T17:20:00Z","dismissed":true,"who":"ann"}`+"\n")
	got := w.run("backtest", "--scenario", "source-silent", "--volume", "0.4", "--compare", "detect.min_people=100000", "--feedback", feedback, "--page", page, "--json")
	var report backtest.Report
	if err := json.Unmarshal([]byte(got), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Results) != 2 {
		t.Fatalf("%d results", len(report.Results))
	}
	ours, blunt := report.Results[0], report.Results[1]
	if m := ours.Overall; m.Found != 1 || m.Truths != 1 || m.LeadOfficial.N != 1 || m.Hits != 1 {
		t.Errorf("as configured: %+v", m)
	}
	if m := blunt.Overall; blunt.Settings != "detect.min_people=100000" || m.Found != 0 || len(blunt.Missed) != 1 || blunt.Posts != ours.Posts {
		t.Errorf("with a floor that nothing reaches: %+v", m)
	}
	if len(ours.Effects) != 1 || ours.Effects[0].Becomes != backtest.FalseAlarm || ours.WithFeedback.Precision.Value >= ours.Overall.Precision.Value {
		t.Errorf("feedback: %+v", ours.Effects)
	}
	if blunt.Effects[0].Incident != "" {
		t.Errorf("feedback where there is no incident: %+v", blunt.Effects)
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(html); strings.Count(s, "<svg") < 2 || !strings.Contains(s, "detect.min_people=100000") {
		t.Errorf("the page has %d pictures", strings.Count(s, "<svg"))
	}
}

// What a replay keeps gives the same incidents again as the files that it read.
func TestBacktestOfRecordedAndKept(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	w.set("OUTCRY_KAFKA_BROKERS", "") // a folder keeps what the embedded engines wrote
	kept, truth := filepath.Join(dir, "kept"), filepath.Join(dir, "truth.jsonl")
	posts := w.run("simulate", "--scenario", "two-unrelated", "--volume", "0.4", "--truth", truth)
	file := writeFile(t, dir, "posts.jsonl", posts)
	w.run("replay", "--keep", kept, file)
	results := map[string]backtest.Result{}
	for name, args := range map[string][]string{"recorded": {file}, "with truth": {"--truth", truth, file}, "kept": {"--kept", kept}} {
		got := w.run(append([]string{"backtest", "--json"}, args...)...)
		var report backtest.Report
		if err := json.Unmarshal([]byte(got), &report); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		results[name] = report.Results[0]
	}
	incidents := func(name string) string {
		var b strings.Builder
		for _, i := range results[name].Incidents {
			fmt.Fprintln(&b, i.ID, i.Detected, i.Resolved, i.People)
		}
		return b.String()
	}
	if a, b, c := incidents("recorded"), incidents("with truth"), incidents("kept"); a == "" || a != b || a != c {
		t.Errorf("recorded:\n%swith truth:\n%skept:\n%s", a, b, c)
	}
	if m := results["with truth"].Overall; m.Truths != 2 || m.Found != 2 {
		t.Errorf("with truth: %+v", m)
	}
	if m := results["kept"].Overall; m.Truths != 0 || m.Incidents == 0 || results["kept"].Posts != results["recorded"].Posts {
		t.Errorf("kept: %+v", m)
	}
}

// Files of which nothing can be read, and files without posts, are told apart from a history in which nothing happened.
func TestBacktestOfNothing(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	rubbish, empty := writeFile(t, dir, "rubbish.jsonl", "rubbish\n"), writeFile(t, dir, "empty.jsonl", "")
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"backtest", rubbish}, "rubbish.jsonl: nothing could be read of 1 lines; is --format right?"},
		{[]string{"backtest", empty}, "empty.jsonl: there are no posts in it"},
		{[]string{"replay", rubbish}, "nothing could be read of 1 lines; is --format right?"},
	} {
		if _, stderr, err := w.try(nil, row.args...); err == nil || !strings.Contains(stderr, row.want) {
			t.Errorf("%v: %v, %s; want %q", row.args, err, stderr, row.want)
		}
	}
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
