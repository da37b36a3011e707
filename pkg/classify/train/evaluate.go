package main

import (
	"fmt"
	"io"
	"math"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/classify/internal/decide"
	"outcry.dev/pkg/classify/internal/linear"
)

const (
	labelCount   = decide.Labels
	symptomCount = int(outcryv1.Symptom_SYMPTOM_GENERAL)
)

// outcome is what a model said of an example that it had not seen.
type outcome struct {
	*example
	logits []float32
	p      []float32
}

func (o *outcome) best() int { return decide.Choose(o.p, o.operator) }

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
	return sum / float64(labelCount)
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
		m := w.Quantise()
		for _, e := range held {
			logits := make([]float32, labelCount)
			m.Logits(e.Index, e.Value, logits)
			out = append(out, outcome{example: e, logits: logits})
		}
	}
	return out
}

// scaling makes logits into probabilities: a common factor, and a shift for each label, because the posts that are learnt from are
// not sampled as the posts that are judged are (vector scaling; Guo et al., ICML 2017).
type scaling struct {
	factor float64
	shift  [labelCount]float64
}

// fitScaling minimises the cross entropy of outcomes whose model has not seen them.
func fitScaling(out []outcome) scaling {
	s := scaling{factor: 1}
	const steps, rate, pull = 400, 0.5, 0.002 // pull keeps the shifts of rare labels small
	p := make([]float64, labelCount)
	for range steps {
		var df float64
		var ds [labelCount]float64
		for i := range out {
			s.apply(out[i].logits, p)
			p[out[i].Class]--
			for c, e := range p {
				ds[c] += e
				df += e * float64(out[i].logits[c])
			}
		}
		n := math.Max(float64(len(out)), 1)
		s.factor -= rate * df / n * 0.2
		for c := range ds {
			s.shift[c] -= rate * (ds[c]/n + pull*s.shift[c])
		}
	}
	return s
}

// apply writes the probabilities to p.
func (s *scaling) apply(logits []float32, p []float64) {
	var top, sum float64 = math.Inf(-1), 0
	for c, l := range logits {
		p[c] = s.factor*float64(l) + s.shift[c]
		top = math.Max(top, p[c])
	}
	for c := range p {
		p[c] = math.Exp(p[c] - top)
		sum += p[c]
	}
	for c := range p {
		p[c] /= sum
	}
}

// applyScaling fills in the probabilities.
func applyScaling(out []outcome, s scaling) {
	p := make([]float64, labelCount)
	for i := range out {
		s.apply(out[i].logits, p)
		out[i].p = make([]float32, labelCount)
		for c, v := range p {
			out[i].p[c] = float32(v)
		}
	}
}

// crossScale fits a scaling to all parts but one and applies it to that one, for each part: what is reported is then nowhere fitted to
// the posts it is reported of. Only posts sampled as the held-out ones are fitted to.
func crossScale(out []outcome, folds int) {
	for fold := range folds {
		var others, mine []outcome
		var at []int
		for i := range out {
			switch {
			case foldOf(out[i].post, folds) == fold:
				mine, at = append(mine, out[i]), append(at, i)
			case out[i].post.origin == originDev && out[i].chosen:
				others = append(others, out[i])
			}
		}
		applyScaling(mine, fitScaling(others))
		for k, i := range at {
			out[i].p = mine[k].p
		}
	}
}
