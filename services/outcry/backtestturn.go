package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"outcry.dev/pkg/backtest"
	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/chart"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/simulate"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	"outcry.dev/services/ingest"
	"outcry.dev/services/ingest/files"
	"outcry.dev/services/ingest/source"
)

// past is one history that can be run through the stages.
type past interface {
	title() string
	// done tells which part of it lies before an event time, less than 0 where that is not known.
	done(newest time.Time) float64
	// prepare readies a turn before its stages begin: its source, or what fills its topics.
	prepare(ctx context.Context, t *turn) error
	// know adds what is known of it, once it has run.
	know(h *backtest.History)
}

// turn is one history under one setting.
type turn struct {
	app      *app
	cfg      Config
	log      *slog.Logger
	engines  *engines
	name     string // of topics and database
	settings string
	verdicts []backtest.Verdict
	figures  int // pictures that still fit

	own    *engines                        // with the turn's topics and database
	source source.Source                   // gives the posts, or
	fill   func(ctx context.Context) error // fills the topics
	stages atomic.Pointer[pipeline]
}

// counts is what has been read, of kept topics nothing.
func (t *turn) counts() ingest.Counts {
	if p := t.stages.Load(); p != nil && p.ingest != nil {
		return p.ingest.Counts()
	}
	return ingest.Counts{}
}

// run runs a history through the stages and returns what came out, with pictures.
func (t *turn) run(ctx context.Context, p past) (h backtest.History, figures []backtest.Figure, err error) {
	e := &engines{kafka: t.engines.kafka, click: t.engines.click, server: t.engines.server}
	e.kafka.Prefix += t.name + "."
	e.click.Patience = patience
	e.click.Database += "_" + strings.ReplaceAll(t.name, "-", "_")
	t.own = e
	defer func() { err = errors.Join(err, e.close()) }()
	if err := p.prepare(ctx, t); err != nil {
		return h, nil, err
	}
	if err := e.open(ctx, t.cfg, t.log); err != nil {
		return h, nil, err
	}
	defer func() { err = errors.Join(err, e.store.DropDatabase(context.WithoutCancel(ctx))) }()
	parts, err := newParts(ctx, t.cfg, e, t.log)
	if err != nil {
		return h, nil, err
	}
	stages := &pipeline{engines: e, classifier: parts.classifier(), aggregator: parts.aggregator()}
	if t.source != nil {
		stages.ingest = parts.ingest(false, t.source)
	}
	t.stages.Store(stages)
	err = stages.run(ctx, func(ctx context.Context) error {
		if t.fill != nil {
			if err := t.fill(ctx); err != nil {
				return err
			}
		}
		return e.drained(ctx)
	})
	if err = orInterrupted(ctx, err); err != nil {
		return h, nil, err
	}
	if h, err = t.history(ctx); err != nil {
		return h, nil, err
	}
	h.Name = p.title()
	p.know(&h)
	if figures, err = t.draw(ctx, h); err != nil {
		return h, nil, err
	}
	return h, figures, nil
}

// history reads what came out.
func (t *turn) history(ctx context.Context) (h backtest.History, err error) {
	if h.Incidents, err = t.own.incidents(ctx); err != nil {
		return h, err
	}
	posts, err := t.own.count(ctx, "SELECT sum(posts) FROM source_minutes FINAL")
	if err != nil {
		return h, err
	}
	services, err := t.own.count(ctx, "SELECT uniqExact(service) FROM mentions")
	if err != nil {
		return h, err
	}
	var bounds [2]uint64
	for i, f := range []string{"min", "max"} {
		if bounds[i], err = t.own.count(ctx, "SELECT toUInt64(toUnixTimestamp("+f+"(minute))) FROM source_minutes"); err != nil {
			return h, err
		}
	}
	h.Posts, h.Services, h.Verdicts = int64(posts), int(services), t.verdicts
	h.From, h.To = time.Unix(int64(bounds[0]), 0).UTC(), time.Unix(int64(bounds[1]), 0).UTC().Add(time.Minute)
	return h, nil
}

