// Package reddit reads the new posts and comments of subreddits through Reddit's API. It is experimental: access needs Reddit's approval, and it was
// tried against servers of the tests alone. It must never write a post, a token or a secret into a log.
//
// What is not obvious:
//
//   - A listing is about 1,000 items deep and has no way back beyond that. The cursor is the newest name seen of each listing; reading goes
//     from the top down to it.
//   - Reddit does not tell of deletes. What is stored, whichever process heard it, and what was told lately is asked for again (/api/info), a little at a
//     time, and what has lost its author or text is withdrawn. How far a round has come is part of the cursor.
//   - The limit is requests a minute, told by headers of each answer; a run slows down before it is reached.
package reddit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/config"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/recent"
	"outcry.dev/services/ingest/rounds"
	"outcry.dev/services/ingest/source"
)

// SourceName is the source that these posts carry.
const SourceName = "reddit"

// Config of the connector.
type Config struct {
	Subreddits   []string      `koanf:"subreddits" doc:"Names of the subreddits that are read, without r/; empty to leave Reddit out. Experimental."`
	URL          string        `koanf:"url" doc:"Base address of the API."`
	LoginURL     string        `koanf:"login_url" doc:"Base address that gives out access tokens."`
	ClientID     config.Secret `koanf:"client_id" doc:"Id of the application that Reddit has approved."`
	ClientSecret config.Secret `koanf:"client_secret" doc:"Secret of the application."`
	Interval     time.Duration `koanf:"interval" doc:"How often each listing is asked for, 2s to 1h."`
	RecheckEvery time.Duration `koanf:"recheck_every" doc:"How often the posts that are stored, and the last 1,000 that were heard, are asked for again, to find those that are deleted, 1m to 24h."`
}

// DefaultConfig leaves it out.
func DefaultConfig() Config {
	return Config{Subreddits: []string{}, URL: "https://oauth.reddit.com", LoginURL: "https://www.reddit.com", Interval: 10 * time.Second, RecheckEvery: 10 * time.Minute}
}

var subreddit = regexp.MustCompile(`^[A-Za-z0-9_]{2,21}$`)

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	for key, address := range map[string]string{"url": c.URL, "login_url": c.LoginURL} {
		if u, err := url.Parse(address); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
			faults = append(faults, fmt.Errorf("%s %q is not an address that begins with https:// or http://", key, address))
		}
	}
	for _, s := range c.Subreddits {
		if !subreddit.MatchString(s) {
			faults = append(faults, fmt.Errorf("subreddits: %q is not the name of one", s))
		}
	}
	if len(c.Subreddits) > 100 {
		faults = append(faults, fmt.Errorf("subreddits has %d names; at most 100 fit into one listing", len(c.Subreddits)))
	}
	if len(c.Subreddits) > 0 && (c.ClientID == "" || c.ClientSecret == "") {
		faults = append(faults, errors.New("client_id or client_secret is missing; set OUTCRY_INGEST_REDDIT_CLIENT_ID and OUTCRY_INGEST_REDDIT_CLIENT_SECRET"))
	}
	if c.Interval < 2*time.Second || c.Interval > time.Hour {
		faults = append(faults, fmt.Errorf("interval is %s; 2s to 1h fit", c.Interval))
	}
	if c.RecheckEvery < time.Minute || c.RecheckEvery > 24*time.Hour {
		faults = append(faults, fmt.Errorf("recheck_every is %s; 1m to 24h fit", c.RecheckEvery))
	}
	return errors.Join(faults...)
}

// Sources returns the one that there is, where subreddits are named.
func (c Config) Sources(d source.Deps) ([]source.Source, error) {
	if len(c.Subreddits) == 0 {
		return nil, nil
	}
	c.Subreddits = slices.Compact(slices.Sorted(slices.Values(c.Subreddits)))
	return []source.Source{&Source{cfg: c, client: polite.Client(), told: recent.New[uint64](remembered),
		stored: rounds.New(SourceName, c.RecheckEvery, d.Held)}}, nil
}

