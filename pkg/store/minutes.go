package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Stretch is a service between two times.
type Stretch struct {
	Service  string
	From, To time.Time
}

// MinutesOf is a stretch by the minute.
type MinutesOf struct {
	// Points are the minutes that begin in it, without gaps and without what was ingested, as [Store.Series] has them.
	Points []Point
	// Alarms are the windows in alarm that overlap it, as [Store.Alarms] has them.
	Alarms []SpikeWindow
}

// Minutes reads several stretches in one short question: most of what a small question costs ClickHouse is the asking. It reads what the view
// service_series reads, and works out the bands as it does, so that not even the last digit differs.
func (s *Store) Minutes(ctx context.Context, stretches ...Stretch) ([]MinutesOf, error) {
	if len(stretches) == 0 {
		return nil, nil
	}
	out := make([]MinutesOf, len(stretches))
	of := map[string][]*minutesReader{}
	params := map[string]string{}
	var counts, windows []string
	for i, x := range stretches {
		r := &minutesReader{from: x.From.Unix() / 60 * 60, points: newMinutes(x.From.UTC().Truncate(time.Minute), x.To.UTC())}
		r.expected, r.versions = make([]Expectation, len(r.points)), make([]uint64, len(r.points))
		of[x.Service] = append(of[x.Service], r)
		out[i].Points = r.points
		n := strconv.Itoa(i)
		params["s"+n] = x.Service
		first, past := strconv.FormatInt(r.from, 10), strconv.FormatInt(r.from+60*int64(len(r.points)), 10)
		counts = append(counts, "(service = {s"+n+":String} AND minute >= "+first+" AND minute < "+past+")")
		windows = append(windows, "(service = {s"+n+":String} AND window_end > "+first+" AND window_end < "+past+" + 3600)")
	}
	if err := s.questions.enter(ctx); err != nil {
		return nil, fmt.Errorf("read minutes: %w", err)
	}
	answer, err := s.stream(ctx, s.self(), "RowBinary", params, `SELECT toString(service), toUInt32(0), toUInt32(minute), uniqExactMerge(people), uniqExactMerge(posts), false, 0., 0., 0.
		FROM service_minute_totals WHERE `+strings.Join(counts, " OR ")+` GROUP BY service, minute
		UNION ALL
		SELECT toString(service), window_seconds, toUInt32(window_end), version, 0, alarm, expected, lower, upper
		FROM spike_windows WHERE (`+strings.Join(windows, " OR ")+`) AND window_seconds IN (60, 300, 900, 3600) AND (alarm OR window_seconds = 60)
		SETTINGS max_threads = 1`)
	if err == nil {
		err = errors.Join(readMinutes(bufio.NewReaderSize(answer, 64<<10), of), answer.Close())
	}
	s.questions.leave()
	if err != nil {
		return nil, fmt.Errorf("read minutes: %w", err)
	}
	for i, x := range stretches {
		// A window in alarm may have been superseded since: Alarms says what still is.
		if r := of[x.Service][0]; r.alarming {
			if out[i].Alarms, err = s.Alarms(ctx, x.Service, x.From, x.To); err != nil {
				return nil, err
			}
		}
		of[x.Service] = of[x.Service][1:]
	}
	return out, nil
}

// minutesReader puts rows into their places.
type minutesReader struct {
	from     int64 // seconds since 1970
	points   []Point
	expected []Expectation
	versions []uint64
	alarming bool
}

// minutesRow is the length of a row without the name of the service.
const minutesRow = 4 + 4 + 8 + 8 + 1 + 3*8

// readMinutes reads rows as ClickHouse writes them: a name with its length before it, then numbers.
func readMinutes(from *bufio.Reader, of map[string][]*minutesReader) error {
	var row [minutesRow]byte
	var name []byte
	for {
		length, err := binary.ReadUvarint(from)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && length > 1000 {
			err = fmt.Errorf("a name of %d bytes", length)
		}
		if err == nil {
			name = slices.Grow(name[:0], int(length))[:length] //nolint:gosec // at most 1000
			_, err = io.ReadFull(from, name)
		}
		if err == nil {
			_, err = io.ReadFull(from, row[:])
		}
		if err != nil {
			return fmt.Errorf("%w over HTTP: read rows: %w", ErrUnavailable, err)
		}
		number := binary.LittleEndian
		float := func(at int) float64 { return math.Float64frombits(number.Uint64(row[at:])) }
		seconds, at, a, b, alarm := number.Uint32(row[0:]), int64(number.Uint32(row[4:])), number.Uint64(row[8:]), number.Uint64(row[16:]), row[24] != 0
		for _, r := range of[string(name)] {
			if seconds == 0 {
				r.count(at, int(a), int(b)) //nolint:gosec // numbers of people and posts
			} else {
				r.window(seconds, at, a, alarm, Expectation{float(25), float(33), float(41)})
			}
		}
	}
}

