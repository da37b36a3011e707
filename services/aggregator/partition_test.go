package aggregator

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func newTestPartition() *partition {
	return newPartition(DefaultConfig(), detect.DefaultConfig(), incident.DefaultConfig())
}

func progress(p *partition, postsPartition, of int32, at int64, idle bool) int64 {
	return p.passed(&outcryv1.Progress{PostsPartition: postsPartition, PostsPartitions: of, WatermarkUs: at, Idle: idle})
}

func outageMention(id uint64, at int64) *outcryv1.Mention {
	return &outcryv1.Mention{Id: id, Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, Score: 0.9, Source: "twitter",
		PostId: fmt.Sprint("p", id), Author: id, TimeUs: at, Text: fmt.Sprint("words ", id)}
}

// What comes within the allowed lateness counts from the step on in which it came; what comes later counts in no decision.
func TestLateness(t *testing.T) {
	lateness := DefaultConfig().AllowedLateness.Microseconds()
	for _, row := range []struct {
		name      string
		watermark int64 // of the mention's partition of posts.v1; 0 for none
		clock     int64 // step decided; 0 for none
		at        int64
		fate      fate
		countedAt int64
	}{
		{"before any progress", 0, 0, start + 3*second, counted, start},
		{"at the watermark", start, 0, start, counted, start},
		{"after it", start, 0, start + 25*second, counted, start + 20*second},
		{"a microsecond late", start, 0, start - 1, counted, start},
		{"as late as allowed", start, 0, start - lateness, counted, start},
		{"too late", start, 0, start - lateness - 1, late, 0},
		{"in the future", start, 0, start + 10*minute, counted, start + 10*minute},
		{"silent while the others went on", start - 60*minute, start/stepUS - 1, start - minute, counted, start},
		{"silent while the others went on, and too late for them", start - 60*minute, start/stepUS - 1, start - 30*minute, late, 0},
		{"never heard of while the others went on", 0, start/stepUS - 1, start - 30*minute, late, 0},
	} {
		p := newTestPartition()
		if row.watermark != 0 {
			progress(p, 0, 2, row.watermark, false)
		}
		if row.clock != 0 {
			p.clock = row.clock
		}
		countedAt, offset, fate := p.add(outageMention(1, row.at), 42)
		if countedAt != row.countedAt || fate != row.fate || offset != 42 {
			t.Errorf("%s: counts from %d on (%s, offset %d), want %d (%s, offset 42)", row.name, countedAt, fate, offset, row.countedAt, row.fate)
		}
	}
}

// A mention is heard once: what comes again changes nothing, and an edit changes only the text that is shown.
func TestDuplicatesAndEdits(t *testing.T) {
	p := newTestPartition()
	p.add(outageMention(1, start+minute), 5)
	if _, _, f := p.add(outageMention(1, start+minute), 6); f != duplicate {
		t.Errorf("a repeated mention was %s, want duplicate", f)
	}
	edit := outageMention(1, start+3*minute)
	edit.Revision, edit.Text, edit.Label, edit.Symptom, edit.TextFingerprint = 2, "new words", outcryv1.Label_LABEL_RECOVERED, outcryv1.Symptom_SYMPTOM_CALLS, 99
	want := outageMention(1, start+minute)
	want.Revision, want.Text = 2, "new words"
	countedAt, offset, f := p.add(edit, 7)
	if f != edited || countedAt != start+minute || offset != 5 {
		t.Errorf("an edit was %s, from %d on, offset %d; want edited, from %d on, offset 5", f, countedAt, offset, start+minute)
	}
	if diff := gocmp.Diff(want, edit, protocmp.Transform()); diff != "" {
		t.Errorf("row of an edit (-want +got):\n%s", diff)
	}
	older := outageMention(1, start+minute)
	older.Revision = 1
	if _, _, f := p.add(older, 8); f != duplicate {
		t.Errorf("an older revision was %s, want duplicate", f)
	}
	if n := len(p.pending[(start+minute)/stepUS]["skype"]); n != 1 {
		t.Errorf("%d mentions wait for a decision, want 1", n)
	}
}

