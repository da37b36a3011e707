package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// What routes read, as huma describes it and readParams accepts it.
type (
	atQuery struct {
		At string `query:"at" doc:"Moment, RFC 3339; without it, the end of the data."`
	}
	servicesQuery struct {
		atQuery
		Q        string `query:"q" doc:"Part of a name or id."`
		Category string `query:"category" doc:"Category of the catalog, such as messaging; several with commas."`
		Country  string `query:"country" doc:"Two-letter code of a country; services without countries are worldwide and always among them."`
		State    string `query:"state" doc:"ok, suspected, outage, recovering or unknown; several with commas."`
		Limit    string `query:"limit" doc:"Most services in an answer, 1 to 5000; without it, all."`
		Cursor   string `query:"cursor" doc:"next_cursor of an earlier answer."`
	}
	serviceQuery struct {
		ID string `path:"id" doc:"Catalog id of the service, such as skype."`
		atQuery
	}
	rangeQuery struct {
		From string `query:"from" doc:"Beginning, RFC 3339; without from and to, the latest day of the data."`
		To   string `query:"to" doc:"End, exclusive, RFC 3339."`
	}
	seriesQuery struct {
		ID string `path:"id" doc:"Catalog id of the service, such as skype."`
		rangeQuery
		Step string `query:"step" doc:"Whole minutes from 1m to 1d, such as 1m, 15m, 1h, 1d; without it, what suits the range."`
	}
	manySeriesQuery struct {
		Service string `query:"service" doc:"Catalog ids of 1 to 10 services, with commas."`
		rangeQuery
		Step string `query:"step" doc:"Whole minutes from 1m to 1d."`
	}
	breakdownQuery struct {
		seriesQuery
		By string `query:"by" doc:"symptom, source, language, place or label; symptom where it is missing. Posts that name no place are in no part by place, and who names a city is not counted to its country."`
	}
	evidenceQuery struct {
		ID string `path:"id" doc:"Catalog id of the service, such as skype."`
		rangeQuery
		Label  string `query:"label" doc:"outage, bug, complaint, recovered, official or other; outage where it is missing."`
		Limit  string `query:"limit" doc:"Most posts in an answer, 1 to 500."`
		Cursor string `query:"cursor" doc:"next_cursor of an earlier answer."`
	}
	incidentsQuery struct {
		Service string `query:"service" doc:"Catalog ids, with commas."`
		State   string `query:"state" doc:"suspected, confirmed, recovering, resolved, dismissed or open (the first three), with commas."`
		rangeQuery
		Limit  string `query:"limit" doc:"Most incidents in an answer, 1 to 500."`
		Cursor string `query:"cursor" doc:"next_cursor of an earlier answer."`
	}
	incidentQuery struct {
		ID string `path:"id" doc:"Id of the incident, such as skype-20101222T1612."`
	}
	searchQuery struct {
		Q     string `query:"q" required:"true" doc:"Part of a name or id."`
		Limit string `query:"limit" doc:"Most hits, 1 to 100."`
	}
	noQuery struct{}
)

// serviceJSON is a service at one moment.
type serviceJSON struct {
	ID         string   `json:"id" doc:"Catalog id."`
	Name       string   `json:"name" doc:"Name to show."`
	Category   string   `json:"category" doc:"Kind of service."`
	Countries  []string `json:"countries,omitempty" doc:"ISO 3166-1 alpha-2 codes; absent for worldwide."`
	Web        string   `json:"web,omitempty" doc:"Address of the service."`
	StatusPage string   `json:"status_page,omitempty" doc:"Address of its status page."`
	State      state    `json:"state" doc:"ok, suspected, outage, recovering or unknown."`
	People     int      `json:"people_last_hour" doc:"Distinct people complaining in the hour before."`
	Mentions   int      `json:"mentions_last_hour" doc:"Posts naming the service in the hour before."`
	Incident   string   `json:"incident,omitempty" doc:"Incident that the state comes from."`
}

