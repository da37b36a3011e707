// Package push takes posts from others by HTTP: JSON lines, in batches, from whoever knows the token. It must never write a post or the token into
// a log.
//
// What is not obvious:
//
//   - The answer says of each line that was refused which it is and why; the others are taken. It comes once Kafka has acknowledged them. Without
//     such an answer it is not known what was taken, and the sender repeats, which is harmless, since posts have ids.
//   - Certificate and key are read anew for a connection when their files have changed, so that a renewal needs no restart.
package push

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"outcry.dev/pkg/config"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	Listen     string        `koanf:"listen" doc:"Address, host:port, at which posts are taken by POST /v1/posts; empty for none."`
	Token      config.Secret `koanf:"token" doc:"Whoever sends posts must show it (Authorization: Bearer …); at least 16 bytes."`
	TLSCert    string        `koanf:"tls_cert" doc:"Path of a certificate (PEM, with those between it and its authority); with tls_key the address speaks HTTPS. Empty: HTTP."`
	TLSKey     string        `koanf:"tls_key" doc:"Path of the certificate's private key (PEM)."`
	MaxBytes   int           `koanf:"max_bytes" doc:"Largest batch in bytes, after unpacking, 1024 to 1073741824."`
	MaxBatches int           `koanf:"max_batches" doc:"Batches that are taken at a time, 1 to 1000; more are asked to come again."`
}

// DefaultConfig takes nothing.
func DefaultConfig() Config { return Config{MaxBytes: 16 << 20, MaxBatches: 8} }

const minToken = 16

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			faults = append(faults, fmt.Errorf("listen is %q; host:port fits", c.Listen))
		}
		if len(c.Token) < minToken {
			faults = append(faults, fmt.Errorf("token has %d bytes; listen needs one of at least %d, from OUTCRY_INGEST_PUSH_TOKEN or the file in OUTCRY_INGEST_PUSH_TOKEN_FILE",
				len(c.Token), minToken))
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		faults = append(faults, errors.New("tls_cert and tls_key belong together; set both, or none for HTTP"))
	}
	if c.MaxBytes < 1024 || c.MaxBytes > 1<<30 {
		faults = append(faults, fmt.Errorf("max_bytes is %d; 1024 to 1073741824 fit", c.MaxBytes))
	}
	if c.MaxBatches < 1 || c.MaxBatches > 1000 {
		faults = append(faults, fmt.Errorf("max_batches is %d; 1 to 1000 fit", c.MaxBatches))
	}
	return errors.Join(faults...)
}

// Sources returns the one that there is, where an address is set.
func (c Config) Sources(source.Deps) ([]source.Source, error) {
	if c.Listen == "" {
		return nil, nil
	}
	return []source.Source{newSource(c)}, nil
}

const (
	maxLine = 256 << 10
	// maxErrors is how many refused lines an answer lists.
	maxErrors = 100
	// patience is how long a batch waits for Kafka.
	patience = 30 * time.Second
)

// Source serves the address.
type Source struct {
	cfg   Config
	token [sha256.Size]byte
	slots chan struct{}
	bound chan string // for tests: the address
}

func newSource(c Config) *Source {
	return &Source{cfg: c, token: sha256.Sum256([]byte(c.Token.Reveal())), slots: make(chan struct{}, c.MaxBatches), bound: make(chan string, 1)}
}

// Name is "push".
func (s *Source) Name() string { return "push" }

// Probe says whether the address can be had.
func (s *Source) Probe(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return "", fmt.Errorf("%w; an Outcry that runs has it, otherwise choose another ingest.push.listen", err)
	}
	_, err = s.certificate()
	return "will take posts at " + s.address(l), errors.Join(err, l.Close())
}

func (s *Source) address(l net.Listener) string {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + l.Addr().String() + "/v1/posts"
}

// certificate reads the files; nil where there is no TLS.
func (s *Source) certificate() (*certificate, error) {
	if s.cfg.TLSCert == "" {
		return nil, nil
	}
	c := &certificate{cert: s.cfg.TLSCert, key: s.cfg.TLSKey}
	if _, err := c.get(nil); err != nil {
		return nil, fmt.Errorf("tls_cert and tls_key: %w", err)
	}
	return c, nil
}