func (r *minutesReader) count(at int64, people, mentions int) {
	if i := (at - r.from) / 60; at >= r.from && i < int64(len(r.points)) {
		r.points[i].People, r.points[i].Mentions = people, mentions
	}
}

// window takes a window; of those of a minute the one with the highest version counts.
func (r *minutesReader) window(seconds uint32, end int64, version uint64, alarm bool, e Expectation) {
	past := r.from + 60*int64(len(r.points))
	r.alarming = r.alarming || alarm && end > r.from && end-int64(seconds) < past
	if seconds != 60 || end%60 != 0 || end <= r.from || end > past {
		return
	}
	if i := (end-r.from)/60 - 1; r.points[i].Expected == nil || version >= r.versions[i] {
		r.expected[i] = Expectation{e.Expected, max(0, e.Expected-math.Sqrt((e.Expected-e.Lower)*(e.Expected-e.Lower))),
			e.Expected + math.Sqrt((e.Upper-e.Expected)*(e.Upper-e.Expected))}
		r.points[i].Expected, r.versions[i] = &r.expected[i], version
	}
}

// newMinutes are empty minutes that begin in [from, to).
func newMinutes(from, to time.Time) []Point {
	n := int((to.Sub(from) + time.Minute - 1) / time.Minute)
	if n <= 0 {
		return nil
	}
	points := make([]Point, n)
	for i := range points {
		points[i].Start = from.Add(time.Duration(i) * time.Minute)
	}
	return points
}

// IngestedByMinute returns the posts of all sources read in each minute that begins in [from, to). Like Days, it does not wait for a turn.
func (s *Store) IngestedByMinute(ctx context.Context, from, to time.Time) ([]int, error) {
	from = from.UTC().Truncate(time.Minute)
	counts := make([]int, max(0, int((to.Sub(from)+time.Minute-1)/time.Minute)))
	err := s.askNow(ctx, "read how much was ingested by minute", func(rows driver.Rows) error {
		var at time.Time
		var posts uint64
		err := rows.Scan(&at, &posts)
		if err == nil {
			counts[int(at.UTC().Sub(from)/time.Minute)] = int(posts)
		}
		return err
	}, "SELECT minute, sum(posts) FROM source_minutes FINAL WHERE minute >= ? AND minute < ? GROUP BY minute", from, to.UTC())
	return counts, err
}

// Part is a piece of a table that ClickHouse keeps in one place: what some inserts wrote, or what was merged of such.
type Part struct {
	Table, Partition string
	// The inserts that it holds, by the numbers that ClickHouse gives them, and the last change of the table's rows in it.
	FirstInsert, LastInsert int64
	// PerTable says that inserts are numbered within the table, so those between may be another partition's; else within the partition.
	PerTable bool
	Mutation uint64
	// From and To are the first and last event time in it.
	From, To time.Time
}

// SeriesParts are the parts that series are made of. They are asked for past the bound on questions, since a crowd waits for the answer.
func (s *Store) SeriesParts(ctx context.Context) ([]Part, error) {
	var out []Part
	err := s.askNow(ctx, "read the parts of series", func(rows driver.Rows) error {
		var p Part
		var mutation uint64
		err := rows.Scan(&p.Table, &p.Partition, &p.FirstInsert, &p.LastInsert, &p.PerTable, &mutation, &p.From, &p.To)
		p.Mutation, p.From, p.To = mutation, p.From.UTC(), p.To.UTC()
		out = append(out, p)
		return err
	}, `SELECT table, partition_id, min_block_number, max_block_number, NOT match(engine, '^(Replicated|Shared)'), if(data_version = toUInt64(min_block_number), 0, data_version),
			if(table = 'service_days', toDateTime(min_date, 'UTC'), min_time), if(table = 'service_days', toDateTime(max_date + 1, 'UTC') - 1, max_time) FROM system.parts
		WHERE active AND database = currentDatabase() AND table IN ('service_days', 'service_minute_totals', 'source_minutes', 'spike_windows')`)
	return out, err
}