func newServiceJSON(s *serviceNow) serviceJSON {
	return serviceJSON{ID: s.ID, Name: s.Name, Category: s.Category, Countries: s.Countries, Web: s.Web, StatusPage: s.StatusPage,
		State: s.State, People: s.People, Mentions: s.Mentions, Incident: s.Incident.GetId()}
}

type servicesJSON struct {
	At         *time.Time    `json:"at,omitempty" doc:"Moment that the answer is of; absent where there are no data."`
	Services   []serviceJSON `json:"services" doc:"Those that matter most first."`
	NextCursor string        `json:"next_cursor,omitempty" doc:"Where the answer goes on; absent at the end."`
	Silent     []string      `json:"silent_sources,omitempty" doc:"Sources that deliver nothing though they used to; services that are heard on them are unknown."`
}

// choice is which services are asked for.
type choice struct {
	text, country      string
	categories, states []string
}

func (p *params) choice() choice {
	c := choice{text: strings.ToLower(strings.TrimSpace(p.values.Get("q"))), country: strings.ToLower(p.values.Get("country")),
		categories: p.words("category"), states: p.words("state")}
	for _, s := range c.states {
		if !slices.Contains([]string{"ok", "suspected", "outage", "recovering", "unknown"}, s) {
			p.fail("state %q is none of ok, suspected, outage, recovering and unknown.", clip(s))
		}
	}
	return c
}

// narrows tells whether anything is chosen.
func (c choice) narrows() bool {
	return c.text != "" || c.country != "" || len(c.categories) > 0 || len(c.states) > 0
}

func (c choice) holds(s *serviceNow) bool {
	return (c.text == "" || strings.Contains(strings.ToLower(s.Name), c.text) || strings.Contains(s.ID, c.text)) &&
		(len(c.categories) == 0 || slices.Contains(c.categories, s.Category)) &&
		(c.country == "" || len(s.Countries) == 0 || slices.ContainsFunc(s.Countries, func(x string) bool { return strings.EqualFold(x, c.country) })) &&
		(len(c.states) == 0 || slices.Contains(c.states, string(s.State)))
}

func (a *API) services(w http.ResponseWriter, r *http.Request, p *params) error {
	at, chosen := p.time("at"), p.choice()
	limit := p.number("limit", len(a.deps.Catalog.Services), 1, 5000)
	start := p.offset()
	if p.fault != nil {
		return p.fault
	}
	o, err := a.overview(r.Context(), at)
	if err != nil {
		return err
	}
	out := servicesJSON{At: timeOrNil(o.At), Services: []serviceJSON{}, Silent: o.Silent}
	n := 0
	for i := range o.Services {
		if !chosen.holds(&o.Services[i]) {
			continue
		}
		switch {
		case n < start:
		case n == start+limit:
			out.NextCursor = offsetCursor(n)
		case n < start+limit:
			out.Services = append(out.Services, newServiceJSON(&o.Services[i]))
		}
		n++
	}
	return a.writeJSON(w, r, out)
}

type serviceAloneJSON struct {
	At *time.Time `json:"at,omitempty"`
	serviceJSON
	Incidents []incidentJSON `json:"incidents" doc:"The latest ones first."`
}

func (a *API) service(w http.ResponseWriter, r *http.Request, p *params) error {
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
	out := serviceAloneJSON{At: timeOrNil(o.At), serviceJSON: newServiceJSON(o.now(service.ID))}
	if out.Incidents, err = incidentsJSON(incidents); err != nil {
		return err
	}
	return a.writeJSON(w, r, out)
}

type seriesJSON struct {
	Service string      `json:"service" doc:"Catalog id."`
	From    time.Time   `json:"from"`
	To      time.Time   `json:"to"`
	Step    string      `json:"step" doc:"Length of a step."`
	Unit    string      `json:"unit" doc:"What people are."`
	Points  []pointJSON `json:"points" doc:"The steps, without gaps."`
	Alarms  []span      `json:"alarms" doc:"Stretches in which what was seen was too much to be chance."`
}

