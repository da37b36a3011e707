package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
)

// Scenario declares a stream of posts. All offsets inside it count from Start.
type Scenario struct {
	Name        string
	Description string
	Start       time.Time     // UTC
	Duration    time.Duration // what is written after Start
	Warmup      time.Duration // ordinary time written before Start, from which a baseline can be learned; no event falls into it
	Volume      float64       // multiplies every rate; 1 is as declared. Twice the volume is twice the people.
	PostsPerDay float64       // ordinary posts a day at Volume 1
	Sources     []Source
	Outages     []Outage
	Talk        []Talk
	Bots        []Bots
}

// Source is a network that delivers posts.
type Source struct {
	Name   string
	Share  float64    // of all authors, relative to the other sources
	Silent []Interval // when it delivers nothing, though its people go on writing
}

// Interval is a span of time, given in offsets from the scenario's start; To is not part of it.
type Interval struct{ From, To time.Duration }

// Weighted is a name and its weight among its neighbours.
type Weighted struct {
	Name   string
	Weight float64
}

// Outage is a real failure of one service, and what people write about it.
type Outage struct {
	Service      string
	Kind         string        // the scenario's word for it: total, regional, …
	Root         string        // the service whose failure caused this one, "" if none did
	From, To     time.Duration // the outage itself
	Reports      Curve         // posts a minute about it
	Recovered    Curve         // posts a minute saying that it works again
	Symptoms     []Weighted
	Feature      string   // what fails when only a part does: "stories", "voice messages"
	Regions      []string // whose people are hit; empty: everywhere
	Places       []string // named in posts; empty: each author's own
	Alternatives []string // services to which people turn
	Rivals       []string // services whose users cannot reach the failed one
	Official     []Statement
}

// Statement is an official post about an outage.
type Statement struct {
	At    time.Duration
	Stage string // investigating, identified, monitoring or resolved: which kind of text when Text is empty
	Text  string
}

// Talk is a burst of posts about something other than an outage.
type Talk struct {
	Section string   // of the texts: "other.football", "complaint.price"
	About   []string // the services that the posts name
	Posts   Curve    // posts a minute
	Regions []string // empty: everywhere
}

// Bots are few accounts that post the same few texts again and again.
type Bots struct {
	Service  string
	Accounts int
	Texts    int
	Posts    Curve
}

// Truth is one real outage.
type Truth struct {
	Service  string    `json:"service"`
	Kind     string    `json:"kind"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Official time.Time `json:"official,omitzero"` // the operator's first word, zero if it never spoke
	Root     string    `json:"root,omitempty"`    // the service whose failure caused this one
	Symptoms []string  `json:"symptoms"`          // most frequent first
	Places   []string  `json:"places,omitempty"`  // where a regional outage was
}

// Scenarios lists every scenario, the main one first.
func Scenarios() []Scenario { return declared() }

// Lookup finds a scenario by name. The error of an unknown name tells the nearest known one.
func Lookup(name string) (Scenario, error) {
	all := declared()
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
	}
	nearest := slices.MinFunc(all, func(a, b Scenario) int {
		return levenshtein.ComputeDistance(a.Name, name) - levenshtein.ComputeDistance(b.Name, name)
	})
	return Scenario{}, fmt.Errorf("unknown scenario %q: did you mean %q?", name, nearest.Name)
}

// Validate reports every fault of the declaration: unknown services and regions, curves that run backwards, an outage outside the
// scenario.
func (s Scenario) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("scenario %q: "+format, append([]any{s.Name}, args...)...))
	}
	if s.Duration <= 0 {
		fault("the duration is %v; it must be positive", s.Duration)
	}
	if s.Warmup < 0 {
		fault("the warm-up is %v; it must not be negative", s.Warmup)
	}
	if s.Volume <= 0 || s.Volume > 1e6 {
		fault("the volume is %v; it must be above 0 and at most 1e6", s.Volume)
	}
	if s.PostsPerDay < 0 {
		fault("%v posts a day; there cannot be fewer than 0", s.PostsPerDay)
	}
	if len(s.Sources) == 0 {
		fault("no source is declared; one is needed")
	}
	world := theWorld()
	service := func(id, where string) {
		if _, ok := world.byID[id]; !ok {
			fault("%s names the unknown service %q", where, id)
		}
	}
	regions := func(names []string, where string) {
		for _, name := range names {
			if !slices.ContainsFunc(world.regions, func(r region) bool { return r.name == name }) {
				fault("%s names the unknown region %q", where, name)
			}
		}
	}
	curve := func(c Curve, where string) {
		if err := c.validate(s.Duration); err != nil {
			fault("%s: %w", where, err)
		}
	}
	for i, o := range s.Outages {
		where := fmt.Sprintf("outage %d (%s)", i+1, o.Service)
		service(o.Service, where)
		if o.Root != "" {
			service(o.Root, where)
		}
		for _, id := range slices.Concat(o.Alternatives, o.Rivals) {
			service(id, where)
		}
		regions(o.Regions, where)
		curve(o.Reports, where)
		curve(o.Recovered, where)
		if o.From < 0 || o.To <= o.From || o.To > s.Duration {
			fault("%s runs from %v to %v of %v", where, o.From, o.To, s.Duration)
		}
		if len(o.Symptoms) == 0 {
			fault("%s has no symptom", where)
		}
		for _, w := range o.Symptoms {
			if !slices.Contains(symptomNames, w.Name) {
				fault("%s has the unknown symptom %q; known are %s", where, w.Name, strings.Join(symptomNames, ", "))
			}
		}
		for _, st := range o.Official {
			if st.Text == "" && world.text("en", "official", st.Stage) == nil {
				fault("%s: no text for the official stage %q", where, st.Stage)
			}
		}
	}
	for _, t := range s.Talk {
		for _, id := range t.About {
			service(id, t.Section)
		}
		if len(t.About) == 0 {
			fault("%s names no service", t.Section)
		}
		label, section, _ := strings.Cut(t.Section, ".")
		if world.text("en", label, section) == nil {
			fault("there are no texts %q", t.Section)
		}
		regions(t.Regions, t.Section)
		curve(t.Posts, t.Section)
	}
	for _, b := range s.Bots {
		service(b.Service, "bots")
		curve(b.Posts, "bots")
		if b.Accounts < 1 || b.Texts < 1 {
			fault("bots need at least one account and one text, not %d and %d", b.Accounts, b.Texts)
		}
	}
	return errors.Join(faults...)
}

func (s Scenario) truths() []Truth {
	truths := make([]Truth, 0, len(s.Outages))
	for _, o := range s.Outages {
		t := Truth{Service: o.Service, Kind: o.Kind, Start: s.Start.Add(o.From), End: s.Start.Add(o.To), Root: o.Root, Places: o.Places}
		if len(o.Official) > 0 {
			t.Official = s.Start.Add(o.Official[0].At)
		}
		byWeight := slices.Clone(o.Symptoms)
		slices.SortStableFunc(byWeight, func(a, b Weighted) int {
			switch {
			case a.Weight > b.Weight:
				return -1
			case a.Weight < b.Weight:
				return 1
			}
			return 0
		})
		for _, w := range byWeight {
			t.Symptoms = append(t.Symptoms, w.Name)
		}
		truths = append(truths, t)
	}
	return truths
}

// cutSection parts "other.football" into label and name.
func cutSection(s string) (label, name string) {
	label, name, _ = strings.Cut(s, ".")
	return label, name
}
