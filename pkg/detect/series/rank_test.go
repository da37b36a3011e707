package series

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// volume is the number of posts about one company every five minutes for 55 days.
type volume struct {
	values []float64
	truth  []int // rows at which the highest bursts after the first 15 % begin
}

const (
	volumeBegin = 1_500_000_000
	volumeRows  = 15_840
	volumeStep  = 300
	probation   = 750 // rows that are not judged, as in the Numenta Anomaly Benchmark: 15 % of the first 5,000
)

// daily is a rate with a daily and weekly course.
func daily(rng *rand.Rand, mean float64) []float64 {
	height, weekend := 0.3+0.5*rng.Float64(), 0.5+0.4*rng.Float64()
	rates := make([]float64, volumeRows)
	for i := range rates {
		at := volumeBegin + i*volumeStep
		rates[i] = mean * (1 + height*math.Sin((float64(at%86400)/3600-14)/24*2*math.Pi))
		if day := (at/86400 + 4) % 7; day == 0 || day == 6 {
			rates[i] *= weekend
		}
	}
	return rates
}

// bursts simulates news: slow drift, and bursts that rise and fade, whose heights follow a Pareto distribution.
func bursts(rng *rand.Rand, mean float64) volume {
	rates := daily(rng, mean)
	drift, deviation := 0.0, 0.1+0.2*rng.Float64()
	for i := range rates {
		drift = 0.97*drift + deviation*math.Sqrt(1-0.97*0.97)*rng.NormFloat64()
		rates[i] *= math.Exp(drift)
	}
	var begins []int
	tail := 1.2 + 1.3*rng.Float64()
	for i := range rates {
		if rng.Float64() >= 3*volumeStep/86400.0 {
			continue
		}
		height := min(math.Pow(rng.Float64(), -1/tail), 150) * (0.5*mean + 0.5*rates[i])
		fade := math.Exp(1 + rng.NormFloat64())
		rise := max(rng.IntN(7)-3, 0)
		for k := 0; k < 100 && i+k < volumeRows; k++ {
			if k < rise {
				rates[i+k] += height * float64(k+1) / float64(rise+1)
			} else {
				rates[i+k] += height * math.Exp(-float64(k-rise)/fade)
			}
		}
		begins = append(begins, i)
	}
	values := make([]float64, volumeRows)
	for i, rate := range rates {
		values[i] = poisson(rng, rate)
	}
	return labelled(rng, values, begins)
}

// cascades simulates posts that are repeated: the audience of each follows a Pareto distribution, repeats follow a power law of time and are
// repeated in turn (a Hawkes process, as in Zhao et al. 2015, SEISMIC, arXiv:1506.02594).
func cascades(rng *rand.Rand, mean float64) volume {
	rates := daily(rng, mean/2)
	tail := 1.3 + 0.7*rng.Float64()
	values := make([]float64, volumeRows)
	var begins []int
	for i := range rates {
		n := poisson(rng, rates[i])
		values[i] = n
		if n == 0 {
			continue
		}
		largest := math.Pow(1-math.Pow(rng.Float64(), 1/n), -1/tail) // audience of n posts
		repeats := 0.25 * min(largest, 4000)
		scale := math.Exp(0.7 + 0.8*rng.NormFloat64()) // rows
		whole := 0.0
		for k := 1; k < 200; k++ {
			whole += math.Pow(1+float64(k)/scale, -1.8)
		}
		for k := 1; k < 200 && i+k < volumeRows; k++ {
			rates[i+k] += 0.6 * repeats / whole * math.Pow(1+float64(k)/scale, -1.8)
		}
		if repeats > mean+4 {
			begins = append(begins, i)
		}
	}
	return labelled(rng, values, begins)
}

// labelled marks two to five bursts of an hour that are the highest, so far apart that their windows do not overlap.
func labelled(rng *rand.Rand, values []float64, begins []int) volume {
	v := volume{values: values}
	peak := func(row int) float64 { return slices.Max(values[row:min(row+12, volumeRows)]) }
	slices.SortFunc(begins, func(a, b int) int { return cmp.Compare(peak(b), peak(a)) })
	wanted := 2 + rng.IntN(4)
	half := volumeRows / 10 / wanted / 2
	for _, begin := range begins {
		apart := begin > volumeRows*15/100+half
		for _, row := range v.truth {
			apart = apart && max(row-begin, begin-row) > 2*half
		}
		if apart && len(v.truth) < wanted {
			v.truth = append(v.truth, begin)
		}
	}
	slices.Sort(v.truth)
	return v
}