// The text of a withdrawn post goes, whether the withdrawal comes before the post or after, and its person stays.
func TestWithdrawal(t *testing.T) {
	p := newTestPartition()
	p.retract(&outcryv1.Retraction{Source: "twitter", PostId: "p1", Revision: 0, TimeUs: start})
	first, edit := outageMention(1, start), outageMention(1, start)
	edit.Revision = 1
	p.add(first, 1)
	p.add(edit, 2)
	if first.Text != "" || edit.Text == "" {
		t.Errorf("texts are %q and %q, want only the later revision's", first.Text, edit.Text)
	}
	p.retract(&outcryv1.Retraction{Source: "twitter", PostId: "p1", Revision: maxRevision})
	p.retract(&outcryv1.Retraction{Source: "twitter", PostId: "p1", Revision: 0}) // an older one takes nothing back
	edit.Revision, edit.Text = 2, "again"
	if p.add(edit, 3); edit.Text != "" {
		t.Errorf("the text of a withdrawn post is %q", edit.Text)
	}
}

func TestAStepIsDecidedWhenAllPartitionsHavePassedIt(t *testing.T) {
	p := newTestPartition()
	step := start / stepUS
	for i, row := range []struct {
		partition int32
		at        int64
		idle      bool
		want      int64
	}{
		{0, start, false, math.MinInt64},           // nothing is known of partition 1
		{1, start + stepUS, false, step - 1},       //
		{1, start + 5*stepUS, false, step - 1},     // 0 holds it up
		{0, start + 3*stepUS - 1, false, step + 1}, // within a step
		{0, start + stepUS, false, step + 1},       // a repeated Progress takes nothing back
		{0, start + 3*stepUS, true, step + 4},      // 0 is not waited for
		{1, start + 6*stepUS, true, math.MinInt64}, // nobody says what time it is
		{0, start + 7*stepUS, false, step + 6},     // 0 speaks again
		{1, start + 6*stepUS, false, step + 5},     // and so does 1, which is behind
		{1, start + 9*stepUS, false, step + 6},     //
	} {
		if got := progress(p, row.partition, 2, row.at, row.idle); got != row.want {
			t.Errorf("record %d: decidable up to %d, want %d", i, got, row.want)
		}
	}
}

// Reposts, copied texts and official accounts are not people; short texts and unknown authors are.
func TestPeople(t *testing.T) {
	at := start
	change := func(f func(m *outcryv1.Mention)) func(m *outcryv1.Mention) { return f }
	for _, row := range []struct {
		name string
		f    func(m *outcryv1.Mention)
		want int // of five mentions
	}{
		{"people", change(func(m *outcryv1.Mention) { m.TextFingerprint = m.Id + 100 }), 5},
		{"the same author", change(func(m *outcryv1.Mention) { m.Author = 7 }), 1},
		{"unknown authors", change(func(m *outcryv1.Mention) { m.Author = 0 }), 5},
		{"short texts", change(func(m *outcryv1.Mention) { m.TextFingerprint = 0 }), 5},
		{"copied texts", change(func(m *outcryv1.Mention) { m.TextFingerprint = 7 }), 1},
		{"reposts", change(func(m *outcryv1.Mention) { m.RepostOf = "1" }), 0},
		{"official accounts", change(func(m *outcryv1.Mention) { m.OfficialAuthor = true }), 0},
		{"complaints", change(func(m *outcryv1.Mention) { m.Label = outcryv1.Label_LABEL_COMPLAINT }), 0},
	} {
		p := newTestPartition()
		for id := uint64(1); id <= 5; id++ {
			m := outageMention(id, at)
			row.f(m)
			p.add(m, int64(id))
		}
		var got []int
		p.advance(progress(p, 0, 1, at+stepUS, false), func(d decided) { got = append(got, d.verdict.Windows[0].Observed) })
		if len(got) != 1 || got[0] != row.want {
			t.Errorf("%s: observed %v, want one decision about %d", row.name, got, row.want)
		}
	}
}

// An operator's word is taken however late it is read, up to a day, with the time at which it was said; what people say as late is not, and neither is what
// others repeat.
func TestOperatorsWordMayBeLate(t *testing.T) {
	const hour = int64(3600e6)
	for _, row := range []struct {
		name string
		late int64
		f    func(m *outcryv1.Mention)
		want fate
	}{
		{"a problem", hour, func(m *outcryv1.Mention) { m.Label = outcryv1.Label_LABEL_OFFICIAL }, counted},
		{"an outage", hour, func(*outcryv1.Mention) {}, counted},
		{"over", hour, func(m *outcryv1.Mention) { m.Label = outcryv1.Label_LABEL_RECOVERED }, counted},
		{"after a day", 24*hour + 1, func(m *outcryv1.Mention) { m.Label = outcryv1.Label_LABEL_OFFICIAL }, late},
		{"something else", hour, func(m *outcryv1.Mention) { m.Label = outcryv1.Label_LABEL_OTHER }, late},
		{"a repost", hour, func(m *outcryv1.Mention) { m.Label, m.RepostOf = outcryv1.Label_LABEL_OFFICIAL, "1" }, late},
		{"somebody else", hour, func(m *outcryv1.Mention) { m.Label, m.OfficialAuthor = outcryv1.Label_LABEL_OFFICIAL, false }, late},
	} {
		p := newTestPartition()
		progress(p, 0, 1, start, false)
		m := outageMention(1, start-row.late)
		m.OfficialAuthor = true
		row.f(m)
		at, _, got := p.add(m, 1)
		if got != row.want || (at == start) != (row.want == counted) {
			t.Errorf("%s: %s at %d", row.name, got, at)
		}
		if said := atStep(m, start/stepUS).GetTimeUs(); row.want == counted && said != start-row.late {
			t.Errorf("%s: said at %d", row.name, said)
		}
	}
}

