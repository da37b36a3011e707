package aggregator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// model is what the tables must say of a log, whatever happened on the way.
type model struct {
	minutes, mentions, sources, words []string
}

func modelOf(log [][]*outcryv1.MentionRecord, read map[int64]int64) model {
	type cell struct{ service, minute, label string }
	first, latest, withdrawn := map[uint64]*outcryv1.Mention{}, map[uint64]*outcryv1.Mention{}, map[string]int64{}
	words, dismissed := map[string]*outcryv1.Verdict{}, map[string]bool{}
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
			if v := r.GetVerdict(); v != nil && words[v.GetId()] == nil && v.GetIncident() != unheardOf {
				words[v.GetId()] = v
				if k := v.GetKind(); k == outcryv1.Verdict_KIND_DISMISS || k == outcryv1.Verdict_KIND_CONFIRM {
					dismissed[v.GetIncident()] = k == outcryv1.Verdict_KIND_DISMISS
				}
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
	for _, v := range words {
		out.words = append(out.words, fmt.Sprintln(v.GetIncident(), v.GetKind().Name(), v.GetWho(), v.GetText()))
	}
	for i, is := range dismissed {
		out.words = append(out.words, fmt.Sprintln(i, "dismissed", is))
	}
	for m, n := range read {
		out.sources = append(out.sources, fmt.Sprintln(time.Unix(m*60, 0).UTC().Format(time.DateTime), n))
	}
	return out.sorted()
}

func (m model) sorted() model {
	slices.Sort(m.minutes)
	slices.Sort(m.mentions)
	slices.Sort(m.sources)
	slices.Sort(m.words)
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
		words: append(s.rows(`SELECT concat(incident, ' ', verdict, ' ', actor, ' ', note, '\n') FROM incident_events FINAL WHERE verdict != ''`),
			s.rows(`SELECT concat(id, ' dismissed ', if(state = 'dismissed', 'true', 'false'), '\n') FROM incidents_current
				WHERE id IN (SELECT incident FROM incident_events WHERE verdict IN ('dismiss', 'confirm'))`)...),
	}.sorted()
}

// decisions is what came out of the decisions: every change of every incident, its latest state, and the windows.
func (s *site) decisions() map[string][]string {
	return map[string][]string{
		"incidents": s.rows(`SELECT id, state, severity, started_at, detected_at, confirmed_at, recovering_at, resolved_at, official_at, decided_at,
			revision, people, verdicts.id, verdicts.at, peak_per_minute, expected_per_minute, symptoms, places, languages, sources, confidence, explanation, evidence
			FROM incidents_current ORDER BY id`),
		"events":  s.rows(`SELECT incident, revision, at, state, severity, people, explanation, actor, verdict, note FROM incident_events FINAL ORDER BY incident, revision`),
		"windows": s.rows(`SELECT * EXCEPT version FROM spike_windows FINAL ORDER BY service, window_seconds, window_end`),
	}
}

// unheardOf is an incident that somebody speaks of and nobody knows.
const unheardOf = "nobody-20101222T1600"

// judged is a log with what people say of the incidents in it, once somebody can know of them: of open ones and of others that ended long
// ago, and sometimes again, as from a writer who cannot know whether it arrived.
func judged(t *testing.T, rng *rand.Rand, log [][]*outcryv1.MentionRecord) (out [][]*outcryv1.MentionRecord, said map[outcryv1.Verdict_Kind]int) {
	t.Helper()
	said = map[outcryv1.Verdict_Kind]int{}
	const most = 15 // of an incident: an incident remembers the last 20, and knows only those again
	about := map[string]int{}
	say := func(incident string) *outcryv1.MentionRecord {
		about[incident]++
		kind := outcryv1.Verdict_Kind(1 + rng.IntN(4))
		said[kind]++
		v := verdictOn(t, incident, kind, []string{"ana", "bo", "cy"}[rng.IntN(3)], fmt.Sprint("remark ", rng.Uint64()))
		return &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Verdict{Verdict: v}}
	}
	for _, records := range log {
		r, known, waiting := newRunner(), []string{}, map[int][]*outcryv1.MentionRecord{}
		var result []*outcryv1.MentionRecord
		take := func(record *outcryv1.MentionRecord) {
			heard := len(r.incidents)
			r.take(record, int64(len(result)))
			result = append(result, record)
			for _, i := range r.incidents[heard:] {
				if !slices.Contains(known, i.GetId()) {
					known = append(known, i.GetId())
				}
			}
		}
		for i, record := range records {
			take(record)
			if incident := append(known, unheardOf)[rng.IntN(len(known)+1)]; rng.IntN(150) == 0 && about[incident] < most {
				v := say(incident)
				for range 1 + rng.IntN(2) {
					at := min(len(records)-1, i+rng.IntN(1500))
					waiting[at] = append(waiting[at], v)
				}
			}
			for _, v := range waiting[i] {
				take(v)
			}
		}
		for _, id := range known { // all have ended
			take(say(id))
		}
		out = append(out, result)
	}
	return out, said
}

