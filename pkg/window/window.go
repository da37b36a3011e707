package window

// Steps of the windows in grid steps of 10 s: 1, 5, 15 and 60 minutes.
var lengths = [4]int64{6, 30, 90, 360}

const longest = 360

// People counts distinct authors over the last 1, 5, 15 and 60 minutes. The zero value is empty. Not safe for concurrent use.
type People struct {
	// Limit is up to how many distinct people of the longest window counts are exact; above, they are estimated with StandardError until
	// they are few again. 0 is without a limit. Set it before the first Add.
	Limit int

	step    int64 // index of the current step; the windows end with it
	latest  map[uint64]int64
	authors [longest][]uint64 // by step modulo longest: who posted in it
	current [longest]int32    // by step modulo longest: authors whose latest post it holds
	sums    [4]int32

	sketch    *sketch // not nil while the counts are estimated; the fields above but step are then empty
	estimates [4]int
	stale     bool // estimates must be worked out again
}

// Advance makes step the current one. Steps must not decrease; skipped ones were empty.
func (p *People) Advance(step int64) {
	if step <= p.step {
		return
	}
	if p.sketch != nil {
		p.advanceSketch(step)
		return
	}
	if len(p.latest) == 0 {
		p.step = step
		return
	}
	for p.step < step {
		if len(p.latest) == 0 {
			p.step = step
			return
		}
		p.step++
		for i, n := range lengths {
			p.sums[i] -= p.current[slot(p.step-n)]
		}
		// The slot of the step that leaves the longest window is the one of the new step.
		leaving := p.step - longest
		s := slot(p.step)
		for _, a := range p.authors[s] {
			if p.latest[a] == leaving {
				delete(p.latest, a)
			}
		}
		p.authors[s] = p.authors[s][:0]
		p.current[s] = 0
	}
}

func (p *People) advanceSketch(step int64) {
	for first := max(p.step+1, step-longest+1); first <= step; first++ {
		p.sketch.begin(slot(first))
	}
	p.step, p.stale = step, true
	if n, all := p.sketch.small(); all && n <= p.Limit {
		p.exact()
	}
}

// Add counts an author in the current step.
func (p *People) Add(author uint64) {
	if p.sketch != nil {
		p.sketch.add(slot(p.step), author)
		p.stale = true
		return
	}
	before, known := p.latest[author]
	if known && before == p.step {
		return
	}
	if !known && p.Limit > 0 && len(p.latest) >= p.Limit {
		p.Estimate()
		p.Add(author)
		return
	}
	if p.latest == nil {
		p.latest = map[uint64]int64{}
	}
	p.latest[author] = p.step
	s := slot(p.step)
	p.authors[s] = append(p.authors[s], author)
	p.current[s]++
	for i, n := range lengths {
		if !known || before <= p.step-n {
			p.sums[i]++
		}
	}
	if known {
		p.current[slot(before)]--
	}
}

// Estimate makes the counts estimated ones, until they are few again, as more people than Limit do. Whoever refills a window after a
// restart calls it where Estimated was true before.
func (p *People) Estimate() {
	if p.sketch != nil {
		return
	}
	k := &sketch{within: map[uint64]struct{}{}}
	for back := int64(longest - 1); back >= 0; back-- { // the current step last: its list may go on
		s := slot(p.step - back)
		clear(k.within)
		for _, a := range p.authors[s] {
			k.add(s, a)
		}
	}
	*p = People{Limit: p.Limit, step: p.step, sketch: k, stale: true}
}

// exact goes back to counting one by one.
func (p *People) exact() {
	k, step := p.sketch, p.step
	*p = People{Limit: p.Limit, step: step - longest}
	for back := int64(longest - 1); back >= 0; back-- {
		p.Advance(step - back)
		for _, a := range k.authors[slot(step-back)] {
			p.Add(a)
		}
	}
}

// Estimated reports whether the counts are estimated, with StandardError.
func (p *People) Estimated() bool { return p.sketch != nil }

// Counts returns the distinct authors of the last 1, 5, 15 and 60 minutes.
func (p *People) Counts() [4]int {
	if p.sketch != nil {
		if p.stale {
			p.estimates, p.stale = p.sketch.counts(p.step), false
		}
		return p.estimates
	}
	return [4]int{int(p.sums[0]), int(p.sums[1]), int(p.sums[2]), int(p.sums[3])}
}

// Empty tells that nobody posted within the longest window.
func (p *People) Empty() bool {
	if p.sketch != nil {
		return p.sketch.empty()
	}
	return len(p.latest) == 0
}

func slot(step int64) int64 { return ((step % longest) + longest) % longest }
