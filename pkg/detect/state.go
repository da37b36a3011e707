package detect

import (
	"encoding/binary"
	"errors"
	"fmt"

	"outcry.dev/pkg/detect/internal/baseline"
)

// stateVersion is the first byte of an encoded detector. A change of the model's state or meaning raises it.
const stateVersion = 1

// stateSize is the length of an encoded detector in bytes.
const stateSize = 2 + 8*(2+3+4*len(Windows)) + baseline.Size

// MarshalBinary encodes the exact state in less than 2 KB: a restored detector goes on bit by bit as this one would.
// The configuration is not part of it.
func (d *Detector) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, stateSize)
	b = append(b, stateVersion, 0)
	if d.begun {
		b[1] = 1
	}
	for _, n := range d.integers() {
		b = binary.LittleEndian.AppendUint64(b, uint64(*n))
	}
	return d.base.AppendBinary(b), nil
}

// UnmarshalBinary restores a state that MarshalBinary encoded and keeps the configuration. After an error the detector is unchanged.
func (d *Detector) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != stateVersion {
		return errors.New("decode detector: unknown version; rebuild the state from the history")
	}
	if len(b) != stateSize || b[1] > 1 {
		return fmt.Errorf("decode detector: %d bytes; a detector has %d", len(b), stateSize)
	}
	restored := Detector{cfg: d.cfg, begun: b[1] == 1}
	b = b[2:]
	for i, n := range restored.integers() {
		*n = int64(binary.LittleEndian.Uint64(b))
		b = b[8:]
		if *n > 1<<50 || *n < 0 && i > 0 || *n < -(1<<50) {
			return errors.New("decode detector: a count is out of its range")
		}
	}
	if restored.at%step != 0 {
		return errors.New("decode detector: the time is off the grid")
	}
	base, err := baseline.Decode(b)
	if err != nil {
		return fmt.Errorf("decode detector: %w", err)
	}
	restored.base = base
	*d = restored
	return nil
}

// integers lists the whole numbers of the state in the order of the encoding, the time first.
func (d *Detector) integers() []*int64 {
	f := &d.fold
	ns := []*int64{&d.at, &d.history, &f.minutes, &f.exposure, &f.count}
	for k := range f.windows {
		w := &f.windows[k]
		ns = append(ns, &w.n, &w.sum, &w.squares, &w.most)
	}
	return ns
}
