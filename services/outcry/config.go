package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/config"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/topics"
	"outcry.dev/services/aggregator"
	"outcry.dev/services/alerter"
	"outcry.dev/services/api"
	"outcry.dev/services/classifier"
	"outcry.dev/services/ingest"
)

// envPrefix begins the names of the variables that belong to Outcry.
const envPrefix = "OUTCRY_"

// Config is the configuration of everything: what stages share, and a section for each stage.
type Config struct {
	DataDir    string           `koanf:"data_dir" doc:"Folder for the data of the embedded engines and for what stages keep; made when it is needed."`
	Log        LogConfig        `koanf:"log" doc:"The log on standard error."`
	Kafka      KafkaConfig      `koanf:"kafka" doc:"Where the Kafka brokers are."`
	ClickHouse ClickHouseConfig `koanf:"clickhouse" doc:"Where ClickHouse is."`
	Catalog    CatalogConfig    `koanf:"catalog" doc:"The services listened for."`
	Privacy    PrivacyConfig    `koanf:"privacy" doc:"How people are kept unknown."`
	Metrics    MetricsConfig    `koanf:"metrics" doc:"Metrics of a stage that runs by itself; with the api they are at /metrics."`

	Ingest     ingest.Config     `koanf:"ingest" doc:"From sources to posts."`
	Classifier classifier.Config `koanf:"classifier" doc:"From posts to mentions."`
	Aggregator aggregator.Config `koanf:"aggregator" doc:"From mentions to counts and incidents."`
	Detect     detect.Config     `koanf:"detect" doc:"When complaints are an outage."`
	Incident   incident.Config   `koanf:"incident" doc:"When an incident changes its state."`
	Alerter    alerter.Config    `koanf:"alerter" doc:"Who hears of incidents."`
	API        api.Config        `koanf:"api" doc:"Pages and JSON."`
}

// DefaultConfig runs everything embedded, on this machine alone.
func DefaultConfig() Config {
	return Config{
		DataDir:    ".outcry",
		Log:        LogConfig{Level: "info", Format: "text"},
		Kafka:      KafkaConfig{Brokers: []string{}, SessionTimeout: 10 * time.Second, Partitions: topics.DefaultPartitions},
		ClickHouse: ClickHouseConfig{Database: "outcry", Username: "default"},
		Catalog:    CatalogConfig{Files: []string{}},
		Ingest:     ingest.DefaultConfig(),
		Classifier: classifier.DefaultConfig(),
		Aggregator: aggregator.DefaultConfig(),
		Detect:     detect.DefaultConfig(),
		Incident:   incident.DefaultConfig(),
		Alerter:    alerter.DefaultConfig(),
		API:        api.DefaultConfig(),
	}
}

// Validate checks what is not in a section.
func (c *Config) Validate() error {
	if c.DataDir == "" {
		return errors.New("data_dir must name a folder")
	}
	return nil
}

// LogConfig says what is logged, and how.
type LogConfig struct {
	Level  string `koanf:"level" doc:"debug, info, warn or error."`
	Format string `koanf:"format" doc:"text or json."`
}

var logLevels = []string{"debug", "info", "warn", "error"}

// Validate reports values that are not known.
func (c LogConfig) Validate() error {
	var faults []error
	if !slices.Contains(logLevels, c.Level) {
		faults = append(faults, fmt.Errorf("level is %q; expected debug, info, warn or error", c.Level))
	}
	if c.Format != "text" && c.Format != "json" {
		faults = append(faults, fmt.Errorf("format is %q; expected text or json", c.Format))
	}
	return errors.Join(faults...)
}

func (c LogConfig) level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // Validate has seen it; info otherwise
	return level
}

// KafkaConfig says where the brokers are.
type KafkaConfig struct {
	Brokers        []string      `koanf:"brokers" doc:"Addresses, host:port, of one or more brokers; empty: the embedded broker."`
	Prefix         string        `koanf:"prefix" doc:"Goes before the names of topics and consumer groups, so that several Outcrys can share a cluster."`
	SessionTimeout time.Duration `koanf:"session_timeout" doc:"How long a stage may be silent before its partitions pass to another, 1s to 5m; brokers set limits of their own."`
	Security       bus.Security  `koanf:"security" doc:"How the brokers are spoken to; the embedded one is in the clear."`
	Partitions     int           `koanf:"partitions" doc:"Partitions of the topics that Outcry creates, 1 to 1024; topics that exist stay as they are."`
}

