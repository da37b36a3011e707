package mastodon

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/config"
	"outcry.dev/services/ingest/rounds"
	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	Instances    []string      `koanf:"instances" doc:"Addresses of Mastodon servers, or of others that speak its API, https://…; empty to leave them out."`
	Tokens       config.Secret `koanf:"tokens" doc:"Access tokens with the scope read:statuses: host=token joined by commas, or one token where there is one instance."`
	Streams      []string      `koanf:"streams" doc:"What is listened to: public, public:local, public:remote, hashtag:NAME or hashtag:local:NAME."`
	Transport    string        `koanf:"transport" doc:"websocket or sse (server-sent events, which some servers lack)."`
	IdleTimeout  time.Duration `koanf:"idle_timeout" doc:"Silence, pings included, after which a connection is given up, 1s to 1h."`
	GapPages     int           `koanf:"gap_pages" doc:"How many pages of 40 posts are read at most to fill a gap, 0 to 1000."`
	RecheckEvery time.Duration `koanf:"recheck_every" doc:"How often the posts of these servers that are stored are asked for again, to find those that were deleted while nobody listened, 10m to 168h."`
}

// DefaultConfig listens to nothing: servers want a token.
func DefaultConfig() Config {
	return Config{Instances: []string{}, Streams: []string{"public"}, Transport: "websocket", IdleTimeout: 90 * time.Second, GapPages: 50, RecheckEvery: 6 * time.Hour}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	hosts := map[string]bool{}
	for _, i := range c.Instances {
		u, err := url.Parse(i)
		switch {
		case err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil:
			faults = append(faults, fmt.Errorf("instances: %q is not an address that begins with https:// or http://", i))
		case hosts[u.Host]:
			faults = append(faults, fmt.Errorf("instances: %s is there twice", u.Host))
		default:
			hosts[u.Host] = true
		}
	}
	if tokens, err := c.tokens(); err != nil {
		faults = append(faults, err)
	} else {
		for host := range tokens {
			if len(hosts) > 0 && !hosts[host] {
				faults = append(faults, fmt.Errorf("tokens: %q is the host of none of the instances", host))
			}
		}
	}
	if len(c.Streams) == 0 {
		faults = append(faults, errors.New("streams is empty; public is what is usual"))
	}
	for _, s := range c.Streams {
		if _, err := parseStream(s); err != nil {
			faults = append(faults, err)
		}
	}
	if c.Transport != "websocket" && c.Transport != "sse" {
		faults = append(faults, fmt.Errorf("transport is %q; websocket and sse are there", c.Transport))
	}
	if c.IdleTimeout < time.Second || c.IdleTimeout > time.Hour {
		faults = append(faults, fmt.Errorf("idle_timeout is %s; 1s to 1h fit", c.IdleTimeout))
	}
	if c.GapPages < 0 || c.GapPages > 1000 {
		faults = append(faults, fmt.Errorf("gap_pages is %d; 0 to 1000 fit", c.GapPages))
	}
	if c.RecheckEvery < 10*time.Minute || c.RecheckEvery > 7*24*time.Hour {
		faults = append(faults, fmt.Errorf("recheck_every is %s; 10m to 168h fit", c.RecheckEvery))
	}
	return errors.Join(faults...)
}

// tokens returns the tokens by host. A token never goes to a server that it is not for.
func (c Config) tokens() (map[string]string, error) {
	all := strings.TrimSpace(c.Tokens.Reveal())
	tokens := map[string]string{}
	if strings.ContainsAny(all, "\"'{}") {
		return nil, errors.New("tokens holds quotes or braces, which no token has; write host=token for each instance, joined by commas")
	}
	if all == "" {
		return tokens, nil
	}
	if !strings.ContainsAny(all, ",=\n") {
		if len(c.Instances) > 1 {
			return nil, errors.New("tokens holds one token for several instances; write host=token for each, joined by commas")
		}
		for _, i := range c.Instances {
			if u, err := url.Parse(i); err == nil {
				tokens[u.Host] = all
			}
		}
		return tokens, nil
	}
	for part := range strings.FieldsFuncSeq(all, func(r rune) bool { return r == ',' || r == '\n' }) {
		host, token, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || host == "" || token == "" {
			return nil, errors.New("tokens must be host=token, joined by commas")
		}
		tokens[strings.TrimSpace(host)] = strings.TrimSpace(token)
	}
	return tokens, nil
}

// stream is one timeline.
type stream struct {
	name, tag string // as in the streaming API
	path      string // of the timeline in the REST API
	filter    url.Values
}

func parseStream(s string) (stream, error) {
	switch s {
	case "public":
		return stream{name: s, path: "/api/v1/timelines/public"}, nil
	case "public:local":
		return stream{name: s, path: "/api/v1/timelines/public", filter: url.Values{"local": {"true"}}}, nil
	case "public:remote":
		return stream{name: s, path: "/api/v1/timelines/public", filter: url.Values{"remote": {"true"}}}, nil
	}
	tag, ok := strings.CutPrefix(s, "hashtag:")
	tag, local := strings.CutPrefix(tag, "local:")
	if !ok || tag == "" || strings.ContainsAny(tag, "#/ ?") {
		return stream{}, fmt.Errorf("streams: %q is none of public, public:local, public:remote, hashtag:NAME and hashtag:local:NAME", s)
	}
	st := stream{name: "hashtag", tag: tag, path: "/api/v1/timelines/tag/" + url.PathEscape(tag)}
	if local {
		st.name, st.filter = "hashtag:local", url.Values{"local": {"true"}}
	}
	return st, nil
}

// Sources returns one source for each stream of each instance.
func (c Config) Sources(d source.Deps) ([]source.Source, error) {
	tokens, err := c.tokens()
	if err != nil {
		return nil, err
	}
	heard := newHeard()
	var sources []source.Source
	for _, i := range c.Instances {
		u, err := url.Parse(i)
		if err != nil {
			return nil, err
		}
		of := newInstance(strings.TrimSuffix(i, "/"), u.Host, tokens[u.Host])
		for n, name := range slices.Compact(slices.Sorted(slices.Values(c.Streams))) {
			st, err := parseStream(name)
			if err != nil {
				return nil, err
			}
			t := &timeline{cfg: c, instance: of, stream: st, label: name, heard: heard}
			if n == 0 && d.Held != nil { // once a server is enough
				t.stored, t.polled = rounds.New(SourceName, c.RecheckEvery, d.Held), &polled{instance: of}
			}
			sources = append(sources, t)
		}
	}
	return sources, nil
}
