package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// MostLines that a chart keeps apart: services that are compared, or parts of one.
const MostLines = 10

// lineColors is how many colors lines have; those beyond them are dashed.
const lineColors = 8

// Line is one of several curves on one axis.
type Line struct {
	Name string
	// Values are those of the chart's Points, in their order; nil where nothing is known.
	Values []*float64
}

// Measure is what the values of lines are.
type Measure string

// Measures.
const (
	// People who complained within a step.
	People Measure = ""
	// PerThousand is people who complained for 1,000 posts that mention the service.
	PerThousand Measure = "per 1,000 mentions"
)

// value is what a line has at a point; known is false where it has nothing.
func (l *Line) value(i int) (v float64, known bool) {
	if i >= len(l.Values) || l.Values[i] == nil {
		return 0, false
	}
	return finite(*l.Values[i]), true
}

// peak is the highest value of a line, and at which point; -1 where nothing is known.
func (l *Line) peak() (highest float64, at int) {
	at = -1
	for i := range l.Values {
		if v, known := l.value(i); known && (at < 0 || v > highest) {
			highest, at = v, i
		}
	}
	return highest, at
}

// Highest is the highest value that is drawn, for charts that share an axis.
func (c *Chart) Highest() float64 {
	top := 0.0
	for i := range c.Lines {
		v, _ := c.Lines[i].peak()
		top = max(top, v)
	}
	if len(c.Lines) > 0 {
		return top
	}
	for _, p := range c.Points {
		top = max(top, float64(p.People))
		if p.Band != nil {
			top = max(top, finite(p.Band.Upper))
		}
	}
	return top
}

// describeLines says in words what lines show.
func (c *Chart) describeLines(b *strings.Builder) {
	for i := range c.Lines {
		l := &c.Lines[i]
		highest, at := l.peak()
		switch {
		case at < 0 || at >= len(c.Points):
			fmt.Fprintf(b, " %s: nothing is known.", l.Name)
		case highest == 0:
			fmt.Fprintf(b, " %s: nobody complained.", l.Name)
		case c.Measure == PerThousand:
			fmt.Fprintf(b, " %s: at most %s people per 1,000 mentions complained, at %s.", l.Name, short(highest), stamp(c.Points[at].Start))
		default:
			fmt.Fprintf(b, " %s: at most %s people per %s complained, at %s.", l.Name, short(highest), stepName(c.Step), stamp(c.Points[at].Start))
		}
	}
}

// runs yields the stretches of points in which a line is known, as from and to, exclusive.
func (l *Line) runs(points int, f func(from, to int)) {
	for i := 0; i < points; {
		if _, known := l.value(i); !known {
			i++
			continue
		}
		j := i
		for j < points {
			if _, known := l.value(j); !known {
				break
			}
			j++
		}
		f(i, j)
		i = j
	}
}

// lines draws the curves, those named first on top.
func (d *drawing) lines() {
	for i, l := range slices.Backward(d.c.Lines) {
		var curve path
		l.runs(len(d.c.Points), func(from, to int) { d.run(&curve, &l, from, to) })
		if curve.Len() > 0 {
			d.printf("<path class=\"chart-line %s\" d=\"%s\"/>\n", lineClass(i), curve.String())
		}
	}
}

// run runs through the middles of steps; a single step is as wide as it is.
func (d *drawing) run(curve *path, l *Line, from, to int) {
	at := func(i int) float64 { v, _ := l.value(i); return d.y(v) }
	if to-from == 1 {
		p := d.c.Points[from]
		curve.move(d.x(p.Start), at(from))
		curve.across(d.x(p.Start.Add(d.c.Step)))
		return
	}
	for i := from; i < to; i++ {
		switch x, y := d.middle(d.c.Points[i]), at(i); {
		case i == from:
			curve.move(x, y)
		case i < to-1 && num(y) == num(at(i-1)) && num(y) == num(at(i+1)):
			// Along a level stretch its ends are enough.
		default:
			curve.line(x, y)
		}
	}
}

func lineClass(i int) string {
	class := fmt.Sprintf("chart-line-%d", i%lineColors+1)
	if i >= lineColors {
		class += " chart-line-dashed"
	}
	return class
}

// silences marks the steps in which nothing was read, beneath the lines.
func (d *drawing) silences() {
	for silent, stretch := range stretches(d.c.Points, func(p Point) bool { return p.Silent }) {
		if silent {
			x, end := d.x(stretch[0].Start), d.x(stretch[len(stretch)-1].Start.Add(d.c.Step))
			d.printf("<rect class=\"chart-silent\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"/>\n", num(x), num(d.top), num(end-x), num(d.bottom-d.top))
		}
	}
}

// plot tells a page where the plot is and what its axes are, so that a script can say what is under the pointer.
func (d *drawing) plot() string {
	return fmt.Sprintf(` data-plot="%s %s %s %s" data-from="%d" data-to="%d" data-step="%d" data-most="%s"`, num(d.left), num(d.top), num(d.right), num(d.bottom),
		d.c.From.Unix(), d.c.To.Unix(), int64(d.c.Step.Seconds()), num(d.values[len(d.values)-1]))
}

func (p *painter) lines() {
	d := p.drawing
	for i, l := range slices.Backward(d.c.Lines) {
		l.runs(len(d.c.Points), func(from, to int) {
			p.gg.NewSubPath()
			for n := from; n < to; n++ {
				v, _ := l.value(n)
				if to-from == 1 {
					p.gg.LineTo(d.x(d.c.Points[n].Start), d.y(v))
					p.gg.LineTo(d.x(d.c.Points[n].Start.Add(d.c.Step)), d.y(v))
					continue
				}
				p.gg.LineTo(d.middle(d.c.Points[n]), d.y(v))
			}
			p.gg.SetColor(rgba(p.colors.lines[i%lineColors], 1))
			p.gg.SetLineWidth(1.5 * pngScale)
			if i >= lineColors {
				p.gg.SetDash(4*pngScale, 3*pngScale)
			}
			p.gg.Stroke()
			p.gg.SetDash()
		})
	}
}

func (p *painter) silences() {
	d := p.drawing
	for silent, stretch := range stretches(d.c.Points, func(p Point) bool { return p.Silent }) {
		if silent {
			x, end := d.x(stretch[0].Start), d.x(stretch[len(stretch)-1].Start.Add(d.c.Step))
			p.rect(x, d.top, math.Max(end-x, 0), d.bottom-d.top, p.colors.soft, 0.1)
		}
	}
}
