// Package hackernews reads Hacker News through its public API. It must never write a post into a log.
//
// What is not obvious: items have numbers that grow, so the number of the last one is the cursor, and nothing is missed over a restart, up to a limit.
// Edits and deletes come by a list of what changed lately, which is asked for as well. What changed while nobody listened is in no list: what is stored, whichever process
// heard it, is asked for again, a little at a time, and how far that has come is part of the cursor. The newest items can be null for a moment: they are
// asked for again, a few times, before they are left out.
package hackernews

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/recent"
	"outcry.dev/services/ingest/rounds"
	"outcry.dev/services/ingest/source"
)

// SourceName is the source that these posts carry.
const SourceName = "hackernews"

// Config of the connector.
type Config struct {
	Enabled      bool          `koanf:"enabled" doc:"Whether Hacker News is read."`
	URL          string        `koanf:"url" doc:"Base address of the API."`
	Interval     time.Duration `koanf:"interval" doc:"How often it is asked for what is new, 1s to 1h."`
	CatchUp      int           `koanf:"catch_up" doc:"How many items are read at most after a time away, 0 to 1000000; a longer gap is told as one."`
	RecheckEvery time.Duration `koanf:"recheck_every" doc:"How often the items that are stored are asked for again, to find those that were deleted while nobody listened, 10m to 168h."`
}

// DefaultConfig leaves it out.
func DefaultConfig() Config {
	return Config{URL: "https://hacker-news.firebaseio.com", Interval: 15 * time.Second, CatchUp: 5000, RecheckEvery: 6 * time.Hour}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if u, err := url.Parse(c.URL); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		faults = append(faults, fmt.Errorf("url %q is not an address that begins with https:// or http://", c.URL))
	}
	if c.Interval < time.Second || c.Interval > time.Hour {
		faults = append(faults, fmt.Errorf("interval is %s; 1s to 1h fit", c.Interval))
	}
	if c.CatchUp < 0 || c.CatchUp > 1_000_000 {
		faults = append(faults, fmt.Errorf("catch_up is %d; 0 to 1000000 fit", c.CatchUp))
	}
	if c.RecheckEvery < 10*time.Minute || c.RecheckEvery > 7*24*time.Hour {
		faults = append(faults, fmt.Errorf("recheck_every is %s; 10m to 168h fit", c.RecheckEvery))
	}
	return errors.Join(faults...)
}

// Sources returns the one that there is, where it is enabled.
func (c Config) Sources(d source.Deps) ([]source.Source, error) {
	if !c.Enabled {
		return nil, nil
	}
	return []source.Source{&Source{cfg: c, base: strings.TrimRight(c.URL, "/"), client: polite.Client(), told: recent.New[told](remembered),
		stored: rounds.New(SourceName, c.RecheckEvery, d.Held)}}, nil
}

const (
	remembered = 100_000
	parallel   = 8 // requests at a time
	maxItem    = 1 << 20
	timeout    = 30 * time.Second
	// patience is how often a null item is asked for again.
	patience = 5
	// perCheck is how much of the interval is given to an item that is asked for again.
	perCheck = 250 * time.Millisecond
)

// told is what was said of an item.
type told struct {
	digest uint64
	gone   bool
}

// Source reads items.
type Source struct {
	cfg    Config
	base   string
	client *http.Client
	told   *recent.Map[told]
	nulls  int // how often the next item was null
	stored *rounds.Rounds
}

// Name is "hackernews".
func (s *Source) Name() string { return SourceName }

// Probe asks for the newest item.
func (s *Source) Probe(ctx context.Context) (string, error) {
	newest, err := s.newest(ctx)
	return fmt.Sprintf("newest item %d", newest), err
}

func (s *Source) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v0/"+path+".json", nil)
	if err != nil {
		return err
	}
	_, err = polite.GetJSON(ctx, s.client, req, timeout, maxItem, v)
	return err
}

func (s *Source) newest(ctx context.Context) (int64, error) {
	var n int64
	if err := s.get(ctx, "maxitem", &n); err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, fmt.Errorf("the server says that the newest item is %d", n)
	}
	return n, nil
}

// item is a story, a comment, a poll or a job.
type item struct {
	ID      int64  `json:"id"`
	Type    string `json:"type"`
	By      string `json:"by"`
	Time    int64  `json:"time"`
	Title   string `json:"title"`
	Text    string `json:"text"`
	URL     string `json:"url"`
	Parent  int64  `json:"parent"`
	Deleted bool   `json:"deleted"`
	Dead    bool   `json:"dead"`
}

// decode reads an item; nil is one that is not there yet.
func decode(raw []byte) (*item, error) {
	var i *item
	if err := json.Unmarshal(raw, &i); err != nil {
		return nil, fmt.Errorf("not an item: %w", err)
	}
	if i != nil && i.ID <= 0 {
		return nil, errors.New("an item without an id")
	}
	return i, nil
}

func (i *item) post(received time.Time) post.Post {
	text := normal.HTML(i.Text)
	if title := normal.HTML(i.Title); title != "" {
		text = normal.Text(title + "\n" + text)
	}
	var at time.Time
	if i.Time > 0 {
		at = time.Unix(i.Time, 0)
	}
	id := strconv.FormatInt(i.ID, 10)
	p := post.Post{Source: SourceName, ID: id, Author: i.By, Text: text, CreatedAt: normal.Time(at, received), URL: "https://news.ycombinator.com/item?id=" + id}
	if i.Parent > 0 {
		p.ReplyTo = strconv.FormatInt(i.Parent, 10)
	}
	return p
}

