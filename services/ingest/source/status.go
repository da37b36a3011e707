package source

import (
	"sync"
	"time"
)

// State says how a source does.
type State string

// States of a source.
const (
	// Connecting: a connection is being made, or was made and has not said so.
	Connecting State = "connecting"
	// Live: connected and delivering, however little there is.
	Live State = "live"
	// Waiting: the connection is gone; it is made again after a wait.
	Waiting State = "waiting"
	// Done: there is nothing more to come.
	Done State = "done"
	// Stopped: nobody runs it.
	Stopped State = "stopped"
)

// Status is what is known of a running source. Connectors tell it what they alone know, the stage the rest. Safe for concurrent use; a
// nil Status takes everything and keeps nothing.
type Status struct {
	mu   sync.Mutex
	snap Snapshot
	rate rate
}

// Snapshot is a Status at one moment.
type Snapshot struct {
	State State
	// Since is when State began.
	Since time.Time
	// Peer is whom the source is connected to.
	Peer string
	// LastEvent is when the last event came, EventTime the latest time that one had.
	LastEvent, EventTime time.Time
	// Posts, deletes (of posts and of accounts) and unreadable events since the process began to run the source.
	Posts, Deletes, Unreadable int64
	// Rate is events a second, over about the last minute.
	Rate float64
	// LastError of the last connection that failed, and when. It stays when the next one works.
	LastError   string
	LastErrorAt time.Time
	// Reconnects since the process began to run the source.
	Reconnects int64
	// Gaps are stretches that were missed and cannot be had any more. LastGap says which the last one was.
	Gaps    int64
	LastGap string
	// Note is what else a connector has to say of itself, such as what it costs.
	Note string
	// Cursor is the last one that is stored.
	Cursor string
}

// Lag is how much later than its own time the latest event came; 0 where none has come.
func (n Snapshot) Lag() time.Duration {
	if n.EventTime.IsZero() {
		return 0
	}
	return max(0, n.LastEvent.Sub(n.EventTime))
}

// Connected says that the connection stands. Peer says to whom, without secrets.
func (s *Status) Connected(peer string) {
	s.change(func(n *Snapshot) { n.setState(Live, time.Now()); n.Peer = peer })
}

// Gap says that events between two cursors, times or ids were missed and cannot be had any more: a look-back that was too short, a limit.
func (s *Status) Gap(what string) {
	s.change(func(n *Snapshot) { n.Gaps++; n.LastGap = what })
}

// Note says what else there is to know, in a line: it stands until the next one.
func (s *Status) Note(what string) {
	s.change(func(n *Snapshot) { n.Note = what })
}

// Begun says that a connection is being made.
func (s *Status) Begun(now time.Time) {
	s.change(func(n *Snapshot) {
		if n.State == Waiting {
			n.Reconnects++
		}
		n.setState(Connecting, now)
	})
}

// Failed says that the connection is gone, and why.
func (s *Status) Failed(now time.Time, err error) {
	s.change(func(n *Snapshot) {
		n.setState(Waiting, now)
		n.LastError, n.LastErrorAt = oneLine(err), now
	})
}

// Ended says that the source does not run any more: Done or Stopped.
func (s *Status) Ended(now time.Time, state State) {
	s.change(func(n *Snapshot) { n.setState(state, now) })
}

// Stored says that a cursor is stored.
func (s *Status) Stored(cursor string) { s.change(func(n *Snapshot) { n.Cursor = cursor }) }

// Took counts an event.
func (s *Status) Took(e *Event, now time.Time) {
	s.change(func(n *Snapshot) {
		switch e.Kind {
		case Upsert:
			n.Posts++
		case Delete, RemoveAuthor:
			n.Deletes++
		case Unreadable:
			n.Unreadable++
		case Clock, Mark:
			return
		}
		n.LastEvent = now
		if e.Post.CreatedAt.After(n.EventTime) {
			n.EventTime = e.Post.CreatedAt
		}
		s.rate.add(now)
	})
}

func (s *Status) change(f func(*Snapshot)) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.snap)
}

// Snapshot returns what is known now.
func (s *Status) Snapshot(now time.Time) Snapshot {
	if s == nil {
		return Snapshot{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.snap
	n.Rate = s.rate.perSecond(now)
	return n
}

func (n *Snapshot) setState(state State, now time.Time) {
	if n.State != state {
		n.State, n.Since = state, now
	}
}

// rate counts by slots of ten seconds.
type rate struct {
	slots [7]int64
	first int64 // slot of the first event
	last  int64 // slot that was counted in last
}

const slotSeconds = 10

func (r *rate) add(now time.Time) {
	slot := now.Unix() / slotSeconds
	if r.first == 0 {
		r.first, r.last = slot, slot
	}
	r.forget(slot)
	r.slots[slot%int64(len(r.slots))]++
}

func (r *rate) forget(slot int64) {
	for r.last < slot {
		r.last++
		r.slots[r.last%int64(len(r.slots))] = 0
		if slot-r.last > int64(len(r.slots)) {
			r.last = slot - int64(len(r.slots))
		}
	}
}

// perSecond is over the last minute, or over what there is.
func (r *rate) perSecond(now time.Time) float64 {
	if r.first == 0 {
		return 0
	}
	slot := now.Unix() / slotSeconds
	r.forget(slot)
	var n int64
	for _, c := range r.slots {
		n += c
	}
	begin := max(r.first, slot-int64(len(r.slots))+1) * slotSeconds
	return float64(n) / float64(max(1, now.Unix()-begin))
}
