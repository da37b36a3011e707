package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo" // kfake's own client: asks it for what it does not tell in process
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hardFactor times RetentionBytes is where a partition loses records that somebody has yet to read.
const hardFactor = 32

// trimmer keeps the log small: see "Retention" in doc.go for what it does and why kfake's own cleaner does not do it.
type trimmer struct {
	broker *Broker
	client *kgo.Client
	bytes  int64
	log    *slog.Logger
	grown  map[partition]growth
	cancel context.CancelFunc
	done   chan struct{}
}

func startTrimmer(b *Broker, cfg Config, log *slog.Logger) (*trimmer, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.ClientID("outcry-retention"))
	if err != nil {
		return nil, fmt.Errorf("start the broker's retention: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &trimmer{broker: b, client: client, bytes: cfg.retentionBytes(), log: log, grown: map[partition]growth{}, cancel: cancel, done: make(chan struct{})}
	go t.run(ctx, cmp.Or(cfg.trimEvery, 5*time.Second))
	return t, nil
}

func (t *trimmer) stop() {
	t.cancel()
	<-t.done
	t.client.Close()
}

func (t *trimmer) run(ctx context.Context, every time.Duration) {
	defer close(t.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := t.trim(ctx); err != nil && ctx.Err() == nil {
			t.log.Warn("the embedded broker's log was not trimmed", "err", err)
		}
		if err := t.compact(ctx, time.Now()); err != nil && ctx.Err() == nil {
			t.log.Warn("the embedded broker's log was not compacted", "err", err)
		}
	}
}

// growth is what is known of a compacted partition: how far it reached when nothing in it was superseded, and since when it has reached further.
type growth struct {
	clean extent
	since time.Time // zero while it has not grown
}

// compact makes one pass over the partitions of compacted topics. Superseded records go when a partition has grown three quarters of its
// topic's max.compaction.lag.ms ago, so that they are gone before that time is over; where one is due, the others go along.
func (t *trimmer) compact(ctx context.Context, now time.Time) error {
	if t.broker.log == "" {
		return nil
	}
	all, err := compactedPartitions(t.broker.log)
	if err != nil {
		return err
	}
	due := false
	var grown []compacted
	for _, p := range all {
		reach, err := p.extent()
		if err != nil {
			return fmt.Errorf("look at the size of %s/%d: %w", p.topic, p.index, err)
		}
		switch g := t.grown[p.partition]; {
		case reach == g.clean:
			t.grown[p.partition] = growth{clean: reach}
			continue
		case g.since.IsZero():
			t.grown[p.partition] = growth{g.clean, now}
		case now.Sub(g.since) >= p.lag*3/4:
			due = true
		}
		grown = append(grown, p)
	}
	if !due {
		return nil
	}
	return t.rewrite(ctx, grown)
}

// rewrite compacts partitions that have grown.
func (t *trimmer) rewrite(ctx context.Context, grown []compacted) error {
	first := map[partition]int64{}
	for _, p := range grown {
		first[p.partition] = -2
	}
	first, err := t.offsets(ctx, first)
	if err != nil {
		return err
	}
	var faults []error
	failed := func(p compacted, err error) { // to be tried again when as much time has passed again
		t.grown[p.partition] = growth{since: time.Now()}
		faults = append(faults, fmt.Errorf("compact %s/%d: %w", p.topic, p.index, err))
	}
	var under []*compaction
	defer func() {
		for _, c := range under {
			c.drop()
		}
	}()
	for _, p := range grown {
		reach, err := p.extent()
		if err != nil {
			failed(p, err)
			continue
		}
		c := newCompaction(p, first[p.partition])
		under = append(under, c)
		some, err := c.prepare(ctx)
		switch {
		case err != nil:
			failed(p, err)
		case !some:
			t.grown[p.partition] = growth{clean: reach}
		default:
			continue
		}
		c.drop()
		under = under[:len(under)-1]
	}
	if len(under) == 0 || ctx.Err() != nil {
		return errors.Join(faults...)
	}
	began := time.Now()
	t.broker.reopen(ctx, t.log, func() {
		for _, c := range under {
			err := c.finish()
			if err != nil {
				c.drop()
			}
			reach, atEnd := c.extent()
			if err := errors.Join(err, atEnd); err != nil {
				failed(c.compacted, err)
				continue
			}
			c.changes = nil
			t.grown[c.partition] = growth{clean: reach}
		}
	})
	t.log.Info("the embedded broker has compacted topics", "partitions", len(under), "stopped_for", time.Since(began))
	return errors.Join(faults...)
}

type partition struct {
	topic string
	index int32
}

// trim makes one pass over all partitions.
func (t *trimmer) trim(ctx context.Context) error {
	large, kept, err := t.look(ctx)
	if err != nil || len(large)+len(kept) == 0 {
		return err
	}
	read, err := t.readByAll(ctx)
	if err != nil {
		return err
	}
	at := func(timestamp int64) (map[partition]int64, error) {
		all := map[partition]int64{}
		for p := range large {
			all[p] = timestamp
		}
		for p := range kept {
			all[p] = timestamp
		}
		return t.offsets(ctx, all)
	}
	first, err := at(-2)
	if err != nil {
		return err
	}
	end, err := at(-1)
	if err != nil {
		return err
	}
	cut, err := t.expired(ctx, kept, read, end)
	if err != nil {
		return err
	}
	for p, to := range cut {
		if to <= first[p] {
			delete(cut, p)
		}
	}
	for p, size := range large {
		// The last record always stays: kfake forgets the offsets of an empty partition when it starts again.
		to := min(read[p], end[p]-1)
		if to <= first[p] && size > hardFactor*t.bytes {
			to = first[p] + (end[p]-first[p])/2
			t.log.Warn("a partition of the embedded broker is too large and loses its older half, unread", "topic", p.topic, "partition", p.index,
				"bytes", size, "from", first[p], "to", to)
		}
		if to > first[p] {
			cut[p] = max(cut[p], to)
		}
	}
	return t.cut(ctx, cut)
}

// expired returns, for partitions of topics that keep records for a time only, up to where these have been kept for longer. What a group has
// yet to read stays; what no group reads goes.
func (t *trimmer) expired(ctx context.Context, kept map[partition]time.Duration, read, end map[partition]int64) (map[partition]int64, error) {
	cut, since := map[partition]int64{}, map[partition]int64{}
	for p, d := range kept {
		since[p] = time.Now().Add(-d).UnixMilli()
	}
	young, err := t.offsets(ctx, since)
	if err != nil {
		return nil, err
	}
	for p := range kept {
		to := young[p]
		if to < 0 { // all are old
			to = end[p]
		}
		if by, known := read[p]; known {
			to = min(to, by)
		}
		if to = min(to, end[p]-1); to > 0 { // the last record always stays
			cut[p] = to
		}
	}
	return cut, nil
}

// look returns the size of each partition beyond the bound, but for those of compacted topics: these are state, whose oldest record may be the
// last of its key. And it returns how long partitions keep records whose topics say so.
func (t *trimmer) look(ctx context.Context) (map[partition]int64, map[partition]time.Duration, error) {
	response, err := kmsg.NewPtrDescribeLogDirsRequest().RequestWith(ctx, t.client)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for partition sizes: %w", err)
	}
	large, kept, topics := map[partition]int64{}, map[partition]time.Duration{}, map[string]bool{}
	for _, dir := range response.Dirs {
		for _, topic := range dir.Topics {
			for _, p := range topic.Partitions {
				large[partition{topic.Topic, p.Partition}] = p.Size
				topics[topic.Topic] = true
			}
		}
	}
	if len(topics) == 0 {
		return nil, nil, nil
	}
	compacted, retention, err := t.policies(ctx, topics)
	if err != nil {
		return nil, nil, err
	}
	for p, size := range large {
		if d := retention[p.topic]; d > 0 && size > 0 {
			kept[p] = d
		}
		if compacted[p.topic] || size <= t.bytes {
			delete(large, p)
		}
	}
	return large, kept, nil
}

