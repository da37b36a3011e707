package ingest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest/hackernews"
	"outcry.dev/services/ingest/jetstream"
	"outcry.dev/services/ingest/kafka"
	"outcry.dev/services/ingest/mastodon"
	"outcry.dev/services/ingest/push"
	"outcry.dev/services/ingest/reddit"
	"outcry.dev/services/ingest/source"
	"outcry.dev/services/ingest/statuspage"
	"outcry.dev/services/ingest/twitterv1"
	"outcry.dev/services/ingest/x"
)

// Config of the stage.
type Config struct {
	MaxOutOfOrderness time.Duration `koanf:"max_out_of_orderness" doc:"How far posts of one source may be out of order in event time before they are late; decisions wait that long."`
	BatchPosts        int           `koanf:"batch_posts" doc:"Posts that are written to Kafka at once, 1 to 100000."`
	BatchWait         time.Duration `koanf:"batch_wait" doc:"How long a post may wait for others."`
	Keep              []string      `koanf:"keep" doc:"What is kept of a post besides its text, id, time and hashed author: of lang, url, reply_to, repost_of, place, author_verified. Of reply_to and repost_of the fact stays that the post is a reply or a repost."`

	// A connector is registered by its section here, its default below, and its line in connectors.
	Jetstream  jetstream.Config  `koanf:"jetstream" doc:"Bluesky, through Jetstream."`
	Mastodon   mastodon.Config   `koanf:"mastodon" doc:"Mastodon servers, and others that speak its API."`
	X          x.Config          `koanf:"x" doc:"X, through the filtered stream of its API v2."`
	TwitterV1  twitterv1.Config  `koanf:"twitterv1" doc:"Servers that speak Twitter's streaming API v1.1."`
	HackerNews hackernews.Config `koanf:"hackernews" doc:"Hacker News."`
	Reddit     reddit.Config     `koanf:"reddit" doc:"Reddit; experimental."`
	Kafka      kafka.Config      `koanf:"kafka" doc:"Posts from a topic of somebody else's."`
	Push       push.Config       `koanf:"push" doc:"Posts from others, by HTTP."`
	StatusPage statuspage.Config `koanf:"statuspage" doc:"Operators' status pages: the official word."`
}

// DefaultConfig returns what fits one machine.
func DefaultConfig() Config {
	return Config{
		MaxOutOfOrderness: time.Second, BatchPosts: 4096, BatchWait: 50 * time.Millisecond, Keep: slices.Clone(optional),
		Jetstream: jetstream.DefaultConfig(), Mastodon: mastodon.DefaultConfig(), X: x.DefaultConfig(), TwitterV1: twitterv1.DefaultConfig(), HackerNews: hackernews.DefaultConfig(), Reddit: reddit.DefaultConfig(), Kafka: kafka.DefaultConfig(), Push: push.DefaultConfig(), StatusPage: statuspage.DefaultConfig(),
	}
}

// optional are the fields of a post that need not be kept.
var optional = []string{"lang", "url", "reply_to", "repost_of", "place", "author_verified"}

// forget takes from a post what is not kept. Replies and reposts count otherwise than posts, so what is left of their fields says that they were set.
func (c Config) forget(p *outcryv1.Post) {
	if len(c.Keep) == len(optional) {
		return
	}
	for _, field := range optional {
		if slices.Contains(c.Keep, field) {
			continue
		}
		switch field {
		case "lang":
			p.Lang = ""
		case "url":
			p.Url = ""
		case "place":
			p.Place = ""
		case "author_verified":
			p.AuthorVerified = false
		case "reply_to":
			p.ReplyTo = forgotten[:min(len(p.ReplyTo), len(forgotten))]
		case "repost_of":
			p.RepostOf = forgotten[:min(len(p.RepostOf), len(forgotten))]
		}
	}
}

// forgotten stands for an id that is not kept.
const forgotten = "-"

// connectors are all that there are, in the order in which people see them.
func (c Config) connectors() []source.Connector {
	return []source.Connector{
		c.Jetstream,
		c.Mastodon,
		c.X,
		c.TwitterV1,
		c.HackerNews,
		c.Reddit,
		c.Kafka,
		c.Push,
		c.StatusPage,
	}
}

// Sources returns what is to be listened to: what the enabled connectors give.
func (c Config) Sources(d source.Deps) ([]source.Source, error) {
	var all []source.Source
	var faults []error
	names := map[string]bool{}
	for _, connector := range c.connectors() {
		sources, err := connector.Sources(d)
		faults = append(faults, err)
		for _, s := range sources {
			if names[s.Name()] {
				faults = append(faults, fmt.Errorf("source %s is configured twice", s.Name()))
			}
			names[s.Name()] = true
		}
		all = append(all, sources...)
	}
	return all, errors.Join(faults...)
}

// Validate reports every fault of the stage's own keys; sections are asked by themselves.
func (c Config) Validate() error {
	var faults []error
	if c.MaxOutOfOrderness < 0 || c.MaxOutOfOrderness > time.Hour {
		faults = append(faults, fmt.Errorf("max_out_of_orderness is %s; 0s to 1h fit", c.MaxOutOfOrderness))
	}
	if c.BatchPosts < 1 || c.BatchPosts > 100_000 {
		faults = append(faults, fmt.Errorf("batch_posts is %d; 1 to 100000 fit", c.BatchPosts))
	}
	if c.BatchWait <= 0 || c.BatchWait > time.Minute {
		faults = append(faults, fmt.Errorf("batch_wait is %s; 1ms to 1m fit", c.BatchWait))
	}
	for i, field := range c.Keep {
		if !slices.Contains(optional, field) || slices.Contains(c.Keep[:i], field) {
			faults = append(faults, fmt.Errorf("keep has %q; each of %s fits once", field, strings.Join(optional, ", ")))
		}
	}
	return errors.Join(faults...)
}
