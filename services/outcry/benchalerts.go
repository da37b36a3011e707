package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/config"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	// benchGroupWait is what a page waits for others; it is taken off what is measured.
	benchGroupWait = time.Second
	// benchAlertsPatience is how long what is still missing is waited for.
	benchAlertsPatience = 10 * time.Minute
)

func (a *app) benchAlertsCommand() *cli.Command {
	return &cli.Command{
		Name:  "alerts",
		Usage: "measure the time from an incident to a page, and a storm of them",
		Description: `Runs the alerter, Alertmanager's engine in it, on the engines that "outcry bench" uses, with receivers on loopback for pages and for the
webhook. There are two parts:

  latency  --incidents open one after the other over --time; noted is how long it takes from the moment in which the
           incident is given to incidents.v1 to the request at the receiver, for a page beyond group_wait
  storm    --storm incidents open within --time and escalate right after, while both receivers answer every second request with 500.
           Counted are pages and changes that have not come in the end, that came again, and that came out of order

It fails where the storm lost, repeated or disordered anything.

Examples:
  outcry bench alerts
  outcry bench alerts --incidents 1000 --storm 5000 --json`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "incidents", Value: 600, Usage: "`NUMBER` of incidents whose time is measured"},
			&cli.IntFlag{Name: "storm", Value: 2000, Usage: "`NUMBER` of incidents while the receivers fail"},
			&cli.DurationFlag{Name: "time", Value: time.Minute, Usage: "`TIME` over which the incidents of a part are spread"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: a.benchAlerts,
	}
}

// benchAlertsResult is what --json prints. Times are in seconds.
type benchAlertsResult struct {
	CPUs      int         `json:"cpus"`
	Incidents int         `json:"incidents"`
	GroupWait float64     `json:"group_wait"`
	Page      quantiles   `json:"page"`    // beyond group_wait
	Webhook   quantiles   `json:"webhook"` // which waits for nothing
	Storm     stormResult `json:"storm"`
}

// stormResult says what came of a storm.
type stormResult struct {
	Incidents   int     `json:"incidents"`
	Seconds     float64 `json:"seconds"`      // from the first incident to the last page or change
	AfterLast   float64 `json:"after_last"`   // of them those after the last incident was written
	Requests    int     `json:"requests"`     // that the receivers got
	Refused     int     `json:"refused"`      // of them answered with 500
	Missing     int     `json:"missing"`      // pages and changes that never came
	Repeated    int     `json:"repeated"`     // that came again after they were taken
	OutOfOrder  int     `json:"out_of_order"` // that came before what was before them
	PagesTaken  int     `json:"pages"`
	ChangesSeen int     `json:"changes"`
}

func (s stormResult) fault() error {
	if s.Missing+s.Repeated+s.OutOfOrder > 0 {
		return fmt.Errorf("the storm: %d pages and changes are missing, %d were repeated, %d came out of order", s.Missing, s.Repeated, s.OutOfOrder)
	}
	return nil
}

func (a *app) benchAlerts(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	incidents, storm, length := cmd.Int("incidents"), cmd.Int("storm"), cmd.Duration("time")
	if incidents < 10 || incidents > 100_000 {
		return usagef(cmd, "--incidents is %d; expected 10 to 100000", incidents)
	}
	if storm < 10 || storm > 100_000 {
		return usagef(cmd, "--storm is %d; expected 10 to 100000", storm)
	}
	if length < time.Second || length > time.Hour {
		return usagef(cmd, "--time is %s; expected 1s to 1h", length)
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	if cmd.String("log-level") == "" {
		cfg.Log.Level = "error" // a receiver that refuses is warned of
	}
	cleanUp, err := scratch(&cfg, "")
	if err != nil {
		return err
	}
	defer cleanUp()
	log := a.logger(cfg.Log)
	e, err := a.startEngines(ctx, cfg, log)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	defer a.closing(e)

	b := &alertsBench{app: a, cfg: cfg, engines: e, name: "bench-alerts-" + time.Now().UTC().Format("20060102t150405"), length: length}
	r := benchAlertsResult{CPUs: runtime.GOMAXPROCS(0), Incidents: incidents, GroupWait: benchGroupWait.Seconds()}
	fmt.Fprintf(a.stderr, "%d incidents in %s …\n", incidents, length)
	if r.Page, r.Webhook, err = b.latency(ctx, incidents); err != nil {
		return orInterrupted(ctx, err)
	}
	fmt.Fprintf(a.stderr, "%d incidents in %s, with receivers that fail …\n", storm, length)
	if r.Storm, err = b.storm(ctx, storm); err != nil {
		return orInterrupted(ctx, err)
	}
	return errors.Join(r.write(a.stdout, cmd.Bool("json")), r.Storm.fault())
}

func (r benchAlertsResult) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d incidents, %d CPUs\n\nseconds from the topic to the request        median     90 %%     99 %%      max\n", r.Incidents, r.CPUs)
	for _, l := range []struct {
		name string
		q    quantiles
	}{{fmt.Sprintf("of a page, beyond group_wait (%.0f s)", r.GroupWait), r.Page}, {"of the webhook", r.Webhook}} {
		fmt.Fprintf(&b, "%-42s %8.3f %8.3f %8.3f %8.3f\n", l.name, l.q.Median, l.q.P90, l.q.P99, l.q.Max)
	}
	s := r.Storm
	fmt.Fprintf(&b, "\nstorm of %d incidents: %d of %d requests refused; all done %.1f s after the first incident, %.1f s after the last\n", s.Incidents, s.Refused,
		s.Requests, s.Seconds, s.AfterLast)
	fmt.Fprintf(&b, "taken: %d pages, %d changes; %d missing, %d repeated, %d out of order\n", s.PagesTaken, s.ChangesSeen, s.Missing, s.Repeated, s.OutOfOrder)
	_, err := io.WriteString(w, b.String())
	return err
}

