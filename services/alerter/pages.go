package alerter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter/alert"
	"outcry.dev/services/alerter/engine"
	"outcry.dev/services/alerter/journal"
)

// pager tells alerts: Alertmanager's engine in this process, or a cluster elsewhere.
type pager interface {
	// Start takes what is known so far and begins to tell.
	Start(ctx context.Context, known ...alert.Alert) error
	Put(ctx context.Context, alerts ...alert.Alert) error
	Stop() error
}

const (
	tidyRecords  = 8 << 20 // bytes of alerts.log, above which it is compacted
	maxOpen      = 10_000  // incidents that are read from ClickHouse at once
	forgetEvery  = time.Hour
	askClickTime = 20 * time.Second
	reloadEvery  = 2 * time.Second // after which a changed alertmanager.yml is seen
)

// pages keeps the alerts of all incidents. Safe for concurrent use once it has started.
type pages struct {
	store   *store.Store // nil: nothing to reconcile with
	log     *slog.Logger
	metrics *metrics

	// missed are the incidents that began while nobody was there to tell, until the start.
	missed map[string]*outcryv1.Incident

	// engine makes another Alertmanager of what stands in its file now; nil where alerts go to a cluster or there is no file.
	engine  func() pager
	watched engine.Config
	version string // of the file that is in force, or was refused

	elsewhere bool // alerts go to a cluster
	told      *told

	mu      sync.Mutex
	to      pager
	tracker *alert.Tracker
	journal *journal.Journal
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// newPages returns nil where nobody is to be paged. It brings back what was known before a restart.
func (a *Alerter) newPages() (*pages, error) {
	if !a.cfg.Pages() {
		return nil, nil
	}
	p := &pages{store: a.deps.Store, log: a.deps.Log, metrics: a.metrics, tracker: alert.NewTracker(a.writer()), missed: map[string]*outcryv1.Incident{}}
	dir := filepath.Join(a.deps.DataDir, "alerter")
	var err error
	if p.journal, err = journal.Open(filepath.Join(dir, "alerts.log"), p.tracker.Restore); err != nil {
		return nil, err
	}
	if p.told, err = a.openTold(filepath.Join(dir, "told.log"), p.tracker.All()); err != nil {
		return nil, errors.Join(err, p.journal.Close())
	}
	if len(a.cfg.Alertmanagers) > 0 {
		p.elsewhere = true
		p.to = newCluster(a.cfg.Alertmanagers, a.cfg.ResendEvery, p.told, a.deliveries, a.metrics, a.deps.Log)
		return p, nil
	}
	p.watched = a.cfg.Engine(dir)
	p.engine = func() pager {
		return engine.New(p.watched, engine.Deps{Metrics: a.deps.Metrics, Log: a.deps.Log.With("component", "alertmanager"), Sent: a.notified,
			Memory: p.told})
	}
	p.version = engine.Version(p.watched)
	p.to = p.engine()
	return p, nil
}

// reload puts a changed alertmanager.yml in force until ctx ends. One that is wrong is refused: the one before stays.
func (p *pages) reload(ctx context.Context) error {
	if p.engine == nil || p.watched.File == "" {
		return nil
	}
	t := time.NewTicker(reloadEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		version := engine.Version(p.watched)
		if version == p.version {
			continue
		}
		p.version = version
		if err := engine.Check(p.watched); err != nil {
			p.metrics.reloads.WithLabelValues("refused").Inc()
			p.log.Error("the changed alerter.alertmanager_config is wrong: the one before stays in force", "error", err)
			continue
		}
		if err := p.restart(ctx); err != nil {
			return fmt.Errorf("put the changed alerter.alertmanager_config in force: %w", err)
		}
		p.metrics.reloads.WithLabelValues("ok").Inc()
		p.log.Info("the changed alerter.alertmanager_config is in force", "file", p.watched.File)
	}
}

// restart begins anew as after a restart of the process: what was paged is in the notification log, so that nothing is paged again.
func (p *pages) restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.to.Stop(); err != nil {
		p.log.Warn("cannot end Alertmanager's engine cleanly", "error", err)
	}
	next := p.engine()
	p.to = unstarted{} // Start ends what it has begun where it fails
	if err := next.Start(ctx, p.tracker.All()...); err != nil {
		return err
	}
	p.to = next
	return nil
}

// unstarted tells nobody.
type unstarted struct{}

func (unstarted) Start(context.Context, ...alert.Alert) error { return nil }
func (unstarted) Put(context.Context, ...alert.Alert) error {
	return errors.New("the engine of Alertmanager does not run")
}
func (unstarted) Stop() error { return nil }

// learn takes an incident before the start: nobody is told yet. News came after whoever was here before had gone.
func (p *pages) learn(i *outcryv1.Incident, news bool) {
	_, missed := p.missed[i.GetId()]
	if missed || news && p.tracker.Revision(i.GetId()) == 0 {
		p.missed[i.GetId()] = i
	}
	if now := time.Now(); len(p.tracker.Apply(i, now)) > 0 && news {
		p.tracker.Doubt(i.GetId(), now) // whoever was here before may have told nobody
	}
}

