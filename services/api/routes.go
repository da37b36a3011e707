package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"outcry.dev/pkg/store"
)

// Handler answers all requests.
func (a *API) Handler() http.Handler { return a.handler }

func (a *API) routes() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, compressed(a.metrics.observe(a.admit(scopeRead, a.answer(false, f, a.writeErrorPage)))))
	}
	data := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, a.metrics.observe(a.answer(false, f, writeProblem)))
	}
	page("GET /{$}", a.home)
	page("GET /services/{id}", a.servicePage)
	page("GET /explore", a.explore)
	page("GET /services/{id}/chart.svg", a.chartImage)
	page("GET /incidents/{id}", a.incidentPage)
	page("POST /incidents/{id}", a.sayOnPage)
	mux.Handle("GET /assets/{name}", compressed(a.metrics.observe(a.answer(false, a.asset, writeProblem))))
	page("GET /services/{id}/embed", a.composer)
	page("POST /services/{id}/embed", a.freezeOnPage)
	signing := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, a.metrics.observe(a.admit(scopeNone, a.answer(false, f, a.writeErrorPage))))
	}
	signing("GET /login", a.login)
	signing("POST /login", a.enterKey)
	signing("POST /logout", a.logout)
	signing("GET /login/oidc", a.beginSignin)
	signing("GET "+callbackPath, a.finishSignin)
	reading := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, a.metrics.observe(a.admit(scopeRead, a.answer(false, f, writeProblem))))
	}
	for _, kind := range []string{"atom", "rss"} {
		reading("GET /incidents."+kind, a.feed(kind))
		reading("GET /services/{id}/incidents."+kind, a.feed(kind))
	}
	reading("GET /incidents.ics", a.calendar)
	reading("GET /services/{id}/incidents.ics", a.calendar)
	reading("GET /services/{id}/badge.svg", a.badge)
	// Embeds answer from memory before anything else is done.
	embed := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		handler := a.answer(false, f, writeProblem)
		if !a.cfg.PublicRead {
			handler = a.admit(scopeRead, handler)
		}
		mux.Handle(pattern, a.metrics.observe(handler))
	}
	embed("GET /embed/services/{id}", func(w http.ResponseWriter, r *http.Request) error {
		id, kind, found := strings.Cut(r.PathValue("id"), ".")
		if found && kind != "svg" && kind != "png" && kind != "json" {
			return notFound("There is nothing at this address. Embeds are pages, .svg, .png or .json.")
		}
		r.SetPathValue("id", id)
		return a.embed(kind)(w, r)
	})
	embed("GET /embed/frozen/{id}", a.embedFrozen)
	data("GET /oembed", a.oembed)
	data("GET /embed.js", func(w http.ResponseWriter, _ *http.Request) error { return writeScript(w, "embed.js") })

	a.describe(newOperations(a, mux))
	data("/v1/", a.nothing)

	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	data("GET /readyz", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.deps.Gatherer, promhttp.HandlerOpts{}))
	page("/", a.nothing)
	return a.guard(mux)
}

// compressed sends pages and what they load as gzip to those who take it: a tenth of their size. Data are not, nor embeds: what is asked for
// most often is not to be compressed each time.
func compressed(next http.Handler) http.Handler { return gzhttp.GzipHandler(next) }

// guard sets what holds for every answer.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Access-Control-Expose-Headers", "ETag, Link, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset")
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE")
				h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, If-None-Match, Last-Event-ID")
				h.Set("Access-Control-Max-Age", "86400")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// answer turns what went wrong into an answer. Handlers write only once nothing can go wrong any more.
