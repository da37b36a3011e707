package twitterv1

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"outcry.dev/pkg/config"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	URL            string        `koanf:"url" doc:"Base address of a server that speaks the streaming API v1.1 (/1.1/statuses/… is below it); empty for none. Twitter itself closed it in 2023."`
	Mode           string        `koanf:"mode" doc:"filter (posts with the words of track) or sample (what the server chooses)."`
	Track          []string      `koanf:"track" doc:"Words and phrases that filter asks for, at most 400 of 60 bytes."`
	ConsumerKey    config.Secret `koanf:"consumer_key" doc:"OAuth 1.0a consumer key; empty to ask without."`
	ConsumerSecret config.Secret `koanf:"consumer_secret" doc:"OAuth 1.0a consumer secret."`
	AccessToken    config.Secret `koanf:"access_token" doc:"OAuth 1.0a access token."`
	AccessSecret   config.Secret `koanf:"access_secret" doc:"OAuth 1.0a access token secret."`
	IdleTimeout    time.Duration `koanf:"idle_timeout" doc:"Silence after which the connection is given up; servers send something every 30s. 1s to 1h."`
}

// DefaultConfig leaves it out.
func DefaultConfig() Config {
	return Config{Mode: "filter", Track: []string{}, IdleTimeout: 90 * time.Second}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
			faults = append(faults, fmt.Errorf("url %q is not an address that begins with https:// or http://", c.URL))
		}
		if c.Mode == "filter" && len(c.Track) == 0 {
			faults = append(faults, errors.New("track is empty; filter asks for words"))
		}
	}
	if c.Mode != "filter" && c.Mode != "sample" {
		faults = append(faults, fmt.Errorf("mode is %q; filter and sample are there", c.Mode))
	}
	if len(c.Track) > 400 {
		faults = append(faults, fmt.Errorf("track has %d words; at most 400 fit", len(c.Track)))
	}
	for _, t := range c.Track {
		if len(t) == 0 || len(t) > 60 {
			faults = append(faults, fmt.Errorf("track: %q has %d bytes; 1 to 60 fit", t, len(t)))
		}
	}
	set := 0
	for _, s := range []config.Secret{c.ConsumerKey, c.ConsumerSecret, c.AccessToken, c.AccessSecret} {
		if s != "" {
			set++
		}
	}
	if set != 0 && set != 4 {
		faults = append(faults, fmt.Errorf("%d of consumer_key, consumer_secret, access_token and access_secret are set; OAuth 1.0a needs all four, or none is sent", set))
	}
	if c.IdleTimeout < time.Second || c.IdleTimeout > time.Hour {
		faults = append(faults, fmt.Errorf("idle_timeout is %s; 1s to 1h fit", c.IdleTimeout))
	}
	return errors.Join(faults...)
}

// Sources returns the one stream, where an address is set.
func (c Config) Sources(source.Deps) ([]source.Source, error) {
	if c.URL == "" {
		return nil, nil
	}
	u, err := url.Parse(strings.TrimRight(c.URL, "/"))
	if err != nil {
		return nil, err
	}
	return []source.Source{&Stream{cfg: c, base: u}}, nil
}

// Rules are those that Twitter published for its streams.
func (s *Stream) Rules() polite.Rules {
	return polite.Rules{
		Network: polite.Rule{First: 250 * time.Millisecond, Most: 16 * time.Second, Linear: true},
		HTTP:    polite.Rule{First: 5 * time.Second, Most: 320 * time.Second},
		Limited: polite.Rule{First: time.Minute, Most: time.Hour},
	}
}
