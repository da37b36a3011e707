package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/services/ingest/source"
)

type metrics struct {
	behind prometheus.Gauge
}

func newMetrics(r prometheus.Registerer, sources []*listener) *metrics {
	m := &metrics{
		behind: prometheus.NewGauge(prometheus.GaugeOpts{Name: "outcry_ingest_event_time_seconds",
			Help: "Event time of the newest post, in seconds since 1970."}),
	}
	r.MustRegister(m.behind, &sourceMetrics{sources: sources})
	return m
}

// sourceMetrics tells what the sources' states say when it is asked.
type sourceMetrics struct{ sources []*listener }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("outcry_ingest_"+name, help, append([]string{"source"}, labels...), nil)
}

var (
	descEvents     = describe("events_total", "Events taken from a source, by kind: upsert, delete, unreadable.", "kind")
	descUp         = describe("source_up", "1 where this process is connected to the source.")
	descLast       = describe("source_last_event_seconds", "When the last event came, in seconds since 1970; 0 for never.")
	descLag        = describe("source_lag_seconds", "How much later than its own time the latest event came; 0 where none has.")
	descReconnects = describe("source_reconnects_total", "Connections made again.")
	descGaps       = describe("source_gaps_total", "Stretches that were missed and cannot be had any more.")
)

func (m *sourceMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descEvents, descUp, descLast, descLag, descReconnects, descGaps} {
		c <- d
	}
}

func (m *sourceMetrics) Collect(c chan<- prometheus.Metric) {
	now := time.Now()
	for _, l := range m.sources {
		name, n := l.source.Name(), l.status.Snapshot(now)
		counter := func(d *prometheus.Desc, v int64, labels ...string) {
			c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), append([]string{name}, labels...)...)
		}
		gauge := func(d *prometheus.Desc, v float64) {
			c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
		}
		counter(descEvents, n.Posts, "upsert")
		counter(descEvents, n.Deletes, "delete")
		counter(descEvents, n.Unreadable, "unreadable")
		counter(descReconnects, n.Reconnects)
		counter(descGaps, n.Gaps)
		up := 0.0
		if n.State == source.Live {
			up = 1
		}
		gauge(descUp, up)
		gauge(descLast, float64(micros(n.LastEvent))/1e6)
		gauge(descLag, n.Lag().Seconds())
	}
}
