package aggregator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// owner runs an owner of every partition who has not heard that others own them too: a group of its own stands for that.
func (s *site) owner(group string) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	stage := New(Config{AllowedLateness: DefaultConfig().AllowedLateness, FlushRows: 100, FlushEvery: 50 * time.Millisecond},
		Deps{Bus: s.bus, Store: s.store, Detect: detect.DefaultConfig(), Incident: incident.DefaultConfig(), Log: quiet, Metrics: prometheus.NewRegistry()})
	go func() { ended <- stage.run(ctx, group) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("owner: %v", err)
		}
	}
}

// A superseded owner that goes on writing, for as long as it likes, changes nothing, and its successor's successor is not misled.
func TestASupersededOwnerCannotOverwrite(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	log, read := randomLog(rng, 1, 2, true)
	part := func(from, to int) [][]*outcryv1.MentionRecord {
		n := len(log[0])
		return [][]*outcryv1.MentionRecord{log[0][from*n/10 : to*n/10]}
	}
	upTo := func(n int) [][]*outcryv1.MentionRecord { return part(0, n) }
	brokers := startBroker(t)
	calm := newSite(t, brokers, fmt.Sprintf("calm_%d", seed), 1)
	calm.write(log, 1, 0)
	stop := calm.stage(DefaultConfig())
	eventually(t, "the undisturbed run is through", func() bool { return calm.caughtUp(log) })
	stop()

	s := newSite(t, brokers, fmt.Sprintf("owners_%d", seed), 1)
	s.write(part(0, 3), 1, 0)
	stopFirst := s.owner("first")
	eventually(t, "the first owner is through", func() bool { return s.caughtUp(upTo(3)) })
	epoch := s.epoch()
	stopSecond := s.owner("second")
	eventually(t, "the second owner has taken over", func() bool { return s.epoch() > epoch })
	s.write(part(3, 6), 30, 20*time.Millisecond)
	eventually(t, "the second owner is through", func() bool { return s.caughtUp(upTo(6)) })
	stopSecond()
	s.write(part(6, 7), 1, 0) // only the first one reads it
	eventually(t, "the first owner has written what nobody asked it for", func() bool {
		return len(s.rows("SELECT 1 FROM mentions WHERE mentions_offset > "+fmt.Sprint(len(upTo(6)[0]))+" LIMIT 1")) == 1
	})
	stopThird := s.owner("third")
	s.write(part(7, 10), 10, 20*time.Millisecond)
	eventually(t, "the third owner is through", func() bool { return s.caughtUp(log) })
	stopThird()
	stopFirst()
	s.compare(modelOf(log, read), calm)
}

func (s *site) epoch() uint64 {
	rows, err := s.store.States(s.t.Context(), 0)
	if err != nil || len(rows) == 0 {
		s.t.Fatal(rows, err)
	}
	return rows[0].Version >> epochShift
}

// What a superseded owner wrote of a service that its successor never heard of is not part of the successor's state.
func TestRestoreTakesTheRowsOfOneOwner(t *testing.T) {
	s := newSite(t, startBroker(t), fmt.Sprintf("rows_%d", rand.Uint64()), 1)
	p := newTestPartition()
	p.add(outageMention(1, start), 0)
	p.advance(progress(p, 0, 1, start+stepUS, false), func(decided) {})
	partitionState, err := p.marshalState()
	if err != nil {
		t.Fatal(err)
	}
	skype, err := p.services["skype"].marshalState()
	if err != nil {
		t.Fatal(err)
	}
	later := strings.NewReplacer("skype", "gmail").Replace(string(skype))
	for _, row := range []store.State{
		{State: partitionState, NextOffset: 10, Version: 8 << epochShift},
		{State: []byte("superseded"), NextOffset: 20, Version: 7<<epochShift | 99},
		{Service: "skype", State: skype, NextOffset: 10, Version: 8 << epochShift},
		{Service: "skype", State: []byte("superseded"), NextOffset: 20, Version: 7<<epochShift | 99},
		{Service: "gmail", State: []byte(later), NextOffset: 20, Version: 7<<epochShift | 99},
	} {
		if err := s.store.InsertState(t.Context(), []store.State{row}); err != nil {
			t.Fatal(err)
		}
	}
	restored := newTestPartition()
	next, epoch, err := restored.restore(t.Context(), s.store, 0)
	if err != nil || next != 10 || epoch != 8 {
		t.Fatalf("restored up to %d of epoch %d (%v), want 10 of 8", next, epoch, err)
	}
	if len(restored.services) != 1 || restored.services["skype"] == nil {
		t.Errorf("restored %d services, want skype alone", len(restored.services))
	}
}

func TestEpochs(t *testing.T) {
	first := nextEpoch(0, 300)
	if second := nextEpoch(first, 1); second <= first {
		t.Errorf("epoch %d after %d", second, first)
	}
	if a, b := nextEpoch(first, 41), nextEpoch(first, 42); a >= b {
		t.Errorf("two owners took over from the same state: the earlier has epoch %d, the later %d", a, b)
	}
	if e := nextEpoch(1<<32-1-255-256, 255); e>>32 != 0 {
		t.Errorf("epoch %d does not fit a version", e)
	}
}

