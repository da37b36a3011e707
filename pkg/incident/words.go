package incident

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// maxVerdicts is how many verdicts an incident shows: the last ones.
const maxVerdicts = 20

// Judge writes a person's verdict into an incident, at an event time, and reports whether it was new. A dismissal ends the incident; a
// confirmation confirms one that is suspected, and takes a dismissal back: what was dismissed is then resolved, as far as this function
// knows. An acknowledgement and a note change no state.
func Judge(i *outcryv1.Incident, v *outcryv1.Verdict, at time.Time) bool {
	if slices.ContainsFunc(i.Verdicts, func(before *outcryv1.Verdict) bool { return before.GetId() == v.GetId() }) {
		return false
	}
	i.Verdicts = append(i.Verdicts, v)
	if n := len(i.Verdicts); n > maxVerdicts {
		i.Verdicts = slices.Delete(i.Verdicts, 0, n-maxVerdicts)
	}
	now := max(at.UnixMicro(), i.DecidedAtUs)
	switch v.GetKind() {
	case outcryv1.Verdict_KIND_DISMISS:
		i.State = dismissed
	case outcryv1.Verdict_KIND_CONFIRM:
		switch i.State {
		case suspected:
			i.State = confirmed
		case dismissed:
			i.State = resolved
			if i.ResolvedAtUs == 0 {
				i.ResolvedAtUs = now
			}
		}
		if i.ConfirmedAtUs == 0 && (i.State == confirmed || i.State == recovering) {
			i.ConfirmedAtUs = now
		}
	}
	i.DecidedAtUs = now
	i.Revision++
	return true
}

// Attribute writes into an incident what caused it or what it carried along, at an event time, and reports whether that was new.
func Attribute(i *outcryv1.Incident, a *outcryv1.Attribution, at time.Time) bool {
	if i.Root == a.GetRoot() && i.RootConfidence == a.GetConfidence() && slices.Equal(i.Consequences, a.GetConsequences()) &&
		slices.Equal(i.RootReasons, a.GetReasons()) {
		return false
	}
	i.Root, i.Consequences = a.GetRoot(), a.GetConsequences()
	i.RootConfidence, i.RootReasons = a.GetConfidence(), a.GetReasons()
	i.DecidedAtUs = max(i.DecidedAtUs, at.UnixMicro())
	i.Revision++
	return true
}

// Acknowledge writes into an incident that is resolved what was said of it officially and is read only now, at an event time, and reports whether that
// was new: the earliest word counts, by the time at which it was said, from half an hour before the start to half an hour after the resolution. The incident stays
// resolved.
func Acknowledge(i *outcryv1.Incident, x *outcryv1.Mention, at time.Time) bool {
	if i.State != resolved || i.ResolvedAtUs > at.UnixMicro() || !firstWord(i, x) {
		return false
	}
	i.DecidedAtUs = max(i.DecidedAtUs, at.UnixMicro())
	i.Revision++
	return true
}

// Spans returns between which times an incident must have begun and must not have been resolved for a word, said at a time, to belong to it.
func Spans(said time.Time) (resolvedFrom, begunUntil time.Time) {
	return time.UnixMicro(said.UnixMicro() - afterEnd), time.UnixMicro(said.UnixMicro() + beforeStart)
}

// Spans reports whether a word belongs, by the time at which it was said, to the incident that the machine holds.
func (m *Machine) Spans(x *outcryv1.Mention) bool {
	return m.incident != nil && spansWord(m.incident, x)
}

// Holds reports whether the machine has an incident: then Judge and Attribute of the machine must be asked, not those of the package.
func (m *Machine) Holds(id string) bool { return m.incident != nil && m.incident.Id == id }

// Judge takes a person's verdict on the incident that the machine holds, and returns a copy of the incident if it was new, else nil.
// A dismissal keeps the machine quiet until it has been calm, and lets the baseline learn again; a confirmation that comes soon enough
// opens what was dismissed again.
func (m *Machine) Judge(v *outcryv1.Verdict, at time.Time) *outcryv1.Incident {
	if !m.Holds(v.GetIncident()) {
		return nil
	}
	m.at = max(m.at, at.UnixMicro())
	before, ended := m.incident.State, m.incident.ResolvedAtUs
	if !Judge(m.incident, v, at) {
		return nil
	}
	switch {
	case before != dismissed && m.incident.State == dismissed:
		m.ended, m.muted = m.at, true
	case before == dismissed && m.incident.State == resolved && ended == 0:
		m.incident.State, m.incident.ResolvedAtUs = confirmed, 0
		if m.incident.ConfirmedAtUs == 0 {
			m.incident.ConfirmedAtUs = m.incident.DecidedAtUs
		}
		m.muted = false
	}
	return proto.CloneOf(m.incident)
}

// Attribute takes an attribution of the incident that the machine holds, and returns a copy of the incident if it was new, else nil.
func (m *Machine) Attribute(a *outcryv1.Attribution, at time.Time) *outcryv1.Incident {
	if !m.Holds(a.GetIncident()) || !Attribute(m.incident, a, at) {
		return nil
	}
	return proto.CloneOf(m.incident)
}
