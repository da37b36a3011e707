package x

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/config"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/recent"
	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	Enabled         bool          `koanf:"enabled" doc:"Whether X is listened to. Posts cost money: see spend_limit."`
	URL             string        `koanf:"url" doc:"Base address of the API."`
	Token           config.Secret `koanf:"token" doc:"App-only bearer token."`
	SpendLimit      float64       `koanf:"spend_limit" doc:"US dollars that may be spent in a calendar month (UTC); the stream ends before it. 0 reads nothing."`
	PostCost        float64       `koanf:"post_cost" doc:"US dollars that a post, or a request for counts, costs."`
	Services        []string      `koanf:"services" doc:"Ids of the services that rules are made for; empty: all of the catalog."`
	Filter          string        `koanf:"filter" doc:"What every rule asks for besides a name, in X's own words: fewer posts cost less."`
	Tag             string        `koanf:"tag" doc:"Tag of the rules that are Outcry's; others are left alone."`
	MaxRules        int           `koanf:"max_rules" doc:"Rules that may be used, 1 to 1000."`
	CountsEvery     time.Duration `koanf:"counts_every" doc:"How often the counts endpoint is asked how many posts a rule matches, one rule after the other, at the price of a post; 0: only by doctor. Else 1m to 720h."`
	ComplianceEvery time.Duration `koanf:"compliance_every" doc:"How often X is asked which of the posts that are stored are gone (batch compliance), so that they are withdrawn; X wants that within 24h. 0: never. Else 5m to 24h."`
	IdleTimeout     time.Duration `koanf:"idle_timeout" doc:"Silence after which the connection is given up; the server sends something every 20s. 1s to 5m."`
}

// DefaultConfig leaves X out.
func DefaultConfig() Config {
	return Config{URL: "https://api.x.com", PostCost: 0.005, Services: []string{}, Tag: "outcry", MaxRules: 1000, CountsEvery: 6 * time.Hour, ComplianceEvery: 6 * time.Hour, IdleTimeout: 40 * time.Second,
		Filter: `(down OR outage OR offline OR broken OR crashing OR error OR "not working" OR "log in" OR login OR issues OR caído OR panne OR störung OR 障害) -is:retweet`}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if u, err := url.Parse(c.URL); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		faults = append(faults, fmt.Errorf("url %q is not an address that begins with https:// or http://", c.URL))
	}
	if c.Enabled && c.Token == "" {
		faults = append(faults, errors.New("token is missing; set OUTCRY_INGEST_X_TOKEN, or OUTCRY_INGEST_X_TOKEN_FILE to the name of a file with it"))
	}
	if c.SpendLimit < 0 {
		faults = append(faults, fmt.Errorf("spend_limit is %g; 0 or more US dollars fit", c.SpendLimit))
	} else if c.Enabled && c.SpendLimit == 0 {
		faults = append(faults, errors.New("spend_limit is 0, so nothing would be read; set the US dollars that may be spent in a month"))
	}
	if c.PostCost < 0 || c.PostCost > 10 {
		faults = append(faults, fmt.Errorf("post_cost is %g; 0 to 10 US dollars fit", c.PostCost))
	}
	if len(c.Filter) > maxRule/2 {
		faults = append(faults, fmt.Errorf("filter has %d bytes; at most %d leave room for names", len(c.Filter), maxRule/2))
	}
	if c.Tag == "" || len(c.Tag) > 100 {
		faults = append(faults, errors.New("tag must have 1 to 100 characters"))
	}
	if c.MaxRules < 1 || c.MaxRules > 1000 {
		faults = append(faults, fmt.Errorf("max_rules is %d; 1 to 1000 fit", c.MaxRules))
	}
	if c.CountsEvery != 0 && (c.CountsEvery < time.Minute || c.CountsEvery > 720*time.Hour) {
		faults = append(faults, fmt.Errorf("counts_every is %s; 0, or 1m to 720h fit", c.CountsEvery))
	}
	if c.ComplianceEvery != 0 && (c.ComplianceEvery < 5*time.Minute || c.ComplianceEvery > 24*time.Hour) {
		faults = append(faults, fmt.Errorf("compliance_every is %s; 0, or 5m to 24h fit", c.ComplianceEvery))
	}
	if c.IdleTimeout < time.Second || c.IdleTimeout > 5*time.Minute {
		faults = append(faults, fmt.Errorf("idle_timeout is %s; 1s to 5m fit", c.IdleTimeout))
	}
	return errors.Join(faults...)
}

// Sources returns the one stream that X allows.
func (c Config) Sources(d source.Deps) ([]source.Source, error) {
	if !c.Enabled {
		return nil, nil
	}
	if d.Catalog == nil {
		return nil, errors.New("x: rules need the catalog")
	}
	for _, id := range c.Services {
		if _, ok := d.Catalog.ByID(id); !ok {
			return nil, fmt.Errorf("x.services: service %q is not in the catalog; `outcry catalog` lists them", id)
		}
	}
	var names, officials []string
	for i := range d.Catalog.Services {
		s := &d.Catalog.Services[i]
		if len(c.Services) > 0 && !slices.Contains(c.Services, s.ID) {
			continue
		}
		names = append(names, terms(s)...)
		for _, handle := range s.Official["twitter"] {
			officials = append(officials, "from:"+handle)
		}
	}
	rules := append(pack(names, c.Filter), pack(officials, "-is:retweet -is:reply")...)
	if len(rules) > c.MaxRules {
		return nil, fmt.Errorf("x: the names need %d rules and max_rules is %d; name fewer in x.services", len(rules), c.MaxRules)
	}
	return []source.Source{&Source{cfg: c, base: strings.TrimRight(c.URL, "/"), rules: rules, client: polite.Client(), seen: recent.New[struct{}](100_000), volumes: make([]int64, len(rules)), held: d.Held}}, nil
}

// Rules of waiting are those that X has published.
func (s *Source) Rules() polite.Rules {
	return polite.Rules{
		Network: polite.Rule{First: 250 * time.Millisecond, Most: 16 * time.Second, Linear: true},
		HTTP:    polite.Rule{First: 5 * time.Second, Most: 320 * time.Second},
		Limited: polite.Rule{First: time.Minute, Most: time.Hour},
	}
}