// draw returns pictures of incidents and of missed outages.
func (t *turn) draw(ctx context.Context, h backtest.History) ([]backtest.Figure, error) {
	result := backtest.Evaluate(t.settings, []backtest.History{h})
	var figures []backtest.Figure
	for i := range result.Incidents {
		figures = append(figures, result.Incidents[i].Figure(t.settings))
	}
	for i := range result.Missed {
		figures = append(figures, result.Missed[i].Figure(t.settings))
	}
	figures = figures[:max(min(len(figures), t.figures), 0)]
	for i := range figures {
		c := &figures[i].Chart
		points, err := t.own.store.Series(ctx, c.Title, c.From, c.To, c.Step)
		if err != nil {
			return nil, err
		}
		for _, p := range points {
			point := chart.Point{Start: p.Start, People: p.People, Silent: p.Ingested == 0 && p.Mentions == 0}
			if p.Expected != nil {
				point.Band = &chart.Band{Lower: p.Expected.Lower, Upper: p.Expected.Upper}
			}
			c.Points = append(c.Points, point)
		}
		figures[i].Title = h.Name + ", " + figures[i].Title
	}
	return figures, nil
}

// simulatedPast is a scenario.
type simulatedPast struct {
	scenario simulate.Scenario
	seed     uint64
	several  bool // the seed is worth naming
	truth    []simulate.Truth
}

func (p *simulatedPast) title() string {
	if p.several {
		return fmt.Sprintf("%s/%d", p.scenario.Name, p.seed)
	}
	return p.scenario.Name
}

func (p *simulatedPast) done(newest time.Time) float64 {
	begin := p.scenario.Start.Add(-p.scenario.Warmup)
	return newest.Sub(begin).Hours() / p.scenario.Start.Add(p.scenario.Duration).Sub(begin).Hours()
}

func (p *simulatedPast) prepare(_ context.Context, t *turn) error {
	t.source = p
	return nil
}

// Name of the source.
func (p *simulatedPast) Name() string { return "simulated" }

// Run gives the posts.
func (p *simulatedPast) Run(ctx context.Context, s *source.Session) (err error) {
	p.truth, err = p.scenario.Generate(p.seed, func(l simulate.Labelled) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return s.Emit(source.Event{Kind: source.Upsert, Post: l.Post})
	})
	return err
}

func (p *simulatedPast) know(h *backtest.History) {
	h.Complete = true
	for _, t := range p.truth {
		h.Truths = append(h.Truths, backtest.Truth{Service: t.Service, Kind: t.Kind, Start: t.Start, End: t.End, Official: t.Official})
	}
}

// recordedPast is posts in files.
type recordedPast struct {
	app      *app
	names    []string
	decode   files.Decode
	truths   []backtest.Truth
	complete bool
}

func (p *recordedPast) title() string {
	if len(p.names) == 1 {
		return filepath.Base(p.names[0])
	}
	return fmt.Sprintf("%d files", len(p.names))
}

func (p *recordedPast) done(time.Time) float64 { return -1 }

func (p *recordedPast) prepare(ctx context.Context, t *turn) error {
	t.source = p.app.files(ctx, p.names, p.decode)
	return nil
}

func (p *recordedPast) know(h *backtest.History) { h.Truths, h.Complete = p.truths, p.complete }

// keptPast is what an earlier run has left: its posts.v1, its author key, and what people said of its incidents.
type keptPast struct {
	folder   string
	read     bool
	verdicts []backtest.Verdict
}

func (p *keptPast) title() string { return filepath.Base(filepath.Clean(p.folder)) }

func (p *keptPast) done(time.Time) float64 { return -1 }

func (p *keptPast) know(h *backtest.History) { h.Verdicts = append(h.Verdicts, p.verdicts...) }

