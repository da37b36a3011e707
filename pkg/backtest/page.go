package backtest

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"outcry.dev/pkg/chart"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// Figure is one picture of the page.
type Figure struct {
	Settings string
	Title    string
	Caption  string
	Chart    chart.Chart
}

// Figure returns the picture of an incident or a missed outage, without its points, and the stretch of time that it shows.
func (j *Judged) Figure(settings string) Figure {
	from, to := j.Started, j.end
	f := Figure{Settings: settings, Title: j.ID, Caption: fmt.Sprintf("%s: %s. %s", j.Outcome, j.Why, j.Explained)}
	c := &f.Chart
	c.Alarms = []chart.Span{{From: j.Started, To: j.end}}
	if t := j.Truth; t != nil {
		from = earlier(from, t.Start)
		c.Marks = append(c.Marks, chart.Mark{Time: t.Start, Kind: chart.Started, Label: "outage begins"})
		if !t.Official.IsZero() {
			c.Marks = append(c.Marks, chart.Mark{Time: t.Official, Kind: chart.Official, Label: "first official word"})
		}
	} else if !j.Official.IsZero() {
		c.Marks = append(c.Marks, chart.Mark{Time: j.Official, Kind: chart.Official, Label: "first official word"})
	}
	c.Marks = append(c.Marks, chart.Mark{Time: j.Detected, Kind: chart.Detected, Label: "detected"})
	if !j.Resolved.IsZero() {
		c.Marks = append(c.Marks, chart.Mark{Time: j.Resolved, Kind: chart.Resolved, Label: "resolved"})
	}
	f.stretch(j.Service, from, to)
	return f
}

// Figure returns the picture of a missed outage, without its points.
func (m *Missed) Figure(settings string) Figure {
	f := Figure{Settings: settings, Title: m.Service + ", missed", Caption: "No incident was opened for this outage (" + m.Kind + ")."}
	f.Chart.Marks = []chart.Mark{{Time: m.Start, Kind: chart.Started, Label: "outage begins"}}
	if !m.Official.IsZero() {
		f.Chart.Marks = append(f.Chart.Marks, chart.Mark{Time: m.Official, Kind: chart.Official, Label: "first official word"})
	}
	f.stretch(m.Service, m.Start, m.End)
	return f
}

// stretch sets the axis: some time before and after, in steps that make a few hundred points at most.
func (f *Figure) stretch(service string, from, to time.Time) {
	margin := max(to.Sub(from)/4, time.Hour)
	c := &f.Chart
	c.Title, c.Source = service, "Source: outcry backtest."
	c.Step = time.Minute
	for _, s := range []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour} {
		if to.Sub(from)+2*margin > 300*c.Step {
			c.Step = s
		}
	}
	c.From, c.To = from.Add(-margin).Truncate(c.Step), to.Add(margin).Truncate(c.Step).Add(c.Step)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// WritePage writes one HTML file with the tables and pictures, which needs nothing else and runs no script.
func (r *Report) WritePage(w io.Writer, figures []Figure) error {
	type table struct {
		Title  string
		Header []string
		Lines  [][]string
	}
	type picture struct {
		Figure
		SVG template.HTML
	}
	var data struct {
		*Report
		Header   []string
		Lines    [][]string
		Tables   []table
		Pictures []picture
	}
	data.Report = r
	data.Header, data.Lines = r.table()
	for i := range r.Results {
		for _, s := range r.Results[i].sections() {
			title := s.title
			if len(r.Results) > 1 {
				title += ", " + r.Results[i].Settings
			}
			data.Tables = append(data.Tables, table{title, s.header, s.lines})
		}
	}
	for n := range figures {
		svg := chart.SVG(figures[n].Chart, chart.Options{Width: 900, Standalone: true, ID: fmt.Sprintf("f%d-", n)})
		data.Pictures = append(data.Pictures, picture{figures[n], template.HTML(svg)}) //nolint:gosec // chart escapes what it draws
	}
	return page.Execute(w, &data)
}
