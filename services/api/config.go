package api

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"outcry.dev/services/api/signin"
)

// Config is what a person sets.
type Config struct {
	Listen            string        `koanf:"listen" doc:"Address on which pages and JSON are served, as host:port; port 0 takes a free one."`
	PublicURL         string        `koanf:"public_url" doc:"Address under which readers reach it, such as https://outages.example; empty: as each request says. Embeds and citations carry it."`
	PublicRead        bool          `koanf:"public_read" doc:"Whether everybody may read; otherwise pages and data need a key with the scope read, posts one with evidence; a browser is asked to sign in."`
	OIDC              signin.Config `koanf:"oidc" doc:"Signing in to the pages."`
	RequestsPerSecond float64       `koanf:"requests_per_second" doc:"Requests that an address may make, on average over some seconds; a key may make ten times as many; 0 for no limit."`
	MinutesMB         int           `koanf:"minutes_mb" doc:"Memory, in MB, for series by the minute, a day at a time: a day of a service is 1 to 40 kB, and those of the last month are read before anybody asks. 0 keeps one day."`
	BehindProxy       bool          `koanf:"behind_proxy" doc:"Whether the last entry of X-Forwarded-For is to be believed: only where a proxy of one's own always writes it."`
}

// DefaultConfig serves the own machine only.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:8080", PublicRead: true, RequestsPerSecond: 50, MinutesMB: 128}
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	return errors.Join(c.validateListen(), c.validateRest(), c.OIDC.Validate())
}

func (c Config) validateRest() error {
	var faults []error
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || strings.Trim(u.Path, "/") != "") {
		faults = append(faults, fmt.Errorf("public_url is %q; expected scheme and host, such as https://outages.example", c.PublicURL))
	}
	if !(c.RequestsPerSecond >= 0 && c.RequestsPerSecond <= 1e6) {
		faults = append(faults, fmt.Errorf("requests_per_second must be between 0 and 1000000, not %v", c.RequestsPerSecond))
	}
	if c.MinutesMB < 0 || c.MinutesMB > 1<<20 {
		faults = append(faults, fmt.Errorf("minutes_mb must be between 0 and 1048576, not %d", c.MinutesMB))
	}
	return errors.Join(faults...)
}

func (c Config) validateListen() error {
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return errors.New("listen must be host:port, such as 127.0.0.1:8080 or :8080")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("listen has port %q, outside 0 to 65535", port)
	}
	return nil
}
