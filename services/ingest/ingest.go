package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/post"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest/source"
)

// Deps are what the stage works with.
type Deps struct {
	Bus       *bus.Bus
	AuthorKey []byte
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	// Live says that posts are of now: the wall clock then moves event time on while nobody posts.
	Live bool
}

// Counts are what a run has taken from its sources.
type Counts struct {
	Posts, Deletes, Unreadable int64
	// Newest is the latest event time.
	Newest time.Time
}

// Stage writes the events of its sources to posts.v1.
type Stage struct {
	cfg     Config
	deps    Deps
	sources []*listener
	metrics *metrics

	posts, dead *bus.Producer
	hasher      *post.AuthorHasher

	mu      sync.Mutex // guards what follows
	counts  Counts
	clockUS int64 // last clock written, on the grid
	pending batch
	post    outcryv1.Post // the one being encoded
}

// batch is what is written at once.
type batch struct {
	posts, dead []bus.Message
	memory      []byte // the rest of the piece in which values are encoded
}

// pieceBytes is how much memory is taken at once for values.
const pieceBytes = 256 << 10

func (b *batch) empty() bool { return len(b.posts) == 0 && len(b.dead) == 0 }

// encode cannot fail: the messages hold valid UTF-8, which post.Validate has seen to, and known enums.
func (b *batch) encode(m proto.Message) []byte {
	size := proto.Size(m)
	if cap(b.memory)-len(b.memory) < size {
		b.memory = make([]byte, 0, max(size, pieceBytes))
	}
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b.memory, m)
	if err != nil {
		panic("ingest: " + err.Error())
	}
	value := out[len(b.memory):len(out):len(out)]
	b.memory = out
	return value
}

// New returns a stage that remembers its parts.
func New(cfg Config, deps Deps, sources ...source.Source) *Stage {
	s := &Stage{cfg: cfg, deps: deps, metrics: newMetrics(deps.Metrics)}
	for _, src := range sources {
		s.sources = append(s.sources, newListener(s, src))
	}
	return s
}

