package aggregator

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// judge takes a person's verdict.
func (o *owner) judge(ctx context.Context, v *outcryv1.Verdict) error {
	return o.reword(ctx, v.GetIncident(), v, "verdict",
		func(s *service, at time.Time) *outcryv1.Incident { return s.incident.Judge(v, at) },
		func(i *outcryv1.Incident, at time.Time) bool { return incident.Judge(i, v, at) })
}

// attribute takes what the reader of incidents.v1 found to have caused what.
func (o *owner) attribute(ctx context.Context, a *outcryv1.Attribution) error {
	return o.reword(ctx, a.GetIncident(), nil, "attribution",
		func(s *service, at time.Time) *outcryv1.Incident { return s.incident.Attribute(a, at) },
		func(i *outcryv1.Incident, at time.Time) bool { return incident.Attribute(i, a, at) })
}

// reword changes an incident that a machine holds with held, and one that was closed long ago, which is in the tables alone, with closed.
func (o *owner) reword(ctx context.Context, id string, by *outcryv1.Verdict, what string,
	held func(*service, time.Time) *outcryv1.Incident, closed func(*outcryv1.Incident, time.Time) bool) error {
	metrics := o.stage.metrics.words
	name, err := verdict.ServiceOf(id)
	if err != nil {
		return err // decode has refused it
	}
	if s := o.state.services[name]; s != nil && s.incident.Holds(id) {
		i := held(s, o.state.now())
		if i == nil {
			metrics.WithLabelValues(what, "known").Inc()
			return nil
		}
		s.dirty = true
		metrics.WithLabelValues(what, "taken").Inc()
		o.incidentChanged(i, by)
		return nil
	}
	for n := range o.incidents { // its last change may not be in the tables yet
		if o.incidents[n].GetId() == id {
			if err := o.flush(ctx); err != nil {
				return err
			}
			break
		}
	}
	i, err := o.stage.deps.Store.LatestIncident(ctx, id)
	if err != nil {
		return err
	}
	if i == nil {
		metrics.WithLabelValues(what, "unknown").Inc()
		o.stage.deps.Log.Warn("a "+what+" is about an incident that nobody knows", "incident", id)
		return nil
	}
	if !closed(i, o.state.now()) {
		// A predecessor may have written it to the tables and died before it was on incidents.v1: the same revision goes there again, and not
		// to the tables, where its latest change may be another's.
		metrics.WithLabelValues(what, "known").Inc()
		o.known, o.changed = append(o.known, i), true
		return nil
	}
	metrics.WithLabelValues(what, "taken").Inc()
	o.incidentChanged(i, by)
	return nil
}

// admission is an operator's word, and when it was decided upon.
type admission struct {
	word *outcryv1.Mention
	at   time.Time
}

// acknowledge writes operators' words into the incidents of which they were said, where those were resolved so long before the word was read that no
// machine holds them. Nothing is flushed on the way: the offset is passed already.
func (o *owner) acknowledge(ctx context.Context) error {
	for _, a := range o.admitted {
		i, err := o.resolvedAt(ctx, a)
		switch {
		case err != nil:
			return err
		case i == nil:
		case incident.Acknowledge(i, a.word, a.at):
			o.stage.metrics.words.WithLabelValues("acknowledgement", "taken").Inc()
			o.incidentChanged(i, nil)
		case i.GetOfficialAtUs() == a.word.GetTimeUs(): // as reword has it: it may be missing on incidents.v1
			o.stage.metrics.words.WithLabelValues("acknowledgement", "known").Inc()
			o.known, o.changed = append(o.known, i), true
		}
	}
	o.admitted = o.admitted[:0]
	return nil
}

// resolvedAt returns the latest state of the incident to which a word belongs, as what waits for the flush or the tables have it, or nil: of several the
// one that began last.
func (o *owner) resolvedAt(ctx context.Context, a admission) (found *outcryv1.Incident, err error) {
	resolvedFrom, begunUntil := incident.Spans(time.UnixMicro(a.word.GetTimeUs()))
	waiting := map[string]*outcryv1.Incident{}
	for _, i := range o.incidents {
		if i.GetService() == a.word.GetService() {
			waiting[i.GetId()] = i.Incident
		}
	}
	all, err := o.stage.deps.Store.ResolvedIncidents(ctx, a.word.GetService(), resolvedFrom, begunUntil)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i *outcryv1.Incident) bool { return waiting[i.GetId()] != nil })
	for _, i := range waiting {
		all = append(all, proto.CloneOf(i))
	}
	for _, i := range all {
		fits := i.GetState() == outcryv1.Incident_STATE_RESOLVED && i.GetResolvedAtUs() <= a.at.UnixMicro() &&
			i.GetResolvedAtUs() >= resolvedFrom.UnixMicro() && i.GetStartedAtUs() <= begunUntil.UnixMicro()
		if fits && (found == nil || i.GetStartedAtUs() > found.GetStartedAtUs()) {
			found = i
		}
	}
	return found, nil
}
