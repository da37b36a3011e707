package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"outcry.dev/pkg/bus/barecopy"
	"outcry.dev/pkg/topics"
	"outcry.dev/services/ingest/files"
	"outcry.dev/services/ingest/source"
)

// benchmark is what all turns share.
type benchmark struct {
	cfg            Config
	log            *slog.Logger
	engines        *engines
	name           string // begins the names of topics and databases
	posts, warm    int
	file, warmFile string
}

// spent is what a turn took.
type spent struct{ wall, cpu time.Duration }

// stopwatch starts to measure; what it returns ends that.
func stopwatch() func() spent {
	started, cpu := time.Now(), processorTime()
	return func() spent { return spent{wall: time.Since(started), cpu: processorTime() - cpu} }
}

// pair measures the pipeline and the copy, one after the other.
func (b *benchmark) pair(ctx context.Context, number int, profile string) (pair benchPair, resident int64, err error) {
	name := fmt.Sprintf("%s-%d", b.name, number+1)
	perPost := func(s spent) (rate, cpu float64) {
		return float64(b.posts) / s.wall.Seconds(), float64(s.cpu) / float64(time.Microsecond) / float64(b.posts)
	}
	took, resident, mentions, err := b.pipeline(ctx, name, profile)
	if err != nil {
		return pair, 0, err
	}
	pair.Mentions = mentions
	pair.Pipeline, pair.PipelineCPU = perPost(took)
	if took, err = b.copy(ctx, name); err != nil {
		return pair, 0, err
	}
	pair.Copy, pair.CopyCPU = perPost(took)
	pair.Share = pair.Pipeline / pair.Copy
	return pair, resident, nil
}

// pipeline measures one turn of the pipeline, and sees to it that every post was counted.
func (b *benchmark) pipeline(ctx context.Context, name, profile string) (took spent, resident int64, mentions uint64, err error) {
	e := &engines{kafka: b.engines.kafka, click: b.engines.click, server: b.engines.server}
	e.kafka.Prefix += name + "."
	e.click.Database += "_" + strings.ReplaceAll(name, "-", "_")
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.open(ctx, b.cfg, b.log); err != nil {
		return took, 0, 0, err
	}
	p, err := newParts(ctx, b.cfg, e, b.log)
	if err != nil {
		return took, 0, 0, err
	}
	src := &benchSource{bench: b, engines: e, profile: profile}
	stages := pipeline{engines: e, ingest: p.ingest(false, src), classifier: p.classifier(), aggregator: p.aggregator()}
	debug.FreeOSMemory() // what the last turn left is not this one's
	resetPeakResident()
	err = stages.run(ctx, func(ctx context.Context) error {
		err := e.drained(ctx)
		took = src.stop()
		return errors.Join(err, src.stopProfile())
	})
	resident = peakResident(os.Getpid())
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return took, 0, 0, errors.Join(err, src.stopProfile())
	}
	counted, err := e.count(ctx, "SELECT sum(posts) FROM source_minutes FINAL")
	if err == nil && counted != uint64(b.warm+b.posts) {
		err = fmt.Errorf("ClickHouse counts %d posts, %d were read", counted, b.warm+b.posts)
	}
	if err != nil {
		return took, 0, 0, err
	}
	mentions, err = e.count(ctx, "SELECT count() FROM mentions FINAL")
	return took, resident, mentions, err
}

// count returns the number that a query asks for.
func (e *engines) count(ctx context.Context, query string) (n uint64, err error) {
	err = e.store.Query(ctx, query, func([]string) error { return nil }, func(values []any) error {
		var ok bool
		if n, ok = values[0].(uint64); !ok {
			return fmt.Errorf("%s: %T is no count", query, values[0])
		}
		return nil
	})
	return n, err
}

// copy measures one turn of the bare copy.
func (b *benchmark) copy(ctx context.Context, name string) (took spent, err error) {
	c, err := barecopy.Start(ctx, barecopy.Config{Brokers: b.engines.kafka.Brokers, Partitions: b.cfg.Kafka.Partitions,
		From: name + ".from", To: name + ".to"})
	if err != nil {
		return took, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for _, file := range []string{b.warmFile, b.file} {
		f, err := os.Open(file)
		if err != nil {
			return took, err
		}
		debug.FreeOSMemory()
		stop := stopwatch()
		_, err = c.Copy(ctx, f)
		took = stop()
		if err := errors.Join(err, f.Close()); err != nil {
			return took, fmt.Errorf("bare copy: %w", err)
		}
	}
	return took, nil
}

// benchSource gives the posts that the stages get going with, waits until these have passed, and then gives those to be measured.
type benchSource struct {
	bench   *benchmark
	engines *engines
	profile string       // file for a CPU profile, or nothing
	stop    func() spent // set once the posts to be measured begin

	profiling io.Closer
}

// Name is that of the only source there is.
func (s *benchSource) Name() string { return "bench" }

// Run gives all posts.
func (s *benchSource) Run(ctx context.Context, in *source.Session) error {
	if err := s.read(ctx, s.bench.warmFile, in); err != nil {
		return err
	}
	if err := s.passed(ctx); err != nil {
		return err
	}
	if err := s.startProfile(); err != nil {
		return err
	}
	s.stop = stopwatch()
	return s.read(ctx, s.bench.file, in)
}

func (s *benchSource) read(ctx context.Context, name string, in *source.Session) error {
	decode, err := files.Format("jsonl")
	if err != nil {
		return err
	}
	return (&files.Source{Names: []string{name}, Decode: decode, Now: time.Now()}).Run(ctx, in)
}

// passed waits until the first posts have been written and everything is committed.
func (s *benchSource) passed(ctx context.Context) error {
	for written := int64(0); written < int64(s.bench.warm); {
		offsets, err := s.engines.bus.Offsets(ctx, topics.Posts)
		if err != nil {
			return err
		}
		written = 0
		for _, o := range offsets {
			written += o.Next
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return s.engines.drained(ctx)
}

func (s *benchSource) startProfile() error {
	if s.profile == "" {
		return nil
	}
	f, err := os.Create(s.profile)
	if err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	s.profiling = f
	return pprof.StartCPUProfile(f)
}

// stopProfile ends the profile, if one is being taken.
func (s *benchSource) stopProfile() error {
	if s.profiling == nil {
		return nil
	}
	pprof.StopCPUProfile()
	f := s.profiling
	s.profiling = nil
	return f.Close()
}