type pointJSON struct {
	Time     time.Time `json:"time" doc:"Start of the step."`
	People   int       `json:"people" doc:"Distinct people complaining within the step, reposts left out."`
	Mentions int       `json:"mentions" doc:"Posts naming the service within the step."`
	Ingested int       `json:"ingested" doc:"Posts read within the step, whatever about; 0 where nothing was heard."`
	Rate     *float64  `json:"per_1000_mentions,omitempty" doc:"1000 times people by mentions; absent where nobody mentions the service."`
	Expected *float64  `json:"expected,omitempty" doc:"People that the baseline expects; absent where there is none."`
	Lower    *float64  `json:"lower,omitempty" doc:"Lower end of the expected band."`
	Upper    *float64  `json:"upper,omitempty" doc:"Upper end of the expected band."`
}

func newPointJSON(p *store.Point) pointJSON {
	out := pointJSON{Time: p.Start, People: p.People, Mentions: p.Mentions, Ingested: p.Ingested}
	if p.Mentions > 0 {
		rate := 1000 * float64(p.People) / float64(p.Mentions)
		out.Rate = &rate
	}
	if e := p.Expected; e != nil {
		out.Expected, out.Lower, out.Upper = &e.Expected, &e.Lower, &e.Upper
	}
	return out
}

// ofService finds the service of the path and the range asked for, once every parameter has been read.
func (a *API) ofService(r *http.Request, p *params, asked timeRange) (*catalog.Service, timeRange, error) {
	if p.fault != nil {
		return nil, asked, p.fault
	}
	service, err := a.find(r.PathValue("id"))
	if err != nil {
		return nil, asked, err
	}
	asked, err = a.choose(r.Context(), service.ID, asked)
	return service, asked, err
}

func (a *API) series(w http.ResponseWriter, r *http.Request, p *params) error {
	asked := p.timeRange()
	service, asked, err := a.ofService(r, p, asked)
	if err != nil {
		return err
	}
	s := &stretch{Service: service, From: asked.from, To: asked.to, Step: asked.step}
	if err := a.count(r.Context(), s); err != nil {
		return err
	}
	return writeSeries(w, r, false, s)
}

func (a *API) seriesFile(r *http.Request, p *params) (file, error) {
	asked := p.timeRange()
	service, asked, err := a.ofService(r, p, asked)
	if err != nil {
		return file{}, err
	}
	return file{store.ExportSeries([]string{service.ID}, asked.from, asked.to, asked.step),
		fmt.Sprintf("complaints about %s by %s, %s to %s", service.Name, shortDuration(asked.step), stamp(asked.from), stamp(asked.to))}, nil
}

const maxCompared = 10

type manySeriesJSON struct {
	Series []seriesJSON `json:"series" doc:"One for each service, in the order asked for, on the same steps."`
}

// manyRange finds the services and the steps that they share.
func (a *API) manyRange(r *http.Request, p *params) (services []string, asked timeRange, err error) {
	asked = p.timeRange()
	names := p.words("service")
	if len(names) == 0 || len(names) > maxCompared {
		p.fail("service names 1 to %d services, with commas: service=skype,viber.", maxCompared)
	}
	if p.fault != nil {
		return nil, asked, p.fault
	}
	for _, name := range names {
		service, err := a.find(name)
		if err != nil {
			return nil, asked, err
		}
		services = append(services, service.ID)
	}
	asked, err = a.choose(r.Context(), services[0], asked)
	return services, asked, err
}

func (a *API) manySeries(w http.ResponseWriter, r *http.Request, p *params) error {
	services, asked, err := a.manyRange(r, p)
	if err != nil {
		return err
	}
	var out []*stretch
	for _, id := range services {
		service, err := a.find(id)
		if err != nil {
			return err
		}
		s, err := a.stretch(r.Context(), service, asked)
		if err != nil {
			return err
		}
		out = append(out, s)
	}
	return writeSeries(w, r, true, out...)
}

func (a *API) manySeriesFile(r *http.Request, p *params) (file, error) {
	services, asked, err := a.manyRange(r, p)
	if err != nil {
		return file{}, err
	}
	return file{store.ExportSeries(services, asked.from, asked.to, asked.step),
		fmt.Sprintf("complaints about %s by %s, %s to %s", strings.Join(services, ", "), shortDuration(asked.step), stamp(asked.from), stamp(asked.to))}, nil
}

