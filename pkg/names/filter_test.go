package names

import (
	"math/rand/v2"
	"testing"
)

func TestFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 100, 10_000} {
		in := map[uint64]struct{}{}
		for range n {
			in[rng.Uint64()] = struct{}{}
		}
		f := newFilter(in)
		for h := range in {
			if !f.has(h) {
				t.Fatalf("%d hashes: lost %x", n, h)
			}
		}
		const probes = 100_000
		passed := 0
		for range probes {
			if f.has(rng.Uint64()) {
				passed++
			}
		}
		if passed > probes*5/1000 {
			t.Errorf("%d hashes: %d of %d others pass", n, passed, probes)
		}
	}
}
