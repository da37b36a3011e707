package chart

import (
	"math"
	"strconv"
	"strings"
)

// path writes the data of an SVG path: where it begins, and from there each step in tenths of a pixel, which is half as long as coordinates.
// Steps are taken between rounded points, so that they do not add up to a fault.
type path struct {
	strings.Builder
	x, y    int // the last point, in tenths
	drawing bool
}

func tenths(v float64) int { return int(math.Round(10 * v)) }

// move begins anew.
func (p *path) move(x, y float64) {
	p.x, p.y, p.drawing = tenths(x), tenths(y), false
	p.WriteString("M" + decimal(p.x) + " " + decimal(p.y))
}

// line goes on to a point.
func (p *path) line(x, y float64) {
	dx, dy := decimal(tenths(x)-p.x), decimal(tenths(y)-p.y)
	p.x, p.y = tenths(x), tenths(y)
	switch {
	case !p.drawing:
		p.WriteByte('l')
		p.drawing = true
	case dx[0] != '-':
		p.WriteByte(' ')
	}
	p.WriteString(dx)
	if dy[0] != '-' {
		p.WriteByte(' ')
	}
	p.WriteString(dy)
}

// across goes on to x, level.
func (p *path) across(x float64) {
	p.x, p.drawing = tenths(x), false
	p.WriteString("H" + decimal(p.x))
}

// decimal writes tenths of a pixel as short as they can be: 1.5, 2, -.5.
func decimal(n int) string {
	s := strconv.FormatFloat(float64(n)/10, 'f', -1, 64)
	if rest, small := strings.CutPrefix(s, "0."); small {
		return "." + rest
	}
	return strings.Replace(s, "-0.", "-.", 1)
}
