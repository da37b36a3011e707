package incident

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	maxEvidence   = 5  // posts that an incident shows
	maxCandidates = 48 // posts that it chooses from
)

// candidates is a bounded choice of posts that speak for an incident, kept diverse in symptom and time.
type candidates []candidate

type candidate struct {
	x       *outcryv1.Mention
	quality float64
	slot    int64 // ten minutes of event time
}

// add offers a mention that counts; one without a text is never shown but stands for its author, so that it does not matter whether the
// text was withdrawn before or after. When there are too many, one of the symptom and time that has most of them goes: the least sure.
func (c *candidates) add(x *outcryv1.Mention) {
	for _, other := range *c {
		if author(other.x) == author(x) || x.TextFingerprint != 0 && other.x.TextFingerprint == x.TextFingerprint {
			return
		}
	}
	*c = append(*c, candidate{x, quality(x), x.TimeUs / 600e6})
	if len(*c) <= maxCandidates {
		return
	}
	type group struct {
		symptom outcryv1.Symptom
		slot    int64
	}
	sizes := map[group]int{}
	for _, o := range *c {
		sizes[group{o.x.Symptom, o.slot}]++
	}
	worst := slices.MinFunc(*c, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(sizes[group{b.x.Symptom, b.slot}], sizes[group{a.x.Symptom, a.slot}]),
			cmp.Compare(a.x.Score, b.x.Score),
			cmp.Compare(b.x.Id, a.x.Id))
	})
	*c = slices.DeleteFunc(*c, func(o candidate) bool { return o.x == worst.x })
}

// quality says how well a post speaks for itself: sure of its label, first-hand, long enough to say something, understood alone.
func quality(x *outcryv1.Mention) float64 {
	q := float64(x.Score)
	if strings.Contains(x.Text, "://") {
		q -= 0.2 // often news about it
	}
	words := 0
	for word := range strings.FieldsSeq(x.Text) {
		if word[0] != '@' && word[0] != '#' {
			words++
		}
	}
	if x.ReplyTo != "" && words < 6 {
		q -= 0.3
	}
	if n := utf8.RuneCountInString(x.Text); words >= 6 && n <= 300 {
		q += 0.1
	}
	return q
}

// choose picks up to maxEvidence posts, the best first, each further one preferably of another symptom and time.
func (c candidates) choose() []*outcryv1.Evidence {
	rest := slices.DeleteFunc(slices.Clone(c), func(o candidate) bool { return o.x.Text == "" })
	var chosen []candidate
	value := func(o candidate) float64 {
		v := o.quality
		for _, other := range chosen {
			if other.x.Symptom == o.x.Symptom {
				v -= 0.15
			}
			if other.slot == o.slot {
				v -= 0.1
			}
			if other.x.Source == o.x.Source {
				v -= 0.05
			}
		}
		return v
	}
	for len(chosen) < maxEvidence && len(rest) > 0 {
		best := slices.MaxFunc(rest, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(value(a), value(b)), cmp.Compare(b.x.Id, a.x.Id))
		})
		chosen = append(chosen, best)
		rest = slices.DeleteFunc(rest, func(o candidate) bool { return o.x == best.x })
	}
	var list []*outcryv1.Evidence
	for _, o := range chosen {
		list = append(list, &outcryv1.Evidence{
			Source: o.x.Source, PostId: o.x.PostId, Text: o.x.Text, Url: o.x.Url, TimeUs: o.x.TimeUs,
			Label: o.x.Label, Symptom: o.x.Symptom, Score: o.x.Score, MentionId: o.x.Id,
		})
	}
	return list
}

// withdraw removes the text of a post that its author or network took back.
func (c candidates) withdraw(r *outcryv1.Retraction) {
	for i, o := range c {
		if Withdraws(r, o.x) {
			c[i].x = withoutText(o.x)
		}
	}
}

func withoutText(x *outcryv1.Mention) *outcryv1.Mention {
	x = proto.CloneOf(x)
	x.Text, x.Url = "", ""
	return x
}
