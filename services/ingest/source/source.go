package source

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
)

// Kind says what an Event tells.
type Kind int

// Kinds of events.
const (
	// Upsert: the post exists and reads so. A higher Revision is an edit.
	Upsert Kind = iota
	// Delete: the network withdrew the post; only Source, ID and CreatedAt of it are set. It may come before the post, or without one.
	Delete
	// RemoveAuthor: the network withdrew an account, and every post of it up to CreatedAt; only Source, Author and CreatedAt of the post are set.
	RemoveAuthor
	// Unreadable: bytes that are no event; Fault says why.
	Unreadable
	// Clock: the source has nothing older than CreatedAt of the post any more.
	Clock
	// Mark: nothing happened, but the source is at Cursor.
	Mark
)

// Event is one thing that a source says.
type Event struct {
	Kind     Kind
	Post     post.Post
	Revision int64
	Fault    *Fault
	// Cursor is where the source would go on after this event, in its own words; empty leaves the last one standing. It is
	// stored once Kafka has acknowledged this event and all before it.
	Cursor string
}

// Fault says which bytes could not be read, where they stood and why.
type Fault struct {
	Origin   string // file or network
	Position int64  // line, from 1
	Reason   string
	Raw      []byte // valid until emit returns
}

// Emit takes one event. It waits while the pipeline is behind. Its error ends the source, which returns it as it is.
type Emit func(Event) error

// Source delivers events. Not more than one Run of a Source is under way at a time, in all processes together.
type Source interface {
	// Name is the key of the source's cursor and state, the same after every restart, for example "mastodon/mastodon.social". At most 200 bytes.
	Name() string
	// Run delivers events until it is exhausted (nil), ctx ends, or something fails. It neither waits before it connects nor
	// connects again: whoever called it waits as the error asks (package polite) and calls it again, with the cursor of the last event.
	Run(ctx context.Context, s *Session) error
}

// Session is what one Run works with.
type Session struct {
	// Cursor of the last event that is safe; empty at the first start. It comes from outside and may be of an older version.
	Cursor string
	Emit   Emit
	// Settled waits until Kafka has acknowledged everything emitted before it was called. Its error says that this is not known. Nil where
	// nobody acknowledges; see [Session.Settle].
	Settled func(ctx context.Context) error
	// Status may be nil.
	Status *Status
	// Log has the name of the source in it. Nil logs nothing.
	Log *slog.Logger
}

// Settle calls Settled, where there is one.
func (s *Session) Settle(ctx context.Context) error {
	if s.Settled == nil {
		return nil
	}
	return s.Settled(ctx)
}

// Connector is the configuration of one network. It lies in the folder of its connector, and ingest.Config has one as a section.
type Connector interface {
	// Validate reports every fault, whether or not it is enabled.
	Validate() error
	// Sources returns what is listened to: none where the connector is not enabled. It does not connect.
	Sources(d Deps) ([]Source, error)
}

// Deps are what connectors may need besides their configuration.
type Deps struct {
	Log *slog.Logger
	// Catalog is whom Outcry listens for, for networks that have to be told what to search for, and for status pages.
	Catalog *catalog.Catalog
	// Held returns the ids of at most so many stored posts of a network of which something could be withdrawn: those after an id, in order. For networks
	// that do not tell of deletes and have to be asked. Nil where nothing is stored.
	Held func(ctx context.Context, network, after string, most int) (ids []string, err error)
}

// Prober is a Source that can say whether it would work, for `outcry doctor`: it connects, looks and leaves.
type Prober interface {
	// Probe returns a few words about what it found ("4.2.1, streaming at wss://…").
	Probe(ctx context.Context) (string, error)
}

// Post returns the event of a post in its normal form, or of its fault where it is not valid or lies in the future of now. Every post of every source
// comes this way.
func Post(p post.Post, revision int64, now time.Time, origin string, position int64, raw []byte) Event {
	if err := p.Validate(); err != nil {
		return Event{Kind: Unreadable, Fault: &Fault{Origin: origin, Position: position, Reason: oneLine(err), Raw: raw}}
	}
	// A single post from the future would take the event-time clock with it and make everything after it late.
	if p.CreatedAt.After(now.Add(MaxFuture)) {
		return Event{Kind: Unreadable, Fault: &Fault{Origin: origin, Position: position,
			Reason: "field \"created_at\" lies in the future: " + p.CreatedAt.Format(time.RFC3339), Raw: raw}}
	}
	normal.Post(&p)
	return Event{Kind: Upsert, Post: p, Revision: revision}
}

// MaxFuture is how far a network's clock may be ahead of ours.
const MaxFuture = 5 * time.Minute

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
