package api

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/chart"
)

const (
	// pagePoints is how many steps a chart of a page has at most: a day by the minute.
	pagePoints = 1440
	// pageRows is up to how many steps a page has the numbers as a table, and pageCells up to how many numbers in all; more are files.
	pageRows, pageCells = 500, 4000
	// pageParts is how many parts of a service a chart shows, the largest ones.
	pageParts = 8
)

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

// closest that a page zooms in.
const closest = 10 * time.Minute

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
