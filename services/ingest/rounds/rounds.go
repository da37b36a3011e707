// Package rounds goes through the posts of a network that are stored, from the first to the last and then again, a few at a time: for networks that do not tell
// of deletes while nobody listens, and have to be asked. It must not ask them itself.
package rounds

import (
	"context"
	"log/slog"
	"time"

	"outcry.dev/services/ingest/polite"
)

const (
	// most is how many ids are in memory.
	most = 10_000
	// patience is how long ClickHouse is waited for, while nothing is read.
	patience = 10 * time.Second
)

// Rounds is where one source is. It is not safe for concurrent use.
type Rounds struct {
	network string
	every   time.Duration
	held    func(ctx context.Context, network, after string, most int) ([]string, error)

	due   time.Time // of the next round
	under bool      // a round is under way
	ids   []string  // what comes next in it
	final bool      // nothing follows ids
	after string    // the last id that was asked for
}

// New returns the rounds through what is stored of a network, one beginning every so often. held is as in source.Deps; nil where nothing is stored.
func New(network string, every time.Duration, held func(ctx context.Context, network, after string, most int) ([]string, error)) *Rounds {
	return &Rounds{network: network, every: every, held: held}
}

// Resume goes on after an id that At gave, perhaps to a process before this one.
func (r *Rounds) Resume(after string) { r.ids, r.final, r.after = nil, false, after }

// At is the last id of the round that was asked for, for the source's cursor; empty between rounds.
func (r *Rounds) At() string { return r.after }

// Begin begins a round where none is under way and one is due, and reports whether it did.
func (r *Rounds) Begin() bool {
	if r.under || time.Now().Before(r.due) {
		return false
	}
	r.under, r.final = true, false
	if r.after == "" { // else it is the rest of a round of before a restart, which may have passed what was withdrawn since
		r.due = time.Now().Add(r.every)
	}
	return true
}

// Next returns at most n ids that come next in the round that is under way, none where none is or it is over. They come again until they are Asked for.
// While ClickHouse is away it ends the round, which the next one goes on with, and says so in the log.
func (r *Rounds) Next(ctx context.Context, n int, log *slog.Logger) []string {
	if !r.under {
		return nil
	}
	if len(r.ids) == 0 {
		var err error
		if !r.final && r.held != nil {
			r.ids, err = r.stored(ctx)
			r.final = len(r.ids) < most // what is stored from now on is new
		}
		if err != nil && ctx.Err() == nil && log != nil {
			log.Warn("which posts are stored could not be asked; deletes of older posts are looked for in the next round", "error", polite.Line(err.Error()))
		}
		if len(r.ids) == 0 {
			if err == nil {
				r.after = ""
			}
			r.under = false
			return nil
		}
	}
	return r.ids[:min(len(r.ids), n)]
}

func (r *Rounds) stored(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return r.held(ctx, r.network, r.after, most)
}

// Asked says that the network has been asked for what Next returned.
func (r *Rounds) Asked(ids []string) {
	if len(ids) > 0 {
		r.ids, r.after = r.ids[len(ids):], ids[len(ids)-1]
	}
}
