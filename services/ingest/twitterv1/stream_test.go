package twitterv1

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"outcry.dev/services/ingest/floodtest"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a-secret-that-nobody-may-see"

// stream runs a source against a server that answers so, to its end.
func stream(t *testing.T, change func(*Config), answer http.HandlerFunc) (got string, requests int64, status source.Snapshot, err error) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		if r.Header.Get("User-Agent") != polite.UserAgent {
			t.Errorf("User-Agent is %q", r.Header.Get("User-Agent"))
		}
		answer(w, r)
	}))
	defer server.Close()
	c := DefaultConfig()
	c.URL, c.Track = server.URL+"/base", []string{"skype", "sign in"}
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	list, err := c.Sources(source.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	var all []source.Event
	st := new(source.Status)
	err = list[0].Run(t.Context(), &source.Session{Status: st, Emit: func(e source.Event) error { all = append(all, e); return nil }})
	if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the run ended with %v", err)
	}
	return told(all), n.Load(), st.Snapshot(time.Now()), err
}

func say(s ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Join(s, "")) }
}

func one(id string) string {
	return `{"id":` + id + `,"id_str":"` + id + `","created_at":"Wed Dec 22 16:20:59 +0000 2010","text":"skype is down","retweet_count":0,` + user + `}`
}

// Whatever ends the lines, each message is heard once, in order; what is no post does no harm.
func TestStreamLineEndings(t *testing.T) {
	never := fmt.Sprint(time.Time{}.UnixMilli())
	for _, end := range []string{"\r\n", "\n"} {
		pretty := strings.Replace(one("2"), `,"text"`, ",\n \"text\"", 1)
		without := strings.Replace(one("3"), `"retweet_count":0,`, "", 1)
		got, n, status, err := stream(t, nil, say(one("1"), end, end, pretty, end, without, end, `{"delete":{"status":{"id":1,"id_str":"1"}}}`, end, `{"delete":{}}`, end,
			`{"limit":{"track":5}}`, end, "rubbish", end, `{"broken":`, end, one("4"), end, `{"text":"`, strings.Repeat("x", maxMessage), `"}`, end, one("5"), end, one("6")))
		var kept []string
		for l := range strings.Lines(got) {
			if strings.Contains(l, ": ") {
				l = "unreadable"
			}
			kept = append(kept, strings.TrimSpace(l))
		}
		want := "post 1,post 2,post 3,delete twitter 1 " + never + ",unreadable,unreadable,unreadable,post 4,unreadable,post 5"
		if s := strings.Join(kept, ","); s != want || n != 1 || status.Gaps != 1 || !strings.Contains(err.Error(), "ended the stream") {
			t.Errorf("%q: %d requests, %d gaps, %v\n got %s\nwant %s", end, n, status.Gaps, err, s, want)
		}
	}
}

// The request goes to the configured server below its path, signed.
func TestStreamRequest(t *testing.T) {
	var path, query, signed string
	_, _, _, _ = stream(t, func(c *Config) {
		c.ConsumerKey, c.ConsumerSecret, c.AccessToken, c.AccessSecret = "ck", secret, "at", secret
	}, func(_ http.ResponseWriter, r *http.Request) {
		path, query, signed = r.Method+" "+r.URL.Path, r.URL.Query().Get("track"), r.Header.Get("Authorization")
	})
	if path != "POST /base/1.1/statuses/filter.json" || query != "skype,sign in" || !strings.HasPrefix(signed, "OAuth ") || strings.Contains(signed, secret) {
		t.Errorf("%s, %q, %s", path, query, signed)
	}
}

// Whatever the server does: one request a run, an error that says what happened, and a wait by the rules.
func TestStreamMisbehaviour(t *testing.T) {
	code := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
		}
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
		least  time.Duration
	}{
		{"200 and the end", say(), "ended the stream", 250 * time.Millisecond},
		{"a body that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"id":1`)
		}, "ended the stream", 250 * time.Millisecond},
		{"401", code(401), "ingest.twitterv1.consumer_key", 5 * time.Second},
		{"410", code(410), "410", 5 * time.Second},
		{"500", code(500), "500", 5 * time.Second},
		{"503", code(503), "503", 5 * time.Second},
		{"204", code(204), "204", 250 * time.Millisecond},
		{"420", code(420), "420", time.Minute},
		{"429", code(429), "429", time.Minute},
		{"429 with a header", code(429, "Retry-After", "600"), "429", 10 * time.Minute},
		{"silence", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "nothing came", 250 * time.Millisecond},
		{"a disconnect", say(`{"disconnect":{"code":7,"reason":"admin logout"}}`, "\r\n"), "admin logout", 250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, n, _, err := stream(t, func(c *Config) {
				if tt.name == "silence" {
					c.IdleTimeout = time.Second
				}
			}, tt.answer)
			if err == nil || !strings.Contains(err.Error(), tt.want) || n != 1 || got != "" {
				t.Fatalf("%d requests, %v, %s", n, err, got)
			}
			if wait := polite.NewBackoff((&Stream{}).Rules()).Next(err, 0); wait < tt.least {
				t.Errorf("the next try comes after %s", wait)
			}
		})
	}
}

// A stream that unpacks to far more than was sent costs no more than a message may have, and what comes after the bomb is heard.
func TestStreamBomb(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, one("1")+"\r\n")
	for range 16 {
		_, _ = z.Write(bytes.Repeat([]byte("x"), 1<<20))
	}
	_, _ = io.WriteString(z, "\r\n"+one("2")+"\r\n")
	_ = z.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, _, _, _ := stream(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	runtime.ReadMemStats(&after)
	if !strings.HasPrefix(got, "post 1\n") || !strings.HasSuffix(got, "post 2\n") || !strings.Contains(got, "message of more than") {
		t.Errorf("%s", got)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 12<<20 { // it unpacks to 16 MB

		t.Errorf("a bomb of %d bytes took %d", packed.Len(), n)
	}
}

// A flood is taken whole, at the pipeline's pace.
func TestStreamFlood(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = floodtest.Say(w, floodtest.Numbered(one("?")+"\n")) }))
	defer server.Close()
	c := DefaultConfig()
	c.URL, c.Mode = server.URL, "sample"
	list, err := c.Sources(source.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	floodtest.Run(t, list[0], "", 0)
}

// The pipeline's error ends the connection and is returned as it is; nothing is left running.
func TestStreamEmitsError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 100 {
			fmt.Fprint(w, one(fmt.Sprint(i+1)), "\n")
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	c := DefaultConfig()
	c.URL, c.Mode = server.URL, "sample"
	list, err := c.Sources(source.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	if err := list[0].Run(t.Context(), &source.Session{Emit: func(source.Event) error { return boom }}); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if found, err := list[0].(source.Prober).Probe(t.Context()); err != nil || !strings.HasPrefix(found, "streaming at ") {
		t.Errorf("%q, %v", found, err)
	}
}

func TestStreamConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	c := Config{URL: "x", Mode: "all", Track: make([]string, 401), ConsumerKey: secret}
	c.Track[0] = "fine"
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), secret) || strings.Count(err.Error(), "\n") != 4+400 {
		t.Errorf("%v", err)
	}
	if list, err := DefaultConfig().Sources(source.Deps{}); len(list) != 0 || err != nil {
		t.Error(list, err)
	}
}
