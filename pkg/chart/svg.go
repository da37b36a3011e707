package chart

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
)

// Style is the style sheet of charts. A page that shows charts includes it and may set its custom properties (--chart-…) otherwise.
//
//go:embed chart.css
var Style string

// SVG draws the chart.
func SVG(c Chart, o Options) []byte {
	d := newDrawing(c, o)
	d.open(o)
	d.alarms()
	d.grid()
	if len(c.Lines) > 0 {
		d.silences()
		d.lines()
	} else {
		d.band()
		d.people()
	}
	d.marks()
	d.legend()
	d.w.WriteString("</svg>\n")
	return d.w.Bytes()
}

func newDrawing(c Chart, o Options) *drawing {
	d := &drawing{c: c, width: float64(min(max(o.Width, 320), 2000)), id: safeID(o.ID), words: wordsIn(o.Language)}
	if o.PlotHeight > 0 {
		d.plotHeight = float64(min(max(o.PlotHeight, 80), 1200))
	}
	d.c.Marks = slices.Clone(c.Marks)
	for i := range d.c.Marks {
		d.c.Marks[i].Label = d.c.Marks[i].label(d.words)
	}
	d.layout()
	return d
}

const (
	fontSize   = 12.0
	charWidth  = 6.9 // of the widest usual sans-serif at that size, on average over digits and letters
	laneHeight = 18.0
)

type drawing struct {
	c     Chart
	w     bytes.Buffer
	id    string
	width float64
	words words
	notes []string // cut to fit
	units []string // the unit, on one line or two

	plotHeight float64 // 0: what suits the width

	height                   float64
	left, right, top, bottom float64 // of the plot
	values                   []float64
	times                    []time.Time
	timeLabels               []string
	placed                   []placedMark // in the order of time
	legendItems              []legendItem
	legendRows               int
	source                   []string
}

type legendItem struct {
	class, text string
	x           float64
	row         int
	line        int // from 1 on: of which line; 0: of none
}

func (d *drawing) layout() {
	slices.SortStableFunc(d.c.Marks, func(a, b Mark) int { return a.Time.Compare(b.Time) })
	narrow := d.width < 600
	top := max(5.0, finite(d.c.Top)) // one person is not a peak
	top = max(top, d.c.Highest())
	d.values = valueTicks(top, 4)
	d.left = 14 + charWidth*float64(len(thousands(int(d.values[len(d.values)-1]))))
	d.right = d.width - 14
	room := 84.0
	if narrow {
		room = 62
	}
	d.times, d.timeLabels = timeTicks(d.c.From, d.c.To, int((d.right-d.left)/room))

	d.separate()

	dated := d.c.To.Sub(d.c.From) > 24*time.Hour
	var marks []placedMark
	for _, m := range d.c.Marks {
		if !m.Time.Before(d.c.From) && !m.Time.After(d.c.To) {
			marks = append(marks, placedMark{Mark: m, x: d.x(m.Time), dated: dated})
		}
	}
	var lanes int
	d.placed, lanes = placeMarks(marks, d.left, d.right)
	d.units = wrap(d.unit(), int((d.width-8)/unitWidth))
	d.placeLegend()
	d.notes = nil
	for _, note := range d.c.Notes {
		d.notes = append(d.notes, wrap(note, int((d.right-d.head())/charWidth))...)
	}
	d.top = 46 + d.second() + laneHeight*float64(d.legendRows+len(d.notes)) + laneHeight*float64(lanes) + 6
	d.bottom = d.top + math.Round(min(300, max(190, d.width*0.3)))
	if d.plotHeight > 0 {
		d.bottom = d.top + d.plotHeight
	}
	d.source = d.sourceLines()
	d.height = d.bottom + 35 + 15*float64(len(d.source))
}

// separate leaves out what is written at a time where it would run into what stands before: midnight has a longer label than hours.
func (d *drawing) separate() {
	end := math.Inf(-1)
	for i, label := range d.timeLabels {
		half := charWidth * float64(len(label)) / 2
		from := min(max(d.x(d.times[i])-half, 0), d.width-2*half)
		if from < end+charWidth {
			d.timeLabels[i] = ""
			continue
		}
		end = from + 2*half
	}
}

