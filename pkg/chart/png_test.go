package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"strings"
	"testing"
	"time"
)

func someChart() Chart {
	from := time.Date(2010, 12, 22, 16, 0, 0, 0, time.UTC)
	c := Chart{Title: "Skype", From: from, To: from.Add(time.Hour), Step: 15 * time.Minute, Source: "Source: tests.", Marks: []Mark{{Time: from.Add(20 * time.Minute), Kind: Detected}}}
	for i, people := range []int{10, 100, 50, 0} {
		c.Points = append(c.Points, Point{Start: from.Add(time.Duration(i) * c.Step), People: people, Band: &Band{0, 20}})
	}
	return c
}

// The picture is the drawing: the same size, the line where the SVG has it, the colors of the style sheet.
func TestPNGShowsWhatSVGShows(t *testing.T) {
	for theme, colors := range map[string]palette{"light": lightColors, "dark": darkColors, "": lightColors} {
		o := Options{Width: 640, Theme: theme}
		body, err := PNG(someChart(), o)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		d := newDrawing(someChart(), o)
		if b := picture.Bounds(); b.Dx() != 2*640 || b.Dy() < int(2*d.height) {
			t.Errorf("%s: %v for a drawing of %v by %v", theme, b, d.width, d.height)
		}
		is := func(x, y float64, hex string) bool {
			r, g, b, _ := picture.At(int(2*x), int(2*y)).RGBA()
			wr, wg, wb, _ := color.NRGBAModel.Convert(rgba(hex, 1)).RGBA()
			near := func(a, b uint32) bool { return max(a, b)-min(a, b) < 0x2000 }
			return near(r, wr) && near(g, wg) && near(b, wb)
		}
		if !is(1, 1, colors.ground) {
			t.Errorf("%s: ground is %v", theme, picture.At(2, 2))
		}
		for _, p := range d.c.Points[:3] {
			if !is(d.middle(p), d.y(float64(p.People)), colors.people) {
				t.Errorf("%s: no line at %d people", theme, p.People)
			}
		}
	}
}

func TestThePaletteIsThatOfTheStyleSheet(t *testing.T) {
	light, dark := themed("light"), themed("dark")
	for i := range lineColors {
		rule := fmt.Sprintf("--line-%d: ", i+1)
		if !strings.Contains(light, rule+lightColors.lines[i]) || !strings.Contains(dark, rule+darkColors.lines[i]) || !strings.Contains(light, fmt.Sprintf(".chart-line-%d {", i+1)) {
			t.Errorf("line %d has other colors in the style sheet", i+1)
		}
	}
	for name, pair := range map[string][2]string{"ink": {lightColors.ink, darkColors.ink}, "ground": {lightColors.ground, darkColors.ground},
		"people": {lightColors.people, darkColors.people}, "band": {lightColors.band, darkColors.band}, "official": {lightColors.official, darkColors.official}} {
		rule := "--" + name + ": var(--chart-" + name + ", "
		if !strings.Contains(light, rule+pair[0]) || strings.Contains(light, pair[1]) {
			t.Errorf("light %s is not %s alone", name, pair[0])
		}
		if i := strings.LastIndex(dark, rule); !strings.HasPrefix(dark[i+len(rule):], pair[1]) {
			t.Errorf("dark %s does not end with %s", name, pair[1])
		}
	}
	if strings.Contains(light+dark, "@media") || !strings.Contains(themed(""), "@media") || strings.Count(dark, "{") != strings.Count(dark, "}") {
		t.Error("a fixed theme asks the reader's system")
	}
}

func TestLanguagesAndNotes(t *testing.T) {
	c := someChart()
	c.Notes = []string{"Likely a consequence of <AWS>."}
	for language, want := range map[string]string{"en": "not users affected", "de": "nicht Betroffene", "fr": "non utilisateurs", "es": "no usuarios", "xx": "not users affected"} {
		svg := string(SVG(c, Options{Width: 640, Language: language}))
		if !strings.Contains(svg, want) || !strings.Contains(svg, "Likely a consequence of &lt;AWS&gt;") {
			t.Errorf("%s: %.600s", language, svg)
		}
	}
	for _, language := range Languages() {
		w := wordsIn(language)
		for _, kind := range []MarkKind{Started, Detected, Confirmed, Official, Resolved} {
			if w.marks[kind] == "" {
				t.Errorf("%s has no word for %s", language, kind)
			}
		}
	}
	tall := newDrawing(c, Options{Width: 640, PlotHeight: 500})
	if tall.bottom-tall.top != 500 {
		t.Errorf("plot of %v", tall.bottom-tall.top)
	}
}
