package ingest

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	upserts, deletes, unreadable prometheus.Counter
	behind                       prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "outcry_ingest_events_total",
		Help: "Events taken from sources, by kind: upsert, delete, unreadable."}, []string{"kind"})
	m := &metrics{
		upserts: events.WithLabelValues("upsert"), deletes: events.WithLabelValues("delete"), unreadable: events.WithLabelValues("unreadable"),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{Name: "outcry_ingest_event_time_seconds",
			Help: "Event time of the newest post, in seconds since 1970."}),
	}
	r.MustRegister(events, m.behind)
	return m
}
