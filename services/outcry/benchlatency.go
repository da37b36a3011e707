package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/post"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest/source"
)

const (
	// latencyHistory is the quiet time before, in which listening has gone on: without history only hundreds of people are an alarm.
	latencyHistory = 48 * time.Hour
	// latencyPeople complain of each service that fails, within latencyBurst.
	latencyPeople = 40
	latencyBurst  = 15 * time.Second
)

func (a *app) benchLatencyCommand() *cli.Command {
	return &cli.Command{
		Name:  "latency",
		Usage: "measure the time from a post to the incident on incidents.v1",
		Description: `Writes posts in real time, --rate a second, through ingest, classifier and aggregator, on the engines that "outcry bench" uses. Three in a
hundred name a service. Among them services fail, one after the other, each with 40 people who complain within 15 seconds. A reader of
incidents.v1 notes when each incident arrives. Printed are, over all incidents:

  decision   from the post that lets the decision fall to the incident in the reader's hands. That post is the first one written
             max_out_of_orderness after the end of a step of the grid: before it, earlier posts may still be under way
  post       from the complaint with which detect.min_people is reached to the incident: the decision, the wait for the end of the step
             (decisions fall every 10 s of event time), and max_out_of_orderness

Examples:
  outcry bench latency
  outcry bench latency --rate 10000 --time 2m --json`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "rate", Value: benchRate, Usage: "`NUMBER` of posts a second"},
			&cli.DurationFlag{Name: "time", Value: 90 * time.Second, Usage: "`TIME` for which posts are written"},
			&cli.IntFlag{Name: "outages", Value: 100, Usage: "`NUMBER` of services that fail"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`NUMBER` from which the posts follow"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: a.benchLatency,
	}
}

// benchLatencyResult is what --json prints. Times are in seconds.
type benchLatencyResult struct {
	CPUs      int       `json:"cpus"`
	Posts     int64     `json:"posts"`
	Rate      float64   `json:"posts_per_second"` // as written
	Behind    float64   `json:"writer_behind_seconds"`
	Outages   int       `json:"outages"`
	Incidents int       `json:"incidents"` // of services that failed
	Decision  quantiles `json:"decision"`
	Post      quantiles `json:"post"`
}

