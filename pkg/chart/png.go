package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"git.sr.ht/~sbinet/gg"
	"github.com/go-text/typesetting/font/opentype"
)

// palette are the colors of chart.css, which a test compares.
type palette struct {
	ink, soft, rule, ground, people, band, alarm, official, resolved string
	lines                                                            [lineColors]string
}

var (
	lightColors = palette{"#1d2126", "#626a73", "#e3e5e8", "#ffffff", "#b3261e", "#8aa4bd", "#e8a33d", "#1f6fb2", "#2c7a4b",
		[lineColors]string{"#b3261e", "#1f6fb2", "#2c7a4b", "#8a5a00", "#7b3fa0", "#00757f", "#b83280", "#5c646d"}}
	darkColors = palette{"#e8eaed", "#9aa3ad", "#30353b", "#16191d", "#ff8a80", "#6f8aa3", "#c98a2b", "#7db8ec", "#7cc79a",
		[lineColors]string{"#ff8a80", "#7db8ec", "#7cc79a", "#f0bd5c", "#cba6f0", "#5cc8d8", "#f59ac4", "#a0a8b1"}}
)

func rgba(hex string, opacity float64) color.Color {
	var r, g, b uint8
	_, _ = fmt.Sscanf(hex, "#%02x%02x%02x", &r, &g, &b) // constants
	return color.NRGBA{r, g, b, uint8(math.Round(255 * opacity))}
}

// pngScale makes the picture sharp on screens with small pixels.
const pngScale = 2

// PNG draws the same chart as SVG does, as a picture of twice the width in pixels. It is always standalone. Letters that neither the Go
// fonts nor those of the machine have are replaced by the name of their script in brackets, and a note in the picture says so.
func PNG(c Chart, o Options) ([]byte, error) {
	return drawPNG(c, o, ofThisMachine)
}

// Missing are the scripts of a chart's texts for which this machine has no font, so that PNG cannot show them.
func Missing(c Chart) []string {
	_, missing := legible(c, ofThisMachine)
	return missing
}

// FontFault says why the fonts of this machine cannot be read; nil where they can.
func FontFault() error {
	_, err := ofThisMachine.machine()
	return err
}

func drawPNG(c Chart, o Options, l *letters) ([]byte, error) {
	c, missing := legible(c, l)
	if len(missing) > 0 {
		c.Notes = append(slices.Clip(c.Notes), "Not drawn here, for want of a font: "+strings.Join(missing, ", ")+".")
	}
	d := newDrawing(c, o)
	p := &painter{drawing: d, gg: gg.NewContext(int(d.width*pngScale), int(math.Ceil(d.height)*pngScale)), colors: lightColors, letters: l}
	if o.Theme == "dark" {
		p.colors = darkColors
	}
	p.gg.Scale(pngScale, pngScale)
	p.draw()
	var out bytes.Buffer
	if err := p.gg.EncodePNG(&out); err != nil {
		return nil, fmt.Errorf("draw a chart: %w", err)
	}
	return out.Bytes(), nil
}

// legible is a chart with texts that can be drawn, and the scripts that cannot.
func legible(c Chart, l *letters) (_ Chart, missing []string) {
	c.Notes, c.Marks, c.Lines = slices.Clone(c.Notes), slices.Clone(c.Marks), slices.Clone(c.Lines)
	texts := []*string{&c.Title, &c.Source}
	for i := range c.Notes {
		texts = append(texts, &c.Notes[i])
	}
	for i := range c.Marks {
		texts = append(texts, &c.Marks[i].Label)
	}
	for i := range c.Lines {
		texts = append(texts, &c.Lines[i].Name)
	}
	for _, text := range texts {
		var without []string
		*text, without = l.legible(*text)
		missing = append(missing, without...)
	}
	slices.Sort(missing)
	return c, slices.Compact(missing)
}

type painter struct {
	*drawing
	gg      *gg.Context
	colors  palette
	letters *letters
}

