package ingest

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	events *prometheus.CounterVec
	behind prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "outcry_ingest_events_total",
			Help: "Events taken from sources, by kind: upsert, delete, unreadable."}, []string{"kind"}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{Name: "outcry_ingest_event_time_seconds",
			Help: "Event time of the newest post, in seconds since 1970."}),
	}
	r.MustRegister(m.events, m.behind)
	return m
}