// runner works through a log and keeps the rows as ClickHouse would.
type runner struct {
	cfg       Config
	p         *partition
	rows      map[uint64]store.Mention
	decisions []string
	estimated int // of the decisions
	incidents []*outcryv1.Incident
}

func newRunner() *runner { return newRunnerWith(DefaultConfig()) }

func newRunnerWith(cfg Config) *runner {
	return &runner{cfg: cfg, p: newPartition(cfg, detect.DefaultConfig(), incident.DefaultConfig()), rows: map[uint64]store.Mention{}}
}

func (r *runner) take(record *outcryv1.MentionRecord, offset int64) {
	record = proto.CloneOf(record)
	switch x := record.GetRecord().(type) {
	case *outcryv1.MentionRecord_Mention:
		if row, ok := r.rows[x.Mention.GetId()]; ok && r.p.forgotten(x.Mention) {
			r.p.remember(row.Mention, row.CountedAtUS/stepUS, row.Offset)
		}
		countedAt, first, f := r.p.add(x.Mention, offset)
		before, ok := r.rows[x.Mention.GetId()]
		if f != duplicate && (!ok || before.Revision < x.Mention.GetRevision()) {
			r.rows[x.Mention.GetId()] = store.Mention{Mention: proto.CloneOf(x.Mention), CountedAtUS: countedAt, Offset: first}
		}
	case *outcryv1.MentionRecord_Retraction:
		r.incidents = append(r.incidents, r.p.retract(x.Retraction)...)
		for _, row := range r.rows {
			if row.GetPostId() == x.Retraction.GetPostId() && row.GetRevision() <= x.Retraction.GetRevision() {
				row.Text, row.Url = "", ""
			}
		}
	case *outcryv1.MentionRecord_Verdict:
		name, err := verdict.ServiceOf(x.Verdict.GetIncident())
		if s := r.p.services[name]; err == nil && s != nil {
			if i := s.incident.Judge(x.Verdict, r.p.now()); i != nil {
				r.incidents = append(r.incidents, i)
			}
		}
	case *outcryv1.MentionRecord_Progress:
		if last := r.p.passed(x.Progress); last > r.p.clock {
			r.p.advance(last, func(d decided) {
				r.decisions = append(r.decisions, fmt.Sprintf("%s %v %+v", d.service, d.estimated, d.verdict))
				if d.estimated {
					r.estimated++
				}
				if d.changed != nil {
					r.incidents = append(r.incidents, d.changed)
				}
			})
		}
	}
}

// restart saves the state, forgets everything, and restores it from the state and the rows.
func (r *runner) restart(t *testing.T) {
	t.Helper()
	state, err := r.p.marshalState()
	if err != nil {
		t.Fatal(err)
	}
	saved := []store.State{{State: state}}
	for id, s := range r.p.services {
		if state, err = s.marshalState(); err != nil {
			t.Fatal(err)
		}
		saved = append(saved, store.State{Service: id, State: state})
	}
	for step := range r.p.withdrew {
		if state, err = r.p.marshalWithdrawn(step); err != nil {
			t.Fatal(err)
		}
		saved = append(saved, store.State{Service: withdrawnRow(step), State: state})
	}
	r.p = newPartition(r.cfg, detect.DefaultConfig(), incident.DefaultConfig())
	for _, row := range saved {
		if err := r.p.unmarshalRow(row); err != nil {
			t.Fatal(err)
		}
	}
	since, longer, alive := r.p.needs()
	var rows []store.Mention
	for _, row := range r.rows {
		if row.CountedAtUS >= since || row.CountedAtUS >= longer && slices.Contains(alive, row.GetService()) {
			row.Mention = proto.CloneOf(row.Mention)
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b store.Mention) int {
		return cmp.Or(cmp.Compare(a.CountedAtUS, b.CountedAtUS),
			cmp.Compare(max(a.GetTimeUs(), a.CountedAtUS), max(b.GetTimeUs(), b.CountedAtUS)), cmp.Compare(a.GetId(), b.GetId()))
	})
	for _, row := range rows {
		r.p.restoreMention(row.Mention, row.CountedAtUS/stepUS, row.Offset)
	}
	r.p.resume()
}

