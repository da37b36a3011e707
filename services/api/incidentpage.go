package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func (a *API) incidentPage(w http.ResponseWriter, r *http.Request) error {
	i, err := a.findIncident(r)
	if err != nil {
		return err
	}
	mayRead, mayAct := a.open(scopeEvidence) || callerOf(r).may(scopeEvidence), callerOf(r).may(scopeAct)
	if !mayRead {
		i.Evidence = nil
	}
	if strings.HasPrefix(i.GetOfficialUrl(), "https://x.com/") {
		i.OfficialText = "" // X lets ids alone be handed on
	}
	ctx := r.Context()
	changes, err := a.deps.Store.Changes(ctx, i.GetId())
	if err != nil {
		return err
	}
	at, err := a.deps.Store.LatestTime(ctx, "")
	if err != nil {
		return err
	}
	around := around(i, at)
	data := struct {
		incidentRow
		Detected     string // on what it was detected, where its explanation tells of a later decision
		Around       string // this time on the page of the service
		Embed        string
		Figure       *figure
		Moments      []moment
		Parts        []partList
		Changes      []change
		Root         *related
		Consequences []related
		CanSay       bool
		NeedsKey     bool
		MayRead      bool
		Said         string
	}{incidentRow: a.incidentRow(i, at), Detected: detection(i, changes), Around: view{path: "/services/" + url.PathEscape(i.GetService()), timeRange: around}.Address(),
		Embed:   view{path: "/services/" + url.PathEscape(i.GetService()) + "/embed", timeRange: around}.Address(),
		Moments: moments(i), Parts: incidentParts(i), Changes: told(changes, mayAct), CanSay: a.deps.Say != nil, NeedsKey: !mayAct, MayRead: mayRead}
	if said := r.URL.Query().Get("said"); slices.Contains(verdict.Kinds(), said) {
		data.Said = said
	}
	if data.Root, data.Consequences, err = a.related(ctx, i); err != nil {
		return err
	}
	if service, ok := a.deps.Catalog.ByID(i.GetService()); ok {
		if data.Figure, err = a.figureOf(ctx, service, around); err != nil {
			return err
		}
	}
	return a.render(w, r, http.StatusOK, "incident.html", data)
}

// detection is the sentence on which an incident was detected; empty where its explanation is that sentence still, or that and more. An
// explanation tells of the last decision, and beside the time of the detection its numbers would be taken for those of that time.
func detection(i *outcryv1.Incident, changes []store.Change) string {
	n := slices.IndexFunc(changes, func(c store.Change) bool { return c.State == outcryv1.Incident_STATE_SUSPECTED.Name() })
	if n < 0 || strings.HasPrefix(i.GetExplanation(), changes[n].Explanation) {
		return ""
	}
	return changes[n].Explanation
}

func (a *API) figureOf(ctx context.Context, service *catalog.Service, r timeRange) (*figure, error) {
	s, err := a.stretch(ctx, service, r)
	if err != nil {
		return nil, err
	}
	f := newFigure(s.chart(), "0")
	return &f, nil
}

// related is another incident, or a service where the incident is not known.
type related struct {
	Name, Address string
	Incident      *outcryv1.Incident // or nil
}

// related finds what an incident was caused by, and what it carried along.
func (a *API) related(ctx context.Context, i *outcryv1.Incident) (root *related, consequences []related, err error) {
	if id := i.GetRoot(); id != "" {
		found, err := a.deps.Store.Incidents(ctx, store.IncidentFilter{ID: id, Limit: 1})
		if err != nil {
			return nil, nil, err
		}
		service := id
		if n := strings.LastIndex(id, "-"); n > 0 {
			service = id[:n]
		}
		root = &related{Name: a.name(service), Address: "/services/" + url.PathEscape(service)}
		if len(found) == 1 {
			root.Incident, root.Address = found[0], "/incidents/"+url.PathEscape(id)
		}
	}
	if len(i.GetConsequences()) == 0 {
		return root, nil, nil
	}
	found, err := a.deps.Store.Incidents(ctx, store.IncidentFilter{Services: i.GetConsequences(), From: micros(i.GetStartedAtUs()), Limit: maxIncidents})
	if err != nil {
		return nil, nil, err
	}
	for _, service := range i.GetConsequences() {
		c := related{Name: a.name(service), Address: "/services/" + url.PathEscape(service)}
		for _, other := range found {
			if other.GetService() == service && other.GetRoot() == i.GetId() {
				c.Incident, c.Address = other, "/incidents/"+url.PathEscape(other.GetId())
			}
		}
		consequences = append(consequences, c)
	}
	return root, consequences, nil
}

