package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"

	"outcry.dev/services/ingest/files"
	"outcry.dev/services/ingest/source"
)

func (a *app) upCommand() *cli.Command {
	return &cli.Command{
		Name:      "up",
		Usage:     "the whole pipeline, live, engines included",
		ArgsUsage: "[FILE…]",
		Description: `Runs every stage in one process: it listens, classifies, counts, alerts (JSON lines on standard output, and the webhook if one is set)
and serves pages at api.listen. Kafka and ClickHouse are embedded, with their data in data_dir, unless kafka.brokers and
clickhouse.address name others.

Without a FILE it listens to the sources that the section ingest enables: Bluesky, unless told otherwise. With FILE it reads posts from files, or from - as they arrive, and
goes on serving what they gave.

Examples:
  outcry up
  tail -F posts.jsonl | outcry up -`,
		Flags:  []cli.Flag{&cli.StringFlag{Name: "format", Value: "jsonl", Usage: "`FORMAT` of the files"}, followFlag()},
		Action: a.up,
	}
}

func (a *app) up(ctx context.Context, cmd *cli.Command) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	log := a.logger(cfg.Log)
	e, err := a.startEngines(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer a.closing(e)
	p, err := newParts(ctx, cfg, e, log)
	if err != nil {
		return err
	}
	in, live, err := p.sources(ctx, a, cmd)
	if err != nil {
		return err
	}
	stages := pipeline{engines: e, ingest: p.ingest(live, in...), classifier: p.classifier(), aggregator: p.aggregator(),
		alerter: p.alerter(a.stdout), api: p.api()}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return announce(ctx, stages.api.Addr, log) })
	g.Go(func() error {
		return stages.run(ctx, func(ctx context.Context) error {
			<-ctx.Done() // the files are read; what they gave is served until somebody ends it
			return nil
		})
	})
	return g.Wait()
}

// sources are what a command listens to: the files that it names, or the live sources of the configuration.
func (p *parts) sources(ctx context.Context, a *app, cmd *cli.Command) (all []source.Source, live bool, err error) {
	decode, err := files.Format(cmd.String("format"))
	if err != nil {
		return nil, false, usagef(cmd, "--format: %w", err)
	}
	if cmd.Bool("follow") {
		return followed(cmd, decode)
	}
	if cmd.Args().Present() {
		return []source.Source{a.files(ctx, cmd.Args().Slice(), decode)}, false, nil
	}
	all, err = p.cfg.Ingest.Sources(source.Deps{Log: p.log, Catalog: p.catalog, Held: p.engines.store.HeldPosts})
	if err != nil {
		return nil, false, fmt.Errorf("ingest: %w", err)
	}
	if len(all) == 0 {
		return nil, false, usagef(cmd, "nothing to listen to: no source is enabled in the section ingest, and no FILE is given")
	}
	return all, true, nil
}

func followFlag() cli.Flag {
	return &cli.BoolFlag{Name: "follow", Usage: "go on reading files as they grow, and after a restart where it was"}
}

// followed are files that grow.
func followed(cmd *cli.Command, decode files.Decode) (all []source.Source, live bool, err error) {
	for _, name := range cmd.Args().Slice() {
		if name == "-" {
			return nil, false, usagef(cmd, "--follow: standard input is followed by itself; leave the option out")
		}
		f, err := files.Follow(name, decode)
		if err != nil {
			return nil, false, err
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		return nil, false, usagef(cmd, "--follow: FILE is missing")
	}
	return all, true, nil
}
