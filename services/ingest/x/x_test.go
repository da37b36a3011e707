package x

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/floodtest"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/recent"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a-token-that-nobody-may-see"

var services = catalog.New([]catalog.Service{
	{ID: "skype", Name: "Skype", Aliases: []string{"Skype for Business", "スカイプ"}, Hashtags: []string{"skypeoutage"}, Official: map[string][]string{"twitter": {"SkypeSupport"}}},
	{ID: "google-cloud", Name: "Google Cloud"},
	{ID: "x", Name: "X"},
})

// server is X.
type server struct {
	*httptest.Server
	t       *testing.T
	mu      sync.Mutex
	rules   []rule
	next    int
	changes []string
	refuse  string // of a rule that holds it
	stream  http.HandlerFunc
	streams int
	beside  http.HandlerFunc // what else is asked for
	counts  []string         // queries
}

func newServer(t *testing.T) *server {
	s := &server{t: t}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if elsewhere := strings.HasPrefix(r.URL.Path, "/files/"); elsewhere == (r.Header.Get("Authorization") == "Bearer "+token) || r.Header.Get("User-Agent") != polite.UserAgent {
		s.t.Errorf("%s has the header %v", r.URL, r.Header)
	}
	s.mu.Lock()
	switch {
	case s.beside != nil && (strings.HasPrefix(r.URL.Path, "/files/") || strings.HasPrefix(r.URL.Path, "/2/compliance/")):
		s.beside(w, r)
	case r.URL.Path == "/2/tweets/counts/recent":
		s.counts = append(s.counts, r.URL.Query().Get("query"))
		fmt.Fprint(w, `{"data":[{"tweet_count":30},{"post_count":12}]}`)
	case r.URL.Path == "/2/tweets/search/stream/rules" && r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(map[string]any{"data": s.rules})
	case r.URL.Path == "/2/tweets/search/stream/rules":
		s.change(w, r)
	case r.URL.Path == "/2/tweets/search/stream":
		s.streams++
		s.mu.Unlock()
		s.stream(w, r)
		return
	default:
		http.NotFound(w, r)
	}
	s.mu.Unlock()
}

func (s *server) change(w http.ResponseWriter, r *http.Request) {
	var c struct {
		Add    []rule `json:"add"`
		Delete struct {
			IDs []string `json:"ids"`
		} `json:"delete"`
	}
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		s.t.Error(err)
	}
	dry := r.URL.Query().Get("dry_run") == "true"
	s.changes = append(s.changes, fmt.Sprintf("add %d delete %d dry %t", len(c.Add), len(c.Delete.IDs), dry))
	for _, a := range c.Add {
		if len(a.Value) > 1024 || s.refuse != "" && strings.Contains(a.Value, s.refuse) {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"errors":[{"title":"UnprocessableEntity","detail":"Rule is too long","value":%q}]}`, a.Value)
			return
		}
	}
	if !dry {
		s.rules = slices.DeleteFunc(s.rules, func(r rule) bool { return slices.Contains(c.Delete.IDs, r.ID) })
		for _, a := range c.Add {
			s.next++
			a.ID = fmt.Sprint("r", s.next)
			s.rules = append(s.rules, a)
		}
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"meta":{"summary":{}}}`)
}

func (s *server) source(change func(*Config)) *Source {
	s.t.Helper()
	c := DefaultConfig()
	c.Enabled, c.URL, c.Token, c.SpendLimit, c.CountsEvery, c.ComplianceEvery = true, s.URL, token, 10, 0, 0
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		s.t.Fatal(err)
	}
	list, err := c.Sources(source.Deps{Catalog: services})
	if err != nil {
		s.t.Fatal(err)
	}
	return list[0].(*Source)
}

