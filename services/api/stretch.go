package api

import (
	"context"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/chart"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	day = 24 * time.Hour
	// lead is what is shown before an incident, as something to compare it with.
	lead = 2 * time.Hour
	// chartPoints is how many steps a chart has at most where no step is asked for; a screen does not show more.
	chartPoints = 480
	// maxMarked is how many incidents of a chart have their moments written out, the last ones.
	maxMarked = 3
)

// stretch is one service between two times.
type stretch struct {
	Service   *catalog.Service
	From, To  time.Time
	Step      time.Duration
	Points    []store.Point
	Alarms    []span
	Windows   []store.SpikeWindow  // behind Alarms
	Incidents []*outcryv1.Incident // the last one first
	Official  []*outcryv1.Evidence
}

// timeRange is what a request asks for; what is zero is chosen.
type timeRange struct {
	from, to time.Time
	step     time.Duration
}

func (p *params) timeRange() timeRange {
	return timeRange{from: p.time("from"), to: p.time("to"), step: p.step()}
}

// choose fills in what was not asked for. Without any time it is the last day of the data, cut to two hours before the latest incident
// where there is one in it.
func (a *API) choose(ctx context.Context, service string, r timeRange) (timeRange, error) {
	switch {
	case !r.from.IsZero() && !r.to.IsZero():
	case !r.from.IsZero():
		r.to = r.from.Add(day)
	case !r.to.IsZero():
		r.from = r.to.Add(-day)
	default:
		end, err := a.endOf(ctx, service)
		if err != nil {
			return r, err
		}
		r.from, r.to = end.Add(-day), end
		latest, err := a.deps.Store.Incidents(ctx, store.IncidentFilter{Services: []string{service}, From: r.from, To: r.to, Limit: 1})
		if err != nil {
			return r, err
		}
		if len(latest) > 0 {
			if start := micros(latest[0].GetStartedAtUs()).Add(-lead); start.After(r.from) {
				r.from = start
			}
		}
	}
	if !r.to.After(r.from) {
		return r, badRequest("from must be before to.")
	}
	if r.step == 0 {
		r.step = stepFor(r.to.Sub(r.from), chartPoints)
	}
	if r.to.Sub(r.from) > maxPoints*r.step {
		finer := stepFor(r.to.Sub(r.from), maxPoints)
		if r.to.Sub(r.from) > maxPoints*finer {
			return r, badRequest("The range from %s to %s is too long: ask for %d days at most.", stamp(r.from), stamp(r.to), maxPoints)
		}
		return r, badRequest("The range from %s to %s has more than %d steps of %s. Ask for step=%s, or for less time.",
			stamp(r.from), stamp(r.to), maxPoints, shortDuration(r.step), shortDuration(finer))
	}
	r.from = r.from.Truncate(r.step)
	if to := r.to.Truncate(r.step); to.Before(r.to) {
		r.to = to.Add(r.step)
	}
	return r, nil
}

// endOf is where the data of a service end: where all data end, unless the service was last mentioned long before.
func (a *API) endOf(ctx context.Context, service string) (time.Time, error) {
	all, err := a.deps.Store.LatestTime(ctx, "")
	if err != nil {
		return time.Time{}, err
	}
	own, err := a.deps.Store.LatestTime(ctx, service)
	switch {
	case err != nil:
		return time.Time{}, err
	case all.IsZero() && own.IsZero():
		return time.Now().UTC().Truncate(time.Minute), nil // an empty day is as good as any
	case own.IsZero() || !all.IsZero() && all.Sub(own) < day:
		return all, nil
	default:
		return own, nil
	}
}

// stretch reads a service between two times.
func (a *API) stretch(ctx context.Context, service *catalog.Service, r timeRange) (*stretch, error) {
	r, err := a.choose(ctx, service.ID, r)
	if err != nil {
		return nil, err
	}
	s := &stretch{Service: service, From: r.from, To: r.to, Step: r.step}
	if err := a.count(ctx, s); err != nil {
		return nil, err
	}
	filter := store.IncidentFilter{Services: []string{service.ID}, From: r.from, To: r.to, Limit: maxIncidents}
	if s.Incidents, err = a.deps.Store.Incidents(ctx, filter); err != nil {
		return nil, err
	}
	s.Official, err = a.deps.Store.OfficialWords(ctx, service.ID, r.from, r.to, officialScore, maxOfficial)
	return s, err
}

// count reads the steps of a stretch, and when it was in alarm. Minutes are kept in memory, a day at a time.
func (a *API) count(ctx context.Context, s *stretch) error {
	var windows []store.SpikeWindow
	var err error
	if s.Step == time.Minute {
		s.Points, windows, err = a.days.minutes(ctx, s.Service.ID, s.From, s.To)
	} else if s.Points, err = a.deps.Store.Series(ctx, s.Service.ID, s.From, s.To, s.Step); err == nil {
		windows, err = a.deps.Store.Alarms(ctx, s.Service.ID, s.From, s.To)
	}
	s.Windows, s.Alarms = windows, alarmSpans(windows)
	return err
}

const (
	maxOfficial = 20
	// officialScore is how sure the classifier must be of an official word that comes from none of the operator's known accounts, as for
	// incidents.
	officialScore = 0.7
)

// source is said in every picture.
const source = "Source: public posts, heard by Outcry."

// chart is the picture of a stretch.
func (s *stretch) chart() chart.Chart {
	c := chart.Chart{Title: s.Service.Name, From: s.From, To: s.To, Step: s.Step, Source: source}
	for _, p := range s.Points {
		point := chart.Point{Start: p.Start, People: p.People, Silent: p.Ingested == 0 && p.Mentions == 0}
		if e := p.Expected; e != nil {
			point.Band = &chart.Band{Lower: e.Lower, Upper: e.Upper}
		}
		c.Points = append(c.Points, point)
	}
	for _, a := range s.Alarms {
		c.Alarms = append(c.Alarms, chart.Span(a))
	}
	mark := func(us int64, kind chart.MarkKind, label string) {
		if us != 0 {
			c.Marks = append(c.Marks, chart.Mark{Time: micros(us), Kind: kind, Label: label})
		}
	}
	official := false
	marked := 0
	for _, i := range s.Incidents {
		if i.GetState() == outcryv1.Incident_STATE_DISMISSED || marked == maxMarked {
			continue
		}
		marked++
		mark(i.GetStartedAtUs(), chart.Started, "")
		mark(i.GetDetectedAtUs(), chart.Detected, "")
		mark(i.GetOfficialAtUs(), chart.Official, "")
		mark(i.GetResolvedAtUs(), chart.Resolved, "")
		official = official || i.GetOfficialAtUs() != 0
	}
	if !official && len(s.Official) > 0 {
		mark(s.Official[0].GetTimeUs(), chart.Official, "official word")
	}
	return c
}

func micros(us int64) time.Time { return time.UnixMicro(us).UTC() }
