package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/client_golang/prometheus"
)

// observed tells Deps.Sent of each attempt.
func (e *Engine) observed(receiver string, i *notify.Integration) notify.Integration {
	if e.deps.Sent == nil {
		return *i
	}
	return notify.NewIntegration(observer{integration: i, receiver: receiver, sent: e.deps.Sent}, i, i.Name(), i.Index(), receiver)
}

type observer struct {
	integration *notify.Integration
	receiver    string
	sent        func(Attempt)
}

// Notify implements notify.Notifier.
func (o observer) Notify(ctx context.Context, alerts ...*amalert.Alert) (bool, error) {
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
	o.sent(a)
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

// leased is a registry whose collectors can be given back, so that an Engine can be started again.
type leased struct {
	prometheus.Registerer
	mu    sync.Mutex
	given []prometheus.Collector
}

// Register implements prometheus.Registerer.
func (l *leased) Register(c prometheus.Collector) error {
	if err := l.Registerer.Register(c); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given = append(l.given, c)
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
	for _, c := range l.given {
		l.Unregister(c)
	}
	l.given = nil
}
