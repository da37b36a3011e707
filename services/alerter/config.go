package alerter

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"outcry.dev/pkg/config"
	"outcry.dev/services/alerter/engine"
)

// Config is what a person sets.
type Config struct {
	Stdout             bool          `koanf:"stdout" doc:"Write each change of an incident to standard output as a JSON line."`
	AlertmanagerConfig string        `koanf:"alertmanager_config" doc:"Path of an alertmanager.yml, as Alertmanager takes it, and again when it changes; empty: the default configuration, which page fills."`
	Alertmanagers      []string      `koanf:"alertmanagers" doc:"Addresses (http://…) of the members of an Alertmanager cluster, all of which get every alert; empty: Alertmanager's engine in this process."`
	Listen             string        `koanf:"listen" doc:"Address, host:port, of Alertmanager's API, for amtool; it asks for no password, so keep it on loopback; empty for none."`
	PublicURL          string        `koanf:"public_url" doc:"Where people reach Outcry's pages: alerts link to it."`
	Runbook            string        `koanf:"runbook" doc:"Address of what to do, in every alert; {service} stands for the service's id; empty for none."`
	ResendEvery        time.Duration `koanf:"resend_every" doc:"How often alerts that fire are told again to alertmanagers, which take one that is silent for four times as long, and at least 4m, for over; 1s to 10m."`
	ReconcileEvery     time.Duration `koanf:"reconcile_every" doc:"How often alerts are held against the incidents in ClickHouse, 1s to 1h."`

	Page    Page    `koanf:"page" doc:"The default configuration of alerts; without effect where alertmanager_config or alertmanagers is set."`
	Links   Links   `koanf:"links" doc:"Links in alerts by which people acknowledge, dismiss and note."`
	Webhook Webhook `koanf:"webhook" doc:"Every change of every incident, in Outcry's own form."`
}

// Page fills the default configuration of alerts.
type Page struct {
	SlackURL   config.Secret `koanf:"slack_url" doc:"Address of a Slack incoming webhook that is paged; empty for none."`
	WebhookURL config.Secret `koanf:"webhook_url" doc:"Address that is paged in the form of Alertmanager's webhooks; empty for none."`
	Suspected  bool          `koanf:"suspected" doc:"Page for suspected incidents too, some minutes earlier; their confirmation is then another page."`
	GroupWait  time.Duration `koanf:"group_wait" doc:"How long a first page waits for what belongs to it, 0s to 10m."`
}

// Links says how people act from messages.
type Links struct {
	URL         string        `koanf:"url" doc:"Address under which people reach links.listen, https://…; empty for no links in alerts."`
	Listen      string        `koanf:"listen" doc:"Address, host:port, that serves what the links lead to, and nothing else."`
	ExpireAfter time.Duration `koanf:"expire_after" doc:"How long a link works at least, 10m to 30 days; it works once."`
	Key         config.Secret `koanf:"key" doc:"Signs the links, at least 16 bytes; empty: one is made in data_dir."`
}

// Validate reports everything that is wrong.
func (l Links) Validate() error {
	var faults []error
	if l.URL != "" {
		if err := checkURL(l.URL); err != nil {
			faults = append(faults, fmt.Errorf("url: %w", err))
		}
		if _, _, err := net.SplitHostPort(l.Listen); err != nil {
			faults = append(faults, fmt.Errorf("listen is %q; expected host:port", l.Listen))
		}
	}
	if l.ExpireAfter < 10*time.Minute || l.ExpireAfter > 30*24*time.Hour {
		faults = append(faults, fmt.Errorf("expire_after %s is outside 10m to 720h", l.ExpireAfter))
	}
	if n := len(l.Key); n > 0 && n < 16 {
		faults = append(faults, fmt.Errorf("key has %d bytes; at least 16 keep links from being forged", n))
	}
	return errors.Join(faults...)
}

// Webhook is a receiver of incidents over HTTP.
type Webhook struct {
	URL          string        `koanf:"url" doc:"Address to which each change of an incident is sent as JSON (POST); empty for none."`
	Secret       config.Secret `koanf:"secret" doc:"Signs the requests as Standard Webhooks says: 24 to 64 bytes in base64, with or without whsec_ before it; several, with spaces between them, while one takes the place of another; empty for no signature."`
	Timeout      time.Duration `koanf:"timeout" doc:"How long one request may take, 1s to 2m."`
	GiveUpAfter  time.Duration `koanf:"give_up_after" doc:"How long a change is sent again to a receiver that fails, 1m to 72h."`
	AllowPrivate bool          `koanf:"allow_private" doc:"Let url lead to loopback and private addresses."`
}

