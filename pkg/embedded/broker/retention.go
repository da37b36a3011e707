package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo" // kfake's own client: asks it for what it does not tell in process
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hardFactor times RetentionBytes is where a partition loses records that somebody has yet to read.
const hardFactor = 32

// trimEvery is how often the sizes are looked at.
const trimEvery = 5 * time.Second

// trimmer keeps the log small: see "Retention" in doc.go for what it does and why kfake's own cleaner does not do it.
type trimmer struct {
	client *kgo.Client
	bytes  int64
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
}

func startTrimmer(addrs []string, bytes int64, log *slog.Logger) (*trimmer, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.ClientID("outcry-retention"))
	if err != nil {
		return nil, fmt.Errorf("start the broker's retention: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &trimmer{client: client, bytes: bytes, log: log, cancel: cancel, done: make(chan struct{})}
	go t.run(ctx)
	return t, nil
}

func (t *trimmer) stop() {
	t.cancel()
	<-t.done
	t.client.Close()
}

func (t *trimmer) run(ctx context.Context) {
	defer close(t.done)
	tick := time.NewTicker(trimEvery)
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
	}
}

type partition struct {
	topic string
	index int32
}

// trim makes one pass over all partitions.
func (t *trimmer) trim(ctx context.Context) error {
	large, err := t.large(ctx)
	if err != nil || len(large) == 0 {
		return err
	}
	read, err := t.readByAll(ctx)
	if err != nil {
		return err
	}
	first, err := t.offsets(ctx, large, -2)
	if err != nil {
		return err
	}
	end, err := t.offsets(ctx, large, -1)
	if err != nil {
		return err
	}
	cut := map[partition]int64{}
	for p, size := range large {
		// The last record always stays: kfake forgets the offsets of an empty partition when it starts again.
		to := min(read[p], end[p]-1)
		if to <= first[p] && size > hardFactor*t.bytes {
			to = first[p] + (end[p]-first[p])/2
			t.log.Warn("a partition of the embedded broker is too large and loses its older half, unread", "topic", p.topic, "partition", p.index,
				"bytes", size, "from", first[p], "to", to)
		}
		if to > first[p] {
			cut[p] = to
		}
	}
	return t.cut(ctx, cut)
}

// large returns the size of each partition beyond the bound, but for those of compacted topics: these are state, whose oldest
// record may be the last of its key.
func (t *trimmer) large(ctx context.Context) (map[partition]int64, error) {
	response, err := kmsg.NewPtrDescribeLogDirsRequest().RequestWith(ctx, t.client)
	if err != nil {
		return nil, fmt.Errorf("ask for partition sizes: %w", err)
	}
	large, topics := map[partition]int64{}, map[string]bool{}
	for _, dir := range response.Dirs {
		for _, topic := range dir.Topics {
			for _, p := range topic.Partitions {
				if p.Size > t.bytes {
					large[partition{topic.Topic, p.Partition}] = p.Size
					topics[topic.Topic] = true
				}
			}
		}
	}
	if len(large) == 0 {
		return nil, nil
	}
	compacted, err := t.compacted(ctx, topics)
	if err != nil {
		return nil, err
	}
	for p := range large {
		if compacted[p.topic] {
			delete(large, p)
		}
	}
	return large, nil
}

func (t *trimmer) compacted(ctx context.Context, topics map[string]bool) (map[string]bool, error) {
	const policy = "cleanup.policy"
	request := kmsg.NewPtrDescribeConfigsRequest()
	for topic := range topics {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName, resource.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{policy}
		request.Resources = append(request.Resources, resource)
	}
	response, err := request.RequestWith(ctx, t.client)
	if err != nil {
		return nil, fmt.Errorf("ask for cleanup policies: %w", err)
	}
	compacted := map[string]bool{}
	for _, resource := range response.Resources {
		for _, config := range resource.Configs {
			if config.Name == policy && config.Value != nil && *config.Value == "compact" {
				compacted[resource.ResourceName] = true
			}
		}
	}
	return compacted, nil
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

// offsets returns the first (timestamp -2) or next (-1) offset of each partition.
func (t *trimmer) offsets(ctx context.Context, of map[partition]int64, timestamp int64) (map[partition]int64, error) {
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	for p := range of {
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