// incidentParts are the people of an incident by what fails, where, in which language and on which network.
func incidentParts(i *outcryv1.Incident) []partList {
	var out []partList
	list := func(id, title string, parts []part) {
		if len(parts) == 0 {
			return
		}
		parts = parts[:min(len(parts), shownParts)]
		whole := int64(0)
		for _, p := range parts {
			whole = max(whole, p.People)
		}
		out = append(out, partList{Title: title, ID: id, Whole: whole, Parts: parts})
	}
	var symptoms []part
	for _, s := range i.GetSymptoms() {
		symptoms = append(symptoms, part{Name: partName("symptom", s.GetSymptom().Name()), People: s.GetPeople()})
	}
	list("symptom", "What fails", symptoms)
	named := func(by string, counts []*outcryv1.NameCount) (parts []part) {
		for _, c := range counts {
			parts = append(parts, part{Name: partName(by, c.GetName()), People: c.GetPeople()})
		}
		return parts
	}
	list("place", "Where", named("place", i.GetPlaces()))
	list("language", "Languages", named("language", i.GetLanguages()))
	list("source", "Sources", named("source", i.GetSources()))
	return out
}

// change is an entry in the history of an incident, as a reader may know it.
type change struct {
	store.Change
	By string
}

// told leaves out who said what of an incident, unless the reader is one of those who may.
func told(changes []store.Change, mayAct bool) []change {
	out := make([]change, len(changes))
	for n, c := range changes {
		out[n] = change{c, "Outcry"}
		if c.Verdict == "" {
			continue
		}
		out[n].By = "a person: " + c.Verdict
		if mayAct {
			out[n].By = c.Actor + ": " + c.Verdict
			if c.Note != "" {
				out[n].By += ", “" + c.Note + "”"
			}
		}
	}
	return out
}

const maxForm = 8 << 10

// authorized reads the form of a page, whose key, where it has one, counts as if it had been sent as a header. A browser sends a session by
// itself, so what comes from pages of others is refused.
func (a *API) authorized(w http.ResponseWriter, r *http.Request, need scope) (*http.Request, error) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return nil, &problem{Status: http.StatusForbidden, Detail: "This form was sent from another site."}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, badRequest("The form cannot be read.")
	}
	c := callerOf(r)
	if secret := strings.TrimSpace(r.PostForm.Get("key")); secret != "" {
		key, err := a.keys.find(r.Context(), a.deps.Store, secret)
		if err != nil {
			return nil, err
		}
		if key == nil {
			return nil, &problem{Status: http.StatusUnauthorized, Detail: "The key is not known, or was revoked."}
		}
		c.key = key
	}
	if !c.may(need) {
		return nil, &problem{Status: http.StatusForbidden, Detail: "This needs a key with the scope " + string(need) + "."}
	}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c)), nil
}

// sayOnPage takes what somebody says of an incident by the form of its page.
func (a *API) sayOnPage(w http.ResponseWriter, r *http.Request) error {
	if a.deps.Say == nil {
		return &problem{Status: http.StatusNotImplemented, Detail: "This api runs without Kafka, and cannot take words about incidents."}
	}
	r, err := a.authorized(w, r, scopeAct)
	if err != nil {
		return err
	}
	body := verdictBody{Kind: r.PostForm.Get("kind"), Text: r.PostForm.Get("text")}
	if _, err := a.handOn(r, body); err != nil {
		return err
	}
	http.Redirect(w, r, "/incidents/"+url.PathEscape(r.PathValue("id"))+"?said="+url.QueryEscape(body.Kind)+"#say", http.StatusSeeOther)
	return nil
}
