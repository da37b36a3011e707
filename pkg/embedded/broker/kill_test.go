package broker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// victimName is argv[0] of a process that is a broker until it is killed.
const victimName = "broker-to-be-killed"

func beVictim(dir string) {
	// It looks often, so that a kill can come while it compacts.
	b, err := Start(Config{DataDir: dir, trimEvery: 10 * time.Millisecond}, quiet())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(b.Addrs()[0])
	select {}
}

func victim(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = []string{victimName, dir}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), kill
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	const acknowledged, committed = 500, 200
	for round := range 2 { // the second round kills a broker that had recovered from a kill
		addr, kill := victim(t, dir)
		connect := func(options ...kgo.Opt) *kgo.Client {
			c, err := kgo.NewClient(append(options, kgo.SeedBrokers(addr), kgo.DisableIdempotentWrite())...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			return c
		}
		producer := connect()
		topic := fmt.Sprintf("round-%d", round)
		createTopic(t, producer, topic, 3)
		produce(t, producer, topic, 0, committed)
		group := connect(kgo.ConsumerGroup("readers-"+topic), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
		consume(t, group, committed)
		if err := group.CommitUncommittedOffsets(bounded(t)); err != nil {
			t.Fatal(err)
		}
		produce(t, producer, topic, committed, acknowledged)
		kill()
		group.Close()
		producer.Close()
	}

	b := start(t, Config{DataDir: dir})
	for round := range 2 {
		topic := fmt.Sprintf("round-%d", round)
		all := consume(t, client(t, b, kgo.ConsumeTopics(topic)), acknowledged)
		for i := range acknowledged {
			if value := fmt.Sprintf("value-%d", i); all[value] != 1 {
				t.Errorf("%s: %s is there %d times", topic, value, all[value])
			}
		}
		group := client(t, b, kgo.ConsumerGroup("readers-"+topic), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
		rest := consume(t, group, acknowledged-committed)
		for i := range acknowledged {
			want := 0
			if i >= committed {
				want = 1
			}
			if value := fmt.Sprintf("value-%d", i); rest[value] != want {
				t.Errorf("%s: the group gets %s %d times, want %d", topic, value, rest[value], want)
			}
		}
	}
}

// TestTornTailIsCutOff ends a segment with half a batch, as a kill in the middle of a write does.
func TestTornTailIsCutOff(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{DataDir: dir}
	first := start(t, cfg)
	producer := client(t, first)
	createTopic(t, producer, "posts.v1", 1)
	produce(t, producer, "posts.v1", 0, 10)
	producer.Close()
	stop(t, first)

	segments, err := filepath.Glob(filepath.Join(dir, "log", "partitions", "posts.v1-0", "*.dat"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segment: %v", err)
	}
	segment := segments[len(segments)-1]
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	// A batch begins with its offset in 8 bytes and the length of what follows in 4. The records may lie in several.
	batch := whole[:12+binary.BigEndian.Uint32(whole[8:12])]
	for name, tail := range map[string][]byte{
		"half a batch":         batch[:len(batch)/2],
		"a header's beginning": whole[:7],
		"zeros":                make([]byte, 4096),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(segment, append(bytes.Clone(whole), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			b := start(t, cfg)
			if got := consume(t, client(t, b, kgo.ConsumeTopics("posts.v1")), 10); len(got) != 10 {
				t.Errorf("%d records, want 10", len(got))
			}
			c := client(t, b)
			r, err := c.ProduceSync(bounded(t), &kgo.Record{Topic: "posts.v1", Value: []byte("next")}).First()
			if err != nil || r.Offset != 10 {
				t.Errorf("the next record came to offset %d: %v", r.Offset, err)
			}
			c.Close()
			stop(t, b)
		})
	}
}
