package jetstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"outcry.dev/services/ingest/floodtest"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a Jetstream server that does on its n-th connection what the n-th of its acts says, and refuses what real ones refuse.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	acts    []func(w http.ResponseWriter, r *http.Request)
	queries []url.Values
}

func serve(t *testing.T, acts ...func(w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	s := &server{acts: acts}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		n := len(s.queries)
		s.queries = append(s.queries, r.URL.Query())
		s.mu.Unlock()
		switch {
		case r.Header.Get("User-Agent") == "" || strings.HasPrefix(r.Header.Get("User-Agent"), "Go-http-client"):
			w.WriteHeader(http.StatusTeapot)
		case r.Header.Get("Sec-WebSocket-Extensions") != "":
			http.Error(w, "compress and permessage-deflate exclude each other", http.StatusBadRequest)
		default:
			s.acts[min(n, len(s.acts)-1)](w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// talk accepts the connection, sends text frames, and ends it with a code, 0 for without a word.
func talk(t *testing.T, code websocket.StatusCode, frames ...string) func(http.ResponseWriter, *http.Request) {
	return speak(t, code, websocket.MessageText, frames...)
}

func speak(t *testing.T, code websocket.StatusCode, kind websocket.MessageType, frames ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for _, f := range frames {
			if err := c.Write(r.Context(), kind, []byte(f)); err != nil {
				return
			}
		}
		if code != 0 {
			_ = c.Close(code, "so it is")
			return
		}
		_ = c.CloseNow()
	}
}

// a post by number, at a time.
func said(n int, at time.Time) string {
	return fmt.Sprintf(`{"did":"did:plc:ann","time_us":%d,"kind":"commit","commit":{"rev":"r%d","operation":"create","collection":"app.bsky.feed.post","rkey":"k%d","record":{"text":"post %d"}}}`,
		at.UnixMicro(), n, n, n)
}

func deleted(n int, at time.Time) string {
	return fmt.Sprintf(`{"did":"did:plc:ann","time_us":%d,"kind":"commit","commit":{"rev":"d%d","operation":"delete","collection":"app.bsky.feed.post","rkey":"k%d"}}`, at.UnixMicro(), n, n)
}

func (s *server) source(t *testing.T, change ...func(*Config)) *Source {
	t.Helper()
	cfg := DefaultConfig()
	cfg.URL = "ws" + strings.TrimPrefix(s.URL, "http") + "/subscribe"
	for _, f := range change {
		f(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	in, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// run runs a source once, and returns what it told, its last cursor and its error.
func run(t *testing.T, s *Source, cursor string) (told []string, last string, err error) {
	t.Helper()
	last = cursor
	err = s.Run(t.Context(), &source.Session{Cursor: cursor, Emit: func(e source.Event) error {
		switch e.Kind {
		case source.Upsert:
			told = append(told, e.Post.Text)
		case source.Delete:
			told = append(told, "delete "+e.Post.ID[strings.LastIndex(e.Post.ID, "/")+1:])
		case source.Unreadable:
			told = append(told, e.Fault.Reason)
		}
		if e.Cursor != "" {
			last = e.Cursor
		}
		return nil
	}})
	return told, last, err
}

// What real servers and worse ones do: each is survived, said, and costs no more than itself.
func TestMisbehaviour(t *testing.T) {
	now := time.Now()
	gigantic := strings.Repeat("x", 16<<20)
	half := func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		accept := acceptKey(r.Header.Get("Sec-WebSocket-Key"))
		fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept)
		frame := said(1, now)
		for _, whole := range []bool{true, false} {
			head := binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(frame)))
			if whole {
				_, _ = buf.Write(append(head, frame...))
			} else {
				_, _ = buf.Write(append(head, frame[:len(frame)/2]...))
			}
		}
		_ = buf.Flush()
	}
	for _, tt := range []struct {
		name string
		act  func(http.ResponseWriter, *http.Request)
		want []string
		err  string
	}{
		{"refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "invalid cursor", 400) }, nil, "the server answered 400 Bad Request: invalid cursor"},
		{"starting", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "starting", http.StatusServiceUnavailable) }, nil, "the server answered 503 Service Unavailable: starting"},
		{"200 and the end", func(http.ResponseWriter, *http.Request) {}, nil, "200 OK in place of opening a WebSocket"},
		{"hangs up at once", talk(t, 0), nil, "read: "},
		{"says why", talk(t, 1008, said(1, now)), []string{"post 1"}, "the server closed the connection with 1008 so it is"},
		{"slow readers are sent away", talk(t, 1013, said(1, now)), []string{"post 1"}, "1013"},
		{"half a frame", half, []string{"post 1"}, "read: "},
		{"rubbish", talk(t, 1000, "", "{", "<html>", `{"did":1}`, "null", said(1, now)), []string{
			"not a Jetstream event: unexpected end of JSON input", "not a Jetstream event: unexpected end of JSON input",
			"not a Jetstream event: invalid character '<' looking for beginning of value",
			"not a Jetstream event: json: cannot unmarshal number into Go struct field event.did of type string",
			"not a Jetstream event: did, time_us or kind is missing", "post 1"}, "1000"},
		{"a gigantic frame", talk(t, 1000, said(1, now), gigantic, said(2, now)), []string{"post 1", "message of more than 1048576 bytes", "post 2"}, "1000"},
		{"a delete before its post", talk(t, 1000, deleted(1, now), said(1, now)), []string{"delete k1", "post 1"}, "1000"},
		{"the same again", talk(t, 1000, said(1, now), said(1, now), deleted(1, now), deleted(1, now)), []string{"post 1", "delete k1"}, "1000"},
		{"the future", talk(t, 1000, said(1, now.Add(time.Hour)), said(2, now)), []string{
			`field "created_at" lies in the future: ` + now.Add(time.Hour).UTC().Format(time.RFC3339), "post 2"}, "1000"},
		{"binary without compression", speak(t, 1000, websocket.MessageBinary, said(1, now)), nil, "a binary frame, though compression was not asked for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, _, err := run(t, serve(t, tt.act).source(t), "")
			runtime.ReadMemStats(&after)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ended with %v, want %q", err, tt.err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 100<<20 { // the server's gigantic frame is in it
				t.Errorf("%d bytes were allocated", n)
			}
		})
	}
}

