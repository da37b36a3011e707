package reddit

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/recent"
	"outcry.dev/services/ingest/rounds"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a-secret-that-nobody-may-see"

// server is Reddit.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	posts  []string // the newest first
	info   string
	known  map[string]string // what info knows by name, in place of info
	asked  []string          // names that info was asked for, one request each
	answer http.HandlerFunc  // in place of listings
	login  string
	logins int
}

func newServer(t *testing.T) *server {
	s := &server{login: `{"access_token":"token","expires_in":3600}`, info: `{}`}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Header.Get("User-Agent") != polite.UserAgent {
			t.Errorf("User-Agent is %q", r.Header.Get("User-Agent"))
		}
		switch {
		case r.URL.Path == "/api/v1/access_token":
			if id, pass, _ := r.BasicAuth(); id != "id" || pass != secret {
				t.Errorf("logged in as %s", id)
			}
			s.logins++
			fmt.Fprint(w, s.login)
		case r.Header.Get("Authorization") != "Bearer token":
			w.WriteHeader(http.StatusUnauthorized)
		case s.answer != nil:
			s.answer(w, r)
		case r.URL.Path == "/api/info" && s.known != nil:
			s.asked = append(s.asked, r.URL.Query().Get("id"))
			var found []string
			for name := range strings.SplitSeq(r.URL.Query().Get("id"), ",") {
				if t, ok := s.known[name]; ok {
					found = append(found, t)
				}
			}
			fmt.Fprintf(w, `{"kind":"Listing","data":{"children":[%s],"after":null}}`, strings.Join(found, ","))
		case r.URL.Path == "/api/info":
			fmt.Fprint(w, s.info)
		case r.URL.Path == "/r/netflix+skype/new":
			s.page(w, r.URL.Query().Get("after"))
		default:
			fmt.Fprint(w, `{"kind":"Listing","data":{"children":[],"after":null}}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// page is two posts long.
func (s *server) page(w http.ResponseWriter, after string) {
	begin := 0
	for i, p := range s.posts {
		if after != "" && strings.Contains(p, `"`+after+`"`) {
			begin = i + 1
		}
	}
	end, next := min(begin+2, len(s.posts)), "null"
	if end < len(s.posts) {
		var c struct {
			Data thing `json:"data"`
		}
		_ = json.Unmarshal([]byte(s.posts[end-1]), &c)
		next = `"` + c.Data.Name + `"`
	}
	fmt.Fprintf(w, `{"kind":"Listing","data":{"children":[%s],"after":%s}}`, strings.Join(s.posts[begin:end], ","), next)
}

func item(name, author, text string) string {
	return fmt.Sprintf(`{"kind":"t3","data":{"name":%q,"author":%q,"title":%q,"selftext":"","created_utc":%d,"edited":false,"permalink":"/r/x/1"}}`, name, author, text, time.Now().Unix())
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) source(t *testing.T) *Source {
	t.Helper()
	c := DefaultConfig()
	c.Subreddits, c.URL, c.LoginURL, c.ClientID, c.ClientSecret = []string{"skype", "netflix", "skype"}, s.URL, s.URL, "id", secret
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	list, _ := c.Sources(source.Deps{})
	src := list[0].(*Source)
	src.cfg.Interval, src.cfg.RecheckEvery = time.Millisecond, time.Millisecond
	return src
}

// listen runs a source and returns what hands out its events.
func listen(t *testing.T, src *Source, cursor string) (next func(want ...string) string, status *source.Status) {
	ctx, cancel := context.WithCancel(t.Context())
	events, failed, done := make(chan source.Event, 10), make(chan error, 1), make(chan struct{})
	status = new(source.Status)
	go func() {
		defer close(done)
		failed <- src.Run(ctx, &source.Session{Cursor: cursor, Status: status, Emit: func(e source.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return func(want ...string) (cursor string) {
		t.Helper()
		var got []string
		deadline := time.After(90 * time.Second)
		for len(got) < len(want) {
			select {
			case e := <-events:
				cursor = e.Cursor
				switch {
				case e.Kind == source.Upsert && e.Revision > 0:
					got = append(got, e.Post.ID+" "+e.Post.Text+" (edit)")
				case e.Kind == source.Upsert:
					got = append(got, e.Post.ID+" "+e.Post.Text)
				case e.Kind == source.Delete:
					got = append(got, "delete "+e.Post.ID)
				}
			case err := <-failed:
				t.Fatalf("the run ended with %v after %q", err, got)
			case <-deadline:
				t.Fatalf("only %q came", got)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
		return cursor
	}, status
}

// What is new comes in order, over pages.
func TestListing(t *testing.T) {
	s := newServer(t)
	s.posts = []string{item("t3_b", "bob", "netflix is down &amp; out"), item("t3_a", "ann", "hello")}
	next, _ := listen(t, s.source(t), "")
	next("t3_a hello", "t3_b netflix is down & out")
	s.set(func() {
		for _, name := range []string{"t3_c", "t3_d", "t3_10", "t3_11", "t3_12"} {
			s.posts = append([]string{item(name, "ann", "more")}, s.posts...)
		}
	})
	cursor := next("t3_c more", "t3_d more", "t3_10 more", "t3_11 more", "t3_12 more")
	if cursor != `{"posts":"t3_12"}` {
		t.Errorf("cursor is %s", cursor)
	}
}

// What is edited or deleted afterwards is found by asking again.
func TestDeletesAndEdits(t *testing.T) {
	s := newServer(t)
	s.posts = []string{item("t3_b", "bob", "netflix is down"), item("t3_a", "ann", "hello")}
	s.info = `{"data":{"children":[` + item("t3_a", "[deleted]", "hello") + `,` + item("t3_b", "bob", "never mind") + `]}}`
	next, _ := listen(t, s.source(t), "")
	next("t3_a hello", "t3_b netflix is down", "delete t3_a", "t3_b never mind (edit)")
}

// stock is what is stored.
type stock struct {
	ids []string // in order
}

func (s *stock) held(_ context.Context, network, after string, most int) ([]string, error) {
	if network != "reddit" {
		return nil, errors.New("another network's")
	}
	i, found := slices.BinarySearch(s.ids, after)
	if found {
		i++
	}
	return s.ids[i:min(len(s.ids), i+most)], nil
}

// What is stored is asked for after a restart, whoever heard it: what is gone is withdrawn, what was edited is told, once. Names that are not Reddit's are nobody's business.
func TestStoredPostsAreAskedFor(t *testing.T) {
	s := newServer(t)
	s.known = map[string]string{"t3_a": item("t3_a", "[deleted]", "hello"), "t3_b": item("t3_b", "bob", "fine"), "t1_x": item("t1_x", "eve", "[removed]"),
		"t3_d": strings.Replace(item("t3_d", "dan", "edited"), `"edited":false`, `"edited":1790000000.0`, 1), "t3_z": item("t3_z", "[deleted]", "nobody asked")}
	s.known["t1_x"] = `{"kind":"t1","data":{"name":"t1_x","author":"eve","body":"[removed]"}}`
	h := &stock{ids: []string{"2010-1,t3_z", "forum-7", "t1_x", "t3_a", "t3_b", "t3_c", "t3_d"}}
	src := s.source(t)
	src.stored = rounds.New("reddit", src.cfg.RecheckEvery, h.held)
	next, _ := listen(t, src, "")
	next("delete t1_x", "delete t3_a", "t3_d edited (edit)", "delete t3_c")
	s.set(func() { s.posts = []string{item("t3_e", "ann", "new")} })
	next("t3_e new")
	s.set(func() { s.known["t3_b"] = item("t3_b", "[deleted]", "fine") })
	next("delete t3_b") // in a further round, which finds nothing else
	s.set(func() {
		if want := "t1_x,t3_a,t3_b,t3_c,t3_d"; !slices.Contains(s.asked, want) || slices.ContainsFunc(s.asked, func(ids string) bool { return strings.Contains(ids, "forum") || strings.Contains(ids, "t3_z") }) {
			t.Errorf("asked for %q", s.asked)
		}
	})
}

// A restart goes on in the middle of a round, and begins another, since what was asked for before may have gone meanwhile; the next one comes when it is due. An empty answer withdraws nothing.
func TestRoundsGoOnOverRestarts(t *testing.T) {
	s := newServer(t)
	s.known = map[string]string{}
	h := &stock{}
	for i := range 250 {
		h.ids = append(h.ids, fmt.Sprintf("t3_%03d", i))
		s.known[h.ids[i]] = item(h.ids[i], "ann", "x")
	}
	src := s.source(t)
	src.stored = rounds.New("reddit", time.Hour, h.held)
	at := position{Checked: "t3_149"}
	src.stored.Resume(at.Checked)
	for range 2 {
		if err := src.recheck(t.Context(), &at, &source.Session{}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{strings.Join(h.ids[150:], ",")}; !slices.Equal(s.asked, want) || at.Checked != "" {
		t.Errorf("asked for %q; at %q", s.asked, at.Checked)
	}
	if err := src.recheck(t.Context(), &at, &source.Session{}); err != nil || s.asked[1] != strings.Join(h.ids[:100], ",") || at.cursor() != `{"checked":"t3_099"}` {
		t.Errorf("%v; asked for %q; at %s", err, s.asked[1], at.cursor())
	}
	s.known = map[string]string{}
	emit := func(e source.Event) error { t.Errorf("told %+v", e); return nil }
	for range 4 {
		if err := src.recheck(t.Context(), &at, &source.Session{Emit: emit}); err != nil {
			t.Fatal(err)
		}
	}
	if at.Checked != "" || len(s.asked) != 4 {
		t.Errorf("at %q; asked for %q", at.Checked, s.asked)
	}
}

// A restart goes on where it was; what lies deeper than a listing is a gap.
func TestResume(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"t3_a", "t3_b", "t3_c", "t3_d", "t3_e"} {
		s.posts = append([]string{item(name, "ann", "x")}, s.posts...)
	}
	next, status := listen(t, s.source(t), `{"posts":"t3_b"}`)
	next("t3_c x", "t3_d x", "t3_e x")
	if n := status.Snapshot(time.Now()).Gaps; n != 0 {
		t.Errorf("%d gaps", n)
	}
	s.set(func() {
		for i := range 50 {
			s.posts = append([]string{item(fmt.Sprintf("t3_1%02d", i), "ann", "x")}, s.posts...)
		}
	})
	next("t3_130 x") // twenty of them are as deep as ten pages of two go
	if n := status.Snapshot(time.Now()).Gaps; n != 1 {
		t.Errorf("%d gaps", n)
	}
}

func TestMisbehaviour(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		login  string
		want   string
		least  time.Duration
	}{
		{"429", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Ratelimit-Remaining", "0")
			w.Header().Set("X-Ratelimit-Reset", "300")
			w.WriteHeader(429)
		}, "", "429", 5 * time.Minute},
		{"429 without a header", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, "", "429", time.Minute},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"kind":"Listing"`)
		}, "", "unexpected EOF", 0},
		{"a compressed bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(bytes.Repeat([]byte("1"), maxAnswer+1))
			_ = z.Close()
		}, "", "more than", 0},
		{"403", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "", "client_secret", 5 * time.Second},
		{"rubbish", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "", "not what was expected", 0},
		{"no access", nil, `{"error":"invalid_grant"}`, "client_secret", 5 * time.Second},
	} {
		s := newServer(t)
		s.answer = tt.answer
		if tt.login != "" {
			s.login = tt.login
		}
		err := s.source(t).Run(t.Context(), &source.Session{Emit: func(source.Event) error { return nil }})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", tt.name, err)
		} else if wait := polite.NewBackoff(polite.DefaultRules()).Next(err, 0); wait < tt.least {
			t.Errorf("%s: the next try comes after %s", tt.name, wait)
		}
	}
}

