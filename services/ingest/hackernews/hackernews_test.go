package hackernews

import (
	"bytes"
	"compress/gzip"
	"context"
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
	"outcry.dev/services/ingest/rounds"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server holds items that a test can change.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]string
	asked   []string // items, in the order of requests
	code    int
	header  string
}

func newServer(t *testing.T) *server {
	s := &server{answers: map[string]string{"maxitem": "100", "updates": `{"items":[],"profiles":[]}`}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Header.Get("User-Agent") != polite.UserAgent {
			t.Errorf("User-Agent is %q", r.Header.Get("User-Agent"))
		}
		if s.code != 0 {
			w.Header().Set("Retry-After", s.header)
			w.WriteHeader(s.code)
			return
		}
		if id, ok := strings.CutPrefix(r.URL.Path, "/v0/item/"); ok {
			s.asked = append(s.asked, strings.TrimSuffix(id, ".json"))
		}
		answer, ok := s.answers[strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v0/"), ".json")]
		if !ok {
			answer = "null"
		}
		if answer == "bomb" {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(bytes.Repeat([]byte("1"), 16<<20))
			_ = z.Close()
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) set(pairs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i < len(pairs); i += 2 {
		s.answers[pairs[i]] = pairs[i+1]
	}
}

func (s *server) source() *Source {
	c := DefaultConfig()
	c.Enabled, c.URL = true, s.URL
	list, _ := c.Sources(source.Deps{})
	src := list[0].(*Source)
	src.cfg.Interval = time.Millisecond
	return src
}

func comment(id int, text string) string {
	return fmt.Sprintf(`{"id":%d,"type":"comment","by":"ann","time":%d,"text":%q,"parent":7}`, id, time.Now().Unix(), text)
}

type listening struct {
	t      *testing.T
	events chan source.Event
	failed chan error
	status *source.Status
}

func listen(t *testing.T, src *Source, cursor string) *listening {
	ctx, cancel := context.WithCancel(t.Context())
	l := &listening{t: t, events: make(chan source.Event, 10), failed: make(chan error, 1), status: new(source.Status)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.failed <- src.Run(ctx, &source.Session{Cursor: cursor, Status: l.status, Emit: func(e source.Event) error {
			select {
			case l.events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

func (l *listening) expect(want ...string) {
	l.t.Helper()
	var got []string
	deadline := time.After(90 * time.Second)
	for len(got) < len(want) {
		select {
		case e := <-l.events:
			switch e.Kind {
			case source.Upsert:
				edit := ""
				if e.Revision > 0 {
					edit = " (edit)"
				}
				got = append(got, e.Post.ID+" "+e.Post.Text+edit+" "+e.Cursor)
			case source.Delete:
				got = append(got, "delete "+e.Post.ID)
			case source.Unreadable:
				got = append(got, "unreadable")
			}
		case err := <-l.failed:
			l.t.Fatalf("the run ended with %v after %q", err, got)
		case <-deadline:
			l.t.Fatalf("only %q came", got)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Fatalf("-want +got\n%s", diff)
	}
}

// mark waits until everything there was has been looked at.
func (l *listening) mark() {
	for n := 0; n < 2; {
		if e := <-l.events; e.Kind == source.Mark {
			n++
		}
	}
}

// From now on: what is new, edited and deleted, in order, each once; what is null is waited for.
func TestItems(t *testing.T) {
	s := newServer(t)
	l := listen(t, s.source(), "")
	l.mark()
	s.set("item/101", comment(101, "Skype is &lt;down&gt;<p>again"), "item/103", `{"id":103,"type":"story","by":"bob","time":1,"title":"Netflix is down","url":"https://x"}`,
		"item/104", `{"id":104,"deleted":true}`, "item/105", `{"id":"x"}`, "item/106", comment(106, "fine"), "maxitem", "106")
	l.expect("101 Skype is <down>\n\nagain 101")
	s.set("item/102", comment(102, "late"))
	l.expect("102 late 102", "103 Netflix is down 103", "unreadable", "106 fine 106")
	s.set("updates", `{"items":[101,102,103,3,104]}`, "item/101", comment(101, "never mind"), "item/102", `{"id":102,"deleted":true}`, "item/103", `{"id":103,"dead":true}`, "item/3", `{"id":3,"deleted":true}`)
	l.expect("101 never mind (edit) 106", "delete 102", "delete 103", "delete 3")
	l.mark()
	s.set("item/102", comment(102, "back again"))
	l.mark()
}

// After a restart it goes on where it was; a gap that is too long is told, and a cursor from the future means live.
func TestResume(t *testing.T) {
	s := newServer(t)
	for i := 1; i <= 100; i++ {
		s.set(fmt.Sprint("item/", i), comment(i, "hello"))
	}
	l := listen(t, s.source(), "97")
	l.expect("98 hello 98", "99 hello 99", "100 hello 100")
	src := s.source()
	src.cfg.CatchUp = 2
	l = listen(t, src, "5")
	l.expect("99 hello 99", "100 hello 100")
	if n := l.status.Snapshot(time.Now()).Gaps; n != 1 {
		t.Errorf("%d gaps", n)
	}
	l = listen(t, s.source(), "999999")
	l.mark()
	s.set("maxitem", "101", "item/101", comment(101, "new"))
	l.expect("101 new 101")
}

// What is stored is asked for after a restart, whoever heard it, and what is gone is withdrawn, once. A restart goes on in the middle of a round, and then begins another. Names that
// are not of Hacker News are nobody's business, and nothing is withdrawn that it does not know.
func TestStoredItemsAreAskedFor(t *testing.T) {
	s := newServer(t)
	s.set("item/11", `{"id":11,"deleted":true}`, "item/12", comment(12, "fine"), "item/13", `{"id":13,"dead":true}`, "item/9", `{"id":9,"deleted":true}`)
	var stored []string
	for id := 10; id < 30; id++ {
		stored = append(stored, fmt.Sprint(id))
	}
	stored = append(stored, "forum-9", "t3_9")
	src := s.source()
	held := func(_ context.Context, network, after string, most int) ([]string, error) {
		if network != "hackernews" {
			return nil, errors.New("another network's")
		}
		i, found := slices.BinarySearch(stored, after)
		if found {
			i++
		}
		return stored[i:min(len(stored), i+most)], nil
	}
	src.stored = rounds.New("hackernews", time.Hour, held)
	var told, cursors []string
	session := &source.Session{Emit: func(e source.Event) error {
		told, cursors = append(told, e.Post.ID), append(cursors, e.Cursor)
		return nil
	}}
	turn := func() {
		t.Helper()
		if err := src.recheck(t.Context(), 100, session); err != nil {
			t.Fatal(err)
		}
	}
	turn()
	if diff := cmp.Diff([]string{"11", "13"}, told); diff != "" || len(s.asked) != 8 || cursors[0] != "100" || src.cursor(100) != "100 17" {
		t.Errorf("asked for %q, cursor %q\n%s", s.asked, src.cursor(100), diff)
	}
	for range 3 {
		turn()
	}
	if len(s.asked) != 20 || src.cursor(100) != "100" {
		t.Errorf("asked for %q, cursor %q", s.asked, src.cursor(100))
	}
	turn()
	if len(s.asked) != 20 {
		t.Error("a round too early")
	}

	other := s.source() // after a restart in the middle of a round
	other.stored = rounds.New("hackernews", time.Hour, held)
	s.set("item/18", `{"id":18,"deleted":true}`)
	l := listen(t, other, "100 17")
	l.expect("delete 18")
	l.mark()
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.asked[20:], "17"); i >= 0 && i < slices.Index(s.asked[20:], "29") || !slices.Contains(s.asked[20:], "29") {
		t.Errorf("asked for %q", s.asked[20:])
	}
}

func TestMisbehaviour(t *testing.T) {
	for _, tt := range []struct {
		name, answer, header, want string
		code                       int
		least, most                time.Duration // of the first wait; most 0 is any
	}{
		{"429 with a header", "", "600", "429", 429, 10 * time.Minute, 0},
		{"429 with a header that says soon", "", "3", "429", 429, 3 * time.Second, 3750 * time.Millisecond},
		{"503 with a header that says soon", "", "1", "503", 503, time.Second, 1250 * time.Millisecond},
		{"503", "", "", "503", 503, 5 * time.Second, 0},
		{"rubbish", "rubbish", "", "not what was expected", 0, 0, 0},
		{"nothing", "null", "", "newest item is 0", 0, 0, 0},
		{"429 without a header", "", "", "429", 429, time.Minute, 0},
		{"half an answer", `{"ite`, "", "not what was expected", 0, 0, 0},
		{"a compressed bomb", "bomb", "", "more than", 0, 0, 0},
		{"gigantic", strings.Repeat("1", maxItem+1), "", "more than", 0, 0, 0},
	} {
		s := newServer(t)
		s.set("maxitem", tt.answer)
		s.code, s.header = tt.code, tt.header
		err := s.source().Run(t.Context(), &source.Session{Emit: func(source.Event) error { return nil }})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", tt.name, err)
		} else if wait := polite.NewBackoff(polite.DefaultRules()).Next(err, 0); wait < tt.least || tt.most > 0 && wait > tt.most {
			t.Errorf("%s: the next try comes after %s", tt.name, wait)
		}
	}
}

func TestEmitsErrorAndProbe(t *testing.T) {
	s := newServer(t)
	boom := errors.New("boom")
	if err := s.source().Run(t.Context(), &source.Session{Emit: func(source.Event) error { return boom }}); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if found, err := s.source().Probe(t.Context()); err != nil || found != "newest item 100" {
		t.Errorf("%q, %v", found, err)
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{CatchUp: -1}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("%v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(comment(1, "x")))
	f.Add([]byte(`{"id":1,"deleted":true}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, err := decode(raw)
		s := (&server{Server: &httptest.Server{}}).source()
		_ = s.tell(i, err, raw, 1, true, &source.Session{Emit: func(e source.Event) error {
			if e.Kind == source.Upsert && e.Post.Validate() != nil {
				t.Errorf("%q gave %+v", raw, e)
			}
			return nil
		}})
	})
}