// Run asks for what is new, and what changed, until something fails.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	number, checked, _ := strings.Cut(in.Cursor, " ")
	at, err := strconv.ParseInt(number, 10, 64)
	known := err == nil && at > 0
	s.stored.Resume(checked)
	for {
		newest, err := s.newest(ctx)
		if err != nil {
			return err
		}
		in.Status.Connected(s.base)
		switch {
		case !known, at > newest: // the first time; or a cursor from the future
			at, known = newest, true
		case newest-at > int64(s.cfg.CatchUp):
			in.Status.Gap(fmt.Sprintf("items %d to %d: more than catch_up = %d", at+1, newest-int64(s.cfg.CatchUp), s.cfg.CatchUp))
			at = newest - int64(s.cfg.CatchUp)
		}
		if at, err = s.items(ctx, at, newest, in); err != nil {
			return err
		}
		if err := s.changes(ctx, at, in); err != nil {
			return err
		}
		if err := s.recheck(ctx, at, in); err != nil {
			return err
		}
		if err := in.Emit(source.Event{Kind: source.Mark, Cursor: s.cursor(at)}); err != nil {
			return err
		}
		if polite.Sleep(ctx, s.cfg.Interval) != nil {
			return nil //nolint:nilerr // the end that was asked for
		}
	}
}

// fetch asks for some items at a time, in their order.
func (s *Source) fetch(ctx context.Context, ids []int64) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, id := range ids {
		g.Go(func() error { return s.get(ctx, "item/"+strconv.FormatInt(id, 10), &out[i]) })
	}
	return out, g.Wait()
}

// items tells the items after one, up to another, and returns the last that was told.
func (s *Source) items(ctx context.Context, at, newest int64, in *source.Session) (int64, error) {
	for at < newest {
		var ids []int64
		for id := at + 1; id <= min(newest, at+parallel); id++ {
			ids = append(ids, id)
		}
		list, err := s.fetch(ctx, ids)
		if err != nil {
			return at, err
		}
		for n, raw := range list {
			i, err := decode(raw)
			if err == nil && i == nil && ids[n] > newest-100 && s.nulls < patience {
				s.nulls++
				return at, nil // it will be there the next time
			}
			s.nulls = 0
			at = ids[n]
			if err := s.tell(i, err, raw, at, false, in); err != nil {
				return at, err
			}
		}
	}
	return at, nil
}

// changes tells what was edited or deleted lately.
func (s *Source) changes(ctx context.Context, at int64, in *source.Session) error {
	var list struct {
		Items []int64 `json:"items"`
	}
	if err := s.get(ctx, "updates", &list); err != nil {
		return err
	}
	var ids []int64
	for _, id := range list.Items[:min(len(list.Items), 1000)] {
		if id > 0 && id <= at {
			ids = append(ids, id)
		}
	}
	return s.changed(ctx, ids, at, in)
}

// recheck asks again, turn by turn, for what is stored.
func (s *Source) recheck(ctx context.Context, at int64, in *source.Session) error {
	s.stored.Begin()
	turn := s.stored.Next(ctx, int(min(max(parallel, s.cfg.Interval/perCheck), 1000)), in.Log)
	var ids []int64
	for _, id := range turn {
		// Files and others may have brought posts of Hacker News under names of their own, of which it knows nothing.
		if n, err := strconv.ParseInt(id, 10, 64); err == nil && n > 0 && n <= at {
			ids = append(ids, n)
		}
	}
	if err := s.changed(ctx, ids, at, in); err != nil {
		return err
	}
	s.stored.Asked(turn)
	return nil
}

// cursor is the last item that was told and, amid a round through what is stored, the last one of those that was asked for.
func (s *Source) cursor(at int64) string {
	return strings.TrimSpace(strconv.FormatInt(at, 10) + " " + s.stored.At())
}

// changed tells what has become of items that were told, or could have been before a restart.
func (s *Source) changed(ctx context.Context, ids []int64, at int64, in *source.Session) error {
	changed, err := s.fetch(ctx, ids)
	if err != nil {
		return err
	}
	for n, raw := range changed {
		i, err := decode(raw)
		if i == nil || err != nil {
			continue // what is broken was told of when it was new
		}
		if i.ID != ids[n] {
			continue
		}
		if err := s.tell(i, nil, raw, at, true, in); err != nil {
			return err
		}
	}
	return nil
}

// tell emits an item, or that it is gone.
func (s *Source) tell(i *item, fault error, raw []byte, at int64, change bool, in *source.Session) error {
	now, cursor := time.Now(), s.cursor(at)
	switch {
	case fault != nil:
		return in.Emit(source.Event{Kind: source.Unreadable, Cursor: cursor, Fault: &source.Fault{Origin: s.base, Position: at, Reason: polite.Line(fault.Error()), Raw: raw}})
	case i == nil:
		return nil
	}
	id := strconv.FormatInt(i.ID, 10)
	before, known := s.told.Get(id)
	if i.Deleted || i.Dead {
		if known && before.gone {
			return nil
		}
		s.told.Put(id, told{gone: true})
		if !known && !change {
			return nil // nobody has heard it
		}
		return in.Emit(source.Event{Kind: source.Delete, Cursor: cursor, Post: post.Post{Source: SourceName, ID: id, CreatedAt: now}})
	}
	p := i.post(now)
	if p.Author == "" || p.Text == "" || i.Type == "pollopt" {
		return nil
	}
	h := fnv.New64a()
	h.Write([]byte(p.Text))
	digest := h.Sum64()
	revision := int64(0)
	switch {
	case known && before.gone, known && before.digest == digest:
		return nil
	case known:
		revision = now.UnixMicro()
	case change:
		// Not heard by this process: of before a restart, or of before it ever ran. Changes are votes and answers, mostly.
		return nil
	}
	s.told.Put(id, told{digest: digest})
	e := source.Post(p, revision, now, s.base, i.ID, raw)
	e.Cursor = cursor
	return in.Emit(e)
}
