package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// Config says where the brokers are.
type Config struct {
	Brokers []string // host:port of one or more brokers
	// SessionTimeout after which the partitions of a group's member that has died pass to others. 0 means 10 s.
	SessionTimeout time.Duration
	// Prefix goes before the names of topics and groups, so that several Outcrys can share a cluster.
	Prefix string
	// Security says how the brokers are spoken to.
	Security Security
}

// Message is one Kafka record.
type Message struct {
	Key, Value []byte
	// Partition to write to, or AnyPartition to choose by key. Set on messages that were read.
	Partition int
	// Offset is set on messages that were read.
	Offset int64
}

// AnyPartition chooses the partition by the key, as the Java client does (murmur2).
const AnyPartition = -1

// Topic is one topic as it should be.
type Topic struct {
	Name       string
	Partitions int
	// Compacted topics keep the last value of each key, for Retention where that is set; others keep all for Retention.
	Compacted bool
	// Retention is how long a record may be kept; 0 leaves it to the brokers, or to compaction alone.
	Retention time.Duration
	// CompactedWithin is how long a compacted topic may hold a value after the next one of its key; 0 is twelve hours.
	CompactedWithin time.Duration
}

const (
	// segments is how many make up what a topic retains: the smallest part that goes at once.
	segments        = 12
	compactedWithin = 12 * time.Hour
)

// askTime is how long a question that fails is asked again.
const askTime = 10 * time.Second

// Bus is a connection to a Kafka cluster. Safe for concurrent use.
type Bus struct {
	cfg       Config
	log       *slog.Logger
	client    *kafka.Client
	transport *kafka.Transport
	secured   secured
}

// New returns a Bus; it connects when it is first used. What it waits for and tries again goes to log.
func New(cfg Config, log *slog.Logger) *Bus {
	how := cfg.Security.read()
	transport := &kafka.Transport{ClientID: "outcry", IdleTimeout: time.Minute, MetadataTTL: 10 * time.Second, TLS: how.tls, SASL: how.sasl, Dial: how.dial}
	return &Bus{
		cfg:       cfg,
		log:       log,
		transport: transport,
		secured:   how,
		client:    &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Transport: transport, Timeout: 15 * time.Second},
	}
}

// dialer is for the connections that kafka-go does not pool.
func (b *Bus) dialer(timeout time.Duration) *kafka.Dialer {
	return &kafka.Dialer{ClientID: "outcry", Timeout: timeout, KeepAlive: 30 * time.Second, TLS: b.secured.tls, SASLMechanism: b.secured.sasl, DialFunc: b.secured.dial}
}

// Close closes idle connections.
func (b *Bus) Close() { b.transport.CloseIdleConnections() }

