package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	apiv2 "github.com/prometheus/alertmanager/api/v2"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"outcry.dev/services/alerter/alert"
	"outcry.dev/services/alerter/journal"
)

const (
	gcEvery    = 30 * time.Minute
	tidyEvery  = 15 * time.Minute
	finishTime = 2 * time.Second // for notifications that are under way at the end
	// leastTimeout is how long a page is tried before the group's next interval, at least. One that is cut off may have been received, and comes
	// again: Alertmanager's own 10 s are short where thousands of pages go out at once, or the machine is busy.
	leastTimeout  = time.Minute
	apiTimeout    = 30 * time.Second
	maxAPIRequest = 8 << 20
)

// Deps are what an Engine works with.
type Deps struct {
	Metrics prometheus.Registerer
	Log     *slog.Logger
	// Sent hears of every attempt to notify; may be nil.
	Sent func(Attempt)
	// Memory knows over restarts of which alerts somebody has been told; nil for none.
	Memory Memory
}

// Memory knows alerts by their labels.
type Memory interface {
	Has(labels map[string]string) bool
	Add(labels ...map[string]string) error
}

// Told is an alert in a notification.
type Told struct {
	Labels map[string]string
	Firing bool
}

// Attempt is one request to a receiver.
type Attempt struct {
	// Receiver and Integration name it as the configuration does: "page", "slack[0]".
	Receiver, Integration string
	At                    time.Time
	Took                  time.Duration
	// Alerts are those that it tells.
	Alerts []Told
	Err    error
	// Retry says that after Err it is tried again at once; otherwise at the group's next interval.
	Retry bool
}

// Engine is Alertmanager in this process. Start and Stop it once; Put is safe for concurrent use.
type Engine struct {
	cfg  Config
	deps Deps

	metrics    leased
	alerts     *mem.Alerts
	putting    sync.Mutex // while alerts are put, so that an older one does not take the place of a newer one
	successors successors
	root       *dispatch.Route
	log        *nflog.Log
	silences   *silence.Silences
	journals   [2]*journal.Journal
	inhibitor  *inhibit.Inhibitor
	dispatcher *dispatch.Dispatcher
	listener   net.Listener
	server     *http.Server
	background sync.WaitGroup
	stopping   chan struct{}
	flights    flights
}

// New remembers.
func New(cfg Config, deps Deps) *Engine {
	return &Engine{cfg: cfg, deps: deps, metrics: leased{Registerer: deps.Metrics}, stopping: make(chan struct{})}
}

// Start takes the alerts that are known and begins to notify. After an error nothing is left running.
func (e *Engine) Start(ctx context.Context, known ...alert.Alert) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Stop())
		}
	}()
	cfg, err := load(e.cfg)
	if err != nil {
		return err
	}
	if err := e.listen(ctx); err != nil {
		return err
	}
	external, err := e.externalURL()
	if err != nil {
		return err
	}
	templates, err := loadTemplates(cfg, external)
	if err != nil {
		return err
	}
	receivers, err := e.receivers(cfg, templates)
	if err != nil {
		return err
	}
	if err := e.openLogs(); err != nil {
		return err
	}
	if err := e.run(ctx, cfg, templates, receivers, known); err != nil {
		return err
	}
	return e.metrics.publish()
}

func (e *Engine) listen(ctx context.Context) error {
	if e.cfg.Listen == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.cfg.Listen)
	if err != nil {
		return fmt.Errorf("serve the alerts' API at alerter.listen: %w", err)
	}
	e.listener = l
	return nil
}

// Addr returns where the API is served, host:port, or nothing. It is valid after Start.
func (e *Engine) Addr() string {
	if e.listener == nil {
		return ""
	}
	return e.listener.Addr().String()
}

func (e *Engine) externalURL() (*url.URL, error) {
	address := e.cfg.ExternalURL
	if address == "" && e.listener != nil {
		address = "http://" + e.Addr()
	}
	if address == "" {
		address = "http://localhost"
	}
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil {
		return nil, fmt.Errorf("the address of the alerts' API: %w", err)
	}
	return u, nil
}