// Counts returns what has been taken so far.
func (s *Stage) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Run works until the source is exhausted and everything is acknowledged, or ctx ends.
func (s *Stage) Run(ctx context.Context) error {
	var err error
	if s.posts, err = s.deps.Bus.Producer(ctx, topics.Posts); err != nil {
		return err
	}
	if s.dead, err = s.deps.Bus.Producer(ctx, topics.Dead); err != nil {
		return err
	}
	s.hasher = post.NewAuthorHasher(s.deps.AuthorKey)

	g, ctx := errgroup.WithContext(ctx)
	full := make(chan batch, 2) // one being written, the next being filled
	g.Go(func() error {
		for b := range full {
			if err := s.write(ctx, b); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		defer close(full)
		send := func() error {
			if s.pending.empty() {
				return nil
			}
			b := s.pending
			s.pending = batch{posts: make([]bus.Message, 0, len(b.posts))}
			select {
			case full <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		stopped := make(chan struct{})
		var ticking sync.WaitGroup
		ticking.Go(func() { s.tick(ctx, stopped, send) })
		listening, listenCtx := errgroup.WithContext(ctx)
		for _, l := range s.sources {
			listening.Go(func() error {
				return l.listen(listenCtx, func(e source.Event) error {
					s.mu.Lock()
					defer s.mu.Unlock()
					s.take(l, e)
					if len(s.pending.posts)+len(s.pending.dead) < s.cfg.BatchPosts {
						return nil
					}
					return send()
				})
			})
		}
		err := listening.Wait()
		close(stopped)
		ticking.Wait()
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.deps.Live && !s.counts.Newest.IsZero() {
			// The recording is over: everything up to its last post may be decided.
			s.clock(s.counts.Newest.Add(detect.Step))
		}
		return send()
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("ingest: %w", err)
	}
	return nil
}

// tick sends what has waited long enough, and moves a live source's clock on.
func (s *Stage) tick(ctx context.Context, stopped <-chan struct{}, send func() error) {
	t := time.NewTicker(s.cfg.BatchWait)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-stopped:
			return
		case now := <-t.C:
			s.mu.Lock()
			if s.deps.Live {
				s.clock(now.Add(-s.cfg.MaxOutOfOrderness))
			}
			_ = send() // its error is ctx's, which ends the source too
			s.mu.Unlock()
		}
	}
}

// take turns an event into messages.
func (s *Stage) take(l *listener, e source.Event) {
	l.took(&e)
	switch e.Kind {
	case source.Upsert:
		s.counts.Posts++
		s.metrics.upserts.Inc()
		s.advance(e.Post.CreatedAt)
		p, m := &e.Post, &s.post
		m.Reset()
		m.Kind, m.Source, m.Id, m.Author = outcryv1.Post_KIND_UPSERT, p.Source, p.ID, s.hasher.Hash(p.Source, p.Author)
		m.TimeUs, m.Text, m.Lang, m.Url, m.ReplyTo, m.RepostOf = p.CreatedAt.UnixMicro(), p.Text, p.Lang, p.URL, p.ReplyTo, p.RepostOf
		m.Place, m.AuthorVerified, m.Revision, m.Notice = p.Place, p.AuthorVerified, e.Revision, outcryv1.Post_Notice(p.Notice)
		s.put(p, m)
	case source.Delete:
		s.counts.Deletes++
		s.metrics.deletes.Inc()
		at := e.Post.CreatedAt
		if at.IsZero() {
			at = s.counts.Newest
		}
		s.put(&e.Post, &outcryv1.Post{Kind: outcryv1.Post_KIND_DELETE, Source: e.Post.Source, Id: e.Post.ID, TimeUs: max(0, at.UnixMicro())})
	case source.RemoveAuthor:
		s.counts.Deletes++
		s.metrics.deletes.Inc()
		s.removeAuthor(&e.Post)
	case source.Clock:
		s.clock(e.Post.CreatedAt)
	case source.Mark:
	case source.Unreadable:
		s.counts.Unreadable++
		s.metrics.unreadable.Inc()
		level := slog.LevelWarn
		if s.counts.Unreadable > loggedFaults {
			level = slog.LevelDebug // dead.v1 has them all
		}
		s.deps.Log.Log(context.Background(), level, "unreadable post goes to dead.v1", "origin", e.Fault.Origin, "line", e.Fault.Position, "reason", e.Fault.Reason)
		d := topics.DeadLetter("ingest", e.Fault.Origin, e.Fault.Position, e.Fault.Reason, e.Fault.Raw)
		s.pending.dead = append(s.pending.dead, bus.Message{Partition: 0, Key: []byte(e.Fault.Origin), Value: s.pending.encode(d)})
	}
}

func (s *Stage) put(p *post.Post, m *outcryv1.Post) {
	s.pending.posts = append(s.pending.posts, bus.Message{Partition: bus.AnyPartition, Key: topics.PostKey(p.Source, p.ID), Value: s.pending.encode(m)})
}

// removeAuthor goes to every partition, since the posts of an author are in all of them.
func (s *Stage) removeAuthor(p *post.Post) {
	at := p.CreatedAt
	if at.IsZero() {
		at = s.counts.Newest
	}
	value := s.pending.encode(&outcryv1.Post{Kind: outcryv1.Post_KIND_AUTHOR_REMOVED, Source: p.Source, Author: s.hasher.Hash(p.Source, p.Author),
		TimeUs: max(0, at.UnixMicro())})
	for partition := range s.posts.Partitions() {
		s.pending.posts = append(s.pending.posts, bus.Message{Partition: partition, Value: value})
	}
}

// advance moves a recording's clock along with its posts.
func (s *Stage) advance(at time.Time) {
	if at.After(s.counts.Newest) {
		s.counts.Newest = at
		s.metrics.behind.Set(float64(at.Unix()))
		if !s.deps.Live {
			s.clock(at.Add(-s.cfg.MaxOutOfOrderness))
		}
	}
}

// clock writes a clock record to every partition when time passes a step of the decision grid.
func (s *Stage) clock(at time.Time) {
	us := at.Truncate(detect.Step).UnixMicro()
	if us <= s.clockUS {
		return
	}
	s.clockUS = us
	value := s.pending.encode(&outcryv1.Post{Kind: outcryv1.Post_KIND_CLOCK, TimeUs: us})
	for p := range s.posts.Partitions() {
		s.pending.posts = append(s.pending.posts, bus.Message{Partition: p, Value: value})
	}
}

func (s *Stage) write(ctx context.Context, b batch) error {
	if len(b.dead) > 0 {
		if err := s.dead.Write(ctx, b.dead...); err != nil {
			return err
		}
	}
	return s.posts.Write(ctx, b.posts...)
}

// loggedFaults is how many unreadable posts are logged one by one.
const loggedFaults = 20
