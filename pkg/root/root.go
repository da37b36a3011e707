package root

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	// Horizon is how far apart, in event time, a cause and its consequence may begin: what is further apart need not be asked about.
	Horizon = 2 * time.Hour
	// soon and late are how long after its cause a consequence usually begins; company fails within late, too.
	soon = 20 * time.Minute
	late = 60 * time.Minute
	// ahead is how long a consequence may be heard of before its cause.
	ahead = 10 * time.Minute
	// least is the probability from which on an incident is called the cause of another.
	least = 0.6
	// fewest is the number of people below which a co-mention says nothing.
	fewest = 3
)

// Log-odds. Chosen so that either the graph, or a sixth of all people naming the cause, is enough with a fitting onset.
const (
	prior      = -2.5
	direct     = 2.6
	indirect   = 1.5
	perShare   = 20.0 // for each part of 1 of the people
	mostShare  = 4.0
	onsetAfter = 1.0
	onsetLate  = 0.3
	company    = 0.5 // each
	mostOthers = 3
)

// Graph tells on which services a service runs: the providers of the catalog.
type Graph map[string][]string

// steps returns how many steps of the graph lead from a service to a provider: 1, 2, or 0 where more or none do.
func (g Graph) steps(service, provider string) int {
	if slices.Contains(g[service], provider) {
		return 1
	}
	for _, between := range g[service] {
		if slices.Contains(g[between], provider) {
			return 2
		}
	}
	return 0
}

// providers are the services on which others run.
func (g Graph) providers() map[string]bool {
	all := map[string]bool{}
	for _, of := range g {
		for _, p := range of {
			all[p] = true
		}
	}
	return all
}

// link is the case for one incident being the cause of another.
type link struct {
	cause, consequence *outcryv1.Incident
	steps              int
	naming             float64 // people who name both, as a part of those of the consequence
	others             int     // further services that run on the cause and fail with it
	probability        float64
}

// Attribute returns one attribution for each incident: with a root, with consequences, or with neither. Dismissed incidents and campaigns
// (coordinated) are neither cause nor consequence. The incidents are not changed.
func Attribute(incidents []*outcryv1.Incident, g Graph) []*outcryv1.Attribution {
	fit := slices.DeleteFunc(slices.Clone(incidents), func(i *outcryv1.Incident) bool {
		return i.GetState() == outcryv1.Incident_STATE_DISMISSED || i.GetCoordinated()
	})
	slices.SortFunc(fit, func(a, b *outcryv1.Incident) int {
		return cmp.Or(cmp.Compare(a.GetStartedAtUs(), b.GetStartedAtUs()), cmp.Compare(a.GetId(), b.GetId()))
	})
	links := choose(weigh(fit, g))
	consequences := map[string][]link{}
	for _, l := range links {
		consequences[l.cause.GetId()] = append(consequences[l.cause.GetId()], l)
	}
	out := make([]*outcryv1.Attribution, 0, len(incidents))
	for _, i := range incidents {
		a := &outcryv1.Attribution{Incident: i.GetId()}
		if l, ok := links[i.GetId()]; ok {
			a.Root, a.Confidence, a.Reasons = l.cause.GetId(), l.confidence(), l.reasons()
		}
		carried := consequences[i.GetId()]
		slices.SortFunc(carried, func(a, b link) int {
			return cmp.Or(cmp.Compare(a.consequence.GetStartedAtUs(), b.consequence.GetStartedAtUs()), cmp.Compare(a.consequence.GetId(), b.consequence.GetId()))
		})
		for _, l := range carried {
			if s := l.consequence.GetService(); !slices.Contains(a.Consequences, s) {
				a.Consequences = append(a.Consequences, s)
				a.Reasons = append(a.Reasons, l.reasons()...)
			}
			a.Confidence = max(a.Confidence, l.confidence())
		}
		out = append(out, a)
	}
	return out
}

// weigh returns the links between incidents, in order of their start, that are likely enough.
func weigh(fit []*outcryv1.Incident, g Graph) (links []link) {
	near := func(n int) []*outcryv1.Incident { // those that begin within the horizon of the n-th
		from, to := n, n
		for from > 0 && between(fit[from-1], fit[n]) <= Horizon {
			from--
		}
		for to+1 < len(fit) && between(fit[n], fit[to+1]) <= Horizon {
			to++
		}
		return fit[from : to+1]
	}
	providers := g.providers()
	for n, consequence := range fit {
		for _, cause := range near(n) {
			if cause.GetService() == consequence.GetService() || between(cause, consequence) < -ahead || !overlap(cause, consequence) {
				continue
			}
			l := link{cause: cause, consequence: consequence, steps: g.steps(consequence.GetService(), cause.GetService()),
				naming: naming(consequence, cause)}
			back := naming(cause, consequence)
			if providers[cause.GetService()] { // people report it and say what it took with it
				l.naming = max(l.naming, min(1, back*float64(cause.GetPeople())/float64(max(1, consequence.GetPeople()))))
			}
			if l.steps == 0 && (l.naming <= back || g.steps(cause.GetService(), consequence.GetService()) > 0) {
				continue // the other way round, if at all
			}
			seen := map[string]bool{consequence.GetService(): true}
			for _, other := range near(n) {
				if s := other.GetService(); !seen[s] && g.steps(s, cause.GetService()) > 0 && between(cause, other) >= -ahead && between(cause, other) <= late {
					seen[s] = true
					l.others++
				}
			}
			if l.probability = l.judge(); l.probability >= least {
				links = append(links, l)
			}
		}
	}
	return links
}

