package window

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// Ten million people within an hour: the counts keep within a few standard errors, and the memory does not grow with them.
func TestTenMillionPeople(t *testing.T) {
	before := heap()
	p := People{Limit: 50_000}
	p.Advance(1000)
	const perStep = 10_000_000 / longest
	next := uint64(0)
	for step := range int64(longest) {
		p.Advance(1000 + step)
		for range perStep {
			next++
			p.Add(next)
			p.Add(1 + next/2) // half of them have spoken before
		}
	}
	if !p.Estimated() {
		t.Fatal("ten million people are counted one by one")
	}
	got := p.Counts()
	for i, n := range lengths {
		// The authors before the window that were heard again: half the numbers that its steps reached.
		first := perStep * (longest - n)
		want := float64(perStep*n) + max(0, math.Min(float64(first), float64(next)/2)-float64(first)/2)
		if off := math.Abs(float64(got[i])-want) / want; off > 4*StandardError {
			t.Errorf("window of %d steps: %d people, want %.0f: off by %.1f %%", n, got[i], want, 100*off)
		}
	}
	if used := heap() - before; used > 16<<20 {
		t.Errorf("the window holds %d MiB", used>>20)
	}
	runtime.KeepAlive(&p)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A window goes over to estimates and back as people come and go; few people are counted exactly again.
func TestEstimatesEndWhenPeopleAreFew(t *testing.T) {
	p := People{Limit: 1000}
	exact := People{}
	next := uint64(0)
	for step := range int64(3 * longest) {
		n := 2
		if step > 100 && step < 140 {
			n = 200
		}
		if step == 120 {
			n = 5000 // more than a step lists
		}
		p.Advance(step)
		exact.Advance(step)
		for range n {
			next++
			p.Add(next % 30_000)
			exact.Add(next % 30_000)
		}
		got, want := p.Counts(), exact.Counts()
		for i := range got {
			off := math.Abs(float64(got[i]-want[i])) / float64(max(want[i], 1))
			if !p.Estimated() && off > 0 || off > 5*StandardError {
				t.Fatalf("step %d: %v, exactly %v (estimated: %v)", step, got, want, p.Estimated())
			}
		}
		if p.Empty() {
			t.Fatalf("step %d: empty", step)
		}
		if want, said := map[int64]bool{90: false, 130: true, 470: true, 510: false}[step]; said && p.Estimated() != want {
			t.Fatalf("step %d: estimated is %v", step, p.Estimated())
		}
	}
	p.Advance(10 * longest)
	if !p.Empty() || p.Counts() != [4]int{} {
		t.Errorf("hours later there are %v", p.Counts())
	}
}

// A window that was refilled after a restart is the one that never stopped, in the middle of estimates too.
func TestRefilledEstimatesAreEqual(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 2))
		running := People{Limit: 500}
		var posts [][]uint64
		refilled := 0
		for step := range int64(900) {
			n := rng.IntN(3)
			switch {
			case step > 200 && step < 220:
				n = 30 + rng.IntN(40)
			case step == 230:
				n = 3000
			}
			var authors []uint64
			for range n {
				authors = append(authors, rng.Uint64N(20_000))
			}
			posts = append(posts, authors)
			running.Advance(step)
			for _, a := range authors {
				running.Add(a)
			}
			if rng.IntN(20) > 0 {
				continue
			}
			again := People{Limit: 500}
			from := max(0, step-longest+1-rng.Int64N(360)) // whoever refills begins at a full hour
			for s := from; s <= step; s++ {
				again.Advance(s)
				for _, a := range posts[s] {
					again.Add(a)
				}
			}
			if running.Estimated() {
				again.Estimate()
				refilled++
			}
			if got, want := again.Counts(), running.Counts(); got != want || again.Estimated() != running.Estimated() {
				t.Fatalf("seed %d, step %d: refilled %v (estimated: %v), running %v (%v)", seed, step, got, again.Estimated(), want, running.Estimated())
			}
			running = again // and goes on from there
		}
		if refilled == 0 {
			t.Fatalf("seed %d: no window with estimates was refilled", seed)
		}
	}
}

func BenchmarkEstimates(b *testing.B) {
	p := People{Limit: 1000}
	for step := range int64(longest) {
		p.Advance(step)
		for a := range uint64(3000) {
			p.Add(uint64(step)<<32 | a)
		}
	}
	for i := range b.N {
		p.Advance(longest + int64(i))
		for a := range uint64(3000) {
			p.Add(uint64(i)<<32 | a)
		}
		p.Counts()
	}
}
