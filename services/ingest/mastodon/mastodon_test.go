package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"outcry.dev/pkg/config"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/floodtest"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a-token-that-nobody-may-see"

// server is a Mastodon server that does what a test wants.
type server struct {
	*httptest.Server
	t         *testing.T
	mu        sync.Mutex
	posts     []string // of the timeline, the oldest first
	frames    chan string
	closing   chan websocket.StatusCode
	answer    http.HandlerFunc // in place of the timeline
	streams   http.HandlerFunc // in place of streams
	elsewhere string           // where streams are said to be
	asked     []string
	statuses  http.HandlerFunc // posts by their ids
}

func newServer(t *testing.T) *server {
	s := &server{t: t, frames: make(chan string, 1000), closing: make(chan websocket.StatusCode, 1)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("User-Agent") != polite.UserAgent {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token || strings.Contains(r.URL.RawQuery, token) {
		s.t.Errorf("%s came without the token where it belongs", r.URL)
	}
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Path+"?"+r.URL.RawQuery)
	answer, streams, at, statuses := s.answer, s.streams, s.elsewhere, s.statuses
	s.mu.Unlock()
	if at == "" {
		at = "ws://" + s.host()
	}
	switch {
	case r.URL.Path == "/api/v2/instance":
		fmt.Fprintf(w, `{"domain":"home.example","version":"4.5.2","configuration":{"urls":{"streaming":%q}}}`, at)
	case strings.HasPrefix(r.URL.Path, "/api/v1/streaming") && streams != nil:
		streams(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/timelines/") && answer != nil:
		answer(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/timelines/"):
		s.timeline(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/statuses") && statuses != nil:
		statuses(w, r)
	case r.URL.Path == "/api/v1/streaming":
		s.socket(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/streaming/"):
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, ":)\n\n")
		for {
			select {
			case <-r.Context().Done():
				return
			case f := <-s.frames:
				if f == "end" {
					return
				}
				fmt.Fprint(w, f)
				w.(http.Flusher).Flush()
			}
		}
	default:
		http.NotFound(w, r)
	}
}

func (s *server) socket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	ctx := c.CloseRead(r.Context())
	for {
		select {
		case <-ctx.Done():
			return
		case code := <-s.closing:
			_ = c.Close(code, "")
			return
		case f := <-s.frames:
			if err := c.Write(ctx, websocket.MessageText, []byte(f)); err != nil {
				return
			}
		}
	}
}

// timeline answers min_id as Mastodon does: the posts right after it, the newest first.
func (s *server) timeline(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := []string{}
	for _, p := range s.posts {
		var st status
		_ = json.Unmarshal([]byte(p), &st)
		most := r.URL.Query().Get("max_id")
		if most != "" && later(most, st.ID) || most == "" && later(st.ID, r.URL.Query().Get("min_id")) && len(page) < pageSize {
			page = append([]string{p}, page...)
		}
		page = page[:min(len(page), pageSize)]
	}
	fmt.Fprintf(w, "[%s]", strings.Join(page, ","))
}

func toot(id, uri, text string) string {
	return fmt.Sprintf(`{"id":%q,"uri":%q,"url":"https://home.example/@ann/%s","created_at":%q,"visibility":"public","language":null,"content":%q,"account":{"acct":"Ann"}}`,
		id, uri, id, time.Now().UTC().Format(time.RFC3339), "<p>"+text+"</p>")
}

func framed(event, payload string) string {
	p, _ := json.Marshal(payload)
	return fmt.Sprintf(`{"stream":["public"],"event":%q,"payload":%s}`, event, p)
}

func (s *server) configured() Config {
	c := DefaultConfig()
	c.Instances, c.Tokens = []string{s.URL}, config.Secret(token)
	return c
}

func sources(t *testing.T, c Config) []source.Source {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	list, err := c.Sources(source.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// listening runs a source.
type listening struct {
	t      *testing.T
	events chan source.Event
	failed chan error
	status *source.Status
	stop   context.CancelFunc
}

func listen(t *testing.T, src source.Source, cursor string) *listening {
	ctx, cancel := context.WithCancel(t.Context())
	l := &listening{t: t, events: make(chan source.Event, 10_000), failed: make(chan error, 1), status: new(source.Status), stop: cancel}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.failed <- src.Run(ctx, &source.Session{Cursor: cursor, Status: l.status, Emit: func(e source.Event) error { l.events <- e; return nil }})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

// expect reads events that are more than marks.
func (l *listening) expect(want ...string) (cursor string) {
	l.t.Helper()
	for _, w := range want {
		for {
			var e source.Event
			select {
			case e = <-l.events:
			case err := <-l.failed:
				l.t.Fatalf("the source ended, where %q was expected: %v", w, err)
			case <-time.After(10 * time.Second):
				l.t.Fatalf("nothing came, where %q was expected", w)
			}
			cursor = e.Cursor
			if e.Kind == source.Mark {
				continue
			}
			if got := words(e); got != w {
				l.t.Fatalf("%q came, not %q", got, w)
			}
			break
		}
	}
	return cursor
}

func (l *listening) end() error {
	l.t.Helper()
	select {
	case err := <-l.failed:
		return err
	case <-time.After(10 * time.Second):
		l.t.Fatal("the source did not end")
		return nil
	}
}

func words(e source.Event) string {
	switch e.Kind {
	case source.Upsert:
		s := e.Post.ID + " " + e.Post.Text
		if e.Revision > 0 {
			s += " (edit)"
		}
		return s
	case source.Delete:
		return "delete " + e.Post.ID
	case source.Unreadable:
		return "unreadable"
	}
	return fmt.Sprint("kind ", e.Kind)
}

// Posts, edits and deletes come as they are, over both transports.
func TestStream(t *testing.T) {
	for _, transport := range []string{"websocket", "sse"} {
		t.Run(transport, func(t *testing.T) {
			s := newServer(t)
			c := s.configured()
			c.Transport = transport
			send := func(event, payload string) {
				if transport == "sse" {
					s.frames <- ":thump\nevent: " + event + "\ndata: " + payload + "\n\n"
					return
				}
				s.frames <- framed(event, payload)
			}
			l := listen(t, sources(t, c)[0], "")
			send("update", toot("1", "u/1", "Netflix is &lt;down&gt;<br>again <a href=\\\"https://x\\\">#<span>netflixdown</span></a>"))
			send("status.update", strings.Replace(toot("1", "u/1", "never mind"), `"visibility"`, `"edited_at":"2026-11-25T03:00:00.000Z","visibility"`, 1))
			send("announcement", "{}")
			send("update", `{"id":"7"}`)
			send("update", strings.Replace(toot("8", "u/8", "for friends"), `"public"`, `"private"`, 1))
			send("delete", "1")
			send("update", toot("2", "u/2", "still here"))
			l.expect("u/1 Netflix is <down>\nagain #netflixdown", "u/1 never mind (edit)", "unreadable", "delete u/1", "u/2 still here")
		})
	}
}

// Whatever the order in which a delete, its post, its edits and its copy on another server come: what is deleted stays so.
func TestTombstonesWin(t *testing.T) {
	s := newServer(t)
	l := listen(t, sources(t, s.configured())[0], "")
	s.frames <- framed("delete", "5")
	s.frames <- framed("update", toot("5", "u/5", "said too late"))
	s.frames <- framed("status.update", strings.Replace(toot("5", "u/5", "edited too late"), `"visibility"`, `"edited_at":"2026-11-25T03:00:00.000Z","visibility"`, 1))
	s.frames <- framed("update", toot("6", "u/6", "hello"))
	l.expect("delete u/5", "delete u/5", "u/6 hello")
}

// A post that two servers have is told once; a delete on either withdraws it.
func TestSeveralInstances(t *testing.T) {
	a, b := newServer(t), newServer(t)
	c := DefaultConfig()
	c.Instances, c.Tokens = []string{a.URL, b.URL}, config.Secret(a.host()+"="+token+","+b.host()+"="+token)
	list := sources(t, c)
	la := listen(t, list[0], "")
	a.frames <- framed("update", toot("100", "u/1", "one"))
	la.expect("u/1 one")
	lb := listen(t, list[1], "")
	b.frames <- framed("update", toot("01HZY", "u/1", "one"))
	b.frames <- framed("update", toot("01HZZ", "u/2", "two"))
	lb.expect("u/2 two")
	b.frames <- framed("delete", "01HZY")
	lb.expect("delete u/1")
	a.frames <- framed("status.update", strings.Replace(toot("100", "u/1", "edit"), `"visibility"`, `"edited_at":"2026-11-25T03:00:00.000Z","visibility"`, 1))
	a.frames <- framed("update", toot("101", "u/3", "three"))
	la.expect("u/3 three")
}

// After a restart, everything since the cursor comes from the timeline, page after page, and then the stream goes on; nothing twice.
func TestGap(t *testing.T) {
	s := newServer(t)
	l := listen(t, sources(t, s.configured())[0], "")
	s.frames <- framed("update", toot("1000", "u/1000", "before"))
	cursor := l.expect("u/1000 before")
	l.stop()
	_ = l.end()

	s = newServer(t) // no connection of before takes its frames
	var want []string
	for i := 1001; i < 1101; i++ {
		s.posts = append(s.posts, toot(fmt.Sprint(i), fmt.Sprint("u/", i), "missed"))
		want = append(want, fmt.Sprintf("u/%d missed", i))
	}
	l = listen(t, sources(t, s.configured())[0], cursor)
	s.frames <- framed("update", toot("1100", "u/1100", "missed")) // came by the timeline already
	s.frames <- framed("update", toot("1101", "u/1101", "live"))
	l.expect(append(want, "u/1101 live")...)
	if n := l.status.Snapshot(time.Now()).Gaps; n != 0 {
		t.Errorf("%d gaps", n)
	}
}

// After a restart, a delete of what was told before it is honoured all the same.
func TestDeleteAfterARestart(t *testing.T) {
	s := newServer(t)
	for i := 900; i < 1000; i++ {
		s.posts = append(s.posts, toot(fmt.Sprint(i), fmt.Sprint("u/", i), "before"))
	}
	l := listen(t, sources(t, s.configured())[0], `{"id":"1000","uri":"u/1000"}`)
	s.frames <- framed("delete", "1000")
	s.frames <- framed("delete", "905")
	s.frames <- framed("delete", "5") // nobody knows it
	s.frames <- framed("update", toot("1001", "u/1001", "after"))
	l.expect("delete u/1000", "delete u/905", "u/1001 after")
}

// A gap beyond the limit is said to be one, and so is a timeline that may not be read; listening goes on.
func TestGapsThatStay(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"too long": nil,
		"closed":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			for i := 1001; i < 1300; i++ {
				s.posts = append(s.posts, toot(fmt.Sprint(i), fmt.Sprint("u/", i), "missed"))
			}
			s.answer = answer
			c := s.configured()
			c.GapPages = 1
			l := listen(t, sources(t, c)[0], `{"id":"1000"}`)
			s.frames <- framed("update", toot("2000", "u/2000", "live"))
			for {
				if e := <-l.events; e.Kind == source.Upsert && e.Post.ID == "u/2000" {
					break
				}
			}
			if n := l.status.Snapshot(time.Now()).Gaps; n == 0 {
				t.Error("no gap is told of")
			}
		})
	}
}

// A rate limit ends the run with what the server asked for, and the cursor is as far as the gap was filled.
func TestRateLimit(t *testing.T) {
	s := newServer(t)
	for i := 1001; i < 1100; i++ {
		s.posts = append(s.posts, toot(fmt.Sprint(i), fmt.Sprint("u/", i), "missed"))
	}
	pages := 0
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("max_id") {
			fmt.Fprint(w, "[]")
			return
		}
		if pages++; pages > 1 {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", time.Now().Add(4*time.Minute).UTC().Format(time.RFC3339Nano))
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		s.timeline(w, r)
	}
	src := sources(t, s.configured())[0]
	l := listen(t, src, `{"id":"1000"}`)
	err := l.end()
	if wait := polite.NewBackoff(polite.DefaultRules()).Next(err, 0); wait < 3*time.Minute {
		t.Errorf("%v: the next try comes after %s", err, wait)
	}
	cursor := ""
	for len(l.events) > 0 {
		cursor = (<-l.events).Cursor
	}
	if cursor != `{"id":"1040","uri":"u/1040"}` {
		t.Errorf("cursor is %s", cursor)
	}
}

// What servers do to a stream ends the run with an error that tells what to do, never the token, and never a loop.
func TestMisbehaviour(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *server)
		want string
	}{
		{"no scope, told after the upgrade", func(s *server) { s.frames <- `{"error":"Access token does not have the required scopes","status":401}` }, "read:statuses"},
		{"an unknown stream, told after the upgrade", func(s *server) { s.frames <- `{"error":"Unknown stream type","status":400}` }, "Unknown stream type"},
		{"a revoked token", func(s *server) { s.closing <- websocket.StatusNoStatusRcvd }, "revoked"},
		{"a restart", func(s *server) { s.closing <- websocket.StatusGoingAway }, "1001"},
		{"silence", func(*server) {}, "nothing came"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			c := s.configured()
			if tt.name == "silence" {
				c.IdleTimeout = time.Second
			}
			l := listen(t, sources(t, c)[0], "")
			tt.do(s)
			err := l.end()
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), token) {
				t.Errorf("the run ended with %v", err)
			}
		})
	}
}

