package aggregator

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// partitionState is the row without a service in aggregator_state. The rest of a partition is rebuilt from mentions.
type partitionState struct {
	Progress map[int32]*position `json:"progress"`
	Expected int32               `json:"posts_partitions"`
	Began    int64               `json:"began_step"`
	Clock    int64               `json:"clock_step"`
	Intake   []byte              `json:"intake,omitempty"`
	Sources  *sourcesState       `json:"sources,omitempty"`
}

func (p *partition) marshalState() ([]byte, error) {
	intake, err := p.intake.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	return json.Marshal(partitionState{Progress: p.progress, Expected: p.expected, Began: p.began, Clock: p.clock, Intake: intake,
		Sources: &p.sources.state})
}

// marshalState holds what cannot be rebuilt from mentions: the baseline and where the incident stands.
func (s *service) marshalState() ([]byte, error) {
	s.own.Estimated = s.people.Estimated()
	own, err := json.Marshal(s.own)
	if err != nil {
		return nil, fmt.Errorf("counts of %s: %w", s.id, err)
	}
	d, err := s.detector.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("detector of %s: %w", s.id, err)
	}
	i, err := s.incident.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("incident of %s: %w", s.id, err)
	}
	b := append(binary.AppendUvarint([]byte{ownState}, uint64(len(own))), own...)
	return slices.Concat(binary.AppendUvarint(b, uint64(len(d))), d, i), nil
}

// ownState begins a state with the aggregator's own part, which the first versions did not have: they began with the length of the
// detector's, which is never 0.
const ownState = 0

// serviceState is what the aggregator itself must remember of a service.
type serviceState struct {
	// Estimated says that people were estimated when the state was saved.
	Estimated bool `json:"estimated,omitempty"`
	// Voices are posts about the service by source, forgotten over a week, as of a step.
	Voices   map[string]float64 `json:"voices,omitempty"`
	VoicesAt int64              `json:"voices_at,omitempty"`
}

func (s *service) unmarshalState(b []byte) error {
	if len(b) > 0 && b[0] == ownState {
		own, rest, err := cutPart(b[1:])
		if err != nil {
			return fmt.Errorf("state of %s: %w", s.id, err)
		}
		if err := json.Unmarshal(own, &s.own); err != nil {
			return fmt.Errorf("counts of %s: %w", s.id, err)
		}
		b = rest
	}
	d, i, err := cutPart(b)
	if err != nil {
		return fmt.Errorf("state of %s: %w", s.id, err)
	}
	if err := s.detector.UnmarshalBinary(d); err != nil {
		return fmt.Errorf("detector of %s: %w", s.id, err)
	}
	if err := s.incident.UnmarshalBinary(i); err != nil {
		return fmt.Errorf("incident of %s: %w", s.id, err)
	}
	return nil
}

// cutPart cuts off a part that begins with its length.
func cutPart(b []byte) (part, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errors.New("cut short")
	}
	return b[size:][:n], b[size:][n:], nil
}

// reserved begins the names of rows in aggregator_state that are no services: no id of the catalog contains it.
const reserved = "/"

// withdrawnRows is how many rows the withdrawals of a partition share in turn: more than there are steps to remember.
const withdrawnRows = 1 << 11

// withdrawnRow names the row that holds what was withdrawn in a step. The row is used again long after that step is forgotten.
func withdrawnRow(step int64) string {
	return fmt.Sprintf("%swithdrawn/%04d", reserved, step%withdrawnRows)
}

// withdrawnState is what was withdrawn in a step. A withdrawal can arrive before its post, so the mentions do not tell.
type withdrawnState struct {
	Step  int64           `json:"step"`
	Posts []withdrawnPost `json:"posts"`
}

type withdrawnPost struct {
	Source   string `json:"source"`
	ID       string `json:"id"`
	Revision int64  `json:"revision"`
}

func (p *partition) marshalWithdrawn(step int64) ([]byte, error) {
	s := withdrawnState{Step: step}
	for _, k := range p.withdrew[step] {
		s.Posts = append(s.Posts, withdrawnPost{k.source, k.id, p.withdraw[k]})
	}
	return json.Marshal(s)
}

func (p *partition) unmarshalWithdrawn(b []byte) error {
	var s withdrawnState
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if p.clock != math.MinInt64 && s.Step < p.clock-rememberSteps {
		return nil
	}
	for _, w := range s.Posts {
		if k := (postKey{w.Source, w.ID}); p.withdraw[k] <= w.Revision {
			p.withhold(k, w.Revision, s.Step)
		}
	}
	return nil
}

