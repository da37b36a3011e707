package ingest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest/source"
)

// Group is the consumer group of the processes that share the sources.
const Group = "ingest"

// States returns the latest state of every source that was ever listened to, by name.
func States(ctx context.Context, b *bus.Bus) ([]*outcryv1.SourceState, error) {
	committed, err := b.Committed(ctx, Group, topics.Sources)
	if err != nil {
		return nil, err
	}
	var all []*outcryv1.SourceState
	for partition, offset := range committed {
		latest, err := readStates(ctx, b, partition, offset)
		if err != nil {
			return nil, err
		}
		for _, s := range latest {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *outcryv1.SourceState) int { return strings.Compare(a.GetSource(), b.GetSource()) })
	return all, nil
}

// readStates returns the latest state of each source in a partition of sources.v1, from an offset to the end. What is older was written again behind it.
func readStates(ctx context.Context, b *bus.Bus, partition int, offset int64) (map[string]*outcryv1.SourceState, error) {
	offsets, err := b.Offsets(ctx, topics.Sources)
	if err != nil {
		return nil, err
	}
	r, err := b.Reader(ctx, topics.Sources, partition, offset)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	latest := map[string]*outcryv1.SourceState{}
	for r.Offset() < offsets[partition].Next {
		msgs, err := r.Fetch(ctx)
		if err != nil {
			return nil, err
		}
		if len(msgs) == 0 {
			break // compaction or transaction marks can leave nothing before the end
		}
		for _, m := range msgs {
			s := &outcryv1.SourceState{}
			if err := proto.Unmarshal(m.Value, s); err != nil || s.GetSource() != string(m.Key) {
				continue // a source without a state begins live; nothing else can be done here
			}
			latest[s.GetSource()] = s
		}
	}
	return latest, nil
}

// writeStates appends states to their partition.
func writeStates(ctx context.Context, p *bus.Producer, partition int, states []*outcryv1.SourceState) error {
	msgs := make([]bus.Message, 0, len(states))
	for _, s := range states {
		value, err := proto.Marshal(s)
		if err != nil {
			return fmt.Errorf("state of source %s: %w", s.GetSource(), err)
		}
		msgs = append(msgs, bus.Message{Partition: partition, Key: []byte(s.GetSource()), Value: value})
	}
	return p.Write(ctx, msgs...)
}

// state is what others may know of a source.
func state(name string, n source.Snapshot, owner string, now time.Time) *outcryv1.SourceState {
	clean := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	return &outcryv1.SourceState{Source: clean(name), Cursor: clean(n.Cursor), State: string(n.State), SinceUs: micros(n.Since), Peer: clean(n.Peer),
		LastEventUs: micros(n.LastEvent), EventTimeUs: micros(n.EventTime), Posts: n.Posts, Deletes: n.Deletes, Unreadable: n.Unreadable, Rate: n.Rate,
		LastError: clean(n.LastError), LastErrorUs: micros(n.LastErrorAt), Reconnects: n.Reconnects, Gaps: n.Gaps, LastGap: clean(n.LastGap), Note: clean(n.Note),
		Owner: owner, WrittenUs: micros(now)}
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// owner names this process.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}
