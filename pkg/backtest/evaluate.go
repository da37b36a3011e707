package backtest

import (
	"cmp"
	"slices"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	before = 10 * time.Minute // an incident may end, or a person may speak, so long before an outage's first minute
	after  = 30 * time.Minute // the echo of an outage

	month = 73056 * time.Hour / 100
)

// Truth is an outage that is known to have happened.
type Truth struct {
	Service  string    `json:"service"`
	Kind     string    `json:"kind,omitempty"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Official time.Time `json:"official,omitzero"` // the operator's first word
}

// Verdict is what a person said of an incident of a service.
type Verdict struct {
	Service   string    `json:"service"`
	Start     time.Time `json:"start"` // of the incident
	End       time.Time `json:"end"`   // of the incident; zero where it is open
	At        time.Time `json:"at"`    // when the person spoke
	Dismissed bool      `json:"dismissed"`
	Who       string    `json:"who,omitempty"`
	Note      string    `json:"note,omitempty"`
}

// History is a stretch of listening, with the incidents that came out and what is known of it.
type History struct {
	Name      string
	From, To  time.Time
	Posts     int64
	Services  int // that anybody spoke of
	Truths    []Truth
	Complete  bool // no outage happened that is not among Truths
	Incidents []*outcryv1.Incident
	Verdicts  []Verdict
}

// Outcome is what an incident turned out to be.
type Outcome string

// Outcomes.
const (
	Hit        Outcome = "hit"
	Repeat     Outcome = "repeat"
	FalseAlarm Outcome = "false alarm"
	Unproven   Outcome = "unproven"
)

// Judged is an incident with its outcome.
type Judged struct {
	History   string    `json:"history"`
	ID        string    `json:"id"`
	Service   string    `json:"service"`
	Outcome   Outcome   `json:"outcome"`
	Why       string    `json:"why"`
	Started   time.Time `json:"started_at"`
	Detected  time.Time `json:"detected_at"`
	Resolved  time.Time `json:"resolved_at,omitzero"`
	Official  time.Time `json:"official_at,omitzero"`
	AfterSec  *float64  `json:"after_start_seconds,omitempty"`   // detection minus the outage's start
	LeadSec   *float64  `json:"lead_official_seconds,omitempty"` // official word minus detection
	People    int64     `json:"people"`
	Root      string    `json:"root,omitempty"`
	Truth     *Truth    `json:"truth,omitempty"`
	Explained string    `json:"explanation"`
	end       time.Time // resolution, or the end of the history
}

// Missed is a known outage without an incident.
type Missed struct {
	History string `json:"history"`
	Truth
}

// Measures sums outcomes up.
type Measures struct {
	Service     string   `json:"service,omitempty"` // empty for all
	Days        float64  `json:"days"`              // of listening
	Truths      int      `json:"truths"`
	Found       int      `json:"found"`
	Incidents   int      `json:"incidents"`
	Hits        int      `json:"hits"`
	Repeats     int      `json:"repeats"`
	FalseAlarms int      `json:"false_alarms"` // unproven ones among them
	Unproven    int      `json:"unproven"`
	Precision   Interval `json:"precision"` // hits in hits and false alarms
	Recall      Interval `json:"recall"`    // found in truths
	// FalsePerMonth is per month of listening, for the service, or for all together.
	FalsePerMonth Interval `json:"false_alarms_per_month"`
	AfterStart    Spread   `json:"after_start_seconds"`
	LeadOfficial  Spread   `json:"lead_official_seconds"`
}

// Effect is what one person's verdict would have changed.
type Effect struct {
	Verdict
	History  string  `json:"history"`
	Incident string  `json:"incident,omitempty"` // under these settings; empty where there is none
	Outcome  Outcome `json:"outcome,omitempty"`
	Becomes  Outcome `json:"becomes,omitempty"`
	// OpenMinutes is for how long the incident stayed open after the person had dismissed it.
	OpenMinutes float64 `json:"open_minutes,omitempty"`
}

// Result is the evaluation of one set of settings.
type Result struct {
	Settings  string     `json:"settings"`
	Posts     int64      `json:"posts"`
	Services  int        `json:"services"` // spoken of, at most in one history
	Histories []string   `json:"histories"`
	Overall   Measures   `json:"overall"`
	PerMonth  Interval   `json:"false_alarms_per_service_month"` // for a service that is spoken of
	ByService []Measures `json:"by_service"`
	Incidents []Judged   `json:"incidents"`
	Missed    []Missed   `json:"missed"`
	Effects   []Effect   `json:"feedback"`
	// WithFeedback is Overall where people's verdicts are taken for the truth; nil without verdicts.
	WithFeedback *Measures `json:"overall_with_feedback,omitempty"`
}

// Evaluate holds the histories' incidents against their truths.
func Evaluate(settings string, histories []History) Result {
	r := Result{Settings: settings, Incidents: []Judged{}, Missed: []Missed{}, Effects: []Effect{}}
	all, corrected := &tally{}, &tally{}
	services := map[string]*tally{}
	serviceDays := 0.0
	verdicts := 0
	for _, h := range histories {
		r.Posts += h.Posts
		r.Services = max(r.Services, h.Services)
		r.Histories = append(r.Histories, h.Name)
		days := h.To.Sub(h.From).Hours() / 24
		all.days, corrected.days = all.days+days, corrected.days+days
		serviceDays += days * float64(max(h.Services, 1))
		judged, found := h.judge()
		of := func(service string) *tally {
			if services[service] == nil {
				services[service] = &tally{}
			}
			return services[service]
		}
		named := map[string]bool{}
		for _, j := range judged {
			all.incident(j.Outcome, j)
			of(j.Service).incident(j.Outcome, j)
			named[j.Service] = true
		}
		for k, t := range h.Truths {
			all.truth(found[k])
			corrected.truth(found[k])
			of(t.Service).truth(found[k])
			named[t.Service] = true
			if !found[k] {
				r.Missed = append(r.Missed, Missed{h.Name, t})
			}
		}
		for service := range named {
			services[service].days += days
		}
		becomes := map[string]Outcome{}
		for _, v := range h.Verdicts {
			e := v.effect(h, judged)
			r.Effects = append(r.Effects, e)
			if e.Incident != "" {
				becomes[e.Incident] = e.Becomes
			}
		}
		verdicts += len(h.Verdicts)
		for _, j := range judged {
			corrected.incident(cmp.Or(becomes[j.ID], j.Outcome), j)
		}
		r.Incidents = append(r.Incidents, judged...)
	}
	r.Overall = all.measures("")
	r.PerMonth = Poisson(r.Overall.FalseAlarms, serviceDays*24*float64(time.Hour)/float64(month))
	for service, t := range services {
		r.ByService = append(r.ByService, t.measures(service))
	}
	slices.SortFunc(r.ByService, func(a, b Measures) int { return cmp.Compare(a.Service, b.Service) })
	if verdicts > 0 {
		m := corrected.measures("")
		r.WithFeedback = &m
	}
	return r
}

// judge gives every incident its outcome, and tells which truths were found.
func (h *History) judge() (judged []Judged, found []bool) {
	found = make([]bool, len(h.Truths))
	incidents := slices.Clone(h.Incidents)
	slices.SortStableFunc(incidents, func(a, b *outcryv1.Incident) int { return cmp.Compare(a.GetDetectedAtUs(), b.GetDetectedAtUs()) })
	for _, i := range incidents {
		j := Judged{History: h.Name, ID: i.GetId(), Service: i.GetService(), Started: moment(i.GetStartedAtUs()), Detected: moment(i.GetDetectedAtUs()),
			Resolved: moment(i.GetResolvedAtUs()), Official: moment(i.GetOfficialAtUs()), People: i.GetPeople(), Root: i.GetRoot(), Explained: i.GetExplanation(),
			end: h.To}
		if !j.Resolved.IsZero() {
			j.end = j.Resolved
		}
		if k := h.match(&j); k >= 0 {
			t := h.Truths[k]
			j.Truth = &t
			j.Outcome, j.Why = Hit, "overlaps a known outage"
			if found[k] {
				j.Outcome, j.Why = Repeat, "the outage had an incident already"
			}
			found[k] = true
			j.AfterSec = seconds(j.Detected.Sub(t.Start))
			if !t.Official.IsZero() {
				j.LeadSec = seconds(t.Official.Sub(j.Detected))
			}
		} else {
			h.unmatched(&j)
		}
		judged = append(judged, j)
	}
	return judged, found
}

// match returns the outage of the incident's service that it overlaps, the nearest in start; -1 for none.
func (h *History) match(j *Judged) int {
	best := -1
	for k, t := range h.Truths {
		if t.Service != j.Service || !j.Started.Before(t.End.Add(after)) || j.end.Before(t.Start.Add(-before)) {
			continue
		}
		if best < 0 || t.Start.Sub(j.Started).Abs() < h.Truths[best].Start.Sub(j.Started).Abs() {
			best = k
		}
	}
	return best
}

func (h *History) unmatched(j *Judged) {
	if !j.Official.IsZero() {
		j.LeadSec = seconds(j.Official.Sub(j.Detected))
	}
	switch {
	case h.Complete:
		j.Outcome, j.Why = FalseAlarm, "nothing is known to have failed"
	case !j.Official.IsZero():
		j.Outcome, j.Why = Hit, "the vendor spoke of it"
	default:
		j.Outcome, j.Why = Unproven, "nobody but the posts speaks of it"
	}
}

// effect tells what a verdict would have changed under these settings.
func (v Verdict) effect(h History, judged []Judged) Effect {
	e := Effect{Verdict: v, History: h.Name}
	end := v.End
	if end.IsZero() {
		end = h.To
	}
	for _, j := range judged {
		if j.Service != v.Service || j.Started.After(end) || j.end.Before(v.Start) {
			continue
		}
		e.Incident, e.Outcome, e.Becomes = j.ID, j.Outcome, j.Outcome
		switch {
		case v.Dismissed:
			e.Becomes = FalseAlarm
			if !v.At.IsZero() && v.At.Before(j.end) {
				e.OpenMinutes = j.end.Sub(v.At).Minutes()
			}
		case j.Outcome != Repeat:
			e.Becomes = Hit
		}
		return e
	}
	return e
}

// tally counts outcomes.
type tally struct {
	m           Measures
	days        float64
	starts, off []float64
}

func (t *tally) truth(found bool) {
	t.m.Truths++
	if found {
		t.m.Found++
	}
}

func (t *tally) incident(o Outcome, j Judged) {
	t.m.Incidents++
	switch o {
	case Hit:
		t.m.Hits++
		if j.AfterSec != nil {
			t.starts = append(t.starts, *j.AfterSec)
		}
		if j.LeadSec != nil {
			t.off = append(t.off, *j.LeadSec)
		}
	case Repeat:
		t.m.Repeats++
	case Unproven:
		t.m.Unproven++
		t.m.FalseAlarms++
	case FalseAlarm:
		t.m.FalseAlarms++
	}
}

func (t *tally) measures(service string) Measures {
	m := t.m
	m.Service, m.Days = service, t.days
	m.Precision = Wilson(m.Hits, m.Hits+m.FalseAlarms)
	m.Recall = Wilson(m.Found, m.Truths)
	m.FalsePerMonth = Poisson(m.FalseAlarms, t.days*24*float64(time.Hour)/float64(month))
	m.AfterStart, m.LeadOfficial = spread(t.starts), spread(t.off)
	return m
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}
