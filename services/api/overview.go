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
	// Silent are the sources that were heard within a day and have gone silent.
	Silent []string
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
	var err error
	if at.IsZero() {
		if at, err = a.deps.Store.LatestTime(ctx, ""); err != nil {
			return nil, err
		}
	}
	o := &overview{At: at}
	found := map[string]*serviceNow{}
	usual := stateUnknown
	if !at.IsZero() {
		ingested, err := a.deps.Store.Ingested(ctx, at.Add(-silence), at)
		if err != nil {
			return nil, err
		}
		if ingested > 0 {
			usual = stateOK
		}
	}
	o.Services = make([]serviceNow, len(a.deps.Catalog.Services))
	for i := range a.deps.Catalog.Services {
		o.Services[i] = serviceNow{Service: &a.deps.Catalog.Services[i], State: usual}
		found[o.Services[i].ID] = &o.Services[i]
	}
	if at.IsZero() {
		return o, nil
	}

	if o.Silent, err = a.deps.Store.SilentSources(ctx, at, silence); err != nil {
		return nil, err
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

// now finds one service in an overview.
func (o *overview) now(id string) *serviceNow {
	i := slices.IndexFunc(o.Services, func(s serviceNow) bool { return s.ID == id })
	return &o.Services[i]
}
