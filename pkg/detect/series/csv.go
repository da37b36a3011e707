package series

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxRecord   = 1 << 20 // bytes of a row
	maxServices = 20_000
	inferFrom   = 4096 // rows from which the interval is inferred
	maxValue    = 1e12
	maxInterval = 31 * 24 * time.Hour
)

// Run judges the rows of a CSV file and writes one row for each, in the same order.
//
// The input has a header with the columns timestamp, value and, where it holds several series, service, in any order; other columns
// are ignored. A timestamp is RFC 3339 or "2006-01-02 15:04:05" (UTC) and begins its interval; the rows of a service are in order of
// time, and may be missing here and there. A value is a count, 0 or more. An interval of 0 is inferred: the median distance between rows
// of the same service among the first 4,096 rows.
//
// The output has the columns timestamp, value, expected, score (0 to 1), alarm (0 or 1) and, where the input has it, service.
// The budget is how many false alarms a month each series may have, more than 0, at most 1,000.
//
// Rows of one time are judged one after the other.
//
// An error names the line and the remedy; the rows before it are written, unless they are too few to infer the interval.
func Run(r io.Reader, w io.Writer, interval time.Duration, budget float64) error {
	if !(budget > 0 && budget <= 1000) {
		return fmt.Errorf("the budget is %v false alarms a month; give more than 0, at most 1000, for example 1", budget)
	}
	if interval < 0 || interval > maxInterval || interval > 0 && interval < time.Second {
		return fmt.Errorf("interval is %v; give %v to %v, for example 5m, or leave it out to infer it", interval, time.Second, maxInterval)
	}
	in, err := newReader(r)
	if err != nil {
		return err
	}
	out := newWriter(w, in.service >= 0)

	// The first rows wait until the interval is known; a fault among them is reported after the rows before it.
	var first []row
	var fault error
	if interval == 0 {
		for len(first) < inferFrom && fault == nil {
			var next row
			if next, fault = in.next(); fault == nil {
				first = append(first, next)
			}
		}
		if interval = infer(first); interval == 0 && len(first) > 0 {
			if fault != nil && !errors.Is(fault, io.EOF) {
				return fault // with it mended, there may be enough rows
			}
			return errors.New("no series has rows of two times, so the interval cannot be inferred; give it, for example --interval 5m")
		}
	}
	judges := map[string]*judge{}
	rule := func(next row) error {
		j := judges[next.service]
		if j == nil {
			if len(judges) == maxServices {
				return fmt.Errorf("line %d: more than %d services; split the file", next.line, maxServices)
			}
			j = newJudge(int64(interval/time.Second), budget)
			judges[next.service] = j
		}
		return out.write(next, j.row(next.at, next.number))
	}
	for _, next := range first {
		if err := rule(next); err != nil {
			return errors.Join(err, out.close())
		}
	}
	for fault == nil {
		var next row
		if next, fault = in.next(); fault == nil {
			fault = rule(next)
		}
	}
	return errors.Join(unless(fault, io.EOF), out.close())
}

func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// row is one row of the input: its texts as written, and what they mean.
type row struct {
	line                      int
	timestamp, value, service string
	at                        int64
	number                    float64
}

type reader struct {
	csv                       *csv.Reader
	bounded                   *bounded
	timestamp, value, service int
	line                      int // of the latest record
	last                      map[string]int64
}

func newReader(r io.Reader) (*reader, error) {
	b := bufio.NewReader(r)
	if mark, err := b.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3) // cannot fail: the bytes are buffered
	}
	limit := &bounded{r: b, left: maxRecord}
	in := &reader{csv: csv.NewReader(limit), bounded: limit, timestamp: -1, value: -1, service: -1, line: 1, last: map[string]int64{}}
	in.csv.ReuseRecord = true
	in.csv.TrimLeadingSpace = true
	header, err := in.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the input is empty; its first line must name the columns: timestamp,value or timestamp,value,service")
	}
	if err != nil {
		return nil, fmt.Errorf("line 1: read the header: %w", err)
	}
	for i, name := range header {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "timestamp":
			in.timestamp = i
		case "value":
			in.value = i
		case "service":
			in.service = i
		}
	}
	if in.timestamp < 0 || in.value < 0 {
		return nil, fmt.Errorf("line 1: the header is %.80q; it must name the columns timestamp and value, and may name service, with commas between", strings.Join(header, ","))
	}
	return in, nil
}

