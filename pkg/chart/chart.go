package chart

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Chart is what is known of one service between two times.
type Chart struct {
	Title string
	// From and To bound the time axis.
	From, To time.Time
	// Step is the length of each point's interval.
	Step   time.Duration
	Points []Point
	// Lines are drawn in place of the people and bands of Points, where there are any.
	Lines []Line `json:",omitempty"`
	// Measure is what the values of Lines are.
	Measure Measure `json:",omitempty"`
	// Alarms are stretches of time in which what was seen was too much to be chance.
	Alarms []Span
	Marks  []Mark
	// Notes are said above the plot: of what it is a consequence, or what has been corrected since.
	Notes []string
	// Top is what the value axis reaches at least, so that several charts can share one; 0 for what the points need.
	Top float64
	// Source says where the numbers come from, for whoever sees the picture alone.
	Source string
}

// Point is one step.
type Point struct {
	// Start of the step; points are in its order.
	Start time.Time
	// People who complained within the step.
	People int
	// Band is nil where nothing is known of what to expect.
	Band *Band
	// Silent says that nothing was read in the step: that nobody complained is then not known.
	Silent bool
}

// Band is the number of people that is nothing unusual.
type Band struct{ Lower, Upper float64 }

// Span is a stretch of time.
type Span struct{ From, To time.Time }

// MarkKind says what happened at a mark; it decides its color.
type MarkKind string

// Kinds of marks.
const (
	Started   MarkKind = "started"
	Detected  MarkKind = "detected"
	Confirmed MarkKind = "confirmed"
	Official  MarkKind = "official"
	Resolved  MarkKind = "resolved"
	Remark    MarkKind = "remark" // of whoever embeds the chart
)

// Mark is one moment. Without a Label it is called after its kind, in the language of the chart.
type Mark struct {
	Time  time.Time
	Kind  MarkKind
	Label string
}

// Options say for where the chart is drawn.
type Options struct {
	// Width in pixels, 320 to 2000; others are brought into that range.
	Width int
	// PlotHeight in pixels, 80 to 1200; 0 for what suits the width.
	PlotHeight int
	// Language of the labels, one of Languages; English otherwise.
	Language string
	// Theme of a chart that stands alone: light or dark; otherwise as the reader's system is, and light for PNG.
	Theme string
	// Standalone charts carry their own style and background.
	Standalone bool
	// ID is put before the ids in the SVG, so that a page can hold several charts. Only letters, digits, "-" and "_" are kept.
	ID string
}

// Unit says what is counted in one step of a chart.
func Unit(step time.Duration) string {
	return wordsIn("en").unitOf(step)
}

func stepName(step time.Duration) string { return wordsIn("en").step(step) }

func (m *Mark) label(w words) string {
	if m.Label == "" {
		return w.marks[m.Kind]
	}
	return m.Label
}

// Description says in words what the chart shows, for those who cannot see it.
func (c *Chart) Description() string {
	var b strings.Builder
	fmt.Fprintf(&b, "From %s to %s UTC.", stamp(c.From), stamp(c.To))
	if len(c.Lines) > 0 {
		c.describeLines(&b)
		return b.String()
	}
	peak := -1
	lower, upper := math.Inf(1), 0.0
	silent := 0
	for i, p := range c.Points {
		if p.Silent {
			silent++
		}
		if peak < 0 || p.People > c.Points[peak].People {
			peak = i
		}
		if p.Band != nil {
			lower, upper = min(lower, finite(p.Band.Lower)), max(upper, finite(p.Band.Upper))
		}
	}
	switch {
	case silent == len(c.Points):
		b.WriteString(" Nothing was read.")
	case c.Points[peak].People == 0:
		b.WriteString(" Nobody complained.")
	default:
		fmt.Fprintf(&b, " At most %s people per %s complained, at %s.",
			thousands(c.Points[peak].People), stepName(c.Step), stamp(c.Points[peak].Start))
	}
	if silent > 0 && silent < len(c.Points) {
		fmt.Fprintf(&b, " Nothing was read in %d of %d steps.", silent, len(c.Points))
	}
	if upper > 0 {
		fmt.Fprintf(&b, " Expected were %s to %s.", short(lower), short(upper))
	}
	for _, note := range c.Notes {
		b.WriteString(" " + strings.TrimSuffix(note, ".") + ".")
	}
	for i, a := range c.Alarms {
		if i == 3 {
			fmt.Fprintf(&b, " And %d more stretches of alarm.", len(c.Alarms)-i)
			break
		}
		fmt.Fprintf(&b, " Alarm from %s to %s.", stamp(a.From), stamp(a.To))
	}
	for _, m := range c.Marks {
		fmt.Fprintf(&b, " %s: %s.", stamp(m.Time), m.label(wordsIn("en")))
	}
	return b.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// dates names the days of a stretch of time, whose end is exclusive.
func dates(from, to time.Time) string {
	first, last := from.UTC().Format("2 January 2006"), to.UTC().Add(-1).Format("2 January 2006")
	if first == last || !to.After(from) {
		return first
	}
	return first + " to " + last
}

func short(x float64) string {
	if x < 10 && x != math.Trunc(x) {
		return fmt.Sprintf("%.1f", x)
	}
	return thousands(int(math.Round(x)))
}

// thousands groups digits: 12,400.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// finite makes numbers that cannot be drawn 0.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
		return 0
	}
	return x
}
