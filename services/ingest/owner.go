package ingest

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

const (
	// storeEvery is how often cursors are stored: what is repeated after a crash.
	storeEvery = 250 * time.Millisecond
	// tellEvery is how often a state is told although the cursor stands.
	tellEvery = 10 * time.Second
	// renewAfter is after how many records of a partition of sources.v1 all its states are written again, so that what is older can go.
	renewAfter = 2000
	// partingTime is how long a process that is ending waits for its last cursors.
	partingTime = 5 * time.Second
)

// own runs the sources whose names belong to a partition of sources.v1, for as long as this process owns it: among all processes, each source
// runs once. The cursors come from the partition and go there.
func (s *Stage) own(ctx context.Context, claim *bus.Claim) error {
	var mine []*listener
	for _, l := range s.sources {
		if s.states.PartitionOf([]byte(l.source.Name())) == claim.Partition {
			mine = append(mine, l)
		}
	}
	if len(mine) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	latest, err := readStates(ctx, s.deps.Bus, claim.Partition, claim.Committed)
	if err != nil {
		return err
	}
	o := &ownership{stage: s, claim: claim, mine: mine, others: latest, written: renewAfter}
	for _, l := range mine {
		l.restore(latest[l.source.Name()].GetCursor())
		delete(latest, l.source.Name())
	}
	s.owned.Add(1)
	defer s.owned.Add(-1)
	g, listening := errgroup.WithContext(ctx)
	for _, l := range mine {
		g.Go(func() error { return l.listen(listening, s.emitter(listening, l)) })
	}
	g.Go(func() error { return o.keep(listening) })
	err = g.Wait()
	if ctx.Err() == nil {
		return err
	}
	// What was taken last is written before somebody else goes on, or this process does later.
	parting, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingTime)
	defer cancel()
	if s.settled(parting, mine) == nil {
		_ = o.store(parting, true) // the cursor before this one is as true, if older
	}
	return err
}

// settled waits until everything that the listeners took is acknowledged.
func (s *Stage) settled(ctx context.Context, mine []*listener) error {
	for {
		s.mu.Lock()
		open := false
		for _, l := range mine {
			open = open || l.cursor != *l.stored.Load()
		}
		s.mu.Unlock()
		if !open {
			return nil
		}
		if err := polite.Sleep(ctx, s.cfg.BatchWait); err != nil {
			return err
		}
	}
}

// ownership is a partition of sources.v1 that this process owns.
type ownership struct {
	stage *Stage
	claim *bus.Claim
	mine  []*listener
	// others are states of sources that are not configured here.
	others  map[string]*outcryv1.SourceState
	written int // records since all states were written
}

// keep stores cursors and states until ctx ends.
func (o *ownership) keep(ctx context.Context) error {
	t := time.NewTicker(storeEvery)
	defer t.Stop()
	told := time.Time{}
	for {
		now := time.Now()
		all := now.Sub(told) >= tellEvery
		if all {
			told = now
		}
		if err := o.store(ctx, all); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// store writes the states of the sources whose cursor or state has changed, or of all.
func (o *ownership) store(ctx context.Context, all bool) error {
	s, now := o.stage, time.Now()
	var states []*outcryv1.SourceState
	renew := o.written >= renewAfter
	if renew {
		for _, other := range o.others {
			states = append(states, other)
		}
	}
	for _, l := range o.mine {
		l.status.Stored(*l.stored.Load())
		n := l.status.Snapshot(now)
		if !all && !renew && n.Cursor == l.told.Cursor && n.State == l.told.State && n.LastError == l.told.LastError && n.Note == l.told.Note {
			continue
		}
		l.told = n
		states = append(states, state(l.source.Name(), n, s.owner, now))
	}
	if len(states) == 0 {
		return nil
	}
	var begin int64
	if renew {
		offsets, err := s.deps.Bus.Offsets(ctx, topics.Sources)
		if err != nil {
			return err
		}
		begin = offsets[o.claim.Partition].Next
	}
	if err := writeStates(ctx, s.states, o.claim.Partition, states); err != nil {
		return fmt.Errorf("store cursors: %w", err)
	}
	o.written += len(states)
	if renew {
		o.written = 0
		if err := o.claim.Commit(begin); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// emitter takes the events of a listener.
func (s *Stage) emitter(ctx context.Context, l *listener) source.Emit {
	return func(e source.Event) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := ctx.Err(); err != nil {
			return err // the source belongs to somebody else now
		}
		s.take(l, e)
		if len(s.pending.posts)+len(s.pending.dead) < s.cfg.BatchPosts {
			return nil
		}
		return s.send(ctx)
	}
}
