package simulate

import (
	"math"
	"time"

	"outcry.dev/pkg/post"
)

// background is what an ordinary day's posts are made of. Chatter names no service; the rest is about services.
var background = []struct {
	label, section string
	weight         float64
}{
	{"chatter", "life", 44},
	{"chatter", "era", 10},
	{"chatter", "senses", 9}, // other meanings of down, crash, broken, slow
	{"other", "usage", 18},
	{"other", "praise", 3},
	{"other", "plan", 2.2},
	{"other", "question", 2},
	{"other", "joke", 1.6},
	{"other", "news", 1.8},
	{"other", "past", 0.9}, // of earlier outages and imagined ones
	{"other", "promo", 2.2},
	{"other", "routine", 0.3},
	{"complaint", "price", 0.9},
	{"complaint", "support", 0.9},
	{"complaint", "design", 0.9},
	{"complaint", "general", 1},
	{"bug", "general", 1.9},
	{"outage", "", 1.9}, // by the symptoms of the service's kind
	{"recovered", "general", 0.12},
}

// ordinary writes one post of an ordinary day.
func (g *generator) ordinary(t time.Time) error {
	a := g.person(nil)
	l := g.language(a)
	if g.rng.Float64() < 0.07 {
		if done, err := g.repost(t, l.code, a); done {
			return err
		}
	}
	b := &background[g.mix.pick(g.rng)]
	d := draft{lang: l, author: a, place: a.region.places[g.rng.IntN(len(a.region.places))]}
	regionIndex := g.regionIndex(a)
	d.subject = &g.world.services[g.services[regionIndex].pick(g.rng)]
	d.alt = &g.world.services[g.services[regionIndex].pick(g.rng)]
	kind := g.world.kinds[d.subject.kind]
	d.feature = kind.features[g.rng.IntN(len(kind.features))]
	label, section := b.label, b.section
	switch {
	case label == "outage":
		if g.rng.Float64() > g.grumble(t, d.subject) {
			label, section = "other", "usage"
			break
		}
		section = "question"
		if g.rng.Float64() < 0.7 {
			section = pickWeighted(kind.symptoms, g.rng)
		}
	case section == "era":
		section = "now"
		if g.writer.year < 2015 {
			section = "then"
		}
	case section == "routine" && d.subject.handle == "":
		section = "news"
	}
	s, l := g.pickSection(l, label, section, d.subject.kind)
	d.lang = l
	if section == "routine" {
		d.author = &author{region: a.region, handle: d.subject.handle, source: a.source, voice: voice{casing: proper}}
		a = d.author
	}
	var prefix, replyTo string
	if s.label == "other" && section != "promo" && section != "news" && g.rng.Float64() < 0.2 || section == "routine" {
		if to := g.recall(l.code, g.rng); to != nil && to.source == a.source && to.handle != a.handle {
			prefix, replyTo = g.salutation(to), to.id
		}
	}
	said, err := g.publish(t, a, g.writer.write(d, s, prefix), l.code, func(p *post.Post) {
		p.ReplyTo = replyTo
		if section == "routine" {
			p.Author, p.AuthorVerified = a.handle, true
		}
		if g.rng.Float64() < 0.03 {
			p.Place = d.place
		}
	})
	if err == nil && said != nil && replyTo == "" && section != "routine" {
		g.remember(l.code, said)
	}
	return err
}

// grumble is the chance that an isolated complaint about the service is made at this time; its mean is 0.83. Real services
// have better and worse hours, so complaints are over-dispersed without being outages.
func (g *generator) grumble(t time.Time, s *service) float64 {
	hour := uint64(t.Unix() / 3600)
	noise := float64(mix(g.seed^s.key^hour)>>11) / (1 << 53)
	return 0.5 + 0.5*math.Sqrt(noise)
}

// language is mostly the region's; some write English everywhere.
func (g *generator) language(a *author) *lang {
	code := a.region.lang
	if code != "en" && a.key>>20%12 == 0 {
		code = "en"
	}
	if l := g.world.langs[code]; l != nil {
		return l
	}
	return g.world.langs["en"]
}

// pickSection finds the templates in the author's language. Where that language lacks them, the label's general section must do, and
// where it lacks this too, the author changes to English.
func (g *generator) pickSection(l *lang, label, name, kind string) (*section, *lang) {
	for _, l := range []*lang{l, g.world.langs["en"]} {
		for _, name := range []string{name, "general"} {
			if group := l.sections[label+"."+name]; group != nil {
				if s := group.pick(kind, g.rng); s != nil {
					return s, l
				}
			}
		}
	}
	panic("no texts for " + label + "." + name) // a test goes through all that are asked for
}

func (g *generator) regionIndex(a *author) int {
	for i := range g.world.regions {
		if &g.world.regions[i] == a.region {
			return i
		}
	}
	return 0
}
