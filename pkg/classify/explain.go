package classify

import (
	"sort"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/classify/internal/feature"
	"outcry.dev/pkg/classify/internal/linear"
)

// Explanation says in words and numbers why a text was judged as it was.
type Explanation struct {
	Text string `json:"text"`
	// Read is the text as the model read it: folded, with placeholders for services, links, handles and numbers.
	Read     string             `json:"read"`
	Version  string             `json:"model_version"`
	Mentions []ExplainedMention `json:"mentions"`
}

// ExplainedMention is a mention with what spoke for its label.
type ExplainedMention struct {
	Service string `json:"service"`
	// Matched is the part of the text that names the service.
	Matched       string             `json:"matched"`
	Label         string             `json:"label"`
	Score         float32            `json:"score"`
	Symptom       string             `json:"symptom,omitempty"`
	Probabilities map[string]float32 `json:"probabilities"`
	// Features that moved the label most, for and against, strongest first.
	Features []ExplainedFeature `json:"features"`
	// SymptomFeatures moved the symptom most, likewise; none where the label has no symptom.
	SymptomFeatures []ExplainedFeature `json:"symptom_features,omitempty"`
}

// ExplainedFeature is one feature and how much it added to the logit of what was chosen, compared with the mean of all that could have been.
type ExplainedFeature struct {
	Feature string  `json:"feature"`
	Weight  float32 `json:"weight"`
}

const (
	explainedFeatures = 20
	explainedCues     = 8
)

// Explain classifies a text and says why. It is slow: it is for people.
func (c *Classifier) Explain(text string) Explanation {
	s := new(session)
	in := &Input{Text: text}
	c.judge(s, in)
	e := Explanation{Text: text, Version: c.version, Mentions: []ExplainedMention{}}
	if len(s.judged) == 0 {
		return e
	}
	e.Read = readable(s.doc.Normalized())
	s.doc.Trace(true)
	for ordinal, j := range s.judged {
		m := ExplainedMention{
			Service: c.finder.ID(j.service), Matched: text[j.start:j.end], Label: outcryv1.Label(j.label + 1).Name(),
			Score: j.labels[j.label], Symptom: j.symptom.Name(), Probabilities: map[string]float32{},
		}
		for l, p := range j.labels {
			m.Probabilities[outcryv1.Label(l+1).Name()] = p
		}
		t := feature.Target{Ordinal: ordinal, Category: c.finder.Category(j.service)}
		m.Features = strongest(c.model.labels, s.doc.Features(t), j.label, explainedFeatures)
		if j.symptom != 0 {
			m.SymptomFeatures = strongest(c.model.symptoms, s.doc.Cues(t), int(j.symptom)-1, explainedCues)
		}
		e.Mentions = append(e.Mentions, m)
	}
	return e
}

// strongest sums the weights of each feature and gives the n that moved a class most.
func strongest(m *linear.Model, v feature.Vector, class, n int) []ExplainedFeature {
	sums := map[string]float32{}
	for i, f := range v.Index {
		var mean float32
		for other := range m.Classes {
			mean += m.Weight(f, other)
		}
		sums[v.Notes[i]] += v.Value[i] * (m.Weight(f, class) - mean/float32(m.Classes))
	}
	all := make([]ExplainedFeature, 0, len(sums))
	for name, w := range sums {
		all = append(all, ExplainedFeature{Feature: name, Weight: w})
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := abs(all[i].Weight), abs(all[j].Weight)
		if a != b {
			return a > b
		}
		return all[i].Feature < all[j].Feature
	})
	return all[:min(len(all), n)]
}

func abs(x float32) float32 {
	if x < 0 {
		return -x
	}
	return x
}

// readable names the placeholders.
func readable(normalized string) string {
	var b []rune
	for _, r := range normalized {
		switch name := feature.PlaceholderName(r); {
		case name != "":
			b = append(b, []rune(name)...)
		default:
			b = append(b, r)
		}
	}
	return string(b)
}
