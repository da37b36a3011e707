package aggregator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// model is what the tables must say of a log, whatever happened on the way.
type model struct {
	minutes, mentions, sources []string
}

func modelOf(log [][]*outcryv1.MentionRecord) model {
	type cell struct{ service, minute, label string }
	type stretch struct{ minute, partition, first int64 }
	first, latest, withdrawn := map[uint64]*outcryv1.Mention{}, map[uint64]*outcryv1.Mention{}, map[string]int64{}
	posts := map[stretch]int64{}
	for _, records := range log {
		for _, r := range records {
			if m := r.GetMention(); m != nil {
				if first[m.GetId()] == nil {
					first[m.GetId()], latest[m.GetId()] = m, m
				}
				if m.GetRevision() > latest[m.GetId()].GetRevision() {
					latest[m.GetId()] = m
				}
			}
			if x := r.GetRetraction(); x != nil {
				withdrawn[x.GetPostId()] = max(withdrawn[x.GetPostId()], x.GetRevision()+1)
			}
			for _, c := range r.GetProgress().GetSources() {
				posts[stretch{c.GetMinute(), int64(r.GetProgress().GetPostsPartition()), r.GetProgress().GetFirstOffset()}] = c.GetPosts()
			}
		}
	}
	ids, authors := map[cell]int{}, map[cell]map[uint64]bool{}
	var out model
	for id, m := range first {
		c := cell{m.GetService(), time.UnixMicro(m.GetTimeUs()).UTC().Truncate(time.Minute).Format(time.DateTime), m.GetLabel().Name()}
		author, text := m.GetAuthor(), latest[id].GetText()
		if author == 0 {
			author = id
		}
		if authors[c] == nil {
			authors[c] = map[uint64]bool{}
		}
		ids[c]++
		authors[c][author] = true
		if latest[id].GetRevision() < withdrawn[m.GetPostId()] {
			text = ""
		}
		out.mentions = append(out.mentions, fmt.Sprintln(id, c, text))
	}
	for c, n := range ids {
		out.minutes = append(out.minutes, fmt.Sprintln(c, n, len(authors[c])))
	}
	sums := map[int64]int64{}
	for s, n := range posts {
		sums[s.minute] += n
	}
	for m, n := range sums {
		out.sources = append(out.sources, fmt.Sprintln(time.Unix(m*60, 0).UTC().Format(time.DateTime), n))
	}
	return out.sorted()
}

func (m model) sorted() model {
	slices.Sort(m.minutes)
	slices.Sort(m.mentions)
	slices.Sort(m.sources)
	return m
}

// model reads from the tables what the model says of a log.
func (s *site) model() model {
	return model{
		minutes: s.rows(`SELECT concat('{', service, ' ', toString(minute), ' ', label, '} ', toString(uniqExactMerge(posts)), ' ',
			toString(uniqExactMerge(people)), '\n') FROM service_minutes GROUP BY service, minute, label`),
		mentions: s.rows(`SELECT concat(toString(id), ' {', service, ' ', formatDateTime(time, '%F %H:%i:00'), ' ', toString(label), '} ', text, '\n')
			FROM mentions_current`),
		sources: s.rows(`SELECT concat(toString(minute), ' ', toString(posts), '\n') FROM source_minute_counts WHERE posts > 0`),
	}.sorted()
}

// decisions is what came out of the decisions: every change of every incident, its latest state, and the windows.
func (s *site) decisions() map[string][]string {
	return map[string][]string{
		"incidents": s.rows(`SELECT id, state, severity, started_at, detected_at, confirmed_at, recovering_at, resolved_at, official_at, decided_at,
			revision, people, peak_per_minute, expected_per_minute, symptoms, places, languages, sources, confidence, explanation, evidence
			FROM incidents_current ORDER BY id`),
		"events":  s.rows(`SELECT incident, revision, at, state, severity, people, explanation FROM incident_events FINAL ORDER BY incident, revision`),
		"windows": s.rows(`SELECT * EXCEPT version FROM spike_windows FINAL ORDER BY service, window_seconds, window_end`),
	}
}

// The tables hold exactly what was said, and the decisions are those of an undisturbed run, whatever is killed and whoever takes over when.
func TestExactWhateverHappens(t *testing.T) {
	brokers := startBroker(t)
	for _, c := range []struct {
		mentionsPartitions, postsPartitions int
		rewrites                            bool
	}{{3, 2, false}, {2, 3, true}} {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("%d_%d_%v_%d", c.mentionsPartitions, c.postsPartitions, c.rewrites, seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			log := randomLog(rng, c.mentionsPartitions, c.postsPartitions, c.rewrites)

			calm := newSite(t, brokers, fmt.Sprintf("calm_%d", seed), c.mentionsPartitions)
			calm.write(log, 1, 0)
			stop := calm.stage(DefaultConfig())
			eventually(t, "the undisturbed run is through", func() bool { return calm.caughtUp(log) })
			stop()

			engine := startClickHouse(t)
			rough := newSiteAt(t, engine, brokers, fmt.Sprintf("rough_%d", seed), c.mentionsPartitions)
			rough.disturb(rng, log, func() { kill(t, engine) })

			calm.compare(modelOf(log), calm)
			rough.compare(modelOf(log), calm)
		})
	}
}

// compare holds the tables against the model, and the decisions against those of an undisturbed run.
func (s *site) compare(want model, calm *site) {
	s.t.Helper()
	got := s.model()
	for name, pair := range map[string][2][]string{"service_minutes": {want.minutes, got.minutes},
		"mentions_current": {want.mentions, got.mentions}, "source_minutes": {want.sources, got.sources}} {
		if diff := gocmp.Diff(pair[0], pair[1]); diff != "" {
			s.t.Errorf("%s (-model +table):\n%.3000s", name, diff)
		}
	}
	undisturbed := calm.decisions()
	if len(undisturbed["events"]) < 3 {
		s.t.Fatalf("%d changes of incidents: the log is too dull to show anything", len(undisturbed["events"]))
	}
	for name, got := range s.decisions() {
		if diff := gocmp.Diff(undisturbed[name], got); diff != "" {
			s.t.Errorf("%s (-undisturbed +disturbed):\n%.3000s", name, diff)
		}
	}
}

// disturb writes the log while stages come, go and are cut off in the middle of what they do, and ClickHouse is killed.
func (s *site) disturb(rng *rand.Rand, log [][]*outcryv1.MentionRecord, kill func()) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		s.write(log, 90, 50*time.Millisecond)
	}()
	running := map[int]func(){}
	start := func(slot int) {
		cfg := DefaultConfig()
		cfg.FlushRows, cfg.FlushEvery = 50+rng.IntN(400), time.Duration(50+rng.IntN(200))*time.Millisecond
		running[slot] = s.stage(cfg)
	}
	start(0)
	const moves = 10
	for move := range moves {
		time.Sleep(time.Duration(200+rng.IntN(600)) * time.Millisecond)
		if move == moves/2 {
			kill()
		}
		if slot := rng.IntN(3); running[slot] != nil {
			running[slot]()
			delete(running, slot)
		} else {
			start(slot)
		}
		if len(running) == 0 {
			start(0)
		}
	}
	<-written
	eventually(s.t, "the disturbed run is through", func() bool { return s.caughtUp(log) })
	for _, slot := range slices.Collect(maps.Keys(running)) {
		running[slot]()
	}
}
