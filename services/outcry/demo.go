package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/simulate"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter"
	"outcry.dev/services/ingest/source"
)

// demoScenario is what the demonstration shows.
const demoScenario = "skype-2010"

func (a *app) demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "the Skype outage of 22 December 2010, start to finish, with nothing configured",
		Description: `A simulator writes a day of posts about many services, with the Skype outage in it; every stage and both engines run for real, on
loopback and in a temporary folder. It ends with what Outcry heard: when, how long before the official word, how many people, what
failed, and three of their posts.

On a terminal the pages stay up until Ctrl-C; with --exit, or without a terminal, it ends by itself. The first run fetches the ClickHouse
engine with npm, once.

Examples:
  outcry demo
  outcry demo --exit --seed 7`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "exit", Usage: "end when the day is over"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`NUMBER` from which the day follows"},
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:0", Usage: "`ADDRESS` of the pages; port 0 takes a free one"},
		},
		Action: a.demo,
	}
}

func (a *app) demo(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	// Nothing configured: the demonstration is the same everywhere.
	// Only where ClickHouse or its library is may be told, for machines that cannot fetch it.
	configured, err := a.config(cmd)
	if err != nil {
		return err
	}
	cfg := DefaultConfig()
	cfg.ClickHouse = configured.ClickHouse
	if cfg.ClickHouse.Address != "" {
		cfg.ClickHouse.Database = fmt.Sprintf("outcry_demo_%d", time.Now().UnixNano()) // of its own, and dropped in the end
	}
	cfg.API.Listen = cmd.String("listen")
	if err := cfg.API.Validate(); err != nil {
		return usagef(cmd, "--%w", err)
	}
	if err := free(ctx, cfg.API.Listen); err != nil {
		return usagef(cmd, "--listen: %w; choose another address (port 0 takes a free one)", err)
	}
	cfg.Log.Level = "warn"
	if level := cmd.String("log-level"); level != "" {
		cfg.Log.Level = level
		if err := cfg.Log.Validate(); err != nil {
			return usagef(cmd, "--log-%w", err)
		}
	}
	cleanUp, err := scratch(&cfg, "")
	if err != nil {
		return err
	}
	defer cleanUp()
	log := a.logger(cfg.Log)
	scenario, err := simulate.Lookup(demoScenario)
	if err != nil {
		return err
	}

	fmt.Fprintf(a.stdout, "Outcry listens to %s: a simulated day of posts, with the Skype outage in it.\n", scenario.Start.Format("2 January 2006"))
	fmt.Fprintln(a.stdout, "Starting Kafka and ClickHouse …")
	e, err := a.startEngines(ctx, cfg, log)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	defer a.closing(e)
	if cfg.ClickHouse.Address != "" {
		defer func() {
			if err := e.store.DropDatabase(context.WithoutCancel(ctx)); err != nil {
				a.printError(err)
			}
		}()
	}
	p, err := newParts(ctx, cfg, e, log)
	if err != nil {
		return err
	}
	day := &simulated{scenario: scenario, seed: cmd.Uint64("seed")}
	story := &storyteller{}
	stages := pipeline{engines: e, ingest: p.ingest(false, day), classifier: p.classifier(), aggregator: p.aggregator(),
		alerter: p.alerter(story), api: p.api()}

	status := a.status(func() string {
		c := stages.ingest.Counts()
		return fmt.Sprintf("  %s  %d posts so far", cmp.Or(clockOf(c.Newest), "--:--"), c.Posts)
	})
	story.status = status
	started := time.Now()
	return stages.run(ctx, func(ctx context.Context) error {
		err := e.drained(ctx)
		if err == nil {
			err = e.consumed(ctx, alerter.Group, topics.Incidents)
		}
		status.end()
		if err != nil {
			return err
		}
		address, err := stages.api.Addr(ctx)
		if err != nil {
			return err
		}
		if err := a.report(ctx, e, day, stages.ingest.Counts().Posts, len(p.catalog.Services), time.Since(started), "http://"+address); err != nil {
			return err
		}
		if cmd.Bool("exit") || !isTerminal(a.stdout) {
			return nil
		}
		fmt.Fprintln(a.stdout, "\nThe pages stay up until Ctrl-C.")
		<-ctx.Done()
		return nil
	})
}

// free reports why nothing can listen at an address: before the engines start, and in the words of the option.
func free(ctx context.Context, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return listener.Close()
}

// report says what was heard.
func (a *app) report(ctx context.Context, e *engines, day *simulated, posts int64, services int, elapsed time.Duration, address string) error {
	incidents, err := e.incidents(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\n%d posts in %s; %d services listened for; %d incident%s.\n", posts, elapsed.Round(100*time.Millisecond), services,
		len(incidents), plural(len(incidents)))
	for _, i := range incidents {
		fmt.Fprint(a.stdout, describe(i))
	}
	if len(incidents) == 0 {
		return errors.New("the demonstration found no incident; please report this with the output of `outcry version`")
	}
	first := incidents[0]
	fmt.Fprintf(a.stdout, `
See for yourself:
  chart        %[1]s/services/%[2]s
  everything   %[1]s/
  as JSON      curl %[1]s/v1/incidents
Look further:
  %[5]s explain "cant sign in to skype, anyone else?"
  %[5]s simulate --scenario %[3]s --seed %[4]d | %[5]s replay -
  %[5]s help
`, address, first.GetService(), demoScenario, day.seed, invocation())
	return nil
}

