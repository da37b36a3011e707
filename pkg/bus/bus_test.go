package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/embedded/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := broker.Start(broker.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	k := bus.New(bus.Config{Brokers: b.Addrs(), Prefix: "test."}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() {
		k.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func TestTopicsAreMadeOnce(t *testing.T) {
	k := start(t)
	for range 2 {
		if err := k.EnsureTopics(t.Context(), bus.Topic{Name: "a", Partitions: 3}, bus.Topic{Name: "b", Partitions: 1, Compacted: true}); err != nil {
			t.Fatal(err)
		}
	}
	n, err := k.Partitions(t.Context(), "a")
	if err != nil || n != 3 {
		t.Fatalf("a has %d partitions (%v), want 3", n, err)
	}
}

// The messages of a key come in the order in which they were written, and a new owner goes on at the committed offset.
func TestConsumeInOrderAndGoOn(t *testing.T) {
	k := start(t)
	if err := k.EnsureTopics(t.Context(), bus.Topic{Name: "a", Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	p, err := k.Producer(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	const keys, each = 7, 5000
	var msgs []bus.Message
	for i := range each {
		for key := range keys {
			msgs = append(msgs, bus.Message{Partition: bus.AnyPartition, Key: fmt.Appendf(nil, "key%d", key), Value: fmt.Append(nil, i)})
		}
	}
	if err := p.Write(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	next := map[string]int{}
	total := 0
	read := func(stopAt int) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := k.Consume(ctx, bus.GroupConfig{Group: "g", Topic: "a"}, func(ctx context.Context, c *bus.Claim) error {
			for {
				msgs, err := c.Fetch(ctx)
				if err != nil {
					return err
				}
				mu.Lock()
				for _, m := range msgs {
					if got, want := string(m.Value), fmt.Sprint(next[string(m.Key)]); got != want {
						t.Errorf("key %s: read %s, want %s", m.Key, got, want)
					}
					next[string(m.Key)]++
					total++
				}
				enough := total >= stopAt
				mu.Unlock()
				if len(msgs) > 0 {
					if err := c.Commit(c.Offset()); err != nil {
						return err
					}
				}
				if enough {
					cancel()
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
	read(1)
	first := total
	if err := p.Write(t.Context(), bus.Message{Partition: bus.AnyPartition, Key: []byte("key0"), Value: fmt.Append(nil, each)}); err != nil {
		t.Fatal(err)
	}
	if first <= keys*each {
		read(keys*each + 1)
	}
	if total != keys*each+1 {
		t.Errorf("read %d messages, want %d", total, keys*each+1)
	}
}

// Records that pack well are many times as long as what is sent of them, and still come a few megabytes at a time, in order.
func TestFetchIsBoundedOnceUnpacked(t *testing.T) {
	k := start(t)
	if err := k.EnsureTopics(t.Context(), bus.Topic{Name: "a", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	p, err := k.Producer(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	const records, size = 1000, 64 << 10
	value := bytes.Repeat([]byte("skype is down "), size/14)
	for range records / 10 {
		if err := p.Write(t.Context(), slices.Repeat([]bus.Message{{Value: value}}, 10)...); err != nil {
			t.Fatal(err)
		}
	}
	r, err := k.Reader(t.Context(), "a", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for next := int64(0); next < records; {
		msgs, err := r.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(msgs) * size; n > 17<<20 {
			t.Fatalf("%d MB came at once", n>>20)
		}
		for _, m := range msgs {
			if m.Offset != next || !bytes.Equal(m.Value, value) {
				t.Fatalf("record %d with %d bytes, want %d with %d", m.Offset, len(m.Value), next, size)
			}
			next++
		}
	}
}

// Retention overtakes a reader between two fetches: it goes on with what is left.
func TestOvertakenByRetention(t *testing.T) {
	k := start(t)
	if err := k.EnsureTopics(t.Context(), bus.Topic{Name: "a", Partitions: 1, Retention: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	p, err := k.Producer(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var r *bus.Claim
	for first := int64(0); first == 0; time.Sleep(200 * time.Millisecond) {
		if err := p.Write(ctx, bus.Message{Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if r == nil {
			if r, err = k.Reader(ctx, "a", 0, 0); err != nil {
				t.Fatal(err)
			}
			defer r.Close()
		}
		offsets, err := k.Offsets(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		first = offsets[0].First
	}
	for {
		msgs, err := r.Fetch(ctx)
		if err != nil {
			t.Fatalf("at offset %d: %v", r.Offset(), err)
		}
		if len(msgs) > 0 {
			if msgs[0].Offset == 0 {
				t.Error("the first record is still there")
			}
			return
		}
	}
}

func TestAFailingHandlerEndsConsume(t *testing.T) {
	k := start(t)
	if err := k.EnsureTopics(t.Context(), bus.Topic{Name: "a", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	boom := fmt.Errorf("boom")
	err := k.Consume(t.Context(), bus.GroupConfig{Group: "g", Topic: "a"}, func(ctx context.Context, c *bus.Claim) error {
		if c.Partition == 1 {
			return boom
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if err == nil || err.Error() != "a/1: boom" {
		t.Errorf("Consume returned %v, want the handler's error with its place", err)
	}
}

// A member that paused for longer than its session finds out when it commits. It joins anew and goes on where it had committed.
func TestALostSessionIsJoinedAnew(t *testing.T) {
	k := start(t)
	if err := k.EnsureTopics(t.Context(), bus.Topic{Name: "a", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	p, err := k.Producer(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(t.Context(), bus.Message{Value: []byte("one")}, bus.Message{Value: []byte("two")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var generations []int
	err = k.Consume(ctx, bus.GroupConfig{Group: "g", Topic: "a"}, func(ctx context.Context, c *bus.Claim) error {
		generations = append(generations, c.Generation)
		switch len(generations) {
		case 1:
			if err := c.Commit(1); err != nil {
				return err
			}
			return fmt.Errorf("after a long pause: %w", bus.ErrLost)
		default:
			msgs, err := c.Fetch(ctx)
			if err != nil {
				return err
			}
			if len(msgs) != 1 || string(msgs[0].Value) != "two" {
				t.Errorf("it went on with %v, want what follows the commit", msgs)
			}
			cancel()
			return nil
		}
	})
	if err != nil || len(generations) != 2 || generations[1] <= generations[0] {
		t.Errorf("Consume returned %v after the generations %v, want a second one", err, generations)
	}
}

// A claim whose generation has ended cannot commit, and says so.
func TestAnOldClaimCannotCommit(t *testing.T) {
	k := start(t)
	if err := k.EnsureTopics(t.Context(), bus.Topic{Name: "a", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	claims := make(chan *bus.Claim)
	var members sync.WaitGroup
	member := func(ctx context.Context) {
		members.Go(func() {
			err := k.Consume(ctx, bus.GroupConfig{Group: "g", Topic: "a"}, func(ctx context.Context, c *bus.Claim) error {
				select {
				case claims <- c:
				case <-ctx.Done():
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if err != nil {
				t.Errorf("Consume returned %v", err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer members.Wait()
	defer cancel()
	member(ctx)
	old := <-claims
	<-claims
	member(ctx)
	for c := range claims {
		if c.Generation > old.Generation {
			break
		}
	}
	if err := old.Commit(0); !errors.Is(err, bus.ErrLost) {
		t.Errorf("commit of a claim that has passed on: %v, want ErrLost", err)
	}
}