// sourceLines says when and whence, on one line where it fits.
func (d *drawing) sourceLines() []string {
	room := int((d.right - d.head()) / (charWidth * 0.88)) // its type is smaller
	when := dates(d.c.From, d.c.To) + ", " + d.words.utc + "."
	if whole := when + " " + d.c.Source; letterCount(whole) <= float64(room) {
		return []string{whole}
	}
	return append([]string{cut(when, room)}, wrap(d.c.Source, room)...)
}

func (d *drawing) placeLegend() {
	items := []legendItem{{class: "people", text: d.words.people}}
	if len(d.c.Lines) > 0 {
		items = nil
		for i, l := range d.c.Lines {
			items = append(items, legendItem{class: lineClass(i), text: cut(l.Name, 30), line: i + 1})
		}
	} else if slices.ContainsFunc(d.c.Points, func(p Point) bool { return p.Band != nil }) {
		items = append(items, legendItem{class: "band", text: d.words.expected})
	}
	if len(d.c.Alarms) > 0 {
		items = append(items, legendItem{class: "alarm", text: d.words.alarm})
	}
	if slices.ContainsFunc(d.c.Points, func(p Point) bool { return p.Silent }) {
		items = append(items, legendItem{class: "silent", text: d.words.silent})
	}
	left := d.head()
	x, row := left, 0
	for i := range items {
		length := 20 + charWidth*letterCount(items[i].text) + 14
		if x+length > d.right && x > left {
			x, row = left, row+1
		}
		items[i].x, items[i].row = x, row
		x += length
	}
	d.legendItems, d.legendRows = items, row+1
}

// x of a time, kept within the plot.
func (d *drawing) x(t time.Time) float64 {
	span := d.c.To.Sub(d.c.From)
	if span <= 0 {
		return d.left
	}
	share := float64(t.Sub(d.c.From)) / float64(span)
	return d.left + min(max(share, 0), 1)*(d.right-d.left)
}

func (d *drawing) y(v float64) float64 {
	return d.bottom - min(finite(v)/d.values[len(d.values)-1], 1)*(d.bottom-d.top)
}

// head is where title, unit, notes, legend and source begin: over the plot, or further left where the unit would not fit.
func (d *drawing) head() float64 {
	longest := 0.0
	for _, line := range d.units {
		longest = max(longest, letterCount(line))
	}
	return max(4, min(d.left, d.width-4-unitWidth*longest))
}

// unitWidth is that of a letter of the unit, words in small letters.
const unitWidth = 6.3

func (d *drawing) unitY(i int) float64 { return 38 + 15*float64(i) }

// second is the room that a second line of the unit takes.
func (d *drawing) second() float64 { return 15 * float64(max(0, len(d.units)-1)) }

// title is cut to fit; the title of the SVG has the whole of it.
func (d *drawing) title() string {
	const boldWidth = 8.8 // of a letter of the title
	return cut(d.c.Title, int((d.right-d.head()+10)/boldWidth))
}

func (d *drawing) unit() string {
	if d.c.Measure == PerThousand {
		return d.words.rateOf(d.c.Step)
	}
	return d.words.unitOf(d.c.Step)
}

func (d *drawing) open(o Options) {
	plot := ""
	if !o.Standalone {
		plot = d.plot()
	}
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" aria-labelledby="%s-title %s-desc" `+
		`viewBox="0 0 %s %s" width="%s" height="%s"%s>`+"\n", d.id, d.id, num(d.width), num(d.height), num(d.width), num(d.height), plot)
	d.printf("<title id=\"%s-title\">%s: %s</title>\n", d.id, escape(d.c.Title), escape(d.unit()))
	d.printf("<desc id=\"%s-desc\">%s</desc>\n", d.id, escape(d.c.Description()))
	if o.Standalone {
		d.printf("<style>%s</style>\n<rect class=\"chart-ground\" width=\"100%%\" height=\"100%%\"/>\n", escape(themed(o.Theme)))
	}
	d.printf("<text class=\"chart-title\" x=\"%s\" y=\"20\">%s</text>\n", num(d.head()), escape(d.title()))
	for i, line := range d.units {
		d.printf("<text class=\"chart-unit\" x=\"%s\" y=\"%s\">%s</text>\n", num(d.head()), num(d.unitY(i)), escape(line))
	}
	for i, note := range d.notes {
		d.printf("<text class=\"chart-note\" x=\"%s\" y=\"%s\">%s</text>\n", num(d.head()), num(d.noteY(i)), escape(note))
	}
}