// run runs a source to its end.
func run(t *testing.T, s *Source, cursor string) (told []string, last string, status source.Snapshot, err error) {
	t.Helper()
	st := new(source.Status)
	err = s.Run(t.Context(), &source.Session{Cursor: cursor, Status: st, Emit: func(e source.Event) error {
		if e.Cursor != "" {
			last = e.Cursor
		}
		switch e.Kind {
		case source.Upsert:
			told = append(told, fmt.Sprintf("%s by %s: %s", e.Post.ID, e.Post.Author, e.Post.Text))
		case source.Delete:
			told = append(told, "delete "+e.Post.ID)
		case source.Unreadable:
			told = append(told, "unreadable")
		}
		return nil
	}})
	if err != nil && strings.Contains(err.Error(), token) {
		t.Errorf("the error tells the token: %v", err)
	}
	return told, last, st.Snapshot(time.Now()), err
}

func lines(all ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Join(all, "\r\n")+"\r\n") }
}

func tweet(id, text string) string {
	return fmt.Sprintf(`{"data":{"id":%q,"text":%q,"author_id":"9","created_at":%q},"includes":{"users":[{"id":"9","username":"ann"}]},"matching_rules":[{"id":"1","tag":"outcry"}]}`,
		id, text, time.Now().UTC().Format(time.RFC3339))
}

// Posts come in both spellings, once each, and keep-alives, errors beside data and rubbish do no harm.
func TestStream(t *testing.T) {
	s := newServer(t)
	s.stream = lines("", tweet("1", "skype is down &amp; out"), "", tweet("1", "skype is down &amp; out"),
		`{"data":{"id":"2","text":"short…","author_id":"8","note_post":{"text":"the whole text https://t.co/a","entities":{"urls":[{"url":"https://t.co/a","expanded_url":"https://example.org/a"}]}},"referenced_posts":[{"type":"replied_to","id":"1"}],"edit_history_post_ids":["0","2"]},"errors":[{"title":"Not Found Error"}]}`,
		`{"data":{"id":"3"}}`, "rubbish", `{"hello":"world"}`, `{"data":{"id":"4","text":"`+strings.Repeat("x", maxLine)+`"}}`, tweet("5", "fine"))
	told, cursor, _, err := run(t, s.source(nil), "")
	want := []string{"1 by ann: skype is down & out", "delete 0", "2 by 8: the whole text https://example.org/a", "unreadable", "unreadable", "unreadable", "5 by ann: fine"}
	if diff := cmp.Diff(want, told); diff != "" || err == nil || !strings.Contains(err.Error(), "ended the stream") {
		t.Errorf("%v\n%s", err, diff)
	}
	var sp spending
	if err := json.Unmarshal([]byte(cursor), &sp); err != nil || sp.Posts != 6 || sp.Month != time.Now().UTC().Format("2006-01") {
		t.Errorf("cursor is %s", cursor)
	}
}

// A stream on which nobody posts is no gap: what keeps the connection alive moves the cursor too.
func TestQuietIsNoGap(t *testing.T) {
	s := newServer(t)
	s.stream = lines("", "")
	long := `{"month":"2026-01","posts":1,"alive":"2026-01-01T00:00:00Z"}`
	_, cursor, status, _ := run(t, s.source(nil), long)
	if status.Gaps != 1 {
		t.Errorf("%d gaps after months", status.Gaps)
	}
	if _, _, status, _ := run(t, s.source(nil), cursor); status.Gaps != 0 {
		t.Errorf("%d gaps after a moment; the cursor was %s", status.Gaps, cursor)
	}
}

