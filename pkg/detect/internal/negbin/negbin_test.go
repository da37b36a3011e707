package negbin

import (
	"math"
	"testing"
)

// tail sums the probability mass function from n upwards: slow, and independent of the continued fraction.
func tail(n int, mean, size float64) float64 {
	logMass := func(k float64) float64 {
		a, _ := math.Lgamma(k + size)
		b, _ := math.Lgamma(size)
		c, _ := math.Lgamma(k + 1)
		return a - b - c + k*math.Log(mean/(mean+size)) + size*math.Log(size/(mean+size))
	}
	sum := 0.0
	for k := n; ; k++ {
		mass := math.Exp(logMass(float64(k)))
		sum += mass
		if float64(k) > mean && mass <= sum*1e-14 {
			return sum
		}
	}
}

func TestLogTailEqualsTheSumOfTheMass(t *testing.T) {
	for _, mean := range []float64{1e-4, 0.03, 1, 7.5, 120, 3000} {
		for _, size := range []float64{0.3, 1, 8, 400, 1e5} {
			for _, n := range []int{1, 2, 5, 20, 100, 500, 4000} {
				want := tail(n, mean, size)
				if want < 1e-290 {
					continue
				}
				got := LogTail(float64(n), mean, size)
				if math.Abs(got-math.Log(want)) > 1e-7*max(1, -math.Log(want)) {
					t.Errorf("LogTail(%d, mean %g, size %g) = %.12g, want %.12g", n, mean, size, got, math.Log(want))
				}
			}
		}
	}
}

func TestLogTailFallsWithN(t *testing.T) {
	for _, mean := range []float64{0, 0.001, 2, 5000} {
		for _, size := range []float64{0.1, 3, 1e7} {
			last := 0.0
			for n := 0.0; n < 9000; n = n*1.3 + 0.5 {
				got := LogTail(n, mean, size)
				if math.IsNaN(got) || got > last {
					t.Fatalf("LogTail(%g, mean %g, size %g) = %g after %g: not falling", n, mean, size, got, last)
				}
				last = got
			}
		}
	}
}

func TestQuantileLiesWhereTheTailSaysSo(t *testing.T) {
	for _, mean := range []float64{5, 40, 1000} {
		for _, size := range []float64{3, 50, 1e5} {
			upper := Quantile(1.96, mean, size)
			if p := math.Exp(LogTail(upper+0.5, mean, size)); p < 0.015 || p > 0.04 {
				t.Errorf("mean %g size %g: %.3g lie above the 97.5 %% quantile %.2f", mean, size, p, upper)
			}
			lower := Quantile(-1.96, mean, size)
			if p := 1 - math.Exp(LogTail(lower+0.5, mean, size)); p < 0.002 || p > 0.06 {
				t.Errorf("mean %g size %g: %.3g lie below the 2.5 %% quantile %.2f", mean, size, p, lower)
			}
		}
	}
	if got := Quantile(-1.96, 0.01, 1); got != 0 {
		t.Errorf("lower end of a rare count = %g, want 0", got)
	}
}

func BenchmarkLogTail(b *testing.B) {
	for b.Loop() {
		LogTail(17, 2.3, 4)
	}
}