func (d *drawing) alarms() {
	for _, a := range d.c.Alarms {
		from, to := d.x(a.From), d.x(a.To)
		if !a.To.After(d.c.From) || !a.From.Before(d.c.To) {
			continue
		}
		d.printf("<rect class=\"chart-alarm\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"/>\n",
			num(from), num(d.top), num(max(to-from, 1)), num(d.bottom-d.top))
	}
}

func (d *drawing) grid() {
	d.w.WriteString("<g class=\"chart-axis\">\n")
	for _, v := range d.values {
		y := d.y(v)
		d.printf("<line x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/><text x=\"%s\" y=\"%s\" text-anchor=\"end\">%s</text>\n",
			num(d.left), num(y), num(d.right), num(y), num(d.left-6), num(y+4), thousands(int(v)))
	}
	for i, t := range d.times {
		x, anchor := d.x(t), "middle"
		half := charWidth * float64(len(d.timeLabels[i])) / 2
		switch {
		case x-half < 0:
			anchor = "start"
		case x+half > d.width:
			anchor = "end"
		}
		d.printf("<line class=\"chart-tick\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/><text x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>\n",
			num(x), num(d.bottom), num(x), num(d.bottom+4), num(x), num(d.bottom+18), anchor, d.timeLabels[i])
	}
	d.w.WriteString("</g>\n")
	for i, line := range d.source {
		d.printf("<text class=\"chart-source\" x=\"%s\" y=\"%s\">%s</text>\n", num(d.head()), num(d.bottom+40+15*float64(i)), escape(line))
	}
}

// middle of a point's step on the time axis.
func (d *drawing) middle(p Point) float64 { return d.x(p.Start.Add(d.c.Step / 2)) }

// band fills between the bounds, apart for each stretch of steps that have one. A step is as wide as it is, so that a single one is seen.
func (d *drawing) band() {
	for banded, stretch := range stretches(d.c.Points, func(p Point) bool { return p.Band != nil }) {
		if !banded {
			continue
		}
		var curve path
		for i, p := range stretch { // there along the upper bound
			if i == 0 || i == len(stretch)-1 || num(d.y(p.Band.Upper)) != num(d.y(stretch[i-1].Band.Upper)) {
				if i == 0 {
					curve.move(d.x(p.Start), d.y(p.Band.Upper))
				} else {
					curve.line(d.x(p.Start), d.y(p.Band.Upper))
				}
				curve.across(d.x(p.Start.Add(d.c.Step)))
			}
		}
		for i, p := range slices.Backward(stretch) { // and back along the lower
			if i == 0 || i == len(stretch)-1 || num(d.y(p.Band.Lower)) != num(d.y(stretch[i+1].Band.Lower)) {
				curve.line(d.x(p.Start.Add(d.c.Step)), d.y(p.Band.Lower))
				curve.across(d.x(p.Start))
			}
		}
		d.printf("<path class=\"chart-band\" d=\"%sZ\"/>\n", curve.String())
	}
}

// people draws line and area, apart for each stretch of steps in which something was read.
func (d *drawing) people() {
	heard := false
	for silent, stretch := range stretches(d.c.Points, func(p Point) bool { return p.Silent }) {
		from, to := stretch[0], stretch[len(stretch)-1]
		if silent {
			x, end := d.x(from.Start), d.x(to.Start.Add(d.c.Step))
			d.printf("<rect class=\"chart-silent\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"/>\n",
				num(x), num(d.top), num(end-x), num(d.bottom-d.top))
			continue
		}
		heard = true
		line, first, last := d.line(stretch)
		d.printf("<path class=\"chart-area\" d=\"%sL%s %sH%sZ\"/>\n", line, num(last), num(d.bottom), num(first))
		d.printf("<path class=\"chart-line\" d=\"%s\"/>\n", line)
	}
	if !heard {
		d.printf("<text class=\"chart-empty\" x=\"%s\" y=\"%s\" text-anchor=\"middle\">%s</text>\n",
			num((d.left+d.right)/2), num((d.top+d.bottom)/2), escape(d.words.nothing))
	}
}

