package api

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"outcry.dev/pkg/chart"
	"outcry.dev/pkg/store"
)

// A day by minute is 1,440 points, and most of the time to answer goes into writing them: encoding/json takes thirty times as long for the same
// bytes. So a series writes itself, from the points as they were read; a test holds the two against each other.

// writeSeries answers with series, alone or, where several were asked for, as a list.
func writeSeries(w http.ResponseWriter, r *http.Request, several bool, series ...*stretch) error {
	buffer := bodies.Get().(*[]byte) //nolint:forcetypeassert // nothing else is in it
	defer func() {
		if cap(*buffer) <= maxPooled {
			bodies.Put(buffer)
		}
	}()
	out := (*buffer)[:0]
	if several {
		out = append(out, `{"series":[`...)
	}
	for i, s := range series {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = appendSeries(out, s); err != nil {
			return err
		}
	}
	if several {
		out = append(out, "]}"...)
	}
	*buffer = append(out, '\n')
	writeJSONBody(w, r, *buffer)
	return nil
}

// maxPooled bounds the buffers that are kept for later answers.
const maxPooled = 1 << 20

var bodies = sync.Pool{New: func() any { b := make([]byte, 0, 256<<10); return &b }}

// newSeriesJSON is a series as it is described, without its points.
func newSeriesJSON(s *stretch) seriesJSON {
	return seriesJSON{Service: s.Service.ID, From: s.From, To: s.To, Step: shortDuration(s.Step), Unit: chart.Unit(s.Step), Points: []pointJSON{}}
}

// appendSeries appends what encoding/json would write of a series.
func appendSeries(out []byte, s *stretch) ([]byte, error) {
	frame, err := json.Marshal(newSeriesJSON(s))
	if err != nil {
		return nil, fmt.Errorf("encode a series: %w", err)
	}
	const tail = `"points":[],"alarms":null}`
	out = append(out, frame[:len(frame)-len(tail)]...)
	out = append(out, `"points":[`...)
	w := pointWriter{day: math.MinInt64}
	for i := range s.Points {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = w.append(out, &s.Points[i]); err != nil {
			return nil, err
		}
	}
	alarms := []byte("[]")
	if len(s.Alarms) > 0 {
		if alarms, err = json.Marshal(s.Alarms); err != nil {
			return nil, fmt.Errorf("encode alarms: %w", err)
		}
	}
	out = append(out, `],"alarms":`...)
	out = append(out, alarms...)
	return append(out, '}'), nil
}

// pointWriter remembers what the points of a series have in common with the one before.
type pointWriter struct {
	day  int64 // that date is of, since 1970
	date []byte
	band *store.Expectation // that text is of
	text []byte
}

func (w *pointWriter) append(out []byte, p *store.Point) ([]byte, error) {
	out = append(out, `{"time":"`...)
	out = w.appendTime(out, p.Start)
	out = append(out, `","people":`...)
	out = strconv.AppendInt(out, int64(p.People), 10)
	out = append(out, `,"mentions":`...)
	out = strconv.AppendInt(out, int64(p.Mentions), 10)
	out = append(out, `,"ingested":`...)
	out = strconv.AppendInt(out, int64(p.Ingested), 10)
	switch {
	case p.Mentions <= 0:
	case p.Mentions < len(smallRates) && p.People >= 0 && p.People < len(smallRates):
		out = append(out, smallRates[p.People][p.Mentions]...)
	default:
		out = appendRate(out, p.People, p.Mentions)
	}
	if e := p.Expected; e != nil {
		if w.band == nil || *w.band != *e {
			w.band, w.text = e, w.text[:0]
			for _, f := range []struct {
				name  string
				value float64
			}{{`,"expected":`, e.Expected}, {`,"lower":`, e.Lower}, {`,"upper":`, e.Upper}} {
				if math.IsNaN(f.value) || math.IsInf(f.value, 0) {
					return nil, fmt.Errorf("encode a point: %v is no number of JSON", f.value)
				}
				w.text = appendFloat(append(w.text, f.name...), f.value)
			}
		}
		out = append(out, w.text...)
	}
	return append(out, '}'), nil
}

// appendTime appends a time as RFC 3339 has it, which costs little for whole minutes of one day.
func (w *pointWriter) appendTime(out []byte, t time.Time) []byte {
	seconds := t.Unix()
	if seconds < 0 || seconds%60 != 0 || t.Nanosecond() != 0 {
		return t.UTC().AppendFormat(out, time.RFC3339Nano)
	}
	if n := seconds / 86400; n != w.day {
		w.day, w.date = n, t.UTC().AppendFormat(w.date[:0], "2006-01-02T")
	}
	minute := seconds / 60 % store.DayMinutes
	out = append(out, w.date...)
	out = append(out, digits(minute/60)...)
	out = append(out, ':')
	out = append(out, digits(minute%60)...)
	return append(out, ":00Z"...)
}

// digits are the two of a number below 60.
func digits(n int64) string {
	const all = "000102030405060708091011121314151617181920212223242526272829303132333435363738394041424344454647484950515253545556575859"
	return all[2*n : 2*n+2]
}

// smallRates are the rates of most minutes, by people and mentions.
var smallRates = func() (rates [16][16]string) {
	for people := range rates {
		for mentions := 1; mentions < len(rates); mentions++ {
			rates[people][mentions] = string(appendRate(nil, people, mentions))
		}
	}
	return rates
}()

func appendRate(out []byte, people, mentions int) []byte {
	return appendFloat(append(out, `,"per_1000_mentions":`...), 1000*float64(people)/float64(mentions))
}

// appendFloat writes a number as ECMAScript and encoding/json do.
func appendFloat(out []byte, f float64) []byte {
	format, abs := byte('f'), math.Abs(f)
	if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	out = strconv.AppendFloat(out, f, format, -1, 64)
	if n := len(out); format == 'e' && n >= 4 && out[n-4] == 'e' && (out[n-3] == '-' || out[n-3] == '+') && out[n-2] == '0' {
		out[n-2] = out[n-1] // e-09 is e-9
		out = out[:n-1]
	}
	return out
}