// policies returns which topics are compacted alone, and for how long the others keep records, where they say so.
func (t *trimmer) policies(ctx context.Context, topics map[string]bool) (map[string]bool, map[string]time.Duration, error) {
	const policy, age = "cleanup.policy", "retention.ms"
	request := kmsg.NewPtrDescribeConfigsRequest()
	for topic := range topics {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName, resource.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{policy, age}
		request.Resources = append(request.Resources, resource)
	}
	response, err := request.RequestWith(ctx, t.client)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for cleanup policies: %w", err)
	}
	compacted, retention := map[string]bool{}, map[string]time.Duration{}
	for _, resource := range response.Resources {
		for _, config := range resource.Configs {
			switch {
			case config.Value == nil:
			case config.Name == policy && *config.Value == "compact":
				compacted[resource.ResourceName] = true
			case config.Name == age:
				if ms, err := strconv.ParseInt(*config.Value, 10, 64); err == nil && ms > 0 {
					retention[resource.ResourceName] = time.Duration(ms) * time.Millisecond
				}
			}
		}
	}
	for topic := range compacted {
		delete(retention, topic)
	}
	return compacted, retention, nil
}

// readByAll returns the lowest offset that a group has committed for each partition, where one has.
func (t *trimmer) readByAll(ctx context.Context) (map[partition]int64, error) {
	groups, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, t.client)
	if err != nil {
		return nil, fmt.Errorf("ask for groups: %w", err)
	}
	read := map[partition]int64{}
	for _, group := range groups.Groups {
		request := kmsg.NewPtrOffsetFetchRequest()
		request.Group = group.Group
		of := kmsg.NewOffsetFetchRequestGroup()
		of.Group = group.Group
		request.Groups = append(request.Groups, of)
		response, err := request.RequestWith(ctx, t.client)
		if err != nil {
			return nil, fmt.Errorf("ask for the offsets of group %s: %w", group.Group, err)
		}
		for _, of := range response.Groups {
			for _, topic := range of.Topics {
				for _, p := range topic.Partitions {
					at := partition{topic.Topic, p.Partition}
					if lowest, known := read[at]; p.Offset >= 0 && (!known || p.Offset < lowest) {
						read[at] = p.Offset
					}
				}
			}
		}
	}
	return read, nil
}

