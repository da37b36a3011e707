package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"sort"

	"outcry.dev/pkg/classify/internal/linear"
)

// report measures by cross-validation on other people's posts, and on the project's own test posts.
func report(w io.Writer, c *corpus, m *maker, all []example, o options, faults string) error {
	held := crossValidate(all, o.folds, o, func(p *post) bool { return p.origin == originDev || p.origin == originRead })
	crossScale(held, o.folds)
	scale := fitScaling(only(held, originDev))
	var given, read tally
	bySource := map[string]*tally{}
	for i := range held {
		h := &held[i]
		if !h.chosen {
			continue
		}
		if h.post.origin == originDev {
			given.add(h)
			continue
		}
		read.add(h)
		if bySource[h.post.Source] == nil {
			bySource[h.post.Source] = &tally{}
		}
		bySource[h.post.Source].add(h)
	}
	fmt.Fprintf(w, "factor %.3f, shifts %.2f\n", scale.factor, scale.shift)
	given.write(w, "held-out posts, service given")
	fmt.Fprintf(w, "  standard error of the outage F1 %.3f\n", standardError(only(held, originDev)))
	given.writeLabels(w)
	endToEnd(held, originDev, false).write(w, "held-out posts, from the text alone")
	endToEnd(held, originDev, true).write(w, "… those that name a service")
	read.write(w, "posts read for training, left out")
	read.writeLabels(w)
	for _, s := range sortedKeys(bySource) {
		bySource[s].write(w, "… "+s)
	}
	reportSymptoms(w, all, o)
	if len(c.tests) > 0 {
		own(w, c, m, all, o, scale)
	}
	if faults != "" {
		return writeFaults(held, faults)
	}
	return nil
}

func only(held []outcome, from origin) []outcome {
	var list []outcome
	for _, h := range held {
		if h.post.origin == from && h.chosen {
			list = append(list, h)
		}
	}
	return list
}

func sortedKeys(m map[string]*tally) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// endToEnd judges posts as the command does: a post counts as an outage where any service it names does; one that names none says
// nothing.
func endToEnd(held []outcome, from origin, namedOnly bool) *detection {
	type verdict struct{ truth, said, named bool }
	posts := map[*post]*verdict{}
	var order []*post
	for i := range held {
		h := &held[i]
		if h.post.origin != from {
			continue
		}
		v := posts[h.post]
		if v == nil {
			v = &verdict{truth: h.post.Label == "outage"}
			posts[h.post] = v
			order = append(order, h.post)
		}
		if h.service >= 0 {
			v.named = true
			v.said = v.said || h.best() == 0
		}
	}
	d := &detection{}
	for _, p := range order {
		v := posts[p]
		if namedOnly && !v.named {
			continue
		}
		d.n++
		d.score.add(v.truth, v.said)
	}
	return d
}

type detection struct {
	n int
	score
}

func (d *detection) write(w io.Writer, title string) {
	fmt.Fprintf(w, "%-38s n=%-5d outage F1 %.3f (precision %.3f, recall %.3f)\n", title, d.n, d.f1(), d.precision(), d.recall())
}

// own measures a model of everything on the posts written for tests, by file.
func own(w io.Writer, c *corpus, m *maker, all []example, o options, scale scaling) {
	mod := linear.Fit(plain(all), o.label).Quantise()
	tests := m.all(c.tests)
	byFile := map[string]*tally{}
	out := make([]outcome, len(tests))
	for i := range tests {
		e := &tests[i]
		out[i] = outcome{example: e, logits: make([]float32, labelCount)}
		mod.Logits(e.Index, e.Value, out[i].logits)
	}
	applyScaling(out, scale)
	total := &tally{}
	for i := range out {
		name := out[i].post.Source
		if byFile[name] == nil {
			byFile[name] = &tally{}
		}
		byFile[name].add(&out[i])
		total.add(&out[i])
	}
	total.write(w, "own test posts")
	total.writeLabels(w)
	for _, s := range sortedKeys(byFile) {
		byFile[s].write(w, "… "+s)
	}
}

func writeFaults(held []outcome, name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	for i := range held {
		h := &held[i]
		if h.chosen && h.best() != h.Class {
			fmt.Fprintf(f, "%d %s>%s %.2f %s %d| %s\n", h.post.origin, labelName(h.Class), labelName(h.best()), h.p[h.best()], h.post.Service, h.service, h.post.Text)
		}
	}
	return f.Close()
}

// reportSymptoms cross-validates the symptoms over the posts whose label has one, by who labelled them.
func reportSymptoms(w io.Writer, all []example, o options) {
	type tally struct{ n, right, general, said float64 }
	sums := map[origin]*tally{originDev: {}, originRead: {}}
	general := symptomCount - 1
	for fold := range o.folds {
		var train []example
		var held []*example
		for i := range all {
			e := &all[i]
			switch {
			case e.symptom < 0:
			case foldOf(e.post, o.folds) != fold:
				train = append(train, *e)
			case sums[e.post.origin] != nil:
				held = append(held, e)
			}
		}
		m := fitSymptoms(train, o)
		logits := make([]float32, symptomCount)
		for _, e := range held {
			m.Logits(e.cues.Index, e.cues.Value, logits)
			best := 0
			for c, v := range logits {
				if v > logits[best] {
					best = c
				}
			}
			t := sums[e.post.origin]
			t.n++
			if best == e.symptom {
				t.right++
			}
			if e.symptom == general {
				t.general++
			}
			if best == general {
				t.said++
			}
		}
	}
	for _, row := range []struct {
		title string
		from  origin
	}{{"symptoms, held-out posts", originDev}, {"symptoms, posts read for training", originRead}} {
		t := sums[row.from]
		n := math.Max(t.n, 1)
		fmt.Fprintf(w, "%-38s n=%-5.0f accuracy %.3f, general: %.3f said, %.3f true\n", row.title, t.n, t.right/n, t.said/n, t.general/n)
	}
}

// standardError is that of the outage F1, over samples of the outcomes with replacement (Efron's bootstrap).
func standardError(out []outcome) float64 {
	const samples = 1000
	rng := rand.New(rand.NewPCG(20101222, 2))
	var sum, squares float64
	for range samples {
		var s score
		for range out {
			o := &out[rng.IntN(len(out))]
			s.add(o.Class == 0, o.best() == 0)
		}
		sum += s.f1()
		squares += s.f1() * s.f1()
	}
	mean := sum / samples
	return math.Sqrt(math.Max(0, squares/samples-mean*mean))
}
