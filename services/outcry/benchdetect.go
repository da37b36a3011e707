package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/detect"
)

func (a *app) benchDetectCommand() *cli.Command {
	return &cli.Command{
		Name:  "detect",
		Usage: "measure what a decision costs",
		Description: `Judges services that are all spoken of, every 10 s of event time, on one core, and prints the processor time of one evaluation of one service
(four windows), quarter hours included, in which expectations and thresholds are worked out anew; and the share of a core that so many
services would take if all of them were spoken of all the time.

Examples:
  outcry bench detect
  outcry bench detect --services 50000 --json`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "services", Value: 12_000, Usage: "`NUMBER` of services"},
			&cli.DurationFlag{Name: "time", Value: time.Hour, Usage: "`TIME` of the posts that is judged"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: a.benchDetect,
	}
}

type benchDetectResult struct {
	Services     int     `json:"services"`
	Evaluations  int     `json:"evaluations"`
	Microseconds float64 `json:"microseconds_per_evaluation"`
	WorstStep    float64 `json:"worst_step_milliseconds"` // all services at one step of the grid
	Core         float64 `json:"share_of_a_core"`
}

func (a *app) benchDetect(ctx context.Context, cmd *cli.Command) error {
	services, length := cmd.Int("services"), cmd.Duration("time")
	if services < 1 || services > 1_000_000 {
		return usagef(cmd, "--services is %d; expected 1 to 1000000", services)
	}
	if length < time.Minute || length > 24*time.Hour {
		return usagef(cmd, "--time is %s; expected 1m to 24h", length)
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	at := time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)
	detectors := make([]*detect.Detector, services)
	people := make([][4]float64, services) // mean of each window
	for i := range detectors {
		detectors[i] = detect.New(cfg.Detect)
		detectors[i].Begin(at.Add(-14 * 24 * time.Hour))
		mean := 0.02 + rng.ExpFloat64()/4
		people[i] = [4]float64{mean, 5 * mean, 15 * mean, 60 * mean}
	}
	step := func() time.Duration {
		started := time.Now()
		for i, d := range detectors {
			o := detect.Observation{At: at, Ingested: -1}
			for k, mean := range people[i] {
				o.People[k] = int(mean * (0.5 + rng.Float64()))
			}
			o.MinutePeople = o.People[0]
			d.Step(o, false)
		}
		at = at.Add(detect.Step)
		return time.Since(started)
	}
	step() // the two weeks of silence before
	r := benchDetectResult{Services: services}
	var took, worst time.Duration
	for range int(length / detect.Step) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		one := step()
		took, worst = took+one, max(worst, one)
		r.Evaluations += services
	}
	r.Microseconds = float64(took) / float64(time.Microsecond) / float64(r.Evaluations)
	r.WorstStep = float64(worst) / float64(time.Millisecond)
	r.Core = took.Seconds() / length.Seconds()
	if cmd.Bool("json") {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	_, err = fmt.Fprintf(a.stdout, "%d services, %d evaluations\n%.2f µs an evaluation of one service\n%.0f ms in the slowest step of all services (%s of event time)\n%.2f %% of one core, if all are spoken of all the time\n",
		r.Services, r.Evaluations, r.Microseconds, r.WorstStep, detect.Step, 100*r.Core)
	return err
}