type breakdownJSON struct {
	Service string           `json:"service"`
	By      string           `json:"by" doc:"What the counts are broken down by."`
	From    time.Time        `json:"from"`
	To      time.Time        `json:"to"`
	Step    string           `json:"step"`
	Groups  []breakdownGroup `json:"groups" doc:"Those with most people first. People do not add up over groups or steps."`
}

type breakdownGroup struct {
	Name   string               `json:"name" doc:"Empty where it is not known; places are countries as ISO 3166-1 alpha-2 codes and cities behind them, such as us/austin."`
	People int                  `json:"people" doc:"Distinct people of the whole range."`
	Posts  int                  `json:"posts" doc:"Posts of the whole range."`
	Points []breakdownPointJSON `json:"points" doc:"The steps in which there is somebody."`
}

type breakdownPointJSON struct {
	Time   time.Time `json:"time"`
	People int       `json:"people"`
	Posts  int       `json:"posts"`
}

func (p *params) by() string {
	by := p.values.Get("by")
	if by == "" {
		return store.Breakdowns()[0]
	}
	if !slices.Contains(store.Breakdowns(), by) {
		p.fail("by %q is none of %s.", clip(by), strings.Join(store.Breakdowns(), ", "))
	}
	return by
}

func (a *API) breakdown(w http.ResponseWriter, r *http.Request, p *params) error {
	asked, by := p.timeRange(), p.by()
	service, asked, err := a.ofService(r, p, asked)
	if err != nil {
		return err
	}
	groups, err := a.deps.Store.Breakdown(r.Context(), service.ID, by, asked.from, asked.to, asked.step)
	if err != nil {
		return err
	}
	out := breakdownJSON{service.ID, by, asked.from, asked.to, shortDuration(asked.step), []breakdownGroup{}}
	for _, g := range groups {
		group := breakdownGroup{Name: g.Name, People: g.People, Posts: g.Posts, Points: []breakdownPointJSON{}}
		for _, point := range g.Points {
			group.Points = append(group.Points, breakdownPointJSON{point.Start, point.People, point.Posts})
		}
		out.Groups = append(out.Groups, group)
	}
	return a.writeJSON(w, r, out)
}

func (a *API) breakdownFile(r *http.Request, p *params) (file, error) {
	asked, by := p.timeRange(), p.by()
	service, asked, err := a.ofService(r, p, asked)
	if err != nil {
		return file{}, err
	}
	return file{store.ExportBreakdown(service.ID, by, asked.from, asked.to, asked.step),
		fmt.Sprintf("complaints about %s by %s and %s, %s to %s", service.Name, by, shortDuration(asked.step), stamp(asked.from), stamp(asked.to))}, nil
}

type evidenceListJSON struct {
	Service    string         `json:"service"`
	From       time.Time      `json:"from"`
	To         time.Time      `json:"to"`
	Evidence   []evidenceJSON `json:"evidence" doc:"The latest first. Withdrawn posts and those older than thirty days are gone."`
	NextCursor string         `json:"next_cursor,omitempty" doc:"Where the answer goes on; absent at the end."`
}

type evidenceJSON struct {
	ID      string    `json:"id" doc:"Native id of the post."`
	Source  string    `json:"source" doc:"Network."`
	Time    time.Time `json:"time"`
	Text    string    `json:"text,omitempty" doc:"Absent for posts of X, of which only ids may be given."`
	URL     string    `json:"url,omitempty"`
	Label   string    `json:"label"`
	Symptom string    `json:"symptom,omitempty"`
	Score   float32   `json:"score" doc:"Probability of the label, 0 to 1."`
}

func (p *params) label() string {
	label := p.values.Get("label")
	if label == "" {
		return "outage"
	}
	if outcryv1.ParseLabel(label) == outcryv1.Label_LABEL_UNSPECIFIED {
		p.fail("label %q is none of outage, bug, complaint, recovered, official and other.", clip(label))
	}
	return label
}

