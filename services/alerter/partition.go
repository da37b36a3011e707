package alerter

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// maxPending bounds the changes that wait for the webhook; then reading waits, at most until the oldest is given up.
const maxPending = 10_000

// partition delivers what one partition of incidents.v1 holds. Its methods belong to one goroutine, but for deliver.
type partition struct {
	*Alerter
	claim *bus.Claim
	dead  *bus.Producer
	hook  *webhook // nil without one
	pages *pages   // nil where nobody is paged

	// seen is the highest revision of each incident that was taken on.
	seen map[string]int64

	next      int64 // offset behind the last change that was taken on
	committed int64

	senders sync.WaitGroup
	mu      sync.Mutex
	pending map[int64]struct{} // offsets of changes that the webhook has not taken yet
	queues  map[string][]change
	known   map[string]bool // incidents on the topic
	paged   int64           // offset behind the last change that pages took; unused without pages
	done    chan struct{}   // has a token when something left pending
}

// change is one change of an incident on its way to the webhook.
type change struct {
	offset   int64
	id       string // of the request
	body     []byte
	incident *outcryv1.Incident
}

func newPartition(a *Alerter, claim *bus.Claim, dead *bus.Producer, hook *webhook) *partition {
	return &partition{Alerter: a, claim: claim, dead: dead, hook: hook, seen: map[string]int64{}, pending: map[int64]struct{}{},
		queues: map[string][]change{}, known: map[string]bool{}, done: make(chan struct{}, 1), committed: claim.Committed}
}

func (p *partition) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	end, err := p.remember(ctx)
	if err != nil {
		return err
	}
	p.paged = end
	if p.pages != nil {
		if err := p.pages.start(ctx, p.cfg.ReconcileEvery, p.knows); err != nil {
			return err
		}
		g.Go(func() error { return p.follow(ctx, end) })
		g.Go(func() error { return p.pages.reload(ctx) })
	}
	g.Go(func() error { return p.consume(ctx) })
	err = g.Wait()
	p.senders.Wait()
	p.commit()
	return err
}

func (p *partition) consume(ctx context.Context) error {
	for {
		msgs, err := p.claim.Fetch(ctx)
		if err != nil {
			return err
		}
		for i := range msgs {
			if err := p.handle(ctx, &msgs[i]); err != nil {
				return err
			}
			p.next = msgs[i].Offset + 1
		}
		p.commit()
		p.metrics.lag.Set(float64(p.claim.Lag()))
	}
}

// follow pages from an offset on. It reads by itself, so that neither a webhook that fails for hours nor a full standard output keeps
// anybody from being paged. It commits nothing: after a restart everything is read again. But nothing that it has not taken is committed either, so
// that what comes behind is news to the next one.
func (p *partition) follow(ctx context.Context, from int64) error {
	r, err := p.deps.Bus.Reader(ctx, topics.Incidents, p.claim.Partition, from)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		msgs, err := r.Fetch(ctx)
		if err != nil {
			return err
		}
		var incidents []*outcryv1.Incident
		for m := range msgs {
			if i, err := read(&msgs[m]); err == nil && i != nil { // consume says what cannot be read
				p.know(i.GetId())
				incidents = append(incidents, i)
			}
		}
		if err := p.pages.take(ctx, incidents...); err != nil {
			return err
		}
		p.mu.Lock()
		p.paged = r.Offset()
		p.mu.Unlock()
	}
}

// remember reads what was committed before, to know it again should it be written once more. Where somebody is paged it reads on to the
// end, so that all alerts are known before the first page: a root keeps its consequences quiet. It returns the offset behind what it read.
func (p *partition) remember(ctx context.Context) (end int64, err error) {
	if p.claim.Committed <= 0 && p.pages == nil {
		return 0, nil
	}
	if err := p.claim.Seek(ctx, -1); err != nil {
		return 0, err
	}
	for p.claim.Lag() > 0 && (p.pages != nil || p.claim.Offset() < p.claim.Committed) {
		msgs, err := p.claim.Fetch(ctx)
		if err != nil {
			return 0, err
		}
		for _, m := range msgs {
			i, err := read(&m)
			if err != nil || i == nil {
				continue // consume says so
			}
			if m.Offset < p.claim.Committed {
				p.seen[i.GetId()] = max(p.seen[i.GetId()], i.GetRevision())
			}
			p.know(i.GetId())
			if p.pages != nil {
				p.pages.learn(i, p.claim.Committed > 0 && m.Offset >= p.claim.Committed)
			}
		}
	}
	end = p.claim.Offset()
	return end, p.claim.Seek(ctx, p.claim.Committed)
}

func (p *partition) know(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[id] = true
}

