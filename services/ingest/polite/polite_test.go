package polite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// X's published rules are the strictest: no wait is below them, and jitter lengthens it by a quarter at most.
func TestBackoffFollowsTheRules(t *testing.T) {
	rules := Rules{
		Network: Rule{First: 250 * time.Millisecond, Most: 16 * time.Second, Linear: true},
		HTTP:    Rule{First: 5 * time.Second, Most: 320 * time.Second},
		Limited: Rule{First: time.Minute, Most: time.Hour},
	}
	cut, http503, http429 := io.ErrUnexpectedEOF, &StatusError{Code: 503}, fmt.Errorf("read: %w", &StatusError{Code: 429})
	for _, tt := range []struct {
		name string
		err  error
		want []time.Duration // of failures one after another
	}{
		{"network", cut, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second}},
		{"http", http503, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 320 * time.Second}},
		{"limited", http429, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}},
		{"the server asks for more", &StatusError{Code: 503, RetryAfter: 7 * time.Second}, []time.Duration{7 * time.Second, 7 * time.Second}},
		{"the server asks for less", &StatusError{Code: 429, RetryAfter: 7 * time.Second}, []time.Duration{7 * time.Second, 7 * time.Second, 7 * time.Second}},
		{"the server asks for hardly anything", &StatusError{Code: 503, RetryAfter: time.Millisecond}, []time.Duration{Shortest, Shortest}},
		{"the connector asks for more", &WaitError{Wait: 20 * time.Second, Err: cut}, []time.Duration{20 * time.Second, 20 * time.Second}},
		{"nobody waits longer than", &WaitError{Wait: 240 * time.Hour, Err: cut}, []time.Duration{Longest}},
	} {
		for range 50 {
			b := NewBackoff(rules)
			for i, want := range tt.want {
				if got := b.Next(tt.err, 0); got < want || got > want+want/4 {
					t.Fatalf("%s: wait %d is %s, want %s and at most a quarter more", tt.name, i, got, want)
				}
			}
		}
	}
	b := NewBackoff(rules)
	for range 3 {
		b.Next(&StatusError{Code: 429, RetryAfter: time.Second}, 0)
	}
	if got := b.Next(http429, 0); got < 8*time.Minute {
		t.Errorf("failures after which the server asked for little do not count where it asks for nothing: %s", got)
	}
	for range 1000 {
		if got := b.Next(cut, 0); got > 20*time.Second {
			t.Fatalf("network: %s", got)
		}
	}
	if got := b.Next(cut, Steady-1); got < 16*time.Second {
		t.Errorf("a connection that held for less than %s began the waits anew: %s", Steady, got)
	}
	if got := b.Next(cut, Steady); got > 320*time.Millisecond {
		t.Errorf("a connection that held for %s did not begin the waits anew: %s", Steady, got)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		header string
		want   time.Duration
	}{
		{"Retry-After: 120", 2 * time.Minute},
		{"Retry-After: Sun, 01 Mar 2026 12:01:00 GMT", time.Minute},
		{"Retry-After: -5", 0},
		{"Retry-After: NaN", 0},
		{"Retry-After: soon", 0},
		{"Retry-After: 99999999", Longest},
		{"Retry-After: Sun, 01 Mar 2026 11:00:00 GMT", 0},
		{"X-Ratelimit-Remaining: 0.0\nX-Ratelimit-Reset: 34", 34 * time.Second},
		{"X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 2026-03-01T12:05:00Z", 5 * time.Minute},
		{"X-Rate-Limit-Remaining: 0\nX-Rate-Limit-Reset: 1772366430", 30 * time.Second},
		{"X-RateLimit-Remaining: 5\nX-RateLimit-Reset: 2026-03-01T12:05:00Z", 0},
		{"", 0},
	} {
		h := http.Header{}
		for line := range strings.Lines(tt.header) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			h.Set(key, value)
		}
		if got := RetryAfter(h, now); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.header, got, tt.want)
		}
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	l := NewLines(strings.NewReader("a\r\n\r\n"+long+"\nb\n"+long+long+"\nhalf"), 100_000)
	var got []string
	for {
		line, err := l.Next()
		var tooLong *LongLineError
		if errors.As(err, &tooLong) {
			got = append(got, fmt.Sprintf("too long: %.3s", tooLong.Begin))
			continue
		}
		if err != nil {
			got = append(got, err.Error())
			break
		}
		got = append(got, string(line))
	}
	want := []string{"a", "", "too long: xxx", "b", "too long: xxx", "unexpected EOF"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := NewLines(strings.NewReader("a\n"), 10).Next(); err != nil {
		t.Error(err)
	}
}

func TestSilenceEndsABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		body := Body(r, time.Minute)
		go func() {
			for range 3 {
				time.Sleep(59 * time.Second)
				_, _ = w.Write([]byte("x"))
			}
		}()
		begun := time.Now()
		buf := make([]byte, 1)
		for range 3 {
			if _, err := body.Read(buf); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute) // a reader who is busy is no silence
		}
		if _, err := body.Read(buf); !errors.Is(err, ErrIdle) {
			t.Errorf("silence gave %v", err)
		}
		if waited := time.Since(begun); waited < 30*time.Minute+time.Minute {
			t.Errorf("ended after %s", waited)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	})
}

// serve answers WebSocket handshakes with what f does.
func serve(t *testing.T, f func(ctx context.Context, c *websocket.Conn)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != UserAgent {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		if strings.Contains(r.Header.Get("Sec-WebSocket-Extensions"), "deflate") {
			http.Error(w, "no deflate here", http.StatusBadRequest)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.CloseNow() }()
		f(r.Context(), c)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return server.URL
}

func TestWebSocketReadsPastGiganticFrames(t *testing.T) {
	gigantic := bytes.Repeat([]byte("x"), 4<<20)
	url := serve(t, func(ctx context.Context, c *websocket.Conn) {
		for _, m := range [][]byte{[]byte("one"), gigantic, []byte("two"), make([]byte, 1000), gigantic[:1001]} {
			if err := c.Write(ctx, websocket.MessageText, m); err != nil {
				t.Error(err)
			}
		}
		_ = c.Close(1008, "enough\nof that")
	})
	w, err := Dial(t.Context(), url, Options{Idle: time.Minute, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var got []string
	for {
		m, _, err := w.Read()
		var tooLong *LongFrameError
		switch {
		case errors.As(err, &tooLong):
			got = append(got, fmt.Sprintf("too long: %.3s", tooLong.Begin))
			continue
		case err == nil:
			got = append(got, fmt.Sprint(len(m)))
			continue
		}
		got = append(got, err.Error())
		break
	}
	want := "3|too long: xxx|3|1000|too long: xxx|the server closed the connection with 1008 enough of that"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("%s, want %s", s, want)
	}
}

// Pings are a sign of life, and their absence ends the connection.
func TestSilenceEndsAWebSocket(t *testing.T) {
	const idle = 2 * time.Second // far more than between pings: the machine may be busy
	pings := make(chan struct{})
	url := serve(t, func(ctx context.Context, c *websocket.Conn) {
		ctx = c.CloseRead(ctx)
		for range 12 {
			time.Sleep(idle / 8)
			if err := c.Ping(ctx); err != nil {
				t.Errorf("the connection ended during pings: %v", err)
			}
		}
		close(pings)
		<-ctx.Done()
	})
	w, err := Dial(t.Context(), url, Options{Idle: idle, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, _, err = w.Read()
	if !errors.Is(err, ErrIdle) {
		t.Errorf("silence gave %v", err)
	}
	<-pings
}

func TestWebSocketRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "starting\x00", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	_, err := Dial(t.Context(), server.URL, Options{Idle: time.Minute, Limit: 1000})
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 503 || status.RetryAfter != 30*time.Second || status.Text != "starting" {
		t.Errorf("refused with %v", err)
	}
	server.Close()
	if _, err := Dial(t.Context(), server.URL, Options{Idle: time.Minute, Limit: 1000}); err == nil || errors.As(err, &status) && false {
		t.Error("connected to nobody")
	}
}

func TestGetJSON(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("User-Agent") != UserAgent:
			w.WriteHeader(http.StatusTeapot)
		case r.URL.Path == "/large":
			_, _ = w.Write(bytes.Repeat([]byte(" "), 2000))
		case r.URL.Path == "/html":
			_, _ = w.Write([]byte("<html>"))
		case r.URL.Path == "/slow":
			<-r.Context().Done()
		default:
			w.Header().Set("X-Page", "2")
			_, _ = w.Write([]byte(`{"a":1}`))
		}
	}))
	defer server.Close()
	client := Client()
	defer client.CloseIdleConnections()
	get := func(path string, timeout time.Duration) (map[string]int, http.Header, error) {
		var v map[string]int
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		h, err := GetJSON(t.Context(), client, req, timeout, 1000, &v)
		return v, h, err
	}
	if v, h, err := get("/", time.Minute); err != nil || v["a"] != 1 || h.Get("X-Page") != "2" {
		t.Errorf("%v %v %v", v, h, err)
	}
	for path, want := range map[string]string{"/large": "the answer has more than 1000 bytes", "/html": "the answer is not what was expected"} {
		if _, _, err := get(path, time.Minute); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, _, err := get("/slow", 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("/slow: %v", err)
	}
}
