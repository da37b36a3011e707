package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/chart"
	"outcry.dev/pkg/places"
	"outcry.dev/pkg/store"
)

const (
	// pagePoints is how many steps a chart of a page has at most: a day by the minute.
	pagePoints = 1440
	// pageRows is up to how many steps a page has the numbers as a table, and pageCells up to how many numbers in all; more are files.
	pageRows, pageCells = 500, 4000
	// pageParts is how many parts of a service a chart shows, the largest ones.
	pageParts = 8
	// closest that a page zooms in.
	closest = 10 * time.Minute
)

// view is what the charts of a page show. The address of the page holds all of it.
type view struct {
	path     string           // of the page
	own      *catalog.Service // whose page it is; nil where services are explored
	services []*catalog.Service
	timeRange
	by   string // one of store.Breakdowns; empty for the whole
	rate bool   // people for 1,000 mentions, instead of people
}

// readView reads an address. What was typed to be added and is not found is said in notice.
func (a *API) readView(r *http.Request, own *catalog.Service) (v view, notice string, err error) {
	p := &params{values: r.URL.Query()}
	v = view{path: r.URL.Path, own: own, timeRange: p.timeRange(), by: p.values.Get("by"), rate: p.values.Get("measure") == "rate"}
	if m := p.values.Get("measure"); m != "" && m != "people" && m != "rate" {
		p.fail("measure %q is neither people nor rate.", clip(m))
	}
	if v.by != "" && !slices.Contains(store.Breakdowns(), v.by) {
		p.fail("by %q is none of %s.", clip(v.by), strings.Join(store.Breakdowns(), ", "))
	}
	if p.fault != nil {
		return v, "", p.fault
	}
	if own != nil {
		v.services = append(v.services, own)
	}
	for _, id := range splitAll(p.values[v.others()]) {
		service, err := a.find(id)
		if err != nil {
			return v, "", err
		}
		v.add(service)
	}
	for _, name := range splitAll(p.values["add"]) {
		service := a.named(name)
		switch {
		case service == nil:
			_, err := a.find(strings.ToLower(name)) // which names the nearest
			notice = strings.TrimSuffix(err.Error(), "; /v1/services lists all.")
		case len(v.services) >= maxCompared:
			notice = fmt.Sprintf("More than %d services cannot be told apart in one chart.", maxCompared)
		default:
			v.add(service)
		}
	}
	if len(v.services) > maxCompared {
		return v, "", badRequest("More than %d services cannot be told apart in one chart.", maxCompared)
	}
	return v, notice, nil
}

// others is the parameter of the services that are not the page's own.
func (v *view) others() string {
	if v.own != nil {
		return "with"
	}
	return "service"
}

func (v *view) add(s *catalog.Service) {
	if !slices.Contains(v.services, s) {
		v.services = append(v.services, s)
	}
}

// named finds a service by what a person types: its id, its name, or the beginning of a single one.
func (a *API) named(text string) *catalog.Service {
	if s, ok := a.deps.Catalog.ByID(strings.ToLower(text)); ok {
		return s
	}
	var begins []*catalog.Service
	for i := range a.deps.Catalog.Services {
		s := &a.deps.Catalog.Services[i]
		if strings.EqualFold(s.Name, text) {
			return s
		}
		if strings.HasPrefix(strings.ToLower(s.Name), strings.ToLower(text)) {
			begins = append(begins, s)
		}
	}
	if len(begins) == 1 {
		return begins[0]
	}
	return nil
}

func splitAll(values []string) []string {
	var out []string
	for _, value := range values {
		for word := range strings.SplitSeq(value, ",") {
			if word = strings.TrimSpace(word); word != "" {
				out = append(out, word)
			}
		}
	}
	return out
}

