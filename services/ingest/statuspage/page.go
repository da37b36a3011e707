package statuspage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

const (
	maxBody = 8 << 20
	// overlap is how long before the cursor an update is told again after a restart.
	overlap = 15 * time.Minute
	// fresh is how old an update of an incident that is over may be when a page is read for the first time.
	fresh = time.Hour
)

// page reads one page for the services that share it.
type page struct {
	cfg      Config
	address  string
	services []catalog.Service
	client   *http.Client

	documents  []string               // addresses that are asked, once the format is known
	validators map[string]*validators // by address
	told       map[string]uint64      // digests of the updates that the page holds, by id
	at         position
	loaded     bool
}

// position is the cursor.
type position struct {
	Newest    time.Time `json:"newest"`              // of the updates that were told
	Indicator string    `json:"indicator,omitempty"` // that was told, where the page has no incidents
	Since     time.Time `json:"since,omitzero"`      // when that was first seen
}

type validators struct {
	etag, modified string
	last           document // what the page said then
}

func newPage(cfg Config, address string, services []catalog.Service) *page {
	return &page{cfg: cfg, address: strings.TrimSuffix(address, "/"), services: services, client: polite.Client(),
		validators: map[string]*validators{}, told: map[string]uint64{}}
}

// Name is the page's address without scheme and query.
func (p *page) Name() string {
	name := p.address
	if u, err := url.Parse(p.address); err == nil {
		name = u.Host + u.Path
	}
	return "statuspage/" + shortName(name)
}

func shortName(s string) string { return strings.TrimRight(s[:min(len(s), 180)], "/") }

