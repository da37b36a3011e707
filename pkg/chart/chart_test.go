package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/chart"
)

var update = flag.Bool("update", false, "write the golden files anew")

func at(clock string) time.Time {
	t, err := time.Parse(time.RFC3339, "2010-12-22T"+clock+":00Z")
	if err != nil {
		panic(err)
	}
	return t
}

// outage is a curve with a steep rise and a slow fall over a wavering floor.
func outage(from, to, start time.Time, step time.Duration, peak float64) []chart.Point {
	var points []chart.Point
	for i, t := 0, from; t.Before(to); i, t = i+1, t.Add(step) {
		people := 2 + 1.5*math.Sin(float64(i))
		if m := t.Sub(start).Minutes(); m >= 0 {
			people += peak * math.Min(1, m/12) * math.Exp(-m/90)
		}
		points = append(points, chart.Point{Start: t, People: int(people), Band: &chart.Band{Lower: 0, Upper: 5 + math.Round(math.Sin(float64(i)/40))}})
	}
	return points
}

func skype() chart.Chart {
	from, to := at("13:00"), at("23:00")
	return chart.Chart{
		Title: "Skype", From: from, To: to, Step: 5 * time.Minute,
		Points: outage(from, to, at("16:12"), 5*time.Minute, 1480),
		Alarms: []chart.Span{{From: at("16:12"), To: at("20:30")}},
		Marks: []chart.Mark{
			{Time: at("16:12"), Kind: chart.Started, Label: "first unusual minute"},
			{Time: at("16:14"), Kind: chart.Detected, Label: "detected"},
			{Time: at("17:02"), Kind: chart.Official, Label: "first official word"},
			{Time: at("21:10"), Kind: chart.Resolved, Label: "resolved"},
		},
		Source: "Source: public posts as heard by Outcry.",
	}
}

func TestGolden(t *testing.T) {
	crowded := skype()
	crowded.Marks = append(crowded.Marks,
		chart.Mark{Time: at("21:40"), Kind: chart.Started, Label: "first unusual minute"},
		chart.Mark{Time: at("21:41"), Kind: chart.Detected, Label: "detected"},
		chart.Mark{Time: at("21:55"), Kind: chart.Official, Label: "first official word"},
		chart.Mark{Time: at("22:58"), Kind: chart.Resolved, Label: "resolved"},
	)
	quiet := chart.Chart{Title: "Viber", From: at("00:00"), To: at("00:00").Add(30 * 24 * time.Hour), Step: time.Hour,
		Points: []chart.Point{{Start: at("00:00")}, {Start: at("01:00"), People: 1}, {Start: at("02:00")}}, Source: "Source: public posts."}
	gaps := chart.Chart{Title: "GitHub", From: at("10:00"), To: at("10:20"), Step: time.Minute}
	for i := range 20 {
		p := chart.Point{Start: at("10:00").Add(time.Duration(i) * time.Minute), People: i % 4}
		p.Silent = i >= 11 && i < 14 || i == 18
		if i != 5 && (i < 10 || i == 15) {
			p.Band = &chart.Band{Lower: 0.5, Upper: 2.5}
		}
		gaps.Points = append(gaps.Points, p)
	}
	for name, g := range map[string]struct {
		chart   chart.Chart
		options chart.Options
	}{
		"outage-wide":       {skype(), chart.Options{Width: 960, ID: "wide"}},
		"outage-narrow":     {skype(), chart.Options{Width: 380, ID: "narrow"}},
		"outage-standalone": {skype(), chart.Options{Width: 960, Standalone: true}},
		"crowded":           {crowded, chart.Options{Width: 960, Standalone: true}},
		"quiet-month":       {quiet, chart.Options{Width: 960, Standalone: true}},
		"band-with-gaps":    {gaps, chart.Options{Width: 640, Standalone: true}},
		"compared":          {compared(), chart.Options{Width: 640, ID: "compared"}},
		"nothing":           {chart.Chart{Title: "WhatsApp", From: at("10:00"), To: at("11:00"), Step: time.Minute}, chart.Options{Width: 640, Standalone: true}},
	} {
		t.Run(name, func(t *testing.T) {
			got := chart.SVG(g.chart, g.options)
			path := filepath.Join("testdata", name+".svg")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from %s (look at it, then -update):\n%s", path, diff)
			}
		})
	}
}