// offsets returns, for a timestamp of each partition, the offset of the first record that is not older, or -1; for -2 the first offset there
// is, and for -1 the next.
func (t *trimmer) offsets(ctx context.Context, of map[partition]int64) (map[partition]int64, error) {
	if len(of) == 0 {
		return nil, nil
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	for p, timestamp := range of {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p.index, timestamp
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic, rt.Partitions = p.topic, []kmsg.ListOffsetsRequestTopicPartition{rp}
		request.Topics = append(request.Topics, rt)
	}
	response, err := request.RequestWith(ctx, t.client)
	if err != nil {
		return nil, fmt.Errorf("ask for offsets: %w", err)
	}
	offsets := map[partition]int64{}
	for _, topic := range response.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("ask for offsets of %s/%d: %w", topic.Topic, p.Partition, err)
			}
			offsets[partition{topic.Topic, p.Partition}] = p.Offset
		}
	}
	return offsets, nil
}

// cut deletes the records before each offset.
func (t *trimmer) cut(ctx context.Context, cut map[partition]int64) error {
	if len(cut) == 0 {
		return nil
	}
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 5000
	for p, offset := range cut {
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Partition, rp.Offset = p.index, offset
		rt := kmsg.NewDeleteRecordsRequestTopic()
		rt.Topic, rt.Partitions = p.topic, []kmsg.DeleteRecordsRequestTopicPartition{rp}
		request.Topics = append(request.Topics, rt)
	}
	response, err := request.RequestWith(ctx, t.client)
	if err != nil {
		return fmt.Errorf("delete records: %w", err)
	}
	var faults []error
	for _, topic := range response.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				faults = append(faults, fmt.Errorf("delete records of %s/%d: %w", topic.Topic, p.Partition, err))
			}
		}
	}
	return errors.Join(faults...)
}