// A server that says nothing is given up; one that has nothing to say but pings is not. What it answers to too many connections is waited for.
func TestSilenceAndRefusal(t *testing.T) {
	silent := func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		<-c.CloseRead(r.Context()).Done()
	}
	idle := func(d time.Duration) func(*Config) { return func(c *Config) { c.IdleTimeout = d } }
	if _, _, err := run(t, serve(t, silent).source(t, idle(time.Second)), ""); !errors.Is(err, polite.ErrIdle) {
		t.Errorf("silence gave %v", err)
	}
	pings := func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ctx := c.CloseRead(r.Context())
		for range 16 {
			time.Sleep(250 * time.Millisecond)
			if err := c.Ping(ctx); err != nil {
				return
			}
		}
		_ = c.Write(ctx, websocket.MessageText, []byte(said(1, time.Now())))
		_ = c.Close(1000, "so it is")
	}
	if told, _, err := run(t, serve(t, pings).source(t, idle(3*time.Second)), ""); len(told) != 1 {
		t.Errorf("after pings %q came, and %v", told, err)
	}
	for header, least := range map[string]time.Duration{"": time.Minute, "600": 10 * time.Minute} {
		_, _, err := run(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		}).source(t), "")
		if wait := polite.NewBackoff(polite.DefaultRules()).Next(err, 0); err == nil || wait < least {
			t.Errorf("429 with Retry-After %q gave %v, and the next try comes after %s", header, err, wait)
		}
	}
}

// The cursor is the time of the last event, whatever else an event of version 2 calls its cursor.
func TestCursorOfVersion2(t *testing.T) {
	now := time.Now().Truncate(time.Microsecond)
	event := strings.Replace(said(1, now), `{"did"`, `{"cursor":17,"did"`, 1)
	told, last, _ := run(t, serve(t, talk(t, 1000, event)).source(t), "")
	if len(told) != 1 || last != strconv.FormatInt(now.UnixMicro(), 10) {
		t.Errorf("told %q, and the cursor is %s", told, last)
	}
}

