package detect

import (
	"math"
	"time"

	"outcry.dev/pkg/detect/internal/baseline"
	"outcry.dev/pkg/detect/internal/negbin"
	"outcry.dev/pkg/detect/internal/scan"
)

// Step is the grid of event time on which decisions fall.
const Step = 10 * time.Second

// Windows are the lengths over which people are counted.
var Windows = [4]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

const (
	step    = int64(Step / time.Second)
	quarter = 900 // seconds; what is expected changes on this grid

	// aboveBursts is by how many standard deviations an alarm exceeds the usual burst of the service (baseline.Burst).
	aboveBursts = 0.75

	// ingestUnit is the resolution in which the share of listened-to posts is summed, so that sums are exact.
	ingestUnit = 16
	// Less than this share of the usual posts says nothing about a service; below it nothing is learned.
	leastIngested = 0.25
	mostIngested  = 4

	// mostLearned bounds a count, so that sums of squares stay exact.
	mostLearned = 1 << 20
)

var params = baseline.Params{
	FoldSeconds: quarter,
	FoldUnits:   15,
	Units:       [4]float64{1, 5, 15, 60},
	LevelHours:  5 * 24,
	SeasonDays:  14,
	SpreadHours: 28 * 24,
	ClipSD:      2,
	ShiftHours:  24,
	QuietHours:  10 * 7 * 24,
}

// Observation is what was heard of a service up to one step of the grid.
type Observation struct {
	// At is the end of the step, exclusive; it is taken down to the grid of 10 s.
	At time.Time
	// People are the distinct people with an outage mention, without reposts and copies, in each of Windows ending at At.
	People [len(Windows)]int
	// MinutePeople is People[0] where At is a whole minute; it feeds the baseline. It is ignored elsewhere.
	MinutePeople int
	// Ingested is how much is listened to, relative to what is usual (1); less than 0 where unknown.
	Ingested float64
}

// Detector judges one service. It is not safe for concurrent use.
type Detector struct {
	cfg Config

	begun   bool
	at      int64 // end of the latest step, seconds since 1970
	history int64 // minutes learned
	base    baseline.Baseline
	fold    gathered

	ready  ready
	recent [len(Windows)]float64 // thresholds found last: where the next search begins; they never decide
}

// gathered is what the quarter of an hour under way has brought: whole numbers, so that the steps' grouping cannot change them.
type gathered struct {
	minutes, exposure, count int64 // exposure in 1/ingestUnit minutes
	windows                  [len(Windows)]struct{ n, sum, squares, most int64 }
}

// ready holds what stays the same within a quarter of an hour. It is a function of the state, so it is not part of it.
type ready struct {
	valid    bool
	quarter  int64
	scale    float64
	windows  [len(Windows)]baseline.Prediction
	clips    [len(Windows)]float64
	verdicts [len(Windows)]WindowVerdict // nothing observed yet
}

// New returns a detector without history. The configuration must be valid.
func New(cfg Config) *Detector { return &Detector{cfg: cfg} }

// Begin says that the service has been listened for since a time, so that the silence until its first mention counts as history.
// It has no effect once the detector has begun.
func (d *Detector) Begin(at time.Time) {
	if !d.begun {
		d.begun, d.at = true, floor(at.Unix(), step)
	}
}

// Step judges one observation. Observations come in increasing order of time; one that is not later than the one before is judged but
// not learned. Steps may be left out where all windows are empty, and only there: what lies between two observations counts as silence.
// While frozen (an incident is open), and for the whole quarter of an hour in which that began, nothing is learned.
func (d *Detector) Step(o Observation, frozen bool) Verdict {
	at := floor(o.At.Unix(), step)
	if !d.begun {
		d.begun, d.at = true, at-step
	}
	if at > d.at+step {
		d.silence(at-step, frozen)
	}
	scale, exposure := ingested(o.Ingested)
	v := d.judge(at, o, scale)
	if at <= d.at {
		return v
	}
	d.at = at
	if frozen {
		d.fold = gathered{}
	} else {
		d.gather(at, o, exposure)
	}
	if at%quarter == 0 {
		d.learn(at)
	}
	return v
}

// judge compares an observation with what the quarters before it lead to expect.
func (d *Detector) judge(at int64, o Observation, scale float64) Verdict {
	d.prepare(floor(at-1, quarter), scale)
	v := Verdict{At: time.Unix(at, 0).UTC(), Windows: d.ready.verdicts, HistoryMinutes: int(d.history)}
	for k := range v.Windows {
		w := &v.Windows[k]
		w.Observed = o.People[k]
		if n := float64(w.Observed); n > w.Expected {
			w.Score = score(n, d.ready.windows[k])
			w.Alarm = n >= w.Threshold
		}
		strongest := v.Windows[v.Strongest]
		if w.Alarm && !strongest.Alarm || w.Alarm == strongest.Alarm && w.Score > strongest.Score {
			v.Strongest = k
		}
		v.Alarm = v.Alarm || w.Alarm
	}
	return v
}

