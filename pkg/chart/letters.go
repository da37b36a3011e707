package chart

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/go-text/typesetting/bidi"
	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/fontscan"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/math/fixed"
	tags "golang.org/x/text/language"
	"golang.org/x/text/language/display"
	classes "golang.org/x/text/unicode/bidi"
)

// letters sets texts of any script for PNG: in the Go fonts, which know Latin, Greek and Cyrillic, and in those of the machine for all
// else. The machine's are looked for when a text first needs one.
type letters struct {
	own     [2]*font.Face // regular and bold
	machine func() (*fontscan.FontMap, error)

	mu     sync.Mutex // fonts and shaper keep what they have done
	bold   bool
	shaper shaping.HarfbuzzShaper
	parts  shaping.Segmenter
	order  bidi.Paragraph
}

// ofThisMachine are the letters that PNG draws.
var ofThisMachine = newLetters(machineFonts)

func newLetters(machine func() (*fontscan.FontMap, error)) *letters {
	l := &letters{machine: sync.OnceValues(machine)}
	for i, file := range [][]byte{goregular.TTF, gobold.TTF} {
		face, err := font.ParseTTF(bytes.NewReader(file))
		if err != nil {
			panic(fmt.Sprintf("chart: the Go fonts: %v", err)) // they are part of the program
		}
		l.own[i] = face
	}
	return l
}

// machineFonts looks where the system keeps fonts. The index that fontscan writes meanwhile is not kept: it would have to be somewhere.
func machineFonts() (*fontscan.FontMap, error) {
	dir, err := os.MkdirTemp("", "outcry-fonts-")
	if err != nil {
		return nil, fmt.Errorf("look for fonts: %w", err)
	}
	defer os.RemoveAll(dir)
	fonts := fontscan.NewFontMap(log.New(io.Discard, "", 0))
	if err := fonts.UseSystemFonts(dir); err != nil {
		return nil, fmt.Errorf("look for fonts: %w", err)
	}
	return fonts, nil
}

// families are those of the machine that are tried first. Han characters are drawn as the text's other letters tell.
func families(text string) []string {
	east := "Noto Sans CJK SC"
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Hiragana, unicode.Katakana):
			east = "Noto Sans CJK JP"
		case unicode.Is(unicode.Hangul, r):
			east = "Noto Sans CJK KR"
		}
	}
	return []string{east, "Noto Sans", "DejaVu Sans", "sans-serif"}
}

// begin says how the next texts are set; l.mu is held.
func (l *letters) begin(text string, bold bool) {
	l.bold = bold
	if !l.ownAll(text) {
		if fonts, err := l.machine(); err == nil {
			query := fontscan.Query{Families: families(text)}
			if bold {
				query.Aspect.Weight = font.WeightBold
			}
			fonts.SetQuery(query)
		}
	}
}

func (l *letters) face() *font.Face {
	if l.bold {
		return l.own[1]
	}
	return l.own[0]
}

func (l *letters) ownAll(text string) bool {
	for _, r := range text {
		if _, has := l.own[0].NominalGlyph(r); !has {
			return false
		}
	}
	return true
}

// SetScript and ResolveFace have shaping find the font of each letter.
func (l *letters) SetScript(s language.Script) {
	if fonts, err := l.machine(); err == nil {
		fonts.SetScript(s)
	}
}

// ResolveFace gives a font that has the letter; the program's own where none has.
func (l *letters) ResolveFace(r rune) *font.Face {
	own := l.face()
	if _, has := own.NominalGlyph(r); has {
		return own
	}
	if fonts, err := l.machine(); err == nil {
		if face := fonts.ResolveFace(r); face != nil && drawn(face, r) {
			return face
		}
	}
	return own
}

// drawn tells whether a font has an outline for a letter; some have colored pictures only.
func drawn(face *font.Face, r rune) bool {
	glyph, has := face.NominalGlyph(r)
	if !has || glyph == 0 {
		return false
	}
	outline, has := face.GlyphDataOutline(glyph)
	return has && (len(outline.Segments) > 0 || !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.Is(unicode.Mn, r))
}

// legible returns a text with what no font has replaced by the name of its script in brackets, and those names.
func (l *letters) legible(text string) (shown string, missing []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ownAll(text) {
		return text, nil
	}
	l.begin(text, false)
	var out strings.Builder
	unnamed := "" // script of the letters before, where they are missing
	space := ""   // behind those
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			continue // directions follow from the letters
		case unicode.IsControl(r):
			r = ' '
		}
		if r == ' ' && unnamed != "" {
			space = " "
			continue
		}
		script := language.LookupScript(r)
		l.SetScript(script)
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector) || drawn(l.ResolveFace(r), r) {
			out.WriteString(space)
			out.WriteRune(r)
			unnamed, space = "", ""
			continue
		}
		if name := scriptName(script); name != unnamed {
			fmt.Fprintf(&out, "%s[%s]", space, name)
			unnamed = name
			if !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
		space = ""
	}
	return out.String(), missing
}

