package engine

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	amconfig "github.com/prometheus/alertmanager/config"
)

// Config is what an Engine needs.
type Config struct {
	// File is an alertmanager.yml; empty for the default configuration.
	File string
	// Default fills the default configuration.
	Default Default
	// DataDir keeps the notification log and the silences.
	DataDir string
	// Listen is the address of the API, host:port; empty for none.
	Listen string
	// ExternalURL is under which people reach the API; empty for the address it listens on.
	ExternalURL string
	// Retention is how long the notification log and ended silences are kept; 0 means 120 h, as in Alertmanager.
	Retention time.Duration
}

// Default is the configuration for those who have no alertmanager.yml.
type Default struct {
	// SlackURL and WebhookURL are receivers of pages; an empty one is left out.
	SlackURL, WebhookURL string
	// Suspected pages for incidents that are suspected, too.
	Suspected bool
	// GroupWait is how long a first page waits for others; 0 means 10 s.
	GroupWait time.Duration
}

var (
	//go:embed default.yml
	defaultYAML string
	//go:embed outcry.tmpl
	messages string
)

var defaultTemplate = template.Must(template.New("default.yml").Funcs(template.FuncMap{
	// A JSON string is a YAML string, whatever stands in it.
	"quote": func(s string) (string, error) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(s)
		return strings.TrimSpace(b.String()), err
	},
}).Parse(defaultYAML))

// YAML returns the default configuration as an alertmanager.yml, with the addresses in it.
func (d Default) YAML() (string, error) {
	if d.GroupWait == 0 {
		d.GroupWait = 10 * time.Second
	}
	var b strings.Builder
	if err := defaultTemplate.Execute(&b, d); err != nil {
		return "", fmt.Errorf("write the default configuration of alerts: %w", err)
	}
	return b.String(), nil
}

// load reads and checks the configuration in force.
func load(c Config) (*amconfig.Config, error) {
	if c.File == "" {
		text, err := c.Default.YAML()
		if err != nil {
			return nil, err
		}
		cfg, err := amconfig.Load(text)
		if err != nil {
			// The error could repeat an address, which holds a secret.
			return nil, fmt.Errorf("the default configuration of alerts does not take alerter.page.slack_url or alerter.page.webhook_url: is it an address?")
		}
		return cfg, nil
	}
	if _, err := os.Stat(c.File); err != nil {
		return nil, fmt.Errorf("read alerter.alertmanager_config: %w", err)
	}
	cfg, err := amconfig.LoadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("alerter.alertmanager_config %s: %s", c.File, oneLine(err.Error()))
	}
	return cfg, nil
}

// nothing is a log that nobody reads.
func nothing() *slog.Logger { return slog.New(slog.DiscardHandler) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Check says what is wrong with the configuration, its templates and receivers included.
func Check(c Config) error {
	cfg, err := load(c)
	if err != nil {
		return err
	}
	templates, err := loadTemplates(cfg, &url.URL{})
	if err != nil {
		return err
	}
	_, err = New(c, Deps{Log: nothing()}).receivers(cfg, templates)
	return err
}

// Version returns something that is another one when the configuration's file, or a file of templates that it names, holds something else.
func Version(c Config) string {
	sum := sha256.New()
	files := []string{c.File}
	if cfg, err := load(c); err == nil {
		for _, glob := range cfg.Templates {
			found, _ := filepath.Glob(glob) // Check says what is wrong with it
			files = append(files, found...)
		}
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		fmt.Fprintln(sum, name, len(b), err)
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
