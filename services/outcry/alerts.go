package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter"
)

func (a *app) alertsCommand() *cli.Command {
	return &cli.Command{
		Name:  "alerts",
		Usage: "try, preview and follow alerts",
		Description: `Who hears of an incident, with which words, and whether it arrived. Silences and lists of what fires are amtool's:
amtool --alertmanager.url=http://$OUTCRY_ALERTER_LISTEN alert query

Examples:
  outcry alerts preview skype
  outcry alerts test skype
  outcry alerts log --failed`,
		Commands: []*cli.Command{
			{
				Name:      "preview",
				Usage:     "show whom an incident would reach, and the messages",
				ArgsUsage: "INCIDENT|SERVICE",
				Description: `Takes the incident from ClickHouse (the latest one of a service; an invented one where there is none), and prints which receivers of
alerter.alertmanager_config, or of the default configuration, it would reach, whether another incident that is open would keep it quiet,
and each message. Nothing is sent. Addresses and keys are shown as <secret>.

Examples:
  outcry alerts preview skype-20101222T1600
  OUTCRY_ALERTER_ALERTMANAGER_CONFIG=alertmanager.yml outcry alerts preview skype`,
				Action: a.alertsPreview,
			},
			{
				Name:      "test",
				Usage:     "send a marked test the whole way of an alert",
				ArgsUsage: "SERVICE",
				Description: `Writes an invented incident of SERVICE, marked as a test, to incidents.v1, and its end after --for. It goes the way of every incident:
webhook, routes, receivers. With kafka.brokers the alerter that runs there delivers it; without, one that runs as long as this command does.
Then it prints what the delivery log says of it, as JSON lines, and fails where nothing was delivered. Whoever was paged is told of the
end at the interval of the routes, by the alerter that runs then.

Example:
  outcry alerts test skype --for 30s`,
				Flags: []cli.Flag{&cli.DurationFlag{Name: "for", Value: 20 * time.Second, Usage: "`TIME` for which the test lasts; longer than the routes' group_wait"}},
				Action: func(ctx context.Context, cmd *cli.Command) error {
					return a.alertsTest(ctx, cmd)
				},
			},
			{
				Name:      "log",
				Usage:     "print the delivery log as JSON lines, the latest first",
				ArgsUsage: "[INCIDENT|SERVICE]",
				Description: `Prints every attempt to tell somebody of an incident, from alert_deliveries in ClickHouse.

Examples:
  outcry alerts log skype
  outcry alerts log --failed --since 24h`,
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "failed", Usage: "only attempts that were not taken"},
					&cli.DurationFlag{Name: "since", Usage: "only those of the last `TIME`"},
					&cli.IntFlag{Name: "limit", Value: 100, Usage: "at most `NUMBER` attempts"},
				},
				Action: a.alertsLog,
			},
			{
				Name:      "replay",
				Usage:     "send incidents to the webhook once more",
				ArgsUsage: "INCIDENT…",
				Description: `Sends the latest state of each incident to alerter.webhook.url, once, under the webhook-id of its revision: a receiver that has it
already knows it again.

Example:
  outcry alerts replay skype-20101222T1600`,
				Action: a.alertsReplay,
			},
			{
				Name:  "enable",
				Usage: "send to the webhook again after its receiver had gone",
				Description: `A receiver that answers 410 Gone disables the webhook. This lets changes go to it again.

Example:
  outcry alerts enable`,
				Action: func(_ context.Context, cmd *cli.Command) error {
					if err := wantArgs(cmd, 0, 0, "options"); err != nil {
						return err
					}
					cfg, err := a.config(cmd)
					if err != nil {
						return err
					}
					was, err := alerter.Enable(cfg.Alerter.Webhook, cfg.DataDir)
					if err != nil {
						return err
					}
					if !was {
						fmt.Fprintln(a.stderr, "the webhook was not disabled")
						return nil
					}
					fmt.Fprintln(a.stderr, "the webhook is enabled; what was missed can be sent with `outcry alerts replay`")
					return nil
				},
			},
			{
				Name:  "config",
				Usage: "print the alertmanager.yml in force, after checking it",
				Description: `Prints the file at alerter.alertmanager_config, or the default configuration that alerter.page fills, to start from. Addresses in the
latter are shown: they are secrets.

Example:
  outcry alerts config > alertmanager.yml`,
				Action: func(_ context.Context, cmd *cli.Command) error {
					if err := wantArgs(cmd, 0, 0, "options"); err != nil {
						return err
					}
					cfg, err := a.config(cmd)
					if err != nil {
						return err
					}
					text, err := alerter.Alertmanager(cfg.Alerter)
					if err != nil {
						return err
					}
					_, err = fmt.Fprint(a.stdout, text)
					return err
				},
			},
		},
	}
}

