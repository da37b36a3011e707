package polite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// Rule says how long to wait after the first failure, how waits grow, and to what.
type Rule struct {
	First, Most time.Duration
	// Linear adds First each time; otherwise waits double.
	Linear bool
}

// Rules are a vendor's, by the kind of failure.
type Rules struct {
	// Network: no connection, or one that ended.
	Network Rule
	// HTTP: the server answered, but not with success.
	HTTP Rule
	// Limited: the server answered 429 (or 420).
	Limited Rule
}

// DefaultRules are for vendors that have published none.
func DefaultRules() Rules {
	return Rules{
		Network: Rule{First: 500 * time.Millisecond, Most: time.Minute},
		HTTP:    Rule{First: 5 * time.Second, Most: 5 * time.Minute},
		Limited: Rule{First: time.Minute, Most: 15 * time.Minute},
	}
}

// Ruled is a source with rules of its own.
type Ruled interface{ Rules() Rules }

// Steady is how long a connection must have held for waits to begin anew.
const Steady = time.Minute

// Shortest and Longest are the waits that a server can ask for.
const (
	Shortest = time.Second
	Longest  = time.Hour
)

// Backoff counts failures in a row. Not safe for concurrent use.
type Backoff struct {
	rules    Rules
	failures [3]int // by kind of failure
}

// NewBackoff returns a Backoff that has seen no failure.
func NewBackoff(rules Rules) *Backoff { return &Backoff{rules: rules} }

// Next returns how long to wait after a failure, for a connection that had held so long: what the server asked for, longer or shorter than
// the rule of its kind, from Shortest to Longest, or else what that rule says; and up to a quarter more, so that many clients do not come back together.
func (b *Backoff) Next(err error, held time.Duration) time.Duration {
	if held >= Steady {
		b.failures = [3]int{}
	}
	kind, rule := 0, b.rules.Network
	var answer *StatusError
	if errors.As(err, &answer) {
		kind, rule = 1, b.rules.HTTP
		if answer.Code == http.StatusTooManyRequests || answer.Code == 420 {
			kind, rule = 2, b.rules.Limited
		}
	}
	wait := rule.wait(b.failures[kind])
	b.failures[kind]++
	said := time.Duration(0)
	var asked *WaitError
	switch {
	case errors.As(err, &asked):
		said = asked.Wait
	case answer != nil:
		said = answer.RetryAfter
	}
	if said > 0 {
		wait = min(max(said, Shortest), Longest)
	}
	return wait + rand.N(wait/4+1)
}

// wait returns the wait after so many failures before this one.
func (r Rule) wait(failures int) time.Duration {
	wait := r.First
	for range failures {
		if wait >= r.Most {
			break
		}
		if r.Linear {
			wait += r.First
		} else {
			wait *= 2
		}
	}
	return min(wait, r.Most)
}

// WaitError is a failure after which a server wants to be left alone for a while, whatever the rules say.
type WaitError struct {
	Wait time.Duration
	Err  error
}

func (e *WaitError) Error() string {
	return fmt.Sprintf("%v (not before %s)", e.Err, e.Wait.Round(time.Second))
}
func (e *WaitError) Unwrap() error { return e.Err }

// Sleep waits, or returns ctx's error when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
