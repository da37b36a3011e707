package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
)

func (a *app) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "check everything that Outcry needs, and say what to do",
		Description: `Checks the configuration, the data folder, the catalog, Kafka with its topics, ClickHouse with its tables, and, by connecting to it, each
source that is enabled (of a Kafka topic it tries the mapping on some of the latest records), and prints a line for each:
ok, or what is wrong and what to do. Changes nothing, but that it fetches the embedded ClickHouse engine where it is needed and missing.
Exits with status 1 if anything is wrong.

Example:
  outcry doctor`,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := wantArgs(cmd, 0, 0, "options"); err != nil {
				return err
			}
			return a.doctor(ctx, cmd)
		},
	}
}

func (a *app) doctor(ctx context.Context, cmd *cli.Command) error {
	wrong := 0
	check := func(what string, f func() (string, error)) {
		found, err := f()
		if err != nil {
			wrong++
			fmt.Fprintf(a.stdout, "wrong  %-12s %v\n", what, err)
			return
		}
		fmt.Fprintf(a.stdout, "ok     %-12s %s\n", what, found)
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	log := a.logger(cfg.Log)
	check("config", func() (string, error) {
		file, err := a.configFile(cmd)
		if file == "" {
			file = "defaults"
		}
		return file + " and the environment", err
	})
	check("data", func() (string, error) {
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return "", fmt.Errorf("data_dir cannot be made: %w", err)
		}
		f, err := os.CreateTemp(cfg.DataDir, "doctor-")
		if err != nil {
			return "", fmt.Errorf("data_dir cannot be written to: %w", err)
		}
		return cfg.DataDir, errors.Join(f.Close(), os.Remove(f.Name()))
	})
	check("catalog", func() (string, error) {
		c, err := loadCatalog(cfg)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d services", len(c.Services)), nil
	})
	check("kafka", func() (string, error) {
		if len(cfg.Kafka.Brokers) == 0 {
			return "embedded, started with `outcry up`", nil
		}
		b := bus.New(kafkaConfig(cfg), log)
		defer b.Close()
		for _, t := range topics.All(cfg.Kafka.Partitions) {
			if _, err := b.Partitions(ctx, t.Name); err != nil {
				return "", fmt.Errorf("%w; the first stage that starts makes the topics", err)
			}
		}
		return joined(cfg.Kafka.Brokers) + ", topics are there", nil
	})
	check("clickhouse", func() (string, error) {
		if cfg.ClickHouse.Address == "" {
			server := clickhouse.DefaultConfig()
			server.DataDir, server.Library, server.Progress = cfg.DataDir, cfg.ClickHouse.Library, a.stderr
			path, err := clickhouse.Library(ctx, server)
			return "embedded, engine at " + path, err
		}
		return a.examineClickHouse(ctx, cfg)
	})
	a.examineSources(ctx, cfg, check)
	if wrong > 0 {
		return fmt.Errorf("%d of the checks found something wrong", wrong)
	}
	return nil
}

func (a *app) examineClickHouse(ctx context.Context, cfg Config) (string, error) {
	st, err := store.Open(clickhouseConfig(cfg), a.logger(cfg.Log))
	if err != nil {
		return "", err
	}
	defer func() { _ = st.Close() }()
	version, err := st.Ping(ctx)
	if err != nil {
		return "", fmt.Errorf("%w; check clickhouse.address, username and password", err)
	}
	migrations, err := st.Migrations(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range migrations {
		if !m.Applied {
			return "", fmt.Errorf("version %s at %s lacks migration %s; run `outcry migrate`", version, cfg.ClickHouse.Address, m.Name)
		}
	}
	return fmt.Sprintf("version %s at %s, tables are there", version, cfg.ClickHouse.Address), nil
}
