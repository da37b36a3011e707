package broker

import (
	"bytes"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

const smallBytes = 64 << 10

// fill writes records of 1 kB that do not compress, each acknowledged alone, and returns the next offset.
func fill(t *testing.T, c *kgo.Client, topic string, records int) int64 {
	t.Helper()
	var last int64
	for range records {
		r, err := c.ProduceSync(bounded(t), &kgo.Record{Topic: topic, Value: bytes.Repeat([]byte("x"), 1000)}).First()
		if err != nil {
			t.Fatal(err)
		}
		last = r.Offset
	}
	return last + 1
}

func uncompressed() kgo.Opt { return kgo.ProducerBatchCompression(kgo.NoCompression()) }

func (b *Broker) first(t *testing.T, topic string) int64 {
	t.Helper()
	at := partition{topic, 0}
	offsets, err := b.trimmer.offsets(bounded(t), map[partition]int64{at: -2})
	if err != nil {
		t.Fatal(err)
	}
	return offsets[at]
}

func (b *Broker) trim(t *testing.T) {
	t.Helper()
	if err := b.trimmer.trim(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

// commit has a group without members commit, as an administrator's tool does.
func commit(t *testing.T, c *kgo.Client, group, topic string, offset int64) {
	t.Helper()
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.Generation = group, -1
	rp := kmsg.NewOffsetCommitRequestTopicPartition()
	rp.Offset = offset
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic, rt.Partitions = topic, []kmsg.OffsetCommitRequestTopicPartition{rp}
	request.Topics = append(request.Topics, rt)
	response, err := request.RequestWith(bounded(t), namingTopics(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(response.Topics[0].Partitions[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
}

// namingTopics is a client of a Kafka that names topics, not their ids, in commits.
func namingTopics(t *testing.T, c *kgo.Client) *kgo.Client {
	t.Helper()
	old, err := kgo.NewClient(kgo.SeedBrokers(c.OptValue(kgo.SeedBrokers).([]string)...), kgo.MaxVersions(kversion.V3_0_0()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(old.Close)
	return old
}

func TestTrimsWhatEveryGroupHasRead(t *testing.T) {
	cfg := Config{DataDir: t.TempDir(), RetentionBytes: smallBytes}
	b := start(t, cfg)
	c := client(t, b, uncompressed())
	createTopic(t, c, "posts.v1", 1)
	next := fill(t, c, "posts.v1", 200)
	before := diskBytes(t, cfg.DataDir)

	b.trim(t)
	if first := b.first(t, "posts.v1"); first != 0 {
		t.Errorf("nobody has read, and it begins at %d", first)
	}
	commit(t, c, "slow", "posts.v1", 120)
	commit(t, c, "quick", "posts.v1", next)
	b.trim(t)
	if first := b.first(t, "posts.v1"); first != 120 {
		t.Errorf("begins at %d, want 120, where the slow group is", first)
	}
	commit(t, c, "slow", "posts.v1", next)
	b.trim(t)
	if first := b.first(t, "posts.v1"); first != next-1 {
		t.Errorf("begins at %d, want %d: all but the last record were read", first, next-1)
	}
	if after := diskBytes(t, cfg.DataDir); after > before-smallBytes {
		t.Errorf("%d bytes on the disk, were %d", after, before)
	}
	c.Close()
	stop(t, b)

	// What the groups wait for keeps its offset over a restart, though nearly all was deleted.
	b = start(t, cfg)
	c = client(t, b, uncompressed())
	if got := fill(t, c, "posts.v1", 1) - 1; got != next {
		t.Errorf("after the restart a record came to offset %d, want %d", got, next)
	}
	group := client(t, b, kgo.ConsumerGroup("slow"), kgo.ConsumeTopics("posts.v1"), kgo.DisableAutoCommit())
	if fetches := group.PollFetches(bounded(t)); fetches.Err() != nil || fetches.NumRecords() != 1 {
		t.Errorf("the group got %d records: %v", fetches.NumRecords(), fetches.Err())
	}
}

// What was kept for its time goes once it is read, and where nobody reads at all; the last record stays.
func TestOldRecordsGo(t *testing.T) {
	b := start(t, Config{})
	c := client(t, b, uncompressed())
	createTopic(t, c, "posts.v1", 1, "retention.ms=3600000")
	createTopic(t, c, "dead.v1", 1, "retention.ms=3600000")
	createTopic(t, c, "kept.v1", 1)
	for _, topic := range []string{"posts.v1", "dead.v1", "kept.v1"} {
		for i := range 10 {
			at := time.Now().Add(-2 * time.Hour)
			if i >= 6 {
				at = time.Now()
			}
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x"), Timestamp: at}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	commit(t, c, "slow", "posts.v1", 4)
	b.trim(t)
	for topic, want := range map[string]int64{"posts.v1": 4, "dead.v1": 6, "kept.v1": 0} {
		if first := b.first(t, topic); first != want {
			t.Errorf("%s begins at %d, want %d", topic, first, want)
		}
	}
	commit(t, c, "slow", "posts.v1", 10)
	b.trim(t)
	if first := b.first(t, "posts.v1"); first != 6 {
		t.Errorf("posts.v1 begins at %d, want 6: the rest is young", first)
	}
	createTopic(t, c, "old.v1", 1, "retention.ms=3600000")
	for range 3 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "old.v1", Value: []byte("x"), Timestamp: time.Now().Add(-2 * time.Hour)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	b.trim(t)
	if first := b.first(t, "old.v1"); first != 2 {
		t.Errorf("old.v1 begins at %d, want 2: the last record stays", first)
	}
}

func TestSmallPartitionIsLeftAlone(t *testing.T) {
	b := start(t, Config{RetentionBytes: smallBytes})
	c := client(t, b, uncompressed())
	createTopic(t, c, "posts.v1", 1)
	commit(t, c, "readers", "posts.v1", fill(t, c, "posts.v1", 50))
	b.trim(t)
	if first := b.first(t, "posts.v1"); first != 0 {
		t.Errorf("begins at %d", first)
	}
}

func TestCompactedTopicIsState(t *testing.T) {
	b := start(t, Config{RetentionBytes: smallBytes})
	c := client(t, b, uncompressed())
	createTopic(t, c, "incidents.v1", 1, "cleanup.policy=compact")
	commit(t, c, "readers", "incidents.v1", fill(t, c, "incidents.v1", 200))
	b.trim(t)
	if first := b.first(t, "incidents.v1"); first != 0 {
		t.Errorf("begins at %d", first)
	}
}

func TestUnreadRecordsGoOnlyBeforeTheDiskIsFull(t *testing.T) {
	log := &syncBuffer{}
	cfg := Config{RetentionBytes: 1 << 10} // so that the hard bound is 32 records
	b, err := Start(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, b) })
	c := client(t, b, uncompressed())
	createTopic(t, c, "dead.v1", 1)
	fill(t, c, "dead.v1", 20)
	b.trim(t)
	if first := b.first(t, "dead.v1"); first != 0 {
		t.Errorf("begins at %d, though it was not that large", first)
	}
	fill(t, c, "dead.v1", 80)
	b.trim(t)
	if first := b.first(t, "dead.v1"); first != 50 {
		t.Errorf("begins at %d, want half of 100", first)
	}
	if text := log.String(); !strings.Contains(text, "unread") || !strings.Contains(text, "dead.v1") {
		t.Errorf("the loss was not told: %s", text)
	}
}

func diskBytes(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
