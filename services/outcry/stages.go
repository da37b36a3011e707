package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"
)

// stageCommands run one stage, or the engines, by themselves.
func (a *app) stageCommands() []*cli.Command {
	stage := func(name, usage, what string, run func(ctx context.Context, p *parts) error) *cli.Command {
		return &cli.Command{
			Name:  name,
			Usage: usage,
			Description: what + `
It needs kafka.brokers and clickhouse.address, and works until it is interrupted. Several of it share the work.

Example:
  OUTCRY_KAFKA_BROKERS=kafka:9092 OUTCRY_CLICKHOUSE_ADDRESS=clickhouse:9000 outcry ` + name,
			Action: func(ctx context.Context, cmd *cli.Command) error {
				if err := wantArgs(cmd, 0, 0, "options"); err != nil {
					return err
				}
				return a.runStage(ctx, cmd, run)
			},
		}
	}
	return []*cli.Command{
		a.enginesCommand(),
		a.ingestCommand(),
		stage("classifier", "posts to mentions", "Reads posts.v1, finds what each post says of which service, and writes mentions.v1.",
			func(ctx context.Context, p *parts) error { return p.classifier().Run(ctx) }),
		stage("aggregator", "mentions to counts and incidents", "Reads mentions.v1, counts people, judges, and writes ClickHouse and incidents.v1.",
			func(ctx context.Context, p *parts) error { return p.aggregator().Run(ctx) }),
		stage("alerter", "incidents to people", "Reads incidents.v1, pages through Alertmanager, and delivers each change to standard output and to the webhook.",
			func(ctx context.Context, p *parts) error { return p.alerter(a.stdout).Run(ctx) }),
		a.apiCommand(),
	}
}

// runStage connects to the engines and runs one stage beside its metrics.
func (a *app) runStage(ctx context.Context, cmd *cli.Command, run func(ctx context.Context, p *parts) error) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	log := a.logger(cfg.Log)
	e, err := connectEngines(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer a.closing(e)
	p, err := newParts(ctx, cfg, e, log)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error { return serveMetrics(ctx, cfg.Metrics.Listen, p.registry) })
	g.Go(func() error {
		defer stop()
		return run(ctx, p)
	})
	return g.Wait()
}

func (a *app) apiCommand() *cli.Command {
	return &cli.Command{
		Name:  "api",
		Usage: "pages and JSON",
		Description: `Serves pages, charts and JSON at api.listen, from the ClickHouse at clickhouse.address or, where that is empty, from the data of the
embedded engine in data_dir, such as "outcry replay --keep" leaves behind. Works until it is interrupted.

Examples:
  OUTCRY_CLICKHOUSE_ADDRESS=clickhouse:9000 outcry api
  OUTCRY_DATA_DIR=kept outcry api`,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := wantArgs(cmd, 0, 0, "options"); err != nil {
				return err
			}
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			return a.serve(ctx, cfg, a.logger(cfg.Log))
		},
	}
}

// serve runs the api alone: it needs no Kafka.
func (a *app) serve(ctx context.Context, cfg Config, log *slog.Logger) error {
	st, end, err := a.openStoreFor(ctx, cfg, 0, log)
	if err != nil {
		return err
	}
	defer end()
	if _, err := st.Migrate(ctx); err != nil {
		return err
	}
	p, err := newParts(ctx, cfg, &engines{store: st}, log)
	if err != nil {
		return err
	}
	server := p.api()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx) })
	g.Go(func() error { return announce(ctx, server.Addr, log) })
	return g.Wait()
}

func announce(ctx context.Context, addr func(context.Context) (string, error), log *slog.Logger) error {
	address, err := addr(ctx)
	if err != nil {
		return nil //nolint:nilerr // the server returns it too
	}
	log.Info("serving", "address", "http://"+address+"/")
	return nil
}

