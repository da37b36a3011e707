package window

import (
	"math/rand/v2"
	"testing"
)

// reference keeps every post and counts from scratch.
type reference struct {
	step  int64
	posts map[int64][]uint64
}

func (r *reference) counts() (out [4]int) {
	for i, n := range lengths {
		people := map[uint64]bool{}
		for s := r.step - n + 1; s <= r.step; s++ {
			for _, a := range r.posts[s] {
				people[a] = true
			}
		}
		out[i] = len(people)
	}
	return out
}

func TestCountsEqualCountingFromScratch(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var p People
		r := reference{posts: map[int64][]uint64{}}
		p.Advance(1_000_000)
		r.step = 1_000_000
		for range 2000 {
			switch rng.IntN(10) {
			case 0:
				r.step += rng.Int64N(500)
			case 1, 2, 3:
				r.step++
			}
			p.Advance(r.step)
			for range rng.IntN(4) {
				a := rng.Uint64N(30)
				p.Add(a)
				r.posts[r.step] = append(r.posts[r.step], a)
			}
			if got, want := p.Counts(), r.counts(); got != want {
				t.Fatalf("seed %d, step %d: counts %v, counted from scratch %v", seed, r.step, got, want)
			}
			if p.Empty() != (r.counts()[3] == 0) {
				t.Fatalf("seed %d, step %d: Empty is %v with counts %v", seed, r.step, p.Empty(), r.counts())
			}
		}
	}
}

func BenchmarkAddAdvance(b *testing.B) {
	var p People
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range b.N {
		p.Advance(int64(i / 100))
		p.Add(rng.Uint64N(5000))
	}
}
