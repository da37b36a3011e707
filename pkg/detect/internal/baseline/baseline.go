// Package baseline learns what count is usual for a series and how far chance takes it from there: a level, a time-of-week profile,
// and over-dispersion, all discounted so that the past fades.
//
// The model is a discounted Gamma–Poisson (West & Harrison, Bayesian Forecasting and Dynamic Models, 2nd ed. 1997, sections 2.3 and 6.3;
// Harvey & Fernandes 1989 for counts): the rate has a gamma distribution whose shape and exposure are multiplied by a discount at each
// fold, so its predictive distribution is negative binomial and wide while there is little history. Season factors are gamma as well,
// shrunk to 1 by a prior that stands for how far an hour of the day or of the week usually strays. What the rate does not explain is
// over-dispersion, estimated by moments, as quasi-Poisson outbreak detection does (Farrington et al. 1996; Noufaily et al. 2013).
// Outliers are clipped at a far quantile before they are learned, as Noufaily et al. weight past outbreaks down; a long run of outliers
// is a new level and is learned at once (West & Harrison 1986, "Monitoring and adaptation in Bayesian forecasting models").
//
// Nothing here looks at a clock. State changes only in Fold, with products rounded explicitly, so that no platform fuses them and the
// state is the same everywhere, bit by bit.
package baseline

import (
	"math"

	"outcry.dev/pkg/detect/internal/negbin"
)

// Windows is the number of windows that a baseline predicts.
const Windows = 4

const (
	hour    = 3600 // seconds
	hourDay = 24
	dayWeek = 7
)

// Prior beliefs; each is a relative variance (of a factor around 1) or an amount of information.
const (
	priorShape      = 0.2  // of the level: almost nothing is known before the first fold
	priorExposure   = 0.4  // units: with the shape, half an event a unit
	varianceOfDay   = 0.25 // how far an hour of the day strays from the mean
	varianceOfWeek  = 0.04 // how far an hour of the week strays from its hour of the day
	priorDispersion = 0.1  // 1/size of a window's count, given the right rate
	priorMoments    = 20   // observations that the prior dispersion is worth
	priorRatio      = 10   // events that the prior ratio (1) is worth
	minDispersion   = 0.002
	maxDispersion   = 50
)

// Params says how a series is measured and how fast it forgets. The zero value is not usable; see Hourly.
type Params struct {
	FoldSeconds int64            // length of a fold; divides an hour, or is a multiple of one
	FoldUnits   float64          // the same in units (minutes, or rows)
	Units       [Windows]float64 // length of each window in units
	LevelHours  float64          // memory of the level
	SeasonDays  float64          // memory of the hours of the day; those of the week remember four times as long
	SpreadHours float64          // memory of the dispersion
	ClipSD      float64          // counts further above their mean than this many standard deviations are clipped
	ShiftHours  float64          // so long a run of clipped folds is a new level
	QuietHours  float64          // after so long a run of zeros the past is forgotten
}

// cell is one season factor: counts seen against counts expected without it, in units of information.
// float32 keeps a service small; the state is rounded at each fold, so it is the same in memory and at rest.
type cell struct{ Seen, Expected float32 }

func (c cell) factor(variance float64) float64 {
	return (1/variance + float64(c.Seen)) / (1/variance + float64(c.Expected))
}

func (c cell) variance(variance float64) float64 { return 1 / (1/variance + float64(c.Expected)) }

// moments is what one window's counts say about the spread around the expectation.
type moments struct {
	Excess, Weight float64 // Excess/Weight estimates 1/size
	Seen, Expected float64 // Seen/Expected: distinct people in a long window are fewer than the sum over its minutes
}

func (m moments) dispersion() float64 {
	d := (m.Excess + priorDispersion*priorMoments) / (m.Weight + priorMoments)
	return min(max(d, minDispersion), maxDispersion)
}

func (m moments) ratio() float64 {
	return min(max((m.Seen+priorRatio)/(m.Expected+priorRatio), 0.2), 1.5)
}

