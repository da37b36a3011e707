// Package scan says how often chance alone raises a count that is looked at again and again through a sliding window.
package scan

import (
	"math"
	"time"
)

// Month is the mean length of a month.
const Month = 2_630_016 * time.Second // 30.44 days

// LogTests returns the natural logarithm of the number of independent tests that a month of watching a sliding window amounts to, for
// clusters of n where mean are expected: n > mean. Times P(X >= n) it is the expected number of separate chance clusters a month.
//
// A window of length w fits T/w times into a month T. Slid, it finds rare clusters of a Poisson process n·(1−mean/n)² times as often
// (Naus 1982, JASA 77:177; Alm 1983; Glaz, Naus & Wallenstein 2001, Scan Statistics, chapter 11). It is looked at on a grid only, so
// that factor is at most the number of grid steps in the window, and at least 1.
func LogTests(window, grid time.Duration, n, mean float64) float64 {
	separate := 1 - mean/n
	overlap := max(min(n*separate*separate, float64(window)/float64(grid)), 1)
	return math.Log(float64(Month) / float64(window) * overlap)
}
