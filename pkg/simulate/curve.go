package simulate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Curve is a rate over time: straight lines between its points, nothing outside them. Points are in order of time.
type Curve []Point

// Point is a rate, in posts a minute, at an offset from the scenario's start.
type Point struct {
	At        time.Duration
	PerMinute float64
}

// parseCurve reads "16:00=0.3 16:30=18": hours and minutes since the scenario's start (hours may exceed 23) and posts a minute.
func parseCurve(s string) (Curve, error) {
	var c Curve
	for _, field := range strings.Fields(s) {
		at, rate, ok := strings.Cut(field, "=")
		if !ok {
			return nil, fmt.Errorf("point %q has no =", field)
		}
		offset, err := parseOffset(at)
		if err != nil {
			return nil, err
		}
		perMinute, err := strconv.ParseFloat(rate, 64)
		if err != nil {
			return nil, fmt.Errorf("point %q: %w", field, err)
		}
		c = append(c, Point{offset, perMinute})
	}
	return c, nil
}

func parseOffset(s string) (time.Duration, error) {
	h, m, ok := strings.Cut(s, ":")
	hours, err := strconv.Atoi(h)
	minutes, err2 := strconv.Atoi(m)
	if !ok || err != nil || err2 != nil || hours < 0 || minutes < 0 || minutes > 59 {
		return 0, fmt.Errorf("%q is not a time in the form hours:minutes", s)
	}
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute, nil
}

func (c Curve) validate(limit time.Duration) error {
	for i, p := range c {
		if i > 0 && p.At <= c[i-1].At {
			return fmt.Errorf("the curve's point at %v does not come after the one before it", p.At)
		}
		if p.At < 0 || p.At > limit {
			return fmt.Errorf("the curve's point at %v is outside the scenario of %v", p.At, limit)
		}
		if p.PerMinute < 0 || math.IsNaN(p.PerMinute) || math.IsInf(p.PerMinute, 0) {
			return fmt.Errorf("the curve's rate at %v is %v", p.At, p.PerMinute)
		}
	}
	return nil
}

// at is the rate at an offset, in posts a minute.
func (c Curve) at(offset time.Duration) float64 {
	for i := 1; i < len(c); i++ {
		a, b := c[i-1], c[i]
		if offset >= a.At && offset < b.At {
			share := float64(offset-a.At) / float64(b.At-a.At)
			return a.PerMinute + share*(b.PerMinute-a.PerMinute)
		}
	}
	return 0
}
