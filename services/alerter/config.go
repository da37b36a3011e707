package alerter

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"outcry.dev/pkg/config"
)

// Config is what a person sets.
type Config struct {
	Stdout  bool    `koanf:"stdout" doc:"Write each change of an incident to standard output as a JSON line."`
	Webhook Webhook `koanf:"webhook"`
}

// Webhook is a receiver of incidents over HTTP.
type Webhook struct {
	URL         string        `koanf:"url" doc:"Address to which each change of an incident is sent as JSON (POST); empty for none."`
	Secret      config.Secret `koanf:"secret" doc:"Signs the requests as Standard Webhooks says: 24 to 64 bytes in base64, with or without whsec_ before it; empty for no signature."`
	Timeout     time.Duration `koanf:"timeout" doc:"How long one request may take, 1s to 2m."`
	GiveUpAfter time.Duration `koanf:"give_up_after" doc:"How long a change is sent again to a receiver that fails, 1m to 72h."`
}

// DefaultConfig writes to standard output only.
func DefaultConfig() Config {
	return Config{Stdout: true, Webhook: Webhook{Timeout: 10 * time.Second, GiveUpAfter: time.Hour}}
}

// Validate reports everything that is wrong.
func (w Webhook) Validate() error {
	var faults []error
	if w.URL != "" {
		u, err := url.Parse(w.URL)
		switch {
		case err != nil:
			// The error of url.Parse repeats the address, which may hold a password.
			faults = append(faults, errors.New("url cannot be read as an address such as https://example.org/hook"))
		case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
			faults = append(faults, fmt.Errorf("url %q is not an address that begins with https:// or http://", u.Redacted()))
		}
	}
	if w.Secret != "" {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(w.Secret.Reveal(), "whsec_"))
		switch {
		case err != nil:
			faults = append(faults, errors.New("secret is not base64: make one with `openssl rand -base64 32`"))
		case len(key) < 24 || len(key) > 64:
			faults = append(faults, fmt.Errorf("secret has %d bytes, outside 24 to 64: make one with `openssl rand -base64 32`", len(key)))
		}
		if w.URL == "" {
			faults = append(faults, errors.New("secret is set, but url is not: set both, or none"))
		}
	}
	if w.Timeout < time.Second || w.Timeout > 2*time.Minute {
		faults = append(faults, fmt.Errorf("timeout %s is outside 1s to 2m", w.Timeout))
	}
	if w.GiveUpAfter < time.Minute || w.GiveUpAfter > 72*time.Hour {
		faults = append(faults, fmt.Errorf("give_up_after %s is outside 1m to 72h", w.GiveUpAfter))
	}
	return errors.Join(faults...)
}
