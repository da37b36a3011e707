package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/coder/websocket"

	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	URL         string        `koanf:"url" doc:"Address of a Jetstream server's subscribe endpoint, wss://… or ws://…; empty to leave Bluesky out."`
	IdleTimeout time.Duration `koanf:"idle_timeout" doc:"Silence after which the connection is given up and made again."`
}

// DefaultConfig is one of the public servers: free and without a key.
func DefaultConfig() Config {
	return Config{URL: "wss://jetstream2.us-east.bsky.network/subscribe", IdleTimeout: time.Minute}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
			faults = append(faults, fmt.Errorf("url %q is not an address that begins with wss:// or ws://", c.URL))
		}
	}
	if c.IdleTimeout < time.Second || c.IdleTimeout > time.Hour {
		faults = append(faults, fmt.Errorf("idle_timeout is %s; 1s to 1h fit", c.IdleTimeout))
	}
	return errors.Join(faults...)
}

const (
	userAgent     = "outcry (outage detector; +https://outcry.dev)"
	maxFrameBytes = 1 << 20
	// rewindUS is how far a resumed stream begins before the last event: the cursor is inclusive and servers differ by seconds.
	rewindUS = 5_000_000
	// steady is how long a connection must hold for the back-off to begin anew.
	steady = time.Minute
)

// Source listens to a Jetstream server until its context ends; it reconnects with a jittered back-off and resumes where it was.
type Source struct {
	cfg    Config
	log    *slog.Logger
	cursor int64 // time_us of the last event; 0 begins live
}

// New returns a source that remembers its parts.
func New(cfg Config, log *slog.Logger) *Source { return &Source{cfg: cfg, log: log} }

// Run listens until ctx ends.
func (s *Source) Run(ctx context.Context, emit source.Emit) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 500*time.Millisecond, time.Minute
	for {
		since := time.Now()
		var refused *emitError
		err := s.listen(ctx, emit)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the end that was asked for
		case errors.As(err, &refused):
			return refused.err
		}
		if time.Since(since) > steady {
			wait.Reset()
		}
		pause := wait.NextBackOff()
		s.log.Warn("jetstream is away; trying again", "address", s.cfg.URL, "in", pause.Round(time.Millisecond), "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// emitError tells the pipeline's faults from the network's.
type emitError struct{ err error }

func (e *emitError) Error() string { return e.err.Error() }

// listen works through one connection.
func (s *Source) listen(ctx context.Context, emit source.Emit) error {
	address, err := s.address()
	if err != nil {
		return err
	}
	dialCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	// No compression in the handshake: servers of version 2 answer it with 400.
	conn, _, err := websocket.Dial( //nolint:bodyclose // the library closes it, and says that callers never need to
		dialCtx, address, &websocket.DialOptions{HTTPHeader: http.Header{"User-Agent": {userAgent}}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxFrameBytes)
	s.log.Info("listening", "source", SourceName, "address", s.cfg.URL)
	for {
		readCtx, cancel := context.WithTimeout(ctx, s.cfg.IdleTimeout)
		kind, frame, err := conn.Read(readCtx)
		cancel()
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if kind != websocket.MessageText {
			return errors.New("read: a binary frame, though compression was not asked for")
		}
		now := time.Now()
		err = Decode(frame, now, s.cfg.URL, s.cursor, func(e source.Event) error {
			if e.Kind != source.Unreadable {
				s.cursor = max(s.cursor, min(e.Post.CreatedAt.UnixMicro(), now.UnixMicro()))
			}
			return emit(e)
		})
		if err != nil {
			return &emitError{err}
		}
	}
}

func (s *Source) address() (string, error) {
	u, err := url.Parse(s.cfg.URL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("wantedCollections", Collection)
	if s.cursor > 0 {
		q.Set("cursor", strconv.FormatInt(s.cursor-rewindUS, 10))
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}