// candidates are where a page's documents may be, the best first: each is one or more addresses.
func (p *page) candidates() [][]string {
	u, err := url.Parse(p.address)
	if err != nil {
		return nil
	}
	itself := [][]string{{p.address}}
	switch path.Ext(u.Path) {
	case ".json", ".xml", ".rss", ".atom", ".rdf":
		return itself
	}
	under := func(rest string) string { return u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/") + rest }
	return append([][]string{{under("/api/v2/summary.json"), under("/api/v2/incidents.json")}, {under("/api/v2/incidents.json")}, {under("/api/v2/summary.json")}},
		itself[0], []string{under("/history.atom")}, []string{under("/history.rss")})
}

// Run asks for the page again and again.
func (p *page) Run(ctx context.Context, s *source.Session) error {
	p.load(s.Cursor)
	for {
		now := time.Now()
		documents, changed, err := p.read(ctx)
		if err != nil {
			return err
		}
		s.Status.Connected(p.documents[0])
		if changed {
			if err := p.tell(documents, now, s.Emit); err != nil {
				return err
			}
		}
		if err := s.Emit(source.Event{Kind: source.Mark, Cursor: p.cursor()}); err != nil {
			return err
		}
		if err := polite.Sleep(ctx, p.cfg.Interval+rand.N(p.cfg.Interval/10+1)); err != nil {
			return nil //nolint:nilerr // the end that was asked for
		}
	}
}

// load takes over the cursor once: what the process remembers is more.
func (p *page) load(cursor string) {
	if p.loaded || cursor == "" {
		return
	}
	var at position
	if json.Unmarshal([]byte(cursor), &at) == nil && at.Newest.Before(time.Now().Add(source.MaxFuture)) {
		p.at = at
	}
}

func (p *page) cursor() string {
	b, _ := json.Marshal(p.at) // cannot fail
	return string(b)
}

// Probe says what is read there.
func (p *page) Probe(ctx context.Context) (string, error) {
	documents, _, err := p.read(ctx)
	if err != nil {
		return "", err
	}
	updates := 0
	for _, d := range documents {
		updates += len(d.updates)
	}
	return fmt.Sprintf("%s, %d updates", p.documents[0], updates), nil
}

// read returns what the page says, and whether anything may have changed.
func (p *page) read(ctx context.Context) (documents []document, changed bool, err error) {
	if p.documents != nil {
		return p.readAll(ctx, p.documents)
	}
	for _, addresses := range p.candidates() {
		documents, changed, err = p.readAll(ctx, addresses)
		var status *polite.StatusError
		switch {
		case err == nil:
			p.documents = addresses
			return documents, changed, nil
		case errors.Is(err, errFormat):
		case errors.As(err, &status) && status.Code/100 == 4 && status.Code != http.StatusTooManyRequests:
		default:
			return nil, false, err
		}
	}
	return nil, false, &polite.WaitError{Wait: time.Hour, Err: fmt.Errorf("%s: %w (Statuspage JSON, RSS and Atom were looked for; the address of a feed can be given in ingest.statuspage.pages)",
		p.address, errFormat)}
}

func (p *page) readAll(ctx context.Context, addresses []string) (documents []document, changed bool, err error) {
	for _, address := range addresses {
		d, news, err := p.fetch(ctx, address)
		if err != nil {
			return nil, false, err
		}
		documents, changed = append(documents, d), changed || news
	}
	return documents, changed, nil
}

// fetch asks for one document, unless it is still what it was.
func (p *page) fetch(ctx context.Context, address string) (d document, news bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return document{}, false, err
	}
	req.Header.Set("Accept", "application/json, application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.5")
	v := p.validators[address]
	if v != nil && v.etag != "" {
		req.Header.Set("If-None-Match", v.etag)
	}
	if v != nil && v.modified != "" {
		req.Header.Set("If-Modified-Since", v.modified)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return document{}, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotModified && v != nil {
		return v.last, false, nil
	}
	if err := polite.Check(resp, time.Now()); err != nil {
		return document{}, false, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return document{}, false, fmt.Errorf("read %s: %w", address, err)
	}
	if len(body) > maxBody {
		return document{}, false, fmt.Errorf("read %s: the page has more than %d bytes", address, maxBody)
	}
	if d, err = decode(body); err != nil {
		return document{}, false, fmt.Errorf("read %s: %w", address, err)
	}
	p.validators[address] = &validators{etag: resp.Header.Get("ETag"), modified: resp.Header.Get("Last-Modified"), last: d}
	return d, true, nil
}

// decode reads any of the formats.
func decode(body []byte) (document, error) {
	d, err := decodeJSON(body)
	if errors.Is(err, errFormat) {
		return decodeFeed(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	}
	return d, err
}

// tell emits what is new.
func (p *page) tell(documents []document, now time.Time, emit source.Emit) error {
	var all []update
	seen := map[string]uint64{}
	openIncident, indicator := false, ""
	var summary update
	for _, d := range documents {
		if indicator == "" && d.indicator != "" {
			indicator, summary = d.indicator, d.summary
		}
		for _, u := range d.updates {
			openIncident = openIncident || u.open
			if _, twice := seen[u.id]; !twice {
				seen[u.id] = u.digest()
				all = append(all, u)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b update) int { return a.at.Compare(b.at) })
	first := p.at.Newest.IsZero() && !p.loaded
	for i := range all {
		u := &all[i]
		digest, before := p.told[u.id]
		revision := int64(0)
		switch {
		case before && (digest == seen[u.id] || u.begin):
			seen[u.id] = digest
			continue
		case before && u.edited.IsZero():
			revision = now.UnixMicro()
		case !before && !p.loaded && p.old(u, first, now):
			continue
		}
		if !u.edited.IsZero() {
			revision = u.edited.UnixMicro()
		}
		if err := p.say(u, revision, now, emit); err != nil {
			return err
		}
	}
	p.told, p.loaded = seen, true // no more than the page holds
	return p.indicate(indicator, openIncident, summary, now, emit)
}

// old reports whether an update was told before the process began, or is history when a page is read for the first time.
func (p *page) old(u *update, first bool, now time.Time) bool {
	switch {
	case u.at.IsZero():
		return !u.open
	case first:
		return u.at.Before(now.Add(-normal.Oldest)) || !u.open && u.at.Before(now.Add(-fresh))
	}
	return u.at.Before(p.at.Newest.Add(-overlap))
}

// indicate tells of the page's indicator where no incident explains it.
func (p *page) indicate(indicator string, openIncident bool, summary update, now time.Time, emit source.Emit) error {
	bad := indicator == "minor" || indicator == "major" || indicator == "critical"
	told := p.at.Indicator != ""
	switch {
	case bad && !openIncident && !told:
		p.at.Indicator, p.at.Since = indicator, now.UTC()
		summary.notice = post.Problem
	case told && (indicator == "none" || bad && openIncident):
		since := p.at.Since
		p.at.Indicator, p.at.Since = "", time.Time{}
		if bad { // an incident has taken over
			return nil
		}
		summary.notice = post.Recovered
		summary.id = "indicator/" + strconv.FormatInt(since.Unix(), 10) + "/over"
	default:
		return nil
	}
	if summary.id == "" {
		summary.id = "indicator/" + strconv.FormatInt(p.at.Since.Unix(), 10)
	}
	// The page's own time is of its last change, which need not be this one.
	if summary.at.Before(now.Add(-2 * p.cfg.Interval)) {
		summary.at = now
	}
	return p.say(&summary, 0, now, emit)
}

// say emits an update as the word of each service that it is about.
func (p *page) say(u *update, revision int64, now time.Time, emit source.Emit) error {
	at := normal.Time(u.at, now)
	if at.After(p.at.Newest) {
		p.at.Newest = at
	}
	for i := range p.services {
		if len(p.services) > 1 && !names(u.about, &p.services[i]) {
			continue
		}
		link := u.url
		if link == "" {
			link = normal.URL(p.address)
		}
		service := p.services[i].ID
		e := source.Post(post.Post{Source: post.StatusPages, ID: shortName(service+"/"+p.Name()[len("statuspage/"):]) + "/" + u.id, Author: service, Text: u.text,
			CreatedAt: at, URL: link, AuthorVerified: true, Notice: u.notice}, revision, now, p.address, 0, []byte(u.text))
		e.Cursor = p.cursor()
		if err := emit(e); err != nil {
			return err
		}
	}
	return nil
}

// names reports whether a text names a service as a whole word.
func names(text string, s *catalog.Service) bool {
	text = " " + wordsOf(text) + " "
	for _, name := range slices.Concat([]string{s.Name}, s.Aliases) {
		if n := wordsOf(name); n != "" && strings.Contains(text, " "+n+" ") {
			return true
		}
	}
	return false
}

// wordsOf folds case and puts single spaces between words.
func wordsOf(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return r < 0x80 && (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '+' && r != '&'
	}), " ")
}
