package simulate

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"outcry.dev/pkg/post"
)

// Generate writes the scenario's posts to emit in order of event time, and returns the truth: one entry for each real outage. The
// same scenario and seed give the same posts. It stops at emit's first error and returns it.
func (s Scenario) Generate(seed uint64, emit func(Labelled) error) ([]Truth, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	g := newGenerator(s, seed, emit)
	for t := s.Start.Add(-s.Warmup); t.Before(s.Start.Add(s.Duration)); t = t.Add(time.Minute) {
		if err := g.minute(t); err != nil {
			return nil, err
		}
	}
	return s.truths(), nil
}

// generator is one run of a scenario.
type generator struct {
	scenario Scenario
	world    *world
	seed     uint64
	rng      *rand.Rand
	emit     func(Labelled) error
	writer   writer
	ids      ids

	people    []uint64     // of each region
	services  []cumulative // of each region: who is talked about there
	where     cumulative   // regions, as active as they are in this minute
	sources   cumulative
	mix       cumulative // of background
	streams   []stream
	dueSorted []due // the minute's posts; reused

	recent map[string]*memory // by language: what may be replied to and reposted
}

// stream writes posts of one subject at a rate.
type stream struct {
	rate  func(offset time.Duration) float64 // posts a minute
	write func(t time.Time) error
}

// due is a post to be written.
type due struct {
	at     time.Time
	stream int // index of streams
	write  func(t time.Time) error
}

// peoplePerPost relates the number of people to the ordinary posts a day: most people post less than once.
const peoplePerPost = 0.9

func newGenerator(s Scenario, seed uint64, emit func(Labelled) error) *generator {
	h := fnv.New64a()
	h.Write([]byte(s.Name))
	w := theWorld()
	g := &generator{
		scenario: s, world: w, seed: mix(seed ^ h.Sum64()), emit: emit,
		rng:    rand.New(rand.NewPCG(seed, h.Sum64())),
		recent: map[string]*memory{},
	}
	year := s.Start.Year()
	g.writer = writer{world: w, rng: g.rng, year: year, limit: 140}
	if year >= 2017 {
		g.writer.limit = 280
	}
	var total float64
	for i := range w.regions {
		total += w.regions[i].weightIn(year)
	}
	for i := range w.regions {
		r := &w.regions[i]
		share := r.weightIn(year) / total
		g.people = append(g.people, 100+uint64(s.PostsPerDay*s.Volume*peoplePerPost*share))
		var c cumulative
		for j := range w.services {
			c.add(w.services[j].weightIn(year, r.country))
		}
		g.services = append(g.services, c)
	}
	for _, source := range s.Sources {
		g.sources.add(source.Share)
	}
	for _, b := range background {
		g.mix.add(b.weight)
	}
	g.streams = append(g.streams, stream{func(time.Duration) float64 { return g.ordinaryRate() }, g.ordinary})
	for i := range s.Outages {
		g.addOutage(&s.Outages[i])
	}
	for i := range s.Talk {
		g.addTalk(&s.Talk[i])
	}
	for i := range s.Bots {
		g.addBots(&s.Bots[i], i)
	}
	return g
}

func (r *region) weightIn(year int) float64 {
	if year < 2015 {
		return r.weight
	}
	return r.weightNow
}

// weightIn is how much people of a country talk about the service in a year.
func (s *service) weightIn(year int, country string) float64 {
	if year < s.since || year > s.till || len(s.where) > 0 && !slices.Contains(s.where, country) {
		return 0
	}
	w := s.weight
	if year >= 2015 { // the table's weights of older services are those of 2010
		switch {
		case s.since < 2010 && (s.kind == "social" || s.kind == "device"):
			w *= 0.4
		case s.id == "skype":
			w *= 0.1
		case s.id == "instagram" || s.id == "whatsapp" || s.id == "spotify":
			w *= 4
		}
	}
	if len(s.where) > 0 {
		w *= 3 // among those who have it, it is talked about more
	}
	return w
}

// minute writes the posts of one minute.
func (g *generator) minute(t time.Time) error {
	offset := t.Sub(g.scenario.Start)
	g.where = g.where[:0]
	for i := range g.world.regions {
		r := &g.world.regions[i]
		g.where.add(r.weightIn(g.writer.year) * r.activity(t))
	}
	g.dueSorted = g.dueSorted[:0]
	for i := range g.streams {
		// Ordinary posts exist before the start; every other rate is zero there.
		for range g.poisson(g.streams[i].rate(offset) * g.scenario.Volume) {
			at := t.Add(time.Duration(g.rng.IntN(60_000)) * time.Millisecond)
			g.dueSorted = append(g.dueSorted, due{at, i, g.streams[i].write})
		}
	}
	for i := range g.scenario.Outages {
		o := &g.scenario.Outages[i]
		for j := range o.Official {
			if st := &o.Official[j]; st.At >= offset && st.At < offset+time.Minute {
				g.dueSorted = append(g.dueSorted, due{g.scenario.Start.Add(st.At), -1, func(t time.Time) error { return g.official(t, o, st) }})
			}
		}
	}
	slices.SortStableFunc(g.dueSorted, func(a, b due) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.stream, b.stream)) })
	for _, d := range g.dueSorted {
		if err := d.write(d.at); err != nil {
			return err
		}
	}
	return nil
}

