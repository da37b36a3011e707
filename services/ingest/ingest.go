package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

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

	posts, dead, states *bus.Producer
	hasher              *post.AuthorHasher
	owner               string
	owned               atomic.Int32 // partitions of sources.v1 with sources in them
	full                chan batch   // one being written, the next being filled

	mu      sync.Mutex // guards what follows
	counts  Counts
	clockUS int64 // last clock written, on the grid
	pending batch
	post    outcryv1.Post // the one being encoded
}

// batch is what is written at once.
type batch struct {
	posts, dead []bus.Message
	marks       []mark
	memory      []byte // the rest of the piece in which values are encoded
	// acknowledged is closed once the batch is; nil where nobody waits for that.
	acknowledged chan struct{}
}

// pieceBytes is how much memory is taken at once for values.
const pieceBytes = 256 << 10

// mark is a cursor that is safe once its batch is.
type mark struct {
	listener *listener
	cursor   string
}

func (b *batch) empty() bool {
	return len(b.posts) == 0 && len(b.dead) == 0 && len(b.marks) == 0 && b.acknowledged == nil
}

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
	s := &Stage{cfg: cfg, deps: deps, owner: owner(), full: make(chan batch, 2)}
	for _, src := range sources {
		s.sources = append(s.sources, newListener(s, src))
	}
	s.metrics = newMetrics(deps.Metrics, s.sources)
	return s
}

