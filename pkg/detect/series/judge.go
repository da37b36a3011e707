package series

import (
	"math"
	"time"

	"outcry.dev/pkg/detect/internal/baseline"
	"outcry.dev/pkg/detect/internal/negbin"
	"outcry.dev/pkg/detect/internal/scan"
)

// rows are the lengths of the windows in rows.
var rows = [baseline.Windows]int{1, 2, 3, 6}

const (
	budget      = 1   // false alarms a month
	least       = 5   // counts below are no alarm
	aboveBursts = 1   // standard deviations by which an alarm exceeds the usual burst (baseline.Burst)
	gate        = 3.0 // −log10 of a row's probability below which it is no news whatever the bursts

	calmFor  = 3600      // seconds of calm after which an alarm ends
	calmRows = 2         // and at least so many rows
	newUsual = 24 * 3600 // seconds after which an alarm that does not end is learned

	warmUp   = 12        // rows of which nothing is said: any level may be usual
	newsHalf = 18 * 3600 // seconds in which the memory of announced news halves
)

// judge judges one series. Its rows come in order of time.
type judge struct {
	params baseline.Params
	base   baseline.Baseline
	past   []point // of the longest window
	known  int     // rows learned, up to warmUp

	news   float64 // burst announced last, at newsAt
	newsAt int64

	open            bool
	opened, alarmed int64 // begin of the alarm, its latest row that was one by itself
	calm            int   // rows since
}

type point struct {
	at    int64
	value float64
}

// ruling is what is said of a row.
type ruling struct {
	expected, score float64
	alarm           bool
}

// newJudge returns a judge of rows that are an interval (in seconds) apart.
func newJudge(interval int64) *judge {
	p := baseline.Params{
		FoldSeconds: interval, FoldUnits: 1,
		LevelHours: 5 * 24, SeasonDays: 14, SpreadHours: 28 * 24, ClipSD: 4, ShiftHours: 24, QuietHours: 10 * 7 * 24,
	}
	for k, n := range rows {
		p.Units[k] = float64(n)
	}
	return &judge{params: p}
}

// row judges the count of the interval that begins at a time, then learns it.
func (j *judge) row(at int64, value float64) ruling {
	interval := j.params.FoldSeconds
	longest := interval * int64(rows[len(rows)-1])
	for len(j.past) > 0 && j.past[0].at <= at-longest {
		j.past = j.past[1:]
	}
	j.past = append(j.past, point{at, value})

	var r ruling
	batch := baseline.Batch{Exposure: 1, Count: value}
	surprise, own := 0.0, false
	for k, n := range rows {
		length := int64(n) * interval
		sum, have := j.sum(at - length)
		q := j.base.Predict(&j.params, k, at+interval-length/2, have/float64(n))
		if k == 0 {
			r.expected = q.Mean
		}
		// A longer window is news only as long as its last row adds to it.
		adds := value > r.expected+negbin.Deviation(r.expected, q.Size)
		if sum > q.Mean && sum >= least && (k == 0 || adds) && j.known == warmUp {
			tail := negbin.LogTail(sum, q.Mean, q.Size)
			surprise = max(surprise, -tail/math.Ln10)
			window := time.Duration(length) * time.Second
			tests := scan.LogTests(window, time.Duration(interval)*time.Second, sum, q.Mean)
			own = own || tests+tail <= math.Log(budget/float64(len(rows))) && j.base.Burst(k, sum) >= aboveBursts
		}
		clipped := min(sum, j.base.Clip(&j.params, q))
		batch.Windows[k] = baseline.Sums{N: 1, Sum: clipped, Squares: clipped * clipped, Most: sum}
	}
	j.known = min(j.known+1, warmUp)
	r.score = j.score(at, value, surprise)
	r.alarm = j.follow(at, own)
	if !r.alarm || at-j.opened >= newUsual {
		j.base.Fold(&j.params, at, batch)
		return r
	}
	for k, w := range batch.Windows {
		j.base.See(k, at, w.Most)
	}
	return r
}

// sum adds the rows after a time, and says how many there are: rows may be missing.
func (j *judge) sum(after int64) (sum, have float64) {
	for i := len(j.past) - 1; i >= 0 && j.past[i].at > after; i-- {
		sum += j.past[i].value
		have++
	}
	return sum, have
}

// score returns how much news a row is, 0 to 1; 0.5 for aboveBursts without anything announced before.
func (j *judge) score(at int64, value, surprise float64) float64 {
	if surprise < gate {
		return surprise / gate / 10
	}
	burst := max(j.base.Burst(0, value), 0)
	known := j.news * math.Exp2(-float64(at-j.newsAt)/newsHalf)
	if burst > known {
		j.news, j.newsAt = burst, at
	}
	fresh := max(burst-known, 0) / aboveBursts
	return max(fresh/(1+fresh), 0.1)
}

// follow keeps an alarm open until it has been calm.
func (j *judge) follow(at int64, own bool) bool {
	switch {
	case own:
		if !j.open {
			j.open, j.opened = true, at
		}
		j.alarmed, j.calm = at, 0
	case j.open:
		j.calm++
		if j.calm >= calmRows && at-j.alarmed >= calmFor {
			j.open, j.past = false, nil // what is over is not to be seen again in a longer window
		}
	}
	return j.open
}
