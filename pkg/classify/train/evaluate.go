package main

import (
	"fmt"
	"io"
	"math"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/classify/internal/linear"
)

const (
	labelCount   = 6
	symptomCount = 15
)

// outcome is what a model said of an example that it had not seen.
type outcome struct {
	*example
	logits []float32
	p      []float32
}

func (o *outcome) best() int {
	best := 0
	for c, v := range o.p {
		if v > o.p[best] {
			best = c
		}
	}
	return best
}

// score counts one class against the rest.
type score struct{ hit, said, true float64 }

func (s score) precision() float64 { return s.hit / math.Max(s.said, 1) }
func (s score) recall() float64    { return s.hit / math.Max(s.true, 1) }
func (s score) f1() float64        { return 2 * s.hit / math.Max(s.said+s.true, 1) }

func (s *score) add(truth, said bool) {
	if truth {
		s.true++
	}
	if said {
		s.said++
	}
	if truth && said {
		s.hit++
	}
}

// tally is what there is to say about a set of outcomes.
type tally struct {
	n       int
	correct int
	byLabel [labelCount]score
	ece     calibration
}

func (t *tally) add(o *outcome) {
	t.n++
	best := o.best()
	if best == o.Class {
		t.correct++
	}
	for c := range t.byLabel {
		t.byLabel[c].add(o.Class == c, best == c)
	}
	t.ece.add(float64(o.p[best]), best == o.Class)
}

func (t *tally) macroF1() float64 {
	var sum float64
	for _, s := range t.byLabel {
		sum += s.f1()
	}
	return sum / labelCount
}

// calibration measures the expected calibration error over ten bins of equal width (Naeini et al., AAAI 2015).
type calibration struct {
	n, sum, hit [10]float64
}

func (c *calibration) add(p float64, hit bool) {
	b := min(int(p*10), 9)
	c.n[b]++
	c.sum[b] += p
	if hit {
		c.hit[b]++
	}
}

func (c *calibration) error() float64 {
	var total, e float64
	for b := range c.n {
		total += c.n[b]
		e += math.Abs(c.sum[b] - c.hit[b])
	}
	return e / math.Max(total, 1)
}

func labelName(c int) string { return outcryv1.Label(c + 1).Name() }

func (t *tally) write(w io.Writer, title string) {
	o := t.byLabel[0]
	fmt.Fprintf(w, "%-38s n=%-5d outage F1 %.3f (precision %.3f, recall %.3f), macro F1 %.3f, accuracy %.3f, calibration error %.3f\n",
		title, t.n, o.f1(), o.precision(), o.recall(), t.macroF1(), float64(t.correct)/math.Max(float64(t.n), 1), t.ece.error())
}

func (t *tally) writeLabels(w io.Writer) {
	for c, s := range t.byLabel {
		fmt.Fprintf(w, "  %-10s precision %.3f  recall %.3f  F1 %.3f  (%d of %d said)\n", labelName(c), s.precision(), s.recall(), s.f1(), int(s.true), int(s.said))
	}
}

// foldOf assigns copied texts to the same part.
func foldOf(p *post, folds int) int { return int((p.group * 0x9e3779b97f4a7c15 >> 33) % uint64(folds)) }

// crossValidate gives outcomes for the examples whose origin is asked for; the model of each part has not seen it or copies of it.
func crossValidate(all []example, folds int, o options, judge func(*post) bool) []outcome {
	var out []outcome
	for fold := range folds {
		var train []linear.Example
		var held []*example
		for i := range all {
			e := &all[i]
			if foldOf(e.post, folds) != fold {
				train = append(train, e.Example)
			} else if judge(e.post) {
				held = append(held, e)
			}
		}
		w := linear.Fit(train, o.label)
		m := w.Quantise(1)
		for _, e := range held {
			logits := make([]float32, labelCount)
			m.Logits(e.Index, e.Value, logits)
			out = append(out, outcome{example: e, logits: logits})
		}
	}
	return out
}

// temperature finds the factor on logits that makes the probabilities most likely.
func temperature(out []outcome) float32 {
	loss := func(f float64) float64 {
		var sum float64
		for _, o := range out {
			var z float64
			for _, l := range o.logits {
				z += math.Exp(f * float64(l-o.logits[o.Class]))
			}
			sum += math.Log(z)
		}
		return sum
	}
	lo, hi := 0.2, 5.0
	for range 60 { // golden section
		a, b := hi-(hi-lo)*0.618, lo+(hi-lo)*0.618
		if loss(a) < loss(b) {
			hi = b
		} else {
			lo = a
		}
	}
	return float32((lo + hi) / 2)
}

func applyTemperature(out []outcome, factor float32) {
	for i := range out {
		p := make([]float32, len(out[i].logits))
		for c, l := range out[i].logits {
			p[c] = l * factor
		}
		linear.Softmax(p)
		out[i].p = p
	}
}