// The spend limit ends the stream before it is exceeded, whatever comes, holds over restarts, and is then no reason to connect.
func TestSpendLimit(t *testing.T) {
	s := newServer(t)
	flood := make([]string, 2000)
	for i := range flood {
		flood[i] = tweet(fmt.Sprint(i), "skype is down")
	}
	s.stream = lines(flood...)
	limit := func(c *Config) { c.SpendLimit = 2.5 } // 500 posts
	src := s.source(limit)
	told, cursor, _, err := run(t, src, "")
	var wait *polite.WaitError
	if len(told) != 500-margin || !errors.As(err, &wait) || !strings.Contains(err.Error(), "ingest.x.spend_limit") {
		t.Fatalf("%d posts, %v", len(told), err)
	}
	for name, again := range map[string]*Source{"the same process": src, "another": s.source(limit)} {
		if told, _, _, err := run(t, again, cursor); len(told) > 0 || !errors.As(err, &wait) {
			t.Errorf("%s: %d posts, %v", name, len(told), err)
		}
	}
	if s.streams != 1 {
		t.Errorf("%d connections", s.streams)
	}
	// A month later there is money again.
	if told, _, status, _ := run(t, s.source(limit), `{"month":"2026-01","posts":500,"alive":"2026-01-31T00:00:00Z"}`); len(told) != 500-margin || status.Gaps != 1 {
		t.Errorf("%d posts in a new month, %d gaps", len(told), status.Gaps)
	}
}

// Crashing again and again, with a cursor that lags behind, does not overspend: each start costs a margin, and that is stored.
func TestCrashesDoNotOverspend(t *testing.T) {
	s := newServer(t)
	s.stream = lines()
	cursor, starts := "", 0
	for ; starts < 100; starts++ {
		_, next, _, err := run(t, s.source(func(c *Config) { c.SpendLimit = 2.5 }), cursor)
		var wait *polite.WaitError
		if errors.As(err, &wait) {
			break
		}
		cursor = next
	}
	if starts > 500/margin {
		t.Errorf("%d starts", starts)
	}
}

// The server's rules become the wanted ones, tried dry before anything is deleted; other people's stay, and the second time nothing is done.
func TestReconcile(t *testing.T) {
	s := newServer(t)
	s.stream = lines()
	s.rules = []rule{{ID: "a", Value: "old", Tag: "outcry"}, {ID: "b", Value: "cats", Tag: "somebody"}}
	src := s.source(nil)
	_, _, _, _ = run(t, src, "")
	var values []string
	for _, r := range s.rules {
		values = append(values, r.Value)
	}
	filter := src.cfg.Filter
	want := []string{"cats", `("google cloud" OR #skypeoutage OR @SkypeSupport OR スカイプ OR skype) ` + filter, "(from:SkypeSupport) -is:retweet -is:reply"}
	for _, w := range want {
		if !slices.ContainsFunc(values, func(v string) bool { return sameTerms(v, w) }) {
			t.Errorf("%s is missing among %q", w, values)
		}
	}
	if diff := cmp.Diff([]string{"add 2 delete 0 dry true", "add 0 delete 1 dry false", "add 2 delete 0 dry false"}, s.changes); diff != "" || len(s.rules) != 3 {
		t.Errorf("%v %s", s.rules, diff)
	}
	s.changes = nil
	_, _, _, _ = run(t, src, "")
	if len(s.changes) != 0 {
		t.Errorf("changed again: %q", s.changes)
	}
	s.refuse, s.rules = "skype", []rule{{ID: "a", Value: "old", Tag: "outcry"}}
	if _, _, _, err := run(t, src, ""); err == nil || !strings.Contains(err.Error(), "Rule is too long") || len(s.rules) != 1 {
		t.Errorf("%v, %v", err, s.rules)
	}
}

// sameTerms compares rules whatever the order of their terms.
func sameTerms(a, b string) bool {
	split := func(s string) []string {
		inner, _, _ := strings.Cut(strings.TrimPrefix(s, "("), ")")
		t := strings.Split(inner, " OR ")
		slices.Sort(t)
		return t
	}
	return slices.Equal(split(a), split(b))
}

