package api

import (
	"slices"
	"time"

	"outcry.dev/pkg/store"
)

// span is a stretch of time.
type span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// alarmSpans joins windows in alarm to stretches of time. A longer window counts only where it meets no shorter one: the hour after a
// spike still holds the spike, but says nothing new. Windows come shortest first, then in the order of their ends.
func alarmSpans(windows []store.SpikeWindow) []span {
	var spans []span
	for len(windows) > 0 {
		n := slices.IndexFunc(windows, func(w store.SpikeWindow) bool { return w.Window != windows[0].Window })
		if n < 0 {
			n = len(windows)
		}
		var added []span
		for _, w := range windows[:n] {
			s := span{From: w.End.Add(-w.Window), To: w.End}
			if !meets(spans, s) {
				added = append(added, s)
			}
		}
		spans = join(append(spans, added...))
		windows = windows[n:]
	}
	return spans
}

// meets tells whether s overlaps one of spans, which are apart and in order.
func meets(spans []span, s span) bool {
	i, _ := slices.BinarySearchFunc(spans, s.From, func(a span, from time.Time) int {
		if a.To.After(from) {
			return 1
		}
		return -1
	})
	return i < len(spans) && spans[i].From.Before(s.To)
}

// pause is how long an alarm may rest without ending, so that the tail of an outage is one stretch and not twenty.
const pause = 5 * time.Minute

// join unites spans that overlap or lie no more than a pause apart.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.From.Compare(b.From) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && !s.From.After(out[n-1].To.Add(pause)) {
			if s.To.After(out[n-1].To) {
				out[n-1].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	return out
}