func (in *reader) next() (row, error) {
	in.bounded.left = maxRecord
	record, err := in.csv.Read()
	if errors.Is(err, io.EOF) {
		return row{}, io.EOF
	}
	if wrong := (*csv.ParseError)(nil); errors.As(err, &wrong) {
		return row{}, fmt.Errorf("line %d: %w; write as many fields as the header has, and double the quotes inside quotes", wrong.Line, wrong.Err)
	}
	if err != nil {
		return row{}, fmt.Errorf("after line %d: cannot read on: %w", in.line, err)
	}
	line, _ := in.csv.FieldPos(0)
	in.line = line
	next := row{line: line, timestamp: strings.Clone(record[in.timestamp]), value: strings.Clone(record[in.value])}
	if in.service >= 0 {
		next.service = strings.Clone(record[in.service])
	}
	if next.at, err = parseTime(next.timestamp); err != nil {
		return row{}, fmt.Errorf("line %d: %w", line, err)
	}
	next.number, err = strconv.ParseFloat(strings.TrimSpace(next.value), 64)
	if err != nil || !(next.number >= 0 && next.number <= maxValue) || math.IsNaN(next.number) {
		return row{}, fmt.Errorf("line %d: value %.40q is not a count; write a number from 0 to %g", line, next.value, float64(maxValue))
	}
	if last, known := in.last[next.service]; known && next.at < last {
		return row{}, fmt.Errorf("line %d: %s lies before the previous row of the same series; sort the rows by time", line, next.timestamp)
	}
	in.last[next.service] = next.at
	return next, nil
}

// parseTime returns seconds since 1970.
func parseTime(s string) (int64, error) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339, time.DateTime} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1900 && t.Year() < 2300 {
			return t.Unix(), nil
		}
	}
	return 0, fmt.Errorf("timestamp %.40q is none; write 2006-01-02T15:04:05Z or 2006-01-02 15:04:05 (UTC), 1900 to 2299", s)
}

// infer returns the median distance between successive rows of a service, 0 where there is none.
func infer(first []row) time.Duration {
	last := map[string]int64{}
	var distances []int64
	for _, r := range first {
		if before, known := last[r.service]; known && r.at > before {
			distances = append(distances, r.at-before)
		}
		last[r.service] = r.at
	}
	if len(distances) == 0 {
		return 0
	}
	slices.Sort(distances)
	return min(time.Duration(distances[len(distances)/2])*time.Second, maxInterval)
}

// bounded refuses rows without end.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a row has more than %d bytes; is a quote left open?", maxRecord)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

type writer struct {
	csv     *csv.Writer
	service bool
	fields  []string
}

func newWriter(w io.Writer, service bool) *writer {
	out := &writer{csv: csv.NewWriter(w), service: service}
	header := []string{"timestamp", "value", "expected", "score", "alarm"}
	if service {
		header = append(header, "service")
	}
	_ = out.csv.Write(header) // a fault stays until close
	return out
}

func (out *writer) write(r row, u ruling) error {
	alarm := "0"
	if u.alarm {
		alarm = "1"
	}
	out.fields = append(out.fields[:0], r.timestamp, r.value,
		strconv.FormatFloat(u.expected, 'f', 3, 64), strconv.FormatFloat(u.score, 'f', 5, 64), alarm)
	if out.service {
		out.fields = append(out.fields, r.service)
	}
	if err := out.csv.Write(out.fields); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (out *writer) close() error {
	out.csv.Flush()
	if err := out.csv.Error(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