// A server that sends slow readers away, in the middle of what it has to say, again and again: nothing is lost and nothing is told twice.
func TestSlowReaderIsSentAway(t *testing.T) {
	const posts, bound = 3000, 400
	begun := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	at := func(n int) time.Time { return begun.Add(time.Duration(n) * 20 * time.Millisecond) }
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		cursor, _ := strconv.ParseInt(r.URL.Query().Get("cursor"), 10, 64)
		sent := 0
		for n := range posts {
			if at(n).UnixMicro() < cursor {
				continue
			}
			if sent++; sent > bound+int(rewindUS/20_000) { // its buffer for this reader is full
				break
			}
			if c.Write(r.Context(), websocket.MessageText, []byte(said(n, at(n)))) != nil {
				return
			}
		}
		_ = c.Close(1008, "consumer too slow")
	})
	in := s.source(t)
	var told []string
	cursor, connections := "", 0
	for ; connections < 2*posts/bound && len(told) < posts; connections++ {
		some, last, err := run(t, in, cursor)
		var closed *polite.CloseError
		if !errors.As(err, &closed) || closed.Code != 1008 {
			t.Fatalf("sent away with %v", err)
		}
		told, cursor = append(told, some...), last
	}
	for n, text := range told {
		if text != fmt.Sprint("post ", n) {
			t.Fatalf("%q is told as number %d", text, n)
		}
	}
	if len(told) != posts || connections < posts/bound {
		t.Errorf("%d of %d posts over %d connections", len(told), posts, connections)
	}
}

// A cursor is asked for with some seconds to spare; what came again is passed over; nothing is asked for that a server could take for all, or
// for nothing, of its past.
func TestResume(t *testing.T) {
	now := time.Now().Truncate(time.Microsecond)
	at := func(s int) time.Time { return now.Add(time.Duration(s-20) * time.Second) }
	s := serve(t,
		talk(t, 1000, said(1, at(1)), said(2, at(2))),
		talk(t, 1000, said(1, at(1)), said(2, at(2)), deleted(2, at(3)), said(4, at(4))),
		talk(t, 1000))
	in := s.source(t)
	first, cursor, _ := run(t, in, "")
	second, last, _ := run(t, in, cursor)
	if diff := cmp.Diff([][]string{{"post 1", "post 2"}, {"delete k2", "post 4"}}, [][]string{first, second}); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if last != strconv.FormatInt(at(4).UnixMicro(), 10) {
		t.Errorf("the last cursor is %s", last)
	}
	for _, c := range []string{"rubbish", "-5", "17", strconv.FormatInt(now.Add(100*time.Hour).UnixMicro(), 10)} {
		_, _, _ = run(t, in, c)
	}
	var got []string
	for _, q := range s.queries {
		if q.Get("wantedCollections") != Collection || q.Has("compress") || q.Has("maxMessageSizeBytes") || q.Has("requireHello") {
			t.Errorf("asked for %v", q)
		}
		got = append(got, q.Get("cursor"))
	}
	want := []string{"", strconv.FormatInt(at(2).UnixMicro()-rewindUS, 10), "", "", ""}
	if diff := cmp.Diff(want, got[:5]); diff != "" {
		t.Errorf("cursors (-want +got)\n%s", diff)
	}
	if future, err := strconv.ParseInt(got[5], 10, 64); err != nil || future > time.Now().UnixMicro()-rewindUS || future < now.UnixMicro()-rewindUS {
		t.Errorf("a cursor from the future was asked for as %s", got[5])
	}
}

// What a server does not keep any more is said to be missing.
func TestGap(t *testing.T) {
	now := time.Now()
	var status source.Status
	in := serve(t, talk(t, 1000, said(1, now.Add(-24*time.Hour)), said(2, now))).source(t)
	_ = in.Run(t.Context(), &source.Session{Cursor: strconv.FormatInt(now.Add(-72*time.Hour).UnixMicro(), 10), Status: &status, Emit: func(source.Event) error { return nil }})
	if n := status.Snapshot(now); n.Gaps != 1 || !strings.Contains(n.LastGap, "the server keeps nothing from between") {
		t.Errorf("%d gaps: %s", n.Gaps, n.LastGap)
	}
}

