package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"outcry.dev/pkg/store"
)

// Handler answers all requests.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, a.metrics.observe(a.answer(f, a.writeErrorPage)))
	}
	data := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, a.metrics.observe(a.answer(f, writeProblem)))
	}
	page("GET /{$}", a.home)
	page("GET /services/{id}", a.servicePage)
	page("GET /services/{id}/chart.svg", a.chartImage)
	page("GET /incidents/{id}", a.incidentPage)
	page("GET /assets/{name}", a.asset)

	data("GET /v1/services", a.services)
	data("GET /v1/services/{id}", a.service)
	data("GET /v1/services/{id}/series", a.series)
	data("GET /v1/incidents", a.incidents)
	data("GET /v1/incidents/{id}", a.incident)
	data("/v1/", a.nothing)

	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	data("GET /readyz", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.deps.Gatherer, promhttp.HandlerOpts{}))
	page("/", a.nothing)
	return a.guard(mux)
}

// guard sets what holds for every answer.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		ctx, cancel := context.WithTimeout(r.Context(), questionTimeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// answer turns what went wrong into an answer. Handlers write only once nothing can go wrong any more.
func (a *API) answer(f func(http.ResponseWriter, *http.Request) error, write func(http.ResponseWriter, *problem)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if fault := recover(); fault != nil {
				a.deps.Log.Error("request panicked", "route", r.Pattern, "panic", fault, "stack", string(debug.Stack()))
				write(w, internal())
			}
		}()
		err := f(w, r)
		if err == nil || errors.Is(r.Context().Err(), context.Canceled) {
			return
		}
		var p *problem
		switch {
		case errors.As(err, &p):
		case errors.Is(err, store.ErrUnavailable), r.Context().Err() != nil:
			a.deps.Log.Warn("cannot answer", "route", r.Pattern, "error", err)
			p = &problem{Status: http.StatusServiceUnavailable, Detail: "The database did not answer in time. Try again in some seconds."}
			w.Header().Set("Retry-After", "5")
		default:
			a.deps.Log.Error("cannot answer", "route", r.Pattern, "error", err)
			p = internal()
		}
		write(w, p)
	})
}

func (a *API) nothing(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return &problem{Status: http.StatusMethodNotAllowed, Detail: "Only GET and HEAD are answered."}
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		return notFound("There is nothing at this address. Try /v1/services, /v1/services/{id}, /v1/services/{id}/series, /v1/incidents or /v1/incidents/{id}.")
	}
	return notFound("There is nothing at this address.")
}

func (a *API) ready(w http.ResponseWriter, r *http.Request) error {
	version, err := a.deps.Store.Ping(r.Context())
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	_, err = fmt.Fprintf(w, "ok, clickhouse %s\n", version)
	return err
}
