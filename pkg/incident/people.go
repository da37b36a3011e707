package incident

import (
	"cmp"
	"math/bits"
	"slices"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// people counts distinct people and what they said. Beyond a limit it keeps only those whose hash begins with ever more zeros and
// scales up (adaptive sampling, Flajolet 1990): the standard error of a count is then about 1.2/√limit.
type people struct {
	limit  int
	zeros  int // leading zeros that a hash must have to be kept
	said   map[uint64]person
	names  map[string]uint16
	listed []string
}

// person is what one author said; names are indices into people.listed.
type person struct {
	symptoms            uint32 // bit set of Symptom
	source, lang, place uint16
	also                [2]uint16 // other services named
}

// maxNames bounds the distinct names of sources, languages, places and services together; more are counted as "".
const maxNames = 4096

func newPeople(limit int) *people {
	return &people{limit: limit, said: map[uint64]person{}, names: map[string]uint16{"": 0}, listed: []string{""}}
}

func (p *people) add(x *outcryv1.Mention) {
	key := mix(author(x))
	if bits.LeadingZeros64(key) < p.zeros {
		return
	}
	who, known := p.said[key]
	if !known {
		who = person{source: p.name(x.Source), lang: p.name(x.Lang)}
	}
	if who.place == 0 {
		who.place = p.name(placeOf(x))
	}
	for _, service := range x.Also {
		who.name(p.name(service))
	}
	if x.Symptom > 0 && x.Symptom < 32 {
		who.symptoms |= 1 << x.Symptom
	}
	p.said[key] = who
	for len(p.said) > p.limit {
		p.zeros++
		for k := range p.said {
			if bits.LeadingZeros64(k) < p.zeros {
				delete(p.said, k)
			}
		}
	}
}

// placeOf is the place that a post names, the narrowest first, else the one that its network states.
func placeOf(x *outcryv1.Mention) string {
	if len(x.Places) > 0 {
		return x.Places[0]
	}
	return x.Place
}

// name keeps the first services that a person names.
func (p *person) name(service uint16) {
	for i, known := range p.also {
		if known == service {
			return
		}
		if known == 0 {
			p.also[i] = service
			return
		}
	}
}

func (p *people) count() int64 { return int64(len(p.said)) << p.zeros }

func (p *people) name(s string) uint16 {
	i, known := p.names[s]
	if !known && len(p.listed) < maxNames {
		i = uint16(len(p.listed))
		p.names[s] = i
		p.listed = append(p.listed, s)
	}
	return i
}

// symptoms returns the people by symptom, most first.
func (p *people) symptoms() []*outcryv1.SymptomCount {
	var counts [32]int64
	for _, who := range p.said {
		for set := who.symptoms; set != 0; set &= set - 1 {
			counts[bits.TrailingZeros32(set)]++
		}
	}
	var list []*outcryv1.SymptomCount
	for symptom, n := range counts {
		if n > 0 {
			list = append(list, &outcryv1.SymptomCount{Symptom: outcryv1.Symptom(symptom), People: n << p.zeros})
		}
	}
	slices.SortStableFunc(list, func(a, b *outcryv1.SymptomCount) int { return cmp.Compare(b.People, a.People) })
	return list
}

// named returns the people by a name that each has, most first, at most maxListed.
func (p *people) named(of func(person) uint16) []*outcryv1.NameCount {
	counts := make([]int64, len(p.listed))
	for _, who := range p.said {
		counts[of(who)]++
	}
	return p.list(counts)
}

// services returns the people by other services that they name, most first, at most maxListed.
func (p *people) services() []*outcryv1.NameCount {
	counts := make([]int64, len(p.listed))
	for _, who := range p.said {
		for _, service := range who.also {
			counts[service]++
		}
	}
	return p.list(counts)
}

func (p *people) list(counts []int64) []*outcryv1.NameCount {
	var list []*outcryv1.NameCount
	for i, n := range counts {
		if n > 0 && i > 0 {
			list = append(list, &outcryv1.NameCount{Name: p.listed[i], People: n << p.zeros})
		}
	}
	slices.SortFunc(list, func(a, b *outcryv1.NameCount) int {
		return cmp.Or(cmp.Compare(b.People, a.People), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), maxListed)]
}

// maxListed bounds how many places, languages and sources an incident names.
const maxListed = 20

// author tells people apart; where the network does not say who wrote, every post is somebody else's.
func author(x *outcryv1.Mention) uint64 {
	if x.Author != 0 {
		return x.Author
	}
	return x.Id
}

// mix spreads a hash over all bits (the finalizer of SplitMix64, Steele et al. 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