func loadTemplates(cfg *amconfig.Config, external *url.URL) (*template.Template, error) {
	t, err := template.FromGlobs(nil)
	if err == nil {
		err = t.Parse(strings.NewReader(messages))
	}
	for _, glob := range cfg.Templates { // after ours, so that a team can define ours anew
		if err == nil {
			err = t.FromGlob(glob)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("templates of alerts: %w", err)
	}
	t.ExternalURL = external
	return t, nil
}

// receivers builds those that a route leads to.
func (e *Engine) receivers(cfg *amconfig.Config, templates *template.Template) (map[string][]notify.Integration, error) {
	reached := map[string]bool{}
	dispatch.NewRoute(cfg.Route, nil).Walk(func(r *dispatch.Route) { reached[r.RouteOpts.Receiver] = true })
	out := map[string][]notify.Integration{}
	for _, rc := range cfg.Receivers {
		if !reached[rc.Name] {
			continue
		}
		integrations, err := receiver.BuildReceiverIntegrations(rc, templates, e.deps.Log)
		if err != nil {
			return nil, fmt.Errorf("receiver %s: %w", rc.Name, err)
		}
		out[rc.Name] = make([]notify.Integration, len(integrations))
		for i := range integrations {
			out[rc.Name][i] = e.observed(rc.Name, &integrations[i])
		}
	}
	return out, nil
}

// openLogs brings back the notification log and the silences, and keeps each change from now on.
func (e *Engine) openLogs() (err error) {
	retention := e.retention()
	if e.log, err = nflog.New(nflog.Options{Retention: retention, Logger: e.deps.Log, Metrics: &e.metrics}); err != nil {
		return fmt.Errorf("notification log: %w", err)
	}
	if e.silences, err = silence.New(silence.Options{Retention: retention, Logger: e.deps.Log, Metrics: &e.metrics, EventRecorder: eventrecorder.NopRecorder()}); err != nil {
		return fmt.Errorf("silences: %w", err)
	}
	for i, l := range e.logs() {
		j, err := journal.Open(filepath.Join(e.cfg.DataDir, l.file), l.merge)
		if err != nil {
			return err
		}
		e.journals[i] = j
		if err := tidy(j, l); err != nil {
			return err
		}
		l.spread(func(b []byte) {
			if err := j.Append(b); err != nil {
				e.deps.Log.Error("cannot keep what was notified: after a restart it may be notified again", "file", l.file, "error", err)
			}
		})
	}
	return nil
}

// kept is what the notification log and the silences have in common.
type kept struct {
	file   string
	merge  func([]byte) error
	spread func(func([]byte))
	all    func() ([]byte, error)
	gc     func() (int, error)
}

func (e *Engine) logs() [2]kept {
	return [2]kept{
		{"notifications.log", e.log.Merge, e.log.SetBroadcast, e.log.MarshalBinary, e.log.GC},
		{"silences.log", e.silences.Merge, e.silences.SetBroadcast, e.silences.MarshalBinary, e.silences.GC},
	}
}

// tidy drops what no longer matters, also from the journal.
func tidy(j *journal.Journal, l kept) error {
	if _, err := l.gc(); err != nil {
		return fmt.Errorf("tidy %s: %w", l.file, err)
	}
	upTo := j.Size() // what stands before it is in all
	b, err := l.all()
	if err != nil {
		return fmt.Errorf("tidy %s: %w", l.file, err)
	}
	if len(b) == 0 {
		return j.Compact(upTo)
	}
	return j.Compact(upTo, b)
}

func (e *Engine) retention() time.Duration {
	if e.cfg.Retention > 0 {
		return e.cfg.Retention
	}
	return 120 * time.Hour
}

func (e *Engine) run(ctx context.Context, cfg *amconfig.Config, templates *template.Template, receivers map[string][]notify.Integration, known []alert.Alert) error {
	recorder := eventrecorder.NopRecorder()
	silencer := silence.NewSilencer(e.silences, e.deps.Log, recorder)
	var err error
	if e.alerts, err = mem.NewAlerts(context.Background(), gcEvery, 0, silencer, e.deps.Log, recorder, &e.metrics, featurecontrol.NoopFlags{}); err != nil {
		return fmt.Errorf("alerts: %w", err)
	}
	e.root = dispatch.NewRoute(cfg.Route, nil)
	if known, err = e.owed(ctx, receivers, known); err != nil {
		return err
	}
	if err := e.Put(ctx, known...); err != nil {
		return err
	}
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, t := range cfg.MuteTimeIntervals {
		intervals[t.Name] = t.TimeIntervals
	}
	for _, t := range cfg.TimeIntervals {
		intervals[t.Name] = t.TimeIntervals
	}
	groups := marker.NewGroupMarker()
	e.inhibitor = inhibit.NewInhibitor(e.alerts, cfg.InhibitRules, e.deps.Log, recorder)
	pipeline := notify.NewPipelineBuilder(&e.metrics, featurecontrol.NoopFlags{}, recorder).New(receivers, func() time.Duration { return 0 },
		e.inhibitor, silencer, timeinterval.NewIntervener(intervals), groups, e.log, nil)
	e.dispatcher = dispatch.NewDispatcher(e.alerts, e.root, e.finishing(pipeline), groups,
		func(d time.Duration) time.Duration { return max(d, leastTimeout) }, 30*time.Second, nil, e.deps.Log, recorder,
		dispatch.NewDispatcherMetrics(false, &e.metrics, featurecontrol.NoopFlags{}), templates)
	if err := e.serve(cfg, silencer, groups); err != nil {
		return err
	}
	e.background.Go(e.inhibitor.Run)
	e.inhibitor.WaitForLoading()
	e.background.Go(func() { e.dispatcher.Run(time.Now()) })
	e.dispatcher.WaitForLoading()
	e.background.Go(e.tidyNowAndThen)
	return nil
}

// owed leaves out alerts whose end everybody has been told: telling them again would look like news to those who hear of the same group. Where
// the beginning is in doubt and somebody has not been told of it, it takes what is to be told late.
func (e *Engine) owed(ctx context.Context, receivers map[string][]notify.Integration, known []alert.Alert) ([]alert.Alert, error) {
	now := time.Now()
	var out []alert.Alert
	for _, a := range known {
		if a.EndsAt.IsZero() || a.EndsAt.After(now) {
			out = append(out, a)
			continue
		}
		waiting, all, err := e.waiting(ctx, receivers, a)
		if err != nil {
			return nil, err
		}
		late, isLate := alert.Late(a, now)
		switch {
		case a.Doubt && isLate && waiting < all && (waiting > 0 || !e.wasTold(a.Labels)):
			out = append(out, late)
		case waiting > 0:
			out = append(out, a)
		}
	}
	return out, nil
}

// waiting says how many of all integrations that an alert goes to were told of its beginning and not of its end.
func (e *Engine) waiting(ctx context.Context, receivers map[string][]notify.Integration, a alert.Alert) (n, all int, err error) {
	fires := converted(a)
	fires.EndsAt = time.Time{}
	for _, route := range e.root.Match(fires.Labels) {
		ctx := notify.WithGroupKey(ctx, groupKey(route, fires))
		ctx = notify.WithRepeatInterval(ctx, 10*365*24*time.Hour)
		for i := range receivers[route.RouteOpts.Receiver] {
			integration := &receivers[route.RouteOpts.Receiver][i]
			// What the log holds as firing needs no notification were it to fire still: of its end nobody has been told.
			_, news, err := notify.NewDedupStage(integration, e.log, &nflogpb.Receiver{GroupName: route.RouteOpts.Receiver,
				Integration: integration.Name(), Idx: uint32(integration.Index())}).Exec(ctx, e.deps.Log, fires)
			if err != nil {
				return 0, 0, fmt.Errorf("look into the notification log: %w", err)
			}
			all++
			if len(news) == 0 {
				n++
			}
		}
	}
	return n, all, nil
}

func (e *Engine) wasTold(labels map[string]string) bool {
	return e.deps.Memory != nil && e.deps.Memory.Has(labels)
}

// groupKey names the group of an alert on a route as the dispatcher does.
func groupKey(route *dispatch.Route, a *amalert.Alert) string {
	return fmt.Sprintf("%s:%s", route.Key(), groupLabels(a, route))
}

// serve answers amtool and whoever else speaks Alertmanager's API v2.
func (e *Engine) serve(cfg *amconfig.Config, silencer *silence.Silencer, groups marker.GroupMarker) error {
	if e.listener == nil {
		return nil
	}
	api, err := apiv2.NewAPI(e.alerts, e.dispatcher.Groups, groups.Muted, e.silences, nil, e.deps.Log, &e.metrics)
	if err != nil {
		return fmt.Errorf("the alerts' API: %w", err)
	}
	api.Update(cfg, func(ctx context.Context, labels model.LabelSet) {
		e.inhibitor.Mutes(ctx, labels)
		silencer.Mutes(ctx, labels)
	})
	mux := http.NewServeMux()
	mux.Handle("/api/v2/", http.MaxBytesHandler(http.TimeoutHandler(api.Handler, apiTimeout, "it took too long\n"), maxAPIRequest))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") })
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: apiTimeout, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(e.deps.Log.Handler(), slog.LevelDebug)}
	e.background.Go(func() {
		if err := e.server.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
			e.deps.Log.Error("the alerts' API has ended", "error", err)
		}
	})
	return nil
}

