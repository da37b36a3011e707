package alerter

import "github.com/prometheus/client_golang/prometheus"

// What became of a change of an incident.
const (
	outcomeDelivered  = "delivered"
	outcomeDuplicate  = "duplicate"  // delivered before
	outcomeUnreadable = "unreadable" // to dead.v1
	outcomeRefused    = "refused"    // the webhook will not take it
	outcomeGivenUp    = "given_up"   // the webhook failed for too long
)

type metrics struct {
	changes  *prometheus.CounterVec
	attempts *prometheus.CounterVec
	seconds  prometheus.Histogram
	pending  prometheus.Gauge
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
	}
	r.MustRegister(m.changes, m.attempts, m.seconds, m.pending)
	return m
}