// A stream that is refused, or is none, ends the run with an error that tells what to do, and a wait that the server asked for.
func TestStreamsRefused(t *testing.T) {
	code := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	for _, tt := range []struct {
		name, transport string
		answer          http.HandlerFunc
		want            string
		least           time.Duration // of the first wait
	}{
		{"no token", "websocket", code(401), "read:statuses", 5 * time.Second},
		{"no token", "sse", code(401), "read:statuses", 5 * time.Second},
		{"no scope", "websocket", code(403), "read:statuses", 5 * time.Second},
		{"200 and the end", "websocket", code(200), "200 OK in place", 500 * time.Millisecond},
		{"200 and the end", "sse", code(200, "Content-Type", "text/event-stream"), "ended the stream", 500 * time.Millisecond},
		{"429", "websocket", code(429), "429", time.Minute},
		{"429", "sse", code(429), "429", time.Minute},
		{"429 with a header", "websocket", code(429, "Retry-After", "600"), "429", 10 * time.Minute},
		{"429 with a header that says soon", "websocket", code(429, "Retry-After", "10"), "429", 10 * time.Second},
		{"429 with a reset that comes soon", "sse", func(w http.ResponseWriter, r *http.Request) {
			code(429, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", time.Now().Add(30*time.Second).UTC().Format(time.RFC3339))(w, r)
		}, "429", time.Second},
		{"starting", "websocket", code(503), "503", 5 * time.Second},
		{"a server without events", "sse", code(404), "404", 5 * time.Second},
		{"a server with a page instead", "sse", code(200, "Content-Type", "text/html"), "transport websocket", 500 * time.Millisecond},
	} {
		t.Run(tt.name+" by "+tt.transport, func(t *testing.T) {
			s := newServer(t)
			s.streams = tt.answer
			c := s.configured()
			c.Transport = tt.transport
			l := listen(t, sources(t, c)[0], "")
			err := l.end()
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("the run ended with %v", err)
			}
			if wait := polite.NewBackoff(polite.DefaultRules()).Next(err, 0); wait < tt.least || strings.Contains(tt.name, "soon") && wait > 40*time.Second {
				t.Errorf("the next try comes after %s", wait)
			}
			asked := 0
			for _, path := range s.asked {
				if strings.HasPrefix(path, "/api/v1/streaming") {
					asked++
				}
			}
			if asked != 1 {
				t.Errorf("asked %d times for the stream", asked)
			}
		})
	}
}