// The whole catalog fits, in few rules, each within the limit, with every term in one of them.
func TestPackTheCatalog(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range c.Services {
		all = append(all, terms(&c.Services[i])...)
	}
	filter := DefaultConfig().Filter
	rules := pack(all, filter)
	size, joined := 0, strings.Join(rules, "\n")
	for _, r := range rules {
		if len(r) > maxRule {
			t.Errorf("a rule of %d bytes", len(r))
		}
	}
	for _, term := range uncovered(all) {
		size += len(term) + len(" OR ")
		if !strings.Contains(joined, "("+term) && !strings.Contains(joined, " OR "+term) {
			t.Errorf("%s is in no rule", term)
		}
	}
	room := maxRule - len(filter) - len("() ") + len(" OR ")
	if best := (size + room - 1) / room; len(rules) > best+1 || len(rules) > 1000 {
		t.Errorf("%d rules; %d at best", len(rules), best)
	}
}

// How a stream or a connection fails decides how long to wait, by X's own rules.
func TestMisbehaviour(t *testing.T) {
	code := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	for _, tt := range []struct {
		name     string
		stream   http.HandlerFunc
		want     string
		at, most time.Duration // of the first wait
	}{
		{"200 and the end", lines(), "ended the stream", 250 * time.Millisecond, time.Second},
		{"half a line", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":{"id":"1"`) }, "ended the stream", 250 * time.Millisecond, time.Second},
		{"operational disconnect", lines(`{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect"}]}`), "operational-disconnect", 250 * time.Millisecond, time.Second},
		{"too many connections, told at once", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(429)
			fmt.Fprint(w, `{"title":"ConnectionException","detail":"This stream is currently at the maximum allowed connection limit.","connection_issue":"TooManyConnections"}`)
		}, "TooManyConnections", time.Minute, 2 * time.Minute},
		{"too many connections", lines(`{"title":"ConnectionException","connection_issue":"TooManyConnections","detail":"x"}`), "TooManyConnections", time.Minute, 2 * time.Minute},
		{"503", code(503), "503", 5 * time.Second, 10 * time.Second},
		{"429", code(429), "429", time.Minute, 2 * time.Minute},
		{"429 until a time", code(429, "x-rate-limit-remaining", "0", "x-rate-limit-reset", fmt.Sprint(time.Now().Add(10*time.Minute).Unix())), "429", 9 * time.Minute, 15 * time.Minute},
		{"429 until soon", func(w http.ResponseWriter, r *http.Request) {
			code(429, "x-rate-limit-remaining", "0", "x-rate-limit-reset", fmt.Sprint(time.Now().Add(30*time.Second).Unix()))(w, r)
		}, "429", time.Second, 40 * time.Second},
		{"503 for a moment", code(503, "Retry-After", "2"), "503", 2 * time.Second, 2500 * time.Millisecond},
		{"401", code(401), "ingest.x.token", 5 * time.Second, 10 * time.Second},
		{"no keep-alive", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "nothing came", 250 * time.Millisecond, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			s.stream = tt.stream
			src := s.source(func(c *Config) {
				if tt.name == "no keep-alive" {
					c.IdleTimeout = time.Second
				}
			})
			told, _, _, err := run(t, src, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(told) > 0 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, %q", err, told)
			}
			if wait := polite.NewBackoff(src.Rules()).Next(err, 0); wait < tt.at || wait > tt.most {
				t.Errorf("the next try comes after %s", wait)
			}
		})
	}
}

// A refusal of the rules is waited for as one of the stream is.
func TestRulesRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-rate-limit-remaining", "0")
		w.Header().Set("x-rate-limit-reset", fmt.Sprint(time.Now().Add(5*time.Minute).Unix()))
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	src := newServer(t).source(func(c *Config) { c.URL = server.URL })
	_, _, _, err := run(t, src, "")
	if wait := polite.NewBackoff(src.Rules()).Next(err, 0); err == nil || wait < 4*time.Minute {
		t.Errorf("%v, and the next try comes after %s", err, wait)
	}
}

// A flood of posts arrives whole, at the pipeline's pace.
func TestFlood(t *testing.T) {
	s := newServer(t)
	s.stream = func(w http.ResponseWriter, _ *http.Request) {
		_ = floodtest.Say(w, floodtest.Numbered(tweet("?", "skype is down")+"\r\n"))
	}
	floodtest.Run(t, s.source(func(c *Config) { c.PostCost = 0 }), "", 8<<20)
}

