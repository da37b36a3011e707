package api

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/chart"
	"outcry.dev/pkg/store"
)

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

// lineCharts compares services in one chart, or shows the parts of each in charts with the same axis.
func (a *API) lineCharts(ctx context.Context, v view, first *stretch) ([]chart.Chart, error) {
	if v.by != "" {
		return a.split(ctx, v, first)
	}
	c, err := a.comparison(ctx, v, first)
	return []chart.Chart{c}, err
}

// blank is a chart of the steps of a stretch, without lines.
func (v *view) blank(title string, s *stretch) chart.Chart {
	c := chart.Chart{Title: title, From: s.From, To: s.To, Step: s.Step, Source: source}
	if v.rate {
		c.Measure = chart.PerThousand
	}
	for _, p := range s.Points {
		c.Points = append(c.Points, chart.Point{Start: p.Start, Silent: p.Ingested == 0 && p.Mentions == 0})
	}
	return c
}

// comparison has a line for each service.
func (a *API) comparison(ctx context.Context, v view, first *stretch) (chart.Chart, error) {
	c := v.blank(namesOf(v.services), first)
	var people map[string][]int
	if !v.rate { // one question for all
		var ids []string
		for _, s := range v.services {
			ids = append(ids, s.ID)
		}
		var err error
		if people, err = a.deps.Store.Recent(ctx, ids, first.From, first.To, first.Step); err != nil {
			return c, err
		}
	}
	for _, s := range v.services {
		points, of := first.Points, people[s.ID] // nil where nobody complains
		if v.rate {
			var err error
			if points, err = a.pointsOf(ctx, s, first); err != nil {
				return c, err
			}
			of = make([]int, len(points))
			for i := range points {
				of[i] = points[i].People
			}
		}
		c.Lines = append(c.Lines, chart.Line{Name: s.Name, Values: values(points, v.rate, of)})
	}
	return c, nil
}

// split has a chart for each service, with a line for each of its largest parts.
func (a *API) split(ctx context.Context, v view, first *stretch) ([]chart.Chart, error) {
	var charts []chart.Chart
	top := 0.0
	for _, s := range v.services {
		points, err := a.pointsOf(ctx, s, first)
		if err != nil {
			return nil, err
		}
		parts, err := a.deps.Store.Breakdown(ctx, s.ID, v.by, first.From, first.To, first.Step)
		if err != nil {
			return nil, err
		}
		c := v.blank(s.Name+" by "+v.by, first)
		for _, g := range parts[:min(len(parts), pageParts)] {
			people := make([]int, len(points))
			for _, p := range g.Points {
				if i := int(p.Start.Sub(first.From) / first.Step); i >= 0 && i < len(people) {
					people[i] = p.People
				}
			}
			c.Lines = append(c.Lines, chart.Line{Name: partName(v.by, g.Name), Values: values(points, v.rate, people)})
		}
		if len(c.Lines) == 0 {
			c.Lines = []chart.Line{{Name: "nobody", Values: values(points, v.rate, nil)}}
		}
		top = max(top, c.Highest())
		charts = append(charts, c)
	}
	for i := range charts {
		charts[i].Top = top
	}
	return charts, nil
}

// pointsOf a service on the steps of a stretch.
func (a *API) pointsOf(ctx context.Context, s *catalog.Service, of *stretch) ([]store.Point, error) {
	if s == of.Service {
		return of.Points, nil
	}
	return a.deps.Store.Series(ctx, s.ID, of.From, of.To, of.Step)
}

// values are those of a line: nothing where nothing was read and, for rates, where nobody mentions the service. Nobody complained in steps that
// people does not reach.
func values(points []store.Point, rate bool, people []int) []*float64 {
	out := make([]*float64, len(points))
	for i, p := range points {
		v := 0.0
		if i < len(people) {
			v = float64(people[i])
		}
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