// knows says whether an incident has been seen on the topic. Safe for concurrent use.
func (p *partition) knows(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[id]
}

// read returns nil without an error for a tombstone.
func read(m *bus.Message) (*outcryv1.Incident, error) {
	if len(m.Value) == 0 {
		return nil, nil
	}
	i := &outcryv1.Incident{}
	if err := proto.Unmarshal(m.Value, i); err != nil {
		return nil, fmt.Errorf("not an incident: %w", err)
	}
	if i.GetId() == "" || i.GetRevision() < 1 {
		return nil, errors.New("an incident without id or revision")
	}
	return i, nil
}

func (p *partition) handle(ctx context.Context, m *bus.Message) error {
	i, err := read(m)
	switch {
	case err != nil:
		return p.bury(ctx, m, err)
	case i == nil:
		delete(p.seen, string(m.Key))
		return nil
	case i.GetRevision() <= p.seen[i.GetId()]:
		p.metrics.changes.WithLabelValues(outcomeDuplicate).Inc()
		return nil
	}
	line, err := encode(i)
	if err != nil {
		return p.bury(ctx, m, err)
	}
	if p.cfg.Stdout {
		if err := p.write(line); err != nil {
			return err
		}
	}
	p.seen[i.GetId()] = i.GetRevision()
	if p.hook == nil {
		p.metrics.changes.WithLabelValues(outcomeDelivered).Inc()
		return nil
	}
	return p.enqueue(ctx, i.GetId(), change{offset: m.Offset, id: requestID(i), body: line, incident: i})
}

// bury writes what cannot be read to dead.v1.
func (p *partition) bury(ctx context.Context, m *bus.Message, reason error) error {
	p.metrics.changes.WithLabelValues(outcomeUnreadable).Inc()
	p.deps.Log.Error("unreadable incident goes to dead.v1", "partition", m.Partition, "offset", m.Offset, "error", reason)
	letter, err := proto.Marshal(topics.DeadLetter(stage, fmt.Sprintf("%s/%d", topics.Incidents, m.Partition), m.Offset, reason.Error(), m.Value))
	if err != nil {
		return err
	}
	return p.dead.Write(ctx, bus.Message{Key: m.Key, Value: letter, Partition: bus.AnyPartition})
}

// enqueue puts a change behind the earlier ones of its incident.
func (p *partition) enqueue(ctx context.Context, incident string, c change) error {
	for p.full() {
		select {
		case <-p.done:
			p.commit()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.metrics.pending.Inc()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending[c.offset] = struct{}{}
	queue, busy := p.queues[incident]
	p.queues[incident] = append(queue, c)
	if !busy {
		p.senders.Go(func() { p.deliver(ctx, incident) })
	}
	return nil
}

func (p *partition) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pending) >= maxPending
}

// deliver sends the changes of one incident until there is none left or ctx ends.
func (p *partition) deliver(ctx context.Context, incident string) {
	for {
		p.mu.Lock()
		queue := p.queues[incident]
		if len(queue) == 0 || ctx.Err() != nil {
			delete(p.queues, incident)
			p.metrics.pending.Sub(float64(len(queue)))
			p.mu.Unlock()
			return
		}
		c := queue[0]
		p.mu.Unlock()

		err := p.hook.send(ctx, c)
		outcome := outcomeDelivered
		switch {
		case err == nil:
		case errors.Is(err, errGone):
			outcome = outcomeDisabled
		case errors.Is(err, errRefused):
			outcome = outcomeRefused
		case ctx.Err() != nil:
			continue // not delivered: whoever has the partition next sends it
		default:
			outcome = outcomeGivenUp
		}
		if err != nil && outcome != outcomeDisabled {
			p.deps.Log.Error("change of an incident did not reach the webhook", "change", c.id, "error", err)
		}
		p.metrics.changes.WithLabelValues(outcome).Inc()
		p.metrics.pending.Dec()
		p.mu.Lock()
		p.queues[incident] = p.queues[incident][1:]
		delete(p.pending, c.offset)
		p.mu.Unlock()
		select {
		case p.done <- struct{}{}:
		default:
		}
	}
}

// commit stores up to where everything has been delivered.
func (p *partition) commit() {
	next := p.next
	p.mu.Lock()
	for offset := range p.pending {
		next = min(next, offset)
	}
	if p.pages != nil {
		next = min(next, p.paged)
	}
	p.mu.Unlock()
	if next <= p.committed {
		return
	}
	if err := p.claim.Commit(next); err != nil {
		// The next commit covers this one; without one the changes are delivered again under the same ids.
		p.deps.Log.Warn("cannot commit", "error", err)
		return
	}
	p.committed = next
}
