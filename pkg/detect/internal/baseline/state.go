package baseline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Size is the length of an encoded baseline in bytes.
const Size = 8 * (2 + (4+5)*Windows + (hourDay + hourDay*dayWeek) + 2)

// AppendBinary appends the exact state to b, Size bytes, little-endian.
func (b *Baseline) AppendBinary(to []byte) []byte {
	float := func(x float64) { to = binary.LittleEndian.AppendUint64(to, math.Float64bits(x)) }
	cells := func(cs []cell) {
		for _, c := range cs {
			to = binary.LittleEndian.AppendUint32(to, math.Float32bits(c.Seen))
			to = binary.LittleEndian.AppendUint32(to, math.Float32bits(c.Expected))
		}
	}
	float(b.shape)
	float(b.exposure)
	for _, m := range b.spread {
		float(m.Excess)
		float(m.Weight)
		float(m.Seen)
		float(m.Expected)
	}
	for _, p := range b.peaks {
		float(p.Blocks)
		float(p.Mean)
		float(p.Square)
		float(p.Highest)
		to = binary.LittleEndian.AppendUint64(to, uint64(p.Block))
	}
	cells(b.day[:])
	cells(b.week[:])
	to = binary.LittleEndian.AppendUint64(to, uint64(b.zeros))
	return binary.LittleEndian.AppendUint64(to, uint64(b.clipped))
}

// Decode reads Size bytes that AppendBinary wrote. It refuses what no baseline can hold.
func Decode(from []byte) (Baseline, error) {
	if len(from) != Size {
		return Baseline{}, fmt.Errorf("%d bytes; a baseline has %d", len(from), Size)
	}
	var b Baseline
	sane := true
	float := func(least float64) float64 {
		x := math.Float64frombits(binary.LittleEndian.Uint64(from))
		from = from[8:]
		sane = sane && x >= least && x <= 1e30 // false for NaN
		return x
	}
	cells := func(cs []cell) {
		for i := range cs {
			cs[i].Seen = math.Float32frombits(binary.LittleEndian.Uint32(from))
			cs[i].Expected = math.Float32frombits(binary.LittleEndian.Uint32(from[4:]))
			from = from[8:]
			sane = sane && cs[i].Seen >= 0 && cs[i].Seen <= 1e30 && cs[i].Expected >= 0 && cs[i].Expected <= 1e30
		}
	}
	count := func() int64 {
		n := int64(binary.LittleEndian.Uint64(from))
		from = from[8:]
		sane = sane && n >= 0 && n <= 1<<40
		return n
	}
	b.shape, b.exposure = float(0), float(0)
	for k := range b.spread {
		b.spread[k] = moments{float(-1e30), float(0), float(0), float(0)}
	}
	for k := range b.peaks {
		b.peaks[k] = peaks{float(0), float(0), float(0), float(0), count()}
	}
	cells(b.day[:])
	cells(b.week[:])
	b.zeros, b.clipped = count(), count()
	if !sane {
		return Baseline{}, errors.New("a number is out of its range")
	}
	return b, nil
}
