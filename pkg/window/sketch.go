package window

import "github.com/axiomhq/hyperloglog"

const (
	// precision of the sketches: 2^14 registers of a byte.
	precision = 14
	// StandardError of the counts of people who are estimated, relative to them: 1.04/√2^14 (Flajolet et al. 2007).
	StandardError = 0.0081
	// listed is up to how many authors a step keeps one by one: as much memory as a sketch.
	listed = 1 << precision / 8
)

// sketch counts the authors of each step by itself, so that memory does not grow with them. What it holds of a step depends on the set of its
// authors alone, not on when the counts began to be estimated: a restored window is equal to one that never stopped.
type sketch struct {
	authors [longest][]uint64            // by step modulo longest: who posted in it, while they are few
	many    [longest]*hyperloglog.Sketch // by step modulo longest: who posted in it, when they are many; nil while they are few
	within  map[uint64]struct{}          // who is in the list of the current step
}

func (k *sketch) add(s int64, author uint64) {
	if k.many[s] != nil {
		k.many[s].InsertHash(mix(author))
		return
	}
	if _, known := k.within[author]; known {
		return
	}
	k.within[author] = struct{}{}
	k.authors[s] = append(k.authors[s], author)
	if len(k.authors[s]) > listed {
		k.many[s] = fresh()
		for _, a := range k.authors[s] {
			k.many[s].InsertHash(mix(a))
		}
		k.authors[s] = nil
		clear(k.within)
	}
}

// begin empties the slot of a step that begins.
func (k *sketch) begin(s int64) {
	k.authors[s], k.many[s] = nil, nil
	clear(k.within)
}

// counts unites the steps from the current one back; a step costs what it holds.
func (k *sketch) counts(step int64) (out [4]int) {
	all, w := fresh(), 0
	for back := range int64(longest) {
		s := slot(step - back)
		if k.many[s] != nil {
			_ = all.Merge(k.many[s]) // the precisions are equal
		}
		for _, a := range k.authors[s] {
			all.InsertHash(mix(a))
		}
		if back+1 == lengths[w] {
			out[w] = int(all.Estimate())
			w++
		}
	}
	return out
}

func (k *sketch) empty() bool {
	for s := range k.authors {
		if len(k.authors[s]) > 0 || k.many[s] != nil {
			return false
		}
	}
	return true
}

// small returns how many authors the steps list together, and whether they list all of them.
func (k *sketch) small() (n int, all bool) {
	for s := range k.authors {
		if k.many[s] != nil {
			return 0, false
		}
		n += len(k.authors[s])
	}
	return n, true
}

func fresh() *hyperloglog.Sketch {
	k, err := hyperloglog.NewSketch(precision, false) // without the sparse form, whose state depends on the order of insertion
	if err != nil {
		panic(err) // of the precision alone
	}
	return k
}

// mix spreads a hash over all bits (the finalizer of SplitMix64, Steele et al. 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
