package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// DayOf is a day of a service.
type DayOf struct {
	Service string
	// Day since 1970-01-01 UTC.
	Day int64
}

// Start is when the day begins.
func (d DayOf) Start() time.Time { return time.Unix(d.Day*86400, 0).UTC() }

// stretch is the whole day.
func (d DayOf) stretch() Stretch { return Stretch{d.Service, d.Start(), d.Start().AddDate(0, 0, 1)} }

// emptyDay is a day into which nothing was written.
var emptyDay = func() []byte {
	packed, err := PackDay(time.Time{}, MinutesOf{Points: make([]Point, DayMinutes)})
	if err != nil {
		panic(err) // it has as many minutes as it must
	}
	return packed
}()

// Days returns days that were worked out, as PackDay packs them, in one short question that touches one granule a day; nil for one that is to be read
// with Minutes, since something was written into it and it was not worked out after that. It does not wait for a turn: whoever asks bounds how many
// ask at once.
func (s *Store) Days(ctx context.Context, of ...DayOf) ([][]byte, error) {
	if len(of) == 0 {
		return nil, nil
	}
	keys := make([]string, len(of))
	place := make(map[DayOf]int, len(of))
	for i, d := range of {
		keys[i] = "(" + literal(d.Service) + ", toDate(" + strconv.FormatInt(d.Day, 10) + "))"
		place[d] = i
	}
	out, versions := make([][]byte, len(of)), make([]uint64, len(of))
	for i := range out {
		out[i] = emptyDay
	}
	err := s.readDays(ctx, "(service, day) IN ("+strings.Join(keys, ", ")+")", func(d DayOf, version uint64, minutes []byte) {
		if i, found := place[d]; found && version >= versions[i] {
			out[i], versions[i] = nil, version
			if len(minutes) > 0 {
				out[i] = slices.Clone(minutes)
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read days: %w", err)
	}
	for i, d := range of { // whoever asks twice for a day is told twice
		out[i] = out[place[d]]
	}
	return out, nil
}

// AllDays hands on all days since a time that were worked out, and for those that are to be read with Minutes nil, in no order. A day may come
// several times: the highest version counts. minutes are valid within f.
func (s *Store) AllDays(ctx context.Context, since time.Time, f func(d DayOf, version uint64, minutes []byte)) error {
	if err := s.readDays(ctx, "day >= toDate("+strconv.FormatInt(since.Unix()/86400, 10)+")", f); err != nil {
		return fmt.Errorf("read all days: %w", err)
	}
	return nil
}

// readDays reads rows as they are, without FINAL: to unite a handful of versions here costs less.
func (s *Store) readDays(ctx context.Context, where string, f func(d DayOf, version uint64, minutes []byte)) error {
	answer, err := s.stream(ctx, s.self(), "RowBinary", nil, "SELECT toString(service), toUInt16(day), version, minutes FROM service_days WHERE "+where+
		" SETTINGS max_threads = 1, max_block_size = 1024")
	if err != nil {
		return err
	}
	err = scanDays(bufio.NewReaderSize(answer, 64<<10), f)
	return errors.Join(err, answer.Close())
}

func scanDays(from *bufio.Reader, f func(d DayOf, version uint64, minutes []byte)) error {
	var service, minutes []byte
	var number [10]byte
	for {
		_, err := from.Peek(1)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if service, err = readBytes(from, service); err == nil {
			_, err = io.ReadFull(from, number[:])
		}
		if err == nil {
			minutes, err = readBytes(from, minutes)
		}
		if err != nil {
			return fmt.Errorf("%w over HTTP: read days: %w", ErrUnavailable, err)
		}
		f(DayOf{string(service), int64(binary.LittleEndian.Uint16(number[:]))}, binary.LittleEndian.Uint64(number[2:]), minutes)
	}
}

// readBytes reads a string with its length before it, into the memory of another.
func readBytes(from *bufio.Reader, into []byte) ([]byte, error) {
	length, err := binary.ReadUvarint(from)
	if err != nil {
		return into, err
	}
	if length > 1<<20 {
		return into, fmt.Errorf("a string of %d bytes", length)
	}
	into = slices.Grow(into[:0], int(length))[:length] //nolint:gosec // at most 1 MB
	_, err = io.ReadFull(from, into)
	return into, err
}

// literal is a string in a statement.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

const (
	// closedTogether is how many days CloseDays works out, and readTogether how many of them it reads at once.
	closedTogether = 256
	readTogether   = 32
)

// CloseDays works out some of the days that are over and into which nothing was written for as long as settled, so that Days gives them, and returns how many:
// 0 once there are no more. Nothing may take longer than settled from the beginning of an insert until its rows can be read: what was
// written meanwhile into such a day lies above it. Several processes may do it at once.
func (s *Store) CloseDays(ctx context.Context, settled time.Duration) (int, error) {
	var open []DayOf
	var quietSince int64 // microseconds, by the clock of the server, which also says when something was written
	err := s.ask(ctx, "look for days to work out", func(rows driver.Rows) error {
		var d DayOf
		var day uint16
		err := rows.Scan(&d.Service, &day, &quietSince)
		d.Day = int64(day)
		open = append(open, d)
		return err
	}, `WITH now64(6, 'UTC') - toIntervalMicrosecond(?) AS quiet
		SELECT toString(service), toUInt16(day) AS number, toUnixTimestamp64Micro(quiet)
		FROM service_days
		WHERE day < toDate(quiet)
		GROUP BY service, day
		HAVING argMax(minutes = '', version) AND max(version) < toUInt64(2 * toUnixTimestamp64Micro(quiet))
		ORDER BY service, number
		LIMIT ?`, settled.Microseconds(), closedTogether)
	if err != nil {
		return 0, err
	}
	type closed struct {
		DayOf
		minutes []byte
	}
	var rows []closed
	for some := range slices.Chunk(open, readTogether) {
		minutes, err := s.wholeDays(ctx, some)
		if err != nil {
			return 0, err
		}
		for i, d := range some {
			packed, err := PackDay(d.Start(), minutes[i])
			if err != nil {
				return 0, err
			}
			rows = append(rows, closed{d, packed})
		}
	}
	err = insert(ctx, s, "service_days (service, day, minutes, version)", rows, func(b driver.Batch, r *closed) error {
		return b.Append(r.Service, r.Start(), string(r.minutes), uint64(2*quietSince)) //nolint:gosec // after 1970
	})
	return len(rows), err
}

// wholeDays reads days in the order of service and day: those that follow each other as one stretch, which costs little more than one of them.
func (s *Store) wholeDays(ctx context.Context, days []DayOf) ([]MinutesOf, error) {
	var stretches []Stretch
	for i, d := range days {
		if i > 0 && days[i-1] == (DayOf{d.Service, d.Day - 1}) {
			stretches[len(stretches)-1].To = d.stretch().To
			continue
		}
		stretches = append(stretches, d.stretch())
	}
	read, err := s.Minutes(ctx, stretches...)
	if err != nil {
		return nil, err
	}
	var out []MinutesOf
	for i, m := range read {
		for start := stretches[i].From; start.Before(stretches[i].To); start = start.AddDate(0, 0, 1) {
			one := MinutesOf{Points: m.Points[:DayMinutes]}
			m.Points = m.Points[DayMinutes:]
			if slices.ContainsFunc(m.Alarms, func(w SpikeWindow) bool { return w.overlaps(start, start.AddDate(0, 0, 1)) }) {
				if one.Alarms, err = s.Alarms(ctx, stretches[i].Service, start, start.AddDate(0, 0, 1)); err != nil {
					return nil, err
				}
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// overlaps tells whether a window has a moment in [from, to).
func (w *SpikeWindow) overlaps(from, to time.Time) bool {
	return w.End.After(from) && w.End.Add(-w.Window).Before(to)
}