// element is what a test needs of an SVG element.
type element struct {
	name string
	attr map[string]string
	text string
}

func parse(t *testing.T, svg []byte) []element {
	t.Helper()
	var out []element
	var open []int
	dec := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			open = append(open, len(out))
			out = append(out, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				out[open[len(open)-1]].text += string(token)
			}
		}
	}
}

func TestAccessibleNameAndDescription(t *testing.T) {
	elements := parse(t, chart.SVG(skype(), chart.Options{Width: 960, ID: "a"}))
	if root := elements[0]; root.attr["role"] != "img" || root.attr["aria-labelledby"] != "a-title a-desc" {
		t.Errorf("root attributes: %v", root.attr)
	}
	texts := map[string]string{}
	for _, e := range elements {
		texts[e.attr["id"]] = e.text
	}
	if want := "Skype: people complaining per 5 minutes, not users affected"; texts["a-title"] != want {
		t.Errorf("title %q, want %q", texts["a-title"], want)
	}
	for _, want := range []string{"Alarm from 2010-12-22 16:12 to 2010-12-22 20:30", "2010-12-22 17:02: first official word", "Expected were 0 to 6", "people per 5 minutes complained, at 2010-12-22 16:"} {
		if !strings.Contains(texts["a-desc"], want) {
			t.Errorf("description lacks %q:\n%s", want, texts["a-desc"])
		}
	}
}

func TestSilenceIsNotQuiet(t *testing.T) {
	c := skype()
	for i := range 12 {
		c.Points[i].Silent, c.Points[i].People = true, 0
	}
	silent, lines := 0, 0
	for _, e := range parse(t, chart.SVG(c, chart.Options{Width: 960})) {
		switch e.attr["class"] {
		case "chart-silent":
			silent++
		case "chart-line":
			lines++
			x, _, _ := strings.Cut(strings.TrimPrefix(e.attr["d"], "M"), " ")
			if number(t, x) < 100 {
				t.Errorf("the line begins at %s, where nothing was read", x)
			}
		}
	}
	if silent != 1 || lines != 1 {
		t.Errorf("%d silent stretches and %d lines, want 1 and 1", silent, lines)
	}
	if d := c.Description(); !strings.Contains(d, "Nothing was read in 12 of 120 steps") {
		t.Errorf("description: %s", d)
	}
	for i := range c.Points {
		c.Points[i] = chart.Point{Start: c.Points[i].Start, Silent: true}
	}
	if d := c.Description(); !strings.Contains(d, "Nothing was read.") || strings.Contains(d, "Nobody") {
		t.Errorf("description: %s", d)
	}
}

func TestUnit(t *testing.T) {
	for step, want := range map[time.Duration]string{
		time.Minute: "per minute,", 15 * time.Minute: "per 15 minutes,", time.Hour: "per hour,", 24 * time.Hour: "per day,", 90 * time.Minute: "per 90 minutes,",
	} {
		if got := chart.Unit(step); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", step, got, want)
		}
	}
}

