package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	fetchMaxBytes = 4 << 20 // as they are sent
	// fetchMaxMemory is what records may take once they are unpacked: what repeats itself packs well.
	fetchMaxMemory = 16 << 20
	messageMemory  = 100 // beside key and value
	fetchMaxWait   = 200 * time.Millisecond
	fetchTimeout   = 30 * time.Second
)

// GroupConfig says which group consumes which topic.
type GroupConfig struct {
	Group string
	Topic string
}

// Claim is the right to consume one partition until its context ends. Not safe for concurrent use.
type Claim struct {
	Topic      string
	Partition  int
	Generation int
	// Committed is the group's committed offset, or -1.
	Committed int64

	bus        *Bus
	generation *kafka.Generation
	conn       *kafka.Conn
	offset     int64
	highWater  int64
	msgs       []Message // of the last fetch
}

// ErrLost is what Commit fails with where the claim no longer holds, as after a pause that was longer than the session, or where the
// broker that coordinates the group is away. Who reads on from the committed offset misses nothing.
var ErrLost = errors.New("the partition is no longer this member's")

// Consume joins the group and calls handle, each in a goroutine of its own, for every partition it is assigned, until ctx ends.
// The context of handle ends with the assignment. Where handle returns ErrLost, Consume joins the group anew; where it returns another
// error, Consume leaves the group and returns it; otherwise it returns nil once ctx has ended and every handle has returned.
func (b *Bus) Consume(ctx context.Context, cfg GroupConfig, handle func(ctx context.Context, c *Claim) error) error {
	session := cmp.Or(b.cfg.SessionTimeout, 10*time.Second)
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: b.cfg.Prefix + cfg.Group, Dialer: b.dialer(10 * time.Second), Brokers: b.cfg.Brokers, Topics: []string{b.cfg.Prefix + cfg.Topic},
		StartOffset: kafka.FirstOffset, SessionTimeout: session, HeartbeatInterval: session / 5,
		RebalanceTimeout: session, JoinGroupBackoff: time.Second,
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}},
		ErrorLogger: kafka.LoggerFunc(func(format string, args ...any) {
			b.log.Debug("consumer group", "group", cfg.Group, "message", fmt.Sprintf(format, args...))
		}),
	})
	if err != nil {
		return fmt.Errorf("join group %s: %w", cfg.Group, err)
	}
	var once sync.Once
	closeGroup := func() { once.Do(func() { _ = group.Close() }) } // it leaves the group; a failure to say so ends in the session's timeout
	defer closeGroup()

	var mu sync.Mutex
	var fault error
	failed := make(chan struct{})
	for {
		gen, err := group.Next(ctx)
		select {
		case <-failed:
			closeGroup()
			mu.Lock()
			defer mu.Unlock()
			return fault
		default:
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, kafka.ErrGroupClosed) {
				return fmt.Errorf("group %s: %w", cfg.Group, err)
			}
			b.log.Warn("cannot join the consumer group; trying again", "group", cfg.Group, "error", err)
			if sleep(ctx, longestWait/5) != nil {
				return nil
			}
			continue
		}
		for _, a := range gen.Assignments[b.cfg.Prefix+cfg.Topic] {
			claim := &Claim{Topic: cfg.Topic, Partition: a.ID, Generation: int(gen.ID), Committed: a.Offset, bus: b, generation: gen}
			if a.Offset < 0 {
				claim.Committed = -1
			}
			gen.Start(func(genCtx context.Context) {
				defer claim.close()
				hctx, cancel := context.WithCancel(ctx)
				defer cancel()
				stop := context.AfterFunc(genCtx, cancel)
				defer stop()
				err := claim.Seek(hctx, claim.Committed)
				if err == nil {
					err = handle(hctx, claim)
				}
				switch {
				case errors.Is(err, ErrLost):
					b.log.Warn("the session with kafka was lost; joining the consumer group anew", "group", cfg.Group, "error", err)
					return // ends the generation
				case err != nil && hctx.Err() == nil:
					mu.Lock()
					if fault == nil {
						fault = fmt.Errorf("%s/%d: %w", claim.Topic, claim.Partition, err)
						close(failed)
					}
					mu.Unlock()
					return // ends the generation; Next then returns
				}
				<-hctx.Done() // kafka-go takes a function that returns for the end of the generation
			})
		}
	}
}

// Seek sets the offset that Fetch reads next; -1 means the first that the partition holds.
func (c *Claim) Seek(ctx context.Context, offset int64) error {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := c.seek(ctx, offset)
		if err == nil || ctx.Err() != nil || !temporary(err) {
			return err
		}
		if sleep(ctx, wait) != nil {
			return ctx.Err()
		}
	}
}

func (c *Claim) seek(ctx context.Context, offset int64) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	first, next, err := c.conn.ReadOffsets()
	if err != nil {
		c.close()
		return fmt.Errorf("read offsets of %s/%d: %w", c.Topic, c.Partition, err)
	}
	c.highWater = next
	// Below first: retention took what was not read. Above next: the topic was made anew.
	if offset < first || offset > next {
		offset = first
	}
	c.offset = offset
	return nil
}

