package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds *prometheus.HistogramVec
	days    *prometheus.CounterVec
}

// Where a day of minutes came from.
const (
	fromMemory = "memory"
	fromClosed = "closed"
	fromOpen   = "open"
)

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "outcry_api_request_seconds", Help: "Time to answer requests, by route and status.",
		Buckets: []float64{.003, .01, .03, .1, .3, 1, 3, 10},
	}, []string{"route", "status"})}
	m.days = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "outcry_api_days_total",
		Help: "Days of minutes that answers needed: found in memory, read as they were worked out (closed), or worked out from the tables (open)."}, []string{"from"})
	for _, from := range []string{fromMemory, fromClosed, fromOpen} {
		m.days.WithLabelValues(from)
	}
	r.MustRegister(m.seconds, m.days)
	return m
}

// observe measures the requests of a handler. Routes are patterns, never paths, so that their number is bounded.
func (m *metrics) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		_, route, _ := strings.Cut(r.Pattern, " ")
		m.seconds.WithLabelValues(route, strconv.Itoa(recorder.status)).Observe(time.Since(start).Seconds())
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
