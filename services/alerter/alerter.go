package alerter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter/action"
	"outcry.dev/services/alerter/alert"
)

// stage names the alerter in dead letters.
const stage = "alerter"

// Group is the consumer group of the stage.
const Group = stage

// Deps are what an Alerter works with.
type Deps struct {
	Bus *bus.Bus
	// Store takes the delivery log, and is what alerts are held against; nil for neither.
	Store *store.Store
	// Catalog says what a service is called and where it is; nil for nothing.
	Catalog *catalog.Catalog
	// DataDir is the folder for what must outlive a restart; used where somebody is paged, or where there is a webhook.
	DataDir string
	// Out takes the JSON lines; each is one Write.
	Out     io.Writer
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Alerter delivers the changes of incidents.
type Alerter struct {
	cfg        Config
	deps       Deps
	metrics    *metrics
	out        sync.Mutex // partitions share Out
	deliveries *deliveries
	signer     *action.Signer // nil without links
}

// New remembers.
func New(cfg Config, deps Deps) *Alerter {
	m := newMetrics(deps.Metrics)
	return &Alerter{cfg: cfg, deps: deps, metrics: m, deliveries: newDeliveries(deps.Store, m, deps.Log)}
}

// Run delivers until ctx ends, and then returns nil. The topics incidents.v1 and dead.v1 must exist.
func (a *Alerter) Run(ctx context.Context) (err error) {
	dead, err := a.deps.Bus.Producer(ctx, topics.Dead)
	if err != nil {
		return err
	}
	if a.cfg.Pages() {
		n, err := a.deps.Bus.Partitions(ctx, topics.Incidents)
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%s has %d partitions; alerts know each other only where it has one: make the topic again", topics.Incidents, n)
		}
	}
	var hook *webhook
	if a.cfg.Webhook.URL != "" {
		if hook, err = newWebhook(a.cfg.Webhook, a.deps.DataDir, a.metrics, a.deliveries, a.deps.Log); err != nil {
			return err
		}
		defer hook.close()
	}
	logged := a.deliveries.start(ctx)
	defer logged()
	endLinks, err := a.links(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endLinks()) }()
	return a.deps.Bus.Consume(ctx, bus.GroupConfig{Group: Group, Topic: topics.Incidents},
		func(ctx context.Context, claim *bus.Claim) (err error) {
			p := newPartition(a, claim, dead, hook)
			if p.pages, err = a.newPages(); err != nil {
				return err
			}
			if p.pages != nil {
				defer func() { err = errors.Join(err, p.pages.close()) }()
			}
			return p.run(ctx)
		})
}

// write puts one change on standard output.
func (a *Alerter) write(line []byte) error {
	a.out.Lock()
	defer a.out.Unlock()
	if _, err := a.deps.Out.Write(append(line[:len(line):len(line)], '\n')); err != nil {
		return fmt.Errorf("write incident: %w", err)
	}
	return nil
}

// encode gives the form in which people and receivers see an incident.
func encode(i *outcryv1.Incident) ([]byte, error) {
	line, err := incident.JSON(i)
	if err != nil {
		return nil, fmt.Errorf("incident %s: %w", i.GetId(), err)
	}
	return line, nil
}

// writer writes what people read in alerts.
func (a *Alerter) writer() alert.Writer { return newWriter(a.cfg, a.deps.Catalog, a.signer) }

func newWriter(cfg Config, c *catalog.Catalog, signer *action.Signer) alert.Writer {
	w := alert.Writer{PublicURL: trimSlash(cfg.PublicURL), Runbook: cfg.Runbook, Service: func(id string) (alert.Service, bool) {
		if c == nil {
			return alert.Service{}, false
		}
		s, ok := c.ByID(id)
		if !ok {
			return alert.Service{}, false
		}
		return alert.Service{Name: s.Name, Category: s.Category, Countries: s.Countries}, true
	}}
	if signer != nil {
		w.Links = func(i *outcryv1.Incident) map[string]string {
			if !open(i) || i.GetTest() {
				return nil // nothing is left to be done about it
			}
			return signer.Links(i.GetId(), time.Now())
		}
	}
	return w
}

func trimSlash(address string) string { return strings.TrimRight(address, "/") }
