// Package source is what every connector speaks: events in the order in which a network or a file gives them.
// It must never know a network or Kafka.
package source

import (
	"context"
	"time"

	"outcry.dev/pkg/post"
)

// Kind says what an Event tells.
type Kind int

// Kinds of events.
const (
	// Upsert: the post exists and reads so.
	Upsert Kind = iota
	// Delete: the network withdrew the post; only Source, ID and CreatedAt of it are set.
	Delete
	// Unreadable: bytes that are no event; Fault says why.
	Unreadable
	// Clock: the source has nothing older than CreatedAt of the post any more.
	Clock
)

// Event is one thing that a source says.
type Event struct {
	Kind     Kind
	Post     post.Post
	Revision int64
	Fault    *Fault
}

// Fault says which bytes could not be read, where they stood and why.
type Fault struct {
	Origin   string // file or network
	Position int64  // line, from 1
	Reason   string
	Raw      []byte // valid until emit returns
}

// Emit takes one event. Its error ends the source.
type Emit func(Event) error

// Source delivers events until it is exhausted or ctx ends.
type Source interface {
	Run(ctx context.Context, emit Emit) error
}

// Post returns the event of a post, or of its fault where it is not valid or lies in the future of now.
func Post(p post.Post, revision int64, now time.Time, origin string, position int64, raw []byte) Event {
	p.Normalize()
	if err := p.Validate(); err != nil {
		return Event{Kind: Unreadable, Fault: &Fault{Origin: origin, Position: position, Reason: oneLine(err), Raw: raw}}
	}
	// A single post from the future would take the event-time clock with it and make everything after it late.
	if p.CreatedAt.After(now.Add(MaxFuture)) {
		return Event{Kind: Unreadable, Fault: &Fault{Origin: origin, Position: position,
			Reason: "field \"created_at\" lies in the future: " + p.CreatedAt.Format(time.RFC3339), Raw: raw}}
	}
	return Event{Kind: Upsert, Post: p, Revision: revision}
}

// MaxFuture is how far a network's clock may be ahead of ours.
const MaxFuture = 5 * time.Minute

func oneLine(err error) string {
	b := []byte(err.Error())
	for i, c := range b {
		if c == '\n' {
			b[i] = ';'
		}
	}
	return string(b)
}
