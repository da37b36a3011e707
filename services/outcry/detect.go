package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/detect/series"
)

func (a *app) detectCommand() *cli.Command {
	return &cli.Command{
		Name:  "detect",
		Usage: "judge counts in a CSV file: what was expected, and how unusual each row is",
		Description: `Reads a header and rows of timestamp,value and, where the file holds several series, service; other columns are ignored. Times are
RFC 3339 or "2006-01-02 15:04:05" (UTC), in order for each service; values are counts. Files may be compressed with gzip or bzip2.

  timestamp,value,service
  2020-03-01T10:00:00Z,3,apple

Prints timestamp,value,expected,score,alarm[,service], one row for each row read, judged from the rows before it alone. The score,
0 to 1, is how much news a row is; alarm is 1 while an incident would be open, else 0.

A row that cannot be read ends the run with status 1, after the rows before it are written.

Examples:
  outcry detect --csv reports.csv > judged.csv
  zcat counts.csv.gz | outcry detect --csv - --interval 5m`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "csv", Usage: "`FILE` to judge, - for standard input"},
			&cli.DurationFlag{Name: "interval", HideDefault: true, Usage: "`TIME` from row to row, such as 5m (default: as the rows are apart)"},
		},
		Action: a.detect,
	}
}

func (a *app) detect(ctx context.Context, cmd *cli.Command) error {
	name := cmd.String("csv")
	if name == "" {
		return usagef(cmd, "name the file with --csv FILE; - is standard input")
	}
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	// The configuration has no say in this, but a fault in it is told wherever it is met.
	if _, err := a.config(cmd); err != nil {
		return err
	}
	file, err := a.open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if name == "-" {
		name = "standard input"
	}
	if err := series.Run(file, a.stdout, cmd.Duration("interval")); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
