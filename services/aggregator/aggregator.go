package aggregator

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/root"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	"outcry.dev/pkg/window"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Group is the consumer group of the stage.
const Group = "aggregator"

const (
	// epochShift leaves the lower bits of a version to the flushes of one owner.
	epochShift = 32
	// epochBits of an epoch come from the generation of the consumer group: of two owners that took over from the same state, the later one
	// has the higher epoch.
	epochBits = 8
)

// nextEpoch is the epoch of an owner that found another's.
func nextEpoch(found uint64, generation int) uint64 {
	return (found>>epochBits+1)<<epochBits | uint64(generation)&(1<<epochBits-1)
}

// RootsGroup is the consumer group that reads incidents.v1 to find which incident caused which.
const RootsGroup = "aggregator-roots"

// Deps are what the stage works with.
type Deps struct {
	Bus      *bus.Bus
	Store    *store.Store
	Detect   detect.Config
	Incident incident.Config
	// Providers tells on which services a service runs.
	Providers root.Graph
	Log       *slog.Logger
	Metrics   prometheus.Registerer
}

// Stage turns mentions into counts, spike windows and incidents.
type Stage struct {
	cfg       Config
	deps      Deps
	metrics   *metrics
	incidents *bus.Producer
	mentions  *bus.Producer // what was found out about incidents goes back to their owners
	dead      *bus.Producer
	// partitions is how many mentions.v1 has.
	partitions int
}

// New returns a stage that remembers its parts.
func New(cfg Config, deps Deps) *Stage {
	return &Stage{cfg: cfg, deps: deps, metrics: newMetrics(deps.Metrics)}
}

// Run works until ctx ends.
func (s *Stage) Run(ctx context.Context) error { return s.run(ctx, Group) }

// connect finds the topics.
func (s *Stage) connect(ctx context.Context) (err error) {
	if s.partitions, err = s.deps.Bus.Partitions(ctx, topics.Mentions); err != nil {
		return err
	}
	if s.incidents, err = s.deps.Bus.Producer(ctx, topics.Incidents); err != nil {
		return err
	}
	if s.mentions, err = s.deps.Bus.Producer(ctx, topics.Mentions); err != nil {
		return err
	}
	s.dead, err = s.deps.Bus.Producer(ctx, topics.Dead)
	return err
}

func (s *Stage) run(ctx context.Context, group string) error {
	if err := s.connect(ctx); errors.Is(err, context.Canceled) { // ended before it began
		return nil
	} else if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.deps.Bus.Consume(ctx, bus.GroupConfig{Group: group, Topic: topics.Mentions}, s.consume)
	})
	g.Go(func() error {
		return s.deps.Bus.Consume(ctx, bus.GroupConfig{Group: RootsGroup, Topic: topics.Incidents}, s.findRoots)
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("aggregator: %w", err)
	}
	return nil
}

// consume owns one partition of mentions.v1.
func (s *Stage) consume(ctx context.Context, claim *bus.Claim) error {
	o := &owner{stage: s, claim: claim, number: claim.Partition, state: newPartition(s.cfg, s.deps.Detect, s.deps.Incident),
		lag: s.metrics.lag.WithLabelValues(strconv.Itoa(claim.Partition)), clock: s.metrics.clock.WithLabelValues(strconv.Itoa(claim.Partition))}
	if err := o.takeOver(ctx); err != nil {
		return err
	}
	defer o.handOver()
	for {
		msgs, err := claim.Fetch(ctx)
		if err != nil {
			return err
		}
		for i := range msgs {
			if err := o.take(ctx, &msgs[i]); err != nil {
				return err
			}
			if len(o.mentions)+len(o.windows) >= s.cfg.FlushRows {
				if err := o.flush(ctx); err != nil {
					return err
				}
			}
		}
		if o.due(len(msgs) == 0) {
			if err := o.flush(ctx); err != nil {
				return err
			}
		}
		o.lag.Set(float64(claim.Lag()))
	}
}

