package chart_test

import (
	"bytes"
	"fmt"
	"image/png"
	"strings"
	"testing"
	"time"

	"outcry.dev/pkg/chart"
)

// compared is three services in one chart: one with an outage, one that is quiet, one of which nothing is known for a while.
func compared() chart.Chart {
	c := chart.Chart{Title: "Skype, Viber and Kik", From: at("16:00"), To: at("17:00"), Step: 5 * time.Minute, Source: "Source: public posts.",
		Lines: []chart.Line{{Name: "Skype"}, {Name: "Viber"}, {Name: "Kik"}}}
	for i := range 12 {
		c.Points = append(c.Points, chart.Point{Start: c.From.Add(time.Duration(i) * c.Step), Silent: i == 6})
		skype, viber, kik := float64(i*i), 0.0, 2.5
		for n, v := range []*float64{&skype, &viber, &kik} {
			if i == 6 || n == 2 && (i < 2 || i > 4 && i != 9) {
				v = nil
			}
			c.Lines[n].Values = append(c.Lines[n].Values, v)
		}
	}
	return c
}

func TestLinesShareAnAxis(t *testing.T) {
	c := compared()
	svg := string(chart.SVG(c, chart.Options{Width: 640}))
	for _, want := range []string{"Skype: at most 121 people per 5 minutes complained, at 2010-12-22 16:55.", "Viber: nobody complained.", "Kik: at most 2.5 people",
		`class="chart-line chart-line-3"`, ">Kik</text>", ">150</text>", "chart-silent", `data-from="1293033600"`, `data-step="300"`, "per 5 minutes, not users affected"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the chart lacks %q", want)
		}
	}
	if strings.Contains(svg, "chart-area") || strings.Contains(svg, "chart-band") {
		t.Error("a chart of lines has an area or a band")
	}
	if c.Highest() != 121 {
		t.Errorf("highest: %v", c.Highest())
	}
	c.Top = 400
	if svg := string(chart.SVG(c, chart.Options{Width: 640})); !strings.Contains(svg, ">400</text>") {
		t.Error("the axis does not reach the top that several charts share")
	}
	c.Measure = chart.PerThousand
	for language, want := range map[string]string{"en": "per 1,000 mentions, each 5 minutes", "de": "je 1.000 Erwähnungen", "fr": "pour 1 000 mentions", "es": "por cada 1.000 menciones"} {
		if svg := string(chart.SVG(c, chart.Options{Width: 640, Language: language})); !strings.Contains(svg, want) {
			t.Errorf("%s: no %q", language, want)
		}
	}
}

// More lines than colors stay apart, in both pictures.
func TestManyLines(t *testing.T) {
	c := compared()
	for n := range chart.MostLines - len(c.Lines) {
		v := float64(10 * n)
		l := chart.Line{Name: fmt.Sprint("service ", n)}
		for range c.Points {
			l.Values = append(l.Values, &v)
		}
		c.Lines = append(c.Lines, l)
	}
	svg := string(chart.SVG(c, chart.Options{Width: 320, Standalone: true}))
	if strings.Count(svg, "chart-line-1 chart-line-dashed") != 2 || strings.Contains(svg, "data-plot") {
		t.Error("the ninth line is not told from the first")
	}
	body, err := chart.PNG(c, chart.Options{Width: 640, Theme: "dark"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(body)); err != nil {
		t.Error(err)
	}
	c.Lines = []chart.Line{{Name: "short", Values: nil}}
	if svg := string(chart.SVG(c, chart.Options{Width: 640})); !strings.Contains(svg, "short: nothing is known") {
		t.Error("a line without values is not said to be unknown")
	}
}
