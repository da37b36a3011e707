package source_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Config is a section of the configuration: ingest.tavern.
type Config struct {
	Enabled bool          `koanf:"enabled" doc:"Whether Tavern is listened to."`
	URL     string        `koanf:"url" doc:"Base address of the Tavern API."`
	Every   time.Duration `koanf:"every" doc:"How often it is asked for what is new, 1s to 1h."`
}

// DefaultConfig leaves it out, and has everything else as its operator asks for.
func DefaultConfig() Config { return Config{URL: "https://tavern.example", Every: 30 * time.Second} }

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		faults = append(faults, fmt.Errorf("url %q is not an address that begins with https:// or http://", c.URL))
	}
	if c.Every < time.Second || c.Every > time.Hour {
		faults = append(faults, fmt.Errorf("every is %s; 1s to 1h fit", c.Every))
	}
	return errors.Join(faults...)
}

// Sources returns the one that there is, where it is enabled.
func (c Config) Sources(source.Deps) ([]source.Source, error) {
	if !c.Enabled {
		return nil, nil
	}
	return []source.Source{&Source{cfg: c, client: polite.Client()}}, nil
}

// Source reads what guests of Tavern say.
type Source struct {
	cfg    Config
	client *http.Client
}

// Name is the key of the cursor.
func (s *Source) Name() string { return "tavern" }

// Run asks until something fails. The stage then waits, and calls it again with the cursor of the last event.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	for cursor := in.Cursor; ; {
		var page []remark
		err := s.get(ctx, "/remarks?after="+url.QueryEscape(cursor), &page)
		if err != nil {
			return err
		}
		in.Status.Connected(s.cfg.URL)
		for _, r := range page {
			if err := in.Emit(r.event(s.cfg.URL, time.Now())); err != nil {
				return err
			}
			cursor = r.ID
		}
		if len(page) == 0 {
			if err := polite.Sleep(ctx, s.cfg.Every); err != nil {
				return err
			}
		}
	}
}

// Probe is for `outcry doctor`.
func (s *Source) Probe(ctx context.Context) (string, error) {
	var page []remark
	err := s.get(ctx, "/remarks", &page)
	return fmt.Sprintf("%d remarks", len(page)), err
}

func (s *Source) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.URL+path, nil)
	if err != nil {
		return err
	}
	_, err = polite.GetJSON(ctx, s.client, req, 30*time.Second, 1<<20, v)
	return err
}

// remark is what Tavern calls a post.
type remark struct {
	ID      string    `json:"id"`
	Guest   string    `json:"guest"`
	HTML    string    `json:"html"`
	Said    time.Time `json:"said"` // by the guest's clock
	Removed bool      `json:"removed"`
}

func (r remark) event(origin string, now time.Time) source.Event {
	if r.Removed {
		return source.Event{Kind: source.Delete, Cursor: r.ID, Post: post.Post{Source: "tavern", ID: r.ID, CreatedAt: now}}
	}
	e := source.Post(post.Post{Source: "tavern", ID: r.ID, Author: r.Guest, Text: normal.HTML(r.HTML), CreatedAt: normal.Time(r.Said, now)},
		0, now, origin, 0, nil)
	e.Cursor = r.ID
	return e
}

// A connector's test runs it against a server of its own, which misbehaves in every way that the network is known to.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("after") {
		case "6":
			fmt.Fprint(w, `[{"id":"7","guest":"ann","html":"<p>Skype is <b>down</b><br>again &amp; again","said":"1970-01-01T00:00:00Z"},{"id":"8","removed":true}]`)
		default:
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()

	cfg := DefaultConfig()
	cfg.Enabled, cfg.URL = true, server.URL
	sources, _ := cfg.Sources(source.Deps{Log: slog.Default()})
	err := sources[0].Run(context.Background(), &source.Session{Cursor: "6", Emit: func(e source.Event) error {
		fmt.Printf("%d %s %q, cursor %s\n", e.Kind, e.Post.ID, e.Post.Text, e.Cursor)
		return nil
	}})
	fmt.Println(err)
	// Output:
	// 0 7 "Skype is down\nagain & again", cursor 7
	// 1 8 "", cursor 8
	// the server answered 429 Too Many Requests
}