// Baseline is the state of one series.
type Baseline struct {
	shape, exposure float64
	day             [hourDay]cell
	week            [hourDay * dayWeek]cell
	spread          [Windows]moments
	peaks           [Windows]peaks
	zeros, clipped  int64 // folds in a row
}

// Batch is what a fold learns: whole numbers, so that it does not matter in which pieces it was gathered.
type Batch struct {
	Exposure float64 // units of time, scaled by how much was listened to
	Count    float64 // events, over all units
	Windows  [Windows]Sums
}

// Sums are taken over the windows that ended within the fold and did not overlap; Most is the highest count of all, overlapping or not.
type Sums struct{ N, Sum, Squares, Most float64 }

// Prediction is a negative binomial distribution.
type Prediction struct{ Mean, Size float64 }

// season returns the factor at a time (interpolated between the middles of hours) and the relative variance of that factor.
func (b *Baseline) season(at int64) (factor, variance float64) {
	h := floorDiv(at-hour/2, hour)
	f := float64(at-hour/2-h*hour) / hour
	f0, v0 := b.slot(h)
	f1, v1 := b.slot(h + 1)
	return float64((1-f)*f0) + float64(f*f1), max(v0, v1)
}

// expectedSeason is the season to expect: in the week and a half after clocks are changed, what people do at an hour of theirs falls an
// hour earlier or later in UTC than was learned, for some of them. The higher of both hours is expected.
func (b *Baseline) expectedSeason(at int64) (factor, variance float64) {
	factor, variance = b.season(at)
	if shift := daylightShift(at); shift != 0 {
		f, v := b.season(at + shift)
		if f > factor {
			factor = f
		}
		variance = max(variance, v)
	}
	return factor, variance
}

// slot returns factor and variance of an hour counted from 1970.
func (b *Baseline) slot(h int64) (factor, variance float64) {
	d, w := b.day[mod(h, hourDay)], b.week[mod(h, hourDay*dayWeek)]
	return d.factor(varianceOfDay) * w.factor(varianceOfWeek), d.variance(varianceOfDay) + w.variance(varianceOfWeek)
}

// Predict returns the distribution of a window's count around a time (seconds since 1970), when scale times the usual is listened to.
func (b *Baseline) Predict(p *Params, window int, at int64, scale float64) Prediction {
	factor, variance := b.expectedSeason(at)
	spread := &b.spread[window]
	mean := (priorShape + b.shape) / (priorExposure + b.exposure) * factor * p.Units[window] * spread.ratio() * scale
	return Prediction{mean, 1 / (1/(priorShape+b.shape) + variance + spread.dispersion())}
}

// Clip returns the count from which on a window's count is an outlier that must not be learned whole.
func (b *Baseline) Clip(p *Params, q Prediction) float64 {
	if b.shifted(p) {
		return math.Inf(1)
	}
	return math.Ceil(q.Mean + p.ClipSD*negbin.Deviation(q.Mean, q.Size) + 2)
}

func (b *Baseline) shifted(p *Params) bool {
	return float64(b.clipped*p.FoldSeconds) >= p.ShiftHours*hour
}

