package signin

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"outcry.dev/pkg/config"
)

// Config is what a person sets.
type Config struct {
	Issuer       string        `koanf:"issuer" doc:"Address of an OpenID provider at which people sign in to the pages, such as https://accounts.example; empty for none. Register PUBLIC_URL/login/callback there."`
	ClientID     string        `koanf:"client_id" doc:"Id by which the provider knows Outcry."`
	ClientSecret config.Secret `koanf:"client_secret" doc:"Secret that goes with it. A new one ends all sessions."`
	Readers      []string      `koanf:"readers" doc:"Who may read: verified e-mail addresses, domains such as @example.com, or groups such as group:newsroom; empty for everybody whom the provider lets in."`
	Actors       []string      `koanf:"actors" doc:"Who may also act: acknowledge and dismiss incidents, and freeze charts."`
	Admins       []string      `koanf:"admins" doc:"Who may do everything, keys included."`
}

// On tells whether people can sign in.
func (c Config) On() bool { return c.Issuer != "" }

// leastSecret is in bytes: sessions are sealed with what follows from the secret.
const leastSecret = 16

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	if !c.On() {
		return nil
	}
	var faults []error
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		faults = append(faults, fmt.Errorf("oidc.issuer is %q; expected an address such as https://accounts.example", c.Issuer))
	case u.Scheme == "http" && !loopback(u.Hostname()):
		faults = append(faults, fmt.Errorf("oidc.issuer is %q; only a provider on this machine may be reached without https", c.Issuer))
	}
	if c.ClientID == "" {
		faults = append(faults, errors.New("oidc.client_id is empty; the provider gives it when Outcry is registered there"))
	}
	if len(c.ClientSecret) < leastSecret {
		faults = append(faults, fmt.Errorf("oidc.client_secret has %d bytes; sessions are sealed with it, so it needs %d at least", len(c.ClientSecret), leastSecret))
	}
	for name, rules := range map[string][]string{"readers": c.Readers, "actors": c.Actors, "admins": c.Admins} {
		for _, rule := range rules {
			if group, found := strings.CutPrefix(rule, "group:"); found && group != "" || !found && strings.Contains(rule, "@") && !strings.HasSuffix(rule, "@") {
				continue
			}
			faults = append(faults, fmt.Errorf("oidc.%s has %q; expected an e-mail address, @domain or group:name", name, rule))
		}
	}
	return errors.Join(faults...)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