// EnsureTopics creates the topics that do not exist. Those that exist stay as they are.
func (b *Bus) EnsureTopics(ctx context.Context, topics ...Topic) error {
	req := &kafka.CreateTopicsRequest{}
	for _, t := range topics {
		c := kafka.TopicConfig{Topic: b.cfg.Prefix + t.Name, NumPartitions: t.Partitions, ReplicationFactor: -1}
		switch {
		case t.Compacted && t.Retention > 0:
			c.ConfigEntries = append(c.ConfigEntries, kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact,delete"})
		case t.Compacted:
			c.ConfigEntries = append(c.ConfigEntries, kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact"})
		}
		set := func(name string, d time.Duration) {
			c.ConfigEntries = append(c.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: fmt.Sprint(d.Milliseconds())})
		}
		within := cmp.Or(t.CompactedWithin, compactedWithin)
		// Brokers delete and compact segments that are closed, and close them after a week unless they are told otherwise.
		if t.Retention > 0 {
			set("retention.ms", t.Retention-t.Retention/segments)
			set("segment.ms", min(t.Retention/segments, within/2))
		}
		if t.Compacted {
			set("max.compaction.lag.ms", within)
			if t.Retention == 0 {
				set("segment.ms", within/2)
			}
		}
		req.Topics = append(req.Topics, c)
	}
	resp, err := b.client.CreateTopics(ctx, req)
	if err != nil {
		return fmt.Errorf("create topics at %v: %w", b.cfg.Brokers, err)
	}
	var faults []error
	for name, err := range resp.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			faults = append(faults, fmt.Errorf("create topic %s: %w", name, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	for _, t := range topics {
		if _, err := b.Partitions(ctx, t.Name); err != nil {
			return err
		}
	}
	return nil
}

// Partitions returns the number of partitions of a topic. A topic that was just created may take moments to be known everywhere, so
// it asks for up to ten seconds.
func (b *Bus) Partitions(ctx context.Context, topic string) (int, error) {
	deadline := time.Now().Add(askTime)
	for {
		n, err := b.partitions(ctx, topic)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return n, err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

func (b *Bus) partitions(ctx context.Context, topic string) (int, error) {
	topic = b.cfg.Prefix + topic
	resp, err := b.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, fmt.Errorf("ask %v for topic %s: %w", b.cfg.Brokers, topic, err)
	}
	for _, t := range resp.Topics {
		switch {
		case t.Name != topic:
		case t.Error != nil:
			return 0, fmt.Errorf("ask %v for topic %s: %w", b.cfg.Brokers, topic, t.Error)
		case len(t.Partitions) > 0:
			for _, p := range t.Partitions {
				if p.Error != nil && !errors.Is(p.Error, kafka.ReplicaNotAvailable) {
					return 0, fmt.Errorf("partition %d of topic %s: %w", p.ID, topic, p.Error)
				}
			}
			return len(t.Partitions), nil
		}
	}
	return 0, fmt.Errorf("topic %s has no partitions at %v", topic, b.cfg.Brokers)
}

// Offsets is what a partition holds: [First, Next).
type Offsets struct{ First, Next int64 }

// Offsets returns what each partition of a topic holds.
func (b *Bus) Offsets(ctx context.Context, topic string) ([]Offsets, error) {
	deadline := time.Now().Add(askTime)
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		out, err := b.offsets(ctx, topic)
		if err == nil || ctx.Err() != nil || !temporary(err) || time.Now().After(deadline) {
			return out, err
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (b *Bus) offsets(ctx context.Context, topic string) ([]Offsets, error) {
	n, err := b.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	var reqs []kafka.OffsetRequest
	for p := range n {
		reqs = append(reqs, kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
	}
	topic = b.cfg.Prefix + topic
	resp, err := b.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: reqs}})
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of %s: %w", topic, err)
	}
	out := make([]Offsets, n)
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("offsets of %s/%d: %w", topic, p.Partition, p.Error)
		}
		out[p.Partition] = Offsets{First: p.FirstOffset, Next: p.LastOffset}
	}
	return out, nil
}

// Committed returns the offsets that a group has committed for a topic, -1 where it has none.
func (b *Bus) Committed(ctx context.Context, group, topic string) ([]int64, error) {
	n, err := b.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	partitions := make([]int, n)
	for p := range partitions {
		partitions[p] = p
	}
	topic, group = b.cfg.Prefix+topic, b.cfg.Prefix+group
	resp, err := b.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: partitions}})
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of group %s: %w", group, err)
	}
	if errors.Is(resp.Error, kafka.GroupIdNotFound) {
		return slices.Repeat([]int64{-1}, n), nil
	}
	if resp.Error != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, resp.Error)
	}
	out := slices.Repeat([]int64{-1}, n)
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("offset of group %s in %s/%d: %w", group, topic, p.Partition, p.Error)
		}
		out[p.Partition] = p.CommittedOffset
	}
	return out, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// temporary tells faults that waiting can mend from those that it cannot.
func temporary(err error) bool {
	var k kafka.Error
	if errors.As(err, &k) {
		// kafka-go says Unknown where one of several brokers did not answer.
		return k.Temporary() || errors.Is(k, kafka.UnknownTopicOrPartition) || errors.Is(k, kafka.Unknown)
	}
	return !errors.Is(err, context.Canceled)
}