func (a *API) evidence(w http.ResponseWriter, r *http.Request, p *params) error {
	asked, label, after := p.timeRange(), p.label(), p.evidenceCursor()
	limit := p.number("limit", 50, 1, 500)
	service, asked, err := a.ofService(r, p, asked)
	if err != nil {
		return err
	}
	found, err := a.deps.Store.EvidencePage(r.Context(), service.ID, label, asked.from, asked.to, after, limit+1)
	if err != nil {
		return err
	}
	out := evidenceListJSON{Service: service.ID, From: asked.from, To: asked.to, Evidence: []evidenceJSON{}}
	if len(found) > limit {
		found = found[:limit]
		out.NextCursor = evidenceCursor(found[limit-1])
	}
	for _, e := range found {
		out.Evidence = append(out.Evidence, evidenceJSON{ID: e.GetPostId(), Source: e.GetSource(), Time: micros(e.GetTimeUs()), Text: shownText(e), URL: webAddress(e.GetUrl()),
			Label: e.GetLabel().Name(), Symptom: e.GetSymptom().Name(), Score: e.GetScore()})
	}
	return a.writeJSON(w, r, out)
}

func (a *API) evidenceFile(r *http.Request, p *params) (file, error) {
	asked, label := p.timeRange(), p.label()
	service, asked, err := a.ofService(r, p, asked)
	if err != nil {
		return file{}, err
	}
	return file{store.ExportEvidence(service.ID, label, asked.from, asked.to),
		fmt.Sprintf("posts that say %s of %s, %s to %s", label, service.Name, stamp(asked.from), stamp(asked.to))}, nil
}

// shownText is empty where the network allows its posts' ids alone to be handed on.
func shownText(e *outcryv1.Evidence) string {
	if e.GetSource() == "x" {
		return ""
	}
	return e.GetText()
}

type incidentsListJSON struct {
	Incidents  []incidentJSON `json:"incidents" doc:"Those detected last first, without their evidence."`
	NextCursor string         `json:"next_cursor,omitempty" doc:"Where the answer goes on; absent at the end."`
}

// incidentsWanted reads what a list of incidents is of.
func (a *API) incidentsWanted(p *params) (store.IncidentFilter, error) {
	filter := store.IncidentFilter{States: p.states(), From: p.time("from"), To: p.time("to"), After: p.cursor()}
	if p.fault != nil {
		return filter, p.fault
	}
	for _, id := range p.words("service") {
		service, err := a.find(id)
		if err != nil {
			return filter, err
		}
		filter.Services = append(filter.Services, service.ID)
	}
	return filter, nil
}

func (a *API) incidents(w http.ResponseWriter, r *http.Request, p *params) error {
	filter, err := a.incidentsWanted(p)
	return a.writeIncidents(w, r, p, filter, err)
}

func (a *API) leads(w http.ResponseWriter, r *http.Request, p *params) error {
	filter, err := a.incidentsWanted(p)
	filter.Official = true
	return a.writeIncidents(w, r, p, filter, err)
}

func (a *API) writeIncidents(w http.ResponseWriter, r *http.Request, p *params, filter store.IncidentFilter, err error) error {
	limit := p.number("limit", 50, 1, maxIncidents)
	if p.fault != nil {
		return p.fault
	}
	if err != nil {
		return err
	}
	filter.Limit = limit + 1 // one more tells whether there are more
	incidents, err := a.deps.Store.Incidents(r.Context(), filter)
	if err != nil {
		return err
	}
	var out incidentsListJSON
	if len(incidents) > limit {
		incidents = incidents[:limit]
		out.NextCursor = nextCursor(incidents[limit-1])
	}
	if out.Incidents, err = incidentsJSON(incidents); err != nil {
		return err
	}
	return a.writeJSON(w, r, out)
}

func (a *API) incidentsFile(_ *http.Request, p *params) (file, error) {
	filter, err := a.incidentsWanted(p)
	if err != nil {
		return file{}, err
	}
	return file{store.ExportIncidents(filter.Services, filter.From, filter.To), "incidents"}, nil
}