// Streams are where the server says that they are, with the token, unless that would go in the clear where the server itself does not speak so.
func TestStreamsElsewhere(t *testing.T) {
	home, away := newServer(t), newServer(t)
	home.elsewhere = "ws://" + away.host()
	l := listen(t, sources(t, home.configured())[0], "")
	away.frames <- framed("update", toot("1", "u/1", "from elsewhere"))
	l.expect("u/1 from elsewhere")

	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"domain":"home.example","configuration":{"urls":{"streaming":"ws://eavesdropper.example"}}}`)
	}))
	defer secure.Close()
	i := newInstance(secure.URL, "home.example", token)
	i.client = secure.Client()
	a, err := i.about(t.Context())
	if want := "wss" + strings.TrimPrefix(secure.URL, "https"); err != nil || a.streaming != want {
		t.Errorf("streams are looked for at %s, not %s; %v", a.streaming, want, err)
	}
}

func TestServerSentEventsThatEnd(t *testing.T) {
	s := newServer(t)
	c := s.configured()
	c.Transport = "sse"
	l := listen(t, sources(t, c)[0], "")
	s.frames <- "event: update\ndata: {\"half"
	s.frames <- "end"
	if err := l.end(); err == nil || len(l.events) > 0 {
		t.Errorf("%v, %d events", err, len(l.events))
	}
}

// Frames that are too long, or no frames, are told of; those after them are heard.
func TestUnreadableFrames(t *testing.T) {
	s := newServer(t)
	l := listen(t, sources(t, s.configured())[0], "")
	s.frames <- "no JSON"
	s.frames <- `{"event":"update","payload":"` + strings.Repeat("x", maxFrame) + `"}`
	s.frames <- `{"event":"delete","payload":"{}"}`
	s.frames <- `{"event":"delete","payload":7}`
	s.frames <- framed("update", toot("1", "u/1", "fine"))
	l.expect("unreadable", "unreadable", "unreadable", "u/1 fine")
}

// A flood arrives whole, at the pipeline's pace, by either transport; what is remembered of it has its limit.
func TestFlood(t *testing.T) {
	post := toot("?", "https://home.example/users/ann/statuses/?", "skype is down")
	sockets := floodtest.Numbered(framed("update", post))
	for transport, flood := range map[string]http.HandlerFunc{
		"sse": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = floodtest.Say(w, floodtest.Numbered("event: update\ndata: "+post+"\n\n"))
		},
		"websocket": func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.CloseNow() }()
			var one []byte
			for n := range floodtest.Posts {
				if one = sockets(one[:0], n); c.Write(r.Context(), websocket.MessageText, one) != nil {
					return
				}
			}
			_ = c.Close(1000, "")
		},
	} {
		t.Run(transport, func(t *testing.T) {
			s := newServer(t)
			s.streams = flood
			c := s.configured()
			c.Transport = transport
			floodtest.Run(t, sources(t, c)[0], "", 32<<20)
		})
	}
}

func TestEmitsError(t *testing.T) {
	s := newServer(t)
	s.frames <- framed("update", toot("1", "u/1", "x"))
	boom := errors.New("boom")
	if err := sources(t, s.configured())[0].Run(t.Context(), &source.Session{Emit: func(source.Event) error { return boom }}); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
}

func TestProbe(t *testing.T) {
	s := newServer(t)
	p := sources(t, s.configured())[0].(source.Prober)
	s.frames <- framed("update", toot("1", "u/1", "x"))
	if found, err := p.Probe(t.Context()); err != nil || found != "4.5.2, streaming at ws://"+s.host() {
		t.Errorf("%q, %v", found, err)
	}
	s = newServer(t) // no connection of before takes its frames
	p = sources(t, s.configured())[0].(source.Prober)
	s.frames <- `{"error":"no","status":403}`
	if _, err := p.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "ingest.mastodon.tokens") {
		t.Errorf("%v", err)
	}
}

func TestPosts(t *testing.T) {
	received := time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)
	base := post.Post{Source: SourceName, ID: "u", Author: "ann@home.example", Text: "hi", CreatedAt: received.Add(-time.Minute), URL: "https://x/1"}
	with := func(change func(*post.Post)) post.Post { p := base; change(&p); return p }
	const plain = `"id":"1","uri":"u","url":"https://x/1","created_at":"2026-11-25T03:59:00.000Z","content":"<p>hi</p>","account":{"acct":"Ann"}`
	for _, tt := range []struct {
		name, raw string
		want      post.Post
	}{
		{"plain", plain, base},
		{"of another server", strings.Replace(plain, "Ann", "Bob@Far.example", 1), with(func(p *post.Post) { p.Author = "bob@far.example" })},
		{"from 1970", strings.Replace(plain, "2026-11-25T03:59", "1970-01-01T00:00", 1), with(func(p *post.Post) { p.CreatedAt = received.Add(-24 * time.Hour) })},
		{"from 2099", strings.Replace(plain, "2026", "2099", 1), with(func(p *post.Post) { p.CreatedAt = received })},
		{"a warning", plain + `,"spoiler_text":"outage"`, with(func(p *post.Post) { p.Text = "outage\nhi" })},
		{"a language", plain + `,"language":"pt-br"`, with(func(p *post.Post) { p.Lang = "pt-BR" })},
		{"a reply to what is known", plain + `,"in_reply_to_id":"9"`, with(func(p *post.Post) { p.ReplyTo = "uri of 9" })},
		{"a boost", plain + `,"reblog":{"id":"5","uri":"v","content":"<p>theirs</p>"}`, with(func(p *post.Post) { p.Text, p.RepostOf = "theirs", "v" })},
		{"no address", strings.Replace(plain, `"url":"https://x/1"`, `"url":null`, 1), with(func(p *post.Post) { p.URL = "" })},
	} {
		s, err := decodeStatus([]byte("{" + tt.raw + "}"))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, s.post("home.example", received, func(id string) string { return "uri of " + id })); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		faults int
	}{
		{"default", func(*Config) {}, 0},
		{"two instances with tokens", func(c *Config) {
			c.Instances, c.Tokens = []string{"https://a.example", "https://b.example/"}, "a.example=x\nb.example=y"
		}, 0},
		{"one token for two", func(c *Config) { c.Instances, c.Tokens = []string{"https://a.example", "https://b.example"}, "secret" }, 1},
		{"a token for a stranger", func(c *Config) { c.Instances, c.Tokens = []string{"https://a.example"}, "b.example=x" }, 1},
		{"a token in JSON", func(c *Config) { c.Instances, c.Tokens = []string{"https://a.example"}, `{"a.example": "secret"}` }, 1},
		{"half a token", func(c *Config) { c.Instances, c.Tokens = []string{"https://a.example"}, "a.example=" }, 1},
		{"addresses", func(c *Config) {
			c.Instances = []string{"a.example", "https://u:p@b.example", "https://c", "https://c/"}
		}, 3},
		{"streams", func(c *Config) { c.Streams = []string{"home", "hashtag:", "hashtag:local:skype"} }, 2},
		{"the rest", func(c *Config) {
			c.Streams, c.Transport, c.IdleTimeout, c.GapPages, c.RecheckEvery = nil, "smoke", 0, -1, 0
		}, 5},
	} {
		c := DefaultConfig()
		tt.change(&c)
		got := 0
		if err := c.Validate(); err != nil {
			got = strings.Count(err.Error(), "\n") + 1
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: a token is told: %v", tt.name, err)
			}
		}
		if got != tt.faults {
			t.Errorf("%s: %d faults: %v", tt.name, got, c.Validate())
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, s := range []string{framed("update", toot("1", "u", "x")), framed("delete", "1"), `{"event":"update","payload":{"id":"1","uri":"u","account":{"acct":"a"},"reblog":{}}}`,
		`{"error":"x","status":401}`, `{"event":"delete","payload":[1]}`, `null`} {
		f.Add([]byte(s))
	}
	list, err := Config{Instances: []string{"https://a.example"}, Streams: []string{"public"}}.Sources(source.Deps{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var fr frame
		if json.Unmarshal(raw, &fr) != nil {
			return
		}
		r := &run{timeline: list[0].(*timeline), about: about{domain: "a.example"}, session: &source.Session{Emit: func(e source.Event) error {
			if e.Kind == source.Upsert && e.Post.Validate() != nil || e.Kind == source.Delete && e.Post.ID == "" {
				t.Errorf("%q gave %+v", raw, e)
			}
			return nil
		}}}
		_ = r.take(&fr)
	})
}
