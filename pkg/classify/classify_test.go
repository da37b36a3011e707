package classify_test

import (
	"testing"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
)

func classifier() *classify.Classifier {
	return classify.New(catalog.Default(), classify.DefaultModel())
}

func TestClassify(t *testing.T) {
	c := classifier()
	for _, row := range []struct {
		text string
		want map[string]outcryv1.Label
	}{
		{"skype down?", map[string]outcryv1.Label{"skype": outcryv1.Label_LABEL_OUTAGE}},
		{"Skype's down, back to chatting on Facebook", map[string]outcryv1.Label{"skype": outcryv1.Label_LABEL_OUTAGE, "facebook": outcryv1.Label_LABEL_OTHER}},
		{"can't watch Netflix, Comcast is out again", map[string]outcryv1.Label{"netflix": outcryv1.Label_LABEL_OTHER, "comcast": outcryv1.Label_LABEL_OUTAGE}},
		{"my internet is down", map[string]outcryv1.Label{"internet": outcryv1.Label_LABEL_OUTAGE}},
		{"lovely weather today", nil},
	} {
		got := c.Classify(&classify.Input{Text: row.text}, nil)
		if len(got) != len(row.want) {
			t.Errorf("%q: %d mentions, want %d: %v", row.text, len(got), len(row.want), got)
		}
		for _, m := range got {
			if row.want[m.Service] != m.Label {
				t.Errorf("%q: %s is %v (%.2f), want %v", row.text, m.Service, m.Label, m.Score, row.want[m.Service])
			}
		}
	}
}

func BenchmarkClassifyNamed(b *testing.B) {
	c := classifier()
	in := &classify.Input{Text: "@SkypeSupport hi, is skype down again? I can't sign in since this morning and nobody in the office can either :( #fail"}
	var dst []classify.Mention
	b.ReportAllocs()
	for b.Loop() {
		dst = c.Classify(in, dst[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

func BenchmarkClassifyUnnamed(b *testing.B) {
	c := classifier()
	in := &classify.Input{Text: "good morning everyone, what a lovely day to walk the dog and read a book in the park"}
	var dst []classify.Mention
	b.ReportAllocs()
	for b.Loop() {
		dst = c.Classify(in, dst[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}
