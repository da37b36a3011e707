package detect

import (
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Date(2010, 12, 20, 0, 0, 0, 0, time.UTC)

// stream turns people a minute into observations, as if nobody reported twice.
type stream struct {
	minutes map[int64]int // people by minute since 1970
}

func (s stream) at(t time.Time) Observation {
	o := Observation{At: t, Ingested: -1}
	end := t.Unix() / 60 // people of a minute are heard at its end
	for k, w := range Windows {
		for m := int64(0); m < int64(w/time.Minute); m++ {
			o.People[k] += s.minutes[end-1-m]
		}
	}
	if t.Unix()%60 == 0 {
		o.MinutePeople = o.People[0]
	}
	return o
}

func TestGapsMeanZeros(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := stream{map[int64]int{}}
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
			s.minutes[noon.Add(b).Unix()/60+int64(rng.IntN(20))] += 1 + rng.IntN(4)
		}
	}
	every, gaps := New(DefaultConfig()), New(DefaultConfig())
	every.Begin(noon)
	gaps.Begin(noon)
	skipped := 0
	end := noon.Add(bursts[len(bursts)-1] + 2*time.Hour).Truncate(Step)
	for at := noon.Add(Step); !at.After(end); at = at.Add(Step) {
		o := s.at(at)
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