// TestMarkLabelsMeetNothing looks at the picture itself: no two labels of marks overlap and no line of a mark crosses a label.
func TestMarkLabelsMeetNothing(t *testing.T) {
	const charWidth = 6.9
	for minutes := range 34 { // then the last mark leaves the chart
		c := skype()
		c.Marks = nil
		for i, label := range []string{"first unusual minute", "detected", "first official word", "resolved"} {
			c.Marks = append(c.Marks, chart.Mark{Time: at("13:00").Add(time.Duration(minutes*15+i*minutes) * time.Minute), Kind: chart.Detected, Label: label})
		}
		type box struct{ x1, x2, y float64 }
		var labels, lines []box
		inMark, seen := false, 0
		for _, e := range parse(t, chart.SVG(c, chart.Options{Width: 380})) {
			switch {
			case e.name == "g":
				inMark = strings.Contains(e.attr["class"], "chart-mark")
			case inMark && e.name == "text":
				x, y, length := number(t, e.attr["x"]), number(t, e.attr["y"]), charWidth*float64(len(e.text))
				if e.attr["text-anchor"] == "end" {
					x -= length
				}
				labels = append(labels, box{x, x + length, y})
			case inMark && e.name == "line":
				lines = append(lines, box{number(t, e.attr["x1"]), number(t, e.attr["x1"]), number(t, e.attr["y1"])})
				seen++
			}
		}
		if seen != 4 || len(labels) == 0 {
			t.Fatalf("minute %d: %d lines and %d labels for 4 marks", minutes, seen, len(labels))
		}
		for i, a := range labels {
			if a.x1 < 0 || a.x2 > 380 {
				t.Errorf("minute %d: label %d leaves the picture: %v", minutes, i, a)
			}
			for j, b := range labels[:i] {
				if math.Abs(a.y-b.y) < 12 && a.x1 < b.x2 && b.x1 < a.x2 {
					t.Errorf("minute %d: labels %d and %d overlap", minutes, i, j)
				}
			}
			for j, l := range lines {
				if l.y < a.y-2 && l.x1 > a.x1 && l.x1 < a.x2 {
					t.Errorf("minute %d: line %d crosses label %d", minutes, j, i)
				}
			}
		}
	}
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestMarksOutsideAreLeftOut(t *testing.T) {
	c := skype()
	c.Marks = []chart.Mark{{Time: at("12:00"), Kind: chart.Detected, Label: "before"}, {Time: at("23:30"), Kind: chart.Resolved, Label: "after"}}
	for _, e := range parse(t, chart.SVG(c, chart.Options{Width: 960})) {
		if e.name == "g" && strings.Contains(e.attr["class"], "chart-mark") {
			t.Errorf("a mark outside the time axis is drawn: %v", e)
		}
	}
}

func FuzzSVG(f *testing.F) {
	f.Add("Skype", "</text><script>alert(1)</script>", int64(1293033600), int64(600), uint16(5), 12, 1.5, 800)
	f.Add("]]>\x00\xff", `"onload="alert(1)`, int64(0), int64(-5), uint16(0), -3, math.NaN(), -1)
	f.Add("&amp;", "\u202e", int64(math.MaxInt32), int64(math.MaxInt32), uint16(700), math.MaxInt, math.Inf(1), math.MaxInt)
	f.Fuzz(func(t *testing.T, title, label string, from, length int64, steps uint16, people int, bound float64, width int) {
		from, length = from%(1<<33), length%(1<<33)
		c := chart.Chart{Title: title, From: time.Unix(from, 0), To: time.Unix(from+length, 0), Step: time.Minute, Source: label,
			Alarms: []chart.Span{{From: time.Unix(from-60, 0), To: time.Unix(from+length/2, 0)}},
			Marks:  []chart.Mark{{Time: time.Unix(from+length/3, 0), Kind: chart.MarkKind(label), Label: label}}}
		for i := range int(steps % 500) {
			p := chart.Point{Start: c.From.Add(time.Duration(i) * time.Minute), People: people / (i + 1), Silent: i%7 == 3}
			if i%3 > 0 {
				p.Band = &chart.Band{Lower: bound / 2, Upper: bound}
			}
			c.Points = append(c.Points, p)
		}
		for _, e := range parse(t, chart.SVG(c, chart.Options{Width: width, ID: label, Standalone: steps%2 == 0})) {
			switch e.name {
			case "svg", "title", "desc", "style", "rect", "text", "line", "path", "g":
			default:
				t.Fatalf("element %q", e.name)
			}
			for name, value := range e.attr {
				if strings.HasPrefix(name, "on") || name == "href" || name == "style" || strings.Contains(value, "NaN") || strings.Contains(value, "Inf") {
					t.Fatalf("attribute %s=%q", name, value)
				}
			}
		}
	})
}

func BenchmarkSVG(b *testing.B) {
	c := skype()
	c.Step = time.Minute
	c.Points = outage(c.From, c.To, at("16:12"), time.Minute, 300)
	var size int
	for b.Loop() {
		size = len(chart.SVG(c, chart.Options{Width: 960}))
	}
	b.ReportMetric(float64(size), "bytes")
}
