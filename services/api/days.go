package api

import (
	lru "container/list"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/pkg/store"
)

// days keeps what is known of services by the minute, a day at a time: past minutes seldom change. Days that are over and quiet were worked out and lie
// in ClickHouse as they are kept here; the others, today among them, are worked out from its tables when they are asked for. Where ClickHouse has written
// into a day, because posts came late or the day is today, that day is forgotten; so what is answered is what the view service_series says, up to
// lookEvery before.
type days struct {
	store *store.Store
	limit int                    // bytes
	from  *prometheus.CounterVec // metrics.days

	looking sync.Mutex   // held while somebody looks for what was written
	looked  atomic.Int64 // when, in nanoseconds since 1970; 0: never
	written written

	readers sync.WaitGroup // goroutines that read, or look

	mu sync.Mutex
	// Days that may have been worked out, those that were not, and what was ingested.
	closed, open, ingested lane
	kept                   map[store.DayOf]*keptDay
	order                  *lru.List // of store.DayOf, the one used last in front
	bytes                  int
	// changed are the parts that came since the preload under way began; nil while none is.
	changed []store.Part
}

const (
	lookEvery = time.Second
	// perDay is what a day costs beside its bytes, about.
	perDay = 300
	// maxReading is how many questions of a kind for days are under way, and maxTogether and maxOpenTogether how many days are in one: those that come
	// while others are read are read together, since most of what a day costs ClickHouse is the asking.
	maxReading      = 2
	maxTogether     = 64
	maxOpenTogether = 16
	// maxWaitingDays is how many days of a kind wait to be read: about what is read within two seconds.
	maxWaitingDays = 200
	// longestWindow is how far behind its beginning a window ends, at most.
	longestWindow = time.Hour
	// settled is how long nothing must have been written into a day that is over until it is worked out.
	settled = 15 * time.Minute
	// closeEvery is how often days are looked for that can be worked out.
	closeEvery = 10 * time.Minute
	// preloadDays is how many days back are read into memory before anybody asks.
	preloadDays = 31
)

// keptDay is a day, or one that is being read.
type keptDay struct {
	ready   chan struct{} // closed once it is read, or has failed
	packed  []byte        // of a service as store.PackDay, of what was ingested as packCounts
	err     error
	counted bool // in bytes of all
	element *lru.Element
}

// lane is days of a kind that nobody reads yet, and how many goroutines read such.
type lane struct {
	waiting  []waitingDay
	reading  int
	together int
	read     func(context.Context, []waitingDay)
}

type waitingDay struct {
	store.DayOf // without a service: what was ingested
	k           *keptDay
}

func newDays(s *store.Store, limit int, from *prometheus.CounterVec) *days {
	d := &days{store: s, limit: limit, from: from, kept: map[store.DayOf]*keptDay{}, order: lru.New()}
	d.closed, d.open = lane{together: maxTogether, read: d.readClosed}, lane{together: maxOpenTogether, read: d.readOpen}
	d.ingested = lane{together: maxTogether, read: d.readIngested}
	return d
}

