package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	Enabled     bool          `koanf:"enabled" doc:"Whether Bluesky is listened to."`
	URL         string        `koanf:"url" doc:"Address of a Jetstream server's subscribe endpoint, wss://… or ws://…."`
	IdleTimeout time.Duration `koanf:"idle_timeout" doc:"Silence after which the connection is given up and made again."`
}

// DefaultConfig is one of the public servers: free and without a key.
func DefaultConfig() Config {
	return Config{Enabled: true, URL: "wss://jetstream2.us-east.bsky.network/subscribe", IdleTimeout: time.Minute}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		faults = append(faults, fmt.Errorf("url %q is not an address that begins with wss:// or ws://", c.URL))
	}
	if c.IdleTimeout < time.Second || c.IdleTimeout > time.Hour {
		faults = append(faults, fmt.Errorf("idle_timeout is %s; 1s to 1h fit", c.IdleTimeout))
	}
	return errors.Join(faults...)
}

// Sources returns the one server, where it is enabled.
func (c Config) Sources(source.Deps) ([]source.Source, error) {
	if !c.Enabled {
		return nil, nil
	}
	return []source.Source{New(c)}, nil
}

const (
	maxFrameBytes = 1 << 20
	// rewindUS is how far a resumed stream begins before the last event: the cursor is inclusive and servers differ by seconds.
	rewindUS = 5_000_000
)

// Source listens to a Jetstream server.
type Source struct{ cfg Config }

// New returns a source that remembers its parts.
func New(cfg Config) *Source { return &Source{cfg: cfg} }

// Name is one for all servers: they carry the same posts, and a cursor is a time.
func (s *Source) Name() string { return "jetstream" }

// Run listens for as long as one connection holds.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	cursor, _ := strconv.ParseInt(in.Cursor, 10, 64) // time_us of the last event; 0 begins live
	address, err := s.address(cursor)
	if err != nil {
		return err
	}
	conn, err := polite.Dial(ctx, address, polite.Options{Idle: s.cfg.IdleTimeout, Limit: maxFrameBytes})
	if err != nil {
		return err
	}
	defer conn.Close()
	in.Status.Connected(s.cfg.URL)
	var tooLong *polite.LongFrameError
	for {
		frame, binary, err := conn.Read()
		switch {
		case errors.As(err, &tooLong):
			err = in.Emit(source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: s.cfg.URL, Position: cursor, Reason: err.Error(), Raw: tooLong.Begin}})
			if err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		case binary:
			return errors.New("a binary frame, though compression was not asked for")
		}
		now := time.Now()
		err = Decode(frame, now, s.cfg.URL, cursor, func(e source.Event) error {
			if e.Kind != source.Unreadable {
				cursor = max(cursor, min(e.Post.CreatedAt.UnixMicro(), now.UnixMicro()))
				e.Cursor = strconv.FormatInt(cursor, 10)
			}
			return in.Emit(e)
		})
		if err != nil {
			return err
		}
	}
}

func (s *Source) address(cursor int64) (string, error) {
	u, err := url.Parse(s.cfg.URL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("wantedCollections", Collection)
	if cursor > 0 {
		q.Set("cursor", strconv.FormatInt(cursor-rewindUS, 10))
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}
