package main

import (
	"fmt"
	"os"

	"outcry.dev/pkg/classify/internal/linear"
)

// selectPosts writes what the model thinks of the posts nobody has labelled, for a reader to choose from.
func selectPosts(c *corpus, m *maker, all []example, o options, file string) error {
	mod := linear.Fit(plain(all), o.label).Quantise()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	seen := map[uint64]bool{}
	for i := range all {
		seen[all[i].post.group] = true
	}
	for i := range c.unlabelled {
		p := &c.unlabelled[i]
		if seen[p.group] {
			continue
		}
		seen[p.group] = true
		q := *p
		q.Label, q.Mentions = "other", nil
		best := make([]float32, labelCount)
		for _, e := range m.examples(&q) {
			l := make([]float32, labelCount)
			mod.Logits(e.Index, e.Value, l)
			linear.Softmax(l)
			if l[0] >= best[0] {
				best = l
			}
		}
		fmt.Fprintf(f, "%s %s", p.ID, p.Source)
		for _, v := range best {
			fmt.Fprintf(f, " %.3f", v)
		}
		fmt.Fprintln(f)
	}
	return f.Close()
}
