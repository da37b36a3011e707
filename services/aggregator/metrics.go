package aggregator

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	mentions   *prometheus.CounterVec
	unreadable prometheus.Counter
	incidents  *prometheus.CounterVec
	words      *prometheus.CounterVec
	flushes    prometheus.Counter
	silent     *prometheus.GaugeVec
	lag        *prometheus.GaugeVec
	clock      *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		mentions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "outcry_aggregator_mentions_total",
			Help: "Mentions read, by fate: counted, late, duplicate, edited."}, []string{"fate"}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{Name: "outcry_aggregator_unreadable_total",
			Help: "Records of mentions.v1 that went to dead.v1."}),
		incidents: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "outcry_aggregator_incident_changes_total",
			Help: "Changes of incidents, by the state after them."}, []string{"state"}),
		words: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "outcry_aggregator_words_total",
			Help: "Verdicts of people, attributions to roots, and operators' words on what was closed long ago, by fate: taken, known, unknown."}, []string{"kind", "fate"}),
		flushes: prometheus.NewCounter(prometheus.CounterOpts{Name: "outcry_aggregator_flushes_total",
			Help: "Flushes to ClickHouse."}),
		silent: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "outcry_aggregator_source_silent",
			Help: "1 while a source that was heard delivers nothing, 0 once it is heard again."}, []string{"source"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "outcry_aggregator_lag_records",
			Help: "Records of mentions.v1 not yet read, by partition."}, []string{"partition"}),
		clock: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "outcry_aggregator_clock_seconds",
			Help: "Event time up to which decisions have been made, in seconds since 1970, by partition."}, []string{"partition"}),
	}
	r.MustRegister(m.mentions, m.unreadable, m.incidents, m.words, m.flushes, m.silent, m.lag, m.clock)
	return m
}