// alertsBench runs an alerter for each part of the measurement.
type alertsBench struct {
	*app
	cfg     Config
	engines *engines
	name    string
	length  time.Duration
}

// latency returns the times of pages, beyond benchGroupWait, and of changes at the webhook.
func (b *alertsBench) latency(ctx context.Context, n int) (page, webhook quantiles, err error) {
	got := newBenchReceiver(false)
	written := map[string]time.Time{}
	err = b.run(ctx, "latency", got, func(ctx context.Context, p *bus.Producer) error {
		if err := b.publish(ctx, p, benchIncident("warm", 1)); err != nil {
			return err
		}
		if err := got.await(ctx, 1, 1); err != nil {
			return err
		}
		for i := range n {
			if err := sleep(ctx, b.length/time.Duration(n)); err != nil {
				return err
			}
			in := benchIncident(fmt.Sprintf("service-%d", i), 1)
			written[in.GetId()] = time.Now()
			if err := b.publish(ctx, p, in); err != nil {
				return err
			}
		}
		return got.await(ctx, n+1, n+1)
	})
	if err != nil {
		return quantiles{}, quantiles{}, err
	}
	var pages, changes []time.Duration
	for id, at := range written {
		pages = append(pages, got.pages[id][0].at.Sub(at)-benchGroupWait)
		changes = append(changes, got.changes[id][0].at.Sub(at))
	}
	return quantilesOf(pages), quantilesOf(changes), nil
}

// storm returns what comes of n incidents that open and escalate while every second request is refused.
func (b *alertsBench) storm(ctx context.Context, n int) (stormResult, error) {
	got := newBenchReceiver(true)
	var first, last time.Time
	err := b.run(ctx, "storm", got, func(ctx context.Context, p *bus.Producer) error {
		first = time.Now()
		for i := range n {
			if err := sleep(ctx, time.Until(first.Add(b.length*time.Duration(i)/time.Duration(n)))); err != nil {
				return err
			}
			if err := b.publish(ctx, p, benchIncident(fmt.Sprintf("service-%d", i), 1)); err != nil {
				return err
			}
		}
		if err := got.await(ctx, n, n); err != nil { // one that escalates before it is paged is one page
			return err
		}
		for i := range n {
			if err := b.publish(ctx, p, benchIncident(fmt.Sprintf("service-%d", i), 2)); err != nil {
				return err
			}
		}
		last = time.Now()
		return got.await(ctx, 2*n, 2*n)
	})
	if err != nil && !errors.Is(err, errNotAll) {
		return stormResult{}, err
	}
	r := got.judge(n)
	r.Seconds, r.AfterLast = got.last.Sub(first).Seconds(), got.last.Sub(last).Seconds()
	return r, nil
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// run has an alerter tell a receiver while f publishes, on topics and a database of its own.
func (b *alertsBench) run(ctx context.Context, part string, got *benchReceiver, f func(context.Context, *bus.Producer) error) (err error) {
	log := b.logger(b.cfg.Log)
	own := &engines{kafka: b.engines.kafka, click: b.engines.click, server: b.engines.server}
	own.kafka.Prefix += b.name + "-" + part + "."
	own.click.Database += "_" + strings.ReplaceAll(b.name+"_"+part, "-", "_")
	defer b.closing(own)
	if err := own.open(ctx, b.cfg, log); err != nil {
		return err
	}
	address, end, err := got.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	cfg := b.cfg
	cfg.DataDir = filepath.Join(b.cfg.DataDir, part)
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(cfg.DataDir, "alertmanager.yml")
	text := fmt.Sprintf("route: {receiver: page, group_by: [service], group_wait: %s, group_interval: 5s}\nreceivers: [{name: page, webhook_configs: [{url: %q}]}]\n",
		benchGroupWait, address+"/page")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	cfg.Alerter.Stdout, cfg.Alerter.AlertmanagerConfig, cfg.Alerter.Alertmanagers, cfg.Alerter.Listen = false, file, nil, ""
	cfg.Alerter.Webhook.URL, cfg.Alerter.Webhook.AllowPrivate, cfg.Alerter.Webhook.Secret = address+"/change", true, config.Secret("")
	p, err := newParts(ctx, cfg, own, log)
	if err != nil {
		return err
	}
	producer, err := own.bus.Producer(ctx, topics.Incidents)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	alerting, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error { return p.alerter(io.Discard).Run(alerting) })
	g.Go(func() error {
		defer stop()
		return f(ctx, producer)
	})
	return g.Wait()
}

