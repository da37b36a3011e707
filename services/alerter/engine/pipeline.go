package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
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
		a.Alerts = append(a.Alerts, labels)
		a.Firing = a.Firing || !al.Resolved()
	}
	retry, err := o.integration.Notify(ctx, alerts...)
	a.Took, a.Err, a.Retry = time.Since(a.At), err, retry
	if o.sent != nil {
		o.sent(a)
	}
	return retry, err
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
		if !settled(alerts, time.Now()) {
			return ctx, nil, errUnsettled
		}
		lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
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

// latest returns what is known now of the alerts of a group. The dispatcher takes alerts in by several workers, so that of two that follow each
// other closely the older one may come in last, and would stay: the group is told the newer one again.
func (e *Engine) latest(ctx context.Context, alerts []*amalert.Alert) ([]*amalert.Alert, error) {
	out := slices.Clone(alerts)
	for n, a := range alerts {
		known, err := e.alerts.Get(a.Fingerprint())
		if err != nil || !known.UpdatedAt.After(a.UpdatedAt) {
			continue // it ended long ago and is forgotten, or it is the latest
		}
		if err := e.alerts.Put(ctx, known); err != nil {
			return nil, fmt.Errorf("put an alert again: %w", err)
		}
		newer := *known
		if !newer.Resolved() {
			newer.EndsAt = time.Time{} // as the dispatcher does
		}
		out[n] = &newer
	}
	return out, nil
}

// errUnsettled makes a group wait for its next interval.
var errUnsettled = errors.New("an alert is just taking the place of another: the group waits for its next interval")

// settleTime is within which the dispatcher has taken in alerts that were put together, also where thousands are and the machine is busy.
const settleTime = 10 * time.Second

// settled says whether a group holds both halves of each change of labels. They are put together, but the dispatcher takes them in by several
// workers: a group that is flushed in between would say that an incident is over which has become worse, or tell it twice.
func settled(alerts []*amalert.Alert, now time.Time) bool {
	firing := map[model.LabelValue]int{}
	for _, a := range alerts {
		if incident := a.Labels["incident"]; incident != "" && !a.ResolvedAt(now) {
			if firing[incident]++; firing[incident] > 1 {
				return false
			}
		}
	}
	for _, a := range alerts {
		if a.Annotations[alert.Superseded] != "" && a.ResolvedAt(now) && now.Sub(a.EndsAt) < settleTime && firing[a.Labels["incident"]] == 0 {
			return false // what takes its place has not come in yet, or goes to another group, which does not matter then
		}
	}
	return true
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
