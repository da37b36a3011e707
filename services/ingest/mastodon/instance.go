package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"outcry.dev/services/ingest/polite"
)

const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 8 << 20
	maxFrame       = 1 << 20
	pageSize       = 40
)

// instance is one server.
type instance struct {
	base, host, token string
	client            *http.Client
}

func newInstance(base, host, token string) *instance {
	return &instance{base: base, host: host, token: token, client: polite.Client()}
}

// about is what a server says of itself.
type about struct {
	version   string
	domain    string // of its accounts
	streaming string // ws:// or wss://, without a path
}

// about asks for the streaming host and the domain; what a server does not say is as its address has it.
func (i *instance) about(ctx context.Context) (about, error) {
	u, err := url.Parse(i.base)
	if err != nil {
		return about{}, err
	}
	scheme := map[string]string{"https": "wss", "http": "ws"}[u.Scheme]
	a := about{domain: u.Hostname(), streaming: scheme + "://" + u.Host + strings.TrimRight(u.Path, "/")}
	for _, path := range []string{"/api/v2/instance", "/api/v1/instance"} {
		var answer struct {
			Domain  string `json:"domain"`
			Version string `json:"version"`
			URLs    struct {
				Streaming string `json:"streaming_api"`
			} `json:"urls"`
			Configuration struct {
				URLs struct {
					Streaming string `json:"streaming"`
				} `json:"urls"`
			} `json:"configuration"`
		}
		_, err := i.get(ctx, path, nil, &answer)
		var code *polite.StatusError
		if errors.As(err, &code) && code.Code/100 == 4 && code.Code != http.StatusTooManyRequests {
			continue
		}
		if err != nil {
			return about{}, fmt.Errorf("ask %s what it is: %w", i.host, err)
		}
		if strings.Contains(answer.Domain, ".") {
			a.domain = answer.Domain
		}
		a.version = polite.Line(answer.Version)
		streaming := answer.Configuration.URLs.Streaming
		if streaming == "" {
			streaming = answer.URLs.Streaming
		}
		// A server may send us elsewhere, but not to where the token would travel in the clear.
		if s, err := url.Parse(streaming); err == nil && s.Host != "" && (s.Scheme == "wss" || s.Scheme == scheme) {
			a.streaming = s.Scheme + "://" + s.Host + strings.TrimSuffix(strings.TrimRight(s.Path, "/"), "/api/v1/streaming")
		}
		break
	}
	return a, nil
}

func (i *instance) header() http.Header {
	h := http.Header{}
	if i.token != "" {
		h.Set("Authorization", "Bearer "+i.token)
	}
	return h
}

func (i *instance) get(ctx context.Context, path string, query url.Values, v any) (http.Header, error) {
	address := i.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header = i.header()
	req.Header.Set("Accept", "application/json")
	return polite.GetJSON(ctx, i.client, req, requestTimeout, maxAnswer, v)
}

// page returns the posts that follow an id, the oldest first.
func (i *instance) page(ctx context.Context, st stream, minID string) ([]json.RawMessage, error) {
	list, err := i.timeline(ctx, st, "min_id", minID)
	for a, b := 0, len(list)-1; a < b; a, b = a+1, b-1 {
		list[a], list[b] = list[b], list[a]
	}
	return list, err
}

// before returns the posts that came before an id, the newest first.
func (i *instance) before(ctx context.Context, st stream, maxID string) ([]json.RawMessage, error) {
	return i.timeline(ctx, st, "max_id", maxID)
}

func (i *instance) timeline(ctx context.Context, st stream, bound, id string) (list []json.RawMessage, err error) {
	query := url.Values{bound: {id}, "limit": {fmt.Sprint(pageSize)}}
	for k, v := range st.filter {
		query[k] = v
	}
	_, err = i.get(ctx, st.path, query, &list)
	return list, err
}

// connection is a stream that is open: next returns its frames.
type connection interface {
	next() (frame, error)
	close()
}

// open opens a stream.
func (i *instance) open(ctx context.Context, a about, st stream, transport string, idle time.Duration) (connection, error) {
	if transport == "sse" {
		return i.openEvents(ctx, a, st, idle)
	}
	query := url.Values{"stream": {st.name}}
	if st.tag != "" {
		query.Set("tag", st.tag)
	}
	ws, err := polite.Dial(ctx, a.streaming+"/api/v1/streaming?"+query.Encode(), polite.Options{Header: i.header(), Idle: idle, Limit: maxFrame})
	if err != nil {
		return nil, err
	}
	return &socket{ws}, nil
}

type socket struct{ ws *polite.WebSocket }

func (s *socket) next() (frame, error) {
	raw, _, err := s.ws.Read()
	if err != nil {
		return frame{}, err
	}
	var f frame
	if err := json.Unmarshal(raw, &f); err != nil {
		return frame{}, &frameError{reason: fmt.Sprintf("not a frame of a stream: %v", err), raw: raw}
	}
	return f, nil
}

func (s *socket) close() { s.ws.Close() }

// frameError is a frame that cannot be read; the connection goes on.
type frameError struct {
	reason string
	raw    []byte
}

func (e *frameError) Error() string { return e.reason }

// events is a stream of server-sent events.
type events struct {
	body  io.Closer
	lines *polite.Lines
}

func (i *instance) openEvents(ctx context.Context, a about, st stream, idle time.Duration) (connection, error) {
	path := map[string]string{"public": "/public", "public:local": "/public/local", "public:remote": "/public/remote", "hashtag": "/hashtag",
		"hashtag:local": "/hashtag/local"}[st.name]
	address := "http" + strings.TrimPrefix(a.streaming, "ws") + "/api/v1/streaming" + path
	if st.tag != "" {
		address += "?tag=" + url.QueryEscape(st.tag)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header = i.header()
	req.Header.Set("Accept", "text/event-stream")
	resp, err := i.client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := polite.Check(resp, time.Now()); err != nil {
		return nil, err
	}
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the server answered with %q and not with a stream of events; it may have none, transport websocket is the other way", polite.Line(kind))
	}
	body := polite.Body(resp.Body, idle)
	return &events{body: body, lines: polite.NewLines(body, maxFrame)}, nil
}

func (e *events) next() (frame, error) {
	var f frame
	var data []byte
	for {
		line, err := e.lines.Next()
		var long *polite.LongLineError
		switch {
		case errors.As(err, &long):
			return frame{}, &frameError{reason: err.Error(), raw: long.Begin}
		case errors.Is(err, io.EOF):
			return frame{}, errors.New("the server ended the stream")
		case err != nil:
			return frame{}, fmt.Errorf("read: %w", err)
		}
		if len(line) == 0 { // the end of an event
			if f.Event == "" {
				data = data[:0]
				continue
			}
			f.Payload = data
			return f, nil
		}
		field, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			f.Event = value
		case "data":
			if len(data)+len(value) > maxFrame {
				return frame{}, &frameError{reason: fmt.Sprintf("event of more than %d bytes", maxFrame), raw: data[:1024]}
			}
			if len(data) > 0 {
				data = append(data, '\n')
			}
			data = append(data, value...)
		}
	}
}

func (e *events) close() { _ = e.body.Close() }
