package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Args[0] == victimName {
		beVictim(os.Args[1])
		return
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, cfg Config) *Broker {
	t.Helper()
	b, err := Start(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, b) })
	return b
}

func stop(t *testing.T, b *Broker) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func client(t *testing.T, b *Broker, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addrs()...), kgo.FetchMaxWait(100 * time.Millisecond)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func createTopic(t *testing.T, c *kgo.Client, topic string, partitions int32, configs ...string) {
	t.Helper()
	request := kmsg.NewPtrCreateTopicsRequest()
	created := kmsg.NewCreateTopicsRequestTopic()
	created.Topic, created.NumPartitions, created.ReplicationFactor = topic, partitions, 1
	for _, config := range configs {
		name, value, _ := strings.Cut(config, "=")
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, &value
		created.Configs = append(created.Configs, c)
	}
	request.Topics = append(request.Topics, created)
	response, err := request.RequestWith(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(response.Topics[0].ErrorCode); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
}

// bounded ends a test that hangs; nothing depends on how long it is.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func produce(t *testing.T, c *kgo.Client, topic string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		c.Produce(bounded(t), &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", i), Value: fmt.Appendf(nil, "value-%d", i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := c.Flush(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

// consume reads until it has n records, and returns how often each value came.
func consume(t *testing.T, c *kgo.Client, n int) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for got := 0; got < n; {
		fetches := c.PollFetches(bounded(t))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++; got++ })
	}
	return seen
}

func TestTopicsRecordsAndOffsetsSurviveARestart(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprintf("sync=%v", sync), func(t *testing.T) {
			cfg := Config{DataDir: t.TempDir(), SyncWrites: sync}
			first := start(t, cfg)
			producer := client(t, first)
			createTopic(t, producer, "posts.v1", 3)
			produce(t, producer, "posts.v1", 0, 50)
			group := client(t, first, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("posts.v1"), kgo.DisableAutoCommit())
			consume(t, group, 50)
			if err := group.CommitUncommittedOffsets(bounded(t)); err != nil {
				t.Fatal(err)
			}
			produce(t, producer, "posts.v1", 50, 60)
			group.Close()
			producer.Close()
			stop(t, first)

			second := start(t, cfg)
			group = client(t, second, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("posts.v1"), kgo.DisableAutoCommit())
			for value, times := range consume(t, group, 10) {
				if value < "value-50" || times != 1 {
					t.Errorf("%s came %d times after the restart: it was committed before, or came twice", value, times)
				}
			}
			if all := consume(t, client(t, second, kgo.ConsumeTopics("posts.v1")), 60); len(all) != 60 {
				t.Errorf("%d distinct records after the restart, want 60", len(all))
			}
		})
	}
}

func TestGroupSharesPartitionsAndHandsThemOver(t *testing.T) {
	b := start(t, Config{})
	producer := client(t, b)
	createTopic(t, producer, "posts.v1", 4)
	one := join(t, b)
	produce(t, producer, "posts.v1", 0, 20)
	consume(t, one.Client, 20)
	if err := one.CommitUncommittedOffsets(bounded(t)); err != nil {
		t.Fatal(err)
	}

	ctx := bounded(t)
	two := join(t, b)
	owns := func(m *member, n int32) {
		t.Helper()
		for m.owned.Load() != n {
			one.PollFetches(shortly(t)) // a member has to poll to be told of a rebalance
			two.PollFetches(shortly(t))
			if ctx.Err() != nil {
				t.Fatalf("a member owns %d partitions, want %d", m.owned.Load(), n)
			}
		}
	}
	owns(two, 2)
	owns(one, 2)
	one.Close()
	owns(two, 4)
	produce(t, producer, "posts.v1", 20, 40)
	for value, times := range consume(t, two.Client, 20) {
		if value < "value-20" || times != 1 {
			t.Errorf("%s came %d times, though it was committed before", value, times)
		}
	}
}

type member struct {
	*kgo.Client
	owned atomic.Int32 // partitions
}

func join(t *testing.T, b *Broker) *member {
	m := &member{}
	count := func(sign int32) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			for _, partitions := range topics {
				m.owned.Add(sign * int32(len(partitions)))
			}
		}
	}
	m.Client = client(t, b, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("posts.v1"), kgo.DisableAutoCommit(),
		kgo.HeartbeatInterval(100*time.Millisecond), kgo.Balancers(kgo.RangeBalancer()),
		kgo.OnPartitionsAssigned(count(1)), kgo.OnPartitionsRevoked(count(-1)), kgo.OnPartitionsLost(count(-1)))
	return m
}

func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestCommitKeepsItsMetadata(t *testing.T) {
	cfg := Config{DataDir: t.TempDir()}
	b := start(t, cfg)
	producer := client(t, b)
	createTopic(t, producer, "posts.v1", 1)
	produce(t, producer, "posts.v1", 0, 3)
	group := client(t, b, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("posts.v1"), kgo.DisableAutoCommit())
	consume(t, group, 3)
	ctx := kgo.PreCommitFnContext(bounded(t), func(request *kmsg.OffsetCommitRequest) error {
		for i := range request.Topics[0].Partitions {
			request.Topics[0].Partitions[i].Metadata = kmsg.StringPtr("window=12:00")
		}
		return nil
	})
	if err := group.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	group.Close()
	producer.Close()
	stop(t, b)

	request := kmsg.NewPtrOffsetFetchRequest()
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = "readers"
	request.Groups = append(request.Groups, of)
	response, err := request.RequestWith(bounded(t), client(t, start(t, cfg)))
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Groups) != 1 || len(response.Groups[0].Topics) != 1 {
		t.Fatalf("fetched offsets of %v", response.Groups)
	}
	at := response.Groups[0].Topics[0].Partitions[0]
	if at.Offset != 3 || at.Metadata == nil || *at.Metadata != "window=12:00" {
		t.Errorf("committed offset %d with metadata %v", at.Offset, at.Metadata)
	}
}

func TestNothingCreatesATopicByAsking(t *testing.T) {
	b := start(t, Config{})
	c := client(t, b, kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
	err := c.ProduceSync(bounded(t), &kgo.Record{Topic: "mistyped", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("produce to a topic that nobody made: %v", err)
	}
	response, err := kmsg.NewPtrMetadataRequest().RequestWith(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Topics) != 0 {
		t.Errorf("topics after asking for one: %v", response.Topics)
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	b := start(t, Config{})
	for _, addr := range b.Addrs() {
		host, _, err := net.SplitHostPort(addr)
		if err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("listens on %s", addr)
		}
	}
}

func TestSecondBrokerOnTheSameFolderIsRefused(t *testing.T) {
	cfg := Config{DataDir: t.TempDir()}
	first := start(t, cfg)
	if _, err := Start(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Fatalf("second broker: %v", err)
	}
	stop(t, first)
	start(t, cfg)
}

func TestTakenPortIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	cfg := Config{DataDir: t.TempDir(), Port: port}
	if _, err := Start(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), fmt.Sprint(port)) {
		t.Fatalf("start on a taken port: %v", err)
	}
	cfg.Port = 0
	start(t, cfg) // the failed start has let go of the folder
}

func TestConfigurationFaultsComeTogether(t *testing.T) {
	err := Config{Port: 70000, SyncWrites: true, RetentionBytes: -1}.Validate()
	for _, part := range []string{"70000", "folder", "-1 bytes"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}
