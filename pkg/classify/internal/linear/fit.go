package linear

import (
	"math"
	"math/rand/v2"
	"sync"
)

// Example is one thing to learn from.
type Example struct {
	Index  []uint32
	Value  []float32
	Class  int
	Weight float32
}

// Options of Fit.
type Options struct {
	Features int // size of the feature space
	Classes  int
	Epochs   int
	Rate     float64 // AdaGrad's step
	L2       float64 // pull towards 0, per example and feature
	Seed     uint64
	Runs     int     // fits whose weights are averaged, each in an order of its own
	Dropout  float64 // share of an example's features hidden at each step (Wager et al., Dropout Training as Adaptive Regularization, NIPS 2013)
}

// Weights are what Fit finds, before quantising.
type Weights struct {
	Classes int
	Bias    []float32
	W       []float32 // feature*Classes + class
}

// Fit minimises the weighted cross entropy o.Runs times, side by side, and averages the weights: chance decides less.
func Fit(examples []Example, o Options) *Weights {
	runs := make([]*Weights, o.Runs)
	var wait sync.WaitGroup
	for i := range runs {
		wait.Go(func() { runs[i] = fit(examples, o, uint64(i)) })
	}
	wait.Wait()
	mean := &Weights{Classes: o.Classes, Bias: make([]float32, o.Classes), W: make([]float32, o.Features*o.Classes)}
	for _, run := range runs {
		add(mean.Bias, run.Bias)
		add(mean.W, run.W)
	}
	scale(mean.Bias, float32(o.Runs))
	scale(mean.W, float32(o.Runs))
	return mean
}

func add(sum, x []float32) {
	for i, v := range x {
		sum[i] += v
	}
}

func scale(x []float32, by float32) {
	for i := range x {
		x[i] /= by
	}
}

// fit minimises the weighted cross entropy by AdaGrad (Duchi et al., JMLR 2011), and averages the weights of the second half.
func fit(examples []Example, o Options, run uint64) *Weights {
	k := o.Classes
	w := make([]float32, o.Features*k)
	g := make([]float32, o.Features*k)
	bias, gb := make([]float32, k), make([]float32, k)
	mean, meanBias, means := make([]float32, o.Features*k), make([]float32, k), 0
	p := make([]float32, k)
	order := make([]int, len(examples))
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(o.Seed, 1+run))
	var index []uint32
	var value []float32
	keep := float32(1 / (1 - o.Dropout))
	rate, l2 := float32(o.Rate), float32(o.L2)
	for epoch := range o.Epochs {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, n := range order {
			e := &examples[n]
			index, value = index[:0], value[:0]
			for i, f := range e.Index {
				if o.Dropout == 0 || rng.Float64() >= o.Dropout {
					index, value = append(index, f), append(value, e.Value[i]*keep)
				}
			}
			copy(p, bias)
			for i, f := range index {
				row, v := w[int(f)*k:int(f)*k+k], value[i]
				for c := range p {
					p[c] += float32(v * row[c]) // the conversion forbids fusing
				}
			}
			Softmax(p)
			p[e.Class]--
			for c := range p {
				p[c] *= e.Weight
				gb[c] += float32(p[c] * p[c])
				bias[c] -= float32(rate * 0.1 * p[c] / float32(math.Sqrt(float64(gb[c]+1e-6))))
			}
			for i, f := range index {
				v := value[i]
				row, grow := w[int(f)*k:int(f)*k+k], g[int(f)*k:int(f)*k+k]
				for c := range p {
					d := float32(p[c]*v) + float32(l2*row[c])
					grow[c] += float32(d * d)
					row[c] -= float32(rate * d / float32(math.Sqrt(float64(grow[c]+1e-8))))
				}
			}
		}
		if epoch >= o.Epochs/2 {
			means++
			for i, v := range w {
				mean[i] += v
			}
			for c, v := range bias {
				meanBias[c] += v
			}
		}
	}
	for i := range mean {
		mean[i] /= float32(means)
	}
	for c := range meanBias {
		meanBias[c] /= float32(means)
	}
	return &Weights{Classes: k, Bias: meanBias, W: mean}
}

// Quantise keeps one signed byte a weight; what rounds to nothing is dropped.
func (w *Weights) Quantise() *Model {
	k := w.Classes
	m := &Model{Classes: k, stride: strideFor(k), Bias: w.Bias, Scale: make([]float32, k)}
	m.weights = make([]int8, len(w.W)/k*m.stride)
	for c := range k {
		var top float32
		for i := c; i < len(w.W); i += k {
			top = max(top, float32(math.Abs(float64(w.W[i]))))
		}
		if top == 0 {
			top = 1
		}
		m.Scale[c] = top / 127
		for f := range len(w.W) / k {
			m.weights[f*m.stride+c] = int8(math.Round(float64(w.W[f*k+c] / m.Scale[c])))
		}
	}
	return m
}
