package detect

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// chance simulates people who report independently of each other, at a daily rate whose level wanders: a Poisson process given the rate,
// over-dispersed without. Each person is distinct.
type chance struct {
	rng     *rand.Rand
	mean    float64 // a minute
	daily   float64 // amplitude
	drift   float64
	current float64
	crowd
}

// until adds the people heard in the step that ends at a time and counts the windows.
func (c *chance) until(at time.Time) Observation {
	end := at.Unix()
	if end%600 == 0 {
		c.current = 0.97*c.current + c.drift*math.Sqrt(1-0.97*0.97)*c.rng.NormFloat64()
	}
	rate := c.mean * (1 + c.daily*math.Sin(2*math.Pi*float64(end%86400)/86400)) * math.Exp(c.current) / 60
	return c.hear(at, poisson(c.rng, rate*float64(step)))
}

// crowd counts people who report once each in sliding windows; every step must be told.
type crowd struct {
	steps  [360]int // people by step, of the longest window
	next   int
	counts [len(Windows)]int
	total  int
}

// hear adds the people of the step that ends at a time.
func (c *crowd) hear(at time.Time, people int) Observation {
	o := Observation{At: at, Ingested: -1}
	for k, w := range Windows {
		length := int(w / Step)
		c.counts[k] += people - c.steps[(c.next-length+2*len(c.steps))%len(c.steps)]
		o.People[k] = c.counts[k]
	}
	c.steps[c.next] = people
	c.next = (c.next + 1) % len(c.steps)
	c.total += people
	if at.Unix()%60 == 0 {
		o.MinutePeople = o.People[0]
	}
	return o
}

func poisson(rng *rand.Rand, mean float64) int {
	n, product, limit := -1, 1.0, math.Exp(-mean)
	for product > limit {
		product *= rng.Float64()
		n++
	}
	return n
}

// The budget is a promise about chance: over services of every size, alarms (those within an hour count once) stay below it.
func TestChanceKeepsTheBudget(t *testing.T) {
	const days = 25
	budgets := []float64{0.1, 3}
	alarms := make([]int, len(budgets))
	months := 0.0
	for i, mean := range []float64{0.01, 0.1, 1, 6} {
		c := &chance{rng: rand.New(rand.NewPCG(uint64(i), 3)), mean: mean, daily: 0.6, drift: 0.25}
		var detectors []*Detector
		for _, budget := range budgets {
			detectors = append(detectors, New(Config{FalseAlarmsPerMonth: budget, MinPeople: 3}))
		}
		last := make([]time.Time, len(budgets))
		for at := noon.Add(Step); at.Sub(noon) < days*24*time.Hour; at = at.Add(Step) {
			o := c.until(at)
			for k, d := range detectors {
				if d.Step(o, false).Alarm {
					if at.Sub(last[k]) > time.Hour {
						alarms[k]++
					}
					last[k] = at
				}
			}
		}
		months += days / 30.44
	}
	for k, budget := range budgets {
		t.Logf("budget %g a month: %d alarms in %.1f months", budget, alarms[k], months)
		if float64(alarms[k]) > budget*months+2*math.Sqrt(budget*months) {
			t.Errorf("budget %g a month: %d alarms in %.1f months", budget, alarms[k], months)
		}
	}
}

// feed steps a detector through chance from one time to another and returns the last verdict.
func feed(d *Detector, c *chance, from, to time.Time) Verdict {
	var v Verdict
	for at := from.Add(Step); !at.After(to); at = at.Add(Step) {
		v = d.Step(c.until(at), false)
	}
	return v
}

func TestOutagesAreFoundSoon(t *testing.T) {
	for _, c := range []struct {
		name           string
		mean, outage   float64 // people a minute
		history        time.Duration
		within, people int // minutes, and people heard by then, at most
	}{
		{"small service", 0.01, 2, 14 * 24 * time.Hour, 5, 9},
		{"service of the demonstration, half a day of history", 0.05, 10, 16 * time.Hour, 3, 30},
		{"large service", 3, 30, 14 * 24 * time.Hour, 2, 60},
		{"slow and small", 0.03, 0.5, 14 * 24 * time.Hour, 60, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			noise := &chance{rng: rand.New(rand.NewPCG(4, 4)), mean: c.mean, daily: 0.5, drift: 0.2}
			d := New(DefaultConfig())
			d.Begin(noon)
			start := noon.Add(c.history)
			if v := feed(d, noise, noon, start); v.Alarm {
				t.Fatalf("alarm before the outage: %s", Explain(v, "it"))
			}
			noise.mean += c.outage
			before := noise.total
			for at := start.Add(Step); ; at = at.Add(Step) {
				o := noise.until(at)
				people := noise.total - before
				if v := d.Step(o, false); v.Alarm {
					t.Logf("after %v and %d people: %s", at.Sub(start), people, Explain(v, "it"))
					if at.Sub(start) > time.Duration(c.within)*time.Minute || people > c.people {
						t.Errorf("after %v and %d people: %s", at.Sub(start), people, Explain(v, "it"))
					}
					return
				}
				if at.Sub(start) > 2*time.Hour {
					t.Fatal("never found")
				}
			}
		})
	}
}

