package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/backtest"
	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/config"
	"outcry.dev/pkg/simulate"
	"outcry.dev/services/ingest/files"
)

// mostFigures bounds the pictures of a page.
const mostFigures = 60

func (a *app) backtestCommand() *cli.Command {
	return &cli.Command{
		Name:      "backtest",
		Usage:     "hold incidents against what happened: precision, recall, lead, false alarms",
		ArgsUsage: "[FILE…]",
		Description: `Runs history through the same stages that work live, in event time, and holds the incidents that come out against what is known to
have happened. The history is one of:

  --scenario NAME   simulated posts, with the truth about them; several NAMEs, or all (see "outcry simulate --list"); --seeds of each
  FILE…             recorded posts, as for "outcry replay"; --truth names what happened: JSON lines
                    {"service":"skype","start":"2010-12-22T16:00:00Z","end":"…","official":"…"}, as "outcry simulate --truth" writes them.
                    It must then be complete. Without it, an incident that the vendor speaks about is true, and the others count as false
  --kept FOLDER     what "outcry replay --keep" or "outcry up" has left in a folder; no other process may use it meanwhile

An incident is a hit when it overlaps an outage of its service, from 10 minutes before it to 30 minutes after; another one of the same
outage is a repeat; the rest are false alarms. Printed are precision, recall, the time from an outage's start to its detection, the lead
over the vendor's first word, and false alarms a month, per service and overall, with 95 % intervals (Wilson; exact Poisson) and
sample sizes.

--compare runs everything again under other settings, and prints both side by side. Keys are those of "outcry config print".

What people said of incidents (dismissed or confirmed) is taken from the kept folder, and from --feedback: JSON lines
{"service":"skype","start":"…","end":"…","at":"…","dismissed":true,"who":"ann","note":"…"}, where start and end are the
incident's. Printed is what they would have changed: outcomes, minutes less open, precision and false alarms by their word.

The engines are embedded, and their data is removed at the end. Where kafka.brokers and clickhouse.address are set, those are used:
databases are dropped again, topics whose names begin with backtest stay.

Formats: ` + strings.Join(files.Formats(), ", ") + `

Examples:
  outcry backtest --scenario skype-2010
  outcry backtest --scenario all --seeds 3 --page backtest.html
  outcry backtest --scenario quiet,bot-attack,total --compare detect.false_alarms_per_month=3,detect.min_people=3
  outcry backtest --truth truth.jsonl posts.jsonl.gz --json > result.json
  outcry backtest --kept kept`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "scenario", Usage: "`NAME` of a scenario, or all"},
			&cli.IntFlag{Name: "seeds", Value: 1, Usage: "`NUMBER` of times that each scenario is written, with seeds 1, 2, …"},
			&cli.Float64Flag{Name: "volume", Value: 1, Usage: "`FACTOR` for the number of simulated posts"},
			&cli.StringFlag{Name: "format", Value: "jsonl", Usage: "`FORMAT` of the files"},
			&cli.StringFlag{Name: "truth", Usage: "`FILE` with the outages in the files"},
			&cli.StringFlag{Name: "kept", Usage: "`FOLDER` with the data of an earlier run"},
			&cli.StringFlag{Name: "feedback", Usage: "`FILE` with what people said of incidents"},
			&cli.StringFlag{Name: "compare", Usage: "`KEY=VALUE[,KEY=VALUE…]`: other settings to run beside"},
			&cli.StringFlag{Name: "page", Usage: "`FILE` for an HTML page with pictures"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
			&cli.BoolFlag{Name: "markdown", Usage: "print a page for the documentation"},
		},
		Action: a.backtest,
	}
}

