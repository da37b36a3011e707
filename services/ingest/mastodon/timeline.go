package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/recent"
	"outcry.dev/services/ingest/rounds"
	"outcry.dev/services/ingest/source"
)

// remembered is how many posts are known by id, and how many are known to be deleted.
const remembered = 200_000

// heard is what all instances together have told.
type heard struct {
	revisions *recent.Map[int64]    // by uri
	uris      *recent.Map[string]   // by instance and id
	deleted   *recent.Map[struct{}] // by instance and id, and by uri
}

func newHeard() *heard {
	return &heard{revisions: recent.New[int64](remembered), uris: recent.New[string](remembered), deleted: recent.New[struct{}](remembered)}
}

// timeline is one stream of one instance.
type timeline struct {
	cfg      Config
	instance *instance
	stream   stream
	label    string
	heard    *heard
	recalled bool // what was told before the process began is known again

	// Nil but for one stream of each server, and where nothing is stored.
	stored *rounds.Rounds
	polled *polled
}

// position is the cursor.
type position struct {
	ID  string `json:"id"` // the latest that this server gave to a post that was told
	URI string `json:"uri,omitempty"`
	// Checked is the last stored post that was asked for again in this round.
	Checked string `json:"checked,omitempty"`
}

func (p *position) cursor() string {
	b, _ := json.Marshal(p) // cannot fail
	return string(b)
}

// Name is host and stream.
func (t *timeline) Name() string { return "mastodon/" + t.instance.host + "/" + t.label }

// Probe connects, and waits a moment for a server that says no after it has said yes.
func (t *timeline) Probe(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	a, err := t.instance.about(ctx)
	if err != nil {
		return "", err
	}
	c, err := t.instance.open(ctx, a, t.stream, t.cfg.Transport, min(t.cfg.IdleTimeout, 3*time.Second))
	if err != nil {
		return "", t.explain(err)
	}
	defer c.close()
	f, err := c.next()
	if err == nil {
		err = f.refused()
	}
	if err != nil && !errors.Is(err, polite.ErrIdle) { // a quiet server is a good one
		return "", t.explain(err)
	}
	return fmt.Sprintf("%s, streaming at %s", a.version, a.streaming), nil
}

// explain adds what a person can do.
func (t *timeline) explain(err error) error {
	var code *polite.StatusError
	var closed *polite.CloseError
	switch {
	case errors.As(err, &code) && (code.Code == http.StatusUnauthorized || code.Code == http.StatusForbidden):
		return fmt.Errorf("%s wants an access token with the scope read:statuses for %s (ingest.mastodon.tokens): %w", t.instance.host, t.label, err)
	case errors.As(err, &closed) && closed.Code == 1005:
		return fmt.Errorf("%s closed the stream without a word, as it does when a token is revoked: %w", t.instance.host, err)
	}
	return err
}

// refused returns what a server says in a frame instead of refusing the connection.
func (f *frame) refused() error {
	if f.Error == "" {
		return nil
	}
	code := f.Status
	if code < 400 || code > 599 {
		code = http.StatusBadRequest
	}
	return &polite.StatusError{Code: code, Text: polite.Line(f.Error)}
}

// Run fills the gap since the cursor, and then listens.
func (t *timeline) Run(ctx context.Context, s *source.Session) error {
	r := &run{timeline: t, session: s}
	if s.Cursor != "" {
		_ = json.Unmarshal([]byte(s.Cursor), &r.at) // of an older version: begin live
	}
	if r.stored != nil {
		r.stored.Resume(r.at.Checked)
	}
	if err := r.run(ctx); err != nil && ctx.Err() == nil {
		return t.explain(err)
	}
	return nil
}

// run is one connection.
type run struct {
	*timeline
	session *source.Session
	about   about
	mu      sync.Mutex // guards at, and keeps events and their cursors in order
	at      position
}