// withStore opens the ClickHouse that holds incidents and the delivery log.
func (a *app) withStore(ctx context.Context, cfg Config, f func(*store.Store) error) error {
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
	return f(st)
}

func (a *app) alertsPreview(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 1, 1, "an incident or a service"); err != nil {
		return err
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	catalog, err := loadCatalog(cfg)
	if err != nil {
		return err
	}
	subject := cmd.Args().First()
	_, isService := catalog.ByID(subject)
	var i *outcryv1.Incident
	var open []*outcryv1.Incident
	if !isService || mustHoldData(cfg) == nil { // an invented incident needs no data
		err = a.withStore(ctx, cfg, func(st *store.Store) error {
			filter := store.IncidentFilter{ID: subject, Limit: 1}
			if isService {
				filter = store.IncidentFilter{Services: []string{subject}, Limit: 1}
			}
			found, err := st.Incidents(ctx, filter)
			if err != nil {
				return err
			}
			if len(found) > 0 {
				i = found[0]
				if err := st.EvidenceTexts(ctx, i); err != nil {
					return err
				}
			}
			open, err = st.Incidents(ctx, store.IncidentFilter{States: openStates, Limit: 1000})
			return err
		})
		if err != nil {
			return err
		}
	}
	if i == nil && !isService {
		return fmt.Errorf("no incident has the id %s, and the catalog has no such service; `outcry incidents list` has those that are known", subject)
	}
	if i == nil {
		i = alerter.Trial(subject, time.Now())
		fmt.Fprintf(a.stderr, "%s has no incident; this is an invented one\n", subject)
	}
	alert, reached, err := alerter.Preview(ctx, cfg.Alerter, catalog, cfg.DataDir, i, open...)
	if err != nil {
		return err
	}
	var b strings.Builder
	var labels []string
	for name, value := range alert.Labels {
		labels = append(labels, fmt.Sprintf("%s=%q", name, value))
	}
	slices.Sort(labels)
	fmt.Fprintf(&b, "alert %s\n", strings.Join(labels, " "))
	for _, r := range reached {
		fmt.Fprintf(&b, "\nreceiver %s, after %s\n", r.Receiver, r.GroupWait)
		if r.Inhibited {
			b.WriteString("  not now: another incident that is open keeps it quiet\n")
		}
		if len(r.Messages) == 0 {
			b.WriteString("  nobody: the receiver has no integration\n")
		}
		for _, m := range r.Messages {
			fmt.Fprintf(&b, "  %s\n", m.Integration)
			for _, f := range m.Fields {
				fmt.Fprintf(&b, "    %s:\n      %s\n", f[0], strings.ReplaceAll(f[1], "\n", "\n      "))
			}
		}
	}
	_, err = fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) alertsTest(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 1, 1, "SERVICE"); err != nil {
		return err
	}
	lasts := cmd.Duration("for")
	if lasts < time.Second || lasts > time.Hour {
		return usagef(cmd, "--for is %s; expected 1s to 1h", lasts)
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	catalog, err := loadCatalog(cfg)
	if err != nil {
		return err
	}
	service := cmd.Args().First()
	if _, ok := catalog.ByID(service); !ok {
		return fmt.Errorf("the catalog has no service %q; `outcry catalog` finds them", service)
	}
	if !cfg.Alerter.Pages() && cfg.Alerter.Webhook.URL == "" && len(cfg.Kafka.Brokers) == 0 {
		return errors.New("nobody is told of anything: set alerter.page.slack_url, alerter.page.webhook_url, alerter.webhook.url or alerter.alertmanager_config")
	}
	if _, err := alerter.Alertmanager(cfg.Alerter); err != nil && len(cfg.Kafka.Brokers) == 0 {
		return err // before anything is published that nobody can tell
	}
	log := a.logger(cfg.Log)
	var e *engines
	if len(cfg.Kafka.Brokers) > 0 {
		e, err = connectEngines(ctx, cfg, log)
	} else {
		e, err = a.startEngines(ctx, cfg, log)
	}
	if err != nil {
		return err
	}
	defer a.closing(e)
	trial := alerter.Trial(service, time.Now())
	send := func(ctx context.Context) error { return a.trial(ctx, e.bus, trial, lasts) }
	if len(cfg.Kafka.Brokers) > 0 {
		err = send(ctx)
	} else {
		var p *parts
		if p, err = newParts(ctx, cfg, e, log); err != nil {
			return err
		}
		stages := pipeline{engines: e, alerter: p.alerter(a.stderr)}
		err = stages.run(ctx, func(ctx context.Context) error {
			if err := send(ctx); err != nil {
				return err
			}
			return e.consumed(ctx, alerter.Group, topics.Incidents)
		})
	}
	if err != nil || ctx.Err() != nil {
		return orInterrupted(ctx, err)
	}
	rows, err := e.store.Deliveries(ctx, store.DeliveryFilter{Subject: trial.GetId(), Limit: 1000})
	if err != nil {
		return err
	}
	if err := a.printDeliveries(rows); err != nil {
		return err
	}
	if !slices.ContainsFunc(rows, func(d store.Delivery) bool { return d.Result == "ok" }) {
		return fmt.Errorf("test %s was delivered to nobody; see the log of the alerter, and `outcry alerts preview %s`", trial.GetId(), service)
	}
	if told := pagesTaken(rows); told[true] && !told[false] {
		fmt.Fprintln(a.stderr, "whoever was paged is told of the test's end within the routes' group_interval, by the alerter that runs then")
	}
	return nil
}

