package polite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// UserAgent is on every request and handshake: some servers refuse those without.
const UserAgent = "outcry (outage detector; +https://outcry.dev)"

// Client returns a client that names itself and does not wait for ever for a connection or an answer. What follows the header has no limit
// of time: see [Body] and [GetJSON].
func Client() *http.Client {
	return &http.Client{Transport: Transport(nil)}
}

// Transport puts the User-Agent on every request. A nil base is one with limits of time on everything up to the answer's header.
func Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    15 * time.Second,
			ResponseHeaderTimeout:  30 * time.Second,
			ExpectContinueTimeout:  time.Second,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    4,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", UserAgent)
		return base.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// StatusError is an answer that is no success.
type StatusError struct {
	Code int
	// Text is the beginning of what the server wrote.
	Text string
	// RetryAfter is what the server asked for, 0 where it did not.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("the server answered %d %s", e.Code, http.StatusText(e.Code))
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Check returns a *StatusError unless the answer is a success (2xx); it then closes the body.
func Check(resp *http.Response, now time.Time) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	return &StatusError{Code: resp.StatusCode, Text: Line(string(text)), RetryAfter: RetryAfter(resp.Header, now)}
}

// Line makes one printable line of what a server wrote, at most 300 bytes.
func Line(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + " …"
	}
	return s
}

// RetryAfter returns what the header asks for: Retry-After in seconds or as a date, or, where nothing is left of a rate limit
// (X-RateLimit-Remaining: 0), the rest until X-RateLimit-Reset in seconds, seconds since 1970 or RFC 3339. 0 where it asks for nothing.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if v := h.Get("Retry-After"); v != "" {
		if d := until(v, now); d > 0 {
			return d
		}
	}
	for _, prefix := range []string{"X-RateLimit-", "X-Rate-Limit-"} {
		remaining, err := strconv.ParseFloat(h.Get(prefix+"Remaining"), 64)
		if err == nil && remaining < 1 {
			return until(h.Get(prefix+"Reset"), now)
		}
	}
	return 0
}

// until reads seconds, seconds since 1970, an HTTP date or RFC 3339. The result is from 0 to Longest.
func until(v string, now time.Time) time.Duration {
	d := time.Duration(0)
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		switch {
		case !(n > 0):
		case n > 1e9: // no server means thirty years
			d = time.Unix(int64(min(n, 1e11)), 0).Sub(now)
		default:
			d = time.Duration(n * float64(time.Second))
		}
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	} else if t, err := time.Parse(time.RFC3339, v); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), Longest)
}

// GetJSON does a request within a limit of time, reads at most so many bytes of the answer, and decodes it into v, unless that is nil. The
// header is that of the answer also where the error is a *StatusError.
func GetJSON(ctx context.Context, client *http.Client, req *http.Request, timeout time.Duration, limit int64, v any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := Check(resp, time.Now()); err != nil {
		return resp.Header, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return resp.Header, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(body)) > limit {
		return resp.Header, fmt.Errorf("the answer has more than %d bytes", limit)
	}
	if v == nil {
		return resp.Header, nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return resp.Header, fmt.Errorf("the answer is not what was expected: %w", err)
	}
	return resp.Header, nil
}

// ErrIdle ends a read after too much silence.
var ErrIdle = errors.New("nothing came for too long")

// Body guards a stream: a read that has waited for idle without a byte closes it and fails with ErrIdle.
func Body(body io.ReadCloser, idle time.Duration) io.ReadCloser {
	g := &guarded{body: body, idle: idle}
	g.timer = time.AfterFunc(idle, func() {
		g.mu.Lock()
		g.expired = true
		g.mu.Unlock()
		_ = body.Close()
	})
	g.timer.Stop() // it runs during reads only: a caller who is busy is no silence
	return g
}

type guarded struct {
	body    io.ReadCloser
	idle    time.Duration
	timer   *time.Timer
	mu      sync.Mutex
	expired bool
}

func (g *guarded) Read(p []byte) (int, error) {
	g.timer.Reset(g.idle)
	n, err := g.body.Read(p)
	g.timer.Stop()
	if err != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.expired {
			return n, fmt.Errorf("%w (%s)", ErrIdle, g.idle)
		}
	}
	return n, err
}

func (g *guarded) Close() error {
	g.timer.Stop()
	return g.body.Close()
}

// LongLineError is a line beyond the limit; the stream goes on after it.
type LongLineError struct {
	// Begin is how the line begins.
	Begin []byte
	Limit int
}

func (e *LongLineError) Error() string { return fmt.Sprintf("line of more than %d bytes", e.Limit) }

// Lines reads a stream line by line, within a limit.
type Lines struct {
	b     *bufio.Reader
	limit int
	long  []byte
}

// NewLines reads lines of at most limit bytes from r.
func NewLines(r io.Reader, limit int) *Lines {
	return &Lines{b: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// Next returns the next line without its end (\n or \r\n), valid until the next call. Where a line is too long it is read past, and the error is a
// *LongLineError. A last line without an end counts as half a line: it is dropped, and the error is io.ErrUnexpectedEOF.
func (l *Lines) Next() ([]byte, error) {
	raw, err := l.b.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long[:0], raw...)
		for errors.Is(err, bufio.ErrBufferFull) {
			raw, err = l.b.ReadSlice('\n')
			if len(l.long) <= l.limit {
				l.long = append(l.long, raw...)
			}
		}
		raw = l.long
	}
	switch {
	case err != nil && len(raw) > 0 && errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	line := trimEnd(raw)
	if len(line) > l.limit {
		return nil, &LongLineError{Begin: append([]byte(nil), line[:min(len(line), 1024)]...), Limit: l.limit}
	}
	return line, nil
}

func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}
