package simulate

import (
	"math"
	"time"

	"outcry.dev/pkg/post"
)

// form is one way of writing about an outage that goes on.
type form struct {
	section string // of outage; "" takes a symptom's
	weight  func(p phase) float64
}

// phase is how far an outage has come.
type phase struct {
	minutes     float64 // since its start
	spoken      bool    // the operator has said something
	afterSpoken float64 // minutes since
	outage      *Outage
}

func always(w float64) func(phase) float64 { return func(phase) float64 { return w } }

// rising grows from a to b within the given minutes and stays there.
func rising(a, b, minutes float64) func(phase) float64 {
	return func(p phase) float64 { return a + (b-a)*math.Min(1, p.minutes/minutes) }
}

// given is a weight that counts only under a condition.
func given(condition func(phase) bool, w func(phase) float64) func(phase) float64 {
	return func(p phase) float64 {
		if condition(p) {
			return w(p)
		}
		return 0
	}
}

// forms are what people write while an outage lasts: reports and questions first, then answers, jokes, ways out and impatience.
var forms = []form{
	{"", always(46)},
	{"question", rising(20, 9, 60)},
	{"repost", rising(3, 15, 40)},
	{"answer", rising(2, 7, 20)},
	{"joke", rising(2, 10, 45)},
	{"still", rising(0, 14, 90)},
	{"news", rising(0, 5, 60)},
	{"unnamed", always(5)},
	{"switch", given(func(p phase) bool { return len(p.outage.Alternatives) > 0 }, rising(2, 9, 40))},
	{"silence", given(func(p phase) bool { return !p.spoken }, rising(0, 9, 45))},
	{"official", given(func(p phase) bool { return p.spoken }, func(p phase) float64 { return 30 * math.Exp(-p.afterSpoken/40) })},
	{"root", given(func(p phase) bool { return p.outage.Root != "" }, rising(6, 30, 30))},
	{"rival", given(func(p phase) bool { return len(p.outage.Rivals) > 0 }, always(30))},
	{"place", given(func(p phase) bool { return len(p.outage.Places) > 0 }, always(34))},
	{"feature", given(func(p phase) bool { return p.outage.Feature != "" }, always(70))},
}

func (g *generator) addOutage(o *Outage) {
	g.streams = append(g.streams,
		stream{o.Reports.at, func(t time.Time) error { return g.report(t, o) }},
		stream{o.Recovered.at, func(t time.Time) error { return g.recovered(t, o) }},
	)
}

// report writes one post about an outage that goes on.
func (g *generator) report(t time.Time, o *Outage) error {
	offset := t.Sub(g.scenario.Start)
	p := phase{minutes: (offset - o.From).Minutes(), outage: o}
	if len(o.Official) > 0 && offset > o.Official[0].At {
		p.spoken, p.afterSpoken = true, (offset - o.Official[0].At).Minutes()
	}
	var c cumulative
	for _, f := range forms {
		c.add(f.weight(p))
	}
	name := forms[c.pick(g.rng)].section
	a := g.person(o.Regions)
	memory := "outage/" + o.Service + "/" + g.language(a).code
	switch name {
	case "official":
		if done, err := g.repost(t, "official/"+o.Service, a); done {
			return err
		}
		name = "ack"
	case "repost":
		if done, err := g.repost(t, memory, a); done {
			return err
		}
		name = ""
	}
	if name == "" {
		name = pickWeighted(o.Symptoms, g.rng)
	}
	d := g.draftAbout(o, a)
	d.age = max(1, p.minutes)
	s, l := g.pickSection(g.language(a), "outage", name, d.subject.kind)
	d.lang = l
	var prefix, replyTo string
	if name == "answer" || name == "unnamed" && g.rng.Float64() < 0.5 {
		if to := g.recall(memory, g.rng); to != nil && to.source == a.source && to.handle != a.handle {
			prefix, replyTo = g.salutation(to), to.id
		}
	}
	said, err := g.publish(t, a, g.writer.write(d, s, prefix), l.code, func(p *post.Post) {
		p.ReplyTo = replyTo
		if g.rng.Float64() < 0.03 {
			p.Place = d.place
		}
	})
	if err == nil && said != nil && replyTo == "" {
		g.remember(memory, said)
	}
	return err
}