// between is the time from the start of an incident to the start of another.
func between(a, b *outcryv1.Incident) time.Duration {
	return time.Duration(b.GetStartedAtUs()-a.GetStartedAtUs()) * time.Microsecond
}

// overlap reports whether the consequence began before the cause was over.
func overlap(cause, consequence *outcryv1.Incident) bool {
	return cause.GetResolvedAtUs() == 0 || consequence.GetStartedAtUs() <= cause.GetResolvedAtUs()
}

// naming is the part of an incident's people who name the service of another.
func naming(of, other *outcryv1.Incident) float64 {
	for _, n := range of.GetNamed() {
		if n.GetName() == other.GetService() && n.GetPeople() >= fewest && of.GetPeople() > 0 {
			return min(1, float64(n.GetPeople())/float64(of.GetPeople()))
		}
	}
	return 0
}

func (l *link) judge() float64 {
	odds := prior + min(mostShare, perShare*l.naming)
	switch l.steps {
	case 1:
		odds += direct
	case 2:
		odds += indirect
	}
	if l.steps == 0 && l.naming == 0 {
		return 0
	}
	switch d := between(l.cause, l.consequence); {
	case d >= 0 && d <= soon:
		odds += onsetAfter
	case d >= 0 && d <= late:
		odds += onsetLate
	}
	odds += company * float64(min(l.others, mostOthers))
	return 1 / (1 + math.Exp(-odds))
}

// choose keeps the likeliest cause of each incident, and of a chain of causes the first.
func choose(links []link) map[string]link {
	best := map[string]link{}
	for _, l := range links {
		if before, ok := best[l.consequence.GetId()]; !ok || l.better(before) {
			best[l.consequence.GetId()] = l
		}
	}
	// Where causes go round in a circle, the weakest link breaks.
	ids := make([]string, 0, len(best))
	for id := range best {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		var ring []link
		for at, ok := best[id]; ok && len(ring) <= len(best); at, ok = best[at.cause.GetId()] {
			ring = append(ring, at)
			if at.cause.GetId() == id {
				weakest := slices.MinFunc(ring, func(a, b link) int {
					return cmp.Or(cmp.Compare(a.probability, b.probability), cmp.Compare(a.consequence.GetId(), b.consequence.GetId()))
				})
				delete(best, weakest.consequence.GetId())
				break
			}
		}
	}
	first := make(map[string]link, len(best))
	for id, l := range best {
		for up, ok := best[l.cause.GetId()]; ok; up, ok = best[up.cause.GetId()] {
			l.cause, l.probability = up.cause, min(l.probability, up.probability)
		}
		first[id] = l
	}
	return first
}

func (l *link) better(than link) bool {
	return cmp.Or(cmp.Compare(l.probability, than.probability), cmp.Compare(than.cause.GetStartedAtUs(), l.cause.GetStartedAtUs()),
		cmp.Compare(than.cause.GetId(), l.cause.GetId())) > 0
}

// confidence is the probability on a grid of 0.05; nothing is certain.
func (l *link) confidence() float64 { return min(0.95, math.Round(l.probability*20)/20) }

// reasons says in one sentence why.
func (l *link) reasons() []string {
	cause, consequence := l.cause.GetService(), l.consequence.GetService()
	var parts []string
	switch l.steps {
	case 1:
		parts = append(parts, "depends on "+cause)
	case 2:
		parts = append(parts, "depends on a service that depends on "+cause)
	}
	if percent := math.Round(20*l.naming) * 5; percent > 0 {
		parts = append(parts, fmt.Sprintf("for every 100 people who report it, about %.0f name it together with %s", percent, cause))
	}
	switch d := between(l.cause, l.consequence); {
	case d >= time.Minute:
		parts = append(parts, fmt.Sprintf("began %.0f min after it", d.Minutes()))
	case d > -time.Minute:
		parts = append(parts, "began with it")
	default:
		parts = append(parts, fmt.Sprintf("began %.0f min before it was heard of", -d.Minutes()))
	}
	if l.others > 0 {
		parts = append(parts, fmt.Sprintf("%d more that depend on it failed within the hour", l.others))
	}
	return []string{consequence + " " + strings.Join(parts, "; ") + "."}
}
