package series

import (
	"math"
	"math/rand/v2"
	"testing"
)

const (
	reportRows   = 40_700 // of 20 minutes: a year and a half
	reportStep   = 1200
	reportsBegin = 1_555_200_000
	published    = 67 // incidents that the operator tells of
)

// reports simulates user reports about one service every 20 minutes: few, in working hours, over-dispersed; published incidents, most of
// which hardly anybody reports; and chatter, bursts that no published incident explains.
type reports struct {
	values    []float64
	incidents [][2]int // first and last row
}

func simulateReports(rng *rand.Rand) reports {
	mean := math.Exp(math.Log(0.08) + rng.Float64()*math.Log(20))
	height, spread, chatter := 3*rng.Float64()-0.5, 0.8+1.4*rng.Float64(), 6*rng.Float64()
	rates, usual, drift := make([]float64, reportRows), make([]float64, reportRows), 0.0
	for i := range rates {
		at := reportsBegin + i*reportStep
		usual[i] = mean * (1 + 0.7*math.Sin((float64(at%86400)/3600-9)/24*2*math.Pi))
		if day := (at/86400 + 4) % 7; day == 0 || day == 6 {
			usual[i] *= 0.45
		}
		drift = 0.9*drift + 0.3*math.Sqrt(1-0.9*0.9)*rng.NormFloat64()
		usual[i] *= math.Exp(drift)
		rates[i] = usual[i]
	}
	burst := func(first int, height, fade float64, rise, rows int) {
		for k := range rows {
			if i := first + k; i >= 0 && i < reportRows {
				rates[i] += height * min(float64(k+1)/float64(rise+1), math.Exp(-float64(max(k-rise, 0))/fade))
			}
		}
	}
	for range int(chatter * reportRows * reportStep / (30.44 * 86400)) {
		i := rng.IntN(reportRows)
		burst(i, min(math.Pow(rng.Float64(), -1/1.3), 60)*(1+usual[i]), 0.5+rng.ExpFloat64(), 0, 8)
	}
	var r reports
	for len(r.incidents) < published {
		i := rng.IntN(reportRows - 100)
		if rng.Float64() > usual[i]/mean/2.2 { // people deploy while people work
			continue
		}
		rows := max(1, int(4*math.Exp(0.8*rng.NormFloat64())))
		people := math.Exp(height+spread*rng.NormFloat64()) * (0.3 + usual[i]/mean) * math.Sqrt(mean/0.3)
		burst(i-rng.IntN(2), people, float64(rows)/1.5+0.5, rng.IntN(2), rows+2)
		r.incidents = append(r.incidents, [2]int{i, i + rows})
	}
	for _, rate := range rates {
		r.values = append(r.values, poisson(rng, rate))
	}
	return r
}

// match returns which share of the alarms lies at an incident, give or take a row, and how many incidents they hit.
func (r reports) match(alarms []int) (precision float64, hit int) {
	found := map[int]bool{}
	matching := 0.0
	for _, row := range alarms {
		matched := false
		for k, in := range r.incidents {
			if row >= in[0]-1 && row <= in[1]+1 {
				matched, found[k] = true, true
			}
		}
		if matched {
			matching++
		}
	}
	return matching / max(float64(len(alarms)), 1), len(found)
}

// sixSigma alarms where a count exceeds its exponentially weighted mean by six standard deviations, once in three quiet rows.
func (r reports) sixSigma(share float64) (alarms []int) {
	mean, variance, last := r.values[0], 1.0, -10
	for i, x := range r.values {
		if x >= 3 && x > mean+6*math.Sqrt(variance) {
			if i-last > 3 {
				alarms = append(alarms, i)
			}
			last = i
		}
		d := x - mean
		mean += share * d
		variance = (1 - share) * (variance + share*d*d)
	}
	return alarms
}

func (r reports) judged(budget float64) (alarms []int) {
	j, was := newJudge(reportStep, budget), false
	for i, x := range r.values {
		is := j.row(int64(reportsBegin+i*reportStep), x).alarm
		if is && !was {
			alarms = append(alarms, i)
		}
		was = is
	}
	return alarms
}

// The seeds are the first whose series let six sigma do what it is known to do on reports about software services: 40 to 50 % of its alarms
// lie at a published incident, and 16 to 20 of 67 are hit. On those, our alarms must be more often right and hit about as many.
func TestAlarmsAreMoreOftenRightThanSixSigma(t *testing.T) {
	seeds := []uint64{76, 150, 363, 455, 484, 536, 555, 597}
	var right, hit, alarms, plainHit float64
	for _, seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 4))
		r := simulateReports(rng)
		p, h := r.match(r.sixSigma(math.Pow(10, -2+1.5*rng.Float64())))
		if p < 0.4 || p > 0.5 || h < 16 || h > 20 {
			t.Fatalf("seed %d: %.0f %% of six sigma's alarms are right, %d incidents hit; the series is not of the kind", seed, 100*p, h)
		}
		ours := r.judged(1)
		n := float64(len(seeds))
		plainHit += float64(h) / n
		p, h = r.match(ours)
		right, hit, alarms = right+p/n, hit+float64(h)/n, alarms+float64(len(ours))/n
	}
	t.Logf("%.1f alarms, %.0f %% right, %.1f incidents hit; six sigma hits %.1f", alarms, 100*right, hit, plainHit)
	if right < 0.6 || hit < plainHit-1 {
		t.Errorf("%.0f %% of the alarms are right and %.1f incidents are hit; wanted 60 %%, and %.1f as six sigma does", 100*right, hit, plainHit)
	}
}
