package statuspage

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var services = catalog.New([]catalog.Service{
	{ID: "skype", Name: "Skype", Category: "messaging", StatusPage: "https://status.example.com/skype"},
	{ID: "trello", Name: "Trello", Category: "productivity", StatusPage: "https://status.example.com"},
	{ID: "jira", Name: "Jira", Aliases: []string{"Jira Software"}, Category: "productivity", StatusPage: "https://status.example.com"},
	{ID: "mute", Name: "Mute", Category: "productivity"},
})

// site is a status page that a test can change while it is read.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	answers  map[string]http.HandlerFunc // by path
	requests []string                    // path and validators
}

func newSite(t *testing.T) *site {
	s := &site{answers: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.URL.Path+" "+r.Header.Get("If-None-Match"))
		answer := s.answers[r.URL.Path]
		s.mu.Unlock()
		if r.Header.Get("User-Agent") != polite.UserAgent {
			t.Errorf("User-Agent is %q", r.Header.Get("User-Agent"))
		}
		if answer == nil {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// serve sets what a path holds, with a validator of its own.
func (s *site) serve(path, body string) {
	s.handle(path, func(w http.ResponseWriter, r *http.Request) {
		tag := fmt.Sprintf(`"%x"`, len(body)*31+int(body[len(body)/2]))
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", tag)
		_, _ = w.Write([]byte(body))
	})
}

func (s *site) handle(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = h
}

func (s *site) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

func (s *site) page(ids ...string) *page {
	var list []catalog.Service
	for _, id := range ids {
		x, _ := services.ByID(id)
		list = append(list, *x)
	}
	return newPage(Config{Interval: time.Millisecond, Timeout: 5 * time.Minute}, s.URL, list)
}

// listening runs a page and hands out what it says.
type listening struct {
	t      *testing.T
	events chan source.Event
	failed chan error
	stop   context.CancelFunc
}

func listen(t *testing.T, p *page, cursor string) *listening {
	ctx, cancel := context.WithCancel(t.Context())
	l := &listening{t: t, events: make(chan source.Event, 1000), failed: make(chan error, 1), stop: cancel}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.failed <- p.Run(ctx, &source.Session{Cursor: cursor, Status: new(source.Status), Emit: func(e source.Event) error {
			select {
			case l.events <- e:
			case <-ctx.Done():
			}
			return nil
		}})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

// next returns the next post, in words.
func (l *listening) next() string {
	l.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case e := <-l.events:
			if e.Kind == source.Upsert {
				return words(e)
			}
		case err := <-l.failed:
			l.t.Fatalf("the source ended: %v", err)
		case <-deadline:
			l.t.Fatal("nothing was told")
		}
	}
}

// quiet sees the page read twice more without anything told, and returns the cursor.
func (l *listening) quiet() string {
	l.t.Helper()
	cursor := ""
	for marks := 0; marks < 3; {
		e := <-l.events
		if e.Kind != source.Mark {
			l.t.Fatalf("told %s", words(e))
		}
		marks++
		cursor = e.Cursor
	}
	return cursor
}

func words(e source.Event) string {
	s := fmt.Sprintf("%s: %s", e.Post.Author, e.Post.Text)
	switch e.Post.Notice {
	case post.Problem:
		s += " [problem]"
	case post.Recovered:
		s += " [recovered]"
	case post.NoNotice:
	}
	if e.Revision > 0 {
		s += " (edited)"
	}
	return s
}

func expect(t *testing.T, l *listening, want ...string) {
	t.Helper()
	var got []string
	for range want {
		got = append(got, l.next())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
}

func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

const page0 = `"page":{"id":"p","name":"Skype","url":"http://x","updated_at":"%s"}`

func incidents(list ...string) string {
	return `{"page":{"name":"Skype"},"incidents":[` + strings.Join(list, ",") + `]}`
}

func incident(status string, updates ...string) string {
	return `{"id":"i1","name":"Sign-in","status":"` + status + `","impact":"major","shortlink":"https://stspg.io/i1","created_at":"` + ago(10*time.Minute) +
		`","incident_updates":[` + strings.Join(updates, ",") + `]}`
}

func said(id, status, body string, age time.Duration) string {
	return `{"id":"` + id + `","status":"` + status + `","body":"` + body + `","created_at":"` + ago(age) + `"}`
}

const summary = `{"page":{"name":"Skype"},"status":{"indicator":"none","description":"All Systems Operational"},"components":[],"incidents":[]}`

// An incident is told update by update, each once, with the page's own times; edits are edits, and over a restart nothing is told again that is old.
func TestIncidentLife(t *testing.T) {
	s := newSite(t)
	s.serve("/api/v2/summary.json", summary)
	begun := said("u1", "investigating", "We are <b>investigating</b>.", 10*time.Minute)
	s.serve("/api/v2/incidents.json", incidents(incident("investigating", begun)))
	p := s.page("skype")
	l := listen(t, p, "")
	e := <-l.events
	if got, want := words(e), "skype: Sign-in: We are investigating. [problem]"; got != want {
		t.Fatalf("told %q, not %q", got, want)
	}
	if age := time.Since(e.Post.CreatedAt); age < 9*time.Minute || age > 12*time.Minute {
		t.Errorf("said %s ago", age)
	}
	if e.Post.Source != post.StatusPages || e.Post.URL != "https://stspg.io/i1" || !strings.HasSuffix(e.Post.ID, "/i1/u1") {
		t.Errorf("post is %+v", e.Post)
	}
	l.quiet()
	s.serve("/api/v2/incidents.json", incidents(incident("monitoring", said("u2", "monitoring", "A fix is in.", 2*time.Minute), begun)))
	expect(t, l, "skype: Sign-in: A fix is in. [problem]")
	s.serve("/api/v2/incidents.json", incidents(incident("monitoring", said("u2", "monitoring", "A fix is in place.", 2*time.Minute), begun)))
	expect(t, l, "skype: Sign-in: A fix is in place. [problem] (edited)")
	l.quiet()
	s.serve("/api/v2/incidents.json", incidents(incident("resolved", said("u3", "resolved", "Resolved.", time.Second), said("u2", "monitoring", "A fix is in place.", 2*time.Minute), begun)))
	expect(t, l, "skype: Sign-in: Resolved. [recovered]")
	cursor := l.quiet()
	l.stop()

	after := incidents(incident("resolved", said("u4", "resolved", "Really.", 0), said("u3", "resolved", "Resolved.", time.Second)),
		strings.ReplaceAll(incident("resolved", said("u0", "resolved", "Long ago.", 40*time.Minute)), "i1", "i0"))
	s.serve("/api/v2/incidents.json", after)
	l = listen(t, s.page("skype"), cursor)
	expect(t, l, "skype: Sign-in: Resolved. [recovered]", "skype: Sign-in: Really. [recovered]") // the overlap, then what is new
	l.quiet()
}

// Nothing is asked in full again while nothing changes.
func TestConditionalRequests(t *testing.T) {
	s := newSite(t)
	s.serve("/api/v2/summary.json", summary)
	s.serve("/api/v2/incidents.json", incidents())
	l := listen(t, s.page("skype"), "")
	l.quiet()
	l.stop()
	for i, r := range s.asked() {
		if unconditional := strings.HasSuffix(r, " "); unconditional != (i < 2) {
			t.Errorf("request %d is %q", i, r)
		}
	}
}

// When a page is read for the first time, what is over is history, and so is what has been said for more than a day.
func TestFirstReading(t *testing.T) {
	s := newSite(t)
	s.serve("/api/v2/incidents.json", incidents(
		incident("resolved", said("old", "resolved", "Long over.", 3*time.Hour)),
		strings.ReplaceAll(incident("monitoring", said("ancient", "investigating", "Days ago.", 50*time.Hour), said("open", "monitoring", "Still on it.", 3*time.Hour)), "i1", "i2")))
	l := listen(t, s.page("skype"), "")
	expect(t, l, "skype: Sign-in: Still on it. [problem]")
	l.quiet()
}

// A page without incidents has an indicator, or components; an incident, once there is one, says it better.
func TestIndicator(t *testing.T) {
	s := newSite(t)
	s.serve("/api/v2/summary.json", summary)
	l := listen(t, s.page("skype"), "")
	l.quiet()
	s.serve("/api/v2/summary.json", `{"status":{"indicator":"major","description":"Partial System Outage"},"components":[{"name":"Calls","status":"partial_outage"},{"name":"Web","status":"operational"}]}`)
	expect(t, l, "skype: Partial System Outage: Calls (partial outage) [problem]")
	l.quiet()
	s.serve("/api/v2/summary.json", `{"components":[{"name":"Calls","status":"operational"},7,{"name":7}]}`)
	expect(t, l, "skype: All systems operational [recovered]")
	s.serve("/api/v2/summary.json", `{"components":[{"name":"Calls","status":"major_outage"}]}`)
	expect(t, l, "skype: Calls (major outage) [problem]")
	cursor := l.quiet()
	l.stop()
	l = listen(t, s.page("skype"), cursor) // told already
	l.quiet()
	s.serve("/api/v2/summary.json", summary)
	expect(t, l, "skype: All Systems Operational [recovered]")
}

// Of a shared page, each service gets what names it, and nobody what names none of them.
func TestSharedPage(t *testing.T) {
	s := newSite(t)
	s.serve("/api/v2/incidents.json", incidents(
		incident("investigating", said("u1", "investigating", "Looking into it.", time.Minute)),
		`{"id":"i2","name":"Boards do not load","components":[{"name":"Trello"}],"incident_updates":[`+said("u2", "identified", "Found.", 50*time.Second)+`]}`,
		`{"id":"i3","name":"Sign-in to JIRA Software and Trello","incident_updates":[`+said("u3", "identified", "Found too.", 40*time.Second)+`]}`))
	l := listen(t, s.page("jira", "trello"), "")
	expect(t, l, "trello: Boards do not load: Found. [problem]", "jira: Sign-in to JIRA Software and Trello: Found too. [problem]",
		"trello: Sign-in to JIRA Software and Trello: Found too. [problem]")
	l.quiet()
}

const atom = `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Skype Status</title><id>x</id>
<entry><id>tag:1</id><title>Sign-in</title><published>%s</published><updated>%s</updated><link href="https://status.example.com/1"/>
<content type="html">%s</content></entry></feed>`

// Feeds: each version of an entry is an update; when an entry is met late, its beginning is told as of when it was published.
func TestFeeds(t *testing.T) {
	s := newSite(t)
	investigating := `&lt;p&gt;&lt;small&gt;Nov 25&lt;/small&gt;&lt;br&gt;&lt;strong&gt;Investigating&lt;/strong&gt; - We look into it.&lt;/p&gt;`
	monitoring := `&lt;p&gt;&lt;strong&gt;Monitoring&lt;/strong&gt; - A fix is in.&lt;/p&gt;` + investigating
	resolved := `&lt;p&gt;&lt;strong&gt;Resolved&lt;/strong&gt; - It is over.&lt;/p&gt;` + monitoring
	begin := ago(10 * time.Minute)
	s.serve("/history.atom", fmt.Sprintf(atom, begin, ago(5*time.Minute), monitoring))
	l := listen(t, s.page("skype"), "")
	expect(t, l, "skype: Sign-in [problem]", "skype: Sign-in: Monitoring - A fix is in. [problem]")
	s.serve("/history.atom", fmt.Sprintf(atom, begin, ago(time.Second), resolved))
	expect(t, l, "skype: Sign-in: Resolved - It is over. [recovered]")
	l.quiet()
}

func TestRSS(t *testing.T) {
	d, err := decode([]byte(`<?xml version="1.0"?><rss version="2.0"><channel><title>AWS</title>
<item><title><![CDATA[Service is operating normally: [RESOLVED] Increased error rates]]></title><guid>g1</guid><pubDate>Wed, 25 Nov 2026 02:00:00 PST</pubDate><description>Over.</description></item>
<item><title>Informational message: Increased error rates</title><guid>g2</guid><pubDate>Wed, 25 Nov 2026 01:00:00 GMT</pubDate><description>We are investigating.</description></item>
<item><title>Scheduled maintenance of the database</title><guid>g3</guid><description>Tonight.</description></item>
<item></item>
<item><title>[Investigating] Calls</title><pubDate>no date</pubDate><link>https://x.example/4</link></item>
</channel></rss>`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range d.updates {
		got = append(got, fmt.Sprintf("%d %s %s", u.notice, u.text, u.id))
	}
	want := []string{"1 [Investigating] Calls https://x.example/4/investigating",
		"0 Informational message: Increased error rates: We are investigating. g2/2026-11-25T01:00:00Z",
		"2 Service is operating normally: [RESOLVED] Increased error rates: Over. g1/2026-11-25T10:00:00Z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What hosts leave out or write otherwise does not keep the rest from being read.
func TestSubsets(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"an incident without updates", `{"incidents":[{"id":"1","name":"Down","status":"investigating","created_at":"2026-11-25T01:00:00Z"}]}`, "1 Down 01:00:00 1/investigating;"},
		{"monitoring without updates", `{"incidents":[{"id":"1","name":"Down","status":"monitoring","created_at":"2026-11-25T01:00:00Z","monitoring_at":"2026-11-25T01:30:00.123Z"}]}`, "1 Down 01:30:00 1/monitoring;"},
		{"resolved without a status", `{"incidents":[{"id":"1","name":"Down","resolved_at":"2026-11-25T02:00:00Z"}]}`, "2 Down 02:00:00 1/;"},
		{"no id, no time", `{"incidents":[{"name":"Down"}]}`, "1 Down 00:00:00 Down@0001-01-01T00:00:00Z/;"},
		{"no name", `{"incidents":[{"incident_updates":[{"body":"It fails."}]}]}`, "1 It fails. 00:00:00 @0001-01-01T00:00:00Z/@0001-01-01T00:00:00Z;"},
		{"nothing in it", `{"incidents":[{},null,7,{"incident_updates":[{},null,"x"]}]}`, ""},
		{"wrong types", `{"page":7,"status":[],"components":{},"incidents":"none"}`, ""},
		{"nulls", `{"page":null,"status":null,"components":null,"incidents":[{"id":null,"name":"N","status":null,"incident_updates":null,"created_at":null}]}`, "1 N 00:00:00 N@0001-01-01T00:00:00Z/;"},
		{"maintenance", `{"incidents":[{"id":"1","name":"Work","impact":"maintenance","status":"in_progress"},{"id":"2","name":"Work","status":"scheduled"}]}`, ""},
		{"a look back", `{"incidents":[{"id":"1","name":"Down","status":"postmortem","incident_updates":[{"id":"a","status":"postmortem","body":"Why"},{"id":"b","status":"resolved","body":"Over","created_at":"2026-11-25T03:00:00Z"}]}]}`, "2 Down: Over 03:00:00 1/b;"},
		{"a status nobody knows", `{"incidents":[{"id":"1","name":"Down","incident_updates":[{"id":"a","status":"pondering","body":"Hm"}]}]}`, "0 Down: Hm 00:00:00 1/a;"},
		{"an absurd time", `{"incidents":[{"id":"1","name":"Down","created_at":"yesterday"}]}`, "1 Down 00:00:00 1/;"},
	} {
		d, err := decode([]byte(tt.raw))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := ""
		for _, u := range d.updates {
			got += fmt.Sprintf("%d %s %s %s;", u.notice, u.text, u.at.UTC().Format(time.TimeOnly), u.id)
		}
		if got != tt.want {
			t.Errorf("%s: %q, not %q", tt.name, got, tt.want)
		}
	}
}

// Each way of misbehaving ends the run with an error that says so, and that asks for a wait where the server does.
func TestMisbehaviour(t *testing.T) {
	bomb := func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(`{"page":{"name":"`))
		zeros := bytes.Repeat([]byte("a"), 1<<20)
		for range maxBody>>20 + 1 {
			_, _ = z.Write(zeros)
		}
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(b.Bytes())
	}
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
		wait   time.Duration // at least
	}{
		{"429 with a header", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1200")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "429", 20 * time.Minute},
		{"429 without a header", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "429", time.Minute},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "500", 5 * time.Second},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"page":`))
		}, "unexpected EOF", 0},
		{"half a document", text(`{"page":{"name":"x"`), "not JSON", 0},
		{"a web page everywhere", text("<!doctype html><title>Status</title>"), "no status page in a format", time.Hour},
		{"JSON of something else", text(`{"hello":"world"}`), "no status page in a format", time.Hour},
		{"a broken feed", text(`<?xml version="1.0"?><rss><channel><item><title>x`), "not a feed", 0},
		{"a gigantic page", text(`{"page":"` + strings.Repeat("x", maxBody) + `"}`), "more than", 0},
		{"a compressed bomb", bomb, "more than", 0},
		{"a silent server", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded", 0},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "10 redirects", 0},
		{"gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, "no status page in a format", time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			for _, path := range []string{"/api/v2/summary.json", "/api/v2/incidents.json", "/", "", "/history.atom", "/history.rss"} {
				s.handle(path, tt.answer)
			}
			p := s.page("skype")
			if tt.want == "deadline exceeded" {
				p.cfg.Timeout = 50 * time.Millisecond
			}
			err := p.Run(t.Context(), &source.Session{Emit: func(e source.Event) error { t.Errorf("told %s", words(e)); return nil }})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("the run ended with %v", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has several lines", err)
			}
			if wait := polite.NewBackoff(p.Rules()).Next(err, 0); wait < tt.wait {
				t.Errorf("the next try comes after %s", wait)
			}
		})
	}
}

// The pipeline's faults are returned as they are.
func TestEmitsError(t *testing.T) {
	s := newSite(t)
	s.serve("/api/v2/incidents.json", incidents(incident("investigating", said("u1", "investigating", "Hm.", 0))))
	boom := errors.New("boom")
	if err := s.page("skype").Run(t.Context(), &source.Session{Emit: func(source.Event) error { return boom }}); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
}

func TestProbe(t *testing.T) {
	s := newSite(t)
	s.serve("/api/v2/incidents.json", incidents(incident("investigating", said("u1", "investigating", "Hm.", 0))))
	if found, err := s.page("skype").Probe(t.Context()); err != nil || found != s.URL+"/api/v2/incidents.json, 1 updates" {
		t.Errorf("%q, %v", found, err)
	}
}

func TestConfig(t *testing.T) {
	names := func(c Config) (string, error) {
		list, err := c.Sources(source.Deps{Catalog: services})
		var b []string
		for _, s := range list {
			ids := []string{}
			for _, x := range s.(*page).services {
				ids = append(ids, x.ID)
			}
			b = append(b, s.Name()+" of "+strings.Join(ids, "+"))
		}
		return strings.Join(b, ", "), err
	}
	c := DefaultConfig()
	if got, err := names(c); got != "" || err != nil {
		t.Errorf("not enabled: %q, %v", got, err)
	}
	c.Enabled = true
	if got, err := names(c); got != "statuspage/status.example.com of jira+trello, statuspage/status.example.com/skype of skype" || err != nil {
		t.Errorf("all: %q, %v", got, err)
	}
	c.Services, c.Pages = []string{"trello"}, map[string]string{"mute": "http://127.0.0.1:1/feed.xml"}
	if got, err := names(c); got != "statuspage/127.0.0.1:1/feed.xml of mute, statuspage/status.example.com of trello" || err != nil {
		t.Errorf("some: %q, %v", got, err)
	}
	c.Services, c.Pages = []string{"mute", "nobody"}, map[string]string{"nowhere": "http://x"}
	if _, err := names(c); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("faults are %v", err)
	}
	c = Config{Pages: map[string]string{"a": "ftp://x", "b": "::"}}
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("faults are %v", err)
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{fmt.Sprintf("{"+page0+"}", "x"), summary, incidents(incident("resolved", said("u", "resolved", "x", 0))), fmt.Sprintf(atom, "x", "y", "<b>"),
		`<rss><channel><item><title>x</title></item></channel></rss>`, "[]", "\xef\xbb\xbf{}"} {
		f.Add([]byte(s))
	}
	p := newPage(Config{}, "https://status.example.com", []catalog.Service{services.Services[1]})
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := decode(raw)
		if err != nil {
			return
		}
		p.told, p.loaded, p.at = map[string]uint64{}, true, position{}
		now := time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)
		if err := p.tell([]document{d}, now, func(e source.Event) error {
			if e.Kind != source.Upsert {
				t.Errorf("%q gave %+v", raw, e.Fault)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}