func (a *API) answer(long bool, f func(http.ResponseWriter, *http.Request) error, write func(http.ResponseWriter, *problem)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if fault := recover(); fault != nil {
				if fault == http.ErrAbortHandler { //nolint:errorlint,err113 // the value itself is the signal
					panic(fault)
				}
				a.deps.Log.Error("request panicked", "route", r.Pattern, "panic", fault, "stack", string(debug.Stack()))
				write(w, internal())
			}
		}()
		var err error
		if long {
			err = f(w, r)
		} else {
			err = a.answerInTime(w, r, func(r *http.Request) error { return f(w, r) })
		}
		if err == nil || errors.Is(err, errGone) || errors.Is(r.Context().Err(), context.Canceled) {
			return
		}
		var p *problem
		switch {
		case errors.As(err, &p):
		case errors.Is(err, store.ErrBusy): // metrics count them; a line each would add to the burden
			a.deps.Log.Debug("cannot answer", "route", r.Pattern, "error", err)
			p = &problem{Status: http.StatusServiceUnavailable, Detail: "Too many ask at once. Try again in some seconds."}
			w.Header().Set("Retry-After", "5")
		case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
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

// answerInTime bounds all that an answer asks of ClickHouse.
func (a *API) answerInTime(_ http.ResponseWriter, r *http.Request, f func(*http.Request) error) error {
	ctx, cancel := context.WithTimeout(r.Context(), questionTimeout)
	defer cancel()
	return f(r.WithContext(ctx))
}

// describe is every route of the data.
func (a *API) describe(o *operations) {
	servicesFile := func(*http.Request, *params) (file, error) {
		return file{store.ExportServices(), "services listened for"}, nil
	}
	list[servicesQuery, servicesJSON](o, operation{path: "/v1/services", id: "services", tag: "Services", summary: "Services at one moment"}, servicesFile, a.services)
	register[noQuery, anything](o, operation{path: "/v1/services/stream", id: "services-stream", tag: "Streams", summary: "States of services as they change, as server-sent events",
		media: []string{"text/event-stream"}, long: true, scope: scopeRead}, a.servicesStream)
	register[serviceQuery, serviceAloneJSON](o, operation{path: "/v1/services/{id}", id: "service", tag: "Services", summary: "One service, and its latest incidents", scope: scopeRead}, a.service)
	list[seriesQuery, seriesJSON](o, operation{path: "/v1/services/{id}/series", id: "series", tag: "Series", summary: "Complaints about a service over time"}, a.seriesFile, a.series)
	register[seriesStreamQuery, anything](o, operation{path: "/v1/services/{id}/series/stream", id: "series-stream", tag: "Streams", summary: "The last steps of a series as they change, as server-sent events",
		media: []string{"text/event-stream"}, long: true, scope: scopeRead}, a.seriesStream)
	list[breakdownQuery, breakdownJSON](o, operation{path: "/v1/services/{id}/breakdown", id: "breakdown", tag: "Series", summary: "Complaints about a service over time, by symptom, source, language, place or label"}, a.breakdownFile, a.breakdown)
	list[evidenceQuery, evidenceListJSON](o, operation{path: "/v1/services/{id}/evidence", id: "evidence", tag: "Evidence", scope: scopeEvidence, summary: "Posts behind the counts"}, a.evidenceFile, a.evidence)
	list[manySeriesQuery, manySeriesJSON](o, operation{path: "/v1/series", id: "many-series", tag: "Series", summary: "Complaints about several services over time, on the same steps"}, a.manySeriesFile, a.manySeries)
	list[incidentsQuery, incidentsListJSON](o, operation{path: "/v1/incidents", id: "incidents", tag: "Incidents", summary: "Incidents"}, a.incidentsFile, a.incidents)
	register[incidentStreamQuery, anything](o, operation{path: "/v1/incidents/stream", id: "incidents-stream", tag: "Streams", summary: "Incidents as they change, as server-sent events",
		media: []string{"text/event-stream"}, long: true, scope: scopeRead}, a.incidentStream)
	register[incidentQuery, incidentJSON](o, operation{path: "/v1/incidents/{id}", id: "incident", tag: "Incidents", summary: "One incident, with its evidence", scope: scopeRead}, a.incident)
	register[incidentQuery, verdictJSON](o, operation{method: http.MethodPost, path: "/v1/incidents/{id}/verdicts", id: "say", tag: "Incidents", summary: "Say what is true of an incident: dismiss, confirm, acknowledge or note", scope: scopeAct,
		body: map[string]reflect.Type{"application/json": reflect.TypeFor[verdictBody]()}}, a.say)
	register[noQuery, anything](o, operation{path: "/v1/services.prom", id: "states", tag: "Services", summary: "States of services in the text format of Prometheus", scope: scopeRead, media: []string{"text/plain"}}, a.states)
	list[incidentsQuery, incidentsListJSON](o, operation{path: "/v1/leads", id: "leads", tag: "Incidents", summary: "Incidents with an official word: how far Outcry was ahead"}, a.leadsFile, a.leads)
	register[searchQuery, searchJSON](o, operation{path: "/v1/search", id: "search", tag: "Services", summary: "Services by name, and their incidents", scope: scopeRead}, a.search)
	register[noQuery, frozenJSON](o, operation{method: http.MethodPost, path: "/v1/charts", id: "freeze", tag: "Charts", summary: "Freeze a chart: an address that shows the same for ever", scope: scopeAct,
		body: map[string]reflect.Type{"application/json": reflect.TypeFor[freezeBody]()}}, a.freeze)
	register[noQuery, keysJSON](o, operation{path: "/v1/keys", id: "keys", tag: "Administration", summary: "Keys, without the keys themselves", scope: scopeAdmin}, a.listKeys)
	register[noQuery, keyJSON](o, operation{method: http.MethodPost, path: "/v1/keys", id: "add-key", tag: "Administration", summary: "Make a key; it is given once", scope: scopeAdmin,
		body: map[string]reflect.Type{"application/json": reflect.TypeFor[newKeyBody]()}}, a.addKey)
	register[keyPath, keyJSON](o, operation{method: http.MethodDelete, path: "/v1/keys/{id}", id: "revoke-key", tag: "Administration", summary: "End a key", scope: scopeAdmin}, a.revokeKey)
	register[noQuery, auditJSON](o, operation{path: "/v1/audit", id: "audit", tag: "Administration", summary: "What was done with keys that may act", scope: scopeAdmin}, a.auditLog)
	register[noQuery, schemaJSON](o, operation{path: "/v1/schema", id: "schema", tag: "SQL", summary: "The views that SQL may read, and what each column is", scope: scopeRead}, a.schema)
	register[sqlInput, anything](o, operation{method: http.MethodPost, path: "/v1/sql", id: "sql", tag: "SQL", summary: "One SELECT over the views", long: true,
		body:  map[string]reflect.Type{"text/plain": reflect.TypeFor[string](), "application/json": reflect.TypeFor[sqlBody]()},
		scope: scopeEvidence,
		media: []string{"application/x-ndjson", "text/csv; charset=utf-8", "application/vnd.apache.parquet", "application/vnd.apache.arrow.file"}}, a.sql)
}

func (a *API) nothing(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return &problem{Status: http.StatusMethodNotAllowed, Detail: "Only GET and HEAD are answered."}
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		return notFound("There is nothing at this address. Try /v1/services, /v1/services/{id}/series, /v1/incidents or /v1/openapi.json, which describes all.")
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
