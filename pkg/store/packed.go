package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// DayMinutes is how many minutes a day has, in UTC.
const DayMinutes = 24 * 60

// A packed day is the byte packedFormat, its minutes, and the windows in alarm that overlap it. A minute is one byte: people and mentions in three bits each,
// where seven says that the number follows as a varint, and how its band compares to that of the minute before. A run of equal minutes is one
// more byte. So most days of most services are a byte a minute or less, and 24 more for each minute whose band is a new one.
const (
	packedFormat byte = 1

	bandNone byte = 0 << 6
	bandSame byte = 1 << 6
	bandNew  byte = 2 << 6
	repeated byte = 3 << 6 // the minute before comes again, as often as the lower six bits say, and once more

	bandMask    = repeated
	follows     = 7
	maxRepeated = 64
)

// PackDay packs a day of a service that begins at start: 1,440 minutes, of which what was ingested is left out.
func PackDay(start time.Time, m MinutesOf) ([]byte, error) {
	if len(m.Points) != DayMinutes {
		return nil, fmt.Errorf("pack a day: it has %d minutes", len(m.Points))
	}
	out := append(make([]byte, 0, 2*DayMinutes), packedFormat)
	var last *Expectation // written last, which is not the one of the minute before where that has none
	for i := 0; i < DayMinutes; {
		p := &m.Points[i]
		n := 0
		for i > 0 && n < maxRepeated && i+n < DayMinutes && sameMinute(&m.Points[i-1], &m.Points[i+n]) {
			n++
		}
		if n > 0 {
			out = append(out, repeated|byte(n-1))
			i += n
			continue
		}
		people, mentions := uint64(max(0, p.People)), uint64(max(0, p.Mentions)) //nolint:gosec // not negative
		head := byte(min(people, follows)) | byte(min(mentions, follows))<<3
		switch {
		case p.Expected == nil:
			head |= bandNone
		case last != nil && *last == *p.Expected:
			head |= bandSame
		default:
			head |= bandNew
		}
		out = append(out, head)
		for _, v := range []uint64{people, mentions} {
			if v >= follows {
				out = binary.AppendUvarint(out, v)
			}
		}
		if head&bandMask == bandNew {
			last = p.Expected
			out = appendFloats(out, last.Expected, last.Lower, last.Upper)
		}
		i++
	}
	out = binary.AppendUvarint(out, uint64(len(m.Alarms)))
	for _, w := range m.Alarms {
		for _, v := range []int64{int64(w.Window / time.Second), w.End.Unix() - start.Unix(), int64(w.Observed), int64(w.HistoryMinutes)} {
			out = binary.AppendVarint(out, v)
		}
		out = appendFloats(out, w.Expected, w.Lower, w.Upper, w.Threshold, w.Score)
	}
	return slices.Clip(out), nil
}

func sameMinute(a, b *Point) bool {
	return a.People == b.People && a.Mentions == b.Mentions && (a.Expected == nil) == (b.Expected == nil) && (a.Expected == nil || *a.Expected == *b.Expected)
}

func appendFloats(out []byte, values ...float64) []byte {
	for _, v := range values {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
	}
	return out
}

var errNotPacked = errors.New("this is no packed day")

// UnpackDay is the inverse of PackDay. Minutes with the same band may share it.
func UnpackDay(packed []byte, service string, start time.Time) (MinutesOf, error) {
	r := unpacker{rest: packed}
	if r.byte() != packedFormat {
		return MinutesOf{}, errNotPacked
	}
	points := make([]Point, DayMinutes)
	var bands []Expectation // some at a time, so that most days need one piece of memory
	var last *Expectation
	at := start.UTC()
	for i := 0; i < DayMinutes && !r.bad; {
		head := r.byte()
		if head&bandMask == repeated {
			n := int(head&^bandMask) + 1
			if i == 0 || i+n > DayMinutes {
				return MinutesOf{}, errNotPacked
			}
			for ; n > 0; n-- {
				points[i] = points[i-1]
				points[i].Start, at = at, at.Add(time.Minute)
				i++
			}
			continue
		}
		p := &points[i]
		p.Start, at = at, at.Add(time.Minute)
		p.People, p.Mentions = r.number(head&follows), r.number(head>>3&follows)
		switch head & bandMask {
		case bandNew:
			if len(bands) == cap(bands) {
				bands = make([]Expectation, 0, 48)
			}
			bands = append(bands, Expectation{r.float(), r.float(), r.float()})
			last = &bands[len(bands)-1]
			p.Expected = last
		case bandSame:
			p.Expected = last
		}
		i++
	}
	out := MinutesOf{Points: points}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		w := SpikeWindow{Service: service, Alarm: true, Window: time.Duration(r.varint()) * time.Second, End: start.Add(time.Duration(r.varint()) * time.Second).UTC(),
			Observed: int(r.varint()), HistoryMinutes: int(r.varint())}
		w.Expected, w.Lower, w.Upper, w.Threshold, w.Score = r.float(), r.float(), r.float(), r.float(), r.float()
		out.Alarms = append(out.Alarms, w)
	}
	if r.bad || len(r.rest) > 0 {
		return MinutesOf{}, errNotPacked
	}
	return out, nil
}

// unpacker reads until something is missing.
type unpacker struct {
	rest []byte
	bad  bool
}

func (r *unpacker) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *unpacker) number(short byte) int {
	if short < follows {
		return int(short)
	}
	return int(r.uvarint()) //nolint:gosec // numbers of people and posts
}

func (r *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.skip(n)
	return v
}

func (r *unpacker) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n)
	return v
}

func (r *unpacker) float() float64 {
	if len(r.rest) < 8 {
		r.bad = true
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.rest))
	r.rest = r.rest[8:]
	return v
}

func (r *unpacker) skip(n int) {
	if n <= 0 {
		r.bad, n = true, len(r.rest)
	}
	r.rest = r.rest[n:]
}
