package alert

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Keep is how long an alert that has ended is told again after a restart, in case its end did not reach everybody.
const Keep = 5 * 24 * time.Hour

// Tracker knows the alert of each incident. It is not safe for concurrent use.
type Tracker struct {
	w       Writer
	entries map[string]*Entry
}

// Entry is one incident. As JSON it is what a Tracker needs after a restart.
type Entry struct {
	ID       string `json:"id"`
	Service  string `json:"service"`
	Revision int64  `json:"revision"`
	// What is pinned, or only rises.
	Category string `json:"category,omitempty"`
	Country  string `json:"country,omitempty"`
	Source   string `json:"source,omitempty"`
	State    string `json:"state"`
	Severity string `json:"severity"`
	Root     string `json:"root"`
	Test     bool   `json:"test,omitempty"`
	// Current is the alert as it was last told.
	Current Alert `json:"current"`
	// Ended are alerts with earlier labels of the incident.
	Ended []Alert `json:"ended,omitempty"`
	// Doubt is that of Current.
	Doubt bool `json:"doubt,omitempty"`
}

// NewTracker returns a tracker of nothing.
func NewTracker(w Writer) *Tracker { return &Tracker{w: w, entries: map[string]*Entry{}} }

// Restore takes an entry that Record returned, the latest of an incident last.
func (t *Tracker) Restore(record []byte) error {
	e := &Entry{}
	if err := json.Unmarshal(record, e); err != nil {
		return fmt.Errorf("an alert that was kept: %w", err)
	}
	if e.ID == "" || len(e.Current.Labels) == 0 {
		return fmt.Errorf("an alert that was kept has neither incident nor labels")
	}
	t.entries[e.ID] = e
	return nil
}

// Record returns what Restore takes, for one incident that is known.
func (t *Tracker) Record(id string) ([]byte, error) { return json.Marshal(t.entries[id]) }