// owner works through one partition and writes what comes out.
type owner struct {
	stage  *Stage
	claim  *bus.Claim
	number int
	state  *partition
	epoch  uint64
	flushN uint64

	next      int64 // offset behind the last record taken
	flushed   int64 // offset of the last flush
	last      time.Time
	changed   bool // an incident changed
	mentions  []store.Mention
	sources   []store.SourceMinute
	silences  []store.SourceSilence
	windows   []store.SpikeWindow
	incidents []store.Incident
	admitted  []admission
	known     []*outcryv1.Incident // in the tables already, perhaps not yet on incidents.v1
	withdraw  []*outcryv1.Retraction
	dead      []bus.Message

	lag, clock prometheus.Gauge
}

// takeOver restores the partition and writes its state again under an epoch of our own, so that nothing of a previous owner that is
// still alive can overwrite ours.
func (o *owner) takeOver(ctx context.Context) error {
	next, epoch, err := o.state.restore(ctx, o.stage.deps.Store, o.number)
	if err != nil {
		return err
	}
	o.epoch = nextEpoch(epoch, o.claim.Generation)
	if next > o.claim.Offset()+o.claim.Lag() {
		return fmt.Errorf("clickhouse has %s/%d up to offset %d, but the topic ends at %d: the topic was made anew; empty aggregator_state to start again from what the topic holds",
			topics.Mentions, o.number, next, o.claim.Offset()+o.claim.Lag())
	}
	if err := o.claim.Seek(ctx, next); err != nil {
		return err
	}
	if next >= 0 && o.claim.Offset() > next {
		o.stage.deps.Log.Error("records were deleted before they were read: they are in no count; keep mentions.v1 for longer",
			"topic", topics.Mentions, "partition", o.number, "from", next, "to", o.claim.Offset())
	}
	o.next, o.flushed, o.last = o.claim.Offset(), o.claim.Offset(), time.Now()
	o.stage.deps.Log.Debug("took over a partition", "partition", o.number, "epoch", o.epoch, "offset", o.next, "services", len(o.state.services))
	for _, s := range o.state.services {
		s.dirty = true
	}
	for step := range o.state.withdrew {
		o.state.fresh[step] = true
	}
	for source, x := range o.state.sources.state.Of {
		if o.speaksFor(source) && x.Since > 0 {
			o.stage.metrics.silent.WithLabelValues(source).Set(1)
		}
	}
	return o.saveState(ctx)
}

// take works through one record.
func (o *owner) take(ctx context.Context, m *bus.Message) error {
	r, err := decode(m.Value)
	if err != nil {
		o.next = m.Offset + 1
		o.unreadable(m, err.Error())
		return nil
	}
	if x := r.GetMention(); x != nil && o.state.forgotten(x) {
		if err := o.recall(ctx, x, m.Offset); err != nil {
			return err
		}
	}
	if x := r.GetProgress(); x != nil {
		if err := o.takeBack(ctx, x); err != nil {
			return err
		}
	}
	// What people and the reader of incidents.v1 say may have to be held against the tables after a flush: its offset is not passed before.
	if err := o.takeWords(ctx, r); err != nil {
		return err
	}
	o.next = m.Offset + 1
	metrics := o.stage.metrics
	switch record := r.GetRecord().(type) {
	case *outcryv1.MentionRecord_Mention:
		x := record.Mention
		countedAt, offset, fate := o.state.add(x, m.Offset)
		metrics.mentions.WithLabelValues(fate.String()).Inc()
		if fate != duplicate {
			o.mentions = append(o.mentions, store.Mention{Mention: x, CountedAtUS: countedAt, Partition: o.number, Offset: offset})
		}
	case *outcryv1.MentionRecord_Retraction:
		for _, i := range o.state.retract(record.Retraction) {
			o.incidentChanged(i, nil)
		}
		o.withdraw = append(o.withdraw, record.Retraction)
	case *outcryv1.MentionRecord_Progress:
		return o.passed(ctx, record.Progress)
	}
	return nil
}

// takeWords works through a record about an incident.
func (o *owner) takeWords(ctx context.Context, r *outcryv1.MentionRecord) error {
	switch record := r.GetRecord().(type) {
	case *outcryv1.MentionRecord_Verdict:
		return o.judge(ctx, record.Verdict)
	case *outcryv1.MentionRecord_Attribution:
		return o.attribute(ctx, record.Attribution)
	}
	return nil
}