// start begins to tell, with everything that is known.
func (p *pages) start(ctx context.Context, every time.Duration, onTopic func(id string) bool) error {
	for _, i := range p.missed {
		p.tracker.Missed(i, time.Now())
	}
	p.missed = nil
	p.tracker.Forget(time.Now())
	if err := p.compact(); err != nil {
		return err
	}
	if err := p.to.Start(ctx, p.tracker.All()...); err != nil {
		p.to = unstarted{} // Start ends what it has begun where it fails
		return err
	}
	ctx, p.stop = context.WithCancel(ctx)
	p.done.Go(func() { p.reconcileNowAndThen(ctx, every, onTopic) })
	p.metrics.firing.Set(float64(len(p.tracker.Firing())))
	return nil
}

func (p *pages) compact() error {
	upTo := p.journal.Size()
	records, err := p.tracker.Records()
	if err != nil {
		return err
	}
	return errors.Join(p.journal.Compact(upTo, records...), p.told.keep(p.tracker.All()))
}

// take tells what changed. It is on disk when take returns.
func (p *pages) take(ctx context.Context, incidents ...*outcryv1.Incident) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var alerts []alert.Alert
	var changed []string
	now := time.Now()
	for _, i := range incidents {
		if out := p.tracker.Apply(i, now); len(out) > 0 {
			// It may end before any member of the cluster could be told of it.
			if last := &out[len(out)-1]; p.elsewhere && !p.told.Has(last.Labels) {
				last.Doubt = p.tracker.Doubt(i.GetId(), now)
			}
			alerts = append(alerts, out...)
			changed = append(changed, i.GetId())
		}
	}
	return p.tell(ctx, alerts, changed)
}

// tell keeps and tells alerts. The caller holds the lock.
func (p *pages) tell(ctx context.Context, alerts []alert.Alert, changed []string) error {
	if len(alerts) == 0 {
		return nil
	}
	slices.Sort(changed)
	var records [][]byte
	for _, id := range slices.Compact(changed) {
		r, err := p.tracker.Record(id)
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	if err := p.journal.Append(records...); err != nil {
		return err
	}
	if p.journal.Size() > tidyRecords {
		p.tracker.Forget(time.Now())
		if err := p.compact(); err != nil {
			return err
		}
	}
	p.metrics.firing.Set(float64(len(p.tracker.Firing())))
	return p.to.Put(ctx, alerts...)
}

func (p *pages) reconcileNowAndThen(ctx context.Context, every time.Duration, onTopic func(string) bool) {
	if p.store == nil {
		return
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if err := p.reconcile(ctx, onTopic); err != nil && ctx.Err() == nil {
			p.log.Warn("cannot hold the alerts against ClickHouse; trying again", "in", every, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// reconcile takes from ClickHouse what the topic did not bring, and ends alerts of incidents of which nobody knows any more.
func (p *pages) reconcile(ctx context.Context, onTopic func(string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, askClickTime)
	defer cancel()
	open, err := p.store.Incidents(ctx, store.IncidentFilter{Limit: maxOpen, States: []outcryv1.Incident_State{
		outcryv1.Incident_STATE_SUSPECTED, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_STATE_RECOVERING}})
	if err != nil {
		return err
	}
	found := map[string]bool{}
	for _, i := range open {
		found[i.GetId()] = true
	}
	p.mu.Lock()
	firing := p.tracker.Firing()
	p.mu.Unlock()
	var gone []string
	for _, id := range firing {
		if found[id] {
			continue
		}
		one, err := p.store.Incidents(ctx, store.IncidentFilter{ID: id, Limit: 1})
		if err != nil {
			return err
		}
		if len(one) == 0 && !onTopic(id) {
			gone = append(gone, id)
		}
		open = append(open, one...)
	}
	return errors.Join(p.catchUp(ctx, open), p.end(ctx, gone))
}

func (p *pages) catchUp(ctx context.Context, incidents []*outcryv1.Incident) error {
	for _, i := range incidents {
		p.mu.Lock()
		newer := i.GetRevision() > p.tracker.Revision(i.GetId())
		p.mu.Unlock()
		if !newer {
			continue
		}
		if err := p.store.EvidenceTexts(ctx, i); err != nil {
			return err
		}
		if err := p.take(ctx, i); err != nil {
			return fmt.Errorf("incident %s: %w", i.GetId(), err)
		}
		p.metrics.reconciled.Inc()
	}
	return nil
}

func (p *pages) end(ctx context.Context, ids []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var alerts []alert.Alert
	for _, id := range ids {
		p.log.Warn("an alert fires for an incident of which neither incidents.v1 nor ClickHouse knows; it ends", "incident", id)
		alerts = append(alerts, p.tracker.End(id, time.Now())...)
	}
	return p.tell(ctx, alerts, ids)
}

// close ends telling. What has not been told is told after the next start.
func (p *pages) close() error {
	if p.stop != nil {
		p.stop()
	}
	p.done.Wait()
	return errors.Join(p.to.Stop(), p.journal.Close(), p.told.close())
}
