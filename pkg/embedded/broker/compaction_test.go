package broker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"outcry.dev/pkg/bus"
)

const (
	compactedTopic = "incidents.v1"
	secret         = "giraffe"
)

func quickly(dir string) Config { return Config{DataDir: dir, trimEvery: 10 * time.Millisecond} }

// write produces records, all in one batch, and returns the offset of the first.
func write(t *testing.T, c *kgo.Client, records ...*kgo.Record) int64 {
	t.Helper()
	for _, r := range records {
		r.Topic = compactedTopic
	}
	results := c.ProduceSync(bounded(t), records...)
	if err := results.FirstErr(); err != nil {
		t.Fatal(err)
	}
	return results[0].Record.Offset
}

func keyed(key, value string) *kgo.Record { return &kgo.Record{Key: []byte(key), Value: []byte(value)} }

type at struct {
	offset     int64
	key, value string
}

// holds reads the topic as Outcry's services do, from an offset to the end.
func holds(t *testing.T, b *Broker, from int64) (all []at) {
	t.Helper()
	return holdsAt(t, b.Addrs()[0], from)
}

func holdsAt(t *testing.T, addr string, from int64) (all []at) {
	t.Helper()
	ctx := bounded(t)
	kafka := bus.New(bus.Config{Brokers: []string{addr}}, slog.New(slog.DiscardHandler))
	defer kafka.Close()
	offsets, err := kafka.Offsets(ctx, compactedTopic)
	if err != nil {
		t.Fatal(err)
	}
	r, err := kafka.Reader(ctx, compactedTopic, 0, from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Offset() != from {
		t.Errorf("offset %d is out of range", from)
	}
	for r.Offset() < offsets[0].Next {
		msgs, err := r.Fetch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			all = append(all, at{m.Offset, string(m.Key), string(m.Value)})
		}
	}
	return all
}

// onDisk tells whether a file below dir holds a text.
func onDisk(t *testing.T, dir, text string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "log", "partitions", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err == nil && bytes.Contains(b, []byte(text)) { // it may be gone meanwhile
			return true
		}
	}
	return false
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !met() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSupersededRecordsGo(t *testing.T) {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			cfg, log := quickly(t.TempDir()), &syncBuffer{}
			b, err := Start(cfg, slog.New(slog.NewTextHandler(log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { stop(t, b) })
			c := client(t, b, kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			createTopic(t, c, compactedTopic, 1, "cleanup.policy=compact", "max.compaction.lag.ms=1000", "segment.bytes=2000")
			long := string(bytes.Repeat([]byte("long "), 20))
			write(t, c, keyed("a", secret+long), keyed("b", secret+long))                    // 0, 1: nothing stays of the first batch
			write(t, c, keyed("c", "stays"+long), keyed("a", secret+long), keyed("d", "d1")) // 2, 3, 4
			for range 30 {
				write(t, c, keyed("b", secret+long), keyed("d", "d"+long)) // 5 to 64: whole segments of what goes
			}
			write(t, c, keyed("e", "stays too"), keyed("b", "")) // 65, 66
			last := write(t, c, keyed("a", "nothing to see"))    // 67
			want := []at{{2, "c", "stays" + long}, {64, "d", "d" + long}, {65, "e", "stays too"}, {66, "b", ""}, {67, "a", "nothing to see"}}
			eventually(t, "superseded records are gone", func() bool { return slices.Equal(holds(t, b, 0), want) })
			if last != 67 {
				t.Fatalf("the last record is at %d", last)
			}
			for from := range last + 1 {
				if got, rest := holds(t, b, from), slices.DeleteFunc(slices.Clone(want), func(r at) bool { return r.offset < from }); !slices.Equal(got, rest) {
					t.Errorf("from %d: %v, want %v", from, got, rest)
				}
			}
			if codec == kgo.NoCompression() && onDisk(t, cfg.DataDir, secret) {
				t.Error("the text stands in a file")
			}

			// What grows without superseding anything is looked at, and neither written again nor a reason to restart.
			compactions := func() int { return strings.Count(log.String(), "has compacted") }
			before, n := files(t, cfg.DataDir), compactions()
			if next := write(t, c, keyed("f", "more")); next != last+1 {
				t.Errorf("the next record came to offset %d", next)
			}
			time.Sleep(1500 * time.Millisecond)
			if after := files(t, cfg.DataDir); !slices.EqualFunc(before, after, os.SameFile) || n == 0 || compactions() != n {
				t.Errorf("%d compactions, and %d more of a partition without superseded records", n, compactions()-n)
			}
			want = append(want, at{68, "f", "more"})
			c.Close()
			for range 2 { // the first start follows a compaction, the second has nothing to do
				stop(t, b)
				b = start(t, cfg)
				if got := holds(t, b, 0); !slices.Equal(got, want) {
					t.Errorf("after a restart: %v, want %v", got, want)
				}
			}
		})
	}
}