// invocation is what to type for this command: those who came through go run have no outcry in their path.
func invocation() string {
	if path, err := os.Executable(); err == nil && strings.Contains(path, "go-build") {
		return "go run ./services/outcry"
	}
	return "outcry"
}

// describe tells an incident as a person would.
func describe(i *outcryv1.Incident) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s (%s, %s)\n", i.GetService(), i.GetState().Name(), i.GetSeverity().Name())
	at := func(us int64) string { return time.UnixMicro(us).UTC().Format("15:04:05") }
	fmt.Fprintf(&b, "  began        %s UTC\n  detected     %s UTC\n", at(i.GetStartedAtUs()), at(i.GetDetectedAtUs()))
	if i.GetConfirmedAtUs() != 0 {
		fmt.Fprintf(&b, "  confirmed    %s UTC\n", at(i.GetConfirmedAtUs()))
	}
	if i.GetOfficialAtUs() != 0 {
		lead := time.Duration(i.GetOfficialAtUs()-i.GetDetectedAtUs()) * time.Microsecond
		order := "after Outcry"
		if lead < 0 {
			lead, order = -lead, "before Outcry"
		}
		fmt.Fprintf(&b, "  official     %s UTC, %s %s: “%s”\n", at(i.GetOfficialAtUs()), lead.Round(time.Second), order, oneLine(i.GetOfficialText(), 120))
	}
	if i.GetResolvedAtUs() != 0 {
		fmt.Fprintf(&b, "  resolved     %s UTC\n", at(i.GetResolvedAtUs()))
	}
	fmt.Fprintf(&b, "  people       %d, at most %d in a minute where %.2f were expected\n", i.GetPeople(), i.GetPeakPerMinute(), i.GetExpectedPerMinute())
	var symptoms []string
	for _, s := range i.GetSymptoms() {
		symptoms = append(symptoms, fmt.Sprintf("%s %d", s.GetSymptom().Name(), s.GetPeople()))
	}
	fmt.Fprintf(&b, "  symptoms     %s\n  why          %s\n", strings.Join(symptoms[:min(len(symptoms), 5)], ", "), i.GetExplanation())
	for n, e := range i.GetEvidence() {
		if n == 3 {
			break
		}
		fmt.Fprintf(&b, "  %s     “%s”\n", at(e.GetTimeUs()), oneLine(e.GetText(), 120))
	}
	return b.String()
}

// oneLine makes other people's text fit for a terminal: one line, no control characters, cut to a number of characters.
func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, s)), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func clockOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("15:04")
}

// simulated is a scenario as a source.
type simulated struct {
	scenario simulate.Scenario
	seed     uint64
}

// Name is that of the only source there is.
func (s *simulated) Name() string { return "simulated" }

// Run gives the posts of the scenario.
func (s *simulated) Run(ctx context.Context, in *source.Session) error {
	_, err := s.scenario.Generate(s.seed, func(p simulate.Labelled) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return in.Emit(source.Event{Kind: source.Upsert, Post: p.Post})
	})
	return err
}

// storyteller takes the alerter's JSON lines and tells what is new as they come.
type storyteller struct {
	mu     sync.Mutex
	status *statusLine
	told   map[string]bool
}

func (s *storyteller) Write(line []byte) (int, error) {
	var i struct {
		ID, Service, State, Explanation string
		People                          int
		Detected                        time.Time `json:"detected_at"`
		Confirmed                       time.Time `json:"confirmed_at"`
		Official                        time.Time `json:"official_at"`
		Resolved                        time.Time `json:"resolved_at"`
	}
	if err := json.Unmarshal(bytes.TrimSpace(line), &i); err != nil {
		return 0, fmt.Errorf("read an incident: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == nil {
		s.told = map[string]bool{}
	}
	tell := func(what string, at time.Time, details string) {
		if s.told[i.ID+what] {
			return
		}
		s.told[i.ID+what] = true
		s.status.interrupt(fmt.Sprintf("  %5s  %s: %s, %d people so far%s", clockOf(at), i.Service, what, i.People, details))
	}
	if !i.Official.IsZero() {
		tell("the official word", i.Official, "")
	}
	switch i.State {
	case "suspected":
		tell(i.State, i.Detected, "\n         "+i.Explanation)
	case "confirmed":
		tell(i.State, i.Confirmed, "\n         "+i.Explanation)
	case "resolved":
		tell(i.State, i.Resolved, "")
	default:
		tell(i.State, time.Time{}, "")
	}
	return len(line), nil
}