func (p *keptPast) prepare(ctx context.Context, t *turn) error {
	if !p.read {
		if err := p.feedback(ctx, t); err != nil {
			return err
		}
		p.read = true
	}
	key, err := os.ReadFile(filepath.Join(p.folder, "author.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(t.cfg.DataDir, "author.key"), key, 0o600)
	} else if errors.Is(err, os.ErrNotExist) { // it is configured
		err = nil
	}
	if err != nil {
		return fmt.Errorf("take over the author key: %w", err)
	}
	log := filepath.Join(p.folder, "kafka")
	if _, err := os.Stat(log); err != nil {
		return fmt.Errorf("%s holds no posts: %w; a run with kafka.brokers set leaves them in that cluster instead", p.folder, err)
	}
	b, err := broker.Start(broker.Config{DataDir: log}, t.log)
	if err != nil {
		return fmt.Errorf("read the kept topics: %w", err)
	}
	kept := bus.New(bus.Config{Brokers: b.Addrs(), Prefix: t.cfg.Kafka.Prefix}, t.log)
	t.own.closed = append(t.own.closed, b.Close, func() error { kept.Close(); return nil })
	if t.cfg.Kafka.Partitions, err = kept.Partitions(ctx, topics.Posts); err != nil {
		return fmt.Errorf("%s holds no posts under kafka.prefix %q; set it to what it was: %w", p.folder, t.cfg.Kafka.Prefix, err)
	}
	t.fill = func(ctx context.Context) error { return copyTopic(ctx, kept, t.own.bus, topics.Posts) }
	return nil
}

// copyTopic copies the records of a topic, partition by partition, a piece of each at a time, so that none runs far ahead of the others.
func copyTopic(ctx context.Context, from, to *bus.Bus, topic string) error {
	offsets, err := from.Offsets(ctx, topic)
	if err != nil {
		return err
	}
	producer, err := to.Producer(ctx, topic)
	if err != nil {
		return err
	}
	readers := make([]*bus.Claim, len(offsets))
	for partition, o := range offsets {
		if readers[partition], err = from.Reader(ctx, topic, partition, o.First); err != nil {
			return err
		}
		defer readers[partition].Close()
	}
	for left := true; left; {
		left = false
		for partition, r := range readers {
			if r.Offset() >= offsets[partition].Next {
				continue
			}
			left = true
			msgs, err := r.Fetch(ctx)
			if err != nil {
				return err
			}
			copies := make([]bus.Message, 0, len(msgs))
			for _, m := range msgs {
				copies = append(copies, bus.Message{Partition: partition, Key: m.Key, Value: m.Value})
			}
			if err := producer.Write(ctx, copies...); err != nil {
				return err
			}
		}
	}
	return nil
}

// feedback reads what people said of the kept incidents.
func (p *keptPast) feedback(ctx context.Context, t *turn) error {
	cfg := t.cfg
	cfg.DataDir = p.folder
	cfg.ClickHouse.Address = ""
	st, end, err := t.app.openStore(ctx, cfg, t.log)
	if err != nil {
		return err
	}
	defer end()
	if _, err := st.Migrate(ctx); err != nil {
		return err
	}
	const most = 10_000
	incidents, err := st.Incidents(ctx, store.IncidentFilter{Limit: most})
	if err != nil {
		return err
	}
	for _, i := range incidents {
		changes, err := st.Changes(ctx, i.GetId())
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.Verdict != "dismiss" && c.Verdict != "confirm" {
				continue
			}
			v := backtest.Verdict{Service: i.GetService(), Start: time.UnixMicro(i.GetStartedAtUs()).UTC(), At: c.At, Dismissed: c.Verdict == "dismiss",
				Who: c.Actor, Note: c.Note}
			if us := i.GetResolvedAtUs(); us != 0 {
				v.End = time.UnixMicro(us).UTC()
			}
			p.verdicts = append(p.verdicts, v)
		}
	}
	return nil
}

// progress is a bar over all turns.
type progress struct {
	bar   *progressbar.ProgressBar
	turns int // done
	stop  chan struct{}
	ended chan struct{}
}

// turnSteps is how finely a turn is shown.
const turnSteps = 1000

func (a *app) progressBar(turns int) *progress {
	w := a.stderr
	if !isTerminal(w) {
		w = io.Discard
	}
	return &progress{bar: progressbar.NewOptions(turns*turnSteps, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))}
}

// begin shows a turn, of which part tells how far it is.
func (p *progress) begin(what string, part func() float64) {
	p.bar.Describe(what)
	p.stop, p.ended = make(chan struct{}), make(chan struct{})
	go func(stop, ended chan struct{}) {
		defer close(ended)
		t := time.NewTicker(200 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				if f := part(); f >= 0 {
					_ = p.bar.Set(p.turns*turnSteps + int(min(f, 1)*turnSteps)) // only the terminal could fail
				} else {
					_ = p.bar.RenderBlank()
				}
			}
		}
	}(p.stop, p.ended)
}

func (p *progress) finished() {
	p.halt()
	p.turns++
	_ = p.bar.Set(p.turns * turnSteps)
}

func (p *progress) halt() {
	if p.stop != nil {
		close(p.stop)
		<-p.ended
		p.stop = nil
	}
}

func (p *progress) end() {
	p.halt()
	_ = p.bar.Clear()
}