// pagesTaken says whether receivers took pages of what fires, and of what has ended.
func pagesTaken(rows []store.Delivery) map[bool]bool {
	out := map[bool]bool{}
	for _, d := range rows {
		if d.Channel == "page" && d.Integration != "alertmanager" && d.Result == "ok" {
			out[d.Firing] = true
		}
	}
	return out
}

// trial publishes a test and its end. What has been published ends, also where somebody interrupts it.
func (a *app) trial(ctx context.Context, b *bus.Bus, i *outcryv1.Incident, lasts time.Duration) error {
	if err := alerter.Publish(ctx, b, i); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "test %s is on %s; it ends in %s\n", i.GetId(), topics.Incidents, lasts)
	select {
	case <-ctx.Done():
	case <-time.After(lasts):
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := alerter.Publish(last, b, alerter.Over(i, time.Now())); err != nil {
		return err
	}
	select { // the delivery log is written each second
	case <-ctx.Done():
	case <-time.After(3 * time.Second):
	}
	return ctx.Err()
}

// delivery is a line of the delivery log.
type delivery struct {
	Time        time.Time `json:"time"`
	Incident    string    `json:"incident"`
	Service     string    `json:"service"`
	Revision    uint64    `json:"revision,omitempty"`
	Channel     string    `json:"channel"`
	Receiver    string    `json:"receiver"`
	Integration string    `json:"integration"`
	Delivery    string    `json:"delivery,omitempty"`
	Attempt     uint32    `json:"attempt,omitempty"`
	Firing      bool      `json:"firing"`
	Result      string    `json:"result"`
	TookMS      int64     `json:"took_ms"`
	Error       string    `json:"error,omitempty"`
	Test        bool      `json:"test,omitempty"`
}

func (a *app) printDeliveries(rows []store.Delivery) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	for _, d := range rows {
		err := e.Encode(delivery{d.Time.UTC(), d.Incident, d.Service, d.Revision, d.Channel, d.Receiver, d.Integration, d.Delivery, d.Attempt, d.Firing,
			d.Result, d.Took.Milliseconds(), d.Error, d.Test})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) alertsLog(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 1, "an incident or a service"); err != nil {
		return err
	}
	f := store.DeliveryFilter{Subject: cmd.Args().First(), Failed: cmd.Bool("failed"), Limit: cmd.Int("limit")}
	if f.Limit < 1 || f.Limit > 1_000_000 {
		return usagef(cmd, "--limit is %d; expected 1 to 1000000", f.Limit)
	}
	switch d := cmd.Duration("since"); {
	case d < 0:
		return usagef(cmd, "--since is %s; expected a time such as 24h", d)
	case d > 0:
		f.Since = time.Now().Add(-d)
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	return a.withStore(ctx, cfg, func(st *store.Store) error {
		rows, err := st.Deliveries(ctx, f)
		if err != nil {
			return err
		}
		return a.printDeliveries(rows)
	})
}

func (a *app) alertsReplay(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 1, 1000, "an incident"); err != nil {
		return err
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	return a.withStore(ctx, cfg, func(st *store.Store) error {
		deps := alerter.Deps{Store: st, DataDir: cfg.DataDir, Out: os.Stderr, Log: a.logger(cfg.Log)}
		var faults []error
		for _, id := range cmd.Args().Slice() {
			found, err := st.Incidents(ctx, store.IncidentFilter{ID: id, Limit: 1})
			if err == nil && len(found) == 0 {
				err = errors.New("no incident has this id; `outcry incidents list` has those that are known")
			}
			if err == nil {
				err = st.EvidenceTexts(ctx, found[0])
			}
			if err == nil {
				deps.Metrics = newRegistry()
				err = alerter.Replay(ctx, cfg.Alerter, deps, found[0])
			}
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", id, err))
				continue
			}
			fmt.Fprintf(a.stderr, "%s was taken\n", id)
		}
		return errors.Join(faults...)
	})
}
