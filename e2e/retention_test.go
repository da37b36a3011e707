package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/topics"
)

// values returns what a topic of one partition can still give, from its very beginning on.
func (w *world) values(b *bus.Bus, topic string) (all [][]byte) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	offsets, err := b.Offsets(ctx, topic)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := b.Reader(ctx, topic, 0, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	for r.Offset() < offsets[0].Next {
		msgs, err := r.Fetch(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, m := range msgs {
			all = append(all, m.Value)
		}
	}
	return all
}

// The topics are made as they always are, but for how long they keep things, and a text is written to each. From those that keep it for a time it is gone
// when that is over; from the compacted one when its key has another value. What came later stays.
func TestTextsAreGoneFromKafka(t *testing.T) {
	const keep, word = 24 * time.Second, "giraffe"
	w := newWorld(t)
	engines := w.engines()
	defer func() {
		if t.Failed() {
			t.Log(tail(engines.stderr.String()))
		}
	}()
	b := bus.New(bus.Config{Brokers: strings.Split(w.get("OUTCRY_KAFKA_BROKERS"), ","), Prefix: w.get("OUTCRY_KAFKA_PREFIX") + "short."}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	defer b.Close()
	var short []bus.Topic
	producers := map[string]*bus.Producer{}
	for _, topic := range topics.All(1) {
		if topic.Name == topics.Sources { // where sources are: no text
			continue
		}
		if topic.Compacted {
			topic.CompactedWithin = keep
		} else {
			topic.Retention = keep
		}
		short = append(short, topic)
	}
	if err := b.EnsureTopics(t.Context(), short...); err != nil {
		t.Fatal(err)
	}
	write := func(topic, key, value string) {
		t.Helper()
		if err := producers[topic].Write(t.Context(), bus.Message{Partition: 0, Key: []byte(key), Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(topic, text string) bool {
		return bytes.Contains(bytes.Join(w.values(b, topic), nil), []byte(text))
	}
	for _, topic := range short {
		p, err := b.Producer(t.Context(), topic.Name)
		if err != nil {
			t.Fatal(err)
		}
		producers[topic.Name] = p
		write(topic.Name, "first", word)
		if !holds(topic.Name, word) {
			t.Fatalf("%s does not hold what was just written to it", topic.Name)
		}
		write(topic.Name, "first", "nothing to see")
	}
	n, last := 0, time.Time{}
	for {
		left := ""
		for _, topic := range short {
			if holds(topic.Name, word) {
				left += " " + topic.Name
			}
		}
		if left == "" {
			break
		}
		if n > 300 {
			t.Fatalf("waited in vain until it is gone from%s", left)
		}
		if time.Since(last) >= time.Second { // the topic is in use: brokers begin new segments when something comes
			for _, topic := range short {
				write(topic.Name, fmt.Sprint("key ", n), fmt.Sprint("later ", n))
			}
			n, last = n+1, time.Now()
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, topic := range short {
		write(topic.Name, "last", "the last word")
		if !holds(topic.Name, "the last word") {
			t.Errorf("%s lost what is young", topic.Name)
		}
		if topic.Compacted && (!holds(topic.Name, "nothing to see") || !holds(topic.Name, "later 0")) {
			t.Errorf("%s lost the last value of a key", topic.Name)
		}
	}
}
