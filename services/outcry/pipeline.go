package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/root"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/aggregator"
	"outcry.dev/services/alerter"
	"outcry.dev/services/api"
	"outcry.dev/services/classifier"
	"outcry.dev/services/ingest"
	"outcry.dev/services/ingest/source"
)

// pipeline is every stage in one process, in the order of the data flow. Stages that are nil do not run.
type pipeline struct {
	engines    *engines
	ingest     *ingest.Stage
	classifier *classifier.Stage
	aggregator *aggregator.Stage
	alerter    *alerter.Alerter
	api        *api.API
}

// parts are what the stages of one process share.
type parts struct {
	cfg       Config
	engines   *engines
	catalog   *catalog.Catalog
	authorKey []byte
	registry  *prometheus.Registry
	log       *slog.Logger
}

func newParts(ctx context.Context, cfg Config, e *engines, log *slog.Logger) (*parts, error) {
	c, err := loadCatalog(cfg)
	if err != nil {
		return nil, err
	}
	if err := e.store.InsertCatalog(ctx, catalogRows(c)); err != nil {
		return nil, err
	}
	key, err := authorKey(cfg)
	if err != nil {
		return nil, err
	}
	registry := newRegistry()
	countInsertErrors(registry, e.store)
	return &parts{cfg: cfg, engines: e, catalog: c, authorKey: key, registry: registry, log: log}, nil
}

// catalogRows is the catalog as analysts see it.
func catalogRows(c *catalog.Catalog) []store.Service {
	rows := make([]store.Service, 0, len(c.Services))
	for _, s := range c.Services {
		rows = append(rows, store.Service{ID: s.ID, Name: s.Name, Category: s.Category, Countries: s.Countries, Providers: s.Providers,
			Web: s.Web, StatusPage: s.StatusPage})
	}
	return rows
}

func (p *parts) ingest(live bool, sources ...source.Source) *ingest.Stage {
	return ingest.New(p.cfg.Ingest, ingest.Deps{Bus: p.engines.bus, AuthorKey: p.authorKey, Log: p.log, Metrics: p.registry, Live: live}, sources...)
}

func (p *parts) classifier() *classifier.Stage {
	return classifier.New(p.cfg.Classifier, classifier.Deps{Bus: p.engines.bus, Catalog: p.catalog,
		Classifier: classify.New(p.catalog, classify.DefaultModel()), AuthorKey: p.authorKey, Log: p.log, Metrics: p.registry})
}

func (p *parts) aggregator() *aggregator.Stage {
	return aggregator.New(p.cfg.Aggregator, aggregator.Deps{Bus: p.engines.bus, Store: p.engines.store, Detect: p.cfg.Detect,
		Incident: p.cfg.Incident, Providers: providers(p.catalog), Log: p.log, Metrics: p.registry})
}

// providers is the dependency graph of the catalog.
func providers(c *catalog.Catalog) root.Graph {
	g := root.Graph{}
	for _, s := range c.Services {
		if len(s.Providers) > 0 {
			g[s.ID] = s.Providers
		}
	}
	return g
}

func (p *parts) alerter(out io.Writer) *alerter.Alerter {
	return alerter.New(p.cfg.Alerter, alerter.Deps{Bus: p.engines.bus, Store: p.engines.store, Catalog: p.catalog,
		DataDir: p.cfg.DataDir, Out: out, Metrics: p.registry, Log: p.log})
}

func (p *parts) api() *api.API {
	deps := api.Deps{Store: p.engines.store, Catalog: p.catalog, Registry: p.registry, Gatherer: p.registry, Log: p.log}
	if b := p.engines.bus; b != nil {
		deps.Say = func(ctx context.Context, v *outcryv1.Verdict) error { return verdict.Send(ctx, b, v) }
	}
	return api.New(p.cfg.API, deps)
}

// run works until the source is exhausted and whileDone, if any, has returned, or until ctx ends or a stage fails.
func (p *pipeline) run(ctx context.Context, exhausted func(ctx context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	stages, stop := context.WithCancel(ctx)
	defer stop()
	if p.classifier != nil {
		g.Go(func() error { return p.classifier.Run(stages) })
	}
	if p.aggregator != nil {
		g.Go(func() error { return p.aggregator.Run(stages) })
	}
	if p.alerter != nil {
		g.Go(func() error { return p.alerter.Run(stages) })
	}
	if p.api != nil {
		g.Go(func() error { return p.api.Run(stages) })
	}
	if s := p.engines.server; s != nil {
		g.Go(func() error {
			select {
			case <-stages.Done():
				return nil
			case <-s.Done():
				return fmt.Errorf("the embedded ClickHouse has ended: %w", s.Err())
			}
		})
	}
	g.Go(func() error {
		defer stop()
		if p.ingest != nil {
			if err := p.ingest.Run(ctx); err != nil {
				return err
			}
		}
		if ctx.Err() == nil && exhausted != nil {
			return exhausted(ctx)
		}
		<-ctx.Done()
		return nil
	})
	return g.Wait()
}

// drained waits until everything that has been ingested is in ClickHouse and all incidents are published.
func (e *engines) drained(ctx context.Context) error {
	if err := e.consumed(ctx, classifier.Group, topics.Posts); err != nil {
		return err
	}
	return e.settled(ctx)
}

// settled waits until all mentions are counted, and nothing more follows from the incidents that they led to: what is found out about
// incidents goes back into mentions.v1.
func (e *engines) settled(ctx context.Context) error {
	for before := int64(-1); ; {
		if err := e.consumed(ctx, aggregator.Group, topics.Mentions); err != nil {
			return err
		}
		held, err := e.held(ctx, topics.Mentions)
		if err != nil || held == before {
			return err
		}
		before = held
		if err := e.consumed(ctx, aggregator.RootsGroup, topics.Incidents); err != nil {
			return err
		}
	}
}

// held returns how many records a topic has ever held.
func (e *engines) held(ctx context.Context, topic string) (n int64, err error) {
	offsets, err := e.bus.Offsets(ctx, topic)
	for _, o := range offsets {
		n += o.Next
	}
	return n, err
}

// consumed waits until a group has committed all that a topic holds.
func (e *engines) consumed(ctx context.Context, group, topic string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		left, err := e.left(ctx, group, topic)
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// left returns how many records of a topic a group has not committed.
func (e *engines) left(ctx context.Context, group, topic string) (int64, error) {
	offsets, err := e.bus.Offsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	committed, err := e.bus.Committed(ctx, group, topic)
	if err != nil {
		return 0, err
	}
	var left int64
	for p, o := range offsets {
		left += max(0, o.Next-max(o.First, committed[p]))
	}
	return left, nil
}
