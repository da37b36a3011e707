package api

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"outcry.dev/pkg/chart"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

const (
	wide, narrow     = 960, 340 // of charts, in pixels
	pageIncidents    = 10
	pageEvidence     = 12
	talkedShown      = 50 // services that are talked about, where none was asked for
	quietShown       = 10 // services of a category of which nobody talks, where none was asked for
	assetsCacheHours = 24
)

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"stamp":     stamp,
	"micros":    micros,
	"iso":       func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock":     func(t time.Time) string { return t.UTC().Format("15:04") },
	"date":      func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	"local":     func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04") },
	"thousands": func(n any) string { return thousands(asInt64(n)) },
	"plural":    func(n any, one, many string) string { return plural(asInt64(n), one, many) },
	"lead":      leadWords,
	"lasted":    lasted,
	"state":     incidentWord,
	"web":       webAddress,
	"decimal":   func(x float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0") },
	"percent":   func(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) },
	"category":  categoryName,
	"moment":    momentTime,
	"bar": func(part, whole int64) string {
		return fmt.Sprintf("%.1f", 100*float64(part)/float64(max(whole, part, 1)))
	},
	"steps":      func() []string { return []string{"1m", "5m", "15m", "30m", "1h", "3h", "6h", "12h", "1d"} },
	"breakdowns": store.Breakdowns,
	"states":     func() []string { return []string{"ok", "suspected", "outage", "recovering", "unknown"} },
	"themes":     func() []string { return []string{"auto", "light", "dark"} },
	"words":      func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"ownName":    ownName,
	"visitor":    func() *visitor { return nil }, // of each request: see pageSet
	"styleSheet": func() string { return "/assets/style.css?" + styleVersion },
}).ParseFS(templateFiles, "templates/*.html"))

func asInt64(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	default:
		panic(fmt.Sprintf("api: %T is no count", n)) // a template's mistake, found by its first test
	}
}

// style is the style sheet of the pages, with that of the charts.
var style = func() []byte {
	own, err := assetFiles.ReadFile("assets/style.css")
	if err != nil {
		panic(err) // embedded
	}
	return slices.Concat([]byte(chart.Style), own)
}()

// styleVersion lets browsers keep the style sheet until it changes.
var styleVersion = func() string {
	h := fnv.New32a()
	_, _ = h.Write(style) // a hash does not fail
	return fmt.Sprintf("%08x", h.Sum32())
}()

// pageSet are the pages with the visitor that their head names. One request uses a set at a time.
type pageSet struct {
	*template.Template
	visitor *visitor
}

var pageSets = sync.Pool{New: func() any {
	s := &pageSet{}
	s.Template = template.Must(pages.Clone()).Funcs(template.FuncMap{"visitor": func() *visitor { return s.visitor }})
	return s
}}

// render writes a page, once it is whole. Without a request its head says nothing of the visitor.
func (a *API) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	var body bytes.Buffer
	set := pageSets.Get().(*pageSet) //nolint:forcetypeassert // nothing else is in it
	set.visitor = a.visitor(r)
	if set.visitor != nil {
		w.Header().Set("Vary", "Authorization, Cookie")
	}
	err := set.ExecuteTemplate(&body, name, data)
	pageSets.Put(set)
	if err != nil {
		return fmt.Errorf("write page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // whoever asked has gone
	return nil
}

func (a *API) writeErrorPage(w http.ResponseWriter, p *problem) {
	err := a.render(w, nil, p.Status, "error.html", struct {
		Title  string
		Detail string
	}{http.StatusText(p.Status), p.Detail})
	if err != nil {
		a.deps.Log.Error("cannot write the error page", "error", err)
		http.Error(w, p.Detail, p.Status)
	}
}

func (a *API) asset(w http.ResponseWriter, r *http.Request) error {
	var body []byte
	switch r.PathValue("name") {
	case "style.css":
		body = style
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
	case "style-light.css", "style-dark.css": // whatever the reader's system is
		media := "@media all"
		if r.PathValue("name") == "style-light.css" {
			media = "@media not all"
		}
		body = bytes.ReplaceAll(style, []byte("@media (prefers-color-scheme: dark)"), []byte(media))
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
	case "icon.svg":
		icon, err := assetFiles.ReadFile("assets/icon.svg")
		if err != nil {
			return err
		}
		body = icon
		w.Header().Set("Content-Type", "image/svg+xml")
	case "frame.js", "live.js", "chart.js", "compose.js":
		return writeScript(w, r.PathValue("name"))
	default:
		return a.nothing(w, r)
	}
	w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", assetsCacheHours*3600))
	_, _ = w.Write(body) // whoever asked has gone
	return nil
}

func writeScript(w http.ResponseWriter, name string) error {
	script, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	_, _ = w.Write(script) // whoever asked has gone
	return nil
}

// incidentRow is an incident and what a page says beside it.
type incidentRow struct {
	*outcryv1.Incident
	Name string // of the service
	At   time.Time
}

func (a *API) incidentRow(i *outcryv1.Incident, at time.Time) incidentRow {
	return incidentRow{Incident: i, Name: a.name(i.GetService()), At: at}
}

// incidentList is a table of incidents: of one service, or of many.
type incidentList struct {
	Rows []incidentRow
	Many bool
}

func (a *API) incidentList(incidents []*outcryv1.Incident, at time.Time, many bool) incidentList {
	list := incidentList{Many: many}
	for _, i := range incidents {
		list.Rows = append(list.Rows, a.incidentRow(i, at))
	}
	return list
}

// name of a service that the catalog may have lost since.
func (a *API) name(service string) string {
	if s, ok := a.deps.Catalog.ByID(service); ok {
		return s.Name
	}
	return service
}

func (a *API) home(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r, "at")
	at, chosen := p.time("at"), p.choice()
	if p.fault != nil {
		return p.fault
	}
	o, err := a.overview(r.Context(), at)
	if err != nil {
		return err
	}
	o.Services = slices.DeleteFunc(o.Services, func(s serviceNow) bool { return !chosen.holds(&s) })
	if err := a.sparks(r.Context(), o); err != nil {
		return err
	}
	incidents, err := a.deps.Store.Incidents(r.Context(), store.IncidentFilter{To: o.At, Limit: pageIncidents})
	if err != nil {
		return err
	}
	type group struct {
		Category string
		Services []serviceNow
		More     int
	}
	data := struct {
		*overview
		Asked      bool
		Chosen     url.Values
		Narrowed   bool
		Categories []string
		Unusual    []serviceNow
		Talked     []serviceNow
		MoreTalked int
		Quiet      []group
		Unknown    int
		Incidents  incidentList
	}{overview: o, Asked: !at.IsZero(), Chosen: p.values, Narrowed: chosen.narrows(), Categories: a.categories(), Incidents: a.incidentList(incidents, o.At, true)}
	quiet := map[string][]serviceNow{}
	for _, s := range o.Services {
		if s.State == stateUnknown {
			data.Unknown++
		}
		switch {
		case s.State.rank() > stateUnknown.rank():
			data.Unusual = append(data.Unusual, s)
		case s.Mentions > 0:
			data.Talked = append(data.Talked, s)
		default:
			quiet[s.Category] = append(quiet[s.Category], s)
		}
	}
	if n := len(data.Talked); n > talkedShown && !data.Narrowed && p.values.Get("talked") != "all" {
		data.Talked, data.MoreTalked = data.Talked[:talkedShown], n-talkedShown
	}
	for category, services := range quiet {
		g := group{Category: category, Services: services}
		if len(services) > quietShown+1 && !data.Narrowed {
			g.Services, g.More = services[:quietShown], len(services)-quietShown
		}
		data.Quiet = append(data.Quiet, g)
	}
	slices.SortFunc(data.Quiet, func(x, y group) int { return cmp.Compare(x.Category, y.Category) })
	return a.render(w, r, http.StatusOK, "home.html", data)
}

