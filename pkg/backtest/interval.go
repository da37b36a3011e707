package backtest

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

const z = 1.959963984540054 // of 95 %

// Interval is an estimate with its 95 % interval. Of is the sample size: trials, or months.
type Interval struct {
	Value float64 `json:"value"`
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
	Of    float64 `json:"of"`
}

// Known reports whether there was anything to estimate from.
func (i Interval) Known() bool { return i.Of > 0 }

// Wilson returns a share and its score interval; nothing is known of 0 trials.
func Wilson(successes, trials int) Interval {
	if trials == 0 {
		return Interval{Upper: 1}
	}
	n, p := float64(trials), float64(successes)/float64(trials)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return Interval{Value: p, Lower: max(middle-half, 0), Upper: min(middle+half, 1), Of: n}
}

// Poisson returns a rate and its exact interval, from a count over an exposure.
func Poisson(count int, exposure float64) Interval {
	if exposure <= 0 {
		return Interval{}
	}
	i := Interval{Value: float64(count) / exposure, Of: exposure}
	if count > 0 {
		i.Lower = mathext.GammaIncRegInv(float64(count), 0.025) / exposure
	}
	i.Upper = mathext.GammaIncRegInv(float64(count)+1, 0.975) / exposure
	return i
}

// Spread is a median with the least and the most of N values.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	N      int     `json:"n"`
}

func spread(x []float64) Spread {
	if len(x) == 0 {
		return Spread{}
	}
	x = slices.Clone(x)
	slices.Sort(x)
	n := len(x)
	return Spread{Median: (x[(n-1)/2] + x[n/2]) / 2, Least: x[0], Most: x[n-1], N: n}
}
