package aggregator

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"outcry.dev/pkg/store"
)

// partitionState is the row without a service in aggregator_state. The rest of a partition is rebuilt from mentions.
type partitionState struct {
	Progress map[int32]*position `json:"progress"`
	Expected int32               `json:"posts_partitions"`
	Began    int64               `json:"began_step"`
	Clock    int64               `json:"clock_step"`
}

func (p *partition) marshalState() ([]byte, error) {
	return json.Marshal(partitionState{Progress: p.progress, Expected: p.expected, Began: p.began, Clock: p.clock})
}

// marshalState holds what cannot be rebuilt from mentions: the baseline and where the incident stands.
func (s *service) marshalState() ([]byte, error) {
	d, err := s.detector.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("detector of %s: %w", s.id, err)
	}
	i, err := s.incident.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("incident of %s: %w", s.id, err)
	}
	return slices.Concat(binary.AppendUvarint(nil, uint64(len(d))), d, i), nil
}

func (s *service) unmarshalState(b []byte) error {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return fmt.Errorf("state of %s is cut short", s.id)
	}
	b = b[size:]
	if err := s.detector.UnmarshalBinary(b[:n]); err != nil {
		return fmt.Errorf("detector of %s: %w", s.id, err)
	}
	if err := s.incident.UnmarshalBinary(b[n:]); err != nil {
		return fmt.Errorf("incident of %s: %w", s.id, err)
	}
	return nil
}

// restore brings a partition to where its last flush left it. It returns the offset to go on from (-1: the beginning) and the
// epoch of the previous owner.
func (p *partition) restore(ctx context.Context, st *store.Store, number int) (next int64, epoch uint64, err error) {
	rows, err := st.States(ctx, number)
	if err != nil {
		return 0, 0, err
	}
	next = -1
	for _, r := range rows {
		epoch = max(epoch, r.Version>>epochShift)
		if r.Service != "" {
			if err := p.service(r.Service).unmarshalState(r.State); err != nil {
				return 0, 0, fmt.Errorf("restore partition %d: %w", number, err)
			}
			continue
		}
		var s partitionState
		if err := json.Unmarshal(r.State, &s); err != nil {
			return 0, 0, fmt.Errorf("restore partition %d: %w", number, err)
		}
		p.progress, p.expected, p.began, p.clock, next = s.Progress, s.Expected, s.Began, s.Clock, r.NextOffset
		if p.progress == nil {
			p.progress = map[int32]*position{}
		}
	}
	if next < 0 {
		if len(rows) > 0 {
			return 0, 0, errors.New("restore: aggregator_state has services but no partition")
		}
		return -1, 0, nil
	}
	return next, epoch, p.rebuild(ctx, st, number, next)
}

// rebuild fills the windows again from the mentions that had been delivered.
func (p *partition) rebuild(ctx context.Context, st *store.Store, number int, next int64) error {
	since := int64(0)
	if p.clock != math.MinInt64 {
		since = (p.clock - rememberSteps) * stepUS
		for _, s := range p.services {
			if s.incident.Open() {
				since = min(since, s.incident.NeedsSince())
			}
		}
	}
	err := st.MentionsSince(ctx, number, next, max(1, since), func(m store.Mention) {
		step := m.CountedAtUS / stepUS
		p.remember(m.Mention, step, m.Offset)
		m.Mention = atStep(m.Mention, step)
		if p.clock == math.MinInt64 || step > p.clock {
			p.wait(m.Mention, step)
			return
		}
		s := p.service(m.GetService())
		s.people.Advance(step)
		if s.countsAsPerson(m.Mention, step) {
			s.people.Add(m.GetAuthor())
		}
		if m.GetTimeUs() >= s.incident.NeedsSince() {
			s.incident.Restore(m.Mention)
		}
	})
	if err != nil {
		return err
	}
	for id, s := range p.services {
		if p.clock != math.MinInt64 {
			s.people.Advance(p.clock)
		}
		if !s.people.Empty() || s.incident.Open() {
			p.active[id] = s
		}
	}
	return nil
}
