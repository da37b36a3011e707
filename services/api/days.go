package api

import (
	lru "container/list"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"outcry.dev/pkg/store"
)

// days keeps what is known of services by the minute, a day at a time: past minutes seldom change. Where ClickHouse has written into a day,
// because posts came late or the day is today, that day is forgotten; so what is answered is what the view service_series says, up to
// lookEvery before.
type days struct {
	store *store.Store
	limit int // bytes

	looking sync.Mutex // held while somebody looks for what was written
	looked  time.Time
	written written

	reading chan struct{} // as many as read at once

	mu      sync.Mutex
	waiting []waitingDay // that nobody reads yet
	kept    map[dayKey]*keptDay
	order   *lru.List // of dayKey, the one used last in front
	bytes   int
}

const (
	lookEvery  = time.Second
	dayMinutes = 24 * 60
	// perDay is what a day costs beside its bytes, about.
	perDay = 300
	// maxReading is how many questions for days are under way, and maxTogether how many days are in one: those that come while others are read are
	// read together, since most of what a day costs ClickHouse is the asking.
	maxReading  = 2
	maxTogether = 16
	// maxWaitingDays is how many days wait to be read: about what is read within two seconds.
	maxWaitingDays = 200
	// longestWindow is how far behind its beginning a window ends, at most.
	longestWindow = time.Hour
)

type dayKey struct {
	service string // empty: what was ingested
	day     int64  // since 1970-01-01 UTC
}

// keptDay is a day, or one that is being read by whoever put it there.
type keptDay struct {
	ready   chan struct{} // closed once it is read, or has failed
	packed  []byte
	alarms  []store.SpikeWindow
	err     error
	counted bool // in bytes of all
	element *lru.Element
}

func newDays(s *store.Store, limit int) *days {
	return &days{store: s, limit: limit, reading: make(chan struct{}, maxReading), kept: map[dayKey]*keptDay{}, order: lru.New()}
}

// minutes returns the minutes that begin in [from, to), which are whole, and the windows in alarm.
func (d *days) minutes(ctx context.Context, service string, from, to time.Time) ([]store.Point, []store.SpikeWindow, error) {
	if err := d.look(ctx); err != nil {
		return nil, nil, err
	}
	points := make([]store.Point, 0, int(to.Sub(from)/time.Minute))
	var alarms []store.SpikeWindow
	for n := from.Unix() / 86400; n*86400 < to.Unix(); n++ {
		start := time.Unix(n*86400, 0).UTC()
		first, past := max(0, int(from.Sub(start)/time.Minute)), min(dayMinutes, int(to.Sub(start)/time.Minute))
		counts, err := d.get(ctx, dayKey{service, n})
		if err != nil {
			return nil, nil, err
		}
		ingested, err := d.get(ctx, dayKey{"", n})
		if err != nil {
			return nil, nil, err
		}
		points = unpack(points, counts.packed, ingested.packed, start, first, past)
		for _, w := range counts.alarms {
			if w.End.After(from) && w.End.Add(-w.Window).Before(to) && !slices.ContainsFunc(alarms, func(other store.SpikeWindow) bool {
				return other.Window == w.Window && other.End.Equal(w.End)
			}) {
				alarms = append(alarms, w)
			}
		}
	}
	slices.SortFunc(alarms, func(a, b store.SpikeWindow) int {
		if a.Window != b.Window {
			return int(a.Window - b.Window)
		}
		return a.End.Compare(b.End)
	})
	return points, alarms, nil
}

// get returns a day; those who ask at the same time read it once.
func (d *days) get(ctx context.Context, key dayKey) (*keptDay, error) {
	d.mu.Lock()
	k := d.kept[key]
	if k == nil && len(d.waiting) >= maxWaitingDays {
		d.mu.Unlock()
		return nil, fmt.Errorf("read a day of %s: %w", key.service, store.ErrBusy)
	}
	if k == nil {
		k = &keptDay{ready: make(chan struct{}), element: d.order.PushFront(key)}
		d.kept[key] = k
		d.waiting = append(d.waiting, waitingDay{key, k})
	} else {
		d.order.MoveToFront(k.element)
	}
	d.mu.Unlock()
	for {
		select { // what is there waits for nobody
		case <-k.ready:
			return k, k.err
		default:
		}
		select {
		case <-k.ready:
			return k, k.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case d.reading <- struct{}{}:
			// For whoever waits, so it does not end when this one goes.
			together, cancel := context.WithTimeout(context.WithoutCancel(ctx), questionTimeout)
			d.read(together)
			cancel()
			<-d.reading
		}
	}
}

// waitingDay is a day that nobody reads yet.
type waitingDay struct {
	key dayKey
	k   *keptDay
}

