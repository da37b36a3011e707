package ingest

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// listener keeps one source running: it calls it again where it failed, after a wait that the failure asks for.
type listener struct {
	stage  *Stage
	source source.Source
	status *source.Status
	log    *slog.Logger
	told   source.Snapshot // what sources.v1 has

	// Guarded by Stage.mu: the cursor of the last event taken, and of the last one handed to be written.
	cursor, sent string
	// stored is the cursor of the last one acknowledged. Not under Stage.mu, which is held while the writer is waited for.
	stored atomic.Pointer[string]
}

// restore takes over from whoever ran the source before.
func (l *listener) restore(cursor string) {
	l.stage.mu.Lock()
	defer l.stage.mu.Unlock()
	l.cursor, l.sent = cursor, cursor
	l.stored.Store(&cursor)
}

func newListener(s *Stage, src source.Source) *listener {
	return &listener{stage: s, source: src, status: &source.Status{}, log: s.deps.Log.With("source", src.Name())}
}

// took is called with Stage.mu held.
func (l *listener) took(e *source.Event) {
	l.status.Took(e, time.Now())
	if e.Cursor != "" {
		l.cursor = e.Cursor
	}
}

// listen runs the source until it is exhausted, ctx ends or emit fails. A recording that fails fails as a whole; what is live is tried again.
func (l *listener) listen(ctx context.Context, emit source.Emit) error {
	rules := polite.DefaultRules()
	if r, ok := l.source.(polite.Ruled); ok {
		rules = r.Rules()
	}
	back := polite.NewBackoff(rules)
	for {
		err, emitErr := l.run(ctx, emit)
		now := time.Now()
		held := time.Duration(0)
		if n := l.status.Snapshot(now); n.State == source.Live {
			held = now.Sub(n.Since)
		}
		switch {
		case emitErr != nil:
			l.status.Ended(now, source.Stopped)
			return emitErr
		case ctx.Err() != nil:
			l.status.Ended(now, source.Stopped)
			return ctx.Err()
		case err == nil:
			l.status.Ended(now, source.Done)
			return nil
		case !l.stage.deps.Live:
			return err
		}
		l.status.Failed(now, err)
		pause := back.Next(err, held)
		l.log.Warn("the source is away; trying again", "in", pause.Round(time.Millisecond), "error", err)
		if err := polite.Sleep(ctx, pause); err != nil {
			l.status.Ended(time.Now(), source.Stopped)
			return err
		}
	}
}

// run runs the source once, and tells the pipeline's faults from the network's.
func (l *listener) run(ctx context.Context, emit source.Emit) (err, emitErr error) {
	l.stage.mu.Lock()
	cursor := l.cursor
	l.stage.mu.Unlock()
	l.status.Begun(time.Now())
	var mu sync.Mutex // sources may emit from several goroutines
	err = l.source.Run(ctx, &source.Session{Cursor: cursor, Status: l.status, Log: l.log, Settled: l.stage.settle, Emit: func(e source.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if emitErr == nil {
			emitErr = emit(e)
		}
		return emitErr
	}})
	mu.Lock()
	defer mu.Unlock()
	return err, emitErr
}
