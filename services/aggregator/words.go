package aggregator

import (
	"context"
	"time"

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