// read reads some of the days that are waited for.
func (d *days) read(ctx context.Context) {
	d.mu.Lock()
	n := min(len(d.waiting), maxTogether)
	some := slices.Clone(d.waiting[:n])
	d.waiting = slices.Delete(d.waiting, 0, n)
	d.mu.Unlock()
	var stretches []store.Stretch
	var of []*keptDay
	for _, w := range some {
		start := time.Unix(w.key.day*86400, 0).UTC()
		if w.key.service != "" {
			stretches, of = append(stretches, store.Stretch{Service: w.key.service, From: start, To: start.Add(day)}), append(of, w.k)
			continue
		}
		var counts []int
		if counts, w.k.err = d.store.IngestedByMinute(ctx, start, start.Add(day)); w.k.err == nil {
			w.k.packed = packCounts(counts)
		}
	}
	minutes, err := d.store.Minutes(ctx, stretches...)
	for i, k := range of {
		if k.err = err; err == nil {
			k.packed, k.alarms = pack(minutes[i].Points), minutes[i].Alarms
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range some {
		d.keep(w.key, w.k)
	}
}

// keep has a day that was read, or could not be, at hand for those who wait, and for later ones unless it was forgotten meanwhile; d.mu is held.
func (d *days) keep(key dayKey, k *keptDay) {
	defer close(k.ready)
	if d.kept[key] != k {
		return
	}
	if k.err != nil {
		d.drop(key)
		return
	}
	k.counted = true
	d.bytes += k.size()
	for d.bytes > d.limit && d.order.Len() > 1 {
		oldest := d.order.Back()
		if oldest == k.element {
			break
		}
		d.drop(oldest.Value.(dayKey)) //nolint:forcetypeassert // nothing else is in it
	}
}

func (k *keptDay) size() int {
	return perDay + len(k.packed) + 100*len(k.alarms)
}

// drop forgets a day; d.mu is held.
func (d *days) drop(key dayKey) {
	k := d.kept[key]
	if k.counted {
		d.bytes -= k.size()
	}
	d.order.Remove(k.element)
	delete(d.kept, key)
}

// look forgets the days into which ClickHouse has written since the last look.
func (d *days) look(ctx context.Context) error {
	d.looking.Lock()
	defer d.looking.Unlock()
	if time.Since(d.looked) < lookEvery {
		return nil
	}
	at := time.Now()
	parts, err := d.store.SeriesParts(ctx)
	if err != nil {
		return err
	}
	changed, all := d.written.add(parts)
	d.looked = at
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.kept {
		start := time.Unix(key.day*86400, 0).UTC()
		if all || slices.ContainsFunc(changed, func(p store.Part) bool {
			return (p.Table == "source_minutes") == (key.service == "") && p.From.Before(start.Add(day+longestWindow)) && !p.To.Before(start)
		}) {
			d.drop(key)
		}
	}
	return nil
}

// written is which inserts into which partitions have been seen.
type written struct {
	seen map[partition][]inserts
}

type partition struct {
	table, id string
	mutation  uint64
}

// inserts is a run of numbers, with both ends.
type inserts struct{ first, last int64 }

// add returns the parts that hold an insert not seen before, and whether anything was taken away or all is new, so that nothing is known.
// Merges move inserts from part to part and change nothing.
func (w *written) add(parts []store.Part) (changed []store.Part, all bool) {
	now := map[partition]bool{}
	all = w.seen == nil
	if w.seen == nil {
		w.seen = map[partition][]inserts{}
	}
	for _, p := range parts {
		key := partition{p.Table, p.Partition, p.Mutation}
		now[key] = true
		if !covered(w.seen[key], inserts{p.FirstInsert, p.LastInsert}) {
			changed = append(changed, p)
		}
	}
	for _, p := range parts {
		key := partition{p.Table, p.Partition, p.Mutation}
		w.seen[key] = cover(w.seen[key], inserts{p.FirstInsert, p.LastInsert})
	}
	for key := range w.seen {
		if !now[key] {
			delete(w.seen, key)
			all = true
		}
	}
	return changed, all
}

func covered(runs []inserts, x inserts) bool {
	return slices.ContainsFunc(runs, func(r inserts) bool { return r.first <= x.first && x.last <= r.last })
}

// cover adds a run and joins those that meet, so that their number stays small.
func cover(runs []inserts, x inserts) []inserts {
	out := runs[:0:0]
	for _, r := range runs {
		if r.last+1 < x.first || x.last+1 < r.first {
			out = append(out, r)
			continue
		}
		x = inserts{min(r.first, x.first), max(r.last, x.last)}
	}
	return append(out, x)
}

// A packed day is, for each minute, people and mentions as varints, and its band: how it compares to that of the minute before, and, where it
// differs, its three numbers. Most days of most services are a few bytes a minute.
const (
	bandNone byte = iota
	bandSame
	bandNew
)

func pack(points []store.Point) []byte {
	out := make([]byte, 0, 4*len(points))
	var last store.Expectation
	for i := range points {
		p := &points[i]
		out = binary.AppendUvarint(out, uint64(max(0, p.People)))
		out = binary.AppendUvarint(out, uint64(max(0, p.Mentions)))
		switch {
		case p.Expected == nil:
			out = append(out, bandNone)
		case *p.Expected == last:
			out = append(out, bandSame)
		default:
			last = *p.Expected
			out = append(out, bandNew)
			for _, v := range []float64{last.Expected, last.Lower, last.Upper} {
				out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
			}
		}
	}
	return slices.Clip(out)
}

func packCounts(counts []int) []byte {
	var out []byte
	for _, n := range counts {
		out = binary.AppendUvarint(out, uint64(max(0, n)))
	}
	return slices.Clip(out)
}

// unpack appends the minutes of a day from first up to past.
func unpack(points []store.Point, packed, ingested []byte, start time.Time, first, past int) []store.Point {
	bands := make([]store.Expectation, past-first)
	var last store.Expectation
	number := func(from *[]byte) int {
		v, n := binary.Uvarint(*from)
		*from = (*from)[n:]
		return int(v) //nolint:gosec // pack wrote it
	}
	for i := range past {
		p := store.Point{Start: start.Add(time.Duration(i) * time.Minute), People: number(&packed), Mentions: number(&packed), Ingested: number(&ingested)}
		band := packed[0]
		packed = packed[1:]
		if band == bandNew {
			for _, v := range []*float64{&last.Expected, &last.Lower, &last.Upper} {
				*v = math.Float64frombits(binary.LittleEndian.Uint64(packed))
				packed = packed[8:]
			}
		}
		if i < first {
			continue
		}
		if band != bandNone {
			bands[i-first] = last
			p.Expected = &bands[i-first]
		}
		points = append(points, p)
	}
	return points
}
