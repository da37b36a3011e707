package aggregator

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/root"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// findRoots reads incidents.v1 and tells the owners of incidents what caused what. All services are in one partition there, while their
// owners know their own alone. It keeps nothing of its own: whoever takes over reads the compacted topic from its beginning, compares what
// the incidents say with what they should say, and writes the difference into the log of the service. So an attribution that was lost
// is found again, and one that is repeated changes nothing.
func (s *Stage) findRoots(ctx context.Context, claim *bus.Claim) error {
	if err := claim.Seek(ctx, -1); err != nil {
		return err
	}
	r := newRoots(s.deps.Providers)
	for {
		msgs, err := claim.Fetch(ctx)
		if err != nil {
			return err
		}
		if len(msgs) == 0 {
			continue
		}
		for i := range msgs {
			x := &outcryv1.Incident{}
			if err := proto.Unmarshal(msgs[i].Value, x); err != nil {
				continue // the alerter, which must read all of them, reports it
			}
			if !x.GetTest() { // somebody tries the way of an alert: nothing happened
				r.take(x)
			}
		}
		if claim.Lag() > 0 {
			continue // what they say now is what counts
		}
		out := make([]bus.Message, 0, 8)
		for _, a := range r.differences() {
			service, err := verdict.ServiceOf(a.GetIncident())
			if err != nil {
				continue // no incident of ours
			}
			value, err := proto.Marshal(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Attribution{Attribution: a}})
			if err != nil {
				return fmt.Errorf("attribution of %s: %w", a.GetIncident(), err)
			}
			out = append(out, bus.Message{Partition: bus.AnyPartition, Key: []byte(service), Value: value})
		}
		if err := s.mentions.Write(ctx, out...); err != nil {
			return err
		}
		if err := claim.Commit(claim.Offset()); err != nil { // tells whoever waits for the end of it; nobody starts from there
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
}

// roots are the incidents of late, as they were published last.
type roots struct {
	graph     root.Graph
	incidents map[string]*outcryv1.Incident
	latestUS  int64
	sent      map[string]*outcryv1.Attribution // told to the owner, and not seen on incidents.v1 yet
}

func newRoots(g root.Graph) *roots {
	return &roots{graph: g, incidents: map[string]*outcryv1.Incident{}, sent: map[string]*outcryv1.Attribution{}}
}

// keepUS is how long incidents are kept after the start of the latest one.
const keepUS = 48 * 3600 * 1_000_000

func (r *roots) take(i *outcryv1.Incident) {
	if before := r.incidents[i.GetId()]; before != nil && before.GetRevision() > i.GetRevision() {
		return // written again by a new owner that works through the log once more
	}
	i.Evidence, i.Verdicts = nil, nil
	r.incidents[i.GetId()] = i
	r.latestUS = max(r.latestUS, i.GetStartedAtUs())
	if a := r.sent[i.GetId()]; a != nil && says(i, a) {
		delete(r.sent, i.GetId())
	}
}

// differences returns the attributions that incidents do not carry yet.
func (r *roots) differences() (out []*outcryv1.Attribution) {
	var all []*outcryv1.Incident
	for id, i := range r.incidents {
		if i.GetStartedAtUs() < r.latestUS-keepUS {
			delete(r.incidents, id)
			delete(r.sent, id)
			continue
		}
		all = append(all, i)
	}
	for _, a := range root.Attribute(all, r.graph) {
		id := a.GetIncident()
		if before := r.sent[id]; before != nil && proto.Equal(before, a) || before == nil && says(r.incidents[id], a) {
			continue
		}
		r.sent[id] = a
		out = append(out, a)
	}
	return out
}

// says reports whether an incident carries an attribution.
func says(i *outcryv1.Incident, a *outcryv1.Attribution) bool {
	return i.GetRoot() == a.GetRoot() && i.GetRootConfidence() == a.GetConfidence() && slices.Equal(i.GetConsequences(), a.GetConsequences()) &&
		slices.Equal(i.GetRootReasons(), a.GetReasons())
}