func (a *app) ingestCommand() *cli.Command {
	return &cli.Command{
		Name:      "ingest",
		Usage:     "posts into posts.v1, live or from files",
		ArgsUsage: "[FILE…]",
		Description: `Without a FILE it listens to the sources that the section ingest enables (Bluesky, unless told otherwise) until it is interrupted. With FILE it reads posts from files
(- is standard input), writes them to posts.v1, and ends when they are written; with --follow it waits for what they grow by. It needs kafka.brokers and clickhouse.address.
What cannot be read goes to dead.v1, with file or address, line and reason.

Examples:
  OUTCRY_KAFKA_BROKERS=kafka:9092 OUTCRY_CLICKHOUSE_ADDRESS=clickhouse:9000 outcry ingest
  zcat posts.jsonl.gz | OUTCRY_KAFKA_BROKERS=kafka:9092 OUTCRY_CLICKHOUSE_ADDRESS=clickhouse:9000 outcry ingest -`,
		Flags: []cli.Flag{&cli.StringFlag{Name: "format", Value: "jsonl", Usage: "`FORMAT` of the files"}, followFlag()},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			return a.runStage(ctx, cmd, func(ctx context.Context, p *parts) error {
				in, live, err := p.sources(ctx, a, cmd)
				if err != nil {
					return err
				}
				s := p.ingest(live, in...)
				if err := s.Run(ctx); err != nil {
					return err
				}
				c := s.Counts()
				fmt.Fprintf(a.stderr, "%d posts, %d deletes, %d unreadable\n", c.Posts, c.Deletes, c.Unreadable)
				if live {
					return nil // interrupted, as was meant
				}
				return ctx.Err()
			})
		},
	}
}

func (a *app) enginesCommand() *cli.Command {
	return &cli.Command{
		Name:  "engines",
		Usage: "the embedded Kafka and ClickHouse alone",
		Description: `Starts the embedded engines on loopback, with their data in data_dir, makes topics and tables, and prints the variables with which the
stages find them. Works until it is interrupted.

Example:
  outcry engines > engines.env &
  set -a; . ./engines.env; outcry classifier`,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := wantArgs(cmd, 0, 0, "options"); err != nil {
				return err
			}
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
			fmt.Fprintf(a.stdout, "OUTCRY_KAFKA_BROKERS=%s\nOUTCRY_CLICKHOUSE_ADDRESS=%s\nOUTCRY_CLICKHOUSE_HTTP_ADDRESS=%s\nOUTCRY_CLICKHOUSE_USERNAME=%s\nOUTCRY_CLICKHOUSE_PASSWORD=%s\n",
				joined(e.kafka.Brokers), e.click.Address, e.click.HTTPAddress, e.click.Username, e.click.Password)
			var ended <-chan struct{}
			if e.server != nil {
				ended = e.server.Done()
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ended:
				return fmt.Errorf("the embedded ClickHouse has ended: %w", e.server.Err())
			}
		},
	}
}

func (a *app) migrateCommand() *cli.Command {
	return &cli.Command{
		Name:  "migrate",
		Usage: "make the tables in ClickHouse, or say which are missing",
		Description: `Applies the migrations that the server at clickhouse.address lacks and prints their names. Every stage does so when it starts; this command
is for those who want to do it first, by hand or with another user.

Examples:
  OUTCRY_CLICKHOUSE_ADDRESS=clickhouse:9000 outcry migrate
  outcry migrate --status`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "status", Usage: "list the migrations and change nothing"}},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := wantArgs(cmd, 0, 0, "options"); err != nil {
				return err
			}
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			return a.migrate(ctx, cfg, cmd.Bool("status"))
		},
	}
}

func (a *app) migrate(ctx context.Context, cfg Config, statusOnly bool) error {
	log := a.logger(cfg.Log)
	st, end, err := a.openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer end()
	if !statusOnly {
		applied, err := st.Migrate(ctx)
		for _, name := range applied {
			fmt.Fprintf(a.stdout, "applied\t%s\n", name)
		}
		return err
	}
	migrations, err := st.Migrations(ctx)
	for _, m := range migrations {
		state := "missing"
		if m.Applied {
			state = "applied"
		}
		fmt.Fprintf(a.stdout, "%s\t%s\n", state, m.Name)
	}
	return err
}