const (
	maxAnswer = 16 << 20
	timeout   = 30 * time.Second
	maxPages  = 10 // of 100: as deep as a listing is
	// kept is how many posts are asked for again because they were told, stored or not.
	kept = 1000
	// remembered is of how many posts it is known how they read, so that an edit is told once.
	remembered = 100_000
	// maxNames is how many posts are asked for in a request.
	maxNames = 100
	// perCheck leaves 70 of 100 requests a minute to listings: one is made for so much of the interval.
	perCheck = 2 * time.Second
	// reserve is how many requests of a period are left alone.
	reserve = 5
)

// Source reads listings.
type Source struct {
	cfg    Config
	client *http.Client

	token   string
	expires time.Time
	pause   time.Duration // before the next request, as the last answer asked

	told  *recent.Map[uint64] // digests of texts, by name
	order []string            // names that were told lately, the oldest first

	stored *rounds.Rounds
}

// Name is "reddit".
func (s *Source) Name() string { return SourceName }

// Probe logs in and asks for one listing.
func (s *Source) Probe(ctx context.Context) (string, error) {
	page, err := s.listing(ctx, "new", "")
	return fmt.Sprintf("%d posts in r/%s", len(page.Data.Children), strings.Join(s.cfg.Subreddits, "+")), err
}