func files(t *testing.T, dir string) (all []os.FileInfo) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "log", "partitions", "*", "*.dat"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info)
	}
	return all
}

// Compaction does not wait for who has yet to read: what comes next is the next record that there is.
func TestGroupReadsOnAcrossAHole(t *testing.T) {
	b := start(t, quickly(t.TempDir()))
	c := client(t, b)
	createTopic(t, c, compactedTopic, 1, "cleanup.policy=compact", "max.compaction.lag.ms=1000")
	for i := range 9 {
		write(t, c, keyed("a", fmt.Sprint(i)))
	}
	commit(t, c, "slow", compactedTopic, 4)
	eventually(t, "superseded records are gone", func() bool { return len(holds(t, b, 0)) == 1 })
	group := client(t, b, kgo.ConsumerGroup("slow"), kgo.ConsumeTopics(compactedTopic), kgo.DisableAutoCommit())
	if got := consume(t, group, 1); got["8"] != 1 {
		t.Errorf("the group got %v", got)
	}
}

func TestTombstonesGoAtLast(t *testing.T) {
	for retention, want := range map[string][]at{
		"0":        {{2, "b", "stays"}, {3, "c", ""}},
		"86400000": {{1, "a", ""}, {2, "b", "stays"}, {3, "c", ""}},
	} {
		b := start(t, quickly(t.TempDir()))
		c := client(t, b)
		createTopic(t, c, compactedTopic, 1, "cleanup.policy=compact", "max.compaction.lag.ms=1000", "delete.retention.ms="+retention)
		tombstone := func(key string) *kgo.Record { return &kgo.Record{Key: []byte(key)} }
		write(t, c, keyed("a", secret), tombstone("a"), keyed("b", "stays"), tombstone("c")) // the last stays: it holds the partition's offset
		eventually(t, "superseded records are gone", func() bool { return slices.Equal(holds(t, b, 0), want) })
	}
}

// What DeleteRecords took does not come back, though a compaction makes kfake read all files anew.
func TestDeletedRecordsStayDeleted(t *testing.T) {
	cfg := quickly(t.TempDir())
	b := start(t, cfg)
	c := client(t, b, uncompressed())
	createTopic(t, c, compactedTopic, 1, "cleanup.policy=compact,delete", "max.compaction.lag.ms=1000")
	write(t, c, keyed("a", "1"), keyed("b", secret), keyed("c", "1"), keyed("d", "1"))
	write(t, c, keyed("a", "2"), keyed("c", "2"))
	if err := b.trimmer.cut(bounded(t), map[partition]int64{{compactedTopic, 0}: 2}); err != nil {
		t.Fatal(err)
	}
	want := []at{{3, "d", "1"}, {4, "a", "2"}, {5, "c", "2"}}
	eventually(t, "superseded records are gone", func() bool { return slices.Equal(holds(t, b, 2), want) })
	if first := b.first(t, compactedTopic); first != 2 {
		t.Errorf("the log begins at %d, want 2", first)
	}
	if onDisk(t, cfg.DataDir, secret) {
		t.Error("the deleted text stands in a file")
	}
}

