package alerter

import "github.com/prometheus/client_golang/prometheus"

// What became of a change of an incident.
const (
	outcomeDelivered  = "delivered"
	outcomeDuplicate  = "duplicate"  // delivered before
	outcomeUnreadable = "unreadable" // to dead.v1
	outcomeRefused    = "refused"    // the webhook will not take it
	outcomeDisabled   = "disabled"   // the webhook has gone (410)
	outcomeGivenUp    = "given_up"   // the webhook failed for too long
)

type metrics struct {
	changes    *prometheus.CounterVec
	attempts   *prometheus.CounterVec
	seconds    prometheus.Histogram
	pending    prometheus.Gauge
	firing     prometheus.Gauge
	posts      *prometheus.CounterVec
	reconciled prometheus.Counter
	notified   *prometheus.CounterVec
	unlogged   prometheus.Counter
	reloads    *prometheus.CounterVec
	lag        prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outcry_alerter_changes_total", Help: "Changes of incidents by what became of them.",
		}, []string{"outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outcry_alerter_webhook_requests_total", Help: "Requests to the webhook by result: ok, retry or final.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "outcry_alerter_webhook_request_seconds", Help: "Time until the webhook answered.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30},
		}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outcry_alerter_webhook_pending", Help: "Changes that wait for the webhook.",
		}),
		firing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outcry_alerter_alerts_firing", Help: "Incidents whose alert fires.",
		}),
		posts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outcry_alerter_alertmanager_requests_total", Help: "Requests to the members of alerter.alertmanagers by result: ok or failed.",
		}, []string{"result"}),
		reconciled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "outcry_alerter_reconciled_total", Help: "Revisions of incidents that came from ClickHouse before they came from incidents.v1.",
		}),
		notified: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outcry_alerter_notifications_total", Help: "Requests of Alertmanager's engine to receivers by result: ok, retry (at once) or refused (tried again at the group's next interval).",
		}, []string{"result"}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outcry_alerter_lag_records", Help: "Records of incidents.v1 that have not been taken on.",
		}),
		unlogged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "outcry_alerter_deliveries_unlogged_total", Help: "Deliveries that did not get into the delivery log in ClickHouse.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outcry_alerter_config_reloads_total", Help: "Changes of alerter.alertmanager_config by result: ok, or refused, after which the one before stays in force.",
		}, []string{"result"}),
	}
	r.MustRegister(m.reloads, m.changes, m.attempts, m.seconds, m.pending, m.firing, m.posts, m.reconciled, m.notified, m.unlogged, m.lag)
	// From 0 on, so that the first one of a kind is an increase.
	for _, o := range []string{outcomeDelivered, outcomeDuplicate, outcomeUnreadable, outcomeRefused, outcomeDisabled, outcomeGivenUp} {
		m.changes.WithLabelValues(o)
	}
	for vec, results := range map[*prometheus.CounterVec][]string{
		m.attempts: {"ok", "retry", "final"}, m.posts: {"ok", "failed"}, m.notified: {"ok", "retry", "refused"},
		m.reloads: {"ok", "refused"},
	} {
		for _, r := range results {
			vec.WithLabelValues(r)
		}
	}
	return m
}
