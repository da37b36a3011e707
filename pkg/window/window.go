package window

// Steps of the windows in grid steps of 10 s: 1, 5, 15 and 60 minutes.
var lengths = [4]int64{6, 30, 90, 360}

const longest = 360

// People counts distinct authors over the last 1, 5, 15 and 60 minutes. The zero value is empty. Not safe for concurrent use.
type People struct {
	step    int64 // index of the current step; the windows end with it
	latest  map[uint64]int64
	authors [longest][]uint64 // by step modulo longest: who posted in it
	current [longest]int32    // by step modulo longest: authors whose latest post it holds
	sums    [4]int32
}

// Advance makes step the current one. Steps must not decrease; skipped ones were empty.
func (p *People) Advance(step int64) {
	if step <= p.step {
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

// Add counts an author in the current step.
func (p *People) Add(author uint64) {
	before, known := p.latest[author]
	if known && before == p.step {
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

// Counts returns the distinct authors of the last 1, 5, 15 and 60 minutes.
func (p *People) Counts() [4]int {
	return [4]int{int(p.sums[0]), int(p.sums[1]), int(p.sums[2]), int(p.sums[3])}
}

// Empty tells that nobody posted within the longest window.
func (p *People) Empty() bool { return len(p.latest) == 0 }

func slot(step int64) int64 { return ((step % longest) + longest) % longest }
