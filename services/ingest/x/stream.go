package x

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/recent"
	"outcry.dev/services/ingest/source"
)

const (
	maxLine = 1 << 20
	// margin is how many posts are left unread below the limit, for those under way when the stream ends, and how many are
	// added after a restart, for those that came after the last cursor was stored.
	margin = 100
)

// Source is the stream.
type Source struct {
	cfg    Config
	base   string
	rules  []string
	client *http.Client
	seen   *recent.Map[struct{}]

	mu      sync.Mutex // guards what follows, and keeps events and their cursors in order
	spent   *spending  // nil before the first run
	volumes []int64    // posts a day by rule, and one more; 0 where it was not asked for
	next    int        // the rule that is asked for next

	// held gives the ids of posts that are stored, see source.Deps; nil where nothing is.
	held func(ctx context.Context, network, after string, most int) ([]string, error)
}

// spending is the cursor: what was paid for in a month.
type spending struct {
	Month string `json:"month"` // 2026-11
	Posts int64  `json:"posts"`
	// Alive is when something came last, be it only what keeps the connection alive.
	Alive time.Time `json:"alive,omitzero"`
	// Counted is when the counts endpoint was asked last.
	Counted time.Time `json:"counted,omitzero"`
	// Comply is when X is to be asked next which posts are gone.
	Comply time.Time `json:"comply,omitzero"`
}

func (s *spending) cursor() string {
	b, _ := json.Marshal(s) // cannot fail
	return string(b)
}

// roll begins a new month.
func (s *spending) roll(now time.Time) {
	if month := now.UTC().Format("2006-01"); month != s.Month {
		s.Month, s.Posts = month, 0
	}
}

// left returns how many posts may still be read.
func (s *Source) left(now time.Time) int64 {
	s.spent.roll(now)
	if s.cfg.PostCost == 0 {
		return 1 << 40
	}
	return int64(min(s.cfg.SpendLimit/s.cfg.PostCost, 1<<40)+1e-9) - s.spent.Posts
}

// Name is "x".
func (s *Source) Name() string { return "x" }

// Probe asks for the rules, and what the first of them would cost.
func (s *Source) Probe(ctx context.Context) (string, error) {
	var have rulesAnswer
	if err := s.call(ctx, http.MethodGet, "/2/tweets/search/stream/rules", nil, &have); err != nil {
		return "", err
	}
	found := fmt.Sprintf("%d rules there, %d wanted; at most $%g a month", len(have.Data), len(s.rules), s.cfg.SpendLimit)
	if len(s.rules) == 0 || s.cfg.SpendLimit == 0 {
		return found, nil
	}
	perDay, err := s.volume(ctx, s.rules[0])
	if err != nil {
		return "", fmt.Errorf("ask for counts: %w", err)
	}
	return fmt.Sprintf("%s; the first rule matches %d posts a day, which cost $%.2f", found, perDay, float64(perDay)*s.cfg.PostCost), nil
}

// load takes over the cursor once: what the process remembers is more.
func (s *Source) load(cursor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spent != nil {
		return
	}
	s.spent = &spending{}
	if cursor != "" && json.Unmarshal([]byte(cursor), s.spent) == nil && s.spent.Posts >= 0 {
		s.spent.Posts += margin
	}
	if s.spent.Counted.After(time.Now()) {
		s.spent.Counted = time.Time{}
	}
}

// Run reconciles the rules, and reads the stream.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	s.load(in.Cursor)
	// The margin is spent even where nothing comes, so that crashing again and again cannot overspend.
	if spent := s.pay(in, 0); spent != nil {
		// What was read while there was money can still be deleted.
		if err := s.complyIfDue(ctx, in); err != nil {
			return ended(ctx, err)
		}
		return spent
	}
	if err := s.reconcile(ctx); err != nil {
		return ended(ctx, err)
	}
	g, beside := errgroup.WithContext(ctx)
	if s.cfg.CountsEvery > 0 && s.cfg.PostCost > 0 {
		g.Go(func() error {
			return s.every(beside, s.cfg.CountsEvery, &s.spent.Counted, func() error { return s.estimate(beside, in) })
		})
	}
	if s.cfg.ComplianceEvery > 0 && s.held != nil {
		g.Go(func() error { return s.followDeletes(beside, in) })
	}
	g.Go(func() error { return s.read(beside, in) })
	return ended(ctx, g.Wait())
}

// every does something again and again until it fails or ctx ends; last is when it was done, whatever connections were made since.
func (s *Source) every(ctx context.Context, d time.Duration, last *time.Time, do func() error) error {
	for {
		s.mu.Lock()
		wait := time.Until(last.Add(d))
		s.mu.Unlock()
		if err := polite.Sleep(ctx, max(0, wait)); err != nil {
			return err
		}
		s.mu.Lock()
		*last = time.Now().UTC()
		s.mu.Unlock()
		if err := do(); err != nil {
			return err
		}
	}
}