// Offset returns the offset that Fetch reads next.
func (c *Claim) Offset() int64 { return c.offset }

// Lag returns how many records the partition holds beyond Offset, as of the last fetch.
func (c *Claim) Lag() int64 { return max(0, c.highWater-c.offset) }

// Fetch returns the records that follow, at most 4 MB as they are sent and 16 MB once they are unpacked, or none after a short wait without any.
// Faults that waiting can mend are waited for; the error is then ctx's. The slice is used again by the next Fetch; keys and values are not.
func (c *Claim) Fetch(ctx context.Context) ([]Message, error) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		msgs, err := c.fetch(ctx)
		if err == nil {
			return msgs, nil
		}
		c.close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !temporary(err) {
			return nil, fmt.Errorf("fetch from %s/%d at %d: %w", c.Topic, c.Partition, c.offset, err)
		}
		c.bus.log.Warn("cannot read from kafka; trying again", "topic", c.Topic, "partition", c.Partition, "in", wait, "error", err)
		if sleep(ctx, wait) != nil {
			return nil, ctx.Err()
		}
	}
}

func (c *Claim) fetch(ctx context.Context) ([]Message, error) {
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	// The connection is closed under a blocked read when the claim ends.
	conn := c.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(fetchTimeout)); err != nil {
		return nil, err
	}
	if _, err := conn.Seek(c.offset, kafka.SeekAbsolute|kafka.SeekDontCheck); err != nil {
		return nil, err
	}
	batch := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: fetchMaxBytes, MaxWait: fetchMaxWait})
	c.highWater = max(c.highWater, batch.HighWaterMark())
	clear(c.msgs)
	msgs := c.msgs[:0]
	defer func() { c.msgs = msgs }()
	for memory := 0; ; {
		m, err := kafka.Message{}, io.EOF
		if memory < fetchMaxMemory {
			m, err = batch.ReadMessage()
		}
		if err != nil {
			closeErr := batch.Close()
			switch {
			case len(msgs) > 0:
				if closeErr != nil {
					c.close()
				}
				return msgs, nil
			case errors.Is(err, io.EOF) && closeErr == nil, errors.Is(err, kafka.RequestTimedOut):
				return nil, nil
			case errors.Is(err, kafka.OffsetOutOfRange):
				c.close() // after such an answer nothing more can be read from the connection
				return nil, c.seek(ctx, -1)
			}
			return nil, err
		}
		if m.Offset < c.offset {
			continue
		}
		msgs = append(msgs, Message{Key: m.Key, Value: m.Value, Partition: c.Partition, Offset: m.Offset})
		memory += messageMemory + len(m.Key) + len(m.Value)
		c.offset = m.Offset + 1
	}
}

// Commit stores the offset of the next record to be read by whoever owns the partition next. It fails with ErrLost where the partition
// may have passed to another member: whoever owns a claim should then return that error, since its context may take until the next
// heartbeat to end.
func (c *Claim) Commit(offset int64) error {
	err := c.generation.CommitOffsets(map[string]map[int]int64{c.bus.cfg.Prefix + c.Topic: {c.Partition: offset}})
	switch {
	case err == nil:
		return nil
	case lost(err):
		return fmt.Errorf("commit %s/%d at %d: %w: %w", c.Topic, c.Partition, offset, ErrLost, err)
	}
	return fmt.Errorf("commit %s/%d at %d: %w", c.Topic, c.Partition, offset, err)
}

// lost tells a membership that has ended, or whose connection has, from a commit that the broker will never take.
func lost(err error) bool {
	for _, k := range []kafka.Error{kafka.IllegalGeneration, kafka.UnknownMemberId, kafka.RebalanceInProgress, kafka.FencedInstanceID} {
		if errors.Is(err, k) {
			return true
		}
	}
	return temporary(err)
}

// Reader reads one partition outside any group, from an offset on.
func (b *Bus) Reader(ctx context.Context, topic string, partition int, offset int64) (*Claim, error) {
	c := &Claim{Topic: topic, Partition: partition, Committed: -1, bus: b}
	return c, c.Seek(ctx, offset)
}

// Close releases the connection of a Claim that Reader returned.
func (c *Claim) Close() { c.close() }

func (c *Claim) connect(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	dialer := c.bus.dialer(5 * time.Second)
	var faults []error
	for _, broker := range c.bus.cfg.Brokers {
		conn, err := dialer.DialLeader(ctx, "tcp", broker, c.bus.cfg.Prefix+c.Topic, c.Partition)
		if err == nil {
			c.conn = conn
			return nil
		}
		var opErr *net.OpError
		if !errors.As(err, &opErr) && ctx.Err() != nil {
			return ctx.Err()
		}
		faults = append(faults, fmt.Errorf("dial the leader of %s/%d through %s: %w", c.Topic, c.Partition, broker, err))
	}
	return errors.Join(faults...)
}

func (c *Claim) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is left to lose on a connection that is being given up
		c.conn = nil
	}
}
