package incident

import (
	"math"
	"slices"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	minuteMicros = int64(60e6)
	// lookBack is how far before its detection an incident may have begun.
	lookBack = 60 * minuteMicros
	// beforeStart is how long before the start an official word still belongs to an incident.
	beforeStart = 30 * minuteMicros
	// afterEnd is how long after its resolution an official word still belongs to an incident.
	afterEnd     = 30 * minuteMicros
	maxRecent    = 4096 // mentions kept; a service talked about more than that an hour is looked back on for less than an hour
	maxOfficials = 16
)

// recent holds the mentions that count of the last hour, in order of time, and the last official ones, which keep the time at which they were said,
// also where they were read later.
type recent struct {
	outages   []*outcryv1.Mention // people's, without reposts and copies
	recovered []*outcryv1.Mention
	officials []*outcryv1.Mention
	over      []*outcryv1.Mention // the operator says that it is over
	lostUntil int64               // outages up to this time no longer fit

	copies          []copyPost // reposts and copied texts
	copiesLostUntil int64
}

// addCopy keeps a repost or a copied text.
func (r *recent) addCopy(x *outcryv1.Mention) {
	r.copies = append(r.copies, copyOf(x))
	if n := len(r.copies); n > maxRecent {
		r.copiesLostUntil = r.copies[n-maxRecent-1].at
		if n >= 2*maxRecent {
			r.copies = slices.Delete(r.copies, 0, n-maxRecent)
		}
	}
}

func (r *recent) add(x *outcryv1.Mention) {
	r.outages = append(r.outages, x)
	if n := len(r.outages); n > maxRecent {
		r.lostUntil = r.outages[n-maxRecent-1].TimeUs
		if n >= 2*maxRecent {
			r.outages = slices.Delete(r.outages, 0, n-maxRecent)
		}
	}
}

// prune forgets what is older than any look back needs.
func (r *recent) prune(at int64) {
	drop := func(list []*outcryv1.Mention, age int64) []*outcryv1.Mention {
		n := 0
		for n < len(list) && list[n].TimeUs < at-age {
			n++
		}
		return slices.Delete(list, 0, n)
	}
	r.outages = drop(r.outages, lookBack)
	r.recovered = drop(r.recovered, lookBack)
	n := 0
	for n < len(r.copies) && r.copies[n].at < at-lookBack {
		n++
	}
	r.copies = slices.Delete(r.copies, 0, n)
	r.officials = drop(r.officials, lookBack+beforeStart)
	r.over = drop(r.over, lookBack+beforeStart)
}

// keep appends an official mention, and forgets the first of too many.
func keep(list []*outcryv1.Mention, x *outcryv1.Mention) []*outcryv1.Mention {
	list = append(list, x)
	return slices.Delete(list, 0, max(0, len(list)-maxOfficials))
}

// saidOver reports whether the operator's last word, of those since a time, is that it is over.
func (r *recent) saidOver(since int64) bool {
	problem, over := since-1, since-1
	for _, x := range r.officials {
		if x.OfficialAuthor {
			problem = max(problem, x.TimeUs)
		}
	}
	for _, x := range r.over {
		over = max(over, x.TimeUs)
	}
	return over > problem
}

// since returns the outage mentions from a time on.
func (r *recent) since(t int64) []*outcryv1.Mention {
	i, _ := slices.BinarySearchFunc(r.outages, t, func(x *outcryv1.Mention, t int64) int {
		if x.TimeUs < t {
			return -1
		}
		return 1
	})
	return r.outages[i:]
}

// start returns the beginning of the first unusual minute before a time, given the people a minute that are usual and that are heard
// now, and not before another time: the minute after which Page's cumulative sum of x − k did not fall to zero again, with the reference value k that is best between
// two Poisson rates (Lucas 1985).
func (r *recent) start(at, notBefore int64, usual, now float64) int64 {
	usual = max(usual, 0.01)
	now = max(now, 2*usual)
	k := (now - usual) / math.Log(now/usual)

	last := floorMinute(at - 1)
	first := floorMinute(at - lookBack)
	for _, bound := range []int64{r.lostUntil, notBefore} {
		if bound > 0 {
			first = max(first, floorMinute(bound)+minuteMicros)
		}
	}
	first = min(first, last)
	counts := make([]float64, (last-first)/minuteMicros+1)
	known := map[[2]uint64]bool{}
	for _, x := range r.since(first) {
		if i := (x.TimeUs - first) / minuteMicros; i < int64(len(counts)) && !known[[2]uint64{uint64(i), author(x)}] {
			known[[2]uint64{uint64(i), author(x)}] = true
			counts[i]++
		}
	}
	sum, start := 0.0, first
	for i, n := range counts {
		if sum = max(0, sum+n-k); sum == 0 {
			start = first + int64(i+1)*minuteMicros
		}
	}
	return min(start, last)
}

// naming counts the people who reported an outage from a time on, and those among them who named the other service that most of them name.
func (r *recent) naming(since int64) (people, another int) {
	all, by := map[uint64]bool{}, map[string]map[uint64]bool{}
	for _, x := range r.since(since) {
		all[author(x)] = true
		for _, service := range x.Also {
			if by[service] == nil {
				by[service] = map[uint64]bool{}
			}
			by[service][author(x)] = true
			another = max(another, len(by[service]))
		}
	}
	return len(all), another
}

func floorMinute(t int64) int64 { return t - t%minuteMicros }

// distinct counts the people who wrote from a time on.
func distinct(list []*outcryv1.Mention, since int64) int {
	known := map[uint64]bool{}
	for _, x := range list {
		if x.TimeUs >= since {
			known[author(x)] = true
		}
	}
	return len(known)
}
