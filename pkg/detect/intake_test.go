package detect

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// listen adds minutes of posts at a daily course times a factor, and closes the quarters.
func listen(i *Intake, rng *rand.Rand, from, to time.Time, mean, factor float64) {
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		course := 1 + 0.7*math.Sin(2*math.Pi*float64(at.Unix()%86400)/86400)
		i.Add(at.Unix()/60, int64(poisson(rng, mean*course*factor)))
		i.Advance(at)
	}
	i.Advance(to)
}

func TestIntakeIsRelativeToTheUsual(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	i := NewIntake()
	at := noon
	listen(i, rng, at, at.Add(12*time.Hour), 50, 1)
	if r := i.Relative(0); r >= 0 {
		t.Errorf("after half a day it is said to be %.2f of the usual", r)
	}
	day := at.Add(10 * 24 * time.Hour)
	listen(i, rng, at.Add(12*time.Hour), day, 50, 1)
	for hour := range 24 {
		from := day.Add(time.Duration(hour) * time.Hour)
		listen(i, rng, from, from.Add(time.Hour), 50, 1)
		if r := i.Relative(0); r < 0.75 || r > 1.3 {
			t.Errorf("hour %d: %.2f of the usual, where nothing has changed", hour, r)
		}
	}
	day = day.Add(24 * time.Hour)
	listen(i, rng, day, day.Add(2*time.Hour), 50, 0.4)
	if r := i.Relative(0); r < 0.3 || r > 0.5 {
		t.Errorf("%.2f of the usual, where 0.4 is true", r)
	}
	// Silence is not learned on the first day of it.
	listen(i, rng, day.Add(2*time.Hour), day.Add(14*time.Hour), 50, 0)
	if r := i.Relative(0); r != 0 {
		t.Errorf("%.2f of the usual, where nothing is read", r)
	}
	listen(i, rng, day.Add(14*time.Hour), day.Add(16*time.Hour), 50, 1)
	if r := i.Relative(0); r < 0.7 || r > 1.4 {
		t.Errorf("%.2f of the usual after half a day of silence", r)
	}
	// A service that everybody in the stream speaks of has no denominator in it.
	if r := i.Relative(400); r >= 0 {
		t.Errorf("%.2f of the usual, where most posts are about the service", r)
	}
	// What is over cannot change.
	before := i.Relative(0)
	i.Add(day.Unix()/60, 1e6)
	i.Advance(day.Add(16 * time.Hour))
	if after := i.Relative(0); after != before {
		t.Errorf("late posts changed %.3f to %.3f", before, after)
	}
}

func TestFewPostsAreNoDenominator(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	i := NewIntake()
	listen(i, rng, noon, noon.Add(5*24*time.Hour), 1, 1)
	if r := i.Relative(0); r >= 0 {
		t.Errorf("60 posts an hour are said to be %.2f of the usual", r)
	}
}

func TestARestoredIntakeGoesOnAlike(t *testing.T) {
	a, b := NewIntake(), NewIntake()
	ra, rb := rand.New(rand.NewPCG(3, 1)), rand.New(rand.NewPCG(3, 1))
	at := noon.Add(7 * time.Minute)
	for range 60 {
		to := at.Add(53 * time.Minute)
		listen(a, ra, at, to, 40, 1)
		listen(b, rb, at, to, 40, 1)
		state, err := b.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		b = NewIntake()
		if err := b.UnmarshalBinary(state); err != nil {
			t.Fatal(err)
		}
		if x, y := a.Relative(0), b.Relative(0); x != y {
			t.Fatalf("at %v: %v and, restored, %v", to, x, y)
		}
		at = to
	}
	sa, _ := a.MarshalBinary()
	sb, _ := b.MarshalBinary()
	if !bytes.Equal(sa, sb) {
		t.Error("the states differ")
	}
	for name, bad := range map[string][]byte{"empty": nil, "version": append([]byte{9}, sa[1:]...), "cut": sa[:len(sa)-1], "head": sa[:9], "longer": append(bytes.Clone(sa), 0)} {
		if err := a.UnmarshalBinary(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A gap of years costs no loop over its quarters, and the course of a day survives none of it.
func TestIntakeAfterYearsOfNothing(t *testing.T) {
	i := NewIntake()
	listen(i, rand.New(rand.NewPCG(4, 1)), noon, noon.Add(3*24*time.Hour), 50, 1)
	i.Advance(noon.AddDate(300, 0, 0))
	if r := i.Relative(0); r >= 0 {
		t.Errorf("%.2f of the usual", r)
	}
}