// minutes returns the minutes that begin in [from, to), which are whole, and the windows in alarm.
func (d *days) minutes(ctx context.Context, service string, from, to time.Time) ([]store.Point, []store.SpikeWindow, error) {
	if err := d.look(ctx); err != nil {
		return nil, nil, err
	}
	var points []store.Point
	var alarms []store.SpikeWindow
	for n := from.Unix() / 86400; n*86400 < to.Unix(); n++ {
		start := time.Unix(n*86400, 0).UTC()
		first, past := max(0, int(from.Sub(start)/time.Minute)), min(store.DayMinutes, int(to.Sub(start)/time.Minute))
		counts, err := d.get(ctx, store.DayOf{Service: service, Day: n})
		if err != nil {
			return nil, nil, err
		}
		ingested, err := d.get(ctx, store.DayOf{Day: n})
		if err != nil {
			return nil, nil, err
		}
		whole, err := store.UnpackDay(counts.packed, service, start)
		if err != nil {
			return nil, nil, err
		}
		addCounts(whole.Points, ingested.packed)
		if points == nil {
			points = whole.Points[first:past]
		} else {
			points = append(points, whole.Points[first:past]...)
		}
		for _, w := range whole.Alarms {
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
func (d *days) get(ctx context.Context, of store.DayOf) (*keptDay, error) {
	d.mu.Lock()
	k := d.kept[of]
	if k != nil {
		d.order.MoveToFront(k.element)
		d.from.WithLabelValues(fromMemory).Inc()
	} else {
		to := &d.closed
		switch {
		case of.Service == "":
			to = &d.ingested
		case time.Since(of.Start()) < day+settled: // what is not over was not worked out, which needs no asking
			to = &d.open
		}
		if len(to.waiting) >= maxWaitingDays {
			d.mu.Unlock()
			return nil, fmt.Errorf("read a day of %s: %w", of.Service, store.ErrBusy)
		}
		k = &keptDay{ready: make(chan struct{}), element: d.order.PushFront(of)}
		d.kept[of] = k
		d.queue(to, waitingDay{of, k})
	}
	d.mu.Unlock()
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
	}
}

// queue has days read; d.mu is held.
func (d *days) queue(to *lane, some ...waitingDay) {
	to.waiting = append(to.waiting, some...)
	if to.reading < maxReading {
		to.reading++
		d.readers.Go(func() { d.work(to) })
	}
}

// work reads the days of a lane until none waits. It is for whoever waits, so it does not end when one of them goes.
func (d *days) work(of *lane) {
	for {
		d.mu.Lock()
		n := min(len(of.waiting), of.together)
		if n == 0 {
			of.reading--
			d.mu.Unlock()
			return
		}
		some := slices.Clone(of.waiting[:n])
		of.waiting = slices.Delete(of.waiting, 0, n)
		d.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), questionTimeout)
		of.read(ctx, some)
		cancel()
	}
}