// ordinaryRate follows the regions' days; its mean over a day is the declared one.
func (g *generator) ordinaryRate() float64 {
	var total float64
	for i := range g.world.regions {
		total += g.world.regions[i].weightIn(g.writer.year)
	}
	return g.scenario.PostsPerDay / (24 * 60) * g.where.total() / total
}

// poisson draws a count by multiplication of uniforms (Knuth, The Art of Computer Programming 2, 3.4.1), in parts so that exp(-mean)
// does not vanish.
func (g *generator) poisson(mean float64) int {
	n := 0
	for mean > 0 {
		part := min(mean, 20)
		mean -= part
		for p := g.rng.Float64(); p > math.Exp(-part); p *= g.rng.Float64() {
			n++
		}
	}
	return n
}

// person picks somebody who is awake, in one of the regions if any are given.
func (g *generator) person(regions []string) *author {
	i := g.where.pick(g.rng)
	if len(regions) > 0 {
		var awake cumulative
		for j, total := range g.where {
			weight := total
			if j > 0 {
				weight -= g.where[j-1]
			}
			if !slices.Contains(regions, g.world.regions[j].name) {
				weight = 0
			}
			awake.add(weight)
		}
		i = awake.pick(g.rng)
	}
	return g.author(i, rank(g.people[i], g.rng.Float64(), g.rng.Float64()))
}

func (g *generator) author(regionIndex int, number uint64) *author {
	r := &g.world.regions[regionIndex]
	key := mix(g.seed ^ uint64(regionIndex)<<40 ^ number)
	// Numbers are scattered over the names, so that the most active people do not have the first ones.
	scattered := number*7919%10_007 + number/10_007*10_007
	return &author{
		region: r, key: key, voice: voiceOf(key),
		handle: g.world.names.handle(regionIndex, r, scattered, key),
		source: g.sources.at(float64(mix(key)>>11) / (1 << 53)),
	}
}

// publish emits a text as a post of an author, unless the author's source is silent.
func (g *generator) publish(t time.Time, a *author, l line, langCode string, fill func(*post.Post)) (*remembered, error) {
	source := &g.scenario.Sources[a.source]
	offset := t.Sub(g.scenario.Start)
	for _, silent := range source.Silent {
		if offset >= silent.From && offset < silent.To {
			return nil, nil
		}
	}
	p := Labelled{
		Post:  post.Post{ID: g.ids.next(source.Name, t), Source: source.Name, Author: accountName(source.Name, a.handle), Text: l.text, CreatedAt: t, Lang: langCode},
		Truth: l.mentions,
	}
	if fill != nil {
		fill(&p.Post)
	}
	if err := g.emit(p); err != nil {
		return nil, err
	}
	return &remembered{id: p.ID, source: a.source, handle: a.handle, text: l.text, lang: langCode, mentions: l.mentions}, nil
}

// accountName is how a network writes an account.
func accountName(source, handle string) string {
	if source == "bluesky" {
		return handle + ".bsky.social"
	}
	return handle
}

// cumulative draws indices by weight.
type cumulative []float64

func (c *cumulative) add(weight float64) { *c = append(*c, c.total()+weight) }

func (c cumulative) total() float64 {
	if len(c) == 0 {
		return 0
	}
	return c[len(c)-1]
}

func (c cumulative) pick(rng *rand.Rand) int { return c.at(rng.Float64()) }

// at is the index that the share u of the total weight falls on.
func (c cumulative) at(u float64) int {
	target := u * c.total()
	i, _ := slices.BinarySearchFunc(c, target, func(v, target float64) int {
		if v <= target {
			return -1
		}
		return 1
	})
	return min(i, len(c)-1)
}

func pickWeighted(all []Weighted, rng *rand.Rand) string {
	var c cumulative
	for _, w := range all {
		c.add(w.Weight)
	}
	return all[c.pick(rng)].Name
}

func (g *generator) official(t time.Time, o *Outage, st *Statement) error {
	s := g.world.byID[o.Service]
	if s.handle == "" {
		return fmt.Errorf("scenario %q: service %s makes official posts but has no official account", g.scenario.Name, s.id)
	}
	operator := &author{region: &g.world.regions[0], handle: s.handle, source: g.officialSource(), voice: voice{casing: proper}}
	mention := []Mention{{s.id, "official", pickWeighted(o.Symptoms[:1], g.rng)}}
	l := line{st.Text, mention}
	if st.Text == "" {
		d := draft{lang: g.world.langs["en"], author: operator, subject: s, feature: o.Feature, place: placeIn(o.Places, operator, g.rng)}
		l.text = g.writer.write(d, g.world.text("en", "official", st.Stage).pick(s.kind, g.rng), "").text
	}
	if st.Stage == "resolved" {
		l.mentions[0].Symptom = "general"
	}
	said, err := g.publish(t, operator, l, "en", func(p *post.Post) {
		p.AuthorVerified = true
		p.Author = s.handle
	})
	if err == nil && said != nil {
		g.remember("official/"+s.id, said)
	}
	return err
}

// officialSource is where operators speak: Twitter, where it is among the sources.
func (g *generator) officialSource() int {
	i := slices.IndexFunc(g.scenario.Sources, func(s Source) bool { return s.Name == "twitter" })
	return max(i, 0)
}

func placeIn(places []string, a *author, rng *rand.Rand) string {
	if len(places) == 0 {
		places = a.region.places
	}
	return places[rng.IntN(len(places))]
}
