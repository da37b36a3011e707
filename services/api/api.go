package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/api/signin"
)

const (
	questionTimeout = 10 * time.Second // for all that one request asks of ClickHouse
	goodbyeTime     = 5 * time.Second  // for requests under way when the process ends
	warmTime        = 5 * time.Second  // for reading days before anybody may ask
	maxStatements   = 4                // of analysts at once
)

// Deps are what the API answers from.
type Deps struct {
	Store   *store.Store
	Catalog *catalog.Catalog
	// Registry takes the stage's metrics; Gatherer gives those that /metrics shows. A *prometheus.Registry is both.
	Registry prometheus.Registerer
	Gatherer prometheus.Gatherer
	Log      *slog.Logger
	// Say takes a person's word about an incident to its owner; nil where there is no Kafka.
	Say func(context.Context, *outcryv1.Verdict) error
}

// API serves pages and JSON.
type API struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	handler http.Handler

	dataVersion dataVersion
	keys        keyring
	limits      limiter
	signin      *signin.Provider // nil where none is configured
	changes     *changes
	embeds      *shelf
	days        *days
	statements  chan struct{} // those that are being answered
	fontless    sync.Map      // scripts that PNG could not draw, which the log has said

	started chan struct{} // closed once address or fault is known
	address string
	fault   error
}

// New remembers.
func New(cfg Config, deps Deps) *API {
	m := newMetrics(deps.Registry)
	a := &API{cfg: cfg, deps: deps, metrics: m, changes: newChanges(), embeds: newShelf(), days: newDays(deps.Store, cfg.MinutesMB<<20, m.days), statements: make(chan struct{}, maxStatements),
		limits: limiter{perSecond: cfg.RequestsPerSecond, buckets: map[string]*bucket{}}, started: make(chan struct{})}
	if cfg.OIDC.On() {
		a.signin = signin.New(cfg.OIDC)
	}
	deps.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "outcry_api_days_bytes", Help: "Memory that days of minutes take, in bytes."}, a.days.size))
	a.handler = a.routes()
	return a
}

// Addr waits until Run listens and returns where, as host:port.
func (a *API) Addr(ctx context.Context) (string, error) {
	select {
	case <-a.started:
		return a.address, a.fault
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Run serves until ctx ends, and then returns nil once the requests under way have been answered, or were given up after some seconds.
// It is to be called once.
func (a *API) Run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		a.fault = fmt.Errorf("serve pages: %w: choose another address with api.listen (port 0 takes a free one)", err)
		close(a.started)
		return a.fault
	}
	a.address = listener.Addr().String()
	// Whoever asks first finds the last days in memory. Where ClickHouse is slow or away, nobody waits long for that.
	warming, cancelWarming := context.WithTimeout(ctx, warmTime)
	begun := time.Now()
	err = a.days.preload(warming)
	cancelWarming()
	preloaded := err == nil
	a.deps.Log.Debug("read the last days into memory", "bytes", int64(a.days.size()), "took", time.Since(begun), "error", err)
	close(a.started)
	server := &http.Server{
		Handler:           a.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.deps.Log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(func() { close(a.changes.ending) })
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		var closing sync.WaitGroup
		closing.Go(func() { a.days.close(ctx, a.deps.Log, preloaded) })
		a.watch(ctx)
		closing.Wait()
	}()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		// Whoever called ends the watching with its context.
		return fmt.Errorf("serve pages at %s: %w", a.address, err)
	case <-ctx.Done():
	}
	goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTime)
	defer cancel()
	err = server.Shutdown(goodbye)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-watching
	a.days.readers.Wait()
	return errors.Join(err, closed(<-served))
}

// closed drops the error by which a server says that it was told to end.
func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
