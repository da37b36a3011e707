package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	maxRequestBytes    = 1 << 20 // brokers refuse batches above about a megabyte by default
	maxRequestMessages = 20_000
	firstWait          = 50 * time.Millisecond
	longestWait        = 5 * time.Second
)

// Producer writes to one topic, in order within each partition. Safe for concurrent use.
type Producer struct {
	bus        *Bus
	topic      string
	partitions []partitionQueue
	numbers    []int
}

// partitionQueue keeps one request in flight for a partition.
type partitionQueue struct{ sync.Mutex }

// Producer returns a producer for an existing topic.
func (b *Bus) Producer(ctx context.Context, topic string) (*Producer, error) {
	n, err := b.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	p := &Producer{bus: b, topic: topic, partitions: make([]partitionQueue, n), numbers: make([]int, n)}
	for i := range p.numbers {
		p.numbers[i] = i
	}
	return p, nil
}

// Partitions returns the number of partitions of the topic.
func (p *Producer) Partitions() int { return len(p.partitions) }

// PartitionOf returns the partition that a key belongs to.
func (p *Producer) PartitionOf(key []byte) int {
	return kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, p.numbers...)
}

// Write returns once the brokers have acknowledged every message; the messages of a partition are written in their order.
// Faults that waiting can mend are waited for until ctx ends. After an error some of the messages may have been written.
func (p *Producer) Write(ctx context.Context, msgs ...Message) error {
	byPartition, err := p.divide(msgs)
	if err != nil {
		return err
	}
	errs := make([]error, len(p.partitions))
	var wg sync.WaitGroup
	for n, ms := range byPartition {
		if len(ms) > 0 {
			wg.Go(func() { errs[n] = p.writePartition(ctx, n, ms) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// divide sorts messages by partition; those of a partition stay in order.
func (p *Producer) divide(msgs []Message) ([][]Message, error) {
	partitions := make([]int32, len(msgs))
	sizes := make([]int, len(p.partitions))
	for i := range msgs {
		n := msgs[i].Partition
		if n == AnyPartition {
			n = p.PartitionOf(msgs[i].Key)
		}
		if n < 0 || n >= len(p.partitions) {
			return nil, fmt.Errorf("write to %s: no partition %d among %d", p.topic, n, len(p.partitions))
		}
		partitions[i] = int32(n)
		sizes[n]++
	}
	all := make([]Message, len(msgs))
	byPartition := make([][]Message, len(p.partitions))
	for n, size := range sizes {
		byPartition[n], all = all[:0:size], all[size:]
	}
	for i, n := range partitions {
		byPartition[n] = append(byPartition[n], msgs[i])
	}
	return byPartition, nil
}

func (p *Producer) writePartition(ctx context.Context, partition int, msgs []Message) error {
	p.partitions[partition].Lock()
	defer p.partitions[partition].Unlock()
	for len(msgs) > 0 {
		n, bytes := 0, 0
		for n < len(msgs) && n < maxRequestMessages {
			bytes += len(msgs[n].Key) + len(msgs[n].Value) + 32
			if n > 0 && bytes > maxRequestBytes {
				break
			}
			n++
		}
		if err := p.request(ctx, partition, msgs[:n]); err != nil {
			return fmt.Errorf("write to %s/%d: %w", p.topic, partition, err)
		}
		msgs = msgs[n:]
	}
	return nil
}

func (p *Producer) request(ctx context.Context, partition int, msgs []Message) error {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		resp, err := p.bus.client.Produce(ctx, &kafka.ProduceRequest{
			Topic:        p.bus.cfg.Prefix + p.topic,
			Partition:    partition,
			RequiredAcks: kafka.RequireAll,
			Compression:  kafka.Lz4,
			Records:      &records{msgs: msgs, now: time.Now()},
		})
		if err == nil {
			err = resp.Error
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !temporary(err) {
			return err
		}
		p.bus.log.Warn("cannot write to kafka; trying again", "topic", p.topic, "partition", partition, "in", wait, "error", err)
		if sleep(ctx, wait) != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// records hands messages to kafka-go one by one, without a copy of each.
type records struct {
	msgs       []Message
	now        time.Time
	record     kafka.Record
	key, value bytesReader
}

func (r *records) ReadRecord() (*kafka.Record, error) {
	if len(r.msgs) == 0 {
		return nil, io.EOF
	}
	m := r.msgs[0]
	r.msgs = r.msgs[1:]
	r.record = kafka.Record{Time: r.now}
	if m.Key != nil {
		r.key.reset(m.Key)
		r.record.Key = &r.key
	}
	if m.Value != nil {
		r.value.reset(m.Value)
		r.record.Value = &r.value
	}
	return &r.record, nil
}

type bytesReader struct {
	data []byte
	at   int
}

func (r *bytesReader) reset(b []byte) { r.data, r.at = b, 0 }
func (r *bytesReader) Len() int       { return len(r.data) - r.at }
func (r *bytesReader) Close() error   { return nil }

func (r *bytesReader) Read(b []byte) (int, error) {
	if r.at == len(r.data) {
		return 0, io.EOF
	}
	n := copy(b, r.data[r.at:])
	r.at += n
	return n, nil
}

func (r *bytesReader) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(len(r.data)) {
		return 0, io.EOF
	}
	n := copy(b, r.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteTo keeps io.Copy from the compressor's ReadFrom, which takes its argument for the whole stream.
func (r *bytesReader) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(r.data[r.at:])
	r.at += n
	return int64(n), err
}
