package main

import (
	"cmp"
	"strings"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/classify/internal/feature"
	"outcry.dev/pkg/classify/internal/linear"
	"outcry.dev/pkg/classify/internal/target"
)

// example is a post seen from one service.
type example struct {
	linear.Example
	symptom  int            // class, or -1
	cues     feature.Vector // from which the symptom is told, where there is one
	post     *post
	service  int  // or -1 where the post names none
	operator bool // an account of the operator wrote the post
	chosen   bool // the service is the one that the label is about
}

// weights of examples by where their labels come from: posts sampled as the held-out ones are count most.
var originWeight = map[origin]float32{originDev: 1.5, originRead: 0.5, originOwn: 1.2}

const (
	besideWeight = 0.4 // of a service that is named beside the one a label is about
	secondShare  = 0.3 // of an example's weight, for a second label whose share is not given
)

// maker turns posts into examples.
type maker struct {
	finder *target.Finder
	doc    feature.Document
	spans  []feature.Span
	memory target.Scratch
}

// examples gives one example for each service that the post names and whose label is known. Where the post names none, its label
// is learnt from the text alone.
func (m *maker) examples(p *post) []example {
	m.spans = m.finder.Find(p.Text, &m.memory, m.spans[:0])
	author := feature.Author{Repost: strings.HasPrefix(p.Text, "RT @")}
	m.doc.Read(p.Text, m.spans, author)
	services := m.doc.Services()
	var all []example
	add := func(ordinal, service int, label, symptom string, weight float32, chosen bool) {
		l := outcryv1.ParseLabel(label)
		if l == outcryv1.Label_LABEL_UNSPECIFIED {
			return
		}
		t := feature.Target{Ordinal: ordinal}
		if service >= 0 {
			t.Category = m.finder.Category(service)
			t.Official = p.Official
		}
		v := m.doc.Features(t)
		e := example{post: p, service: service, chosen: chosen, operator: p.Official || m.doc.ByOperator(), symptom: int(outcryv1.ParseSymptom(symptom)) - 1}
		e.Index = append([]uint32(nil), v.Index...)
		e.Value = append([]float32(nil), v.Value...)
		if e.symptom >= 0 {
			v = m.doc.Cues(t)
			e.cues.Index = append([]uint32(nil), v.Index...)
			e.cues.Value = append([]float32(nil), v.Value...)
		}
		e.Class = int(l) - 1
		e.Weight = weight * originWeight[p.origin]
		if second := outcryv1.ParseLabel(p.Second); chosen && label == p.Label && second != outcryv1.Label_LABEL_UNSPECIFIED {
			share := cmp.Or(p.Share, secondShare)
			doubt := e
			doubt.Class, doubt.Weight, doubt.symptom, doubt.chosen = int(second)-1, e.Weight*share, -1, false
			e.Weight *= 1 - share
			all = append(all, doubt)
		}
		all = append(all, e)
	}
	if len(services) == 0 {
		add(-1, -1, p.Label, p.Symptom, 1, true)
		return all
	}
	if p.Mentions != nil {
		for o, s := range services {
			label := p.Mentions[m.finder.ID(s)]
			symptom := ""
			if label == p.Label {
				symptom = p.Symptom
			}
			add(o, s, label, symptom, 1, true)
		}
		return all
	}
	chosen := m.choose(p, services)
	for o, s := range services {
		switch {
		case p.Label == "other":
			add(o, s, "other", "", 1/float32(len(services)), o == 0)
		case o == chosen:
			add(o, s, p.Label, p.Symptom, 1, true)
		case !m.related(s, services[chosen]):
			add(o, s, "other", "", besideWeight, false)
		}
	}
	return all
}

// all makes examples of all posts, in order.
func (m *maker) all(sets ...[]post) []example {
	var all []example
	for _, set := range sets {
		for i := range set {
			all = append(all, m.examples(&set[i])...)
		}
	}
	return all
}

// choose gives the ordinal of the service that a label is about: the one the reader named, else the first.
func (m *maker) choose(p *post, services []int) int {
	if s, ok := m.finder.Lookup(p.Service); ok {
		for o, named := range services {
			if named == s {
				return o
			}
		}
	}
	return 0
}

// related reports whether a complaint about one service may be one about the other, so that nothing is learnt of it.
func (m *maker) related(a, b int) bool {
	return m.finder.Category(a) == m.finder.Category(b)
}
