package detect

import (
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Date(2010, 12, 20, 0, 0, 0, 0, time.UTC)

func TestGapsMeanZeros(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	people := map[int64]int{} // by the second that ends their step
	var bursts []time.Duration
	for _, gap := range []time.Duration{7 * time.Minute, 3 * time.Hour, 26 * time.Hour, 80 * 24 * time.Hour, 5 * time.Hour, 2 * time.Hour} {
		var last time.Duration
		if len(bursts) > 0 {
			last = bursts[len(bursts)-1]
		}
		bursts = append(bursts, last+gap+time.Duration(rng.IntN(3000))*time.Second)
	}
	for _, b := range bursts {
		for range 5 {
			people[floor(noon.Add(b).Unix()+int64(rng.IntN(1200)), step)] += 1 + rng.IntN(4)
		}
	}
	every, gaps := New(DefaultConfig()), New(DefaultConfig())
	every.Begin(noon)
	gaps.Begin(noon)
	skipped := 0
	var heard crowd
	end := noon.Add(bursts[len(bursts)-1] + 2*time.Hour).Truncate(Step)
	for at := noon.Add(Step); !at.After(end); at = at.Add(Step) {
		o := heard.hear(at, people[at.Unix()])
		v := every.Step(o, false)
		if o.People[3] == 0 && at != end {
			skipped++
			continue
		}
		if w := gaps.Step(o, false); w != v {
			t.Fatalf("%v:\nstepping all %+v\nleaving out  %+v", at, v, w)
		}
	}
	if skipped < 100_000 {
		t.Fatalf("only %d steps were left out", skipped)
	}
	a, _ := every.MarshalBinary()
	b, _ := gaps.MarshalBinary()
	if string(a) != string(b) {
		t.Error("the states differ")
	}
}
