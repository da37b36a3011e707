package main

import (
	"context"
	"fmt"
	"time"

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
0 to 1, is how far a row exceeds the bursts that its series has anyway, in terms of their spread: 0.5 for one standard deviation. What was
announced within the last eleven hours is no news, so an event has one high score, at its beginning; one threshold, about 0.25, serves many
series. alarm is 1 while an incident would be open, else 0; each run of ones is one alarm.

--budget says how many false alarms a month each series may have; the thresholds follow from it. The last 1, 2, 3 or 6 rows raise an alarm
where, by the negative binomial distribution around what is usual at that time of the week, so many would come by chance less often than
the budget allows, over all places at which such a window could lie; where they also exceed the highest of the usual day and a
half by 0.9 standard deviations of its logarithm for a budget of 1, 2.1 for 0.1 and 0 for 3; and where they are 5 or more.

The first 12 rows get neither score nor alarm: any level may be usual. In the days after, little is known, so more is asked for; the
time of the day is learned within about three days, and the usual bursts within two weeks.

A row that cannot be read ends the run with status 1, after the rows before it are written.

Examples:
  outcry detect --csv reports.csv > judged.csv
  zcat counts.csv.gz | outcry detect --csv - --interval 5m --budget 0.1`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "csv", Usage: "`FILE` to judge, - for standard input"},
			&cli.DurationFlag{Name: "interval", HideDefault: true, Usage: "`TIME` from row to row, such as 5m (default: as the rows are apart)"},
			&cli.Float64Flag{Name: "budget", Value: 1, Usage: "`NUMBER` of false alarms a month for each series"},
		},
		Action: a.detect,
	}
}

// mostInterval is the longest interval that series takes.
const mostInterval = 31 * 24 * time.Hour

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
	budget := cmd.Float64("budget")
	if !(budget > 0 && budget <= 1000) {
		return usagef(cmd, "--budget is %v; expected more than 0, at most 1000", budget)
	}
	interval := cmd.Duration("interval")
	if cmd.IsSet("interval") && (interval < time.Second || interval > mostInterval) {
		return usagef(cmd, "--interval is %s; expected 1s to 744h, such as 5m", interval)
	}
	file, err := a.open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if name == "-" {
		name = "standard input"
	}
	if err := series.Run(file, a.stdout, interval, budget); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