// What was refused by the pipeline is not taken for known when it comes again.
func TestRefusedEventsComeAgain(t *testing.T) {
	now := time.Now()
	in := serve(t, talk(t, 1000, said(1, now))).source(t)
	refused := errors.New("somebody else's now")
	if err := in.Run(t.Context(), &source.Session{Emit: func(source.Event) error { return refused }}); !errors.Is(err, refused) {
		t.Errorf("Run returned %v", err)
	}
	if told, _, _ := run(t, in, ""); len(told) != 1 {
		t.Errorf("told %q the second time", told)
	}
}

// A hundred thousand posts at once: all arrive, and none waits in memory for a pipeline that is slow.
func TestFlood(t *testing.T) {
	frame := floodtest.Numbered(strings.NewReplacer(`"r7"`, `"r?"`, `"k7"`, `"k?"`).Replace(said(7, time.Now())))
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.CloseNow() }()
		var one []byte
		for n := range floodtest.Posts {
			if one = frame(one[:0], n); c.Write(r.Context(), websocket.MessageText, one) != nil {
				return
			}
		}
		_ = c.Close(1000, "")
	})
	floodtest.Run(t, s.source(t), "", 0)
}

// dictionary makes one of frames, as Jetstream's was made.
func dictionary(t testing.TB) (path string, pack func(string) string) {
	t.Helper()
	var contents [][]byte
	for n := range 200 {
		contents = append(contents, []byte(said(n, time.Unix(int64(1_700_000_000+n), 0))))
	}
	dict, err := zstd.BuildDict(zstd.BuildDictOptions{ID: 7, Contents: contents, History: bytes.Join(contents[:20], nil), Offsets: [3]int{1, 4, 8}})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "zstd_dictionary")
	if err := os.WriteFile(path, dict, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderDict(dict), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return path, func(s string) string { return string(w.EncodeAll([]byte(s), nil)) }
}

// Compressed frames, and among them a bomb, one of another dictionary and rubbish.
func TestCompressed(t *testing.T) {
	path, pack := dictionary(t)
	bomb := pack(strings.Repeat("x", 512<<20))
	if len(bomb) > 1<<20 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	now := time.Now()
	s := serve(t, speak(t, 1000, websocket.MessageBinary, pack(said(1, now)), bomb, "rubbish", "", pack(said(2, now)), pack("{")))
	in := s.source(t, func(c *Config) { c.Dictionary = path })
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, _, _ := run(t, in, "")
	runtime.ReadMemStats(&after)
	for i := range got {
		got[i], _, _ = strings.Cut(got[i], ":")
	}
	broken := "not a zstd frame of this dictionary within the limit"
	want := []string{"post 1", broken, broken, "not a Jetstream event", "post 2", "not a Jetstream event"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("the bomb took %d bytes", n)
	}
	if s.queries[0].Get("compress") != "true" {
		t.Errorf("asked for %v", s.queries[0])
	}
	if _, err := New(Config{Dictionary: filepath.Join(t.TempDir(), "absent")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent dictionary: %v", err)
	}
	if err := os.WriteFile(path, []byte("no dictionary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dictionary: path}); err == nil || !strings.Contains(err.Error(), "is no zstd dictionary") {
		t.Errorf("rubbish for a dictionary: %v", err)
	}
}

func TestProbe(t *testing.T) {
	if found, err := serve(t, talk(t, 1000, said(1, time.Now()))).source(t).Probe(t.Context()); err != nil || !strings.Contains(found, "first event after") {
		t.Errorf("%q, %v", found, err)
	}
	var status *polite.StatusError
	refused := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	if _, err := serve(t, refused).source(t).Probe(t.Context()); !errors.As(err, &status) {
		t.Errorf("refused with %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	silent := func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		<-c.CloseRead(r.Context()).Done()
	}
	if _, err := serve(t, silent).source(t).Probe(ctx); err == nil || !strings.Contains(err.Error(), "no event came") {
		t.Errorf("silence gave %v", err)
	}
}