// A token that is revoked is got anew by the next run.
func TestRevokedToken(t *testing.T) {
	s := newServer(t)
	src := s.source(t)
	s.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }
	for range 2 {
		_ = src.Run(t.Context(), &source.Session{Emit: func(source.Event) error { return nil }})
	}
	if s.logins != 2 {
		t.Errorf("%d logins", s.logins)
	}
}

// Requests are spread over what is left of a period.
func TestPause(t *testing.T) {
	for _, tt := range []struct {
		remaining, reset string
		want             time.Duration
	}{{"", "", 0}, {"96", "60", 0}, {"34.0", "60", 2 * time.Second}, {"5", "30", 30 * time.Second}, {"0", "1e9", time.Hour}, {"x", "y", 0}} {
		h := http.Header{}
		h.Set("X-Ratelimit-Remaining", tt.remaining)
		h.Set("X-Ratelimit-Reset", tt.reset)
		if got := pause(h); got != tt.want {
			t.Errorf("%s of %s: %s", tt.remaining, tt.reset, got)
		}
	}
}

func TestEmitsErrorProbeAndConfig(t *testing.T) {
	s := newServer(t)
	s.posts = []string{item("t3_a", "ann", "x")}
	boom := errors.New("boom")
	if err := s.source(t).Run(t.Context(), &source.Session{Emit: func(source.Event) error { return boom }}); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if found, err := s.source(t).Probe(t.Context()); err != nil || found != "1 posts in r/netflix+skype" {
		t.Errorf("%q, %v", found, err)
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	c := Config{Subreddits: []string{"r/skype"}, ClientID: secret}
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 5 || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
}

func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"data":{"children":[` + item("t3_a", "ann", "x") + `]}}`))
	f.Add([]byte(`{"data":{"children":[{"data":{"edited":1e10,"removed_by_category":"moderator"}},null]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var l listing
		if json.Unmarshal(raw, &l) != nil {
			return
		}
		s := &Source{told: recent.New[uint64](10)}
		for i := range l.Data.Children {
			_ = s.tell(&l.Data.Children[i].Data, i%2 > 0, &position{}, &source.Session{Emit: func(e source.Event) error {
				if e.Kind == source.Upsert && e.Post.Validate() != nil {
					t.Errorf("%q gave %+v", raw, e)
				}
				return nil
			}})
		}
	})
}
