package scan

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"outcry.dev/pkg/detect/internal/negbin"
)

// clusters counts how often a sliding window rises to n events of a Poisson process, per month; rises within a window's length of the
// last one count once.
func clusters(rng *rand.Rand, perMinute float64, window time.Duration, n int, months float64) float64 {
	var times []float64 // minutes
	end := months * Month.Minutes()
	found, last := 0, math.Inf(-1)
	for at := rng.ExpFloat64() / perMinute; at < end; at += rng.ExpFloat64() / perMinute {
		times = append(times, at)
		if len(times) < n {
			continue
		}
		if at-times[len(times)-n] < window.Minutes() {
			if at-last > window.Minutes() {
				found++
			}
			last = at
		}
	}
	return float64(found) / months
}

func TestTestsAMonthPredictChanceClusters(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		perMinute float64
		window    time.Duration
		n         int
		months    float64
	}{
		{0.05, 5 * time.Minute, 4, 200},
		{0.05, 15 * time.Minute, 6, 100},
		{1, time.Minute, 8, 30},
		{1, 15 * time.Minute, 34, 60},
		{0.5, time.Hour, 55, 100},
	} {
		mean := c.perMinute * c.window.Minutes()
		predicted := math.Exp(LogTests(c.window, time.Second, float64(c.n), mean) + negbin.LogTail(float64(c.n), mean, 1e6))
		simulated := clusters(rng, c.perMinute, c.window, c.n, c.months)
		t.Logf("%d in %v where %.2f are expected: %.2f clusters a month predicted, %.2f simulated", c.n, c.window, mean, predicted, simulated)
		if r := simulated / predicted; r < 0.5 || r > 1.3 {
			t.Errorf("%d in %v where %.2f are expected: %.2f clusters a month predicted, %.2f simulated", c.n, c.window, mean, predicted, simulated)
		}
	}
}

func TestTheGridBoundsTheTests(t *testing.T) {
	if got, want := LogTests(time.Minute, 10*time.Second, 1000, 1), math.Log(6*Month.Minutes()); math.Abs(got-want) > 1e-9 {
		t.Errorf("log of tests %g, want %g: six looks a minute", got, want)
	}
	if got, want := LogTests(time.Hour, 10*time.Second, 10.1, 10), math.Log(Month.Hours()); math.Abs(got-want) > 1e-9 {
		t.Errorf("log of tests %g, want %g: one look a window at least", got, want)
	}
}