// Fold learns what happened in the fold that began at a time (seconds since 1970).
func (b *Baseline) Fold(p *Params, begin int64, n Batch) {
	if n.Exposure <= 0 {
		return
	}
	if n.Count > 0 {
		b.zeros = 0
	} else if b.Forgotten(p) {
		return
	} else if b.zeros++; b.Forgotten(p) {
		b.forget(p)
		return
	}

	at := begin + p.FoldSeconds/2
	factor, variance := b.season(at)
	level := (priorShape + b.shape) / (priorExposure + b.exposure)
	mean := level * factor * n.Exposure
	nearest := p.nearest(n.Exposure)
	dispersion := b.spread[nearest].dispersion()

	// While the level is hardly known, a deviation from it says little of seasons and spread.
	unsure := 1 / (priorShape + b.shape)
	known := dispersion / (dispersion + unsure)

	// A count far off is clipped; a long run of them is the new usual.
	memory := p.LevelHours
	count := n.Count
	if b.shifted(p) {
		memory = min(memory, p.ShiftHours/2)
	}
	size := 1 / (unsure + variance + dispersion)
	limit := mean + float64(p.ClipSD*negbin.Deviation(mean, size)) + 2
	outlier := count > limit
	if outlier {
		b.clipped++
		if !b.shifted(p) {
			count = limit
		}
	} else {
		b.clipped = 0
	}

	for k, w := range n.Windows {
		if !outlier { // a wrong level is not over-dispersion
			b.spread[k].learn(p, level*factor*p.Units[k], unsure, w)
		}
		b.See(k, begin, w.Most)
	}

	// One event of an over-dispersed count tells less than one of a Poisson count.
	weight := 1 / (1 + float64(dispersion*mean))
	h := floorDiv(at, hour)
	d, w := &b.day[mod(h, hourDay)], &b.week[mod(h, hourDay*dayWeek)]
	fd, fw := d.factor(varianceOfDay), w.factor(varianceOfWeek)
	foldsADay := max(hour/float64(p.FoldSeconds), 1) * p.SeasonDays
	d.learn(keep(foldsADay), known*weight*count, known*weight*mean/fd)
	w.learn(keep(foldsADay*4/dayWeek), known*weight*count, known*weight*mean/fw)

	k := keep(memory * hour / float64(p.FoldSeconds))
	b.shape = float64(k*b.shape) + float64(weight*count)
	b.exposure = float64(k*b.exposure) + float64(weight*factor*n.Exposure)
}

// keep returns the share that survives a step of a memory of n steps.
func keep(n float64) float64 { return 1 - 1/max(n, 2) }

// forget puts the state where ever more zeros would lead it; further zeros leave it there.
func (b *Baseline) forget(p *Params) {
	*b = Baseline{zeros: b.zeros, exposure: p.LevelHours * hour / float64(p.FoldSeconds) * p.FoldUnits}
}

// Forgotten reports whether further zeros change nothing any more.
func (b *Baseline) Forgotten(p *Params) bool {
	return float64(b.zeros*p.FoldSeconds) >= p.QuietHours*hour
}

// nearest returns the window whose length is nearest to an exposure.
func (p *Params) nearest(exposure float64) int {
	best := 0
	for k, u := range p.Units {
		if math.Abs(u-exposure) < math.Abs(p.Units[best]-exposure) {
			best = k
		}
	}
	return best
}

func (c *cell) learn(keep, seen, expected float64) {
	c.Seen = float32(float64(keep*float64(c.Seen)) + seen)
	c.Expected = float32(float64(keep*float64(c.Expected)) + expected)
}

// learn takes the sums of windows of which each expected the given mean before the ratio. What the unsure level (its relative variance)
// explains is taken off, and the less the level is known, the less the windows tell.
func (m *moments) learn(p *Params, mean, unsure float64, s Sums) {
	if s.N == 0 {
		return
	}
	k := keep(p.SpreadHours * hour / float64(p.FoldSeconds))
	mu := mean * m.ratio()
	squares := s.Squares - float64(2*mu*s.Sum) + float64(s.N*mu*mu)
	known := m.dispersion() / (m.dispersion() + unsure)
	weight := known * known / float64((1+mu)*(1+mu)) // a window tells at most as much as one observation, a rare count less
	m.Excess = float64(k*m.Excess) + float64(weight*(squares-float64(s.N*mu)-float64(s.N*mu*mu*unsure)))
	m.Weight = float64(k*m.Weight) + float64(weight*s.N*mu*mu)
	information := known * known / (1 + float64(m.dispersion()*mu))
	m.Seen = float64(k*m.Seen) + float64(information*s.Sum)
	m.Expected = float64(k*m.Expected) + float64(information*s.N*mean)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func mod(a, b int64) int64 { return a - floorDiv(a, b)*b }
