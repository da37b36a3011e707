package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/topics"
)

// killOrder is who is killed, one after the other.
var killOrder = []string{"classifier", "aggregator", "clickhouse", "aggregator", "clickhouse", "classifier", "aggregator"}

// Posts flow while classifier, aggregator and ClickHouse are killed at random moments and started again; the counts are the truth, and
// the incidents are those of a run in which nothing was killed.
func TestKilledAtRandomMomentsCountsStayExact(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	posts := outageDay(rng)
	var file bytes.Buffer
	for _, p := range posts {
		file.Write(marshalLine(t, p))
	}

	w := newWorld(t)
	path := filepath.Join(w.dir, "posts.jsonl")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	calm := newWorld(t)
	undisturbed := incidentsOf(t, calm.run("replay", path))
	if len(undisturbed) == 0 {
		t.Fatal("the undisturbed run found no incident; the test would prove nothing")
	}

	engines := w.engines()
	b := w.bus()
	alerts := &lines{}
	stages := map[string]*process{"classifier": w.start(nil, "classifier"), "aggregator": w.start(nil, "aggregator")}
	w.start(alerts, "alerter")
	// Posts come all the while, so that there is work under way at every kill.
	feed, in := io.Pipe()
	ingest := w.startWith(feed, nil, "ingest", "-")
	var feeding sync.WaitGroup
	defer feeding.Wait()
	defer feed.Close() // ends the feeding, and lets the process be waited for, after a failure too
	hurry := make(chan struct{})
	feeding.Go(func() {
		defer in.Close()
		for part := range slices.Chunk(bytes.SplitAfter(file.Bytes(), []byte("\n")), 20) {
			if _, err := in.Write(bytes.Join(part, nil)); err != nil {
				return // the test is over
			}
			select {
			case <-hurry:
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	busy := map[string]int{}
	for i, victim := range killOrder {
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
		under := w.left(b, "classifier", topics.Posts) + w.left(b, "aggregator", topics.Mentions)
		if under > 0 {
			busy[victim]++
		}
		done := w.committed(b, "classifier", topics.Posts) + w.committed(b, "aggregator", topics.Mentions)
		if victim == "clickhouse" {
			killClickHouse(w, engines)
		} else {
			stages[victim].kill()
			stages[victim] = w.start(nil, victim)
		}
		t.Logf("kill %d: %s, with %d records under way", i+1, victim, under)
		w.until("work goes on after the kill", 3*time.Minute, func() bool {
			return w.committed(b, "classifier", topics.Posts)+w.committed(b, "aggregator", topics.Mentions) > done
		})
	}
	for _, victim := range killOrder {
		if busy[victim] == 0 {
			t.Errorf("no kill of %s hit while work was under way; the test proved nothing", victim)
		}
	}
	close(hurry)
	<-ingest.ended
	if !ingest.ProcessState.Success() {
		t.Fatalf("outcry ingest: %v\n%s", ingest.ProcessState, tail(ingest.stderr.String()))
	}
	w.until("everything is consumed", 4*time.Minute, func() bool {
		for name, p := range stages {
			if !p.running() {
				t.Fatalf("outcry %s ended: %v\n%s", name, p.ProcessState, tail(p.stderr.String()))
			}
		}
		return w.left(b, "classifier", topics.Posts) == 0 && w.left(b, "aggregator", topics.Mentions) == 0 && w.left(b, "alerter", topics.Incidents) == 0
	})

	read := map[string]int{}
	for _, p := range posts {
		read[p.CreatedAt.Truncate(time.Minute).Format(time.DateTime)]++
	}
	if diff := cmp.Diff(read, ingestedByMinute(w)); diff != "" {
		t.Errorf("posts that were read of each minute (-truth +source_minutes):\n%s", diff)
	}
	labels := jsonLines[classified](t, w.run("classify", path))
	equalCounts(t, countsIn(w), countsFrom(t, posts, labels))

	if diff := cmp.Diff(undisturbed, incidentsOf(t, alerts.String())); diff != "" {
		t.Errorf("incidents differ from those of the undisturbed run (-undisturbed +killed):\n%s", diff)
	}
	seen := map[string]bool{}
	for l := range strings.Lines(alerts.String()) {
		if seen[l] {
			t.Errorf("delivered twice: %s", l)
		}
		seen[l] = true
	}
	for _, r := range rows[struct {
		Incident string `json:"incident"`
		N        int    `json:"n"`
	}](w, "SELECT incident, toInt64(count()) AS n FROM (SELECT incident, revision FROM incident_events FINAL) GROUP BY incident, revision HAVING n > 1") {
		t.Errorf("%s has a change recorded %d times", r.Incident, r.N)
	}
}

// killClickHouse kills the engine's process and proves it: another process answers afterwards.
func killClickHouse(w *world, engines *process) {
	w.t.Helper()
	before := children(engines.Process.Pid)
	if len(before) != 1 {
		w.t.Fatalf("engines has the children %v, one is ClickHouse", before)
	}
	victim, err := os.FindProcess(before[0])
	if err != nil {
		w.t.Fatal(err)
	}
	if err := victim.Kill(); err != nil {
		w.t.Fatalf("kill ClickHouse: %v", err)
	}
	w.until("ClickHouse is there again, as another process", 3*time.Minute, func() bool {
		after := children(engines.Process.Pid)
		return len(after) == 1 && after[0] != before[0]
	})
}

// incidentsOf returns the latest line of each incident, by id.
func incidentsOf(t *testing.T, out string) map[string]map[string]any {
	t.Helper()
	latest := map[string]map[string]any{}
	d := json.NewDecoder(strings.NewReader(out))
	for {
		var i map[string]any
		if err := d.Decode(&i); err == io.EOF {
			return latest
		} else if err != nil {
			t.Fatal(err)
		}
		latest[i["id"].(string)] = i
	}
}

// outageDay is five hours of posts with two outages in them, some posts delivered twice, some late, some out of order.
func outageDay(rng *rand.Rand) []line {
	const (
		start   = 1_600_000_200 // on a minute
		seconds = 5 * 3600
	)
	ordinary := []string{
		"having lunch with friends", "what a game last night", "skype call with grandma later", "github stars are nice",
		"listening to spotify all day", "is gmail slow for anyone?", "who else watches netflix tonight", "my paypal card arrived",
		"let me down again, sister", "working from home today",
	}
	failing := map[string][]string{
		"skype":  {"skype is down", "cant sign in to skype", "skype not working for anyone else?", "is skype down again", "skype keeps crashing, cannot log in"},
		"github": {"github is down", "github won't load", "getting 502 from github, is it down?", "cannot push to github right now", "github down for everyone?"},
	}
	var out []line
	add := func(at int, author int, text string) {
		l := line{Source: "twitter", ID: fmt.Sprint(len(out)), Author: names(author), Text: text, CreatedAt: time.Unix(int64(at), 0).UTC()}
		if rng.IntN(40) == 0 && len(out) > 0 {
			l.RepostOf, l.Text = "1", "RT @person1: "+text
		}
		out = append(out, l)
	}
	for s := range seconds {
		if rng.IntN(2) == 0 {
			add(start+s, rng.IntN(5000), ordinary[rng.IntN(len(ordinary))])
		}
		for _, o := range []struct {
			service string
			from    int
		}{{"skype", 3 * 3600}, {"github", 3*3600 + 1800}} {
			if s >= o.from && s < o.from+2400 && rng.IntN(3) == 0 {
				texts := failing[o.service]
				add(start+s, rng.IntN(3000), texts[rng.IntN(len(texts))])
			}
		}
	}
	// Late: up to ten minutes behind their place.
	for range len(out) / 30 {
		i := rng.IntN(len(out) - 800)
		j := i + 1 + rng.IntN(799)
		l := out[i]
		copy(out[i:j], out[i+1:j+1])
		out[j] = l
	}
	// Repeated: the same post again, somewhat later.
	for range len(out) / 50 {
		i := rng.IntN(len(out) - 1)
		out = slices.Insert(out, i+rng.IntN(len(out)-i), out[i])
	}
	return out
}