func (b *alertsBench) publish(ctx context.Context, p *bus.Producer, i *outcryv1.Incident) error {
	value, err := proto.Marshal(i)
	if err != nil {
		return err
	}
	return p.Write(ctx, bus.Message{Partition: bus.AnyPartition, Key: []byte(i.GetId()), Value: value})
}

// benchIncident is a revision of an incident: the second one is more severe.
func benchIncident(service string, revision int64) *outcryv1.Incident {
	now := time.Now()
	i := &outcryv1.Incident{Id: service + "-bench", Service: service, State: outcryv1.Incident_STATE_CONFIRMED, Severity: outcryv1.Incident_SEVERITY_MINOR,
		Revision: revision, StartedAtUs: now.Add(-time.Minute).UnixMicro(), DetectedAtUs: now.UnixMicro(), ConfirmedAtUs: now.UnixMicro(), DecidedAtUs: now.UnixMicro(),
		People: 10 * revision, PeakPerMinute: 5, ExpectedPerMinute: 0.2, Confidence: 0.9, Explanation: "an invented incident"}
	if revision > 1 {
		i.Severity = outcryv1.Incident_SEVERITY_MAJOR
	}
	return i
}

// errNotAll says that something has not come.
var errNotAll = errors.New("not everything came")

// benchReceiver takes pages and changes.
type benchReceiver struct {
	fails bool // every second request for the same thing is answered with 500

	mu             sync.Mutex
	asked          map[string]int
	pages, changes map[string][]taken // by incident, in the order in which they were taken
	sum            [2]int             // of different ones
	refused        int
	requests       int
	last           time.Time
}

// taken is what came: the severity of a page, the people of a change.
type taken struct {
	what string
	at   time.Time
}

func newBenchReceiver(fails bool) *benchReceiver {
	return &benchReceiver{fails: fails, asked: map[string]int{}, pages: map[string][]taken{}, changes: map[string][]taken{}}
}

func (r *benchReceiver) serve(ctx context.Context) (address string, end func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("serve the receivers: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /page", func(w http.ResponseWriter, req *http.Request) {
		at := time.Now()
		var body struct {
			Alerts []struct {
				Status string            `json:"status"`
				Labels map[string]string `json:"labels"`
			} `json:"alerts"`
		}
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil || len(body.Alerts) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		what := "over"
		for _, a := range body.Alerts {
			if a.Status == "firing" {
				what = a.Labels["severity"]
			}
		}
		r.take(w, r.pages, 0, body.Alerts[0].Labels["incident"], what, at)
	})
	mux.HandleFunc("POST /change", func(w http.ResponseWriter, req *http.Request) {
		at := time.Now()
		var body struct {
			ID       string `json:"id"`
			Severity string `json:"severity"`
		}
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil || body.ID == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.take(w, r.changes, 1, body.ID, body.Severity, at)
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return "http://" + l.Addr().String(), func() error {
		err := s.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

func (r *benchReceiver) take(w http.ResponseWriter, into map[string][]taken, kind int, incident, what string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if key := fmt.Sprint(kind, incident, " ", what); r.fails {
		if r.asked[key]++; r.asked[key]%2 == 1 {
			r.refused++
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	fresh := true
	for _, before := range into[incident] {
		fresh = fresh && before.what != what
	}
	if fresh {
		r.sum[kind]++
	}
	into[incident] = append(into[incident], taken{what, at})
	r.last = at
}

// await waits until so many different pages and changes have come.
func (r *benchReceiver) await(ctx context.Context, pages, changes int) error {
	for patience := time.Now().Add(benchAlertsPatience); ; {
		r.mu.Lock()
		sum := r.sum
		r.mu.Unlock()
		if sum[0] >= pages && sum[1] >= changes {
			return nil
		}
		if time.Now().After(patience) {
			return fmt.Errorf("%w within %s: %d of %d pages, %d of %d changes", errNotAll, benchAlertsPatience, sum[0], pages, sum[1], changes)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// judge compares what came of n incidents that escalated with what should have.
func (r *benchReceiver) judge(n int) stormResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := stormResult{Incidents: n, Requests: r.requests, Refused: r.refused}
	order := map[string]int{"minor": 1, "major": 2}
	for kind, all := range []map[string][]taken{r.pages, r.changes} {
		for i := range n {
			seen, highest := map[string]bool{}, 0
			for _, t := range all[fmt.Sprintf("service-%d-bench", i)] {
				switch {
				case seen[t.what]:
					s.Repeated++
				case order[t.what] <= highest: // an end is in no order here: nothing ends
					s.OutOfOrder++
				}
				seen[t.what], highest = true, max(highest, order[t.what])
				if kind == 0 {
					s.PagesTaken++
				} else {
					s.ChangesSeen++
				}
			}
			for what := range order {
				if !seen[what] {
					s.Missing++
				}
			}
		}
	}
	return s
}