// Run serves until ctx ends or the pipeline fails.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return err
	}
	pair, err := s.certificate()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/posts", func(w http.ResponseWriter, r *http.Request) { s.take(w, r, in, cancel) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0), BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	serve := func() error { return server.Serve(l) }
	if pair != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
		serve = func() error { return server.ServeTLS(l, "", "") }
	}
	go func() { ended <- serve(); close(ended) }()
	in.Status.Connected(s.address(l))
	select {
	case s.bound <- l.Addr().String():
	default:
	}
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", s.cfg.Listen, err)
	case <-ctx.Done():
	}
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	if server.Shutdown(stop) != nil {
		_ = server.Close()
	}
	for range ended { // closed once Serve has returned
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// answer is what a sender is told.
type answer struct {
	Accepted int      `json:"accepted"`
	Rejected int      `json:"rejected"`
	Errors   []refuse `json:"errors,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// refuse says which line was refused, and why.
type refuse struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

func (a *answer) refuse(line int, reason string) {
	a.Rejected++
	if len(a.Errors) < maxErrors {
		a.Errors = append(a.Errors, refuse{line, polite.Line(reason)})
	}
}

func (a *answer) write(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(a) // a sender that has gone does not read it
}

func (s *Source) take(w http.ResponseWriter, r *http.Request, in *source.Session, fail context.CancelCauseFunc) {
	fault := func(code int, format string, args ...any) {
		(&answer{Error: fmt.Sprintf(format, args...)}).write(w, code)
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash := sha256.Sum256([]byte(strings.TrimSpace(given)))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(hash[:], s.token[:]) != 1 {
		w.Header().Set("WWW-Authenticate", "Bearer")
		fault(http.StatusUnauthorized, "show the token of ingest.push.token: Authorization: Bearer …")
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		fault(http.StatusUnsupportedMediaType, "send posts as JSON lines (application/x-ndjson), not as a form")
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		fault(http.StatusTooManyRequests, "%d batches are being taken; come again in a second", s.cfg.MaxBatches)
		return
	}
	body := io.Reader(http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxBytes)))
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			fault(http.StatusBadRequest, "the body is not gzip, though Content-Encoding says so")
			return
		}
		body = z
	default:
		fault(http.StatusUnsupportedMediaType, "Content-Encoding %q is not known; gzip or none fit", polite.Line(encoding))
		return
	}
	a, err := s.read(body, in.Emit)
	var inner *emitError
	if errors.As(err, &inner) {
		w.Header().Set("Retry-After", "5")
		fault(http.StatusServiceUnavailable, "the pipeline is stopping; send all of the batch again, which does no harm")
		fail(inner.err)
		return
	}
	if a.Accepted > 0 {
		ctx, done := context.WithTimeout(r.Context(), patience)
		settled := in.Settle(ctx)
		done()
		if settled != nil {
			w.Header().Set("Retry-After", "5")
			fault(http.StatusServiceUnavailable, "Kafka has not acknowledged the batch; send all of it again, which does no harm")
			return
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || errors.Is(err, errTooLarge):
		a.Error = fmt.Sprintf("the batch has more than %d bytes (ingest.push.max_bytes); what was read until then is taken", s.cfg.MaxBytes)
		a.write(w, http.StatusRequestEntityTooLarge)
	case err != nil:
		a.Error = "the batch breaks off: " + polite.Line(err.Error()) + "; what was read until then is taken"
		a.write(w, http.StatusBadRequest)
	case a.Accepted == 0 && a.Rejected > 0:
		a.write(w, http.StatusBadRequest)
	default:
		a.write(w, http.StatusAccepted)
	}
}

var errTooLarge = errors.New("too large")

// emitError tells the pipeline's faults from the sender's.
type emitError struct{ err error }

func (e *emitError) Error() string { return e.err.Error() }

// read takes a body line by line.
func (s *Source) read(body io.Reader, emit source.Emit) (*answer, error) {
	a := &answer{}
	// A last line needs no end: a body has one of its own.
	bounded := &io.LimitedReader{R: body, N: int64(s.cfg.MaxBytes) + 1}
	lines := polite.NewLines(io.MultiReader(bounded, strings.NewReader("\n")), maxLine)
	for number := 1; ; number++ {
		line, err := lines.Next()
		var long *polite.LongLineError
		switch {
		case errors.Is(err, io.EOF):
			return a, nil
		case bounded.N <= 0:
			return a, errTooLarge
		case errors.As(err, &long):
			a.refuse(number, err.Error())
			continue
		case err != nil:
			return a, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		e := decode(line, time.Now())
		if e.Kind == source.Unreadable {
			a.refuse(number, e.Fault.Reason)
			continue
		}
		if err := emit(e); err != nil {
			return a, &emitError{err}
		}
		a.Accepted++
	}
}

// decode reads one line: a post, or {"source":…,"id":…,"deleted":true}. A second line with the same id is an edit where it says which ("revision").
func decode(line []byte, now time.Time) source.Event {
	unreadable := func(reason string) source.Event {
		return source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: "push", Reason: reason}}
	}
	var extra struct {
		Deleted  bool  `json:"deleted"`
		Revision int64 `json:"revision"`
	}
	if bytes.Contains(line, []byte(`"deleted"`)) || bytes.Contains(line, []byte(`"revision"`)) {
		if err := json.Unmarshal(line, &extra); err != nil {
			return unreadable(`"deleted" must be true or false, and "revision" a whole number`)
		}
		if extra.Revision < 0 || extra.Revision >= 1<<60 {
			return unreadable(`field "revision" is out of range; 0 for the first text, higher for each edit`)
		}
	}
	p, err := post.Decode(line)
	if err != nil {
		return unreadable(err.Error())
	}
	if !extra.Deleted {
		return source.Post(p, extra.Revision, now, "push", 0, nil)
	}
	if p.ID == "" || p.Source == "" || len(p.ID) > post.MaxIDBytes || len(p.Source) > post.MaxIDBytes {
		return unreadable(`a delete needs the fields "source" and "id"`)
	}
	if p.CreatedAt.IsZero() || p.CreatedAt.After(now) {
		p.CreatedAt = now
	}
	return source.Event{Kind: source.Delete, Post: post.Post{Source: p.Source, ID: p.ID, CreatedAt: p.CreatedAt}}
}
