package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"outcry.dev/pkg/chart"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// serviceJSON is a service at one moment.
type serviceJSON struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Category   string   `json:"category"`
	Countries  []string `json:"countries,omitempty"`
	Web        string   `json:"web,omitempty"`
	StatusPage string   `json:"status_page,omitempty"`
	State      state    `json:"state"`
	People     int      `json:"people_last_hour"`
	Mentions   int      `json:"mentions_last_hour"`
	Incident   string   `json:"incident,omitempty"`
}

func newServiceJSON(s *serviceNow) serviceJSON {
	return serviceJSON{ID: s.ID, Name: s.Name, Category: s.Category, Countries: s.Countries, Web: s.Web, StatusPage: s.StatusPage,
		State: s.State, People: s.People, Mentions: s.Mentions, Incident: s.Incident.GetId()}
}

func (a *API) services(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r, "at")
	at := p.time("at")
	if p.fault != nil {
		return p.fault
	}
	o, err := a.overview(r.Context(), at)
	if err != nil {
		return err
	}
	out := struct {
		At       *time.Time    `json:"at,omitempty"`
		Services []serviceJSON `json:"services"`
	}{At: timeOrNil(o.At), Services: make([]serviceJSON, len(o.Services))}
	for i := range o.Services {
		out.Services[i] = newServiceJSON(&o.Services[i])
	}
	return writeJSON(w, out)
}

func (a *API) service(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r, "at")
	at := p.time("at")
	if p.fault != nil {
		return p.fault
	}
	service, err := a.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	o, err := a.overview(r.Context(), at)
	if err != nil {
		return err
	}
	incidents, err := a.deps.Store.Incidents(r.Context(), store.IncidentFilter{Services: []string{service.ID}, To: at, Limit: 10})
	if err != nil {
		return err
	}
	out := struct {
		At *time.Time `json:"at,omitempty"`
		serviceJSON
		Incidents []json.RawMessage `json:"incidents"`
	}{At: timeOrNil(o.At), serviceJSON: newServiceJSON(o.now(service.ID))}
	if out.Incidents, err = incidentsJSON(incidents); err != nil {
		return err
	}
	return writeJSON(w, out)
}

type pointJSON struct {
	Time     time.Time `json:"time"`
	People   int       `json:"people"`
	Mentions int       `json:"mentions"`
	Ingested int       `json:"ingested"`
	Expected *float64  `json:"expected,omitempty"`
	Lower    *float64  `json:"lower,omitempty"`
	Upper    *float64  `json:"upper,omitempty"`
}

func (a *API) series(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r, "from", "to", "step")
	asked := p.timeRange()
	if p.fault != nil {
		return p.fault
	}
	service, err := a.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	s, err := a.stretch(r.Context(), service, asked)
	if err != nil {
		return err
	}
	out := struct {
		Service string      `json:"service"`
		From    time.Time   `json:"from"`
		To      time.Time   `json:"to"`
		Step    string      `json:"step"`
		Unit    string      `json:"unit"`
		Points  []pointJSON `json:"points"`
		Alarms  []span      `json:"alarms"`
	}{service.ID, s.From, s.To, shortDuration(s.Step), chart.Unit(s.Step), make([]pointJSON, len(s.Points)), s.Alarms}
	for i, point := range s.Points {
		out.Points[i] = pointJSON{Time: point.Start, People: point.People, Mentions: point.Mentions, Ingested: point.Ingested}
		if e := point.Expected; e != nil {
			out.Points[i].Expected, out.Points[i].Lower, out.Points[i].Upper = &e.Expected, &e.Lower, &e.Upper
		}
	}
	if out.Alarms == nil {
		out.Alarms = []span{}
	}
	return writeJSON(w, out)
}

func (a *API) incidents(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r, "service", "state", "from", "to", "cursor", "limit")
	filter := store.IncidentFilter{States: p.states(), From: p.time("from"), To: p.time("to"), After: p.cursor()}
	limit := p.number("limit", 50, 1, maxIncidents)
	if p.fault != nil {
		return p.fault
	}
	for id := range strings.SplitSeq(p.values.Get("service"), ",") {
		if id == "" {
			continue
		}
		service, err := a.find(id)
		if err != nil {
			return err
		}
		filter.Services = append(filter.Services, service.ID)
	}
	filter.Limit = limit + 1 // one more tells whether there are more
	incidents, err := a.deps.Store.Incidents(r.Context(), filter)
	if err != nil {
		return err
	}
	var out struct {
		Incidents  []json.RawMessage `json:"incidents"`
		NextCursor string            `json:"next_cursor,omitempty"`
	}
	if len(incidents) > limit {
		incidents = incidents[:limit]
		out.NextCursor = nextCursor(incidents[limit-1])
	}
	if out.Incidents, err = incidentsJSON(incidents); err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (a *API) incident(w http.ResponseWriter, r *http.Request) error {
	if p := readParams(r); p.fault != nil {
		return p.fault
	}
	i, err := a.findIncident(r)
	if err != nil {
		return err
	}
	body, err := incident.JSON(i)
	if err != nil {
		return err
	}
	return writeJSON(w, json.RawMessage(body))
}

// findIncident gives the incident of the path with the texts of its evidence.
func (a *API) findIncident(r *http.Request) (*outcryv1.Incident, error) {
	id := r.PathValue("id")
	found, err := a.deps.Store.Incidents(r.Context(), store.IncidentFilter{ID: id, Limit: 1})
	switch {
	case err != nil:
		return nil, err
	case id == "" || len(found) == 0:
		return nil, notFound("There is no incident %q. /v1/incidents lists all.", clip(id))
	}
	return found[0], a.deps.Store.EvidenceTexts(r.Context(), found[0])
}

// incidentsJSON leaves out the evidence, whose texts only an incident by itself has.
func incidentsJSON(incidents []*outcryv1.Incident) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(incidents))
	for n, i := range incidents {
		i.Evidence = nil
		body, err := incident.JSON(i)
		if err != nil {
			return nil, err
		}
		out[n] = body
	}
	return out, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func writeJSON(w http.ResponseWriter, v any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=10")
	_, _ = w.Write(body.Bytes()) // whoever asked has gone
	return nil
}