// Records returns what Restore takes, for all.
func (t *Tracker) Records() ([][]byte, error) {
	var out [][]byte
	for _, id := range slices.Sorted(maps.Keys(t.entries)) {
		b, err := t.Record(id)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// Forget drops what ended more than Keep before now.
func (t *Tracker) Forget(now time.Time) {
	for id, e := range t.entries {
		e.Ended = slices.DeleteFunc(e.Ended, func(a Alert) bool { return now.Sub(a.EndsAt) > Keep })
		if end := e.Current.EndsAt; !end.IsZero() && now.Sub(end) > Keep {
			delete(t.entries, id)
		}
	}
}

// Revision returns the revision of an incident that was last applied; 0 for one that is not known.
func (t *Tracker) Revision(id string) int64 {
	if e := t.entries[id]; e != nil {
		return e.Revision
	}
	return 0
}

// Firing returns the incidents whose alert fires, in the order of their ids.
func (t *Tracker) Firing() []string {
	var out []string
	for id, e := range t.entries {
		if e.Current.EndsAt.IsZero() {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// All returns every alert: those that fire, and those that have ended and may not have been told to everybody. Roots come first.
func (t *Tracker) All() []Alert {
	var out []Alert
	for _, id := range slices.Sorted(maps.Keys(t.entries)) {
		e := t.entries[id]
		current := e.Current
		current.Doubt = e.Doubt
		out = append(append(out, e.Ended...), current)
	}
	slices.SortStableFunc(out, func(a, b Alert) int { return cmp.Compare(a.Labels["alertname"], b.Labels["alertname"]) })
	return out
}

var (
	states     = []string{"suspected", "confirmed"}
	severities = []string{"minor", "major", "critical"}
)

// higher returns the one that comes later in the order.
func higher(order []string, a, b string) string {
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// Apply takes a revision of an incident at a moment of the wall clock, and returns the alerts to tell: those that end come before those that
// fire. It returns none for a revision that is not newer, and for the end of an incident that never fired.
func (t *Tracker) Apply(i *outcryv1.Incident, now time.Time) []Alert {
	open := i.GetState() != outcryv1.Incident_STATE_RESOLVED && i.GetState() != outcryv1.Incident_STATE_DISMISSED
	e := t.entries[i.GetId()]
	if e == nil && !open || e != nil && i.GetRevision() <= e.Revision {
		return nil
	}
	// People hear of an alert by the wall clock: Alertmanager does not wait for others where an alert began long ago.
	now = now.UTC().Truncate(time.Millisecond)
	if e == nil {
		e = t.first(i)
		t.entries[e.ID] = e
	}
	e.Revision = i.GetRevision()
	if open || i.GetState() == outcryv1.Incident_STATE_DISMISSED {
		e.Doubt = false // it fires, or is no news
	}
	if open {
		state := "confirmed"
		if i.GetState() == outcryv1.Incident_STATE_SUSPECTED {
			state = "suspected"
		}
		e.State = higher(states, e.State, state)
		e.Severity = higher(severities, e.Severity, i.GetSeverity().Name())
		e.Root = cmp.Or(i.GetRoot(), e.ID)
	}
	before := e.Current
	next := Alert{Labels: e.labels(), Annotations: t.w.annotations(i), StartsAt: before.StartsAt, GeneratorURL: t.w.generator(i)}
	switch {
	case !open:
		if !before.EndsAt.IsZero() {
			return nil
		}
		next.EndsAt = now
		e.Current = next
		return []Alert{next}
	case before.Labels == nil, !before.EndsAt.IsZero() && maps.Equal(before.Labels, next.Labels):
		next.StartsAt = now // it fires for the first time, or again
		e.Current = next
		return []Alert{next}
	case maps.Equal(before.Labels, next.Labels):
		e.Current = next
		return []Alert{next}
	}
	// Other labels: another alert takes the place of the one before.
	var out []Alert
	if before.EndsAt.IsZero() {
		before.EndsAt = now
		before.Annotations = maps.Clone(before.Annotations)
		before.Annotations[Superseded] = "continues as " + next.Labels["state"] + ", " + next.Labels["severity"]
		if next.Labels["alertname"] == Consequence {
			before.Annotations[Superseded] = "continues as a consequence of " + next.Labels["root"]
		}
		out = append(out, before)
	}
	e.Ended = append(slices.DeleteFunc(e.Ended, func(a Alert) bool { return maps.Equal(a.Labels, next.Labels) }), before)
	e.Ended = e.Ended[max(0, len(e.Ended)-4):]
	next.StartsAt = now
	e.Current = next
	return append(out, next)
}

// Missed is the annotation of an alert whose incident began and ended while nobody was told: when it was over.
const Missed = "missed"

// resolvedAt is the annotation that says when an incident was over.
const resolvedAt = "resolved_at"

// missedFor is how long such an alert fires, so that it is told, and then over: Alertmanager tells nobody of an end who has not heard of the beginning.
const missedFor = 10 * time.Minute

// missedWithin is how long after its end an incident is still news.
const missedWithin = 24 * time.Hour

// Late returns what to tell, from now on, instead of the end of an alert of whose beginning nobody was told. It returns false where its incident has
// not ended by itself, is no news any more, or is the consequence of another, which speaks for it.
func Late(a Alert, now time.Time) (Alert, bool) {
	over, err := time.Parse(time.RFC3339, a.Annotations[resolvedAt])
	if err != nil || a.Annotations["state"] != outcryv1.Incident_STATE_RESOLVED.Name() || a.Labels["alertname"] != Outage || now.Sub(over) > missedWithin {
		return Alert{}, false
	}
	a.StartsAt, a.Annotations = now.UTC().Truncate(time.Millisecond), maps.Clone(a.Annotations)
	a.EndsAt = a.StartsAt.Add(missedFor)
	a.Annotations[Missed] = "over since " + over.UTC().Format("15:04 UTC on 2 January 2006")
	return a, true
}

// Missed takes an incident that began and ended while nobody was there to tell, in the place of what is known of it, and doubts that anybody was
// told. It returns false, and changes nothing, where there is nothing to tell of it any more: see Late.
func (t *Tracker) Missed(i *outcryv1.Incident, now time.Time) bool {
	e := t.first(i)
	e.Revision, e.State, e.Severity, e.Root = i.GetRevision(), "suspected", i.GetSeverity().Name(), cmp.Or(i.GetRoot(), i.GetId())
	if i.GetConfirmedAtUs() != 0 {
		e.State = "confirmed"
	}
	now = now.UTC().Truncate(time.Millisecond)
	e.Current = Alert{Labels: e.labels(), Annotations: t.w.annotations(i), StartsAt: now, EndsAt: now, GeneratorURL: t.w.generator(i)}
	if _, e.Doubt = Late(e.Current, now); !e.Doubt {
		return false
	}
	t.entries[e.ID] = e
	return true
}

// Doubt doubts that anybody was told of the beginning of an alert that has ended. It returns false where it fires, or where there is nothing to tell
// of it any more: see Late.
func (t *Tracker) Doubt(id string, now time.Time) bool {
	e := t.entries[id]
	if e == nil || e.Current.EndsAt.IsZero() {
		return false
	}
	_, e.Doubt = Late(e.Current, now)
	return e.Doubt
}

// End ends the alert of an incident of which nothing is known any more.
func (t *Tracker) End(id string, now time.Time) []Alert {
	e := t.entries[id]
	if e == nil || !e.Current.EndsAt.IsZero() {
		return nil
	}
	e.Current.EndsAt = now.UTC().Truncate(time.Millisecond)
	return []Alert{e.Current}
}

// first pins what does not change.
func (t *Tracker) first(i *outcryv1.Incident) *Entry {
	s := t.w.service(i.GetService())
	e := &Entry{ID: i.GetId(), Service: i.GetService(), Category: s.Category, Country: strings.Join(s.Countries, ","), Test: i.GetTest()}
	var sources []string
	for _, c := range i.GetSources() {
		sources = append(sources, c.GetName())
	}
	slices.Sort(sources)
	e.Source = strings.Join(sources, ",")
	return e
}

// labels says which alert it is. Values that are empty are left out, as Alertmanager does.
func (e *Entry) labels() map[string]string {
	l := map[string]string{"alertname": Outage, "service": e.Service, "incident": e.ID, "severity": e.Severity, "state": e.State, "root": e.Root,
		"category": e.Category, "country": e.Country, "source": e.Source}
	if e.Root != e.ID {
		l["alertname"] = Consequence
	}
	if e.Test {
		l["test"] = "true"
	}
	maps.DeleteFunc(l, func(_, v string) bool { return v == "" })
	return l
}