// The tables hold exactly what was said, and the decisions are those of an undisturbed run, whatever is killed and whoever takes over when.
func TestExactWhateverHappens(t *testing.T) {
	brokers := startBroker(t)
	for _, c := range []struct {
		mentionsPartitions, postsPartitions int
		rewrites                            bool
	}{{3, 2, false}, {2, 3, true}} {
		seed := randomSeed()
		t.Run(fmt.Sprintf("%d_%d_%v_%d", c.mentionsPartitions, c.postsPartitions, c.rewrites, seed), func(t *testing.T) {
			t.Parallel() // they mostly wait
			rng := rand.New(rand.NewPCG(seed, 1))
			log, read := randomLog(rng, c.mentionsPartitions, c.postsPartitions, c.rewrites)
			log, said := judged(t, rng, log)
			if len(said) < 3 {
				t.Fatalf("people said %v: the log is too dull to show anything", said)
			}

			calm := newSite(t, brokers, fmt.Sprintf("calm_%d", seed), c.mentionsPartitions)
			calm.write(log, 1, 0)
			stop := calm.stage(DefaultConfig())
			eventually(t, "the undisturbed run is through", func() bool { return calm.caughtUp(log) })
			stop()

			engine := startClickHouse(t)
			way := newLine(t, engine.Addr())
			rough := newSiteAt(t, engine, way.addr(), brokers, fmt.Sprintf("rough_%d", seed), c.mentionsPartitions)
			rough.disturb(rng, log, way, func() { kill(t, engine) })

			calm.compare(modelOf(log, read), calm)
			rough.compare(modelOf(log, read), calm)
		})
	}
}

// randomSeed is another one each time, or that of a run to be seen again.
func randomSeed() uint64 {
	if seed, err := strconv.ParseUint(os.Getenv("OUTCRY_TEST_SEED"), 10, 64); err == nil {
		return seed
	}
	return rand.Uint64()
}

// compare holds the tables against the model, and the decisions against those of an undisturbed run.
func (s *site) compare(want model, calm *site) {
	s.t.Helper()
	got := s.model()
	for name, pair := range map[string][2][]string{"service_minutes": {want.minutes, got.minutes},
		"mentions_current": {want.mentions, got.mentions}, "source_minutes": {want.sources, got.sources}, "what people said": {want.words, got.words}} {
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
	if diff := gocmp.Diff(calm.told(), s.told(), protocmp.Transform()); diff != "" {
		s.t.Errorf("incidents.v1 (-undisturbed +disturbed):\n%.3000s", diff)
	}
}

// told is the latest revision of each incident on incidents.v1.
func (s *site) told() map[string]*outcryv1.Incident {
	s.t.Helper()
	out := map[string]*outcryv1.Incident{}
	offsets, err := s.bus.Offsets(s.t.Context(), topics.Incidents)
	if err != nil {
		s.t.Fatal(err)
	}
	for partition, o := range offsets {
		r, err := s.bus.Reader(s.t.Context(), topics.Incidents, partition, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		for next := int64(0); next < o.Next; {
			msgs, err := r.Fetch(s.t.Context())
			if err != nil {
				s.t.Fatal(err)
			}
			for _, m := range msgs {
				i := &outcryv1.Incident{}
				if err := proto.Unmarshal(m.Value, i); err != nil {
					s.t.Fatal(err)
				}
				if out[i.GetId()].GetRevision() <= i.GetRevision() {
					out[i.GetId()] = i
				}
				next = m.Offset + 1
			}
		}
		r.Close()
	}
	return out
}

// Moves of a schedule; each kind is in it.
const (
	turn     = iota // a stage comes, or goes in the middle of what it does: partitions move
	crash           // the engine is killed and comes back by itself
	goAway          // ClickHouse is away, for most of an hour of event time
	comeBack        // and is there again
)

// disturb writes the log while stages come, go and are cut off in the middle of what they do, and ClickHouse is killed, and away for so
// long that all who need it have asked in vain again and again.
func (s *site) disturb(rng *rand.Rand, log [][]*outcryv1.MentionRecord, way *line, kill func()) {
	running := map[int]func(){}
	start := func(slot int) {
		cfg := DefaultConfig()
		cfg.FlushRows, cfg.FlushEvery = 50+rng.IntN(400), time.Duration(50+rng.IntN(200))*time.Millisecond
		running[slot] = s.stage(cfg)
	}
	moves := []int{turn, turn, turn, turn, turn, turn, turn, turn, turn}
	at := rng.IntN(5) // the absence: two turns fall into it
	moves = slices.Insert(moves, at, goAway)
	moves = slices.Insert(moves, at+3, comeBack)
	moves = slices.Insert(moves, rng.IntN(len(moves)+1), crash)
	start(0)
	const piecesPerMove = 7
	for n, move := range moves {
		for piece := range piecesPerMove {
			s.writePiece(log, n*piecesPerMove+piece, len(moves)*piecesPerMove)
			time.Sleep(time.Duration(rng.IntN(80)) * time.Millisecond) // for things to be half done
		}
		switch move {
		case turn:
			if slot := rng.IntN(3); running[slot] != nil {
				running[slot]()
				delete(running, slot)
			} else {
				start(slot)
			}
			if len(running) == 0 {
				start(0)
			}
		case crash:
			kill()
		case goAway:
			way.setCut(true)
		case comeBack:
			eventually(s.t, "ClickHouse is missed", func() bool { return way.missed() >= 6 })
			way.setCut(false)
		}
	}
	eventually(s.t, "the disturbed run is through", func() bool { return s.caughtUp(log) })
	for _, slot := range slices.Collect(maps.Keys(running)) {
		running[slot]()
	}
}
