package chart

import (
	"math"
	"time"
)

// valueTicks returns about n round numbers from 0, the last one at or above top: 1, 2 or 5 times a power of ten apart, never less than 1.
func valueTicks(top float64, n int) []float64 {
	rough := max(top, 1) / float64(max(n, 1))
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if m*power >= rough {
			step = m * power
			break
		}
	}
	step = max(step, 1)
	ticks := []float64{0}
	for len(ticks) < 2 || ticks[len(ticks)-1] < top {
		ticks = append(ticks, float64(len(ticks))*step)
	}
	return ticks
}

var timeSteps = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour,
}

// timeTicks returns at most n round times in [from, to], and what to write at each.
func timeTicks(from, to time.Time, n int) (ticks []time.Time, labels []string) {
	from, to = from.UTC(), to.UTC()
	for _, step := range timeSteps {
		if int(to.Sub(from)/step) <= n {
			format := "15:04"
			if step >= 24*time.Hour {
				format = "2 Jan"
			}
			first := from.Truncate(step)
			if first.Before(from) {
				first = first.Add(step)
			}
			for t := first; !t.After(to); t = t.Add(step) {
				ticks = append(ticks, t)
				if t.Equal(t.Truncate(24 * time.Hour)) {
					labels = append(labels, t.Format("2 Jan"))
				} else {
					labels = append(labels, t.Format(format))
				}
			}
			return ticks, labels
		}
	}
	months := 1
	for ; int(to.Sub(from)/(30*24*time.Hour))/months > n; months *= 2 {
	}
	t := time.Date(from.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	for ; !t.After(to); t = t.AddDate(0, months, 0) {
		if !t.Before(from) {
			ticks, labels = append(ticks, t), append(labels, t.Format("Jan 2006"))
		}
	}
	return ticks, labels
}
