package twitterv1

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"outcry.dev/services/ingest/polite"
)

const maxMessage = 1 << 20

// guard is the RoundTripper beneath go-twitter's stream. It lets one connection be made and no second one, sends it to another host, reports what the stream
// keeps to itself (refusals, silence, a stream that breaks off), and gives each message the end that the stream wants.
type guard struct {
	ctx  context.Context //nolint:containedctx // of the run: the stream's requests have none
	base *url.URL
	idle time.Duration
	next http.RoundTripper
	open func() // the server has let us in

	mu    sync.Mutex
	used  bool
	cause error
	// raw are the messages that the stream was given and has not handed out yet, in their order.
	raw [][]byte
	// long are the beginnings of messages beyond the limit.
	long [][]byte
}

// errOver ends the stream's own tries.
var errOver = errors.New("the connection is over")

func (g *guard) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == nil {
		g.cause = err
	}
}

// farewell is what the server itself says of the end, which may have come already.
func (g *guard) farewell(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cause = err
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	again := g.used
	g.used = true
	g.mu.Unlock()
	if again {
		return nil, errOver
	}
	r = r.Clone(g.ctx)
	r.URL.Scheme, r.URL.Host, r.Host = g.base.Scheme, g.base.Host, ""
	r.URL.Path = strings.TrimRight(g.base.Path, "/") + r.URL.Path
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		g.fail(err)
		return nil, err
	}
	if err := polite.Check(resp, time.Now()); err != nil {
		g.fail(err)
		return nil, err
	}
	if resp.StatusCode != http.StatusOK { // the stream would take it for a refusal and keep it to itself
		_ = resp.Body.Close()
		err := fmt.Errorf("the server answered %d, which is no stream", resp.StatusCode)
		g.fail(err)
		return nil, err
	}
	g.open()
	body := polite.Body(resp.Body, g.idle)
	resp.Body = &messages{guard: g, body: body, lines: polite.NewLines(body, maxMessage)}
	return resp, nil
}

// messages is a body whose every message ends with \r\n, whatever ended it before.
type messages struct {
	guard *guard
	body  io.Closer
	lines *polite.Lines
	ahead []byte // a line that was read and belongs to the next message
	ready []byte // what is left of the message being read
}

func (m *messages) Close() error { return m.body.Close() }

func (m *messages) Read(p []byte) (int, error) {
	for len(m.ready) == 0 {
		message, err := m.next()
		if err != nil {
			m.guard.fail(err)
			return 0, io.EOF
		}
		if len(message) == 0 {
			continue // keep-alive
		}
		m.guard.mu.Lock()
		m.guard.raw = append(m.guard.raw, message)
		m.guard.mu.Unlock()
		m.ready = append(bytes.Clone(message), "\r\n"...)
	}
	n := copy(p, m.ready)
	m.ready = m.ready[n:]
	return n, nil
}

// next returns a message: a line, or, where a line is no whole JSON value, with those after it up to the one that makes it whole. A line that
// begins another message is not taken for the rest of one that broke off.
func (m *messages) next() ([]byte, error) {
	var message []byte
	for {
		line, err := m.ahead, error(nil)
		m.ahead = nil
		if line == nil {
			line, err = m.lines.Next()
		}
		var long *polite.LongLineError
		switch {
		case errors.As(err, &long):
			m.guard.mu.Lock()
			if len(m.guard.long) < 100 {
				m.guard.long = append(m.guard.long, long.Begin)
			}
			m.guard.mu.Unlock()
			return message, nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("the server ended the stream")
		case err != nil:
			return nil, fmt.Errorf("read: %w", err)
		}
		line = bytes.TrimSpace(line)
		if len(message) > 0 && (len(line) == 0 || bytes.HasPrefix(line, []byte(`{"`)) || len(message)+len(line) > maxMessage) {
			m.ahead = bytes.Clone(line)
			return message, nil // broken, as will be found
		}
		if len(line) == 0 {
			return nil, nil
		}
		message = append(message, line...)
		if json.Valid(message) || message[0] != '{' {
			return message, nil
		}
	}
}

// take returns the bytes of the message that the stream hands out now.
func (g *guard) take() (raw []byte, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.raw) == 0 {
		return nil, false
	}
	raw, g.raw = g.raw[0], g.raw[1:]
	return raw, true
}

// tooLong returns the beginnings of messages that were left out since it was last asked.
func (g *guard) tooLong() (begins [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	begins, g.long = g.long, nil
	return begins
}

// why says why the connection ended.
func (g *guard) why() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == nil {
		return errOver
	}
	return g.cause
}
