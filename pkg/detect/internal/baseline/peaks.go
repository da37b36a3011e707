package baseline

import "math"

// peaks learns how high the bursts go that a series has anyway: the highest count of every day and a half. A negative binomial tail is too
// thin for them (one post that many people repeat in their own words is no chance cluster), so what is no higher than the usual burst
// is not unusual, however improbable. Block maxima are the classical way to the tail of a series (Gumbel 1958, Statistics of Extremes);
// their logarithm is taken as normal, because counts in bursts differ by factors.
type peaks struct {
	Blocks, Mean, Square float64 // of log(1 + highest): discounted number, mean, sum of squared deviations
	Highest              float64 // of the block under way
	Block                int64   // index of the block under way, counted from 1970; 0 before the first
}

const (
	blockSeconds   = 36 * hour
	blockMemory    = 60  // blocks
	priorBlocks    = 10  // blocks that the prior deviation is worth
	priorDeviation = 0.7 // of log(1 + highest): a factor of two
	clipDeviations = 4

	// What series have in common, held against the spread of one of them where they are compared: about as wide as the heavy-tailed bursts of
	// posts are, so that a series with few or even bursts does not outrank the others by its small spread.
	commonBlocks    = 6
	commonDeviation = 1.2
)

// See learns how high a window's count went in the fold that began at a time. Fold does so too.
func (b *Baseline) See(window int, begin int64, most float64) { b.peaks[window].learn(begin, most) }

func (p *peaks) learn(at int64, most float64) {
	if block := floorDiv(at, blockSeconds); block != p.Block {
		if p.Block != 0 {
			p.close()
		}
		p.Block, p.Highest = block, 0
	}
	p.Highest = max(p.Highest, most)
}

func (p *peaks) close() {
	x := math.Log1p(p.Highest)
	if p.Blocks > 3 {
		x = min(x, p.Mean+float64(clipDeviations*p.deviation()))
	}
	p.Blocks = float64(p.Blocks*keep(blockMemory)) + 1
	d := x - p.Mean
	p.Mean += d / p.Blocks
	p.Square = float64(p.Square*keep(blockMemory)) + float64(d*(x-p.Mean))
}

// deviation includes how little is known of the mean.
func (p *peaks) deviation() float64 { return p.shrunk(priorBlocks, priorDeviation) }

// shrunk is the deviation drawn to a prior one that so many blocks are worth.
func (p *peaks) shrunk(blocks, prior float64) float64 {
	variance := (p.Square + blocks*prior*prior) / (p.Blocks + blocks)
	return math.Sqrt(variance * (1 + 1/(p.Blocks+1)))
}

// usual returns the mean of log(1 + highest); before a block is complete, of what it has so far.
func (p *peaks) usual() float64 {
	if p.Blocks == 0 {
		return math.Log1p(p.Highest)
	}
	return p.Mean
}

// Burst returns by how many standard deviations a window's count exceeds the usual peak of a day and a half, on a logarithmic scale.
func (b *Baseline) Burst(window int, n float64) float64 {
	p := &b.peaks[window]
	return (math.Log1p(n) - p.usual()) / p.deviation()
}

// Rank is Burst for comparing series with one another: the spread of each is drawn further to what series have in common.
func (b *Baseline) Rank(window int, n float64) float64 {
	p := &b.peaks[window]
	return (math.Log1p(n) - p.usual()) / p.shrunk(commonBlocks, commonDeviation)
}

// BurstCount is the inverse of Burst: the count that lies so many standard deviations above the usual peak. Before the first day and a half
// is over, what an outage under way has brought is among the highest so far; that counts up to a most only, or it would hide a slow onset.
func (b *Baseline) BurstCount(window int, deviations, most float64) float64 {
	p := &b.peaks[window]
	usual := p.usual()
	if p.Blocks == 0 {
		usual = min(usual, math.Log1p(most))
	}
	return math.Expm1(usual + float64(deviations*p.deviation()))
}
