package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"outcry.dev/pkg/store"
)

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// countInsertErrors tells how often ClickHouse did not take rows.
func countInsertErrors(r prometheus.Registerer, s *store.Store) {
	if s == nil {
		return
	}
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "outcry_store_insert_errors_total",
		Help: "Inserts into ClickHouse that failed; one that is tried again counts each time."},
		func() float64 { return float64(s.InsertErrors()) }))
}

// serveMetrics serves /metrics until ctx ends; with no address it only waits.
func serveMetrics(ctx context.Context, listen string, r *prometheus.Registry) error {
	if listen == "" {
		<-ctx.Done()
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