// scriptName is a script in English.
func scriptName(s language.Script) string {
	tag, err := tags.ParseScript(s.String())
	if name := display.English.Scripts().Name(tag); err == nil && name != "" && !strings.HasPrefix(tag.String(), "Z") {
		return name
	}
	return "symbol"
}

// segment is a piece of an outline, in pixels from where the text begins; y goes down.
type segment struct {
	op   opentype.SegmentOp
	args [3][2]float64
}

// set returns the outlines of a text in the order in which they stand on the line, and its width.
func (l *letters) set(text string, size float64, bold bool) (outline []segment, width float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin(text, bold)
	runes := []rune(text)
	for _, run := range l.visual(runes) {
		input := shaping.Input{Text: runes, RunStart: run.from, RunEnd: run.to, Direction: run.direction(), Size: fixed.Int26_6(size * 64), Language: "en"}
		parts := l.parts.Split(input, l)
		if input.Direction == di.DirectionRTL {
			slices.Reverse(parts)
		}
		for _, part := range parts {
			shaped := l.shaper.ShapeNoExtents(part)
			scale := size / float64(shaped.Face.Upem())
			for _, glyph := range shaped.Glyphs {
				x, y := width+pixels(glyph.XOffset), -pixels(glyph.YOffset)
				if of, has := shaped.Face.GlyphDataOutline(glyph.GlyphID); has {
					for _, s := range of.Segments {
						piece := segment{op: s.Op}
						for n, p := range s.ArgsSlice() {
							piece.args[n] = [2]float64{x + float64(p.X)*scale, y - float64(p.Y)*scale}
						}
						outline = append(outline, piece)
					}
				}
				width += pixels(glyph.Advance)
			}
		}
	}
	return outline, width
}

func pixels(x fixed.Int26_6) float64 { return float64(x) / 64 }

// levelRun is a stretch of a text with one embedding level; odd ones run from right to left.
type levelRun struct{ from, to, level int }

func (r levelRun) direction() di.Direction {
	if r.level%2 == 1 {
		return di.DirectionRTL
	}
	return di.DirectionLTR
}

// visual cuts a text into stretches of one direction, in the order in which they stand on the line (Unicode Standard Annex #9, rule L2).
// The text as a whole runs as its first letter does.
func (l *letters) visual(runes []rune) []levelRun {
	base, direction := 0, bidi.LeftToRight
	if rightToLeft(runes) {
		base, direction = 1, bidi.RightToLeft
	}
	var out []levelRun
	found := l.order.Segment(runes, direction)
	for i := range found.NumRuns() {
		run := found.Run(i)
		switch {
		case !run.IsLeftToRight():
			out = append(out, levelRun{run.Start, run.End, 1})
		case base == 1:
			out = append(out, levelRun{run.Start, run.End, 2})
		default:
			out = append(out, numbers(runes, run.Start, run.End)...)
		}
	}
	for level := 2; level > 0; level-- {
		for i := 0; i < len(out); i++ {
			j := i
			for j < len(out) && out[j].level >= level {
				j++
			}
			slices.Reverse(out[i:j])
			i = max(i, j-1)
		}
	}
	return out
}

// numbers cuts a stretch from left to right, of a text from left to right, where numbers belong to a stretch from right to left beside
// them: those that follow one, and those in Arabic digits.
func numbers(runes []rune, from, to int) []levelRun {
	var out []levelRun
	for i := from; i < to; {
		j, numeric, arabic := i, false, false
		for j < to {
			class := classOf(runes[j])
			is := class == classes.EN || class == classes.AN || class == classes.ES || class == classes.CS || class == classes.ET || class == classes.NSM && numeric
			if j > i && is != numeric {
				break
			}
			numeric, arabic = is, arabic || class == classes.AN
			j++
		}
		level := 0
		if numeric && (arabic || i == from && from > 0) {
			level = 2
		}
		out = append(out, levelRun{i, j, level})
		i = j
	}
	return out
}

func classOf(r rune) classes.Class {
	p, _ := classes.LookupRune(r)
	return p.Class()
}

// rightToLeft tells how a text runs: as its first letter does.
func rightToLeft(runes []rune) bool {
	for _, r := range runes {
		switch classOf(r) {
		case classes.R, classes.AL:
			return true
		case classes.L:
			return false
		}
	}
	return false
}
