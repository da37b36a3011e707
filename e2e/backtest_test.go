package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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

// The engine beneath a backtest may die once, whenever that is: the result is the same.
func TestBacktestOutlivesADeathOfTheEngine(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w, dir := newWorld(t), t.TempDir()
	truth := filepath.Join(dir, "truth.jsonl")
	file := writeFile(t, dir, "posts.jsonl", w.run("simulate", "--scenario", "two-unrelated", "--volume", "0.1", "--truth", truth))
	args := []string{"backtest", "--json", "--truth", truth, file}
	result := func(out string) string {
		var report backtest.Report
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		r := report.Results[0]
		var b strings.Builder
		fmt.Fprintf(&b, "%d posts, %+v\n", r.Posts, r.Overall)
		for _, i := range r.Incidents {
			fmt.Fprintln(&b, i.ID, i.Detected, i.Resolved, i.People)
		}
		return b.String()
	}
	began := time.Now()
	undisturbed := result(w.run(args...))
	whole := time.Since(began)
	if strings.Count(undisturbed, "\n") < 2 {
		t.Fatalf("the undisturbed run found no incident; the test would prove nothing:\n%s", undisturbed)
	}
	killed := 0
	for range 4 {
		var out lines
		p := w.start(&out, args...)
		began, moment := time.Now(), time.After(time.Duration(random.Int64N(int64(whole))))
		var engine []int
		w.until("there is an engine", time.Minute, func() bool { engine = children(p.Process.Pid); return len(engine) == 1 || !p.running() })
		select {
		case <-moment:
		case <-p.ended:
		}
		if now := children(p.Process.Pid); len(now) == 1 && now[0] == engine[0] {
			t.Logf("killed after %s of %s", time.Since(began).Round(time.Millisecond), whole.Round(time.Millisecond))
			if err := syscall.Kill(engine[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed++
		}
		<-p.ended
		if !p.ProcessState.Success() {
			t.Errorf("%v\n%s", p.ProcessState, tail(p.stderr.String()))
		} else if got := result(out.String()); got != undisturbed {
			t.Errorf("with a death of the engine:\n%s\nwithout:\n%s", got, undisturbed)
		}
	}
	if killed == 0 {
		t.Error("every run ended before its engine could be killed; the test proved nothing")
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
