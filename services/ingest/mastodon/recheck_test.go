package mastodon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/services/ingest/source"
)

// quickly takes the pauses between requests away.
func quickly(t *testing.T) {
	before := between
	between = time.Millisecond
	t.Cleanup(func() { between = before })
}

// has makes a server that has posts of its own, 1 to 300 but for some, gives several a request or not, and says so as Mastodon does.
func (s *server) has(several bool, gone ...int) {
	there := func(id string) bool {
		n, err := strconv.Atoi(id)
		return err == nil && n >= 1 && n <= 300 && !slices.Contains(gone, n)
	}
	s.posts = []string{toot("300", s.own(300), "the newest")}
	s.statuses = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		ids := r.URL.Query()["id[]"]
		id, single := strings.CutPrefix(r.URL.Path, "/api/v1/statuses/")
		switch {
		case single && there(id):
			fmt.Fprint(w, toot(id, "u", "there"))
		case single, !several, len(ids) > 20:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"Record not found"}`)
		default:
			list := []string{}
			for _, id := range ids {
				if there(id) {
					list = append(list, toot(id, "u", "there"))
				}
			}
			fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
		}
	}
}

func (s *server) own(id int) string { return fmt.Sprintf("%s/users/ann/statuses/%d", s.URL, id) }

func (s *server) requests(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if strings.HasPrefix(a, prefix) {
			n++
		}
	}
	return n
}

// What was deleted while nobody listened is found among what is stored, by one stream of each server, and only what is the server's own is asked for.
func TestStoredPostsAreAskedFor(t *testing.T) {
	quickly(t)
	for _, several := range []bool{true, false} {
		t.Run(fmt.Sprint("several a request: ", several), func(t *testing.T) {
			s := newServer(t)
			s.has(several, 7, 130, 299)
			var stored []string
			for id := 1; id <= 300; id++ {
				stored = append(stored, s.own(id))
			}
			stored = append(stored, s.own(130)+"/activity", "https://elsewhere.example/users/bob/statuses/9999", s.URL+"/objects/9999", "9999")
			slices.Sort(stored)
			held := func(_ context.Context, network, after string, most int) ([]string, error) {
				if network != SourceName {
					t.Errorf("asked for posts of %q", network)
				}
				i, found := slices.BinarySearch(stored, after)
				if found {
					i++
				}
				return stored[i:min(len(stored), i+most)], nil
			}
			c := s.configured()
			c.Streams = []string{"public:local", "hashtag:skype"}
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			started := func(cursor string) *listening {
				list, err := c.Sources(source.Deps{Held: held})
				if err != nil {
					t.Fatal(err)
				}
				if len(list) != 2 || list[0].(*timeline).stored == nil || list[1].(*timeline).stored != nil {
					t.Fatal("not one stream of the server asks for what is stored")
				}
				return listen(t, list[0], cursor)
			}
			told := func(l *listening, until string) (deletes, cursors []string) {
				for {
					select {
					case e := <-l.events:
						var at position
						if err := json.Unmarshal([]byte(e.Cursor), &at); err != nil {
							t.Fatal(err)
						}
						cursors = append(cursors, at.Checked)
						if e.Kind == source.Delete {
							deletes = append(deletes, e.Post.ID)
						}
						if e.Kind == source.Mark && at.Checked == until {
							return deletes, cursors
						}
					case err := <-l.failed:
						t.Fatal(err)
					case <-time.After(90 * time.Second):
						t.Fatalf("the round does not come to %q; %q, %q", until, deletes, cursors)
					}
				}
			}
			l := started("")
			deletes, _ := told(l, "")
			l.stop()
			_ = l.end()
			want := []string{s.own(7), s.own(130), s.own(130) + "/activity", s.own(299)}
			slices.Sort(deletes)
			slices.Sort(want)
			if diff := cmp.Diff(want, deletes); diff != "" {
				t.Errorf("withdrawn (-want +got)\n%s", diff)
			}
			if n := s.requests("/api/v1/statuses/9999"); n != 0 {
				t.Error("a post of another server was asked for")
			}
			if n := s.requests("/api/v1/statuses?"); several && n > 20 || !several && n != 1 {
				t.Errorf("%d requests for several posts", n)
			}

			// After a restart in the middle of a round, that goes on.
			l = started(fmt.Sprintf(`{"id":"","checked":%q}`, s.own(20)))
			deletes, _ = told(l, "")
			if !slices.Contains(deletes, s.own(299)) || slices.Contains(deletes, s.own(130)) {
				t.Errorf("after a restart behind %s, %q were withdrawn", s.own(20), deletes)
			}
		})
	}
}

// Whatever else a server answers, it is no word that a post is gone.
func TestWhatIsNotGone(t *testing.T) {
	quickly(t)
	code := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, text)
		}
	}
	const missing = `{"error":"Record not found"}`
	for _, tt := range []struct {
		name   string
		change func(s *server)
		fails  bool
	}{
		{"401", func(s *server) { s.statuses = code(401, `{"error":"This method requires an authenticated user"}`) }, true},
		{"403", func(s *server) { s.statuses = code(403, `{"error":"This action is not allowed"}`) }, true},
		{"500", func(s *server) { s.statuses = code(500, "") }, true},
		{"503", func(s *server) { s.statuses = code(503, missing) }, true},
		{"429", func(s *server) { s.statuses = code(429, missing) }, true},
		{"a login in place of what there is", func(s *server) { s.statuses = code(200, "<html>") }, true},
		{"404 for everything", func(s *server) { s.statuses = code(404, missing) }, true},
		{"404 as a page", func(s *server) { s.statuses = code(404, "<html>") }, true},
		{"410 for everything", func(s *server) { s.statuses = code(410, missing) }, true},
		{"404, and a timeline that is closed", func(s *server) { s.has(true, 7); s.answer = code(401, "") }, true},
		{"404, and a timeline of others", func(s *server) {
			s.has(true, 7)
			s.posts = []string{toot("300", "https://elsewhere.example/users/bob/statuses/300", "x")}
		}, true},
		{"nothing where several are asked for", func(s *server) {
			s.has(true)
			one := s.statuses
			s.statuses = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/v1/statuses" {
					fmt.Fprint(w, "[]")
					return
				}
				one(w, r)
			}
		}, false},
		{"a page in place of one", func(s *server) {
			s.has(false, 7)
			one := s.statuses
			s.statuses = func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/7") {
					w.WriteHeader(http.StatusNotFound)
					fmt.Fprint(w, "<html>")
					return
				}
				one(w, r)
			}
		}, false},
		{"one that it cannot give", func(s *server) {
			s.has(false)
			one := s.statuses
			s.statuses = func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/7") {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				one(w, r)
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			tt.change(s)
			p := &polled{instance: newInstance(s.URL, s.host(), token)}
			var uris []string
			for id := range 10 {
				uris = append(uris, s.own(id+1))
			}
			gone, err := p.goneOf(t.Context(), uris)
			if (err != nil) != tt.fails || err == nil && len(gone) > 0 {
				t.Errorf("gone %q, %v", gone, err)
			}
			if n := s.requests("/api/v1/"); n > 25 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The last hundred requests of a period are not taken.
func TestPause(t *testing.T) {
	now := time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		left string
		want time.Duration
	}{{"250", 0}, {"100", 0}, {"99", 2 * time.Minute}, {"0", 2 * time.Minute}, {"", 0}} {
		h := http.Header{}
		h.Set("X-RateLimit-Remaining", tt.left)
		h.Set("X-RateLimit-Reset", "2026-11-25T04:02:00.123456Z")
		if got := pause(h, now).Truncate(time.Second); got != tt.want {
			t.Errorf("%q left: %s, want %s", tt.left, got, tt.want)
		}
	}
}
