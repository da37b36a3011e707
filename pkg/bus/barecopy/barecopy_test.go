package barecopy_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/bus/barecopy"
	"outcry.dev/pkg/embedded/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The second topic holds each line once, after each call.
func TestCopiesEveryLine(t *testing.T) {
	b, err := broker.Start(broker.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, err := barecopy.Start(t.Context(), barecopy.Config{Brokers: b.Addrs(), From: "from", To: "to", Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	k := bus.New(bus.Config{Brokers: b.Addrs()}, slog.New(slog.DiscardHandler))
	defer k.Close()
	var want []string
	for _, lines := range []int{1, 30_000, 3} {
		var in strings.Builder
		for range lines {
			line := fmt.Sprintf(`{"n":%d}`, len(want))
			want = append(want, line)
			in.WriteString(line + "\n")
		}
		n, err := c.Copy(t.Context(), strings.NewReader(in.String()))
		if err != nil || n != int64(lines) {
			t.Fatalf("copied %d of %d lines: %v", n, lines, err)
		}
		got := valuesOf(t, k, "to")
		slices.Sort(got)
		sorted := slices.Sorted(slices.Values(want))
		if !slices.Equal(got, sorted) {
			t.Fatalf("the second topic holds %d records, want these %d lines", len(got), len(want))
		}
	}
}

func TestALineBeyondTheLimitIsAnError(t *testing.T) {
	b, err := broker.Start(broker.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, err := barecopy.Start(t.Context(), barecopy.Config{Brokers: b.Addrs(), From: "from", To: "to", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Copy(t.Context(), strings.NewReader(strings.Repeat("x", 17<<20))); err == nil {
		t.Error("a line of 17 MiB was taken")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func valuesOf(t *testing.T, k *bus.Bus, topic string) []string {
	t.Helper()
	offsets, err := k.Offsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for partition, o := range offsets {
		r, err := k.Reader(t.Context(), topic, partition, o.First)
		if err != nil {
			t.Fatal(err)
		}
		for r.Offset() < o.Next {
			msgs, err := r.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range msgs {
				values = append(values, string(m.Value))
			}
		}
		r.Close()
	}
	return values
}