// text writes s; ax is 0 for start, 0.5 for middle and 1 for end.
func (p *painter) text(s string, x, y, size, ax float64, bold bool, hex string) {
	outline, width := p.letters.set(s, size, bold)
	x -= ax * width
	at := func(point [2]float64) (float64, float64) { return x + point[0], y + point[1] }
	for i := range outline {
		a := &outline[i].args
		switch outline[i].op {
		case opentype.SegmentOpMoveTo:
			p.gg.MoveTo(at(a[0]))
		case opentype.SegmentOpLineTo:
			p.gg.LineTo(at(a[0]))
		case opentype.SegmentOpQuadTo:
			cx, cy := at(a[0])
			tx, ty := at(a[1])
			p.gg.QuadraticTo(cx, cy, tx, ty)
		case opentype.SegmentOpCubeTo:
			ax, ay := at(a[0])
			bx, by := at(a[1])
			tx, ty := at(a[2])
			p.gg.CubicTo(ax, ay, bx, by, tx, ty)
		}
	}
	p.gg.SetColor(rgba(hex, 1))
	p.gg.Fill()
}

func (p *painter) rect(x, y, w, h float64, hex string, opacity float64) {
	p.gg.SetColor(rgba(hex, opacity))
	p.gg.DrawRectangle(x, y, w, h)
	p.gg.Fill()
}

func (p *painter) line2(x1, y1, x2, y2, width float64, hex string, dashes ...float64) {
	p.gg.SetColor(rgba(hex, 1))
	p.gg.SetLineWidth(width * pngScale)
	p.gg.SetDash(dashes...)
	p.gg.DrawLine(x1, y1, x2, y2)
	p.gg.Stroke()
	p.gg.SetDash()
}

func (p *painter) draw() {
	d := p.drawing
	p.rect(0, 0, d.width, math.Ceil(d.height), p.colors.ground, 1)
	p.text(d.title(), d.head(), 20, 15, 0, true, p.colors.ink)
	for i, line := range d.units {
		p.text(line, d.head(), d.unitY(i), fontSize, 0, false, p.colors.soft)
	}
	for i, note := range d.notes {
		p.text(note, d.head(), d.noteY(i), fontSize, 0, true, p.colors.ink)
	}
	for _, a := range d.c.Alarms {
		if a.To.After(d.c.From) && a.From.Before(d.c.To) {
			p.rect(d.x(a.From), d.top, max(d.x(a.To)-d.x(a.From), 1), d.bottom-d.top, p.colors.alarm, 0.16)
		}
	}
	p.axes()
	if len(d.c.Lines) > 0 {
		p.silences()
		p.lines()
	} else {
		p.bands()
		p.persons()
	}
	for _, m := range d.placed {
		p.mark(m)
	}
	for _, i := range d.legendItems {
		if i.line > 0 {
			p.line2(i.x, d.legendY(i)-4, i.x+14, d.legendY(i)-4, 1.5, p.colors.lines[(i.line-1)%lineColors])
			p.text(i.text, i.x+20, d.legendY(i), fontSize, 0, false, p.colors.soft)
			continue
		}
		hex, opacity := p.colors.people, 0.3
		switch i.class {
		case "band":
			hex, opacity = p.colors.band, 0.38
		case "alarm":
			hex = p.colors.alarm
		case "silent":
			hex, opacity = p.colors.soft, 0.1
		}
		p.rect(i.x, d.legendY(i)-9, 14, 10, hex, opacity)
		p.text(i.text, i.x+20, d.legendY(i), fontSize, 0, false, p.colors.soft)
	}
}

