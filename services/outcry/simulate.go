package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/simulate"
)

func (a *app) simulateCommand() *cli.Command {
	return &cli.Command{
		Name:  "simulate",
		Usage: "write posts of an invented day, with the truth about its outages",
		Description: `Prints the posts of a scenario as JSON lines, in order of event time, in the format that "outcry replay" and "outcry classify" read.
The field "truth" has what the writer meant: [{"service":"skype","label":"outage","symptom":"login"}]. The same scenario, seed and
volume always give the same bytes. --truth writes the real outages, one JSON line each:

  {"service":"skype","kind":"total","start":"2010-12-22T16:02:00Z","end":"…","official":"…","symptoms":["login"]}

Examples:
  outcry simulate --list
  outcry simulate --seed 7 --truth truth.jsonl > posts.jsonl
  outcry simulate --volume 0.1 | outcry classify -`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "scenario", Value: simulate.Scenarios()[0].Name, Usage: "`NAME` of the scenario"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`NUMBER` from which everything random follows"},
			&cli.Float64Flag{Name: "volume", Value: 1, Usage: "`FACTOR` for the number of posts, and of people"},
			&cli.StringFlag{Name: "truth", Usage: "`FILE` for the real outages"},
			&cli.BoolFlag{Name: "list", Usage: "list the scenarios"},
		},
		Action: a.simulate,
	}
}

func (a *app) simulate(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	if cmd.Bool("list") {
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		for _, s := range simulate.Scenarios() {
			fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Description)
		}
		return w.Flush()
	}
	scenario, err := simulate.Lookup(cmd.String("scenario"))
	if err != nil {
		return usagef(cmd, "%w", err)
	}
	volume := cmd.Float64("volume")
	if !(volume > 0 && volume <= 10_000) {
		return usagef(cmd, "--volume is %v; expected a number above 0, at most 10000", volume)
	}
	scenario.Volume *= volume
	if err := inFolder(cmd, "truth"); err != nil {
		return err
	}

	out := bufio.NewWriterSize(a.stdout, 256<<10)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	truth, err := scenario.Generate(cmd.Uint64("seed"), func(p simulate.Labelled) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return encoder.Encode(p)
	})
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if name := cmd.String("truth"); name != "" {
		return writeTruth(name, truth)
	}
	return nil
}

func writeTruth(name string, truth []simulate.Truth) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write the truth: %w", err)
	}
	encoder := json.NewEncoder(file)
	encoder.SetEscapeHTML(false)
	for _, t := range truth {
		if err := encoder.Encode(t); err != nil {
			return errors.Join(fmt.Errorf("write the truth: %w", err), file.Close())
		}
	}
	return file.Close()
}