// login gets an access token, unless the last one is still good.
func (s *Source) login(ctx context.Context) error {
	if s.token != "" && time.Now().Before(s.expires) {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(s.cfg.LoginURL, "/")+"/api/v1/access_token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(s.cfg.ClientID.Reveal(), s.cfg.ClientSecret.Reveal())
	var answer struct {
		Token   string  `json:"access_token"`
		Expires float64 `json:"expires_in"`
		Error   string  `json:"error"`
	}
	if _, err := polite.GetJSON(ctx, s.client, req, timeout, 64<<10, &answer); err != nil {
		return explain(err)
	}
	if answer.Token == "" {
		return explain(&polite.StatusError{Code: http.StatusUnauthorized, Text: polite.Line(answer.Error)})
	}
	s.token, s.expires = answer.Token, time.Now().Add(time.Duration(min(max(answer.Expires-60, 60), 86400))*time.Second)
	return nil
}

func explain(err error) error {
	var code *polite.StatusError
	if errors.As(err, &code) && (code.Code == http.StatusUnauthorized || code.Code == http.StatusForbidden) {
		return fmt.Errorf("Reddit does not accept the application (ingest.reddit.client_id and client_secret): %w", err) //nolint:staticcheck // a name
	}
	return err
}

type listing struct {
	Data struct {
		Children []struct {
			Kind string `json:"kind"`
			Data thing  `json:"data"`
		} `json:"children"`
		After string `json:"after"`
	} `json:"data"`
}

// thing is a post or a comment.
type thing struct {
	Name      string  `json:"name"`
	Author    string  `json:"author"`
	Title     string  `json:"title"`
	Selftext  string  `json:"selftext"`
	Body      string  `json:"body"`
	Permalink string  `json:"permalink"`
	Parent    string  `json:"parent_id"`
	Created   float64 `json:"created_utc"`
	Edited    any     `json:"edited"` // false, or a time
	Removed   any     `json:"removed_by_category"`
}

// gone reports whether a post, its author or its text was removed.
func (t *thing) gone() bool {
	lost := func(s string) bool { return s == "[deleted]" || s == "[removed]" }
	return lost(t.Author) || lost(t.Selftext) || lost(t.Body) || t.Removed != nil
}

func (t *thing) revision() int64 {
	if at, ok := t.Edited.(float64); ok && at > 0 && at < 1e11 {
		return int64(at * 1e6)
	}
	return 0
}

func (t *thing) post(received time.Time) post.Post {
	text := t.Title
	for _, more := range []string{t.Selftext, t.Body} {
		if more != "" {
			text += "\n" + more
		}
	}
	p := post.Post{Source: SourceName, ID: t.Name, Author: t.Author, Text: normal.Text(html.UnescapeString(text)), CreatedAt: received, ReplyTo: t.Parent}
	if t.Created > 0 && t.Created < 1e11 {
		p.CreatedAt = normal.Time(time.Unix(int64(t.Created), 0), received)
	}
	if strings.HasPrefix(t.Permalink, "/") {
		p.URL = normal.URL("https://www.reddit.com" + t.Permalink)
	}
	return p
}

// listing asks for a page.
func (s *Source) listing(ctx context.Context, which, after string) (listing, error) {
	q := url.Values{"limit": {"100"}, "raw_json": {"1"}}
	if after != "" {
		q.Set("after", after)
	}
	return s.get(ctx, "/r/"+strings.Join(s.cfg.Subreddits, "+")+"/"+which, q)
}

func (s *Source) get(ctx context.Context, path string, q url.Values) (listing, error) {
	var l listing
	if err := polite.Sleep(ctx, s.pause); err != nil {
		return l, err
	}
	if err := s.login(ctx); err != nil {
		return l, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(s.cfg.URL, "/")+path+"?"+q.Encode(), nil)
	if err != nil {
		return l, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	header, err := polite.GetJSON(ctx, s.client, req, timeout, maxAnswer, &l)
	s.pause = pause(header)
	var code *polite.StatusError
	if errors.As(err, &code) && code.Code == http.StatusUnauthorized {
		s.token = "" // expired or revoked: the next run gets another
	}
	return l, explain(err)
}

// pause is how long to wait so that a period's requests last until its end.
func pause(h http.Header) time.Duration {
	remaining, err := strconv.ParseFloat(h.Get("X-Ratelimit-Remaining"), 64)
	reset, resetErr := strconv.ParseFloat(h.Get("X-Ratelimit-Reset"), 64)
	if err != nil || resetErr != nil || !(reset > 0) || remaining > 50 {
		return 0
	}
	left := time.Duration(min(reset, 3600) * float64(time.Second))
	if remaining <= reserve {
		return left
	}
	return left / time.Duration(remaining-reserve+1)
}

// position is the cursor: the newest name of each listing, and the last one of those that are stored that was asked for again in this round.
type position struct {
	Posts    string `json:"posts,omitempty"`
	Comments string `json:"comments,omitempty"`
	Checked  string `json:"checked,omitempty"`
}

func (p *position) cursor() string {
	b, _ := json.Marshal(p) // cannot fail
	return string(b)
}

// Run reads both listings again and again.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	var at position
	if in.Cursor != "" {
		_ = json.Unmarshal([]byte(in.Cursor), &at) // of an older version: begin live
	}
	s.stored.Resume(at.Checked)
	for {
		err := s.read(ctx, "new", &at.Posts, &at, in)
		if err == nil {
			err = s.read(ctx, "comments", &at.Comments, &at, in)
		}
		if err == nil {
			err = s.recheck(ctx, &at, in)
		}
		if err == nil {
			err = polite.Sleep(ctx, s.cfg.Interval)
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that was asked for
		}
		if err != nil {
			return err
		}
	}
}

// read tells what a listing has above a name, the oldest first.
func (s *Source) read(ctx context.Context, which string, newest *string, at *position, in *source.Session) error {
	var found []thing
	after, reached := "", false
	for range maxPages {
		page, err := s.listing(ctx, which, after)
		if err != nil {
			return err
		}
		in.Status.Connected(s.cfg.URL)
		for _, c := range page.Data.Children {
			// The newest may have been deleted, so an older one ends the search as well.
			if *newest != "" && !later(c.Data.Name, *newest) {
				reached = true
				continue
			}
			found = append(found, c.Data)
		}
		after = page.Data.After
		if reached || after == "" || *newest == "" {
			break
		}
	}
	if *newest != "" && !reached && len(found) > 0 && after != "" {
		in.Status.Gap(fmt.Sprintf("%s after %s: a listing goes no deeper", which, *newest))
	}
	slices.SortStableFunc(found, func(a, b thing) int { return cmp.Or(len(a.Name)-len(b.Name), strings.Compare(a.Name, b.Name)) })
	for i := range found {
		if later(found[i].Name, *newest) {
			*newest = found[i].Name
		}
		if err := s.tell(&found[i], false, at, in); err != nil {
			return err
		}
	}
	return in.Emit(source.Event{Kind: source.Mark, Cursor: at.cursor()})
}

// later compares names: t3_ and a number to the base of 36.
func later(a, b string) bool { return len(a) > len(b) || len(a) == len(b) && a > b }

// tell emits a post, or that it is gone; one that is stored is known, whoever heard it.
func (s *Source) tell(t *thing, stored bool, at *position, in *source.Session) error {
	now := time.Now()
	before, known := s.told.Get(t.Name)
	if t.gone() {
		if known && before == gone || !known && !stored {
			return nil // withdrawn already, or nobody has heard it
		}
		s.told.Put(t.Name, gone)
		return in.Emit(source.Event{Kind: source.Delete, Cursor: at.cursor(), Post: post.Post{Source: SourceName, ID: t.Name, CreatedAt: now}})
	}
	p := t.post(now)
	text := digest(p.Text)
	if known && (before == text || before == gone) {
		return nil
	}
	revision := t.revision()
	if known && revision == 0 {
		revision = now.UnixMicro()
	}
	if stored && revision == 0 { // as it was heard
		s.told.Put(t.Name, text)
		return nil
	}
	e := source.Post(p, revision, now, s.cfg.URL, 0, nil)
	e.Cursor = at.cursor()
	if e.Kind == source.Upsert {
		s.told.Put(t.Name, text)
		if !known && !stored {
			s.order = append(s.order, t.Name)
			s.order = slices.Delete(s.order, 0, max(0, len(s.order)-kept))
		}
	}
	return in.Emit(e)
}

// gone is the digest of what was withdrawn.
const gone = 0

func digest(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return max(h.Sum64(), gone+1)
}

// recheck asks again for what was told lately, where that is due, and then, turn by turn, for what is stored.
func (s *Source) recheck(ctx context.Context, at *position, in *source.Session) error {
	if s.stored.Begin() {
		if err := s.ask(ctx, slices.Clone(s.order), at, in); err != nil {
			return err
		}
	}
	names := s.stored.Next(ctx, maxNames*int(min(max(1, s.cfg.Interval/perCheck), 30)), in.Log)
	// Files and others may have brought posts of Reddit under names of their own, of which Reddit knows nothing.
	if err := s.ask(ctx, slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !fullname.MatchString(n) }), at, in); err != nil {
		return err
	}
	s.stored.Asked(names)
	at.Checked = s.stored.At()
	return nil
}

var fullname = regexp.MustCompile(`^t[13]_[0-9a-z]{1,13}$`)

// ask asks for posts again, which were told or are stored, and withdraws what is gone.
func (s *Source) ask(ctx context.Context, all []string, at *position, in *source.Session) error {
	for names := range slices.Chunk(all, maxNames) {
		l, err := s.get(ctx, "/api/info", url.Values{"id": {strings.Join(names, ",")}, "raw_json": {"1"}})
		if err != nil {
			return err
		}
		asked := map[string]bool{}
		for _, name := range names {
			asked[name] = true
		}
		for _, c := range l.Data.Children {
			if !asked[c.Data.Name] {
				continue
			}
			delete(asked, c.Data.Name)
			if err := s.tell(&c.Data, true, at, in); err != nil {
				return err
			}
		}
		if len(l.Data.Children) == 0 {
			continue // rather a fault of the server than the end of them all
		}
		for _, name := range names {
			if !asked[name] {
				continue
			}
			if err := s.tell(&thing{Name: name, Author: "[deleted]"}, true, at, in); err != nil {
				return err
			}
		}
	}
	return nil
}
