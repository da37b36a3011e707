// Package negbin computes tail probabilities of the negative binomial distribution, the distribution of a count whose rate is itself
// uncertain (gamma distributed): with mean μ and size r its variance is μ + μ²/r. For r → ∞ it is the Poisson distribution.
//
// Everything is in logarithms, because the tails that matter lie far below the smallest float64.
package negbin

import "math"

// MaxSize bounds the size parameter; beyond it the distribution is Poisson to all that matters, and the gamma functions lose digits.
const MaxSize = 1e6

// LogTail returns the natural logarithm of P(X >= n) for a count X with the given mean and size.
// n need not be whole: between whole numbers the tail is continued smoothly. n <= 0 gives 0.
// The tail is the regularised incomplete beta function I_x(n, size) with x = mean/(mean+size).
func LogTail(n, mean, size float64) float64 {
	if n <= 0 {
		return 0
	}
	if mean <= 0 {
		return math.Inf(-1)
	}
	size = min(size, MaxSize)
	x := mean / (mean + size)
	if x < (n+1)/(n+size+2) {
		return logBeta(n, size, x)
	}
	return math.Log1p(-math.Exp(logBeta(size, n, size/(mean+size))))
}

// logBeta returns log I_x(a, b) by the continued fraction that converges fast for x < (a+1)/(a+b+2).
// Source: Press et al., Numerical Recipes, section 6.4 (modified Lentz's method); DLMF 8.17.22.
func logBeta(a, b, x float64) float64 {
	const tiny = 1e-300
	lab, _ := math.Lgamma(a + b)
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	front := lab - la - lb + a*math.Log(x) + b*math.Log1p(-x) - math.Log(a)

	away := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/away(1-(a+b)*x/(a+1))
	h := d
	for m := 1.0; m <= 2000; m++ {
		step := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / away(1+step*d)
		c = away(1 + step/c)
		h *= d * c
		step = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / away(1+step*d)
		c = away(1 + step/c)
		h *= d * c
		if math.Abs(d*c-1) < 1e-12 {
			break
		}
	}
	return min(front+math.Log(h), 0)
}

// Quantile approximates the count that is not exceeded with the probability of a standard normal deviate z (1.96: 97.5 %).
// It is for bands that are shown, not for decisions: the cube-root normal approximation of the gamma distribution with the same
// mean and variance (Wilson & Hilferty 1931). It is never negative.
func Quantile(z, mean, size float64) float64 {
	if mean <= 0 {
		return 0
	}
	shape := 1 / (1/mean + 1/size) // mean² / variance
	root := 1 - 1/(9*shape) + z/(3*math.Sqrt(shape))
	if root <= 0 {
		return 0
	}
	return mean * root * root * root
}

// Deviation returns the standard deviation.
func Deviation(mean, size float64) float64 { return math.Sqrt(mean + mean*mean/size) }