// recall asks the tables what was heard at first of a post that was edited long afterwards.
func (o *owner) recall(ctx context.Context, m *outcryv1.Mention, offset int64) error {
	if len(o.mentions) > 0 { // the first delivery may be among them
		if err := o.flush(ctx); err != nil {
			return err
		}
	}
	before, err := o.stage.deps.Store.Delivered(ctx, o.number, offset, m.GetPostId(), m.GetId())
	if before != nil {
		o.state.remember(before.Mention, before.CountedAtUS/stepUS, before.Offset)
	}
	return err
}

func (o *owner) passed(ctx context.Context, p *outcryv1.Progress) error {
	o.count(p)
	last := o.state.passed(p)
	if last == math.MinInt64 || last <= o.state.clock {
		return nil
	}
	o.state.advance(last, o.decided)
	o.listened()
	o.clock.Set(float64((o.state.clock + 1) * stepUS / 1_000_000))
	return o.acknowledge(ctx)
}

// listened takes which sources have fallen silent or are heard again. All partitions find the same; one of them says so.
func (o *owner) listened() {
	for _, e := range o.state.sources.events {
		if !o.speaksFor(e.Source) {
			continue
		}
		e.Version = o.version()
		o.silences = append(o.silences, e)
		silent := 0.0
		if e.Until.IsZero() {
			silent = 1
			o.stage.deps.Log.Warn("a source has fallen silent: nothing is known of services that are heard on it", "source", e.Source,
				"since", e.Since, "usual_per_minute", e.UsualPerMinute)
		} else {
			o.stage.deps.Log.Info("a source is heard again", "source", e.Source, "silent_since", e.Since, "until", e.Until)
		}
		o.stage.metrics.silent.WithLabelValues(e.Source).Set(silent)
	}
	o.state.sources.events = nil
}

// speaksFor reports whether the owner of this partition writes what all of them find about a source.
func (o *owner) speaksFor(source string) bool {
	h := fnv.New32a()
	h.Write([]byte(source))
	return int(h.Sum32()%uint32(o.stage.partitions)) == o.number
}

// handOver forgets the metrics of sources, which the next owner has.
func (o *owner) handOver() {
	for source := range o.state.sources.state.Of {
		if o.speaksFor(source) {
			o.stage.metrics.silent.DeleteLabelValues(source)
		}
	}
}

func (o *owner) decided(d decided) {
	v := &d.verdict
	minute := v.At.Second() == 0
	standardError := 0.0
	if d.estimated {
		standardError = window.StandardError
	}
	for i := range v.Windows {
		w := &v.Windows[i]
		if !w.Alarm && (!minute || w.Window != time.Minute) {
			continue
		}
		o.windows = append(o.windows, store.SpikeWindow{Service: d.service, End: v.At, Window: w.Window, Observed: w.Observed,
			Expected: w.Expected, Lower: w.Lower, Upper: w.Upper, Threshold: w.Threshold, Score: w.Score, Alarm: w.Alarm,
			HistoryMinutes: v.HistoryMinutes, StandardError: standardError, Version: o.version()})
	}
	if d.changed != nil {
		o.incidentChanged(d.changed, nil)
	}
	for _, x := range d.admitted {
		o.admitted = append(o.admitted, admission{x, v.At})
	}
}

// incidentChanged keeps the new state of an incident for the next flush: with the verdict of the person who changed it, if one did.
func (o *owner) incidentChanged(i *outcryv1.Incident, by *outcryv1.Verdict) {
	o.changed = true
	o.stage.metrics.incidents.WithLabelValues(i.GetState().Name()).Inc()
	o.incidents = append(o.incidents, store.Incident{Incident: i, Verdict: by, Version: o.epoch<<epochShift | uint64(i.GetRevision())})
}

// version orders what the owners of a partition write.
func (o *owner) version() uint64 { return o.epoch<<epochShift | o.flushN }

// due tells whether it is time to write.
func (o *owner) due(quiet bool) bool {
	if o.next == o.flushed {
		return false
	}
	return o.changed || quiet || time.Since(o.last) >= o.stage.cfg.FlushEvery
}