type quantiles struct {
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

func quantilesOf(x []time.Duration) quantiles {
	if len(x) == 0 {
		return quantiles{}
	}
	slices.Sort(x)
	at := func(p float64) float64 { return x[min(int(p*float64(len(x))), len(x)-1)].Seconds() }
	return quantiles{at(0.5), at(0.9), at(0.99), at(1)}
}

func (a *app) benchLatency(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	rate, length, outages := cmd.Int("rate"), cmd.Duration("time"), cmd.Int("outages")
	if rate < 100 || rate > 1_000_000 {
		return usagef(cmd, "--rate is %d; expected 100 to 1000000", rate)
	}
	if length < time.Minute || length > time.Hour {
		return usagef(cmd, "--time is %s; expected 1m to 1h", length)
	}
	if outages < 1 || outages > 1000 {
		return usagef(cmd, "--outages is %d; expected 1 to 1000", outages)
	}
	cfg, cleanUp, err := a.scratchConfig(cmd)
	if err != nil {
		return err
	}
	defer cleanUp()
	texts, err := newBenchTexts(cfg, cmd.Uint64("seed"))
	if err != nil {
		return err
	}
	failing, err := failingServices(cfg, outages)
	if err != nil {
		return err
	}
	log := a.logger(cfg.Log)
	e, err := a.startEngines(ctx, cfg, log)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	defer a.closing(e)
	name := "bench-latency-" + time.Now().UTC().Format("20060102t150405")
	own := &engines{kafka: e.kafka, click: e.click, server: e.server}
	own.kafka.Prefix += name + "."
	own.click.Database += "_" + strings.ReplaceAll(name, "-", "_")
	defer a.closing(own)
	if err := own.open(ctx, cfg, log); err != nil {
		return err
	}
	p, err := newParts(ctx, cfg, own, log)
	if err != nil {
		return err
	}
	w := &latencyWriter{texts: texts, failing: failing, rate: rate, length: length, rng: rand.New(rand.NewPCG(cmd.Uint64("seed"), 1)),
		minPeople: cfg.Detect.MinPeople, wait: cfg.Ingest.MaxOutOfOrderness, passed: map[int64]time.Time{}, tipped: map[string]time.Time{}}
	seen := &incidentClock{first: map[string]arrival{}}
	stages := pipeline{engines: own, ingest: p.ingest(false, w), classifier: p.classifier(), aggregator: p.aggregator()}
	fmt.Fprintf(a.stderr, "Writing %d posts a second for %s …\n", rate, length)
	g, gctx := errgroup.WithContext(ctx)
	reading, stop := context.WithCancel(gctx)
	defer stop()
	g.Go(func() error { return seen.read(reading, own.bus) })
	g.Go(func() error {
		defer stop()
		return stages.run(gctx, own.drained)
	})
	if err := g.Wait(); err != nil || ctx.Err() != nil {
		return orInterrupted(ctx, err)
	}
	return w.result(seen.first).write(a.stdout, cmd.Bool("json"))
}

// failing is a service that will fail, and words for it.
type failing struct{ id, name string }

// complaints are what people write of a service that fails.
var complaints = []string{"is %s down?", "%s is down for me", "can't log in to %s, is it down for anyone else?", "%s not working at all, outage?"}

// failingServices chooses services whose complaints the classifier reads as such.
func failingServices(cfg Config, n int) ([]failing, error) {
	c, err := loadCatalog(cfg)
	if err != nil {
		return nil, err
	}
	classifier := classify.New(c, classify.DefaultModel())
	var out []failing
	for i := range c.Services {
		s := &c.Services[i]
		good := true
		for _, text := range complaints {
			found := classifier.Classify(&classify.Input{Text: fmt.Sprintf(text, s.Name), Lang: "en"}, nil)
			good = good && len(found) == 1 && found[0].Service == s.ID && found[0].Label == outcryv1.Label_LABEL_OUTAGE
		}
		if good {
			if out = append(out, failing{s.ID, s.Name}); len(out) == n {
				return out, nil
			}
		}
	}
	return nil, fmt.Errorf("only %d services of the catalog can fail readably; take fewer --outages", len(out))
}

// latencyWriter writes posts in real time.
type latencyWriter struct {
	texts     *benchTexts
	failing   []failing
	rate      int
	length    time.Duration
	rng       *rand.Rand
	minPeople int
	wait      time.Duration

	posts  int64
	took   time.Duration
	behind time.Duration        // at most, in writing
	passed map[int64]time.Time  // when the post was written that lets a step be decided, by the step's end in microseconds
	tipped map[string]time.Time // when the complaint was written that makes an outage of a service
}

// Name of the source.
func (w *latencyWriter) Name() string { return "bench" }

// complaint is one post about a service that fails.
type complaint struct {
	after   time.Duration
	service int
	number  int
}

// Run writes the quiet time before as fast as it can be, and then posts in real time.
func (w *latencyWriter) Run(ctx context.Context, s *source.Session) error {
	var due []complaint
	// The first fails after a while, the last in time to be decided on.
	room := w.length - latencyBurst - 3*detect.Step
	for i := range w.failing {
		begin := detect.Step + time.Duration(float64(room)*w.rng.Float64())
		for n := range latencyPeople {
			due = append(due, complaint{begin + time.Duration(float64(latencyBurst)*float64(n)/latencyPeople), i, n})
		}
	}
	slices.SortFunc(due, func(a, b complaint) int { return int(a.after - b.after) })

	next := uint64(1)
	emit := func(text string, at time.Time, author string) error {
		next++
		w.posts++
		return s.Emit(source.Event{Kind: source.Upsert, Post: post.Post{ID: strconv.FormatUint(next, 10), Source: "bench", Author: author, Text: text, Lang: "en", CreatedAt: at}})
	}
	start := time.Now().Truncate(detect.Step).Add(2 * detect.Step)
	for at := start.Add(-latencyHistory); at.Before(start.Add(-detect.Step)); at = at.Add(time.Minute) {
		if err := emit(w.texts.chatter[w.rng.IntN(len(w.texts.chatter))].Text, at, "quiet"); err != nil {
			return err
		}
	}
	w.posts = 0
	if err := pause(ctx, time.Until(start)); err != nil {
		return err
	}
	gap := time.Second / time.Duration(w.rate)
	step := int64(0)
	for after := time.Duration(0); after < w.length; after += gap {
		at := start.Add(after)
		if early := time.Until(at); early > time.Millisecond {
			if err := pause(ctx, early); err != nil {
				return err
			}
		}
		w.behind = max(w.behind, time.Since(at))
		if end := at.Add(-w.wait).Truncate(detect.Step).UnixMicro(); end > step {
			step = end
			w.passed[end] = time.Now()
		}
		from := w.texts.chatter
		if w.rng.IntN(100) < benchNamed {
			from = w.texts.named
		}
		if err := emit(from[w.rng.IntN(len(from))].Text, at, "person"+strconv.FormatUint(w.rng.Uint64N(benchAuthors), 36)); err != nil {
			return err
		}
		for len(due) > 0 && due[0].after <= after {
			c := due[0]
			due = due[1:]
			f := w.failing[c.service]
			text := fmt.Sprintf(complaints[c.number%len(complaints)], f.name) + " " + strconv.Itoa(c.number) + " " + strconv.FormatUint(w.rng.Uint64(), 36)
			if err := emit(text, at, fmt.Sprintf("complainer-%d-%d", c.service, c.number)); err != nil {
				return err
			}
			if c.number == w.minPeople-1 {
				w.tipped[f.id] = time.Now()
			}
		}
	}
	w.took = time.Since(start)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(max(d, 0)):
		return nil
	}
}

