package alerter

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// stage names the alerter in dead letters.
const stage = "alerter"

// Group is the consumer group of the stage.
const Group = stage

// Deps are what an Alerter works with.
type Deps struct {
	Bus *bus.Bus
	// Out takes the JSON lines; each is one Write.
	Out     io.Writer
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Alerter delivers the changes of incidents.
type Alerter struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	out     sync.Mutex // partitions share Out
}

// New remembers.
func New(cfg Config, deps Deps) *Alerter {
	return &Alerter{cfg: cfg, deps: deps, metrics: newMetrics(deps.Metrics)}
}

// Run delivers until ctx ends, and then returns nil. The topics incidents.v1 and dead.v1 must exist.
func (a *Alerter) Run(ctx context.Context) error {
	dead, err := a.deps.Bus.Producer(ctx, topics.Dead)
	if err != nil {
		return err
	}
	var hook *webhook
	if a.cfg.Webhook.URL != "" {
		if hook, err = newWebhook(a.cfg.Webhook, a.metrics, a.deps.Log); err != nil {
			return err
		}
		defer hook.close()
	}
	return a.deps.Bus.Consume(ctx, bus.GroupConfig{Group: Group, Topic: topics.Incidents},
		func(ctx context.Context, claim *bus.Claim) error {
			p := newPartition(a, claim, dead, hook)
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