// Counts returns what has been taken so far.
func (s *Stage) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Run works until ctx ends, or, where the sources are recordings, until they are exhausted and everything is acknowledged.
func (s *Stage) Run(ctx context.Context) error {
	var err error
	if s.posts, err = s.deps.Bus.Producer(ctx, topics.Posts); err != nil {
		return err
	}
	if s.dead, err = s.deps.Bus.Producer(ctx, topics.Dead); err != nil {
		return err
	}
	if s.states, err = s.deps.Bus.Producer(ctx, topics.Sources); err != nil {
		return err
	}
	s.hasher = post.NewAuthorHasher(s.deps.AuthorKey)

	g, ctx := errgroup.WithContext(ctx)
	// What is live when ctx ends is still written, and its cursor stored; a recording is read again anyway.
	writing, stop := context.WithCancel(ctx)
	if s.deps.Live {
		writing, stop = context.WithCancel(context.WithoutCancel(ctx))
		defer context.AfterFunc(ctx, func() { time.AfterFunc(partingTime, stop) })()
	}
	defer stop()
	g.Go(func() error {
		defer stop()
		for b := range s.full {
			if err := s.write(writing, b); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		defer close(s.full)
		listened := make(chan struct{})
		var ticking sync.WaitGroup
		ticking.Go(func() { s.tick(writing, listened) })
		err := s.listen(ctx)
		close(listened)
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
		return s.send(writing)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("ingest: %w", err)
	}
	return nil
}

// listen runs the sources: recordings all at once, to their end; live ones as far as they are not running elsewhere.
func (s *Stage) listen(ctx context.Context) error {
	if s.deps.Live {
		return s.deps.Bus.Consume(ctx, bus.GroupConfig{Group: Group, Topic: topics.Sources}, s.own)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.sources {
		g.Go(func() error { return l.listen(ctx, s.emitter(ctx, l)) })
	}
	return g.Wait()
}

// send hands what is pending to be written, together with the cursors that it leads to. With mu held. Where ctx ends first, it stays pending.
func (s *Stage) send(ctx context.Context) error {
	b := s.pending
	b.marks = nil
	for _, l := range s.sources {
		if l.cursor != l.sent {
			b.marks = append(b.marks, mark{l, l.cursor})
		}
	}
	if b.empty() {
		return nil
	}
	select {
	case s.full <- b:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, m := range b.marks {
		m.listener.sent = m.cursor
	}
	s.pending = batch{posts: make([]bus.Message, 0, len(b.posts))}
	return nil
}

// settle waits until everything that was taken before is acknowledged: batches are written one after the other, so the pending one is the last of them.
func (s *Stage) settle(ctx context.Context) error {
	s.mu.Lock()
	if s.pending.acknowledged == nil {
		s.pending.acknowledged = make(chan struct{})
	}
	acknowledged := s.pending.acknowledged
	s.mu.Unlock()
	select {
	case <-acknowledged:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tick sends what has waited long enough, and moves a live source's clock on.
func (s *Stage) tick(ctx context.Context, stopped <-chan struct{}) {
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
			if s.deps.Live && s.owned.Load() > 0 {
				s.clock(now.Add(-s.cfg.MaxOutOfOrderness))
			}
			_ = s.send(ctx) // its error is ctx's, which ends everything
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
		s.advance(e.Post.CreatedAt)
		p, m := &e.Post, &s.post
		m.Reset()
		m.Kind, m.Source, m.Id, m.Author = outcryv1.Post_KIND_UPSERT, p.Source, p.ID, s.hasher.Hash(p.Source, p.Author)
		m.TimeUs, m.Text, m.Lang, m.Url, m.ReplyTo, m.RepostOf = p.CreatedAt.UnixMicro(), p.Text, p.Lang, p.URL, p.ReplyTo, p.RepostOf
		m.Place, m.AuthorVerified, m.Revision, m.Notice = p.Place, p.AuthorVerified, e.Revision, outcryv1.Post_Notice(p.Notice)
		s.cfg.forget(m)
		s.put(p, m)
	case source.Delete:
		if e.Post.ID == "" || len(e.Post.ID) > post.MaxIDBytes || !utf8.ValidString(e.Post.ID) || !utf8.ValidString(e.Post.Source) {
			s.unreadable(&source.Fault{Origin: l.source.Name(), Reason: "delete of an id that no post can have", Raw: []byte(e.Post.ID)})
			return
		}
		s.counts.Deletes++
		at := e.Post.CreatedAt
		if at.IsZero() {
			at = s.counts.Newest
		}
		s.put(&e.Post, &outcryv1.Post{Kind: outcryv1.Post_KIND_DELETE, Source: e.Post.Source, Id: e.Post.ID, TimeUs: max(0, at.UnixMicro())})
	case source.RemoveAuthor:
		s.counts.Deletes++
		s.removeAuthor(&e.Post)
	case source.Clock:
		s.clock(e.Post.CreatedAt)
	case source.Mark:
	case source.Unreadable:
		s.unreadable(e.Fault)
	}
}

// unreadable becomes a dead letter.
func (s *Stage) unreadable(f *source.Fault) {
	s.counts.Unreadable++
	level := slog.LevelWarn
	if s.counts.Unreadable > loggedFaults {
		level = slog.LevelDebug // dead.v1 has them all
	}
	place := []any{"origin", f.Origin}
	if f.Position > 0 { // networks have no lines
		place = append(place, "line", f.Position)
	}
	s.deps.Log.Log(context.Background(), level, "unreadable post goes to dead.v1", append(place, "reason", f.Reason)...)
	if s.counts.Unreadable == loggedFaults {
		s.deps.Log.Warn("further unreadable posts are logged at level debug alone; dead.v1 has them all")
	}
	d := topics.DeadLetter("ingest", f.Origin, f.Position, f.Reason, f.Raw)
	s.pending.dead = append(s.pending.dead, bus.Message{Partition: 0, Key: []byte(f.Origin), Value: s.pending.encode(d)})
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
	if err := s.posts.Write(ctx, b.posts...); err != nil {
		return err
	}
	for _, m := range b.marks {
		m.listener.stored.Store(&m.cursor)
	}
	if b.acknowledged != nil {
		close(b.acknowledged)
	}
	return nil
}

// loggedFaults is how many unreadable posts are logged one by one.
const loggedFaults = 20
