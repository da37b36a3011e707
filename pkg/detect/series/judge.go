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
	least = 5 // counts below are no alarm

	// A burst that chance of a month may exceed by the budget: the highest of each day and a half is taken as log-normal, and of four that go
	// higher one as a false alarm, the others as something that happened.
	blocksAMonth = 30.44 / 1.5
	falseShare   = 1.0 / 4

	calmFor  = 3600      // seconds of calm after which an alarm ends
	calmRows = 2         // and at least so many rows
	newUsual = 24 * 3600 // seconds after which an alarm that does not end is learned

	warmUp   = 12       // rows of which nothing is said: any level may be usual
	tellable = 0.35     // deviations above the usual burst below which nobody is told, so that it is not old news later
	newsHold = 40_000   // seconds in which what was announced is no news at all: eleven hours
	newsHalf = 6 * 3600 // seconds in which the memory of it halves afterwards
)

// judge judges one series. Its rows come in order of time.
type judge struct {
	params baseline.Params
	budget float64 // false alarms a month
	bursts float64 // standard deviations by which an alarm exceeds the usual burst (baseline.Burst)
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

// newJudge returns a judge of rows that are an interval (in seconds) apart, with a budget of false alarms a month.
func newJudge(interval int64, budget float64) *judge {
	p := baseline.Params{
		FoldSeconds: interval, FoldUnits: 1,
		LevelHours: 5 * 24, SeasonDays: 14, SpreadHours: 28 * 24, ClipSD: 4, ShiftHours: 24, QuietHours: 10 * 7 * 24,
	}
	for k, n := range rows {
		p.Units[k] = float64(n)
	}
	return &judge{params: p, budget: budget, bursts: aboveBursts(budget)}
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
	own := false
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
			window := time.Duration(length) * time.Second
			tests := scan.LogTests(window, time.Duration(interval)*time.Second, sum, q.Mean)
			own = own || tests+tail <= math.Log(j.budget) && j.base.Burst(k, sum) >= j.bursts
		}
		clipped := min(sum, j.base.Clip(&j.params, q))
		batch.Windows[k] = baseline.Sums{N: 1, Sum: clipped, Squares: clipped * clipped, Most: sum}
	}
	j.known = min(j.known+1, warmUp)
	r.score = j.score(at, value)
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

// aboveBursts returns by how many standard deviations an alarm must exceed the usual burst, so that the budget holds for them.
func aboveBursts(budget float64) float64 {
	return math.Sqrt2 * math.Erfinv(1-2*min(budget/falseShare/blocksAMonth, 0.5))
}

// score returns how much news a row is, 0 to 1; 0.5 for a standard deviation above the usual burst, with nothing announced before.
func (j *judge) score(at int64, value float64) float64 {
	if j.known < warmUp {
		return 0
	}
	burst := max(j.base.Rank(0, value), 0)
	known := j.news * math.Exp2(-float64(max(at-j.newsAt-newsHold, 0))/newsHalf)
	if burst > known && burst >= tellable {
		j.news, j.newsAt = burst, at
	}
	fresh := max(burst-known, 0)
	return fresh / (1 + fresh)
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