func (e *Engine) tidyNowAndThen() {
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	for {
		select {
		case <-e.stopping:
			return
		case <-t.C:
		}
		for i, l := range e.logs() {
			if err := tidy(e.journals[i], l); err != nil {
				e.deps.Log.Error("cannot tidy up", "error", err)
			}
		}
		e.successors.forget(func(f model.Fingerprint) bool {
			_, err := e.alerts.Get(f)
			return err == nil
		})
	}
}

// Put tells alerts: new ones, updates, and ends. One whose EndsAt is zero fires until it is told again.
func (e *Engine) Put(ctx context.Context, alerts ...alert.Alert) error {
	if len(alerts) == 0 {
		return nil
	}
	now := time.Now()
	var in []*amalert.Alert
	at := map[model.Fingerprint]int{}
	for _, a := range alerts {
		out := converted(a)
		out.UpdatedAt = now
		if err := out.Validate(); err != nil {
			return fmt.Errorf("alert of incident %s: %w", a.Labels["incident"], err)
		}
		// Of two that are the same alert the last one counts: which one is newer could not be told any more.
		if n, ok := at[out.Fingerprint()]; ok {
			in[n] = out
			continue
		}
		at[out.Fingerprint()] = len(in)
		in = append(in, out)
	}
	e.putting.Lock()
	defer e.putting.Unlock()
	e.successors.note(in)
	if err := e.alerts.Put(ctx, in...); err != nil {
		return fmt.Errorf("put alerts: %w", err)
	}
	return nil
}

func converted(a alert.Alert) *amalert.Alert {
	set := func(m map[string]string) model.LabelSet {
		out := make(model.LabelSet, len(m))
		for k, v := range m {
			out[model.LabelName(k)] = model.LabelValue(v)
		}
		return out
	}
	return &amalert.Alert{Alert: model.Alert{Labels: set(a.Labels), Annotations: set(a.Annotations), StartsAt: a.StartsAt, EndsAt: a.EndsAt,
		GeneratorURL: a.GeneratorURL}}
}

// Stop ends everything. Notifications that are under way get a moment to come through.
func (e *Engine) Stop() error {
	close(e.stopping)
	var err error
	if e.server != nil {
		err = e.server.Close()
	} else if e.listener != nil {
		err = e.listener.Close()
	}
	if e.dispatcher != nil {
		e.dispatcher.Stop()
	}
	e.flights.wait()
	if e.inhibitor != nil {
		e.inhibitor.Stop()
	}
	if e.alerts != nil {
		e.alerts.Close()
	}
	e.background.Wait()
	for _, j := range e.journals {
		if j != nil {
			err = errors.Join(err, j.Close())
		}
	}
	e.metrics.giveBack()
	return err
}