func (a *API) leadsFile(_ *http.Request, p *params) (file, error) {
	filter, err := a.incidentsWanted(p)
	if err != nil {
		return file{}, err
	}
	return file{store.ExportLeads(filter.Services, filter.From, filter.To), "lead times over the official word"}, nil
}

func (a *API) incident(w http.ResponseWriter, r *http.Request, _ *params) error {
	i, err := a.findIncident(r)
	if err != nil {
		return err
	}
	if !a.open(scopeEvidence) && !callerOf(r).may(scopeEvidence) {
		i.Evidence = nil
	}
	body, err := newIncidentJSON(i)
	if err != nil {
		return err
	}
	return a.writeJSON(w, r, body)
}

type searchJSON struct {
	Services  []serviceHit   `json:"services"`
	Incidents []incidentJSON `json:"incidents" doc:"The latest ones of the services found."`
}

type serviceHit struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
}

func (a *API) search(w http.ResponseWriter, r *http.Request, p *params) error {
	text := strings.ToLower(strings.TrimSpace(p.values.Get("q")))
	limit := p.number("limit", 20, 1, 100)
	if text == "" {
		p.fail("q is empty. Ask for part of a name: q=skype.")
	}
	if p.fault != nil {
		return p.fault
	}
	out := searchJSON{Services: []serviceHit{}, Incidents: []incidentJSON{}}
	// Names that begin with the text come first.
	for _, begins := range []bool{true, false} {
		for i := range a.deps.Catalog.Services {
			s := &a.deps.Catalog.Services[i]
			name := strings.ToLower(s.Name)
			at := strings.Index(name, text)
			if at < 0 {
				at = strings.Index(s.ID, text)
			}
			if at >= 0 && (at == 0) == begins && len(out.Services) < limit {
				out.Services = append(out.Services, serviceHit{s.ID, s.Name, s.Category})
			}
		}
	}
	if len(out.Services) > 0 {
		var ids []string
		for _, s := range out.Services {
			ids = append(ids, s.ID)
		}
		found, err := a.deps.Store.Incidents(r.Context(), store.IncidentFilter{Services: ids, Limit: limit})
		if err != nil {
			return err
		}
		if out.Incidents, err = incidentsJSON(found); err != nil {
			return err
		}
	}
	return a.writeJSON(w, r, out)
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
	if err := a.deps.Store.EvidenceTexts(r.Context(), found[0]); err != nil {
		return nil, err
	}
	for _, e := range found[0].GetEvidence() {
		e.Text = shownText(e)
	}
	return found[0], nil
}

// incidentJSON is an incident in the words of pkg/incident.
type incidentJSON struct{ json.RawMessage }

func newIncidentJSON(i *outcryv1.Incident) (incidentJSON, error) {
	body, err := incident.JSON(i)
	return incidentJSON{body}, err
}

// incidentsJSON leaves out the evidence, whose texts only an incident by itself has.
func incidentsJSON(incidents []*outcryv1.Incident) ([]incidentJSON, error) {
	out := make([]incidentJSON, len(incidents))
	for n, i := range incidents {
		i.Evidence = nil
		body, err := newIncidentJSON(i)
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

func (a *API) writeJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") && w.Header().Get("Link") == "" && r.Method == http.MethodGet {
		if next := nextLink(r, v); next != "" {
			w.Header().Set("Link", "<"+next+`>; rel="next"`)
		}
	}
	writeJSONBody(w, r, body)
	return nil
}

func writeJSONBody(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=10")
	tagged(w, r, body)
}

func encode(v any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return body.Bytes(), nil
}

// nextLink is the address of the next page.
func nextLink(r *http.Request, v any) string {
	cursor := ""
	switch v := v.(type) {
	case servicesJSON:
		cursor = v.NextCursor
	case incidentsListJSON:
		cursor = v.NextCursor
	case evidenceListJSON:
		cursor = v.NextCursor
	}
	if cursor == "" {
		return ""
	}
	values := r.URL.Query()
	values.Set("cursor", cursor)
	return (&url.URL{Path: r.URL.Path, RawQuery: values.Encode()}).String()
}