// benchmark is the score of the Numenta Anomaly Benchmark, standard profile, for the best threshold over all series: 100 when every
// truth is found at the beginning of its window and nothing else, 0 when nothing is said (Lavin & Ahmad 2015, arXiv:1510.03336).
func benchmark(volumes []volume, scores [][]float64) float64 {
	var thresholds []float64
	for _, s := range scores {
		thresholds = append(thresholds, s[probation:]...)
	}
	slices.SortFunc(thresholds, func(a, b float64) int { return cmp.Compare(b, a) })
	sigmoid := func(y float64) float64 { return 2/(1+math.Exp(5*y)) - 1 }
	best := 0.0
	for rank := 5; rank < 2000; rank += 1 + rank/20 {
		sum, truths := 0.0, 0
		for i, v := range volumes {
			truths += len(v.truth)
			half := volumeRows / 10 / len(v.truth) / 2
			found := make([]bool, len(v.truth))
			for row := probation; row < volumeRows; row++ {
				if scores[i][row] < thresholds[rank] {
					continue
				}
				before, inside := -1, false
				for k, truth := range v.truth {
					if row >= truth-half {
						before, inside = k, row <= truth+half
					}
				}
				switch {
				case inside && !found[before]:
					found[before] = true
					sum += sigmoid(-float64(v.truth[before]+half-row+1)/float64(2*half+1)) / sigmoid(-1)
				case inside:
				case before < 0:
					sum -= 0.11
				default:
					sum += 0.11 * sigmoid(min(float64(row-v.truth[before]-half)/float64(2*half), 3))
				}
			}
			for _, ok := range found {
				if !ok {
					sum--
				}
			}
		}
		best = max(best, 100*(sum+float64(truths))/(2*float64(truths)))
	}
	return best
}

func TestScoresRankTheHighestBurstsOfEachSeries(t *testing.T) {
	for name, kind := range map[string]struct {
		simulate func(*rand.Rand, float64) volume
		least    float64
	}{"bursts": {bursts, 80}, "cascades": {cascades, 65}} {
		var sum, sumGaussian float64
		const corpora = 4
		for seed := range uint64(corpora) {
			ours, gaussian := rank(seed, kind.simulate)
			sum, sumGaussian = sum+ours/corpora, sumGaussian+gaussian/corpora
		}
		t.Logf("%s: score %.1f in the mean; Gaussian z-score %.1f", name, sum, sumGaussian)
		if sum < kind.least || sum < sumGaussian+10 {
			t.Errorf("%s: score %.1f in the mean, wanted %.0f; Gaussian z-score %.1f", name, sum, kind.least, sumGaussian)
		}
	}
}

// rank returns the scores of a simulated corpus of ten series of two posts to five hundred in 25 minutes, by our news and by plain z-scores.
func rank(seed uint64, simulate func(*rand.Rand, float64) volume) (ours, gaussian float64) {
	rng := rand.New(rand.NewPCG(seed, 77))
	var volumes []volume
	var news, plain [][]float64
	for range 10 {
		v := simulate(rng, 100*math.Pow(250, -rng.Float64()))
		volumes = append(volumes, v)
		j := newJudge(volumeStep, 1)
		var mine, z []float64
		sum, squares := 0.0, 0.0
		for i, x := range v.values {
			mine = append(mine, j.row(volumeBegin+int64(i)*volumeStep, x).score)
			n := float64(i + 1)
			sum, squares = sum+x, squares+x*x
			z = append(z, (x-sum/n)/math.Sqrt(squares/n-sum*sum/n/n+1))
		}
		news, plain = append(news, mine), append(plain, z)
	}
	return benchmark(volumes, news), benchmark(volumes, plain)
}

// poisson draws a Poisson variate, by a normal one where the mean is high.
func poisson(rng *rand.Rand, mean float64) float64 {
	if mean > 100 {
		return max(math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()), 0)
	}
	n, product, limit := -1.0, 1.0, math.Exp(-mean)
	for product > limit {
		product *= rng.Float64()
		n++
	}
	return n
}

// The budget is a promise about chance, whatever the interval.
func TestChanceKeepsTheBudget(t *testing.T) {
	for _, c := range []struct {
		interval int64 // seconds
		budget   float64
		months   int
	}{{1200, 0.1, 4}, {1200, 1, 3}, {1200, 3, 2}, {300, 0.1, 3}, {300, 1, 1}} {
		rng := rand.New(rand.NewPCG(11, 7))
		rows := c.months * 30 * 86400 / int(c.interval)
		day := 86400 / int(c.interval)
		months, alarms := 0.0, 0
		for _, hourly := range []float64{0.15, 1, 3, 12, 60, 300} {
			for range 3 {
				j := newJudge(c.interval, c.budget)
				was := false
				for i := range rows {
					course := 1 + 0.6*math.Sin(2*math.Pi*float64(i%day)/float64(day))
					size := 8.0 // over-dispersed: a gamma rate of relative variance 1/8, by a sum of exponentials
					rate := 0.0
					for range int(size) {
						rate += rng.ExpFloat64() / size
					}
					u := j.row(1600000000+int64(i)*c.interval, poisson(rng, hourly*float64(c.interval)/3600*course*rate))
					if u.alarm && !was {
						alarms++
					}
					was = u.alarm
				}
				months += float64(c.months) * 30 / 30.44
			}
		}
		t.Logf("every %d s, budget %g a month: %d alarms in %.0f months", c.interval, c.budget, alarms, months)
		if float64(alarms) > months*c.budget+2*math.Sqrt(months*c.budget) {
			t.Errorf("every %d s: %d alarms by chance in %.0f months; the budget is %g a month", c.interval, alarms, months, c.budget)
		}
	}
}

func TestASmallerBudgetAsksForMore(t *testing.T) {
	last := math.Inf(1)
	for _, budget := range []float64{0.01, 0.1, 1, 3, 10, 1000} {
		z := aboveBursts(budget)
		if z < 0 || z > last || z > 4 {
			t.Errorf("budget %g: %.2f standard deviations above the usual burst, after %.2f for a smaller one", budget, z, last)
		}
		last = z
	}
}