func seeds(t *testing.T, n int, f func(t *testing.T, rng *rand.Rand)) {
	for range n {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) { f(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func same(t *testing.T, want, got *runner) {
	t.Helper()
	if diff := gocmp.Diff(want.decisions, got.decisions); diff != "" {
		t.Fatalf("decisions (-want +got):\n%.2000s", diff)
	}
	if diff := gocmp.Diff(want.incidents, got.incidents, protocmp.Transform()); diff != "" {
		t.Fatalf("incidents (-want +got):\n%.3000s", diff)
	}
}

// A partition that was saved and restored, again and again, decides what one that never stopped decides.
func TestRestoredEqualsRunning(t *testing.T) {
	seeds(t, 3, func(t *testing.T, rng *rand.Rand) {
		logs, _ := randomLog(rng, 1, 2, true)
		log := logs[0]
		want, got := newRunner(), newRunner()
		for i, record := range log {
			want.take(record, int64(i))
			got.take(record, int64(i))
			if rng.IntN(200) == 0 {
				got.restart(t)
			}
		}
		if len(want.incidents) < 3 {
			t.Fatalf("%d changes of incidents: the log is too dull to show anything", len(want.incidents))
		}
		same(t, want, got)
	})
}

// So does one in which so many people came that they were estimated.
func TestRestoredEstimatesEqualRunning(t *testing.T) {
	seeds(t, 2, func(t *testing.T, rng *rand.Rand) {
		cfg := DefaultConfig()
		cfg.ExactPeople = 100
		logs, _ := randomLog(rng, 1, 2, true)
		log := logs[0]
		want, got := newRunnerWith(cfg), newRunnerWith(cfg)
		for i, record := range log {
			want.take(record, int64(i))
			got.take(record, int64(i))
			if rng.IntN(100) == 0 {
				got.restart(t)
			}
		}
		if want.estimated == 0 || want.estimated == len(want.decisions) {
			t.Fatalf("%d of %d decisions on estimates: the log is too dull to show anything", want.estimated, len(want.decisions))
		}
		same(t, want, got)
	})
}

// It does not matter in which order the partitions of posts.v1 were classified, nor how far one was ahead of the other.
func TestOrderOfPostsPartitionsDoesNotMatter(t *testing.T) {
	seeds(t, 3, func(t *testing.T, rng *rand.Rand) {
		var logs [2][]*outcryv1.MentionRecord
		id := uint64(0)
		for q := range logs {
			for step := range int64(1080) {
				now := start + step*stepUS
				n := rng.IntN(8) / 7
				switch {
				case step > 300 && step < 360:
					n = 4
				case step > 360 && step < 780: // more than an hour of quiet
					n = 0
				}
				for range n {
					id++
					m := outageMention(id, now+rng.Int64N(10*minute)-5*minute)
					m.PostsPartition, m.TextFingerprint = int32(q), rng.Uint64N(400)
					logs[q] = append(logs[q], &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: m}})
				}
				logs[q] = append(logs[q], &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: &outcryv1.Progress{
					PostsPartition: int32(q), PostsPartitions: 2, WatermarkUs: now + stepUS}}})
			}
		}
		run := func(ahead int) *runner {
			r := newRunner()
			var at [2]int
			for offset := int64(0); at[0] < len(logs[0]) || at[1] < len(logs[1]); offset++ {
				q := rng.IntN(2)
				if at[q] == len(logs[q]) || at[q]-at[1-q] > ahead && at[1-q] < len(logs[1-q]) {
					q = 1 - q
				}
				r.take(logs[q][at[q]], offset)
				at[q]++
			}
			return r
		}
		want := run(1)
		if len(want.decisions) < 500 || len(want.incidents) < 3 {
			t.Fatalf("%d decisions and %d changes of incidents: the log is too dull to show anything", len(want.decisions), len(want.incidents))
		}
		same(t, want, run(1<<30))
	})
}