// arrival is when the first state of an incident was read.
type arrival struct {
	at       time.Time
	detected int64 // microseconds
}

// incidentClock notes when each service's first incident arrives.
type incidentClock struct {
	mu    sync.Mutex
	first map[string]arrival
}

// read reads incidents.v1 until ctx ends.
func (c *incidentClock) read(ctx context.Context, b *bus.Bus) error {
	n, err := b.Partitions(ctx, topics.Incidents)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for partition := range n {
		g.Go(func() error {
			r, err := b.Reader(ctx, topics.Incidents, partition, 0)
			if err != nil {
				return err
			}
			defer r.Close()
			for {
				msgs, err := r.Fetch(ctx)
				if err != nil {
					return err
				}
				now := time.Now()
				for _, m := range msgs {
					i := &outcryv1.Incident{}
					if err := proto.Unmarshal(m.Value, i); err != nil {
						return fmt.Errorf("read an incident: %w", err)
					}
					c.mu.Lock()
					if _, known := c.first[i.GetService()]; !known {
						c.first[i.GetService()] = arrival{now, i.GetDetectedAtUs()}
					}
					c.mu.Unlock()
				}
			}
		})
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (w *latencyWriter) result(first map[string]arrival) benchLatencyResult {
	r := benchLatencyResult{CPUs: runtime.GOMAXPROCS(0), Posts: w.posts, Rate: float64(w.posts) / w.took.Seconds(), Behind: w.behind.Seconds(), Outages: len(w.failing)}
	var decisions, whole []time.Duration
	for _, f := range w.failing {
		a, ok := first[f.id]
		tipped, complained := w.tipped[f.id]
		if !ok || !complained {
			continue
		}
		r.Incidents++
		whole = append(whole, a.at.Sub(tipped))
		if passed, ok := w.passed[a.detected]; ok {
			decisions = append(decisions, a.at.Sub(passed))
		}
	}
	r.Decision, r.Post = quantilesOf(decisions), quantilesOf(whole)
	return r
}

func (r benchLatencyResult) write(w io.Writer, asJSON bool) error {
	if r.Incidents == 0 {
		return errors.New("no service that failed has an incident; take a longer --time, or look at what the stages log with --log-level info")
	}
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d posts at %.0f a second (at most %.2f s behind), %d CPUs; %d of %d outages became incidents\n\n", r.Posts, r.Rate, r.Behind, r.CPUs, r.Incidents, r.Outages)
	b.WriteString("seconds to the incident on incidents.v1   median     90 %     99 %      max\n")
	for _, l := range []struct {
		name string
		q    quantiles
	}{{"from the post that lets it be decided", r.Decision}, {"from the complaint that makes it one", r.Post}} {
		fmt.Fprintf(&b, "%-40s %7.2f  %7.2f  %7.2f  %7.2f\n", l.name, l.q.Median, l.q.P90, l.q.P99, l.q.Max)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