// line runs through the middles of the steps; a single step is as wide as it is.
func (d *drawing) line(points []Point) (data string, first, last float64) {
	var line path
	if len(points) == 1 {
		p := points[0]
		first, last = d.x(p.Start), d.x(p.Start.Add(d.c.Step))
		line.move(first, d.y(float64(p.People)))
		line.across(last)
		return line.String(), first, last
	}
	for i, p := range points {
		switch {
		case i == 0:
			line.move(d.middle(p), d.y(float64(p.People)))
		case i < len(points)-1 && p.People == points[i-1].People && p.People == points[i+1].People:
			// Along a level stretch its ends are enough.
		default:
			line.line(d.middle(p), d.y(float64(p.People)))
		}
	}
	return line.String(), d.middle(points[0]), d.middle(points[len(points)-1])
}

// stretches cuts points where is changes.
func stretches(points []Point, is func(Point) bool) iter.Seq2[bool, []Point] {
	return func(yield func(bool, []Point) bool) {
		for i := 0; i < len(points); {
			j := i + 1
			for j < len(points) && is(points[j]) == is(points[i]) {
				j++
			}
			if !yield(is(points[i]), points[i:j]) {
				return
			}
			i = j
		}
	}
}

func (d *drawing) marks() {
	for _, m := range d.placed {
		d.printf("<g class=\"chart-mark chart-%s\">", safeID(string(m.Kind)))
		y := d.top
		if m.lane >= 0 {
			y = d.top - 8 - laneHeight*float64(m.lane)
			x, anchor := m.x+labelGap, "start"
			if m.before {
				x, anchor = m.x-labelGap, "end"
			}
			d.printf("<text x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>", num(x), num(y), anchor, escape(m.text()))
			y -= 10
		}
		d.printf("<line x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/></g>\n", num(m.x), num(y), num(m.x), num(d.bottom))
	}
}

func (d *drawing) legend() {
	d.w.WriteString("<g class=\"chart-legend\" aria-hidden=\"true\">\n")
	for _, i := range d.legendItems {
		y := d.legendY(i)
		if i.line > 0 {
			d.printf("<path class=\"chart-line %s\" d=\"M%s %sH%s\"/><text x=\"%s\" y=\"%s\">%s</text>\n", i.class, num(i.x), num(y-4), num(i.x+14), num(i.x+20), num(y), escape(i.text))
			continue
		}
		d.printf("<rect class=\"chart-key-%s\" x=\"%s\" y=\"%s\" width=\"14\" height=\"10\" rx=\"2\"/><text x=\"%s\" y=\"%s\">%s</text>\n",
			i.class, num(i.x), num(y-9), num(i.x+20), num(y), escape(i.text))
	}
	d.w.WriteString("</g>\n")
}

func (d *drawing) noteY(i int) float64 { return 56 + d.second() + laneHeight*float64(i) }

func (d *drawing) legendY(i legendItem) float64 {
	return 58 + d.second() + laneHeight*float64(i.row+len(d.notes))
}

// themed is the style sheet of a chart whose theme is fixed.
func themed(theme string) string {
	light, rest, found := strings.Cut(Style, "@media (prefers-color-scheme: dark) {")
	dark, after, ends := strings.Cut(rest, "\n}\n")
	if !found || !ends {
		return Style
	}
	switch theme {
	case "light":
		return light + after
	case "dark":
		return light + dark + "\n" + after
	default:
		return Style
	}
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.w, format, args...) }

// num writes a coordinate with at most one decimal.
func num(x float64) string {
	s := fmt.Sprintf("%.1f", x)
	return strings.TrimSuffix(s, ".0")
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}

func safeID(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
	if s == "" {
		return "chart"
	}
	return s
}
