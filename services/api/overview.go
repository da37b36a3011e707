package api

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// lookBack is how far people and mentions of an overview are counted.
const lookBack = time.Hour

// overview is every service at one moment.
type overview struct {
	// At is zero where nothing was ever ingested.
	At       time.Time
	Services []serviceNow
	// Silent are the sources that deliver nothing though they used to.
	Silent []string
	// Deaf says that nothing is heard at all: all services without an incident are unknown.
	Deaf bool
}

// serviceNow is a service at one moment.
type serviceNow struct {
	*catalog.Service
	State state
	// People and Mentions of the hour before.
	People, Mentions int
	// Spark is the path of a line through the last hours; empty where nobody talks of it.
	Spark string
	// Incident is the one that State comes from; nil where there is none.
	Incident *outcryv1.Incident
}

// overview reads every service, those that matter most first. A zero time means the end of the data.
func (a *API) overview(ctx context.Context, at time.Time) (*overview, error) {
	o := &overview{At: at}
	silent, err := a.listen(ctx, o)
	if err != nil {
		return nil, err
	}
	at = o.At
	usual := stateOK
	if o.Deaf {
		usual = stateUnknown
	}
	found := map[string]*serviceNow{}
	o.Services = make([]serviceNow, len(a.deps.Catalog.Services))
	for i := range a.deps.Catalog.Services {
		o.Services[i] = serviceNow{Service: &a.deps.Catalog.Services[i], State: usual}
		found[o.Services[i].ID] = &o.Services[i]
	}
	if at.IsZero() {
		return o, nil
	}

	for _, id := range silent {
		if s := found[id]; s != nil {
			s.State = stateUnknown
		}
	}
	activity, err := a.deps.Store.Activity(ctx, at.Add(-lookBack), at)
	if err != nil {
		return nil, err
	}
	for _, said := range activity {
		if s := found[said.Service]; s != nil { // the catalog may have lost a service since
			s.People, s.Mentions = said.People, said.Mentions
		}
	}
	incidents, err := a.deps.Store.Incidents(ctx, store.IncidentFilter{From: at, To: at, Limit: maxIncidents})
	if err != nil {
		return nil, err
	}
	for _, i := range incidents {
		s := found[i.GetService()]
		if s == nil {
			continue
		}
		if st := incidentState(i, at); st.rank() > s.State.rank() {
			s.State, s.Incident = st, i
		}
	}
	slices.SortStableFunc(o.Services, func(x, y serviceNow) int {
		return cmp.Or(y.State.rank()-x.State.rank(), y.People-x.People, y.Mentions-x.Mentions,
			strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)))
	})
	return o, nil
}

// listen finds out until when and what an overview hears, and returns the services that are heard on silent sources alone or mostly.
func (a *API) listen(ctx context.Context, o *overview) (silent []string, err error) {
	if o.At.IsZero() {
		if o.At, err = a.deps.Store.LatestTime(ctx, ""); err != nil {
			return nil, err
		}
		if o.At.IsZero() {
			o.Deaf = true
			return nil, nil
		}
		if time.Since(o.At) > silence {
			// Of a recording its end is asked for; of a listener, what is so now.
			recorded, err := a.deps.Store.Recorded(ctx, o.At)
			if err != nil {
				return nil, err
			}
			o.Deaf = !recorded
		}
	}
	s, err := a.deps.Store.Silence(ctx, o.At)
	if err != nil {
		return nil, err
	}
	ingested, err := a.deps.Store.Ingested(ctx, o.At.Add(-silence), o.At)
	if err != nil {
		return nil, err
	}
	o.Silent, o.Deaf = s.Sources, o.Deaf || s.All || ingested == 0
	return s.Services, nil
}

// now finds one service in an overview.
func (o *overview) now(id string) *serviceNow {
	i := slices.IndexFunc(o.Services, func(s serviceNow) bool { return s.ID == id })
	return &o.Services[i]
}