func (a *app) backtest(ctx context.Context, cmd *cli.Command) error {
	if cmd.Bool("json") && cmd.Bool("markdown") {
		return usagef(cmd, "--json and --markdown are two forms of one result; keep one")
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	services, err := loadCatalog(cfg)
	if err != nil {
		return err
	}
	pasts, err := a.pasts(cmd, services)
	if err != nil {
		return err
	}
	var verdicts []backtest.Verdict
	if name := cmd.String("feedback"); name != "" {
		if verdicts, err = jsonLines(name, func(line []byte) (v backtest.Verdict, err error) {
			d := json.NewDecoder(bytes.NewReader(line))
			d.DisallowUnknownFields() // a misspelt "dismissed" would be a confirmation
			if err := d.Decode(&v); err != nil {
				return v, err
			}
			if v.Service == "" || v.Start.IsZero() {
				return v, errors.New("service or start is missing")
			}
			return v, known(services, v.Service)
		}); err != nil {
			return err
		}
	}
	if err := inFolder(cmd, "page"); err != nil {
		return err
	}
	settings := []setting{{"as configured", cfg}}
	if changed := cmd.String("compare"); changed != "" {
		other, err := a.changed(cmd, changed)
		if err != nil {
			return err
		}
		settings = append(settings, setting{changed, other})
	}
	if cmd.String("log-level") == "" {
		for i := range settings {
			settings[i].cfg.Log.Level = "warn"
		}
	}
	report, figures, err := a.runBacktest(ctx, settings, pasts, verdicts)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	switch {
	case cmd.Bool("json"):
		encoder := json.NewEncoder(a.stdout)
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(report)
	case cmd.Bool("markdown"):
		err = report.WriteMarkdown(a.stdout, backtestIntro)
	default:
		err = report.WriteText(a.stdout)
	}
	if page := cmd.String("page"); page != "" {
		err = errors.Join(err, writeTo(page, func(w io.Writer) error { return report.WritePage(w, figures) }))
	}
	return err
}

const backtestIntro = "What `outcry backtest` measures; `outcry backtest --scenario all --markdown` writes this page again. Simulated posts are easier to read than people's: take these figures for what they are, a check that " +
	"the parts work together, and measure your own history with `outcry backtest FILE`. [pkg/backtest](../pkg/backtest/doc.go) says what counts as what."

// setting is a configuration under its name.
type setting struct {
	name string
	cfg  Config
}

// pasts returns the histories that the options name.
func (a *app) pasts(cmd *cli.Command, services *catalog.Catalog) ([]past, error) {
	scenarios, kept, names := cmd.StringSlice("scenario"), cmd.String("kept"), cmd.Args().Slice()
	given := 0
	for _, is := range []bool{len(scenarios) > 0, kept != "", len(names) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, usagef(cmd, "name one history: --scenario NAME, --kept FOLDER or FILE…")
	}
	if cmd.String("truth") != "" && len(names) == 0 {
		return nil, usagef(cmd, "--truth goes with FILE…; scenarios bring their own")
	}
	if len(scenarios) == 0 && (cmd.IsSet("seeds") || cmd.IsSet("volume")) {
		return nil, usagef(cmd, "--seeds and --volume go with --scenario")
	}
	switch {
	case kept != "":
		if info, err := os.Stat(kept); err != nil || !info.IsDir() {
			return nil, usagef(cmd, "--kept is %q, which is no folder", kept)
		}
		return []past{&keptPast{folder: kept}}, nil
	case len(names) > 0:
		decode, err := files.Format(cmd.String("format"))
		if err != nil {
			return nil, usagef(cmd, "--format: %w", err)
		}
		p := &recordedPast{app: a, names: names, decode: decode}
		if truth := cmd.String("truth"); truth != "" {
			p.complete = true
			if p.truths, err = jsonLines(truth, func(line []byte) (t backtest.Truth, err error) {
				if err := json.Unmarshal(line, &t); err != nil {
					return t, err
				}
				if t.Service == "" || t.Start.IsZero() || t.End.Before(t.Start) {
					return t, errors.New("service, start or end is missing, or the end lies before the start")
				}
				return t, known(services, t.Service)
			}); err != nil {
				return nil, err
			}
		}
		return []past{p}, nil
	}
	seeds, volume := cmd.Int("seeds"), cmd.Float64("volume")
	if seeds < 1 || seeds > 1000 {
		return nil, usagef(cmd, "--seeds is %d; expected 1 to 1000", seeds)
	}
	if !(volume > 0 && volume <= 10_000) {
		return nil, usagef(cmd, "--volume is %v; expected a number above 0, at most 10000", volume)
	}
	var chosen []simulate.Scenario
	if slices.Equal(scenarios, []string{"all"}) {
		chosen = simulate.Scenarios()
	} else {
		for _, name := range scenarios {
			s, err := simulate.Lookup(name)
			if err != nil {
				return nil, usagef(cmd, "%w", err)
			}
			chosen = append(chosen, s)
		}
	}
	var out []past
	for _, s := range chosen {
		s.Volume *= volume
		for seed := range seeds {
			out = append(out, &simulatedPast{scenario: s, seed: uint64(seed + 1), several: seeds > 1})
		}
	}
	return out, nil
}

// changed returns the configuration with some keys set otherwise.
func (a *app) changed(cmd *cli.Command, changes string) (Config, error) {
	cfg := DefaultConfig()
	file, err := a.configFile(cmd)
	if err != nil {
		return cfg, err
	}
	if err := config.Load(&cfg, config.Options{File: file, Environ: a.environ, Prefix: envPrefix, Changes: strings.Split(changes, ","), Option: "--compare"}); err != nil {
		return cfg, usagef(cmd, "%w", err)
	}
	return cfg, nil
}

// runBacktest runs every history under every setting.
func (a *app) runBacktest(ctx context.Context, settings []setting, pasts []past, verdicts []backtest.Verdict) (*backtest.Report, []backtest.Figure, error) {
	base := settings[0].cfg
	cleanUp, err := scratch(&base, "")
	if err != nil {
		return nil, nil, err
	}
	defer cleanUp()
	log := a.logger(base.Log)
	e, err := a.startEngines(ctx, base, log)
	if err != nil {
		return nil, nil, err
	}
	defer a.closing(e)
	bar := a.progressBar(len(settings) * len(pasts))
	defer bar.end()

	report := &backtest.Report{Made: time.Now(), Version: version}
	var figures []backtest.Figure
	for n, s := range settings {
		s.cfg.DataDir = base.DataDir
		var histories []backtest.History
		for k, p := range pasts {
			t := &turn{app: a, cfg: s.cfg, log: log, engines: e, name: fmt.Sprintf("backtest-%s-%d-%d", time.Now().UTC().Format("20060102t150405"), n+1, k+1),
				settings: s.name, verdicts: verdicts, figures: min(mostFigures-len(figures), mostFigures*(n+1)/len(settings)-len(figures))}
			bar.begin(p.title(), func() float64 { return p.done(t.counts().Newest) })
			h, pictures, err := t.run(ctx, p)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", p.title(), err)
			}
			if h.Posts == 0 {
				return nil, nil, fmt.Errorf("%s: %w", p.title(), cmp.Or(nothingRead(t.counts()), errors.New("there are no posts in it")))
			}
			if n := t.counts().Unreadable; n > 0 {
				log.Warn("posts could not be read and are not in the result", "history", p.title(), "unreadable", n)
			}
			bar.finished()
			histories, figures = append(histories, h), append(figures, pictures...)
		}
		report.Results = append(report.Results, backtest.Evaluate(s.name, histories))
	}
	return report, figures, nil
}

