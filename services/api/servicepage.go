package api

import (
	"net/http"
	"time"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func (a *API) servicePage(w http.ResponseWriter, r *http.Request) error {
	service, err := a.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	v, notice, err := a.readView(r, service)
	if err != nil {
		return err
	}
	if notice == "" && r.URL.Query().Has("add") { // a form was sent: its address is long
		http.Redirect(w, r, v.Address(), http.StatusSeeOther)
		return nil
	}
	ctx := r.Context()
	s, err := a.stretch(ctx, service, v.coarse())
	if err != nil {
		return err
	}
	p, err := a.panel(ctx, v, s)
	if err != nil {
		return err
	}
	p.Notice = notice
	o, err := a.overview(ctx, time.Time{})
	if err != nil {
		return err
	}
	incidents, err := a.deps.Store.Incidents(ctx, store.IncidentFilter{Services: []string{service.ID}, Limit: pageIncidents})
	if err != nil {
		return err
	}
	parts, err := a.parts(ctx, v, s)
	if err != nil {
		return err
	}
	var evidence []*outcryv1.Evidence
	mayRead := a.open(scopeEvidence) || callerOf(r).may(scopeEvidence)
	if mayRead {
		if evidence, err = a.deps.Store.LatestEvidence(ctx, service.ID, s.From, s.To, pageEvidence); err != nil {
			return err
		}
	}
	for _, list := range [][]*outcryv1.Evidence{evidence, s.Official} {
		for _, e := range list {
			e.Text = shownText(e)
		}
	}
	return a.render(w, r, http.StatusOK, "service.html", struct {
		*stretch
		Panel     *panel
		Now       *serviceNow
		At        time.Time
		Origin    string
		Incidents incidentList
		Evidence  []*outcryv1.Evidence
		MayRead   bool
		Parts     []partList
		Spikes    []spike
	}{s, p, o.now(service.ID), o.At, a.origin(r), a.incidentList(incidents, o.At, false), evidence, mayRead, parts, spikes(s)})
}
