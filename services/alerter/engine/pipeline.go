package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"outcry.dev/services/alerter/alert"
)

// atOnce is how many requests to one integration are under way at the same time: thousands would need as many sockets, and make it fail.
const atOnce = 100

// observed tells Deps.Sent of each attempt, and bounds how many there are at once.
func (e *Engine) observed(receiver string, i *notify.Integration) notify.Integration {
	o := observer{integration: i, receiver: receiver, sent: e.deps.Sent, slots: make(chan struct{}, atOnce)}
	return notify.NewIntegration(o, i, i.Name(), i.Index(), receiver)
}

type observer struct {
	integration *notify.Integration
	receiver    string
	sent        func(Attempt) // nil where nobody asks
	slots       chan struct{}
}

// Notify implements notify.Notifier.
func (o observer) Notify(ctx context.Context, alerts ...*amalert.Alert) (bool, error) {
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
	a := Attempt{Receiver: o.receiver, Integration: o.integration.String(), At: time.Now()}
	for _, al := range alerts {
		labels := make(map[string]string, len(al.Labels))
		for k, v := range al.Labels {
			labels[string(k)] = string(v)
		}
		a.Alerts = append(a.Alerts, Told{labels, !al.Resolved()})
	}
	retry, err := o.integration.Notify(ctx, alerts...)
	a.Took, a.Err, a.Retry = time.Since(a.At), err, retry
	if took, ok := ctx.Value(takenKey{}).(*taken); ok && err == nil {
		took.add(a.Alerts)
	}
	if o.sent != nil {
		o.sent(a)
	}
	return retry, err
}

// taken are the labels of the alerts that receivers have taken during a flush of a group.
type taken struct {
	mu     sync.Mutex
	labels []map[string]string
}

type takenKey struct{}

func (t *taken) add(alerts []Told) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range alerts {
		t.labels = append(t.labels, a.Labels)
	}
}

// flights counts the notifications that are under way.
type flights struct {
	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

func (f *flights) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.group.Add(1)
	return true
}

// wait returns when none is under way; none begins any more.
func (f *flights) wait() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.group.Wait()
}

// finishing lets a notification that is under way come through at the end: one that is cut off may have been received.
func (e *Engine) finishing(s notify.Stage) notify.Stage {
	return notify.StageFunc(func(ctx context.Context, log *slog.Logger, alerts ...*amalert.Alert) (context.Context, []*amalert.Alert, error) {
		if !e.flights.enter() {
			return ctx, nil, context.Canceled
		}
		defer e.flights.group.Done()
		alerts, err := e.latest(ctx, alerts)
		if err != nil {
			return ctx, nil, err
		}
		took := &taken{}
		defer e.remember(took)
		lasting, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), takenKey{}, took))
		defer cancel()
		stop := context.AfterFunc(ctx, func() {
			wait := time.Duration(0)
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				wait = finishTime
			}
			select {
			case <-lasting.Done():
			case <-time.After(wait):
				cancel()
			}
		})
		defer stop()
		return s.Exec(lasting, log, alerts...)
	})
}

// remember keeps of which alerts somebody was told, once that is in the notification log.
func (e *Engine) remember(took *taken) {
	if e.deps.Memory == nil || len(took.labels) == 0 {
		return
	}
	if err := e.deps.Memory.Add(took.labels...); err != nil {
		e.deps.Log.Error("cannot keep of what somebody was told: after a restart it may be told again", "error", err)
	}
}

// latest returns what is known now of the alerts of a group. The dispatcher takes alerts in by several workers, so that of two that follow each
// other closely the older one may come in last, and would stay: the group is told the newer one again. And of an alert that takes the place of
// another either may come in first: a group that is told in between would hear that an incident is over which has become worse.
func (e *Engine) latest(ctx context.Context, alerts []*amalert.Alert) ([]*amalert.Alert, error) {
	out := slices.Clone(alerts)
	e.putting.Lock()
	defer e.putting.Unlock()
	for n, a := range alerts {
		known, err := e.alerts.Get(a.Fingerprint())
		if err != nil || !known.UpdatedAt.After(a.UpdatedAt) {
			continue // it ended long ago and is forgotten, or it is the latest
		}
		if err := e.alerts.Put(ctx, known); err != nil {
			return nil, fmt.Errorf("put an alert again: %w", err)
		}
		out[n] = asDispatched(known)
	}
	for _, a := range slices.Clone(out) {
		if next := e.successor(ctx, a, out); next != nil {
			out = append(out, next)
		}
	}
	sort.Stable(amalert.AlertSlice(out))
	return out, nil
}

// asDispatched returns an alert as the dispatcher hands it to a group: it does not end while the group is told.
func asDispatched(a *amalert.Alert) *amalert.Alert {
	out := *a
	if !out.Resolved() {
		out.EndsAt = time.Time{}
	}
	return &out
}

// successor returns the alert that has taken the place of another in its group, where the group does not hold it yet. The two are put together.
func (e *Engine) successor(ctx context.Context, a *amalert.Alert, group []*amalert.Alert) *amalert.Alert {
	if a.Annotations[alert.Superseded] == "" {
		return nil
	}
	id, ok := e.successors.of(a.Labels["incident"])
	if !ok || slices.ContainsFunc(group, func(g *amalert.Alert) bool { return g.Fingerprint() == id }) {
		return nil
	}
	next, err := e.alerts.Get(id)
	if err != nil {
		return nil // it ended long ago and is forgotten
	}
	key, _ := notify.GroupKey(ctx)
	if !slices.ContainsFunc(e.root.Match(next.Labels), func(r *dispatch.Route) bool { return groupKey(r, next) == key }) {
		return nil // others are told
	}
	return asDispatched(next)
}

// successors holds the alert that an incident has now. Safe for concurrent use.
type successors struct {
	mu  sync.Mutex
	now map[model.LabelValue]model.Fingerprint
}

func (s *successors) note(alerts []*amalert.Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = map[model.LabelValue]model.Fingerprint{}
	}
	for _, a := range alerts {
		if a.Annotations[alert.Superseded] == "" {
			s.now[a.Labels["incident"]] = a.Fingerprint()
		}
	}
}

func (s *successors) of(incident model.LabelValue) (model.Fingerprint, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.now[incident]
	return f, ok
}

// forget drops those that are not known any more.
func (s *successors) forget(known func(model.Fingerprint) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.now, func(_ model.LabelValue, f model.Fingerprint) bool { return !known(f) })
}

// leased is a registry whose collectors can be given back, so that an Engine can be started again. What is registered before publish is collected
// from then on only: Alertmanager registers some of its metrics before what they read is there.
type leased struct {
	prometheus.Registerer
	mu        sync.Mutex
	published bool
	given     []prometheus.Collector
}

// Register implements prometheus.Registerer.
func (l *leased) Register(c prometheus.Collector) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.published {
		if err := l.Registerer.Register(c); err != nil {
			return err
		}
	}
	l.given = append(l.given, c)
	return nil
}

func (l *leased) publish() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published = true
	for i, c := range l.given {
		if err := l.Registerer.Register(c); err != nil {
			l.given = l.given[:i]
			return fmt.Errorf("metrics of alerts: %w", err)
		}
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (l *leased) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := l.Register(c); err != nil {
			panic(err)
		}
	}
}

func (l *leased) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.published {
		for _, c := range l.given {
			l.Unregister(c)
		}
	}
	l.given, l.published = nil, false
}