// readClosed reads days as they were worked out, and has the others read as open ones.
func (d *days) readClosed(ctx context.Context, some []waitingDay) {
	of := make([]store.DayOf, len(some))
	for i, w := range some {
		of[i] = w.DayOf
	}
	packed, err := d.store.Days(ctx, of...)
	var done, open []waitingDay
	for i, w := range some {
		switch {
		case err != nil:
			w.k.err = err
		case packed[i] == nil:
			open = append(open, w)
			continue
		default:
			w.k.packed = packed[i]
			d.from.WithLabelValues(fromClosed).Inc()
		}
		done = append(done, w)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(open) > 0 && len(d.open.waiting)+len(open) > maxWaitingDays+maxTogether {
		for _, w := range open {
			w.k.err = fmt.Errorf("read a day of %s: %w", w.Service, store.ErrBusy)
		}
		done, open = append(done, open...), nil
	}
	for _, w := range done {
		d.keep(w.DayOf, w.k)
	}
	if len(open) > 0 {
		d.queue(&d.open, open...)
	}
}

// readIngested reads how much was ingested, of days that are near each other in one question.
func (d *days) readIngested(ctx context.Context, some []waitingDay) {
	slices.SortFunc(some, func(a, b waitingDay) int { return int(a.Day - b.Day) })
	for len(some) > 0 {
		n := 1
		for n < len(some) && some[n].Day-some[0].Day < preloadDays {
			n++
		}
		first, last := some[0], some[n-1]
		counts, err := d.store.IngestedByMinute(ctx, first.Start(), last.Start().Add(day))
		d.mu.Lock()
		for _, w := range some[:n] {
			if w.k.err = err; err == nil {
				w.k.packed = packCounts(counts[(w.Day-first.Day)*store.DayMinutes:][:store.DayMinutes])
			}
			d.keep(w.DayOf, w.k)
		}
		d.mu.Unlock()
		some = some[n:]
	}
}

// readOpen works days out.
func (d *days) readOpen(ctx context.Context, some []waitingDay) {
	stretches := make([]store.Stretch, len(some))
	for i, w := range some {
		stretches[i] = store.Stretch{Service: w.Service, From: w.Start(), To: w.Start().Add(day)}
	}
	d.from.WithLabelValues(fromOpen).Add(float64(len(some)))
	minutes, err := d.store.Minutes(ctx, stretches...)
	for i, w := range some {
		if w.k.err = err; err == nil {
			w.k.packed, w.k.err = store.PackDay(w.Start(), minutes[i])
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range some {
		d.keep(w.DayOf, w.k)
	}
}

// keep has a day that was read, or could not be, at hand for those who wait, and for later ones unless it was forgotten meanwhile; d.mu is held.
func (d *days) keep(of store.DayOf, k *keptDay) {
	defer close(k.ready)
	if d.kept[of] != k {
		return
	}
	if k.err != nil {
		d.drop(of)
		return
	}
	k.counted = true
	d.bytes += k.size()
	for d.bytes > d.limit && d.order.Len() > 1 {
		oldest := d.order.Back()
		if oldest == k.element {
			break
		}
		d.drop(oldest.Value.(store.DayOf)) //nolint:forcetypeassert // nothing else is in it
	}
}

// preload reads the last days that were worked out, as far as there is room: all of them cost ClickHouse less than a few dozen that are asked for
// one by one.
func (d *days) preload(ctx context.Context) error {
	// What is written from here on is seen by a look.
	if err := d.lookNow(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	d.changed = []store.Part{}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.changed = nil
		d.mu.Unlock()
	}()
	type version struct {
		number uint64
		packed []byte
	}
	found := map[store.DayOf]version{}
	bytes := 0
	since := time.Now().UTC().Truncate(day).Add(-preloadDays * day)
	err := d.store.AllDays(ctx, since, func(of store.DayOf, number uint64, minutes []byte) {
		v, before := found[of]
		if before && v.number > number || !before && bytes > d.limit { // what is known may have been written into
			return
		}
		bytes += len(minutes) - len(v.packed)
		found[of] = version{number, slices.Clone(minutes)}
	})
	if err != nil {
		return err
	}
	counts, err := d.store.IngestedByMinute(ctx, since, since.Add(preloadDays*day))
	if err != nil {
		return err
	}
	for n := range int64(preloadDays) {
		found[store.DayOf{Day: since.Unix()/86400 + n}] = version{packed: packCounts(counts[n*store.DayMinutes:][:store.DayMinutes])}
	}
	last := slices.SortedFunc(maps.Keys(found), func(a, b store.DayOf) int { return int(b.Day - a.Day) })
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, of := range last {
		k := &keptDay{ready: make(chan struct{}), packed: found[of].packed, counted: true}
		if len(k.packed) == 0 || d.kept[of] != nil || touched(d.changed, of) {
			continue
		}
		if d.bytes+k.size() > d.limit {
			break
		}
		close(k.ready)
		k.element = d.order.PushBack(of) // what was asked for stays longer
		d.kept[of] = k
		d.bytes += k.size()
	}
	return nil
}

// close works out days that are over and quiet, until ctx ends, and reads the last ones then, unless that was just done. It rests as long as it works, so
// that others get through.
func (d *days) close(ctx context.Context, log *slog.Logger, preloaded bool) {
	for {
		all, n := 0, 1
		var err error
		if !preloaded {
			err = d.preload(ctx)
		}
		preloaded = err == nil
		for n > 0 && err == nil {
			start := time.Now()
			if n, err = d.store.CloseDays(ctx, settled); n > 0 {
				all += n
				if !rest(ctx, time.Since(start)) {
					return
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			log.Debug("cannot work out days", "error", err) // they are read from the tables meanwhile
		}
		if all > 0 && err == nil {
			preloaded = false
			continue
		}
		if !rest(ctx, closeEvery) {
			return
		}
	}
}

func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (k *keptDay) size() int {
	return perDay + len(k.packed)
}

// size is what all days take, in bytes.
func (d *days) size() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return float64(d.bytes)
}

// drop forgets a day; d.mu is held.
func (d *days) drop(key store.DayOf) {
	k := d.kept[key]
	if k.counted {
		d.bytes -= k.size()
	}
	d.order.Remove(k.element)
	delete(d.kept, key)
}

// look sees to it that the days into which ClickHouse has written until lookEvery ago are forgotten. Whoever comes in the second half of that time
// has somebody else look, so that in a stream of questions none waits.
func (d *days) look(ctx context.Context) error {
	age := time.Since(time.Unix(0, d.looked.Load()))
	if age < lookEvery/2 {
		return nil
	}
	if age < lookEvery {
		if d.looking.TryLock() {
			d.readers.Go(func() {
				defer d.looking.Unlock()
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), questionTimeout)
				defer cancel()
				_ = d.forget(ctx) // whoever comes later looks, and is told
			})
		}
		return nil
	}
	d.looking.Lock()
	defer d.looking.Unlock()
	if time.Since(time.Unix(0, d.looked.Load())) < lookEvery {
		return nil
	}
	return d.forget(ctx)
}

// lookNow looks whenever the last look was.
func (d *days) lookNow(ctx context.Context) error {
	d.looking.Lock()
	defer d.looking.Unlock()
	return d.forget(ctx)
}

// forget forgets the days into which ClickHouse has written since the last look; d.looking is held.
func (d *days) forget(ctx context.Context) error {
	at := time.Now()
	parts, err := d.store.SeriesParts(ctx)
	if err != nil {
		return err
	}
	changed, all := d.written.add(parts)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looked.Store(at.UnixNano())
	if d.changed != nil {
		d.changed = append(d.changed, changed...)
		if all {
			d.changed = append(d.changed, store.Part{From: firstTime, To: lastTime})
		}
	}
	for of := range d.kept {
		if all || touched(changed, of) {
			d.drop(of)
		}
	}
	return nil
}

// touched tells whether something in the parts may be of a day.
func touched(parts []store.Part, of store.DayOf) bool {
	start := of.Start()
	return slices.ContainsFunc(parts, func(p store.Part) bool {
		past := start.Add(day)
		switch p.Table {
		case "source_minutes":
			if of.Service != "" {
				return false
			}
		case "spike_windows":
			past = past.Add(longestWindow)
			fallthrough
		default:
			if of.Service == "" {
				return false
			}
		}
		return p.From.Before(past) && !p.To.Before(start)
	})
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
		if x := (inserts{p.FirstInsert, p.LastInsert}); !covered(w.seen[key], x) && !(p.PerTable && x.first < x.last && covered(w.table(key), x)) {
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

// table returns the inserts seen in all partitions of a table.
func (w *written) table(of partition) (runs []inserts) {
	for key, seen := range w.seen {
		if key.table != of.table || key.mutation != of.mutation {
			continue
		}
		for _, x := range seen {
			runs = cover(runs, x)
		}
	}
	return runs
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

// packCounts packs numbers as varints: how much each minute was ingested.
func packCounts(counts []int) []byte {
	var out []byte
	for _, n := range counts {
		out = binary.AppendUvarint(out, uint64(max(0, n)))
	}
	return slices.Clip(out)
}

// addCounts says of the minutes of a day how much was ingested.
func addCounts(points []store.Point, packed []byte) {
	for i := range points {
		v, n := binary.Uvarint(packed)
		if n <= 0 {
			return
		}
		packed = packed[n:]
		points[i].Ingested = int(v) //nolint:gosec // packCounts wrote it
	}
}
