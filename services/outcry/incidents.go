package main

import (
	"context"
	"fmt"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func (a *app) incidentsCommand() *cli.Command {
	say := func(kind outcryv1.Verdict_Kind, usage, what string) *cli.Command {
		return &cli.Command{
			Name:      kind.Name(),
			Usage:     usage,
			ArgsUsage: "ID [TEXT]",
			Description: what + `
It is an event like all others: it goes into the log that the incident's owner works through, is on incidents.v1 and in incident_events with
your name, and counts once. With kafka.brokers it is written for the aggregator that runs there; without, on the data of the embedded
engines in data_dir, which nothing else may be using.

Example:
  outcry incidents ` + kind.Name() + ` skype-20101222T1612 "seen by the whole office"`,
			Flags: []cli.Flag{&cli.StringFlag{Name: "who", Usage: "`NAME` of who says so (default: the user of this machine)"}},
			Action: func(ctx context.Context, cmd *cli.Command) error {
				return a.say(ctx, cmd, kind)
			},
		}
	}
	return &cli.Command{
		Name:  "incidents",
		Usage: "list incidents, and say what is true of them",
		Description: `What people say of incidents is kept with them, in the tables incidents and incident_events.

Examples:
  outcry incidents list --open
  outcry incidents dismiss skype-20101222T1612 "a joke that went round"`,
		Commands: []*cli.Command{
			{
				Name:      "list",
				Usage:     "print incidents as JSON lines, the latest first",
				ArgsUsage: "[ID]",
				Description: `Prints the latest state of each incident, from the ClickHouse at clickhouse.address or the data of the embedded engine in data_dir.

Example:
  outcry incidents list --service skype`,
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "service", Usage: "only those of `SERVICE`"},
					&cli.BoolFlag{Name: "open", Usage: "only those that are suspected, confirmed or recovering"},
					&cli.IntFlag{Name: "limit", Value: 100, Usage: "at most `NUMBER` incidents"},
				},
				Action: a.listIncidents,
			},
			say(outcryv1.Verdict_KIND_DISMISS, "say that an incident is no outage", "Ends an incident as dismissed, and keeps quiet about the service until it has been calm."),
			say(outcryv1.Verdict_KIND_CONFIRM, "say that an incident is an outage", "Confirms an incident that is suspected, and takes a dismissal back."),
			say(outcryv1.Verdict_KIND_ACKNOWLEDGE, "say that somebody sees to an incident", "Says that you have seen an incident and see to it."),
			say(outcryv1.Verdict_KIND_NOTE, "add a remark to an incident", "Adds a remark, TEXT, to an incident."),
		},
	}
}

var openStates = []outcryv1.Incident_State{outcryv1.Incident_STATE_SUSPECTED, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_STATE_RECOVERING}

func (a *app) listIncidents(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 1, "an incident"); err != nil {
		return err
	}
	filter := store.IncidentFilter{ID: cmd.Args().First(), Limit: cmd.Int("limit")}
	if filter.Limit < 1 || filter.Limit > 100_000 {
		return usagef(cmd, "--limit is %d; expected 1 to 100000", filter.Limit)
	}
	if s := cmd.String("service"); s != "" {
		filter.Services = []string{s}
	}
	if cmd.Bool("open") {
		filter.States = openStates
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	if service := cmd.String("service"); service != "" {
		services, err := loadCatalog(cfg)
		if err != nil {
			return err
		}
		// No error: one that has left the catalog may have had incidents. But nothing found must not be taken for a calm service.
		if err := known(services, service); err != nil {
			a.printError(fmt.Errorf("--service: %w", err))
		}
	}
	if err := mustHoldData(cfg); err != nil {
		return err
	}
	st, end, err := a.openStore(ctx, cfg, a.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer end()
	if _, err := st.Migrate(ctx); err != nil {
		return err
	}
	found, err := st.Incidents(ctx, filter)
	if err != nil {
		return err
	}
	for _, i := range found {
		if err := st.EvidenceTexts(ctx, i); err != nil {
			return err
		}
		line, err := incident.JSON(i)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.stdout, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// say writes what a person says of an incident.
func (a *app) say(ctx context.Context, cmd *cli.Command, kind outcryv1.Verdict_Kind) error {
	if !cmd.Args().Present() {
		return usagef(cmd, "ID is missing")
	}
	if err := wantArgs(cmd, 1, 2, "ID and TEXT"); err != nil {
		return err
	}
	if kind == outcryv1.Verdict_KIND_NOTE && strings.TrimSpace(cmd.Args().Get(1)) == "" {
		return usagef(cmd, "TEXT is missing: a note is a remark on an incident")
	}
	who := cmd.String("who")
	if who == "" {
		who = "somebody"
		if u, err := user.Current(); err == nil && u.Username != "" {
			who = u.Username
		}
	}
	v, err := verdict.New(cmd.Args().First(), kind, who, strings.TrimSpace(cmd.Args().Get(1)), time.Now())
	if err != nil {
		return usagef(cmd, "%w", err)
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	log := a.logger(cfg.Log)
	if len(cfg.Kafka.Brokers) > 0 {
		b := bus.New(kafkaConfig(cfg), log)
		defer b.Close()
		if err := verdict.Send(ctx, b, v); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "written; the aggregator takes it from %s\n", topics.Mentions)
		return nil
	}
	if err := mustHoldData(cfg); err != nil {
		return err
	}
	e, err := a.startEngines(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer a.closing(e)
	p, err := newParts(ctx, cfg, e, log)
	if err != nil {
		return err
	}
	if err := verdict.Send(ctx, e.bus, v); err != nil {
		return err
	}
	stages := pipeline{engines: e, aggregator: p.aggregator()}
	if err := stages.run(ctx, e.settled); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i, err := e.store.LatestIncident(ctx, v.GetIncident())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(i.GetVerdicts(), func(x *outcryv1.Verdict) bool { return x.GetId() == v.GetId() }) {
		return fmt.Errorf("no incident has the id %s; `outcry incidents list` has those that are known", v.GetIncident())
	}
	line, err := incident.JSON(i)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", line)
	return err
}
