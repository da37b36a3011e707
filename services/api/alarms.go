package api

import (
	"cmp"
	"fmt"
	"math"
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

// spike is an alarm: when, and the window of it that is least likely by chance.
type spike struct {
	span
	store.SpikeWindow
}

// spikes are the alarms of a stretch, the last ones first.
func spikes(s *stretch) []spike {
	var out []spike
	for _, a := range s.Alarms {
		worst := -1
		for i, w := range s.Windows {
			if begin := w.End.Add(-w.Window); !begin.Before(a.From) && !w.End.After(a.To) && (worst < 0 || w.Score > s.Windows[worst].Score) {
				worst = i
			}
		}
		if worst >= 0 {
			out = append(out, spike{a, s.Windows[worst]})
		}
	}
	slices.SortFunc(out, func(x, y spike) int { return cmp.Compare(y.From.Unix(), x.From.Unix()) })
	return out[:min(len(out), 10)]
}

// Length of the window in words.
func (s spike) Length() string { return longDuration(s.Window) }

// Chance says how often chance does this.
func (s spike) Chance() string {
	switch {
	case s.Score < 3:
		return fmt.Sprintf("once in %s", thousands(int64(math.Round(math.Pow(10, s.Score)))))
	default:
		return fmt.Sprintf("once in 10^%d", int(s.Score))
	}
}