// Validate reports addresses without a port, names that Kafka refuses and numbers out of range.
func (c KafkaConfig) Validate() error {
	var faults []error
	if len(c.Prefix) > 200 || strings.Trim(c.Prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		faults = append(faults, fmt.Errorf("prefix is %q; at most 200 letters, digits, dots, underscores and hyphens fit", c.Prefix))
	}
	for _, b := range c.Brokers {
		if err := checkAddress(b); err != nil {
			faults = append(faults, fmt.Errorf("brokers: %w", err))
		}
	}
	if len(c.Brokers) == 0 && c.Security != (bus.Security{}) {
		faults = append(faults, errors.New("security is for brokers of your own; the embedded one has none"))
	}
	if c.SessionTimeout < time.Second || c.SessionTimeout > 5*time.Minute {
		faults = append(faults, fmt.Errorf("session_timeout must be between 1s and 5m, not %s", c.SessionTimeout))
	}
	if c.Partitions < 1 || c.Partitions > 1024 {
		faults = append(faults, fmt.Errorf("partitions must be between 1 and 1024, not %d", c.Partitions))
	}
	return errors.Join(faults...)
}

// ClickHouseConfig says where ClickHouse is.
type ClickHouseConfig struct {
	Address     string        `koanf:"address" doc:"host:port of the native protocol; empty: the embedded server."`
	HTTPAddress string        `koanf:"http_address" doc:"host:port of ClickHouse's HTTP, over which files and analysts' SQL go; empty: port 8123 of the host in address."`
	Database    string        `koanf:"database" doc:"Database of Outcry's tables."`
	Username    string        `koanf:"username" doc:"User name."`
	Password    config.Secret `koanf:"password" doc:"Password."`
	Library     string        `koanf:"library" doc:"Path of libchdb for the embedded server; empty: fetched once into the user's cache folder."`
}

// Validate reports an address without a port and names that are missing or could not be an identifier.
func (c ClickHouseConfig) Validate() error {
	var faults []error
	if c.Address != "" {
		if err := checkAddress(c.Address); err != nil {
			faults = append(faults, fmt.Errorf("address: %w", err))
		}
		if c.HTTPAddress != "" {
			if err := checkAddress(c.HTTPAddress); err != nil {
				faults = append(faults, fmt.Errorf("http_address: %w", err))
			}
		}
		if c.Library != "" {
			faults = append(faults, errors.New("library is for the embedded server and address for another one; keep one of them"))
		}
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	if c.Database == "" || strings.Trim(c.Database, letters+"0123456789") != "" || !strings.ContainsAny(c.Database[:1], letters) {
		faults = append(faults, fmt.Errorf("database is %q; expected a name of letters, digits and underscores", c.Database))
	}
	if c.Username == "" {
		faults = append(faults, errors.New("username must not be empty"))
	}
	return errors.Join(faults...)
}

// CatalogConfig says which services are listened for.
type CatalogConfig struct {
	Files []string `koanf:"files" doc:"YAML files that add services to the built-in catalog, or change those in it, in this order."`
}

// PrivacyConfig says how people are kept unknown.
type PrivacyConfig struct {
	AuthorKey config.Secret `koanf:"author_key" doc:"Key of the hash under which authors are stored, at least 16 bytes; empty: one is made in data_dir."`
}

// Validate reports a key that is too short to keep anybody unknown.
func (c PrivacyConfig) Validate() error {
	if n := len(c.AuthorKey); n > 0 && n < 16 {
		return fmt.Errorf("author_key has %d bytes; at least 16 keep authors unknown", n)
	}
	return nil
}

// MetricsConfig says where metrics are served.
type MetricsConfig struct {
	Listen string `koanf:"listen" doc:"Address, host:port, at which a stage that runs by itself serves /metrics; empty for none."`
}

// checkAddress accepts host:port with a port from 1 to 65535.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err == nil && host != "" {
		if n, numErr := strconv.ParseUint(port, 10, 16); numErr == nil && n > 0 {
			return nil
		}
	}
	return fmt.Errorf("%q is not host:port", address)
}
