package chart

import (
	"bytes"
	"errors"
	"image/png"
	"slices"
	"strings"
	"testing"

	"github.com/go-text/typesetting/fontscan"
	"github.com/google/go-cmp/cmp"
)

// Titles as readers elsewhere write them.
var titles = map[string]string{
	"Japanese": "スカイプの障害:サインインできない", "Chinese": "微信服务中断", "Korean": "카카오톡 장애 발생",
	"Arabic": "تعطل Skype اليوم", "Hindi": "व्हाट्सएप आज क्यों बंद है?", "Thai": "ระบบล่ม", "Hebrew": "תקלה בשירות",
}

func TestTitlesOfAnyScriptAreDrawn(t *testing.T) {
	for language, title := range titles {
		c := someChart()
		c.Title = title
		if missing := Missing(c); missing != nil {
			t.Errorf("%s: no font for %v on this machine (Debian: apt-get install fonts-noto-core fonts-droid-fallback; ./scripts/test does so where it may)", language, missing)
			continue
		}
		if outline, width := ofThisMachine.set(title, 30, true); len(outline) == 0 || width < 60 {
			t.Errorf("%s: %d pieces of outline, %v pixels wide", language, len(outline), width)
		}
	}
}

// Letters that join or melt into one another are not those that stand alone.
func TestLettersAreShaped(t *testing.T) {
	width := func(text string) float64 {
		_, w := ofThisMachine.set(text, 30, false)
		return w
	}
	if joined, apart := width("ببب"), 3*width("ب"); joined > 0.9*apart {
		t.Errorf("Arabic: three letters that join are %v wide, alone %v", joined, apart)
	}
	if above, alone := width("र्क"), width("क"); above > 1.1*alone {
		t.Errorf("Hindi: a letter that stands above another makes it %v wide rather than %v", above, alone)
	}
}

func TestLinesRunAsTheirLettersDo(t *testing.T) {
	l := newLetters(func() (*fontscan.FontMap, error) { return nil, errors.New("none") })
	// As browsers have them; letters from right to left are A to Z.
	hebrew := strings.NewReplacer("A", "א", "B", "ב", "C", "ג", "D", "ד")
	latin := strings.NewReplacer("א", "A", "ב", "B", "ג", "C", "ד", "D")
	for text, want := range map[string]string{
		"skype down":          "skype down",
		"AB CD":               "DC BA",
		"AB skype CD":         "DC skype BA",
		"skype AB (22 CD) up": "skype (DC 22) BA up",
		"AB (22 CD) skype":    "skype (DC 22) BA",
		"skype AB 22 up":      "skype 22 BA up",
		"16:35 AB":            "BA 16:35",
		"skype ١٢ AB 34 up":   "skype 34 BA ١٢ up",
	} {
		runes := []rune(hebrew.Replace(text))
		var shown []rune
		for _, run := range l.visual(runes) {
			part := slices.Clone(runes[run.from:run.to])
			if run.level%2 == 1 {
				slices.Reverse(part)
				for i, r := range part { // fonts do this
					part[i] = map[rune]rune{'(': ')', ')': '('}[r]
					if part[i] == 0 {
						part[i] = r
					}
				}
			}
			shown = append(shown, part...)
		}
		if got := latin.Replace(string(shown)); got != want {
			t.Errorf("%q stands as %q, want %q", text, got, want)
		}
	}
}

// Without a font there are no boxes: the picture says what is missing.
func TestMissingLettersAreNamed(t *testing.T) {
	bare := newLetters(func() (*fontscan.FontMap, error) { return nil, errors.New("no fonts") })
	c := someChart()
	c.Title = "Skype: 障害 発生 down\u202e\n" + titles["Hindi"]
	c.Marks = append(c.Marks, Mark{Time: c.From, Kind: Remark, Label: "été, жара, 🔥"})
	got, missing := legible(c, bare)
	if diff := cmp.Diff([]string{"Devanagari", "Han", "symbol"}, missing); diff != "" {
		t.Error(diff)
	}
	if want := "Skype: [Han] down [Devanagari]?"; got.Title != want {
		t.Errorf("title %q, want %q", got.Title, want)
	}
	if want := "été, жара, [symbol]"; got.Marks[1].Label != want {
		t.Errorf("label %q, want %q", got.Marks[1].Label, want)
	}
	if c.Marks[1].Label == got.Marks[1].Label {
		t.Error("the chart that was passed in is changed")
	}
	height := func(title string, l *letters) int {
		c := someChart()
		c.Title = title
		body, err := drawPNG(c, Options{Width: 640}, l)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.DecodeConfig(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return picture.Height
	}
	if with, without := height("障害", bare), height("Skype", bare); with != without+pngScale*laneHeight {
		t.Errorf("no note says what is missing: pictures of %d and %d pixels", with, without)
	}
}

func TestWideLettersTakeTheirRoom(t *testing.T) {
	if got := cut("スカイプの障害", 7); got != "スカイ…" {
		t.Errorf("cut to %q", got)
	}
	if got := cut("Skype is down", 9); got != "Skype is…" {
		t.Errorf("cut to %q", got)
	}
	if diff := cmp.Diff([]string{"スカイプの", "障害"}, wrap("スカイプの障害", 10)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"people complaining", "per minute"}, wrap("people complaining per minute", 20)); diff != "" {
		t.Error(diff)
	}
}