// DefaultConfig writes to standard output only.
func DefaultConfig() Config {
	return Config{Stdout: true, Alertmanagers: []string{}, PublicURL: "http://127.0.0.1:8080", ResendEvery: time.Minute, ReconcileEvery: time.Minute,
		Page:    Page{GroupWait: 10 * time.Second},
		Links:   Links{Listen: "127.0.0.1:8081", ExpireAfter: 24 * time.Hour},
		Webhook: Webhook{Timeout: 10 * time.Second, GiveUpAfter: 24 * time.Hour}}
}

// Pages says whether anybody is to be told through Alertmanager, in this process or elsewhere.
func (c Config) Pages() bool { return len(c.Alertmanagers) > 0 || c.inProcess() }

func (c Config) inProcess() bool {
	return len(c.Alertmanagers) == 0 && (c.AlertmanagerConfig != "" || c.Listen != "" || c.Page.SlackURL != "" || c.Page.WebhookURL != "")
}

// Engine returns the configuration of the engine in this process, with its files below dataDir.
func (c Config) Engine(dataDir string) engine.Config {
	return engine.Config{File: c.AlertmanagerConfig, DataDir: dataDir, Listen: c.Listen, Default: engine.Default{SlackURL: c.Page.SlackURL.Reveal(),
		WebhookURL: c.Page.WebhookURL.Reveal(), Suspected: c.Page.Suspected, GroupWait: c.Page.GroupWait}}
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.AlertmanagerConfig != "" && len(c.Alertmanagers) > 0 {
		fault("alertmanager_config and alertmanagers are both set: the cluster at alertmanagers has a configuration of its own; keep one of them")
	}
	for _, a := range c.Alertmanagers {
		if err := checkURL(a); err != nil {
			fault("alertmanagers: %w", err)
		}
	}
	if c.PublicURL != "" {
		if err := checkURL(c.PublicURL); err != nil {
			fault("public_url: %w", err)
		}
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			fault("listen is %q; expected host:port", c.Listen)
		}
	}
	if c.ResendEvery < time.Second || c.ResendEvery > 10*time.Minute {
		fault("resend_every %s is outside 1s to 10m", c.ResendEvery)
	}
	if c.ReconcileEvery < time.Second || c.ReconcileEvery > time.Hour {
		fault("reconcile_every %s is outside 1s to 1h", c.ReconcileEvery)
	}
	return errors.Join(faults...)
}

// Validate reports everything that is wrong.
func (p Page) Validate() error {
	var faults []error
	for name, u := range map[string]config.Secret{"slack_url": p.SlackURL, "webhook_url": p.WebhookURL} {
		if u == "" {
			continue
		}
		if err := checkURL(u.Reveal()); err != nil {
			faults = append(faults, fmt.Errorf("%s is not an address that begins with https:// or http://", name)) // it may be a secret
		}
	}
	if p.GroupWait < 0 || p.GroupWait > 10*time.Minute {
		faults = append(faults, fmt.Errorf("group_wait %s is outside 0s to 10m", p.GroupWait))
	}
	return errors.Join(faults...)
}

func checkURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		// The error of url.Parse repeats the address, which may hold a password.
		return errors.New("it cannot be read as an address such as https://example.org")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return fmt.Errorf("%q is not an address that begins with https:// or http://", u.Redacted())
	}
	return nil
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
	secrets := w.secrets()
	for n, s := range secrets {
		which := "secret"
		if len(secrets) > 1 {
			which = fmt.Sprintf("secret number %d", n+1)
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("%s is not base64: make one with `openssl rand -base64 32`", which))
		case len(key) < 24 || len(key) > 64:
			faults = append(faults, fmt.Errorf("%s has %d bytes, outside 24 to 64: make one with `openssl rand -base64 32`", which, len(key)))
		}
	}
	if len(secrets) > maxSecrets {
		faults = append(faults, fmt.Errorf("secret holds %d secrets; at most %d sign", len(secrets), maxSecrets))
	}
	if len(secrets) > 0 && w.URL == "" {
		faults = append(faults, errors.New("secret is set, but url is not: set both, or none"))
	}
	if w.Timeout < time.Second || w.Timeout > 2*time.Minute {
		faults = append(faults, fmt.Errorf("timeout %s is outside 1s to 2m", w.Timeout))
	}
	if w.GiveUpAfter < time.Minute || w.GiveUpAfter > 72*time.Hour {
		faults = append(faults, fmt.Errorf("give_up_after %s is outside 1m to 72h", w.GiveUpAfter))
	}
	return errors.Join(faults...)
}

const maxSecrets = 5

// secrets are those that sign, in their order.
func (w Webhook) secrets() []string { return strings.Fields(w.Secret.Reveal()) }
