package api

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// A day by minute is 1,440 points, and most of the time to answer goes into writing them: encoding/json takes ten times as long for the same
// bytes. So a series writes itself; a test holds the two against each other.

// appendJSON appends what encoding/json would write.
func (s *seriesJSON) appendJSON(out []byte) ([]byte, error) {
	points := s.Points
	head := *s
	head.Points, head.Alarms = []pointJSON{}, nil
	frame, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("encode a series: %w", err)
	}
	const tail = `"points":[],"alarms":null}`
	out = append(out, frame[:len(frame)-len(tail)]...)
	out = append(out, `"points":[`...)
	for i := range points {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = points[i].appendJSON(out); err != nil {
			return nil, err
		}
	}
	alarms, err := json.Marshal(s.Alarms)
	if err != nil {
		return nil, fmt.Errorf("encode alarms: %w", err)
	}
	out = append(out, `],"alarms":`...)
	out = append(out, alarms...)
	return append(out, '}'), nil
}

func (p *pointJSON) appendJSON(out []byte) ([]byte, error) {
	out = append(out, `{"time":"`...)
	out = p.Time.AppendFormat(out, time.RFC3339Nano)
	out = append(out, `","people":`...)
	out = strconv.AppendInt(out, int64(p.People), 10)
	out = append(out, `,"mentions":`...)
	out = strconv.AppendInt(out, int64(p.Mentions), 10)
	out = append(out, `,"ingested":`...)
	out = strconv.AppendInt(out, int64(p.Ingested), 10)
	for _, f := range []struct {
		name  string
		value *float64
	}{{`,"per_1000_mentions":`, p.Rate}, {`,"expected":`, p.Expected}, {`,"lower":`, p.Lower}, {`,"upper":`, p.Upper}} {
		if f.value == nil {
			continue
		}
		if math.IsNaN(*f.value) || math.IsInf(*f.value, 0) {
			return nil, fmt.Errorf("encode a point: %v is no number of JSON", *f.value)
		}
		out = append(out, f.name...)
		out = appendFloat(out, *f.value)
	}
	return append(out, '}'), nil
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