// known refuses a service that no incident can be about.
func known(services *catalog.Catalog, id string) error {
	if _, ok := services.ByID(id); !ok {
		return fmt.Errorf("the catalog has no service %q; `outcry catalog` finds them", id)
	}
	return nil
}

// jsonLines reads a file of JSON lines.
func jsonLines[T any](name string, decode func(line []byte) (T, error)) (out []T, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, errors.Unwrap(err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		x, err := decode(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, explained(err))
		}
		out = append(out, x)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return out, nil
}

// explained says of what is no JSON, or no time, what it should be.
func explained(err error) error {
	var syntax *json.SyntaxError
	var noTime *time.ParseError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not a JSON object: %w", err)
	case errors.As(err, &noTime):
		return fmt.Errorf("%.40q is no time; write RFC 3339, such as \"2010-12-22T16:00:00Z\"", noTime.Value)
	}
	return err
}

// inFolder refuses an option that names a file to be written in a folder that is not there: before the work, not after it.
func inFolder(cmd *cli.Command, option string) error {
	name := cmd.String(option)
	if folder := filepath.Dir(name); name != "" {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return usagef(cmd, "--%s is %q, and %s is no folder", option, name, folder)
		}
	}
	return nil
}

// writeTo makes a file.
func writeTo(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return errors.Join(write(f), f.Close())
}