// What a bomb of a stream unpacks to costs no more than a line may have, and what comes after it is heard.
func TestBomb(t *testing.T) {
	s := newServer(t)
	s.stream = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // which is one
		_, _ = io.WriteString(z, tweet("1", "skype is down")+"\r\n")
		x := bytes.Repeat([]byte("x"), 1<<20)
		for range 16 {
			_, _ = z.Write(x)
		}
		_, _ = io.WriteString(z, "\r\n"+tweet("2", "skype is down")+"\r\n")
		_ = z.Close()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	told, _, _, _ := run(t, s.source(nil), "")
	runtime.ReadMemStats(&after)
	if diff := cmp.Diff([]string{"1 by ann: skype is down", "unreadable", "2 by ann: skype is down"}, told); diff != "" {
		t.Error(diff)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 12<<20 {
		t.Errorf("it took %d bytes", n)
	}
}

// The waits are those that X asks for: a network error +250 ms up to 16 s, an HTTP error doubling from 5 s to 320 s, 429 doubling from a minute.
func TestWaits(t *testing.T) {
	for _, tt := range []struct {
		err   error
		least []time.Duration
	}{
		{errors.New("x"), []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second}},
		{&polite.StatusError{Code: 503}, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 320 * time.Second}},
		{&polite.StatusError{Code: 429}, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}},
	} {
		b := polite.NewBackoff((&Source{}).Rules())
		for i, least := range tt.least {
			if got := b.Next(tt.err, 0); got < least || got > least+least/4+1 {
				t.Errorf("%v: wait %d is %s", tt.err, i, got)
			}
		}
	}
}

// holding streams some lines and then keeps the connection alive.
func holding(all ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		lines(all...)(w, r)
		for {
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
				fmt.Fprint(w, "\r\n")
			}
		}
	}
}