// flush writes everything since the last one, the offset last.
func (o *owner) flush(ctx context.Context) error {
	st := o.stage.deps.Store
	if len(o.dead) > 0 {
		if err := o.stage.dead.Write(ctx, o.dead...); err != nil {
			return err
		}
	}
	if err := st.InsertMentions(ctx, o.mentions); err != nil {
		return err
	}
	if err := st.Withdraw(ctx, o.withdraw); err != nil {
		return err
	}
	if err := st.InsertSourceMinutes(ctx, o.sources); err != nil {
		return err
	}
	if err := st.InsertSourceSilences(ctx, o.silences); err != nil {
		return err
	}
	if err := st.InsertSpikeWindows(ctx, o.windows); err != nil {
		return err
	}
	if err := st.InsertIncidents(ctx, o.incidents); err != nil {
		return err
	}
	forgotten, err := o.forget(ctx)
	if err != nil {
		return err
	}
	if err := o.publish(ctx, forgotten); err != nil {
		return err
	}
	if err := o.saveState(ctx); err != nil {
		return err
	}
	if err := o.claim.Commit(o.next); err != nil && ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return err
	}
	o.stage.metrics.flushes.Inc()
	o.mentions, o.sources, o.windows, o.incidents = o.mentions[:0], o.sources[:0], o.windows[:0], o.incidents[:0]
	o.silences, o.known = o.silences[:0], o.known[:0]
	o.withdraw, o.dead = o.withdraw[:0], o.dead[:0]
	o.changed, o.flushed, o.last = false, o.next, time.Now()
	return nil
}

// forget returns the incidents that are over and had shown posts that were withdrawn, as they are now, without them: they are told once more, so that the
// records with the texts can be compacted away. It comes behind InsertIncidents, since what waited for the flush may show them too.
func (o *owner) forget(ctx context.Context) (list []*outcryv1.Incident, err error) {
	st := o.stage.deps.Store
	if err := st.WithdrawOfficial(ctx, o.number, o.withdraw); err != nil {
		return nil, err
	}
	ids, err := st.ClosedIncidentsOf(ctx, o.number, o.withdraw)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		i, err := st.LatestIncident(ctx, id)
		if err != nil {
			return nil, err
		}
		if i != nil {
			list = append(list, i)
		}
	}
	return list, nil
}

// publish writes incidents to incidents.v1: those that are told again, those that changed, and those that lost texts, as the last word on them.
func (o *owner) publish(ctx context.Context, forgotten []*outcryv1.Incident) error {
	list := slices.Clone(o.known)
	for _, i := range o.incidents {
		list = append(list, i.Incident)
	}
	list = append(list, forgotten...)
	msgs := make([]bus.Message, 0, len(list))
	for _, i := range list {
		value, err := proto.Marshal(i)
		if err != nil {
			return fmt.Errorf("incident %s: %w", i.GetId(), err)
		}
		msgs = append(msgs, bus.Message{Partition: bus.AnyPartition, Key: []byte(i.GetId()), Value: value})
	}
	return o.stage.incidents.Write(ctx, msgs...)
}

// saveState writes the state of the partition and of the services that changed, with the offset that it belongs to.
func (o *owner) saveState(ctx context.Context) error {
	o.flushN++
	state, err := o.state.marshalState()
	if err != nil {
		return err
	}
	rows := []store.State{{State: state}}
	for id, s := range o.state.services {
		if !s.dirty {
			continue
		}
		state, err := s.marshalState()
		if err != nil {
			return err
		}
		rows = append(rows, store.State{Service: id, State: state})
	}
	for step := range o.state.fresh {
		state, err := o.state.marshalWithdrawn(step)
		if err != nil {
			return err
		}
		rows = append(rows, store.State{Service: withdrawnRow(step), State: state})
	}
	for i := range rows {
		rows[i].Partition, rows[i].NextOffset, rows[i].Version = o.number, o.next, o.version()
	}
	if err := o.stage.deps.Store.InsertState(ctx, rows); err != nil {
		return err
	}
	clear(o.state.fresh)
	for _, s := range o.state.services {
		s.dirty = false
	}
	return nil
}

func (o *owner) unreadable(m *bus.Message, reason string) {
	o.stage.metrics.unreadable.Inc()
	o.stage.deps.Log.Warn("unreadable record goes to dead.v1", "topic", topics.Mentions, "partition", o.number, "offset", m.Offset, "reason", reason)
	value, err := proto.Marshal(topics.DeadLetter("aggregator", fmt.Sprintf("%s/%d", topics.Mentions, o.number), m.Offset, reason, m.Value))
	if err != nil {
		value = m.Value
	}
	o.dead = append(o.dead, bus.Message{Partition: bus.AnyPartition, Key: m.Key, Value: value})
}
