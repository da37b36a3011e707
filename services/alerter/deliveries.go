package alerter

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"outcry.dev/pkg/store"
	"outcry.dev/services/alerter/engine"
)

// Channels of deliveries.
const (
	channelWebhook = "webhook"
	channelPage    = "page"
)

const (
	logQueue      = 20_000      // deliveries that wait to be written
	logEvery      = time.Second // between two inserts
	logFinishTime = 5 * time.Second
	errorBytes    = 500
)

// deliveries writes the delivery log, beside whoever delivers: a ClickHouse that is away holds no alert back.
type deliveries struct {
	store   *store.Store
	metrics *metrics
	log     *slog.Logger
	queue   chan store.Delivery
}

func newDeliveries(s *store.Store, m *metrics, log *slog.Logger) *deliveries {
	return &deliveries{store: s, metrics: m, log: log, queue: make(chan store.Delivery, logQueue)}
}

func (d *deliveries) add(row store.Delivery) {
	if d.store == nil {
		return
	}
	row.Error = strings.ToValidUTF8(row.Error[:min(len(row.Error), errorBytes)], "")
	select {
	case d.queue <- row:
	default:
		d.metrics.unlogged.Inc()
	}
}

// start writes until the function that it returns is called, which waits for what is left.
func (d *deliveries) start(ctx context.Context) (end func()) {
	if d.store == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		t := time.NewTicker(logEvery)
		defer t.Stop()
		for last := false; !last; {
			select {
			case <-t.C:
			case <-stop:
				last = true
			}
			d.flush(ctx)
		}
	})
	return func() {
		close(stop)
		timer := time.AfterFunc(logFinishTime, cancel)
		defer timer.Stop()
		done.Wait()
		cancel()
	}
}

func (d *deliveries) flush(ctx context.Context) {
	var rows []store.Delivery
	for n := len(d.queue); n > 0; n-- {
		rows = append(rows, <-d.queue)
	}
	if err := d.store.InsertDeliveries(ctx, rows); err != nil {
		d.metrics.unlogged.Add(float64(len(rows)))
		d.log.Warn("cannot write the delivery log", "deliveries", len(rows), "error", err)
	}
}

// notified puts an attempt of the engine in the delivery log, a row for each incident.
func (a *Alerter) notified(at engine.Attempt) {
	result := "ok"
	switch {
	case at.Err != nil && at.Retry:
		result = "retry"
	case at.Err != nil:
		result = "refused" // until the group's next interval
	}
	a.metrics.notified.WithLabelValues(result).Inc()
	rows := map[string]store.Delivery{}
	for _, t := range at.Alerts {
		id := t.Labels["incident"] // which has several alerts where its severity has risen
		rows[id] = store.Delivery{Time: at.At, Incident: id, Service: t.Labels["service"], Channel: channelPage, Receiver: at.Receiver,
			Integration: at.Integration, Firing: t.Firing || rows[id].Firing, Result: result, Took: at.Took, Test: t.Labels["test"] == "true"}
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		row := rows[id]
		if at.Err != nil {
			row.Error = at.Err.Error()
		}
		a.deliveries.add(row)
	}
}