// What begins slowly, on the first day of listening, must not be taken for what is usual while it grows.
func TestASlowOnsetIsFoundOnTheFirstDay(t *testing.T) {
	for seed := range uint64(8) {
		noise := &chance{rng: rand.New(rand.NewPCG(seed, 9)), mean: 0.002, drift: 0.2}
		d := New(DefaultConfig())
		d.Begin(noon)
		start := noon.Add(11 * time.Hour)
		if v := feed(d, noise, noon, start); v.Alarm {
			t.Fatalf("alarm before the outage: %s", Explain(v, "it"))
		}
		found := false
		for at := start.Add(Step); !found && at.Sub(start) <= 3*time.Hour+30*time.Minute; at = at.Add(Step) {
			grown := at.Sub(start).Hours()
			noise.mean = 0.002 + 0.15*grown*grown // 9, 36 and 81 people an hour after one, two and three hours
			v := d.Step(noise.until(at), false)
			if found = v.Alarm; found {
				t.Logf("after %v: %s", at.Sub(start), Explain(v, "it"))
			}
		}
		if !found {
			t.Errorf("seed %d: never found", seed)
		}
	}
}

func TestNoHistoryIsAdmitted(t *testing.T) {
	d := New(DefaultConfig())
	c := &chance{rng: rand.New(rand.NewPCG(1, 1)), mean: 5}
	v := feed(d, c, noon, noon.Add(10*time.Minute))
	if v.Alarm {
		t.Errorf("50 people in the first ten minutes of all are an alarm: %s", Explain(v, "it"))
	}
	if s := Explain(v, "it"); !strings.Contains(s, "no history") {
		t.Errorf("%q does not admit that there is no history", s)
	}
	cold := v.Windows[2].Threshold
	v = feed(d, c, noon.Add(10*time.Minute), noon.Add(48*time.Hour))
	if warm := v.Windows[2].Threshold; warm >= cold/2 {
		t.Errorf("threshold %.0f after two days, %.0f at first", warm, cold)
	}
	if v.HistoryMinutes < 2800 {
		t.Errorf("%d minutes of history after two days", v.HistoryMinutes)
	}
}

func TestOneOutageDoesNotRaiseTheBaseline(t *testing.T) {
	for _, frozen := range []bool{true, false} {
		c := &chance{rng: rand.New(rand.NewPCG(2, 2)), mean: 0.2, daily: 0.3, drift: 0.1}
		d := New(DefaultConfig())
		at := noon.Add(10 * 24 * time.Hour)
		before := feed(d, c, noon, at)
		c.mean = 40
		for end := at.Add(2 * time.Hour); at.Before(end); {
			at = at.Add(Step)
			d.Step(c.until(at), frozen)
		}
		c.mean = 0.2
		feed(d, c, at, at.Add(22*time.Hour))
		after := feed(d, c, at.Add(22*time.Hour), at.Add(22*time.Hour+10*time.Second))
		ratio := after.Windows[2].Expected / before.Windows[2].Expected
		if limit := map[bool]float64{true: 1.3, false: 3}[frozen]; ratio > limit {
			t.Errorf("frozen %v: expected %.2f before and %.2f a day after two hours at 200 times the rate", frozen, before.Windows[2].Expected, after.Windows[2].Expected)
		}
	}
}

func TestTheTimeOfDayIsLearned(t *testing.T) {
	c := &chance{rng: rand.New(rand.NewPCG(3, 3)), mean: 2, daily: 0.9}
	d := New(DefaultConfig())
	day := noon.Add(21 * 24 * time.Hour)
	feed(d, c, noon, day)
	peak := feed(d, c, day, day.Add(6*time.Hour))
	trough := feed(d, c, day.Add(6*time.Hour), day.Add(18*time.Hour))
	if p, q := peak.Windows[3].Expected, trough.Windows[3].Expected; p < 170 || p > 290 || q > 45 {
		t.Errorf("expects %.0f people an hour at the peak (228 is true) and %.0f at the trough (12 is true)", p, q)
	}
}

func TestANewLevelIsAcceptedWithinDays(t *testing.T) {
	c := &chance{rng: rand.New(rand.NewPCG(5, 5)), mean: 0.5}
	d := New(DefaultConfig())
	feed(d, c, noon, noon.Add(14*24*time.Hour))
	c.mean = 5
	v := feed(d, c, noon.Add(14*24*time.Hour), noon.Add(18*24*time.Hour))
	if v.Alarm || v.Windows[2].Expected < 40 {
		t.Errorf("four days after the rate rose to 75 in 15 minutes: %s", Explain(v, "it"))
	}
}

func TestHalfTheSourceIsHalfTheExpectation(t *testing.T) {
	c := &chance{rng: rand.New(rand.NewPCG(6, 6)), mean: 1}
	d := New(DefaultConfig())
	at := noon.Add(5 * 24 * time.Hour)
	feed(d, c, noon, at)
	o := c.until(at.Add(Step))
	o.Ingested = 1
	full := d.Step(o, false).Windows[3].Expected
	o.Ingested = 0.5
	half := d.Step(o, false).Windows[3].Expected
	if r := half / full; r < 0.49 || r > 0.51 {
		t.Errorf("expects %.1f of all posts and %.1f of half of them", full, half)
	}
	o.Ingested = 0
	if v := d.Step(o, false); v.Windows[3].Expected <= 0 || v.Windows[3].Threshold < 5 {
		t.Errorf("a silent source gives %+v", v.Windows[3])
	}
}
