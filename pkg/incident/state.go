package incident

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// stateVersion is the first byte of an encoded machine. The first version had fewer integers.
const (
	stateVersion  = 2
	firstVersion  = 1
	firstIntegers = 10
)

// NeedsSince returns from which event time on, in microseconds since 1970, the mentions of the service up to the latest step must be
// given to Restore after UnmarshalBinary.
func (m *Machine) NeedsSince() int64 {
	since := max(m.at, m.heard) - lookBack - beforeStart
	if m.incident != nil {
		since = min(since, m.incident.StartedAtUs-beforeStart)
	}
	// Copies are remembered by the hour, for the hour under way and the one before.
	return max(since-since%hourMicros-hourMicros, 0)
}

// Restore gives back a mention that was added before the state was encoded: all since NeedsSince, in the same order, nothing twice.
// It publishes nothing, and reports as Add whether the mention counts one person.
func (m *Machine) Restore(x *outcryv1.Mention) (person bool) {
	m.refilling = true
	defer func() { m.refilling = false }()
	return m.Add(x)
}

// MarshalBinary encodes what mentions cannot give back. The configuration and the service are not part of it.
func (m *Machine) MarshalBinary() ([]byte, error) {
	b := []byte{stateVersion, 0}
	for i, f := range m.flags() {
		if *f {
			b[1] |= 1 << i
		}
	}
	for _, n := range m.integers() {
		b = binary.AppendVarint(b, *n)
	}
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(m.margin))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(m.usualTalk))
	b = binary.AppendUvarint(b, uint64(len(m.why)))
	b = append(b, m.why...)
	if m.incident == nil {
		return b, nil
	}
	b[1] |= 1 << 7
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m.incident)
	if err != nil {
		return nil, fmt.Errorf("encode incident %s: %w", m.incident.Id, err)
	}
	return b, nil
}

// UnmarshalBinary restores what MarshalBinary encoded and forgets all mentions: give them back with Restore. After an error the machine
// is unchanged.
func (m *Machine) UnmarshalBinary(b []byte) error {
	if len(b) < 2 || b[0] != stateVersion && b[0] != firstVersion {
		return errors.New("decode machine: unknown version; rebuild the state from the history")
	}
	restored := New(m.service, m.cfg)
	version, set, integers := b[0], b[1], restored.integers()
	if version == firstVersion {
		integers = integers[:firstIntegers]
	}
	b = b[2:]
	for i, f := range restored.flags() {
		*f = set&(1<<i) != 0
	}
	for _, n := range integers {
		var used int
		if *n, used = binary.Varint(b); used <= 0 {
			return errors.New("decode machine: cut off")
		}
		b = b[used:]
	}
	if len(b) < 8 {
		return errors.New("decode machine: cut off")
	}
	restored.margin = math.Float64frombits(binary.LittleEndian.Uint64(b))
	if math.IsNaN(restored.margin) {
		return errors.New("decode machine: the margin is not a number")
	}
	b = b[8:]
	if version != firstVersion {
		if len(b) < 8 {
			return errors.New("decode machine: cut off")
		}
		restored.usualTalk = math.Float64frombits(binary.LittleEndian.Uint64(b))
		if !(restored.usualTalk >= 0 && restored.usualTalk <= math.MaxFloat64) {
			return errors.New("decode machine: the rate of talk is no rate")
		}
		b = b[8:]
	}
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return errors.New("decode machine: cut off")
	}
	b = b[used:]
	restored.why, b = string(b[:n]), b[n:]
	if set&(1<<7) != 0 {
		restored.incident = &outcryv1.Incident{}
		if err := proto.Unmarshal(b, restored.incident); err != nil {
			return fmt.Errorf("decode machine: %w", err)
		}
		if restored.incident.Service != m.service {
			return fmt.Errorf("decode machine: the state is of service %q, not %q", restored.incident.Service, m.service)
		}
	} else if len(b) > 0 {
		return fmt.Errorf("decode machine: %d bytes too many", len(b))
	}
	*m = *restored
	return nil
}

func (l *life) flags() []*bool { return []*bool{&l.endless, &l.muted} }

func (l *life) integers() []*int64 {
	return []*int64{&l.at, &l.heard, &l.calmSince, &l.opened, &l.reopenedFrom, &l.publishedAt, &l.peopleThen, &l.peak, &l.hourLow, &l.ended,
		&l.copiesFrom, &l.talkedAt}
}