const (
	maxSparks  = 60
	sparkSteps = 24
	sparkStep  = 15 * time.Minute
)

// sparks draws the last hours of the services that are talked about.
func (a *API) sparks(ctx context.Context, o *overview) error {
	var ids []string
	for _, s := range o.Services {
		if (s.Mentions > 0 || s.State.rank() > stateUnknown.rank()) && len(ids) < maxSparks {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	end := o.At.Truncate(sparkStep)
	if end.Before(o.At) {
		end = end.Add(sparkStep)
	}
	people, err := a.deps.Store.Recent(ctx, ids, end.Add(-sparkSteps*sparkStep), end, sparkStep)
	if err != nil {
		return err
	}
	for i := range o.Services {
		if values := people[o.Services[i].ID]; values != nil {
			o.Services[i].Spark = spark(values)
		}
	}
	return nil
}

// spark is the path of a line through values in a box of 96 by 20.
func spark(values []int) string {
	top := max(5, slices.Max(values))
	var b strings.Builder
	for i, v := range values {
		fmt.Fprintf(&b, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], 96*float64(i)/float64(max(1, len(values)-1)), 19-18*float64(v)/float64(top))
	}
	return b.String()
}

// categories of the catalog, in order.
func (a *API) categories() []string {
	var out []string
	for i := range a.deps.Catalog.Services {
		if c := a.deps.Catalog.Services[i].Category; c != "" && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}

func (a *API) chartImage(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r, "from", "to", "step", "width")
	asked, width := p.timeRange(), p.number("width", wide, 320, 2000)
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
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "max-age=60")
	// The picture carries its own style.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	_, _ = w.Write(chart.SVG(s.chart(), chart.Options{Width: width, Standalone: true})) // whoever asked has gone
	return nil
}

// around is a range that shows an incident with what was before and, if it is over, after.
func around(i *outcryv1.Incident, at time.Time) timeRange {
	from, to := micros(i.GetStartedAtUs()).Add(-lead), micros(i.GetResolvedAtUs()).Add(lead/2)
	if i.GetResolvedAtUs() == 0 {
		to = at
	}
	if latest := micros(i.GetDecidedAtUs()).Add(time.Minute); to.Before(latest) {
		to = latest
	}
	return timeRange{from: from.Truncate(time.Minute), to: to.Truncate(time.Minute)}
}

// moment is a line in the life of an incident.
type moment struct {
	Time time.Time
	Text string
	Kind string
}

func moments(i *outcryv1.Incident) []moment {
	var out []moment
	for _, m := range []struct {
		us         int64
		text, kind string
	}{
		{i.GetStartedAtUs(), "First unusual minute", "started"},
		{i.GetDetectedAtUs(), "Detected: suspected", "detected"},
		{i.GetConfirmedAtUs(), "Confirmed as an outage", "confirmed"},
		{i.GetOfficialAtUs(), "First official word", "official"},
		{i.GetRecoveringAtUs(), "Recovering", "recovering"},
		{i.GetResolvedAtUs(), "Resolved", "resolved"},
	} {
		if m.us != 0 {
			out = append(out, moment{micros(m.us), m.text, m.kind})
		}
	}
	slices.SortStableFunc(out, func(x, y moment) int { return x.Time.Compare(y.Time) })
	return out
}
