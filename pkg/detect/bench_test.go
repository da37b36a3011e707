package detect

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A service that is talked about at every step.
func BenchmarkStep(b *testing.B) {
	c := &chance{rng: rand.New(rand.NewPCG(1, 1)), mean: 2, daily: 0.5}
	d := New(DefaultConfig())
	feed(d, c, noon, noon.Add(24*time.Hour))
	o := c.until(noon.Add(24 * time.Hour))
	for b.Loop() {
		o.At = o.At.Add(Step)
		o.MinutePeople = o.People[0]
		d.Step(o, false)
	}
}

// A service that is mentioned once a day.
func BenchmarkStepAfterADayOfSilence(b *testing.B) {
	d := New(DefaultConfig())
	o := Observation{At: noon, Ingested: -1}
	for i := 0; b.Loop(); i++ {
		o.At = o.At.Add(24 * time.Hour)
		o.People = [4]int{1, 1, 1, 1}
		d.Step(o, false)
	}
}

// A service that is mentioned once a year.
func BenchmarkStepAfterAYearOfSilence(b *testing.B) {
	d := New(DefaultConfig())
	o := Observation{At: noon, Ingested: -1}
	for i := 0; b.Loop(); i++ {
		o.At = o.At.Add(365 * 24 * time.Hour)
		o.People = [4]int{1, 1, 1, 1}
		o.MinutePeople = 1
		d.Step(o, false)
	}
}

func BenchmarkMarshalBinary(b *testing.B) {
	d := New(DefaultConfig())
	for b.Loop() {
		state, err := d.MarshalBinary()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(state)), "bytes")
	}
}
