package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest"
	"outcry.dev/services/ingest/files"
)

func (a *app) replayCommand() *cli.Command {
	return &cli.Command{
		Name:      "replay",
		Usage:     "old posts through the whole pipeline, as fast as the machine allows",
		ArgsUsage: "FILE…",
		Description: `Reads posts from files (plain, .gz, .bz2; - is standard input), runs every stage in the posts' own time, and prints the incidents as
JSON lines, in the order of their start:

  {"id":"skype-20101222T1602","service":"skype","state":"resolved","severity":"critical","started_at":"2010-12-22T16:02:00Z",…}

Several files are read as one stream in event time. Lines that cannot be read go to the topic dead.v1, with file, line and reason, and
the run goes on; where none can be read, it fails. Progress goes to standard error. Nothing is alerted.

The engines are embedded and their data is removed at the end, unless --keep names a folder for it; what is kept can be asked with
` + "`outcry query`" + ` and looked at in a browser with ` + "`outcry api`" + `, with data_dir set to that folder.
Where kafka.brokers or clickhouse.address are set, those are used, and must hold nothing yet: set kafka.prefix and clickhouse.database
to names of the replay's own.

Formats: ` + strings.Join(files.Formats(), ", ") + `

Examples:
  outcry replay --format jsonl posts.jsonl.gz > incidents.jsonl
  outcry replay --format twitter-v1 2010-12-22-*.json.bz2
  outcry simulate --scenario cloud-failure | outcry replay -`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "jsonl", Usage: "`FORMAT` of the files"},
			&cli.StringFlag{Name: "keep", Usage: "`FOLDER` in which the engines' data is kept"},
		},
		Action: a.replay,
	}
}

func (a *app) replay(ctx context.Context, cmd *cli.Command) error {
	if cmd.Args().Len() == 0 {
		return usagef(cmd, "FILE is missing; - is standard input")
	}
	decode, err := files.Format(cmd.String("format"))
	if err != nil {
		return usagef(cmd, "--format: %w", err)
	}
	keep := cmd.String("keep")
	if info, err := os.Stat(keep); err == nil && !info.IsDir() {
		return usagef(cmd, "--keep is %q, which is no folder", keep)
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	cleanUp, err := scratch(&cfg, keep)
	if err != nil {
		return err
	}
	defer cleanUp()
	log := a.logger(cfg.Log)

	e, err := a.startEngines(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer a.closing(e)
	if err := e.mustBeEmpty(ctx); err != nil {
		return err
	}
	p, err := newParts(ctx, cfg, e, log)
	if err != nil {
		return err
	}
	in := a.files(ctx, cmd.Args().Slice(), decode)
	stages := pipeline{engines: e, ingest: p.ingest(false, in), classifier: p.classifier(), aggregator: p.aggregator()}
	started := time.Now()
	status := a.status(func() string {
		c := stages.ingest.Counts()
		return fmt.Sprintf("%d posts read, up to %s", c.Posts, c.Newest.Format(time.RFC3339))
	})
	err = stages.run(ctx, e.drained)
	status.end()
	if err != nil || ctx.Err() != nil {
		return orInterrupted(ctx, err)
	}
	c := stages.ingest.Counts()
	elapsed := time.Since(started)
	fmt.Fprintf(a.stderr, "%d posts, %d deletes, %d unreadable in %s (%.0f posts/s)\n",
		c.Posts, c.Deletes, c.Unreadable, elapsed.Round(time.Millisecond), float64(c.Posts)/elapsed.Seconds())
	if err := a.printIncidents(ctx, e); err != nil {
		return err
	}
	return nothingRead(c)
}

// nothingRead is the error of files of another format than was said.
func nothingRead(c ingest.Counts) error {
	if c.Unreadable == 0 || c.Posts+c.Deletes > 0 {
		return nil
	}
	return fmt.Errorf("nothing could be read of %d lines; is --format right? It is one of %s", c.Unreadable, strings.Join(files.Formats(), ", "))
}

// scratch points the data folder at one that is kept, or at a temporary one. The function that it returns removes the latter.
func scratch(cfg *Config, keep string) (func(), error) {
	if keep != "" {
		cfg.DataDir = keep
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "outcry-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	cfg.DataDir = dir
	return func() { _ = os.RemoveAll(dir) }, nil
}

// scratchConfig is the configuration for work in a temporary folder, which the function that it returns removes; it logs warnings alone unless told otherwise.
func (a *app) scratchConfig(cmd *cli.Command) (Config, func(), error) {
	cfg, err := a.config(cmd)
	if err != nil {
		return cfg, nil, err
	}
	if cmd.String("log-level") == "" {
		cfg.Log.Level = "warn"
	}
	cleanUp, err := scratch(&cfg, "")
	return cfg, cleanUp, err
}

// closing ends the engines and says where that failed.
func (a *app) closing(e *engines) {
	if err := e.close(); err != nil {
		a.printError(fmt.Errorf("end the engines: %w", err))
	}
}

// mustBeEmpty refuses engines that hold posts already: old posts would be late for all decisions.
func (e *engines) mustBeEmpty(ctx context.Context) error {
	for _, topic := range []string{topics.Posts, topics.Mentions} {
		offsets, err := e.bus.Offsets(ctx, topic)
		if err != nil {
			return err
		}
		for _, o := range offsets {
			if o.Next > 0 {
				return fmt.Errorf("%s%s at %s holds records already; old posts need topics and tables of their own: set kafka.prefix and clickhouse.database, or another --keep",
					e.kafka.Prefix, topic, strings.Join(e.kafka.Brokers, ","))
			}
		}
	}
	return nil
}

// printIncidents prints the latest state of each incident, by start.
func (a *app) printIncidents(ctx context.Context, e *engines) error {
	incidents, err := e.incidents(ctx)
	if err != nil {
		return err
	}
	for _, i := range incidents {
		line, err := incident.JSON(i)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.stdout, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// incidents returns the latest state of each incident on incidents.v1, by start.
func (e *engines) incidents(ctx context.Context) ([]*outcryv1.Incident, error) {
	offsets, err := e.bus.Offsets(ctx, topics.Incidents)
	if err != nil {
		return nil, err
	}
	latest := map[string]*outcryv1.Incident{}
	for partition, o := range offsets {
		r, err := e.bus.Reader(ctx, topics.Incidents, partition, o.First)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		for r.Offset() < o.Next {
			msgs, err := r.Fetch(ctx)
			if err != nil {
				return nil, err
			}
			for _, m := range msgs {
				i := &outcryv1.Incident{}
				if err := proto.Unmarshal(m.Value, i); err != nil {
					return nil, fmt.Errorf("read %s/%d at %d: %w", topics.Incidents, partition, m.Offset, err)
				}
				if before := latest[i.GetId()]; before == nil || before.GetRevision() <= i.GetRevision() {
					latest[i.GetId()] = i
				}
			}
		}
	}
	out := make([]*outcryv1.Incident, 0, len(latest))
	for _, i := range latest {
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b *outcryv1.Incident) int {
		if d := a.GetStartedAtUs() - b.GetStartedAtUs(); d != 0 {
			return int(d)
		}
		return strings.Compare(a.GetId(), b.GetId())
	})
	return out, nil
}

func orInterrupted(ctx context.Context, err error) error {
	if err == nil {
		err = ctx.Err()
	}
	return err
}