// restore brings a partition to where its last flush left it. It returns the offset to go on from (-1: the beginning) and the
// epoch of the previous owner.
func (p *partition) restore(ctx context.Context, st *store.Store, number int) (next int64, epoch uint64, err error) {
	rows, err := st.States(ctx, number)
	if err != nil || len(rows) == 0 {
		return -1, 0, err
	}
	if rows[0].Service != "" {
		return 0, 0, errors.New("restore: aggregator_state has services but no partition; empty it to start again from what the topic holds")
	}
	next, epoch = rows[0].NextOffset, rows[0].Version>>epochShift
	for _, r := range rows {
		// Each owner begins by writing all rows. One that is of another epoch is what a superseded owner wrote beyond our predecessor.
		if r.Version>>epochShift != epoch {
			continue
		}
		if err := p.unmarshalRow(r); err != nil {
			return 0, 0, fmt.Errorf("restore partition %d: %w", number, err)
		}
	}
	return next, epoch, p.rebuild(ctx, st, number, next)
}

func (p *partition) unmarshalRow(r store.State) error {
	if strings.HasPrefix(r.Service, reserved) {
		return p.unmarshalWithdrawn(r.State)
	}
	if r.Service != "" {
		return p.service(r.Service).unmarshalState(r.State)
	}
	var s partitionState
	if err := json.Unmarshal(r.State, &s); err != nil {
		return err
	}
	p.progress, p.expected, p.began, p.clock = s.Progress, s.Expected, s.Began, s.Clock
	if p.progress == nil {
		p.progress = map[int32]*position{}
	}
	if s.Sources != nil {
		p.sources.restore(*s.Sources)
	}
	if len(s.Intake) > 0 { // a state of an earlier version has none
		return p.intake.UnmarshalBinary(s.Intake)
	}
	return nil
}

// rebuild fills the windows again from the mentions that had been delivered.
func (p *partition) rebuild(ctx context.Context, st *store.Store, number int, next int64) error {
	since, longer, alive := p.needs()
	take := func(m store.Mention) { p.restoreMention(m.Mention, m.CountedAtUS/stepUS, m.Offset) }
	if len(alive) > 0 {
		if err := st.MentionsSince(ctx, number, next, longer, alive, take); err != nil {
			return err
		}
	}
	err := st.MentionsSince(ctx, number, next, since, nil, func(m store.Mention) {
		if !slices.Contains(alive, m.GetService()) {
			take(m)
		}
	})
	if err != nil {
		return err
	}
	p.resume()
	return nil
}

// needs says from which event time on mentions are needed: since for the windows, and longer for the services of which an incident is
// open or could be reopened. Both are a full hour before anything that still counts, because copied texts are remembered by the hour.
// Neither is ever less than a step: the tables are asked in whole seconds, and what came too late for any decision counts from 0.
func (p *partition) needs() (since, longer int64, alive []string) {
	if p.clock == math.MinInt64 {
		return stepUS, stepUS, nil
	}
	const hour = int64(time.Hour / time.Microsecond)
	window := (p.clock - rememberSteps/2) * stepUS
	since = max(stepUS, window-window%hour-hour)
	longer = since
	for id, s := range p.services {
		if s.incident.Alive(p.now()) {
			alive = append(alive, id)
			longer = min(longer, max(stepUS, s.incident.NeedsSince()))
		}
	}
	return since, longer, alive
}

// restoreMention gives back a mention that had been delivered, as add and decide had taken it.
func (p *partition) restoreMention(m *outcryv1.Mention, step, offset int64) {
	p.remember(m, step, offset)
	m = atStep(m, step)
	if p.clock == math.MinInt64 || step > p.clock {
		p.wait(m, step)
		return
	}
	s := p.service(m.GetService())
	s.people.Advance(step)
	if s.incident.Restore(m) {
		s.people.Add(m.GetAuthor())
	}
}

// resume ends a restoration: the services that steps must look at are those that have people or an incident.
func (p *partition) resume() {
	for id, s := range p.services {
		if p.clock != math.MinInt64 {
			s.people.Advance(p.clock)
		}
		if s.own.Estimated {
			s.people.Estimate()
		}
		if !s.people.Empty() || s.incident.Open() {
			p.active[id] = s
		}
		if s.incident.Alive(p.now()) {
			p.showing[id] = s
		}
	}
}