func (r *run) run(ctx context.Context) error {
	var err error
	if r.about, err = r.instance.about(ctx); err != nil {
		return err
	}
	r.recall(ctx)
	if err := r.fill(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	c, err := r.instance.open(ctx, r.about, r.stream, r.cfg.Transport, r.cfg.IdleTimeout)
	if err != nil {
		return err
	}
	defer c.close()
	// What came between the last page and the opening of the stream.
	if err := r.fill(ctx); err != nil {
		return err
	}
	r.session.Status.Connected(r.about.streaming)
	if r.stored != nil {
		g.Go(func() error { return r.followDeletes(ctx) })
	}
	g.Go(func() error { return r.listen(c) })
	return g.Wait()
}

// listen tells what a stream has until it ends.
func (r *run) listen(c connection) error {
	for {
		f, err := c.next()
		var bad *frameError
		var long *polite.LongFrameError
		switch {
		case errors.As(err, &bad):
			err = r.locked(func() error { return r.unreadable(bad.reason, bad.raw) })
		case errors.As(err, &long):
			err = r.locked(func() error { return r.unreadable(long.Error(), long.Begin) })
		case err == nil:
			err = r.locked(func() error { return r.take(&f) })
		}
		if err != nil {
			return err
		}
	}
}

func (r *run) locked(do func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return do()
}

// recallPages are read to know again which id is which uri.
const recallPages = 5

// recall reads back what was told right before a restart, without telling it again, so that a delete that follows can be honoured: most come
// within minutes. Where that cannot be had, listening is worth more.
func (r *run) recall(ctx context.Context) {
	if r.recalled || r.at.ID == "" {
		return
	}
	r.timeline.recalled = true
	if r.at.URI != "" {
		r.heard.uris.Put(r.key(r.at.ID), r.at.URI)
	}
	before := r.at.ID
	for range recallPages {
		list, err := r.instance.before(ctx, r.stream, before)
		if err != nil || len(list) == 0 {
			return
		}
		for _, raw := range list {
			s, err := decodeStatus(raw)
			if err != nil || !s.public() {
				continue
			}
			r.heard.uris.Put(r.key(s.ID), s.URI)
			if later(before, s.ID) {
				before = s.ID
			}
		}
	}
}

// fill reads what the timeline has since the last post.
func (r *run) fill(ctx context.Context) error {
	if r.at.ID == "" {
		return nil
	}
	for range r.cfg.GapPages {
		before := r.at.ID
		list, err := r.instance.page(ctx, r.stream, before)
		var code *polite.StatusError
		if errors.As(err, &code) && code.Code/100 == 4 && code.Code != http.StatusTooManyRequests {
			r.session.Status.Gap(fmt.Sprintf("after id %s: the timeline cannot be read: %v", before, err))
			return nil
		}
		if err != nil {
			return fmt.Errorf("fill the gap after id %s: %w", before, err)
		}
		for _, raw := range list {
			if err := r.update(raw); err != nil {
				return err
			}
		}
		if len(list) == 0 || r.at.ID == before {
			return nil
		}
		if len(list) < pageSize/2 { // servers leave out what they filter, so a page that is not full need not be the last
			return nil
		}
	}
	r.session.Status.Gap(fmt.Sprintf("after id %s: more than gap_pages = %d pages", r.at.ID, r.cfg.GapPages))
	return nil
}

func (r *run) unreadable(reason string, raw []byte) error {
	return r.session.Emit(source.Event{Kind: source.Unreadable, Cursor: r.at.cursor(),
		Fault: &source.Fault{Origin: r.Name(), Reason: polite.Line(reason), Raw: raw}})
}

// take works through one frame.
func (r *run) take(f *frame) error {
	if err := f.refused(); err != nil {
		return err
	}
	payload, err := f.payload()
	if err != nil {
		return r.unreadable(err.Error(), f.Payload)
	}
	switch f.Event {
	case "update", "status.update":
		return r.update(payload)
	case "delete":
		id, err := deletedID(payload)
		if err != nil {
			return r.unreadable(err.Error(), payload)
		}
		return r.delete(id)
	}
	return nil // announcements, notifications and what may come
}

// mark tells the cursor.
func (r *run) mark() error {
	return r.session.Emit(source.Event{Kind: source.Mark, Cursor: r.at.cursor()})
}

func (r *run) key(id string) string { return r.instance.host + " " + id }

// uri returns the uri of a post of this server, or the id where it is not known.
func (r *run) uri(id string) string {
	if uri, ok := r.heard.uris.Get(r.key(id)); ok {
		return uri
	}
	return id
}

// update tells a post, unless it was deleted already or came from another server.
func (r *run) update(raw []byte) error {
	s, err := decodeStatus(raw)
	if err != nil {
		return r.unreadable(err.Error(), raw)
	}
	if later(s.ID, r.at.ID) {
		r.at.ID, r.at.URI = s.ID, s.URI
	}
	if !s.public() {
		return r.mark()
	}
	r.heard.uris.Put(r.key(s.ID), s.URI)
	now := time.Now()
	if _, gone := r.heard.deleted.Get(r.key(s.ID)); gone {
		// The delete came before it. Another server may have told the post.
		return r.gone(s.URI, now)
	}
	if _, gone := r.heard.deleted.Get(s.URI); gone {
		return r.mark()
	}
	revision := s.revision()
	if before, ok := r.heard.revisions.Get(s.URI); ok && before >= revision {
		return r.mark()
	}
	r.heard.revisions.Put(s.URI, revision)
	e := source.Post(s.post(r.about.domain, now, r.uri), revision, now, r.Name(), 0, raw)
	e.Cursor = r.at.cursor()
	return r.session.Emit(e)
}

func (r *run) delete(id string) error {
	r.heard.deleted.Put(r.key(id), struct{}{})
	uri, ok := r.heard.uris.Get(r.key(id))
	if !ok {
		return nil // of a post that is still to come, or that nobody remembers
	}
	return r.gone(uri, time.Now())
}

func (r *run) gone(uri string, now time.Time) error {
	r.heard.deleted.Put(uri, struct{}{})
	return r.session.Emit(source.Event{Kind: source.Delete, Cursor: r.at.cursor(), Post: post.Post{Source: SourceName, ID: uri, CreatedAt: now}})
}
