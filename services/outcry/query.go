package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v3"
)

// maxQueryBytes bounds a statement that is read from standard input.
const maxQueryBytes = 1 << 20

func (a *app) queryCommand() *cli.Command {
	return &cli.Command{
		Name:      "query",
		Usage:     "ask ClickHouse in SQL",
		ArgsUsage: "SQL",
		Description: `Runs one SELECT at clickhouse.address or on the data of the embedded engine in data_dir, and prints a JSON object a row. It runs as a user
who reads Outcry's tables and views and nothing else: no table functions, files, addresses or system tables; limits of time, rows and memory hold.
The view documentation says what every column is.

Examples:
  outcry query "SELECT service, sum(people) AS p FROM service_minute_counts WHERE label = 'outage' GROUP BY service ORDER BY p DESC LIMIT 5"
  outcry query "SELECT relation, column, comment FROM documentation"
  outcry query - < question.sql`,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := wantArgs(cmd, 1, 1, "SQL"); err != nil {
				return err
			}
			sql := cmd.Args().First()
			if sql == "-" {
				b, err := io.ReadAll(io.LimitReader(a.stdin, maxQueryBytes+1))
				if err != nil {
					return fmt.Errorf("read the statement: %w", err)
				}
				if len(b) > maxQueryBytes {
					return fmt.Errorf("the statement has more than %d bytes", maxQueryBytes)
				}
				sql = string(b)
			}
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			return a.query(ctx, cfg, sql)
		},
	}
}

func (a *app) query(ctx context.Context, cfg Config, sql string) (err error) {
	if err := mustHoldData(cfg); err != nil {
		return err
	}
	st, end, err := a.openStore(ctx, cfg, a.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer end()
	out := bufio.NewWriter(a.stdout)
	defer func() { err = errors.Join(err, out.Flush()) }()
	var names [][]byte
	return st.Analyse(ctx, sql, func(columns []string) error {
		for _, c := range columns {
			name, err := json.Marshal(c)
			if err != nil {
				return err
			}
			names = append(names, name)
		}
		return nil
	}, func(values []any) error {
		line := []byte{'{'}
		for i, v := range values {
			cell, err := json.Marshal(v)
			if err != nil {
				return fmt.Errorf("column %s: %w", names[i], err)
			}
			if i > 0 {
				line = append(line, ',')
			}
			line = append(append(append(line, names[i]...), ':'), cell...)
		}
		_, err := out.Write(append(line, '}', '\n'))
		return err
	})
}

// mustHoldData refuses to make an empty database only to find nothing in it.
func mustHoldData(cfg Config) error {
	if cfg.ClickHouse.Address != "" {
		return nil
	}
	_, err := os.Stat(filepath.Join(cfg.DataDir, "clickhouse"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data_dir %s holds no data: fill it with `outcry up` or `outcry replay --keep %[1]s`, or set clickhouse.address", cfg.DataDir)
	}
	return err
}