// listening runs a source until something has come true.
func listening(t *testing.T, s *Source, cursor string, done func(told []string, last string, status source.Snapshot) bool) (told []string, last string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	st := new(source.Status)
	var mu sync.Mutex
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, &source.Session{Cursor: cursor, Status: st, Emit: func(e source.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if e.Cursor != "" {
				last = e.Cursor
			}
			switch e.Kind {
			case source.Upsert:
				told = append(told, e.Post.ID)
			case source.Delete:
				told = append(told, "delete "+e.Post.ID)
			}
			return nil
		}})
	}()
	for {
		mu.Lock()
		over := done(told, last, st.Snapshot(time.Now()))
		mu.Unlock()
		if over || ctx.Err() != nil {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the run ended with %v", err)
			}
			if !over {
				t.Errorf("waited in vain; %q were told, note is %q", told, st.Snapshot(time.Now()).Note)
			}
			return told, last
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// The counts endpoint is asked rule after rule, for money that is counted, and says what it will cost; making the connection again asks nothing.
func TestCounts(t *testing.T) {
	s := newServer(t)
	s.stream = holding()
	src := s.source(func(c *Config) { c.CountsEvery, c.SpendLimit = time.Hour, 1 })
	note := func(want string) func([]string, string, source.Snapshot) bool {
		return func(_ []string, _ string, n source.Snapshot) bool { return n.Note == want }
	}
	_, cursor := listening(t, src, "", note("the rules match about 84 posts a day, which cost $0.42 (1 of 2 rules were asked for); what is left of spend_limit lasts 2.3 days"))
	var sp spending
	if err := json.Unmarshal([]byte(cursor), &sp); err != nil || sp.Posts != 1 || sp.Counted.IsZero() {
		t.Errorf("cursor is %s", cursor)
	}
	for _, again := range []*Source{src, s.source(func(c *Config) { c.CountsEvery = time.Hour })} { // the same process, and another
		streams := s.connections()
		_, cursor = listening(t, again, cursor, func([]string, string, source.Snapshot) bool { return s.connections() > streams })
	}
	s.mu.Lock()
	asked := len(s.counts)
	s.mu.Unlock()
	if asked != 1 {
		t.Errorf("asked %d times over three connections in an hour", asked)
	}
	src.spent.Counted = time.Now().Add(-2 * time.Hour)
	listening(t, src, cursor, note("the rules match about 84 posts a day, which cost $0.42; what is left of spend_limit lasts 2.3 days"))
	if s.counts[0] != src.rules[0] || s.counts[1] != src.rules[1] {
		t.Errorf("asked for %q", s.counts)
	}
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// stock is what is stored of X, in the order of ids.
type stock struct {
	mu    sync.Mutex
	ids   []string
	asked int
	away  error
}

func (h *stock) held(_ context.Context, network, after string, most int) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if network != SourceName || most != maxJob {
		return nil, fmt.Errorf("asked for %d of %s", most, network)
	}
	at, found := slices.BinarySearch(h.ids, after)
	if found {
		at++
	}
	return slices.Clone(h.ids[at:min(len(h.ids), at+most)]), h.away
}

// offices are where compliance jobs are made.
type offices struct {
	*server
	jobs   int
	handed []string // per job
	answer func(job int) string
}

// With the server's mu held.
func (o *offices) serve(w http.ResponseWriter, r *http.Request) {
	var job int
	switch _, err := fmt.Sscanf(r.URL.Path, "/2/compliance/jobs/j%d", &job); {
	case r.Method+" "+r.URL.Path == "POST /2/compliance/jobs":
		o.jobs++
		if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), `"type":"tweets"`) {
			o.t.Errorf("asked for %s", body)
		}
		o.handed = append(o.handed, "")
		if o.answer(o.jobs) == "429" {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprintf(w, `{"data":{"id":"j%d","status":"created","upload_url":"%s/files/up","download_url":"%[2]s/files/down"}}`, o.jobs, o.URL)
	case r.Method+" "+r.URL.Path == "PUT /files/up":
		body, _ := io.ReadAll(r.Body)
		o.handed[o.jobs-1] = string(body)
		if r.Header.Get("Content-Type") != "text/plain" {
			o.t.Errorf("handed in as %s", r.Header.Get("Content-Type"))
		}
	case r.Method == http.MethodGet && err == nil:
		status := "complete"
		if !strings.HasSuffix(o.handed[job-1], ".\n") {
			o.handed[job-1], status = o.handed[job-1]+".\n", "in_progress"
		}
		fmt.Fprintf(w, `{"data":{"id":"j","status":%q,"download_url":"%s/files/down"}}`, status, o.URL)
	case r.Method+" "+r.URL.Path == "GET /files/down":
		fmt.Fprint(w, o.answer(o.jobs))
	default:
		http.NotFound(w, r)
	}
}

func (o *offices) made() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.jobs
}

func newOffices(t *testing.T, answer func(job int) string) *offices {
	was := firstAsk
	firstAsk = time.Millisecond
	t.Cleanup(func() { firstAsk = was })
	o := &offices{server: newServer(t), answer: answer}
	o.stream, o.beside = holding(), o.serve
	return o
}

// of returns a source of a process of its own.
func (o *offices) of(h *stock, change func(*Config)) *Source {
	src := o.source(func(c *Config) {
		c.ComplianceEvery = time.Hour
		if change != nil {
			change(c)
		}
	})
	src.held = h.held
	return src
}

// due returns in how many minutes X is asked next, from a cursor; 0 without one.
func due(t *testing.T, cursor string) time.Duration {
	t.Helper()
	if cursor == "" {
		return 0
	}
	var sp spending
	if err := json.Unmarshal([]byte(cursor), &sp); err != nil {
		t.Fatalf("cursor is %q: %v", cursor, err)
	}
	return time.Until(sp.Comply).Round(time.Minute)
}

