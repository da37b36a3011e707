package series

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// volume simulates the number of posts about one company every five minutes for 55 days: a daily and weekly course, slow drift, and
// bursts whose heights follow a Pareto distribution. The highest bursts after the first 15 % are the truth.
type volume struct {
	values []float64
	truth  []int // rows at which they begin
}

const (
	volumeRows = 15_850
	volumeStep = 300
	probation  = 750 // rows that are not judged, as in the Numenta Anomaly Benchmark
)

func simulate(rng *rand.Rand, mean float64) volume {
	begin := time.Date(2015, 2, 26, 21, 42, 53, 0, time.UTC).Unix()
	daily, weekend := 0.3+0.5*rng.Float64(), 0.5+0.4*rng.Float64()
	drift, deviation := 0.0, 0.1+0.2*rng.Float64()
	rates := make([]float64, volumeRows)
	for i := range rates {
		at := begin + int64(i)*volumeStep
		rates[i] = mean * (1 + daily*math.Sin((float64(at%86400)/3600-14)/24*2*math.Pi))
		if day := (at/86400 + 4) % 7; day == 0 || day == 6 {
			rates[i] *= weekend
		}
		drift = 0.97*drift + deviation*math.Sqrt(1-0.97*0.97)*rng.NormFloat64()
		rates[i] *= math.Exp(drift)
	}
	type burst struct {
		row  int
		peak float64
	}
	var bursts []burst
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
		bursts = append(bursts, burst{row: i})
	}
	v := volume{values: make([]float64, volumeRows)}
	for i, rate := range rates {
		v.values[i] = poisson(rng, rate)
	}
	for k := range bursts {
		row := bursts[k].row
		bursts[k].peak = slices.Max(v.values[row:min(row+12, volumeRows)])
	}
	slices.SortFunc(bursts, func(a, b burst) int { return cmp.Compare(b.peak, a.peak) })
	wanted := 2 + rng.IntN(4)
	half := volumeRows / 10 / wanted / 2
	for _, b := range bursts {
		apart := b.row > volumeRows*15/100+half
		for _, row := range v.truth {
			apart = apart && max(row-b.row, b.row-row) > 2*half
		}
		if apart && len(v.truth) < wanted {
			v.truth = append(v.truth, b.row)
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
	var sum, sumGaussian float64
	const corpora = 3
	for seed := range uint64(corpora) {
		got, gaussian := rank(seed)
		t.Logf("corpus %d: score %.1f; Gaussian z-score %.1f", seed, got, gaussian)
		sum, sumGaussian = sum+got/corpora, sumGaussian+gaussian/corpora
	}
	if sum < 80 || sum < sumGaussian+15 {
		t.Errorf("score %.1f in the mean; Gaussian z-score %.1f", sum, sumGaussian)
	}
}

// rank returns the scores of a simulated corpus of ten series, by our news and by plain z-scores.
func rank(seed uint64) (ours, gaussian float64) {
	rng := rand.New(rand.NewPCG(seed, 77))
	var volumes []volume
	var news, plain [][]float64
	for _, mean := range []float64{85, 53, 20, 16, 10, 5, 4, 2.5, 0.8, 0.35} {
		v := simulate(rng, mean)
		volumes = append(volumes, v)
		j := newJudge(volumeStep, 1)
		var mine, z []float64
		sum, squares := 0.0, 0.0
		for i, x := range v.values {
			mine = append(mine, j.row(1424986973+int64(i)*volumeStep, x).score)
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
