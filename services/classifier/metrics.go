package classifier

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	posts      prometheus.Counter
	mentions   *prometheus.CounterVec
	unreadable prometheus.Counter
	lag        *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		posts: prometheus.NewCounter(prometheus.CounterOpts{Name: "outcry_classifier_posts_total",
			Help: "Posts read from posts.v1."}),
		mentions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "outcry_classifier_mentions_total",
			Help: "Mentions written to mentions.v1, by label."}, []string{"label"}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{Name: "outcry_classifier_unreadable_total",
			Help: "Records of posts.v1 that went to dead.v1."}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "outcry_classifier_lag_records",
			Help: "Records of posts.v1 not yet read, by partition."}, []string{"partition"}),
	}
	r.MustRegister(m.posts, m.mentions, m.unreadable, m.lag)
	return m
}
