package names

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"outcry.dev/pkg/catalog"
)

var update = flag.Bool("update", false, "write weights.go from testdata/context-dev.txt")

// example is one weak name in one post of testdata/context-dev.txt.
type example struct {
	evidence evidence
	means    bool
	weight   float64
	service  string
	text     string
}

// examples reads the posts three times: as they are judged, without the phrases of the services, and without any context of the
// services' own. The phrases explain nearly all posts for which they were written; without this the regression would not learn what
// to do about the others.
func examples(t *testing.T) (full, all []example) {
	whole := catalog.Default()
	words, bare := withContext(whole, func(s string) bool { return !strings.ContainsAny(s, " ~") }), withContext(whole, func(string) bool { return false })
	posts := readJudged(t, "testdata/context-dev.txt")
	for _, variant := range []struct {
		catalog *catalog.Catalog
		weight  float64
	}{{whole, 1}, {words, dropout}, {bare, dropout}} {
		m := New(variant.catalog)
		for _, p := range posts {
			all = append(all, m.examples(variant.catalog, p, variant.weight)...)
		}
		if full == nil {
			full = all
		}
	}
	return full, all
}

func withContext(c *catalog.Catalog, keep func(string) bool) *catalog.Catalog {
	services := make([]catalog.Service, len(c.Services))
	for i, s := range c.Services {
		var context []string
		for _, text := range s.Context {
			if keep(text) {
				context = append(context, text)
			}
		}
		s.Context, s.Not = context, nil
		services[i] = s
	}
	return catalog.New(services)
}

func (m *Matcher) examples(c *catalog.Catalog, p judged, weight float64) []example {
	var out []example
	s := search{m: m, text: p.text}
	s.run()
	var a surroundings
	for i, f := range s.out {
		if c.Services[f.Service].ID != p.service {
			continue
		}
		if f.InContext { // a strong name decides alone
			return nil
		}
		a.read(&m.reader, &m.contexts.lexicon, p.text, int(f.Start), int(f.End))
		out = append(out, example{m.contexts.gather(&m.reader, &a, p.text, s.out, i), p.means, weight, p.service, p.text})
	}
	return out
}

// newtonSteps are enough for the weights to stand still to six digits.
const newtonSteps = 12

// folds are the parts that the names are dealt into for cross-validation.
const folds = 8

// dropout is the weight of an example that lacks a part of its evidence.
const dropout = 0.25

// ridge is the strength of the quadratic penalty on weights.
const ridge = 0.2

// fit is logistic regression by Newton's method.
func fit(examples []example) [hints]float64 {
	var w [hints]float64
	for range newtonSteps {
		var gradient [hints]float64
		var hessian [hints][hints]float64
		for h := range hints {
			gradient[h] = -ridge * w[h]
			hessian[h][h] = ridge
		}
		for i := range examples {
			e := &examples[i]
			z := 0.0
			for h, x := range e.evidence {
				z += x * w[h]
			}
			p := 1 / (1 + math.Exp(-z))
			miss := -p
			if e.means {
				miss = 1 - p
			}
			for h, x := range e.evidence {
				if x == 0 {
					continue
				}
				gradient[h] += e.weight * miss * x
				for k, y := range e.evidence {
					if y != 0 {
						hessian[h][k] += e.weight * p * (1 - p) * x * y
					}
				}
			}
		}
		step := solve(hessian, gradient)
		for h := range hints {
			w[h] += step[h]
		}
	}
	return w
}

// solve solves the symmetric positive definite a x = b by elimination.
func solve(a [hints][hints]float64, b [hints]float64) [hints]float64 {
	for i := range hints {
		for j := i + 1; j < hints; j++ {
			f := a[j][i] / a[i][i]
			for k := i; k < hints; k++ {
				a[j][k] -= f * a[i][k]
			}
			b[j] -= f * b[i]
		}
	}
	for i := hints - 1; i >= 0; i-- {
		for k := i + 1; k < hints; k++ {
			b[i] -= a[i][k] * b[k]
		}
		b[i] /= a[i][i]
	}
	return b
}

func right(w [hints]float64, examples []example) (n int) {
	for i := range examples {
		z := 0.0
		for h, x := range examples[i].evidence {
			z += x * w[h]
		}
		if (z > 0) == examples[i].means {
			n++
		}
	}
	return n
}

// TestWeights tells when weights.go has fallen behind what it is made of; with -update it makes it anew.
func TestWeights(t *testing.T) {
	full, all := examples(t)
	w := fit(all)

	// How well does it judge names that it has never seen, with and without phrases of their own?
	var held, of [2]int
	for fold := range folds {
		var rest []example
		var unseen [2][]example
		for _, e := range all {
			switch {
			case hashString(e.service)>>32%folds != uint64(fold):
				rest = append(rest, e)
			case e.weight == 1:
				unseen[0] = append(unseen[0], e)
			default:
				unseen[1] = append(unseen[1], e)
			}
		}
		w := fit(rest)
		for i := range unseen {
			held[i] += right(w, unseen[i])
			of[i] += len(unseen[i])
		}
	}
	t.Logf("%d of %d right; of names held out %d of %d, without phrases of their own %d of %d",
		right(w, full), len(full), held[0], of[0], held[1], of[1])
	if os.Getenv("SHOW") != "" {
		for i := range full {
			if right(w, full[i:i+1]) == 0 {
				t.Log(full[i].service, full[i].means, full[i].text)
			}
		}
	}

	if *update {
		var b strings.Builder
		b.WriteString("// Code generated by \"go test -run TestWeights -update\"; DO NOT EDIT.\n\npackage names\n\n")
		b.WriteString("// weights are the log odds that each hint adds, fitted to testdata/context-dev.txt.\nvar weights = [hints]float64{\n")
		for h, x := range w {
			fmt.Fprintf(&b, "\t%.3f, // %d\n", x, h)
		}
		b.WriteString("}\n")
		if err := os.WriteFile("weights.go", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	// Small changes of the catalog shift the fit a little; that need not be followed.
	if have, best := right(weights, full), right(w, full); have < best-len(full)/100 {
		t.Errorf("weights.go judges %d of %d right, a new fit %d: run go test -run TestWeights -update", have, len(full), best)
	}
}