// prepare works out what is expected within the quarter of an hour that begins at a time.
func (d *Detector) prepare(begin int64, scale float64) {
	if d.ready.valid && d.ready.quarter == begin && d.ready.scale == scale {
		return
	}
	d.ready = ready{valid: true, quarter: begin, scale: scale}
	for k, w := range Windows {
		q := d.base.Predict(&params, k, begin+quarter/2-int64(w/time.Second)/2, scale)
		d.ready.clips[k] = d.base.Clip(&params, q)
		least := max(float64(d.cfg.MinPeople), math.Ceil(d.base.BurstCount(k, aboveBursts, d.ready.clips[k])))
		d.recent[k] = threshold(d.recent[k], q, w, least, d.cfg.FalseAlarmsPerMonth)
		d.ready.windows[k] = q
		d.ready.verdicts[k] = WindowVerdict{
			Window:         w,
			Expected:       q.Mean,
			Lower:          negbin.Quantile(-1.96, q.Mean, q.Size),
			Upper:          negbin.Quantile(1.96, q.Mean, q.Size),
			Threshold:      d.recent[k],
			ThresholdScore: score(d.recent[k], q),
		}
	}
}

// gather adds what a step brings to the quarter under way.
func (d *Detector) gather(at int64, o Observation, exposure int64) {
	if exposure == 0 {
		return
	}
	if at%60 == 0 {
		d.fold.minutes++
		d.fold.exposure += exposure
		d.fold.count += int64(min(max(o.MinutePeople, 0), mostLearned))
	}
	for k, w := range Windows {
		n := int64(min(max(o.People[k], 0), mostLearned))
		g := &d.fold.windows[k]
		g.most = max(g.most, n)
		if at%int64(w/time.Second) == 0 {
			n = int64(min(float64(n), d.ready.clips[k]))
			g.n++
			g.sum += n
			g.squares += n * n
		}
	}
}

// silence learns that nothing was heard after the latest step up to a time.
func (d *Detector) silence(until int64, frozen bool) {
	for d.at < until {
		end := min(floor(d.at, quarter)+quarter, until)
		if frozen {
			d.fold = gathered{}
			end = until
		} else {
			for k, w := range Windows {
				length := int64(w / time.Second)
				d.fold.windows[k].n += end/length - d.at/length
			}
			minutes := end/60 - d.at/60
			d.fold.minutes += minutes
			d.fold.exposure += minutes * ingestUnit
		}
		d.at = end
		if end%quarter == 0 {
			d.learn(end)
		}
		// Once everything is forgotten, more silence changes nothing but the length of the history.
		if skip := floor(until, quarter) - d.at; skip > 0 && !frozen && d.at%quarter == 0 && d.base.Forgotten(&params) {
			d.at += skip
			d.history += skip / 60
		}
	}
}

// learn folds the quarter of an hour that ends at a time into the baseline.
func (d *Detector) learn(end int64) {
	g := &d.fold
	if g.minutes > 0 {
		b := baseline.Batch{Exposure: float64(g.exposure) / ingestUnit, Count: float64(g.count)}
		for k, w := range g.windows {
			b.Windows[k] = baseline.Sums{N: float64(w.n), Sum: float64(w.sum), Squares: float64(w.squares), Most: float64(w.most)}
		}
		d.base.Fold(&params, end-quarter, b)
		d.history += g.minutes
	}
	d.fold = gathered{}
	d.ready.valid = false
}

// threshold returns the smallest number of people, not below the least, that is an alarm. The search begins near a guess.
func threshold(guess float64, q baseline.Prediction, window time.Duration, least, budget float64) float64 {
	allowed := math.Log(budget / float64(len(Windows)))
	alarm := func(n float64) bool {
		return n > q.Mean && scan.LogTests(window, Step, n, q.Mean)+negbin.LogTail(n, q.Mean, q.Size) <= allowed
	}
	return smallest(alarm, least, guess)
}

// smallest returns the smallest whole number from least on for which a condition holds that, once it holds, goes on holding.
func smallest(holds func(float64) bool, least, guess float64) float64 {
	const most = 1 << 40
	if holds(least) {
		return least
	}
	low, high := least, max(guess, least+1) // low never holds
	for width := 1.0; !holds(high); width *= 2 {
		if high >= most {
			return most
		}
		low, high = high, high+width
	}
	for width := 1.0; high-width > low; width *= 2 {
		if !holds(high - width) {
			low = high - width
			break
		}
		high -= width
	}
	for high-low > 1 {
		if middle := math.Floor((low + high) / 2); holds(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// score returns −log10 P(X >= n).
func score(n float64, q baseline.Prediction) float64 {
	return -negbin.LogTail(n, q.Mean, q.Size) / math.Ln10
}

// ingested returns the factor on the expectation, and the exposure of a minute in units of 1/ingestUnit (0: too little to learn from).
func ingested(relative float64) (scale float64, exposure int64) {
	if !(relative >= 0) {
		return 1, ingestUnit
	}
	exposure = int64(math.Round(min(relative, mostIngested) * ingestUnit))
	scale = max(float64(exposure)/ingestUnit, leastIngested)
	if relative < leastIngested {
		exposure = 0
	}
	return scale, exposure
}

func floor(t, grid int64) int64 {
	r := t % grid
	if r < 0 {
		r += grid
	}
	return t - r
}