// overdue is a cursor as it is when X has to be asked.
func overdue() string {
	return (&spending{Month: time.Now().UTC().Format("2006-01"), Alive: time.Now().UTC(), Comply: time.Now().Add(-time.Second).UTC()}).cursor()
}

// What is stored is asked for by whatever process goes on, and what is gone is withdrawn, once, whatever else the answer of a job holds; its files are
// fetched without the token. When X was asked stays known.
func TestCompliance(t *testing.T) {
	o := newOffices(t, func(int) string {
		return "rubbish\n" + strings.Repeat("x", 100_000) + "\n" +
			`{"id":"2","action":"delete","created_at":"2026-11-25T03:00:00Z","reason":"scrub_geo"}` + "\n" +
			`{"id":"99","action":"delete","reason":"deleted"}` + "\n" +
			`{"id":"1","action":"delete","reason":"deleted"}` + "\n" +
			`{"id":"1","action":"delete","reason":"deleted"}`
	})
	h := &stock{ids: []string{"1", "2", "3"}}
	told, cursor := listening(t, o.of(h, nil), "", func(_ []string, last string, _ source.Snapshot) bool { return last != "" && due(t, last) == time.Hour })
	if diff := cmp.Diff([]string{"delete 1"}, told); diff != "" || o.handed[0] != "1\n2\n3\n.\n" {
		t.Errorf("handed in %q\n%s", o.handed, diff)
	}
	// Another process knows when it is due, and asks for what is held by then.
	h.ids = []string{"2", "3"}
	streams := o.connections()
	if told, _ := listening(t, o.of(h, nil), cursor, func([]string, string, source.Snapshot) bool { return o.connections() > streams }); len(told) > 0 || o.made() != 1 {
		t.Errorf("asked %d times; told %q", o.made(), told)
	}
	told, _ = listening(t, o.of(h, nil), overdue(), func(_ []string, last string, _ source.Snapshot) bool { return due(t, last) == time.Hour })
	if len(told) > 0 || o.made() != 2 || o.handed[1] != "2\n3\n.\n" {
		t.Errorf("handed in %q; told %q", o.handed, told)
	}
}

// A job that is refused is made again after a quarter of an hour, one whose process dies likewise; where nothing is held, or that is not known, nobody is asked.
func TestComplianceAgain(t *testing.T) {
	o := newOffices(t, func(int) string { return "429" })
	h := &stock{ids: []string{"1"}}
	_, cursor := listening(t, o.of(h, nil), overdue(), func(_ []string, last string, _ source.Snapshot) bool {
		return o.made() == 1 && due(t, last) == tryAgain
	})
	if d := due(t, cursor); d != tryAgain {
		t.Errorf("the next try comes after %s", d)
	}
	// It is planned before anything is asked: the process may die at any time.
	src, boom := o.of(h, nil), errors.New("boom")
	src.load(overdue())
	if err := src.comply(t.Context(), &source.Session{Emit: func(e source.Event) error { cursor = e.Cursor; return boom }}); !errors.Is(err, boom) || due(t, cursor) != tryAgain || o.made() != 1 {
		t.Errorf("%v, %s, %d jobs", err, cursor, o.made())
	}
	for _, h := range []*stock{{}, {ids: []string{"1"}, away: errors.New("away")}} {
		_, cursor = listening(t, o.of(h, nil), overdue(), func(_ []string, last string, _ source.Snapshot) bool { return due(t, last) > 0 })
		if want := map[bool]time.Duration{true: lookAgain, false: tryAgain}[h.away == nil]; due(t, cursor) != want || o.made() != 1 || h.asked != 1 {
			t.Errorf("the next look comes after %s, want %s; %d jobs, %d looks", due(t, cursor), want, o.made(), h.asked)
		}
	}
}

