// Package barecopy is the yardstick of Outcry's throughput: what plain kafka-go does with the same posts on the same brokers, when it
// does nothing but move them. It must never use pkg/bus, which is among what is measured.
package barecopy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

// Config says where to copy.
type Config struct {
	Brokers    []string // host:port
	From, To   string   // topics, which are made
	Partitions int      // of each topic, at least 1
}

// What the writers and readers are set to. Each was tried against its neighbours; larger batches and more writers gain nothing.
const (
	batchRecords = 4096
	batchBytes   = 1 << 20
	batchWait    = 2 * time.Millisecond // for a batch that does not fill
	readBytes    = 4 << 20
	readWait     = 100 * time.Millisecond
	feeders      = 2 // goroutines that write to the first topic
	topicWait    = 10 * time.Second
)

// Copier holds a writer to one topic, a reader for each of its partitions, and a writer to a second topic.
type Copier struct {
	cfg    Config
	first  *kafka.Writer
	second *kafka.Writer
	stop   context.CancelFunc
	group  *errgroup.Group
	copied atomic.Int64 // records acknowledged in the second topic
	moved  chan struct{}
	fed    int64
	ended  <-chan struct{} // a reader has failed, or Close was called
}

// Start makes the topics and begins to copy what comes. The caller calls Close.
func Start(ctx context.Context, cfg Config) (*Copier, error) {
	if err := createTopics(ctx, cfg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	c := &Copier{cfg: cfg, first: writer(cfg, cfg.From), second: writer(cfg, cfg.To), stop: cancel, group: g,
		moved: make(chan struct{}, 1), ended: ctx.Done()}
	for partition := range cfg.Partitions {
		g.Go(func() error { return c.pass(ctx, partition) })
	}
	return c, nil
}

func createTopics(ctx context.Context, cfg Config) error {
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Timeout: topicWait, Transport: transport}
	names := []string{cfg.From, cfg.To}
	request := &kafka.CreateTopicsRequest{}
	for _, name := range names {
		request.Topics = append(request.Topics, kafka.TopicConfig{Topic: name, NumPartitions: cfg.Partitions, ReplicationFactor: -1})
	}
	response, err := client.CreateTopics(ctx, request)
	if err != nil {
		return fmt.Errorf("create topics at %v: %w", cfg.Brokers, err)
	}
	for name, err := range response.Errors {
		if err != nil {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	// The brokers of a cluster learn of a new topic one after the other.
	for deadline := time.Now().Add(topicWait); ; {
		metadata, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
		if err == nil && ready(metadata, cfg.Partitions) {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.Join(fmt.Errorf("topics %v are not ready at %v", names, cfg.Brokers), err, ctx.Err())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func ready(m *kafka.MetadataResponse, partitions int) bool {
	for _, t := range m.Topics {
		if t.Error != nil || len(t.Partitions) != partitions {
			return false
		}
	}
	return len(m.Topics) > 0
}

func writer(cfg Config, topic string) *kafka.Writer {
	return &kafka.Writer{
		Addr: kafka.TCP(cfg.Brokers...), Topic: topic, Balancer: &kafka.RoundRobin{}, RequiredAcks: kafka.RequireAll,
		Compression: kafka.Lz4, BatchSize: batchRecords, BatchBytes: batchBytes, BatchTimeout: batchWait,
		Transport: &kafka.Transport{}, // of its own, so that Close ends its connections
	}
}

// pass copies one partition of the first topic.
func (c *Copier) pass(ctx context.Context, partition int) error {
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: c.cfg.Brokers, Topic: c.cfg.From, Partition: partition, MinBytes: 1,
		MaxBytes: readBytes, MaxWait: readWait, QueueCapacity: 2 * batchRecords})
	defer func() { _ = r.Close() }() // it was only read from
	batch := make([]kafka.Message, 0, 2*batchRecords)
	for {
		m, err := r.ReadMessage(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", c.cfg.From, partition, err)
		}
		batch = append(batch, kafka.Message{Key: m.Key, Value: m.Value})
		if len(batch) < cap(batch) && r.Lag() > 0 {
			continue
		}
		if err := c.second.WriteMessages(ctx, batch...); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("write %s: %w", c.cfg.To, err)
		}
		c.copied.Add(int64(len(batch)))
		batch = batch[:0]
		select {
		case c.moved <- struct{}{}:
		default:
		}
	}
}

// Copy writes each line as a record to the first topic, and returns how many lines there were once the brokers have acknowledged all of
// them in the second topic. One Copy at a time.
func (c *Copier) Copy(ctx context.Context, lines io.Reader) (int64, error) {
	batches := make(chan []kafka.Message)
	g, feeding := errgroup.WithContext(ctx)
	var n int64
	g.Go(func() error {
		defer close(batches)
		var err error
		n, err = split(feeding, lines, batches)
		return err
	})
	for range feeders {
		g.Go(func() error {
			for b := range batches {
				if err := c.first.WriteMessages(feeding, b...); err != nil {
					return fmt.Errorf("write %s: %w", c.cfg.From, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return n, err
	}
	c.fed += n
	for c.copied.Load() < c.fed {
		select {
		case <-c.moved:
		case <-ctx.Done():
			return n, ctx.Err()
		case <-c.ended:
			return n, errors.Join(errors.New("the copy has ended before its time"), c.group.Wait())
		}
	}
	return n, nil
}

// split cuts a stream into batches of lines.
func split(ctx context.Context, lines io.Reader, batches chan<- []kafka.Message) (n int64, err error) {
	s := bufio.NewScanner(lines)
	s.Buffer(make([]byte, 0, 256<<10), 16<<20)
	for more := true; more; {
		var batch []kafka.Message
		// One piece of memory for the whole batch.
		text := make([]byte, 0, batchBytes)
		for len(batch) < 2*batchRecords {
			if more = s.Scan(); !more {
				break
			}
			line := bytes.TrimSpace(s.Bytes())
			if len(text)+len(line) > cap(text) {
				text = make([]byte, 0, max(batchBytes, len(line)))
			}
			from := len(text)
			text = append(text, line...)
			batch = append(batch, kafka.Message{Value: text[from:len(text):len(text)]})
		}
		if len(batch) == 0 {
			break
		}
		n += int64(len(batch))
		select {
		case batches <- batch:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
	if err := s.Err(); err != nil {
		return n, fmt.Errorf("read lines: %w", err)
	}
	return n, nil
}

// Close ends the readers and writers.
func (c *Copier) Close() error {
	c.stop()
	err := c.group.Wait()
	var closing sync.WaitGroup
	for _, w := range []*kafka.Writer{c.first, c.second} {
		closing.Go(func() {
			_ = w.Close() // every record has been acknowledged, or its error returned
			w.Transport.(*kafka.Transport).CloseIdleConnections()
		})
	}
	closing.Wait()
	return err
}