func (p *painter) axes() {
	d := p.drawing
	for _, v := range d.values {
		p.line2(d.left, d.y(v), d.right, d.y(v), 1, p.colors.rule)
		p.text(thousands(int(v)), d.left-6, d.y(v)+4, fontSize, 1, false, p.colors.soft)
	}
	for i, t := range d.times {
		x, anchor := d.x(t), 0.5
		half := charWidth * float64(len(d.timeLabels[i])) / 2
		switch {
		case x-half < 0:
			anchor = 0
		case x+half > d.width:
			anchor = 1
		}
		p.line2(x, d.bottom, x, d.bottom+4, 1, p.colors.soft)
		p.text(d.timeLabels[i], x, d.bottom+18, fontSize, anchor, false, p.colors.soft)
	}
	for i, line := range d.source {
		p.text(line, d.head(), d.bottom+40+15*float64(i), 11, 0, false, p.colors.soft)
	}
}

func (p *painter) bands() {
	d := p.drawing
	for banded, stretch := range stretches(d.c.Points, func(p Point) bool { return p.Band != nil }) {
		if !banded {
			continue
		}
		p.gg.NewSubPath()
		for _, point := range stretch {
			p.gg.LineTo(d.x(point.Start), d.y(point.Band.Upper))
			p.gg.LineTo(d.x(point.Start.Add(d.c.Step)), d.y(point.Band.Upper))
		}
		for i := len(stretch) - 1; i >= 0; i-- {
			p.gg.LineTo(d.x(stretch[i].Start.Add(d.c.Step)), d.y(stretch[i].Band.Lower))
			p.gg.LineTo(d.x(stretch[i].Start), d.y(stretch[i].Band.Lower))
		}
		p.gg.ClosePath()
		p.gg.SetColor(rgba(p.colors.band, 0.38))
		p.gg.Fill()
	}
}

func (p *painter) persons() {
	d := p.drawing
	heard := false
	for silent, stretch := range stretches(d.c.Points, func(p Point) bool { return p.Silent }) {
		first, last := stretch[0], stretch[len(stretch)-1]
		if silent {
			p.rect(d.x(first.Start), d.top, d.x(last.Start.Add(d.c.Step))-d.x(first.Start), d.bottom-d.top, p.colors.soft, 0.1)
			continue
		}
		heard = true
		line := func() {
			if len(stretch) == 1 {
				p.gg.LineTo(d.x(first.Start), d.y(float64(first.People)))
				p.gg.LineTo(d.x(first.Start.Add(d.c.Step)), d.y(float64(first.People)))
				return
			}
			for _, point := range stretch {
				p.gg.LineTo(d.middle(point), d.y(float64(point.People)))
			}
		}
		from, to := d.middle(first), d.middle(last)
		if len(stretch) == 1 {
			from, to = d.x(first.Start), d.x(first.Start.Add(d.c.Step))
		}
		p.gg.NewSubPath()
		line()
		p.gg.LineTo(to, d.bottom)
		p.gg.LineTo(from, d.bottom)
		p.gg.ClosePath()
		p.gg.SetColor(rgba(p.colors.people, 0.16))
		p.gg.Fill()
		p.gg.NewSubPath()
		line()
		p.gg.SetColor(rgba(p.colors.people, 1))
		p.gg.SetLineWidth(1.5 * pngScale)
		p.gg.Stroke()
	}
	if !heard {
		p.text(d.words.nothing, (d.left+d.right)/2, (d.top+d.bottom)/2, 13, 0.5, false, p.colors.soft)
	}
}

func (p *painter) mark(m placedMark) {
	hex, bold, dashes := p.colors.soft, true, []float64(nil)
	switch m.Kind {
	case Detected:
		hex = p.colors.people
	case Official:
		hex = p.colors.official
	case Resolved:
		hex = p.colors.resolved
	default:
		bold, dashes = false, []float64{3 * pngScale, 3 * pngScale}
	}
	y := p.top
	if m.lane >= 0 {
		y = p.top - 8 - laneHeight*float64(m.lane)
		text := hex
		if !bold {
			text = p.colors.ink
		}
		x, anchor := m.x+labelGap, 0.0
		if m.before {
			x, anchor = m.x-labelGap, 1
		}
		p.text(m.text(), x, y, fontSize, anchor, bold, text)
		y -= 10
	}
	p.line2(m.x, y, m.x, p.bottom, 1, hex, dashes...)
}