// More than a job may have goes into several, in bounded memory; what is planned far ahead comes sooner.
func TestManyToAskFor(t *testing.T) {
	o := newOffices(t, func(job int) string { return fmt.Sprintf(`{"id":"%07d","action":"delete"}`, job*maxJob-1) })
	h := &stock{}
	for i := range 2*maxJob + 10 {
		h.ids = append(h.ids, fmt.Sprintf("%07d", i))
	}
	told, _ := listening(t, o.of(h, nil), overdue(), func(_ []string, last string, _ source.Snapshot) bool { return due(t, last) == time.Hour })
	if diff := cmp.Diff([]string{"delete 0099999", "delete 0199999"}, told); diff != "" || o.made() != 3 || strings.Count(o.handed[0], "\n") != maxJob+1 || strings.Count(o.handed[2], "\n") != 11 {
		t.Errorf("%d jobs\n%s", o.made(), diff)
	}
	far := &spending{Comply: time.Now().Add(24 * 365 * time.Hour)}
	src := o.of(h, nil)
	src.cfg.ComplianceEvery = time.Millisecond // another setting than before
	listening(t, src, far.cursor(), func([]string, string, source.Snapshot) bool { return o.made() > 3 })
}

// Where the money is spent, nothing is read, and deletes are followed all the same.
func TestComplianceWithoutMoney(t *testing.T) {
	o := newOffices(t, func(int) string { return `{"id":"1","action":"delete"}` })
	src := o.of(&stock{ids: []string{"1", "2"}}, func(c *Config) { c.SpendLimit = 0.001 })
	told, cursor, _, err := run(t, src, overdue())
	var wait *polite.WaitError
	if diff := cmp.Diff([]string{"delete 1"}, told); diff != "" || !errors.As(err, &wait) || o.connections() != 0 || due(t, cursor) != time.Hour {
		t.Errorf("%v, %d connections, next after %s\n%s", err, o.connections(), due(t, cursor), diff)
	}
	if told, _, _, err := run(t, src, cursor); len(told) > 0 || !errors.As(err, &wait) || o.made() != 1 {
		t.Errorf("%v, told %q, %d jobs", err, told, o.made())
	}
}

// What is handed in goes to no address in the clear, and errors do not tell where a file is.
func TestFilesElsewhere(t *testing.T) {
	src := &Source{base: "https://api.x.example", client: polite.Client()}
	for _, address := range []string{"", "http://files.example/up", "ftp://files.example", "https://", "https://127.0.0.1:1/secret-path"} {
		if body, err := src.elsewhere(t.Context(), http.MethodGet, address, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
			_ = body.Close()
		}
	}
}

func TestProbe(t *testing.T) {
	found, err := newServer(t).source(nil).Probe(t.Context())
	if err != nil || found != "0 rules there, 2 wanted; at most $10 a month; the first rule matches 42 posts a day, which cost $0.21" {
		t.Errorf("%q, %v", found, err)
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	c := Config{Enabled: true, URL: "x", SpendLimit: 0, PostCost: -1, Filter: strings.Repeat("x", 600), CountsEvery: time.Second, ComplianceEvery: time.Second}
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 9 {
		t.Errorf("faults are %v", err)
	}
	c = DefaultConfig()
	c.Enabled, c.MaxRules = true, 1
	if _, err := c.Sources(source.Deps{Catalog: services}); err == nil || !strings.Contains(err.Error(), "max_rules") {
		t.Errorf("%v", err)
	}
	c.Services = []string{"nobody"}
	if _, err := c.Sources(source.Deps{Catalog: services}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("%v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{tweet("1", "x"), `{"data":{"id":"1","author_id":"2","edit_history_tweet_ids":["0"]}}`, `{"errors":[]}`, "null", `{"title":"x"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := &Source{seen: recent.New[struct{}](10), spent: &spending{}, cfg: DefaultConfig()}
		_ = s.take(raw, &source.Session{Emit: func(e source.Event) error {
			if e.Kind == source.Upsert && (e.Post.Validate() != nil || e.Post.Source != post.X) || e.Kind == source.Delete && e.Post.ID == "" {
				t.Errorf("%q gave %+v", raw, e)
			}
			return nil
		}})
	})
}