// Where a segment cannot be written anew, as on a full disk, the log stays as it is, and the broker runs on.
func TestWhatCannotBeWrittenStays(t *testing.T) {
	cfg, log := quickly(t.TempDir()), &syncBuffer{}
	b, err := Start(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, b) })
	c := client(t, b)
	createTopic(t, c, compactedTopic, 1, "cleanup.policy=compact", "max.compaction.lag.ms=1000")
	obstacle := filepath.Join(cfg.DataDir, "log", "partitions", compactedTopic+"-0", "0"+nextSuffix)
	if err := os.MkdirAll(filepath.Join(obstacle, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		write(t, c, keyed("a", fmt.Sprint(i)))
	}
	eventually(t, "the compaction has failed twice", func() bool { return strings.Count(log.String(), "was not compacted") > 1 })
	if got, want := holds(t, b, 0), []at{{0, "a", "0"}, {1, "a", "1"}, {2, "a", "2"}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	eventually(t, "superseded records are gone", func() bool { return slices.Equal(holds(t, b, 0), []at{{2, "a", "2"}}) })
}

// Who writes and who reads as a group is cut off by a compaction, and goes on.
func TestWritersAndGroupsGoOnAcrossACompaction(t *testing.T) {
	b := start(t, quickly(t.TempDir()))
	c := client(t, b)
	createTopic(t, c, compactedTopic, 1, "cleanup.policy=compact", "max.compaction.lag.ms=1000")
	createTopic(t, c, "posts.v1", 2)
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	kafka := bus.New(bus.Config{Brokers: b.Addrs()}, quiet())
	defer kafka.Close()
	var mu sync.Mutex
	read := map[string]bool{}
	generations := map[int]bool{}
	consumed := make(chan error, 1)
	go func() {
		consumed <- kafka.Consume(ctx, bus.GroupConfig{Group: "readers", Topic: "posts.v1"}, func(ctx context.Context, claim *bus.Claim) error {
			for {
				msgs, err := claim.Fetch(ctx)
				if err != nil {
					return err
				}
				mu.Lock()
				generations[claim.Generation] = true
				for _, m := range msgs {
					read[string(m.Value)] = true
				}
				mu.Unlock()
				if err := claim.Commit(claim.Offset()); err != nil {
					return err
				}
			}
		})
	}()
	posts, err := kafka.Producer(ctx, "posts.v1")
	if err != nil {
		t.Fatal(err)
	}
	incidents, err := kafka.Producer(ctx, compactedTopic)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	eventually(t, "the group has been cut off twice", func() bool {
		for p, m := range map[*bus.Producer]bus.Message{posts: {Partition: n % 2, Value: fmt.Append(nil, n)}, incidents: {Key: []byte("a"), Value: fmt.Append(nil, n)}} {
			if err := p.Write(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
		n++
		mu.Lock()
		defer mu.Unlock()
		return len(generations) > 2
	})
	eventually(t, "all was read", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(read) == n
	})
	cancel()
	if err := <-consumed; err != nil {
		t.Error(err)
	}
}

// After a compaction a log can grow to be exactly as long as it was when the broker was closed, and is not what it was then.
func TestWhatKfakeNotedAtItsEndIsNotBelievedLater(t *testing.T) {
	dir := t.TempDir()
	b := start(t, Config{DataDir: dir})
	c := client(t, b)
	createTopic(t, c, compactedTopic, 1, "cleanup.policy=compact")
	for _, r := range []*kgo.Record{keyed("a", "1"), keyed("b", "1"), keyed("a", "2")} {
		write(t, c, r)
	}
	c.Close()
	stop(t, b)
	closed := files(t, dir)

	addr, kill := victim(t, dir)
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DisableIdempotentWrite())
	if err != nil {
		t.Fatal(err)
	}
	write(t, c, keyed("c", "1"))
	c.Close()
	kill()
	if grown := files(t, dir); len(grown) != 1 || grown[0].Size() != closed[0].Size() {
		t.Fatalf("the log is %d bytes long, and was %d", grown[0].Size(), closed[0].Size())
	}
	b = start(t, Config{DataDir: dir})
	if next := write(t, client(t, b), keyed("d", "1")); next != 4 {
		t.Errorf("the next record came to offset %d, want 4", next)
	}
}

// TestKilledWhileItCompacts kills a broker that does hardly anything but compact, again and again: each key keeps its last acknowledged value at
// its offset, and what was gone stays gone.
func TestKilledWhileItCompacts(t *testing.T) {
	const keys, kills, hits = 7, 30, 3
	dir := t.TempDir()
	var (
		next  int                    // number of the next value
		said  = map[int64]at{}       // all that was acknowledged
		last  = map[string]at{}      // of that, the last of each key
		gone  = map[int64]bool{}     // of that, what compaction took
		count = func(r at) (n int) { // number of a value
			if _, err := fmt.Sscanf(r.value, "value %d", &n); err != nil {
				t.Fatalf("%v: %v", r, err)
			}
			return n
		}
	)
	check := func(addr string, round int) {
		now, end := map[string]at{}, int64(-1)
		there := map[int64]bool{}
		for _, r := range holdsAt(t, addr, 0) {
			if r.offset <= end {
				t.Errorf("kill %d: offset %d follows %d", round, r.offset, end)
			}
			end, now[r.key], there[r.offset] = r.offset, r, true
			if was, known := said[r.offset]; known && was != r {
				t.Errorf("kill %d: %v is where %v was acknowledged", round, r, was)
			}
			if gone[r.offset] {
				t.Errorf("kill %d: %v has come back", round, r)
			}
		}
		for key, want := range last { // a value that was not acknowledged may have followed it
			if got := now[key]; got.offset < want.offset || count(got) < count(want) {
				t.Fatalf("kill %d: %s holds %v, and %v was acknowledged", round, key, got, want)
			}
		}
		for offset := range said {
			if !there[offset] {
				gone[offset] = true
			}
		}
	}
	hit := 0
	for round := 0; round < kills || hit < hits; round++ {
		if round == 20*kills {
			t.Fatalf("of %d kills, %d came while segments were being replaced", round, hit)
		}
		addr, kill := victim(t, dir)
		c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DisableIdempotentWrite(), uncompressed(), kgo.RetryBackoffFn(func(int) time.Duration { return time.Millisecond }))
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			createTopic(t, c, compactedTopic, 1, "cleanup.policy=compact", "max.compaction.lag.ms=20", "segment.bytes=500")
		}
		check(addr, round)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(rand.IntN(300))*time.Millisecond, func() { kill(); cancel() })
		for {
			r, err := c.ProduceSync(ctx, &kgo.Record{Topic: compactedTopic, Key: fmt.Appendf(nil, "key %d", rand.IntN(keys)), Value: fmt.Appendf(nil, "value %d", next)}).First()
			next++
			if err != nil {
				break
			}
			said[r.Offset] = at{r.Offset, string(r.Key), string(r.Value)}
			last[string(r.Key)] = said[r.Offset]
		}
		<-ctx.Done()
		c.Close()
		if left, err := filepath.Glob(filepath.Join(dir, "log", "partitions", "*", "*"+nextSuffix)); err != nil || len(left) > 0 {
			hit++
		}
	}
	b := start(t, Config{DataDir: dir})
	check(b.Addrs()[0], -1)
	t.Logf("%d records acknowledged, of which %d are gone; %d kills came while segments were being replaced", len(said), len(gone), hit)
	if len(gone) < len(said)/2 {
		t.Error("next to nothing was compacted")
	}
}