// Address is where the view is.
func (v view) Address() string {
	values := url.Values{}
	var ids []string
	for _, s := range v.services {
		if s != v.own {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) > 0 {
		values.Set(v.others(), strings.Join(ids, ","))
	}
	if !v.from.IsZero() {
		values.Set("from", v.from.Format("2006-01-02T15:04Z"))
	}
	if !v.to.IsZero() {
		values.Set("to", v.to.Format("2006-01-02T15:04Z"))
	}
	if v.step != 0 {
		values.Set("step", shortDuration(v.step))
	}
	if v.by != "" {
		values.Set("by", v.by)
	}
	if v.rate {
		values.Set("measure", "rate")
	}
	if len(values) == 0 {
		return v.path
	}
	// Colons and commas need no escape in a query, and addresses are read by people.
	return v.path + "?" + strings.NewReplacer("%3A", ":", "%2C", ",").Replace(values.Encode())
}

// between is the same view of another time. A step that was asked for stays where the length does.
func (v view) between(from, to time.Time) view {
	if to.Sub(from) != v.to.Sub(v.from) {
		v.step = 0
	}
	v.from, v.to = from, to
	return v
}

func (v view) without(s *catalog.Service) view {
	v.services = slices.DeleteFunc(slices.Clone(v.services), func(o *catalog.Service) bool { return o == s })
	return v
}

// panel is a view as a page shows it.
type panel struct {
	view      view
	Figures   []figure
	Ranges    []link
	Chosen    []chosen
	From, To  time.Time
	Step      string // of the chart
	AskedStep string // empty where it was left open
	By        string
	Rate      bool
	Own       *catalog.Service
	Lines     bool // rather than one service with what is expected
	Others    string
	Live      string // stream of changes, where the view ends with the data
	Notice    string
	Data      []download
}

// chosen is a service of a view.
type chosen struct {
	*catalog.Service
	Remove string
}

// download is an address of the numbers.
type download struct{ Text, Address string }

// figure is a chart in a page.
type figure struct {
	Wide, Narrow template.HTML
	// Numbers are for the script that says what is under the pointer.
	Numbers string
	Columns []string
	Rows    []figureRow // empty where there are too many
}

type figureRow struct {
	Time  time.Time
	Cells []string
}

// coarse makes a step longer that would cut the range into more than a page shows.
func (r timeRange) coarse() timeRange {
	length := r.to.Sub(r.from)
	if r.step != 0 && !r.from.IsZero() && !r.to.IsZero() && length > pagePoints*r.step {
		r.step = stepFor(length, pagePoints)
	}
	return r
}

// panel draws a view. The stretch of its first service is taken where it is known.
func (a *API) panel(ctx context.Context, v view, first *stretch) (*panel, error) {
	p := &panel{view: v, By: v.by, Rate: v.rate, Own: v.own, Others: v.others(), Lines: len(v.services) > 1 || v.by != "" || v.rate}
	if v.step != 0 {
		p.AskedStep = shortDuration(v.step)
	}
	for _, s := range v.services {
		c := chosen{Service: s}
		if s != v.own {
			c.Remove = v.without(s).Address()
		}
		p.Chosen = append(p.Chosen, c)
	}
	if len(v.services) == 0 {
		return p, nil
	}
	if v.from.IsZero() && v.to.IsZero() {
		p.Live = "/v1/services/" + url.PathEscape(v.services[0].ID) + "/series/stream"
	}
	var err error
	if first == nil {
		if first, err = a.stretch(ctx, v.services[0], v.coarse()); err != nil {
			return nil, err
		}
	}
	p.From, p.To, p.Step = first.From, first.To, shortDuration(first.Step)
	charts := []chart.Chart{first.chart()}
	if p.Lines {
		if charts, err = a.lineCharts(ctx, v, first); err != nil {
			return nil, err
		}
	}
	cells := 0
	for n, c := range charts {
		p.Figures = append(p.Figures, newFigure(c, strconv.Itoa(n)))
		cells += len(p.Figures[n].Rows) * len(p.Figures[n].Columns)
	}
	if cells > pageCells {
		for n := range p.Figures {
			p.Figures[n].Rows = nil
		}
	}
	end, err := a.endOf(ctx, v.services[0].ID)
	if err != nil {
		return nil, err
	}
	v.from, v.to = first.From, first.To
	p.Ranges = ranges(v, end)
	p.Data = a.downloads(v, first)
	return p, nil
}

// Hidden are the services that a form carries along.
func (p *panel) Hidden() string {
	var ids []string
	for _, s := range p.view.services {
		if s != p.view.own {
			ids = append(ids, s.ID)
		}
	}
	return strings.Join(ids, ",")
}

// Path is where the form of the panel goes.
func (p *panel) Path() string { return p.view.path }

func (a *API) downloads(v view, first *stretch) []download {
	query := fmt.Sprintf("from=%s&to=%s&step=%s", first.From.Format(time.RFC3339), first.To.Format(time.RFC3339), shortDuration(first.Step))
	id := url.PathEscape(first.Service.ID)
	switch {
	case len(v.services) > 1 && v.by == "":
		var ids []string
		for _, s := range v.services {
			ids = append(ids, s.ID)
		}
		query = "service=" + strings.Join(ids, ",") + "&" + query
		return []download{{"data", "/v1/series?" + query}, {"CSV", "/v1/series.csv?" + query}, {"Parquet", "/v1/series.parquet?" + query}}
	case v.by != "":
		var out []download
		for _, s := range v.services {
			address, name := "/v1/services/"+url.PathEscape(s.ID)+"/breakdown", ""
			if len(v.services) > 1 {
				name = " of " + s.Name
			}
			out = append(out, download{"data" + name, address + "?by=" + v.by + "&" + query}, download{"CSV" + name, address + ".csv?by=" + v.by + "&" + query})
		}
		return out
	default:
		return []download{{"picture", "/services/" + id + "/chart.svg?" + query}, {"embed", "/services/" + id + "/embed?" + query},
			{"data", "/v1/services/" + id + "/series?" + query}, {"CSV", "/v1/services/" + id + "/series.csv?" + query}, {"Parquet", "/v1/services/" + id + "/series.parquet?" + query}}
	}
}

// lineCharts compares services in one chart, or shows the parts of each in charts with the same axis.
func (a *API) lineCharts(ctx context.Context, v view, first *stretch) ([]chart.Chart, error) {
	blank := func(title string) chart.Chart {
		c := chart.Chart{Title: title, From: first.From, To: first.To, Step: first.Step, Source: source}
		if v.rate {
			c.Measure = chart.PerThousand
		}
		for _, p := range first.Points {
			c.Points = append(c.Points, chart.Point{Start: p.Start, Silent: p.Ingested == 0 && p.Mentions == 0})
		}
		return c
	}
	together := blank(namesOf(v.services))
	if v.by == "" && !v.rate { // one question for all
		var ids []string
		for _, s := range v.services {
			ids = append(ids, s.ID)
		}
		people, err := a.deps.Store.Recent(ctx, ids, first.From, first.To, first.Step)
		if err != nil {
			return nil, err
		}
		for _, s := range v.services {
			of := people[s.ID] // nil where nobody complains
			together.Lines = append(together.Lines, chart.Line{Name: s.Name, Values: values(first.Points, false, func(i int) int {
				if i >= len(of) {
					return 0
				}
				return of[i]
			})})
		}
		return []chart.Chart{together}, nil
	}
	var charts []chart.Chart
	for _, s := range v.services {
		points := first.Points
		if s != first.Service {
			var err error
			if points, err = a.deps.Store.Series(ctx, s.ID, first.From, first.To, first.Step); err != nil {
				return nil, err
			}
		}
		if v.by == "" {
			together.Lines = append(together.Lines, chart.Line{Name: s.Name, Values: values(points, v.rate, func(i int) int { return points[i].People })})
			continue
		}
		parts, err := a.deps.Store.Breakdown(ctx, s.ID, v.by, first.From, first.To, first.Step)
		if err != nil {
			return nil, err
		}
		c := blank(s.Name + " by " + v.by)
		for _, g := range parts[:min(len(parts), pageParts)] {
			people := make([]int, len(points))
			for _, p := range g.Points {
				if i := int(p.Start.Sub(first.From) / first.Step); i >= 0 && i < len(people) {
					people[i] = p.People
				}
			}
			c.Lines = append(c.Lines, chart.Line{Name: partName(v.by, g.Name), Values: values(points, v.rate, func(i int) int { return people[i] })})
		}
		if len(c.Lines) == 0 {
			c.Lines = []chart.Line{{Name: "nobody", Values: values(points, v.rate, func(int) int { return 0 })}}
		}
		charts = append(charts, c)
	}
	if v.by == "" {
		return []chart.Chart{together}, nil
	}
	top := 0.0
	for i := range charts {
		top = max(top, charts[i].Highest())
	}
	for i := range charts {
		charts[i].Top = top
	}
	return charts, nil
}

// values are those of a line: nothing where nothing was read and, for rates, where nobody mentions the service.
func values(points []store.Point, rate bool, people func(int) int) []*float64 {
	out := make([]*float64, len(points))
	for i, p := range points {
		v := float64(people(i))
		switch {
		case p.Ingested == 0 && p.Mentions == 0, rate && p.Mentions == 0:
			continue
		case rate:
			v = math.Round(10_000*v/float64(p.Mentions)) / 10
		}
		out[i] = &v
	}
	return out
}

// namesOf joins names: Skype, Viber and Kik.
func namesOf(services []*catalog.Service) string {
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// partName is a part of a service for people.
func partName(by, name string) string {
	switch {
	case name == "":
		return "not said"
	case by == "language":
		return languageName(name)
	case by == "place":
		country, _, city := strings.Cut(name, "/")
		if city {
			return places.Name(name) + ", " + places.Name(country)
		}
		return places.Name(name)
	}
	return strings.ReplaceAll(name, "_", " ")
}

func newFigure(c chart.Chart, id string) figure {
	// The chart escapes what it is given.
	draw := func(width int, id string) template.HTML {
		return template.HTML(chart.SVG(c, chart.Options{Width: width, ID: id}))
	}
	f := figure{Wide: draw(wide, "wide"+id), Narrow: draw(narrow, "narrow"+id)}
	f.number(c)
	return f
}

// number gives a figure its numbers, for a script and as a table.
func (f *figure) number(c chart.Chart) {
	type band [2]float64
	numbers := struct {
		Names  []string     `json:"names"`
		Values [][]*float64 `json:"values"`
		Bands  []*band      `json:"bands,omitempty"`
		Rate   bool         `json:"rate,omitempty"`
	}{Rate: c.Measure == chart.PerThousand}
	if len(c.Lines) == 0 {
		people := make([]*float64, len(c.Points))
		for i, p := range c.Points {
			if !p.Silent {
				n := float64(p.People)
				people[i] = &n
			}
			var b *band
			if p.Band != nil {
				b = &band{math.Round(10*p.Band.Lower) / 10, math.Round(10*p.Band.Upper) / 10}
			}
			numbers.Bands = append(numbers.Bands, b)
		}
		numbers.Names, numbers.Values = []string{"people"}, [][]*float64{people}
		f.Columns = []string{"People", "Expected"}
	}
	for _, l := range c.Lines {
		numbers.Names, numbers.Values, f.Columns = append(numbers.Names, l.Name), append(numbers.Values, l.Values), append(f.Columns, l.Name)
	}
	encoded, err := json.Marshal(numbers)
	if err != nil {
		panic(fmt.Sprintf("api: numbers of a chart: %v", err)) // they are finite
	}
	f.Numbers = string(encoded)
	if len(c.Points) > pageRows {
		return
	}
	for i, p := range c.Points {
		row := figureRow{Time: p.Start}
		for _, line := range numbers.Values {
			cell := "not known"
			if i < len(line) && line[i] != nil {
				cell = strconv.FormatFloat(*line[i], 'f', -1, 64)
			}
			row.Cells = append(row.Cells, cell)
		}
		if len(c.Lines) == 0 {
			expected := ""
			if b := numbers.Bands[i]; b != nil {
				expected = fmt.Sprintf("%v to %v", b[0], b[1])
			}
			row.Cells = append(row.Cells, expected)
		}
		f.Rows = append(f.Rows, row)
	}
}

// link is a range to choose.
type link struct {
	Text, Address string
	Does          string // for the keyboard: earlier, later, in or out
	Current       bool
}

// ranges are those that a page offers, from a view whose time is known.
func ranges(v view, end time.Time) []link {
	length := v.to.Sub(v.from)
	half, quarter := (length / 2).Truncate(time.Minute), (length / 4).Truncate(time.Minute)
	out := []link{{Text: "← Earlier", Does: "earlier", Address: v.between(v.from.Add(-half), v.to.Add(-half)).Address()}}
	if v.to.Before(end) {
		out = append(out, link{Text: "Later →", Does: "later", Address: v.between(v.from.Add(half), v.to.Add(half)).Address()})
	}
	if length-2*quarter >= closest {
		out = append(out, link{Text: "Zoom in", Does: "in", Address: v.between(v.from.Add(quarter), v.to.Add(-quarter)).Address()})
	}
	if length < maxPoints*day/2 {
		to := v.to.Add(half)
		if to.After(end) && !v.to.After(end) {
			to = end
		}
		out = append(out, link{Text: "Zoom out", Does: "out", Address: v.between(v.from.Add(-half), to).Address()})
	}
	for _, l := range []struct {
		text   string
		length time.Duration
	}{{"6 hours", 6 * time.Hour}, {"24 hours", day}, {"7 days", 7 * day}, {"30 days", 30 * day}} {
		out = append(out, link{Text: l.text, Address: v.between(end.Add(-l.length), end).Address(), Current: v.to.Equal(end) && length == l.length})
	}
	return out
}

// explore is the page of any services at any time.
func (a *API) explore(w http.ResponseWriter, r *http.Request) error {
	v, notice, err := a.readView(r, nil)
	if err != nil {
		return err
	}
	if notice == "" && r.URL.Query().Has("add") { // a form was sent: its address is long
		http.Redirect(w, r, v.Address(), http.StatusSeeOther)
		return nil
	}
	ctx := r.Context()
	p, err := a.panel(ctx, v, nil)
	if err != nil {
		return err
	}
	p.Notice = notice
	data := struct {
		*panel
		Title   string
		Suggest []suggestion
	}{panel: p, Title: "Explore"}
	if len(v.services) > 0 {
		data.Title = namesOf(v.services)
		if v.by != "" {
			data.Title += " by " + v.by
		}
	}
	o, err := a.overview(ctx, time.Time{})
	if err != nil {
		return err
	}
	for i := range o.Services {
		s := &o.Services[i]
		if len(data.Suggest) < 8 && !slices.Contains(v.services, s.Service) && (s.Mentions > 0 || len(v.services) == 0) {
			more := v
			more.services = append(slices.Clone(v.services), s.Service)
			data.Suggest = append(data.Suggest, suggestion{s.Name, more.Address()})
		}
	}
	return a.render(w, r, http.StatusOK, "explore.html", data)
}

// suggestion is a service that a view could take in.
type suggestion struct{ Name, Address string }

// part is a share of the people who complain.
type part struct {
	Name    string
	People  int64
	Address string // of the chart of all parts; empty for none
}

type partList struct {
	Title, ID string
	Whole     int64
	Parts     []part
	Address   string // of their chart
}

const shownParts = 6

// parts are those of a stretch of a service.
func (a *API) parts(ctx context.Context, v view, s *stretch) ([]partList, error) {
	var out []partList
	for _, by := range []struct{ name, title string }{{"symptom", "What fails"}, {"place", "Where"}, {"language", "Languages"}, {"source", "Sources"}} {
		split := v
		split.by = by.name
		list := partList{Title: by.title, ID: by.name, Address: split.Address()}
		groups, err := a.deps.Store.Breakdown(ctx, s.Service.ID, by.name, s.From, s.To, day)
		if err != nil {
			return nil, err
		}
		for _, g := range groups[:min(len(groups), shownParts)] {
			list.Parts = append(list.Parts, part{Name: partName(by.name, g.Name), People: int64(g.People)})
			list.Whole = max(list.Whole, int64(g.People))
		}
		if len(list.Parts) > 0 {
			out = append(out, list)
		}
	}
	return out, nil
}

// spike is an alarm: when, and the window of it that is least likely by chance.
type spike struct {
	span
	store.SpikeWindow
}

// spikes are the alarms of a stretch, the last ones first.
func spikes(s *stretch) []spike {
	var out []spike
	for _, a := range s.Alarms {
		worst := -1
		for i, w := range s.Windows {
			if begin := w.End.Add(-w.Window); !begin.Before(a.From) && !w.End.After(a.To) && (worst < 0 || w.Score > s.Windows[worst].Score) {
				worst = i
			}
		}
		if worst >= 0 {
			out = append(out, spike{a, s.Windows[worst]})
		}
	}
	slices.SortFunc(out, func(x, y spike) int { return cmp.Compare(y.From.Unix(), x.From.Unix()) })
	return out[:min(len(out), 10)]
}

// Length of the window in words.
func (s spike) Length() string { return longDuration(s.Window) }

// Chance says how often chance does this.
func (s spike) Chance() string {
	switch {
	case s.Score < 3:
		return fmt.Sprintf("once in %s", thousands(int64(math.Round(math.Pow(10, s.Score)))))
	default:
		return fmt.Sprintf("once in 10^%d", int(s.Score))
	}
}