// What was counted belongs to offsets of a topic; a topic that was made anew has others.
func TestTopicMadeAnewIsAnError(t *testing.T) {
	name := fmt.Sprintf("anew_%d", rand.Uint64())
	s := newSite(t, startBroker(t), name, 1)
	log, _ := randomLog(rand.New(rand.NewPCG(1, 1)), 1, 1, false)
	log[0] = log[0][:500]
	s.write(log, 1, 0)
	stop := s.stage(DefaultConfig())
	eventually(t, "the stage is through", func() bool { return s.caughtUp(log) })
	stop()
	fresh := newSite(t, startBroker(t), name, 1)
	fresh.write([][]*outcryv1.MentionRecord{log[0][:10]}, 1, 0)
	err := New(DefaultConfig(), Deps{Bus: fresh.bus, Store: fresh.store, Detect: detect.DefaultConfig(), Incident: incident.DefaultConfig(), Log: quiet,
		Metrics: prometheus.NewRegistry()}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "made anew; empty aggregator_state") {
		t.Errorf("Run returned %v, want an error that says what to do", err)
	}
}

// Records that nobody can count go to dead.v1, and the others are counted.
func TestUnreadableRecords(t *testing.T) {
	s := newSite(t, startBroker(t), fmt.Sprintf("dead_%d", rand.Uint64()), 1)
	good := outageMention(1, start)
	bad := func(f func(m *outcryv1.Mention)) []byte {
		m := outageMention(2, start)
		f(m)
		return encode(t, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: m}})
	}
	values := [][]byte{
		encode(t, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: good}}),
		[]byte("\xff not protobuf"),
		{},
		protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1), // of a later version
		bad(func(m *outcryv1.Mention) { m.Service = "" }),
		bad(func(m *outcryv1.Mention) { m.Service = withdrawnRow(1) }),
		bad(func(m *outcryv1.Mention) { m.Label = 0 }),
		bad(func(m *outcryv1.Mention) { m.Label = 77 }),
		bad(func(m *outcryv1.Mention) { m.Symptom = 77 }),
		bad(func(m *outcryv1.Mention) { m.TimeUs = 1 << 62 }),
		bad(func(m *outcryv1.Mention) { m.TimeUs = -1 }),
		bad(func(m *outcryv1.Mention) { m.Revision = 1 << 62 }),
		encode(t, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Retraction{Retraction: &outcryv1.Retraction{TimeUs: -5}}}),
		encode(t, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: &outcryv1.Progress{PostsPartition: 3, PostsPartitions: 2}}}),
		encode(t, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: &outcryv1.Progress{PostsPartitions: 1, WatermarkUs: -1}}}),
		encode(t, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: &outcryv1.Progress{PostsPartitions: 1,
			Sources: []*outcryv1.SourceCount{{Source: "twitter", Minute: 1 << 50}}}}}),
		encode(t, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: outageMention(3, start)}}),
	}
	var msgs []bus.Message
	for _, v := range values {
		msgs = append(msgs, bus.Message{Partition: 0, Value: v})
	}
	p, err := s.bus.Producer(t.Context(), topics.Mentions)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	stop := s.stage(DefaultConfig())
	eventually(t, "the stage is through", func() bool {
		return s.caughtUp([][]*outcryv1.MentionRecord{make([]*outcryv1.MentionRecord, len(values))})
	})
	stop()
	if diff := gocmp.Diff([]string{"1", "3"}, s.rows("SELECT id FROM mentions_current ORDER BY id")); diff != "" {
		t.Errorf("mentions (-want +got):\n%s", diff)
	}
	var got, want []string
	for i, v := range values[1 : len(values)-1] {
		want = append(want, fmt.Sprintf("aggregator mentions.v1/0 %d %q", i+1, v))
	}
	r, err := s.bus.Reader(t.Context(), topics.Dead, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dead, err := r.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range dead {
		var d outcryv1.DeadLetter
		if err := proto.Unmarshal(m.Value, &d); err != nil {
			t.Fatal(err)
		}
		if d.GetReason() == "" {
			t.Errorf("record %d has no reason", d.GetPosition())
		}
		got = append(got, fmt.Sprintf("%s %s %d %q", d.GetStage(), d.GetOrigin(), d.GetPosition(), d.GetValue()))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("dead.v1 (-want +got):\n%s", diff)
	}
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzRecords: whatever is in mentions.v1, a record is refused or worked through.
func FuzzRecords(f *testing.F) {
	log, _ := randomLog(rand.New(rand.NewPCG(1, 2)), 1, 2, true)
	for _, r := range log[0][:50] {
		f.Add(encode(f, r))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		r := newRunner()
		r.take(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: &outcryv1.Progress{PostsPartitions: 1, WatermarkUs: start}}}, 0)
		record, err := decode(value)
		if err != nil {
			return
		}
		r.take(record, 1)
		r.restart(t)
	})
}