// pay counts what costs as much as so many posts, and stores it. Its error says that nothing is left.
func (s *Source) pay(in *source.Session, posts int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if err := s.afford(now); err != nil {
		return err
	}
	s.spent.Posts += posts
	return in.Emit(source.Event{Kind: source.Mark, Cursor: s.spent.cursor()})
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end that was asked for
	}
	return err
}

// afford returns an error where the limit is reached. With mu held.
func (s *Source) afford(now time.Time) error {
	if s.left(now) > margin {
		return nil
	}
	return &polite.WaitError{Wait: time.Hour, Err: fmt.Errorf("the spend limit of $%g for %s (ingest.x.spend_limit) is reached: %d posts were paid for",
		s.cfg.SpendLimit, s.spent.Month, s.spent.Posts)}
}

func (s *Source) read(ctx context.Context, in *source.Session) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := url.Values{"tweet.fields": {"created_at,lang,author_id,referenced_tweets,edit_history_tweet_ids,note_tweet,geo,entities"}, "expansions": {"author_id,geo.place_id"},
		"user.fields": {"username,verified"}, "place.fields": {"full_name"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/2/tweets/search/stream?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	s.authorize(req)
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := polite.Check(resp, time.Now()); err != nil {
		return explain(err)
	}
	body := polite.Body(resp.Body, s.cfg.IdleTimeout)
	defer func() { _ = body.Close() }()
	in.Status.Connected(s.base)
	s.mu.Lock()
	last := s.spent.Alive
	s.mu.Unlock()
	if !last.IsZero() && time.Since(last) > time.Minute {
		in.Status.Gap("since " + last.Format(time.RFC3339) + ": the stream does not go back")
	}
	lines := polite.NewLines(body, maxLine)
	for {
		line, err := lines.Next()
		if err := s.line(line, err, in); err != nil {
			return err
		}
	}
}

// line works through what came, or did not.
func (s *Source) line(line []byte, err error, in *source.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var long *polite.LongLineError
	switch {
	case errors.As(err, &long):
		s.spent.Posts++
		err = s.unreadable(in, long.Error(), long.Begin)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server ended the stream")
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case len(line) > 0:
		err = s.take(line, in)
	case time.Since(s.spent.Alive) > 10*time.Second: // an empty line keeps the connection alive
		s.spent.Alive = time.Now().UTC()
		err = in.Emit(source.Event{Kind: source.Mark, Cursor: s.spent.cursor()})
	}
	return err
}

func (s *Source) unreadable(in *source.Session, reason string, raw []byte) error {
	return in.Emit(source.Event{Kind: source.Unreadable, Cursor: s.spent.cursor(), Fault: &source.Fault{Origin: s.base, Reason: polite.Line(reason), Raw: raw}})
}

// take works through one line.
func (s *Source) take(line []byte, in *source.Session) error {
	now := time.Now()
	p, edited, m, err := decode(line, now)
	switch {
	case m == nil:
		return s.unreadable(in, err.Error(), line)
	case m.Data == nil && (len(m.Errors) > 0 || m.Title != ""):
		return m.fault()
	case m.Data == nil:
		return nil // what may come
	}
	s.spent.roll(now)
	s.spent.Posts++ // whether it can be read or was seen already
	if err != nil {
		if err := s.unreadable(in, err.Error(), line); err != nil {
			return err
		}
		return s.afford(now)
	}
	s.spent.Alive = now.UTC()
	if _, twice := s.seen.Put(p.ID, struct{}{}); twice {
		if err := in.Emit(source.Event{Kind: source.Mark, Cursor: s.spent.cursor()}); err != nil {
			return err
		}
		return s.afford(now)
	}
	for _, id := range edited { // an edit has an id of its own; what it replaces must go
		if err := in.Emit(source.Event{Kind: source.Delete, Post: post.Post{Source: SourceName, ID: id, CreatedAt: p.CreatedAt}}); err != nil {
			return err
		}
	}
	e := source.Post(p, 0, now, s.base, 0, line)
	e.Cursor = s.spent.cursor()
	if err := in.Emit(e); err != nil {
		return err
	}
	return s.afford(now)
}

// fault is how the server says goodbye within a stream that began well.
func (m *message) fault() error {
	all := append(m.Errors, m.problem)
	for _, p := range all {
		if p.Issue == "TooManyConnections" {
			return &polite.StatusError{Code: http.StatusTooManyRequests, Text: p.String()}
		}
	}
	return fmt.Errorf("the server ends the stream: %s", all[0])
}