// draftAbout is what a text about an outage may name.
func (g *generator) draftAbout(o *Outage, a *author) draft {
	d := draft{lang: g.language(a), author: a, subject: g.world.byID[o.Service], feature: o.Feature, place: placeIn(o.Places, a, g.rng)}
	others := o.Alternatives
	if len(o.Rivals) > 0 {
		others = o.Rivals
	}
	if len(others) > 0 {
		d.alt = g.world.byID[others[g.rng.IntN(len(others))]]
	} else {
		d.alt = &g.world.services[g.services[g.regionIndex(a)].pick(g.rng)]
	}
	d.root = g.world.byID[o.Root]
	if d.root == nil {
		d.root = d.subject
	}
	if d.feature == "" {
		features := g.world.kinds[d.subject.kind].features
		d.feature = features[g.rng.IntN(len(features))]
	}
	return d
}

// recovered writes one post saying that it works again.
func (g *generator) recovered(t time.Time, o *Outage) error {
	a := g.person(o.Regions)
	memory := "recovered/" + o.Service + "/" + g.language(a).code
	if g.rng.Float64() < 0.08 {
		if done, err := g.repost(t, memory, a); done {
			return err
		}
	}
	name := "general"
	if g.rng.Float64() < 0.3 {
		name = pickWeighted(o.Symptoms, g.rng)
	}
	d := g.draftAbout(o, a)
	d.age = max(1, (t.Sub(g.scenario.Start) - o.From).Minutes())
	s, l := g.pickSection(d.lang, "recovered", name, d.subject.kind)
	d.lang = l
	said, err := g.publish(t, a, g.writer.write(d, s, ""), l.code, nil)
	if err == nil && said != nil {
		g.remember(memory, said)
	}
	return err
}

func (g *generator) addTalk(t *Talk) {
	g.streams = append(g.streams, stream{t.Posts.at, func(at time.Time) error { return g.talk(at, t) }})
}

// talk writes one post of a burst that is no outage.
func (g *generator) talk(t time.Time, burst *Talk) error {
	a := g.person(burst.Regions)
	memory := burst.Section + "/" + g.language(a).code
	if g.rng.Float64() < 0.14 {
		if done, err := g.repost(t, memory, a); done {
			return err
		}
	}
	pick := func() *service { return g.world.byID[burst.About[g.rng.IntN(len(burst.About))]] }
	d := draft{author: a, subject: pick(), alt: pick(), place: placeIn(nil, a, g.rng)}
	d.root = d.subject
	features := g.world.kinds[d.subject.kind].features
	d.feature = features[g.rng.IntN(len(features))]
	label, section := cutSection(burst.Section)
	s, l := g.pickSection(g.language(a), label, section, d.subject.kind)
	d.lang = l
	said, err := g.publish(t, a, g.writer.write(d, s, ""), l.code, nil)
	if err == nil && said != nil {
		g.remember(memory, said)
	}
	return err
}

// addBots writes the accounts' few texts beforehand; later they are only copied.
func (g *generator) addBots(b *Bots, index int) {
	accounts := make([]*author, b.Accounts)
	for i := range accounts {
		accounts[i] = g.author(0, 1<<32+uint64(index)<<16+uint64(i))
		accounts[i].source = g.rng.IntN(len(g.scenario.Sources))
	}
	texts := make([]line, b.Texts)
	d := draft{lang: g.world.langs["en"], author: accounts[0], subject: g.world.byID[b.Service], place: accounts[0].region.places[0]}
	d.alt, d.root = d.subject, d.subject
	for i := range texts {
		texts[i] = g.writer.write(d, g.world.text("en", "outage", "bots").any, "")
	}
	g.streams = append(g.streams, stream{b.Posts.at, func(t time.Time) error {
		_, err := g.publish(t, accounts[g.rng.IntN(len(accounts))], texts[g.rng.IntN(len(texts))], "en", nil)
		return err
	}})
}
