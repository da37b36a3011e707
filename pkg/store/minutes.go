package store

import (
	"context"
	"math"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Minutes returns the minutes that begin in [from, to), without gaps and without what was ingested, as [Store.Series] has them, and the
// windows in alarm, as [Store.Alarms] has them. It reads what the view service_series reads, in one short question.
func (s *Store) Minutes(ctx context.Context, service string, from, to time.Time) ([]Point, []SpikeWindow, error) {
	from, to = from.UTC().Truncate(time.Minute), to.UTC()
	points := newMinutes(from, to)
	if len(points) == 0 {
		return nil, nil, nil
	}
	expected, versions := make([]Expectation, len(points)), make([]uint64, len(points))
	alarming := false
	// A row of spike_windows may have been superseded. Of the minutes the one with the highest version counts; where anything was ever in
	// alarm, Alarms says what still is.
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_threads": 1}))
	err := s.ask(ctx, "read the minutes of "+service, func(rows driver.Rows) error {
		var seconds uint32
		var at time.Time
		var people, posts uint64
		var alarm bool
		var e Expectation
		if err := rows.Scan(&seconds, &at, &people, &posts, &alarm, &e.Expected, &e.Lower, &e.Upper); err != nil {
			return err
		}
		at = at.UTC()
		if seconds == 0 {
			p := &points[int(at.Sub(from)/time.Minute)]
			p.People, p.Mentions = int(people), int(posts)
			return nil
		}
		alarming = alarming || alarm
		if seconds != 60 || at.Second() != 0 || at.After(from.Add(time.Duration(len(points))*time.Minute)) {
			return nil
		}
		i, version := int(at.Sub(from)/time.Minute)-1, people
		if points[i].Expected == nil || version >= versions[i] {
			// The band is worked out as the view does, so that not even the last digit differs.
			expected[i] = Expectation{e.Expected, max(0, e.Expected-math.Sqrt((e.Expected-e.Lower)*(e.Expected-e.Lower))),
				e.Expected + math.Sqrt((e.Upper-e.Expected)*(e.Upper-e.Expected))}
			points[i].Expected, versions[i] = &expected[i], version
		}
		return nil
	}, `SELECT toUInt32(0) AS seconds, minute AS at, uniqExactMerge(people) AS a, uniqExactMerge(posts) AS b, false AS alarm, 0. AS expected, 0. AS lower, 0. AS upper
		FROM service_minute_totals WHERE service = ? AND minute >= ? AND minute < ? GROUP BY minute
		UNION ALL
		SELECT window_seconds, window_end, version, 0, alarm, expected, lower, upper
		FROM spike_windows WHERE service = ? AND window_end > ? AND window_end < ? AND (alarm OR window_seconds = 60)`,
		service, from, to, service, from, to.Add(time.Hour))
	if err != nil || !alarming {
		return points, nil, err
	}
	alarms, err := s.Alarms(ctx, service, from, to)
	return points, alarms, err
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

// IngestedByMinute returns the posts of all sources read in each minute that begins in [from, to).
func (s *Store) IngestedByMinute(ctx context.Context, from, to time.Time) ([]int, error) {
	from = from.UTC().Truncate(time.Minute)
	counts := make([]int, max(0, int((to.Sub(from)+time.Minute-1)/time.Minute)))
	err := s.ask(ctx, "read how much was ingested by minute", func(rows driver.Rows) error {
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
	// The inserts that it holds, by the numbers that ClickHouse gives them within a partition, and the last change of the table's rows in it.
	FirstInsert, LastInsert int64
	Mutation                uint64
	// From and To are the first and last event time in it.
	From, To time.Time
}

// SeriesParts are the parts that series are made of. They are asked for past the bound on questions, since a crowd waits for the answer.
func (s *Store) SeriesParts(ctx context.Context) ([]Part, error) {
	var out []Part
	err := s.askNow(ctx, "read the parts of series", func(rows driver.Rows) error {
		var p Part
		var mutation uint64
		err := rows.Scan(&p.Table, &p.Partition, &p.FirstInsert, &p.LastInsert, &mutation, &p.From, &p.To)
		p.Mutation, p.From, p.To = mutation, p.From.UTC(), p.To.UTC()
		out = append(out, p)
		return err
	}, `SELECT table, partition_id, min_block_number, max_block_number, if(data_version = toUInt64(min_block_number), 0, data_version), min_time, max_time FROM system.parts
		WHERE active AND database = currentDatabase() AND table IN ('service_minute_totals', 'source_minutes', 'spike_windows')`)
	return out, err
}
