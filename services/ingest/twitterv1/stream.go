package twitterv1

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dghubble/go-twitter/twitter" //nolint:staticcheck // archived, like the API that it speaks
	"github.com/dghubble/oauth1"

	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Stream listens to a server that speaks the streaming API v1.1.
type Stream struct {
	cfg  Config
	base *url.URL
}

// Name is host and mode.
func (s *Stream) Name() string { return "twitterv1/" + s.base.Host + "/" + s.cfg.Mode }

// connect makes the stream's one connection. The messages must be read until they are closed; what ends the connection is ctx, since the stream's own Stop
// races with its goroutine.
func (s *Stream) connect(ctx context.Context, open func()) (*guard, *twitter.Stream, error) {
	g := &guard{ctx: ctx, base: s.base, idle: s.cfg.IdleTimeout, next: polite.Transport(nil), open: open}
	client := &http.Client{Transport: g}
	if s.cfg.ConsumerKey != "" {
		// OAuth signs what the stream asks for; the guard sends it elsewhere afterwards.
		client = oauth1.NewConfig(s.cfg.ConsumerKey.Reveal(), s.cfg.ConsumerSecret.Reveal()).
			Client(context.WithValue(ctx, oauth1.HTTPClient, client), oauth1.NewToken(s.cfg.AccessToken.Reveal(), s.cfg.AccessSecret.Reveal()))
	}
	streams := twitter.NewClient(client).Streams
	var stream *twitter.Stream
	var err error
	if warn := true; s.cfg.Mode == "sample" {
		stream, err = streams.Sample(&twitter.StreamSampleParams{StallWarnings: &warn})
	} else {
		stream, err = streams.Filter(&twitter.StreamFilterParams{Track: s.cfg.Track, StallWarnings: &warn})
	}
	return g, stream, err
}

// Probe connects and leaves.
func (s *Stream) Probe(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	opened := false
	g, stream, err := s.connect(ctx, func() { opened = true; cancel() })
	if err != nil {
		return "", err
	}
	for range stream.Messages { // until it is closed
	}
	if !opened {
		return "", explain(g.why())
	}
	return "streaming at " + s.base.Host, nil
}

// Run makes one connection and reads it to its end.
func (s *Stream) Run(ctx context.Context, in *source.Session) error {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if last, err := time.Parse(time.RFC3339, in.Cursor); err == nil && time.Since(last) > time.Minute {
		in.Status.Gap("since " + in.Cursor + ": the stream does not go back")
	}
	g, stream, err := s.connect(ctx, func() { in.Status.Connected(s.base.Host) })
	if err != nil {
		return err
	}
	var emitErr error
	for m := range stream.Messages {
		if emitErr == nil {
			if emitErr = s.take(g, m, in); emitErr != nil {
				cancel() // and read on until the stream has closed
			}
		}
	}
	switch {
	case emitErr != nil:
		return emitErr
	case outer.Err() != nil:
		return nil
	}
	// What stood after the last message.
	if err := s.long(g, in); err != nil {
		return err
	}
	return explain(g.why())
}

func (s *Stream) long(g *guard, in *source.Session) error {
	for _, begin := range g.tooLong() {
		if err := in.Emit(source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: s.Name(), Reason: fmt.Sprintf("message of more than %d bytes", maxMessage), Raw: begin}}); err != nil {
			return err
		}
	}
	return nil
}

// take works through one message. The stream has looked at it; what it says is read from its bytes, as in archives, because the stream drops what it does not know.
func (s *Stream) take(g *guard, m any, in *source.Session) error {
	if err := s.long(g, in); err != nil {
		return err
	}
	raw, ok := g.take()
	if !ok {
		return nil // an error of the connection, which the guard has too
	}
	now := time.Now()
	switch n := m.(type) {
	case *twitter.StreamLimit:
		if n != nil {
			in.Status.Gap(fmt.Sprintf("%d posts since the connection began were not delivered, because of the rate limit", n.Track))
		}
	case *twitter.StreamDisconnect:
		if n != nil {
			g.farewell(fmt.Errorf("the server disconnects: %d %s", n.Code, polite.Line(n.Reason)))
		}
	}
	return Decode(raw, now, s.Name(), 0, func(e source.Event) error {
		if e.Kind == source.Upsert || e.Kind == source.Delete {
			e.Cursor = now.UTC().Format(time.RFC3339)
		}
		return in.Emit(e)
	})
}

// explain takes the address out of what net/http says, since it holds all that is asked for, and adds what a person can do.
func explain(err error) error {
	var code *polite.StatusError
	if errors.As(err, &code) {
		if code.Code == http.StatusUnauthorized || code.Code == http.StatusForbidden {
			return fmt.Errorf("the keys (ingest.twitterv1.consumer_key and the three others) are not accepted: %w", err)
		}
		return err
	}
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("connect: %w", u.Err)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		return errors.New(polite.Line(err.Error()))
	}
	return err
}
