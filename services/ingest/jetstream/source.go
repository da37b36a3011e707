package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd" // the only decoder in Go that takes dictionaries

	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	Enabled     bool          `koanf:"enabled" doc:"Whether Bluesky is listened to."`
	URL         string        `koanf:"url" doc:"Address of a Jetstream server's subscribe endpoint, wss://… or ws://…."`
	IdleTimeout time.Duration `koanf:"idle_timeout" doc:"Silence after which the connection is given up and made again."`
	Dictionary  string        `koanf:"dictionary" doc:"Path of Jetstream's published zstd dictionary (pkg/models/zstd_dictionary of its repository): the stream is then compressed, at half the traffic; empty for none."`
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
	s, err := New(c)
	if err != nil {
		return nil, err
	}
	return []source.Source{s}, nil
}

const (
	// maxFrameBytes is what a frame may have, packed or unpacked: a post has some kilobytes.
	maxFrameBytes = 1 << 20
	// rewindUS is how far a resumed stream begins before the last event: the cursor is inclusive and servers differ by seconds.
	rewindUS = 5_000_000
	// lookBack is how long servers keep events at least; what is older may be gone without a word.
	lookBack = 23 * time.Hour
)

// Source listens to a Jetstream server.
type Source struct {
	cfg  Config
	zstd *zstd.Decoder // nil where the stream is not compressed
	seen seen
}

// New returns a source that remembers its parts. It reads the dictionary, where there is one.
func New(cfg Config) (*Source, error) {
	s := &Source{cfg: cfg}
	if cfg.Dictionary != "" {
		dictionary, err := os.ReadFile(cfg.Dictionary)
		if err != nil {
			return nil, fmt.Errorf("jetstream.dictionary: %w", err)
		}
		if s.zstd, err = newDecoder(dictionary); err != nil {
			return nil, fmt.Errorf("jetstream.dictionary: %s is no zstd dictionary: %w", cfg.Dictionary, err)
		}
	}
	return s, nil
}

// newDecoder unpacks frames one at a time, up to a limit: a bomb of some bytes can hold gigabytes.
func newDecoder(dictionary []byte) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderDicts(dictionary), zstd.WithDecoderMaxMemory(maxFrameBytes), zstd.WithDecoderConcurrency(1))
}

// Name is one for all servers: they carry the same posts, and a cursor is a time.
func (s *Source) Name() string { return "jetstream" }

// Run listens for as long as one connection holds.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	cursor := parseCursor(in.Cursor, time.Now())
	conn, err := s.dial(ctx, cursor)
	if err != nil {
		return err
	}
	defer conn.Close()
	in.Status.Connected(s.cfg.URL)
	l := &listening{source: s, in: in, cursor: cursor, resumed: cursor}
	for {
		frame, binary, err := conn.Read()
		var tooLong *polite.LongFrameError
		switch {
		case errors.As(err, &tooLong):
			err = in.Emit(unreadable(s.cfg.URL, l.cursor, err.Error(), tooLong.Begin))
		case err != nil:
			return err
		case binary && s.zstd == nil:
			return errors.New("a binary frame, though compression was not asked for")
		case binary:
			err = l.packed(frame, time.Now())
		default:
			err = l.take(frame, time.Now())
		}
		if err != nil {
			return err
		}
	}
}

// Probe connects, and waits for an event.
func (s *Source) Probe(ctx context.Context) (string, error) {
	conn, err := s.dial(ctx, 0)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	begun := time.Now()
	if _, _, err := conn.Read(); err != nil {
		return "", fmt.Errorf("connected, but no event came: %w", err)
	}
	return fmt.Sprintf("%s, first event after %s", s.cfg.URL, time.Since(begun).Round(time.Millisecond)), nil
}

// dial asks for posts from a little before a cursor on; 0 is from now on. There is no permessage-deflate: servers of version 2
// answer 400 to it where the stream is compressed by itself.
func (s *Source) dial(ctx context.Context, cursor int64) (*polite.WebSocket, error) {
	u, err := url.Parse(s.cfg.URL)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("wantedCollections", Collection)
	if cursor > 0 {
		q.Set("cursor", strconv.FormatInt(cursor-rewindUS, 10))
	}
	if s.zstd != nil {
		q.Set("compress", "true")
	}
	u.RawQuery = q.Encode()
	return polite.Dial(ctx, u.String(), polite.Options{Idle: s.cfg.IdleTimeout, Limit: maxFrameBytes})
}

// parseCursor returns the time_us of the last event; 0 begins live. Servers take a future cursor for live as well, and would leave out what came
// since ours: a clock that was ahead must not cost events.
func parseCursor(cursor string, now time.Time) int64 {
	us, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || us <= rewindUS {
		return 0
	}
	return min(us, now.UnixMicro())
}

// listening is one connection's work.
type listening struct {
	source   *Source
	in       *source.Session
	cursor   int64 // time_us of the last event
	resumed  int64 // cursor at the beginning, until the first event has come
	unpacked []byte
}

func (l *listening) packed(frame []byte, now time.Time) error {
	raw, err := l.source.zstd.DecodeAll(frame, l.unpacked[:0])
	if err != nil {
		l.unpacked = nil // it may have grown up to the limit
		return l.in.Emit(unreadable(l.source.cfg.URL, l.cursor, "not a zstd frame of this dictionary within the limit: "+err.Error(), frame))
	}
	l.unpacked = raw
	return l.take(raw, now)
}

// take hands on what an event says, unless it was said before.
func (l *listening) take(raw []byte, now time.Time) error {
	origin := l.source.cfg.URL
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return l.in.Emit(unreadable(origin, l.cursor, fmt.Sprintf("not a Jetstream event: %v", err), raw))
	}
	if e.TimeUS > 0 && e.TimeUS <= now.Add(source.MaxFuture).UnixMicro() {
		l.cursor = max(l.cursor, min(e.TimeUS, now.UnixMicro()))
		if l.resumed > 0 {
			if late := time.Duration(e.TimeUS-l.resumed) * time.Microsecond; late > time.Minute && now.Sub(time.UnixMicro(l.resumed)) > lookBack {
				l.in.Status.Gap(fmt.Sprintf("the server keeps nothing from between %s and %s", time.UnixMicro(l.resumed).UTC().Format(time.RFC3339),
					time.UnixMicro(e.TimeUS).UTC().Format(time.RFC3339)))
			}
			l.resumed = 0
		}
	}
	if l.source.seen.before(&e) {
		return nil
	}
	out, ok := e.convert(raw, now, origin, l.cursor)
	if !ok {
		out = source.Event{Kind: source.Mark}
	}
	out.Cursor = strconv.FormatInt(l.cursor, 10)
	if err := l.in.Emit(out); err != nil {
		l.source.seen = seen{} // this one has not been taken: whoever resumes must not pass it over
		return err
	}
	return nil
}
