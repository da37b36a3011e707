package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
)

func (a *app) benchCommand() *cli.Command {
	return &cli.Command{
		Name:  "bench",
		Usage: "measure the throughput of the whole pipeline, beside a bare kafka-go copy",
		Description: `Writes a firehose of posts to a file (97 in 100 name no service, 5000 a second of event time, few authors write much and many write
little) and measures, by turns on the same engines:

  pipeline  JSON lines → ingest → posts.v1 → classifier → mentions.v1 → aggregator → ClickHouse, until everything is committed
  copy      the same lines, unread, through plain kafka-go: a Writer to one topic, Readers of it, a Writer to a second topic, until the
            brokers have acknowledged everything; lz4 and batches of 4096 records, without consumer groups

It prints posts/s of each, the share of the first in the second, the processor time that a post took in each (without ClickHouse), and the
largest resident memory: that of the pipeline while it runs, with the embedded broker in it, and that of ClickHouse. Both begin after some
posts to get going. Each turn has topics and a database of its own.

The share says more than the posts/s: both halves of a pair meet the same machine in the same minute. Where shares differ much, something
else used the machine: take more pairs, or compare the processor times, which bear that better.

"outcry bench latency" measures the time from a post to its incident, "outcry bench alerts" from there to a receiver, "outcry bench detect" what a
decision costs.

Where kafka.brokers and clickhouse.address are set, those are used, and keep topics and databases whose names begin with bench.

Examples:
  outcry bench
  outcry bench --posts 2000000 --pairs 5 --json
  outcry bench latency
  outcry bench detect
  outcry bench --cpu-profile cpu.pprof && go tool pprof -top cpu.pprof`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "posts", Value: 400_000, Usage: "`NUMBER` of posts in a turn"},
			&cli.IntFlag{Name: "pairs", Value: 3, Usage: "`NUMBER` of times that both are measured"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`NUMBER` from which the posts follow"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
			&cli.StringFlag{Name: "cpu-profile", Usage: "`FILE` for a profile of the pipeline's last turn"},
			&cli.StringFlag{Name: "allocs-profile", Usage: "`FILE` for a profile of all allocations"},
		},
		Commands: []*cli.Command{a.benchLatencyCommand(), a.benchDetectCommand(), a.benchClassifyCommand(), a.benchAPICommand(), a.benchAlertsCommand()},
		Action:   a.bench,
	}
}

// benchResult is what --json prints.
type benchResult struct {
	Posts int         `json:"posts"` // in each turn
	CPUs  int         `json:"cpus"`
	Pairs []benchPair `json:"pairs"`
	Share benchSpread `json:"share"`
	// Largest resident memory, absent where the platform does not tell it.
	ResidentBytes           int64 `json:"resident_bytes,omitempty"`
	ClickHouseResidentBytes int64 `json:"clickhouse_resident_bytes,omitempty"`
}

type benchPair struct {
	Pipeline float64 `json:"pipeline_posts_per_second"`
	Copy     float64 `json:"copy_posts_per_second"`
	Share    float64 `json:"share"`
	// Processor time of this process for a post, absent where the platform does not tell it.
	PipelineCPU float64 `json:"pipeline_cpu_microseconds,omitempty"`
	CopyCPU     float64 `json:"copy_cpu_microseconds,omitempty"`
	Mentions    uint64  `json:"mentions"`
}

type benchSpread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func (a *app) bench(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	posts, pairs := cmd.Int("posts"), cmd.Int("pairs")
	if posts < 1000 || posts > 1_000_000_000 {
		return usagef(cmd, "--posts is %d; expected 1000 to 1000000000", posts)
	}
	if pairs < 1 || pairs > 1000 {
		return usagef(cmd, "--pairs is %d; expected 1 to 1000", pairs)
	}
	cfg, cleanUp, err := a.scratchConfig(cmd)
	if err != nil {
		return err
	}
	defer cleanUp()
	b := &benchmark{cfg: cfg, log: a.logger(cfg.Log), name: "bench-" + time.Now().UTC().Format("20060102t150405"), posts: posts,
		file: filepath.Join(cfg.DataDir, "posts.jsonl"), warmFile: filepath.Join(cfg.DataDir, "warm.jsonl")}
	fmt.Fprintf(a.stderr, "Writing %d posts …\n", posts)
	seed := cmd.Uint64("seed")
	texts, err := newBenchTexts(cfg, seed)
	if err != nil {
		return err
	}
	if err := b.writePosts(ctx, texts, seed); err != nil {
		return err
	}
	e, err := a.startEngines(ctx, cfg, b.log)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	defer a.closing(e)
	b.engines = e

	result := benchResult{Posts: posts, CPUs: runtime.GOMAXPROCS(0)}
	for i := range pairs {
		var profile string
		if i == pairs-1 {
			profile = cmd.String("cpu-profile")
		}
		pair, resident, err := b.pair(ctx, i, profile)
		if err != nil {
			return orInterrupted(ctx, err)
		}
		fmt.Fprintf(a.stderr, "pair %d: %.0f posts/s through the pipeline, %.0f copied\n", i+1, pair.Pipeline, pair.Copy)
		result.Pairs = append(result.Pairs, pair)
		result.ResidentBytes = max(result.ResidentBytes, resident)
	}
	if e.server != nil {
		result.ClickHouseResidentBytes = peakResident(e.server.PID())
	}
	result.Share = spread(result.Pairs)
	if name := cmd.String("allocs-profile"); name != "" {
		if err := writeProfile(name, func(w io.Writer) error { return pprof.Lookup("allocs").WriteTo(w, 0) }); err != nil {
			return err
		}
	}
	if cmd.Bool("json") {
		return json.NewEncoder(a.stdout).Encode(result)
	}
	return result.write(a.stdout)
}

func spread(pairs []benchPair) benchSpread {
	shares := make([]float64, len(pairs))
	for i, p := range pairs {
		shares[i] = p.Share
	}
	slices.Sort(shares)
	n := len(shares)
	return benchSpread{Median: (shares[(n-1)/2] + shares[n/2]) / 2, Min: shares[0], Max: shares[n-1]}
}

// write prints what a person reads.
func (r benchResult) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d posts a turn, %d CPUs\n\n          posts/s                          CPU µs a post\n", r.Posts, r.CPUs)
	b.WriteString("          pipeline  kafka-go copy  share   pipeline  kafka-go copy\n")
	for i, p := range r.Pairs {
		fmt.Fprintf(&b, "pair %-3d  %8.0f  %13.0f  %5.2f   %8.1f  %13.1f\n", i+1, p.Pipeline, p.Copy, p.Share, p.PipelineCPU, p.CopyCPU)
	}
	fmt.Fprintf(&b, "\nshare: %.2f in the middle, %.2f to %.2f\n", r.Share.Median, r.Share.Min, r.Share.Max)
	fmt.Fprintf(&b, "largest resident memory: pipeline %s, ClickHouse %s\n", mebibytes(r.ResidentBytes), mebibytes(r.ClickHouseResidentBytes))
	_, err := io.WriteString(w, b.String())
	return err
}

func mebibytes(n int64) string {
	if n == 0 {
		return "not known here"
	}
	return fmt.Sprintf("%d MiB", (n+1<<19)>>20)
}

// writeProfile writes a profile to a file.
func writeProfile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	return cmp.Or(write(f), f.Close())
}
