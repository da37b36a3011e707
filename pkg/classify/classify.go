package classify

import (
	"sync"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify/internal/decide"
	"outcry.dev/pkg/classify/internal/feature"
	"outcry.dev/pkg/classify/internal/linear"
	"outcry.dev/pkg/classify/internal/target"
)

const (
	labelCount   = decide.Labels
	symptomCount = int(outcryv1.Symptom_SYMPTOM_GENERAL)
)

// MaxBytes bounds what is read of a text; the rest says nothing.
const MaxBytes = 10_000

// Input is one post.
type Input struct {
	Text string
	// Lang is the language as the network states it. It is not relied on: networks are wrong too often.
	Lang string
	// ReplyTo is the native id of the post that this one answers; empty where it answers none.
	ReplyTo string
	// Repost says that the post repeats another.
	Repost bool
	// OfficialOf holds the ids of the services whose official account wrote the post.
	OfficialOf []string
}

// Mention is what a post tells of one service.
type Mention struct {
	Service string
	Label   outcryv1.Label
	// Score is the probability of the label, 0 to 1, calibrated on posts that the model had not seen.
	Score float32
	// Symptom is set for outage, bug, recovered and official.
	Symptom outcryv1.Symptom
	// Start and End bound the place in the text that names the service first, in bytes; both are 0 where only the author tells.
	Start, End int
}

// Classifier judges posts. It is safe for concurrent use.
type Classifier struct {
	finder  *target.Finder
	model   *Model
	pool    sync.Pool // of *session
	version string
}

// session is the memory for one post at a time.
type session struct {
	scratch target.Scratch
	spans   []feature.Span
	doc     feature.Document
	judged  []judgement
}

// judgement is what the model says of one service of a post.
type judgement struct {
	service    int
	label      int
	labels     [labelCount]float32 // probabilities
	symptom    outcryv1.Symptom
	start, end int
}

// New makes a classifier for the services of a valid catalog.
func New(c *catalog.Catalog, m *Model) *Classifier {
	cl := &Classifier{finder: target.New(c), model: m, version: m.version}
	cl.pool.New = func() any { return new(session) }
	return cl
}

// Version names the model: it changes whenever a label could.
func (c *Classifier) Version() string { return c.version }

// Classify appends one mention for each service that the post names, or whose official account wrote it. It allocates nothing for
// a post that names none, and its work is bounded whatever the text.
func (c *Classifier) Classify(in *Input, dst []Mention) []Mention {
	s := c.pool.Get().(*session)
	s.judged = s.judged[:0]
	c.judge(s, in)
	for _, j := range s.judged {
		dst = append(dst, Mention{
			Service: c.finder.ID(j.service), Label: outcryv1.Label(j.label + 1), Score: j.labels[j.label],
			Symptom: j.symptom, Start: j.start, End: j.end,
		})
	}
	c.pool.Put(s)
	return dst
}

// judge fills s.judged.
func (c *Classifier) judge(s *session, in *Input) {
	text := in.Text
	if len(text) > MaxBytes {
		text = text[:MaxBytes]
	}
	s.spans = c.finder.Find(text, &s.scratch, s.spans[:0])
	if len(s.spans) == 0 && len(in.OfficialOf) == 0 {
		return
	}
	s.doc.Read(text, s.spans, feature.Author{Repost: in.Repost, Reply: in.ReplyTo != ""})
	for ordinal, service := range s.doc.Services() {
		j := judgement{service: service}
		for _, sp := range s.spans {
			if sp.Service == service {
				j.start, j.end = sp.Start, sp.End
				break
			}
		}
		c.decide(s, &j, feature.Target{Ordinal: ordinal, Category: c.finder.Category(service), Official: isOfficial(c.finder.ID(service), in)})
		s.judged = append(s.judged, j)
	}
	for _, id := range in.OfficialOf { // an operator seldom names itself
		service, ok := c.finder.Lookup(id)
		if !ok || len(s.judged) >= feature.MaxServices || mentioned(s.judged, service) {
			continue
		}
		j := judgement{service: service}
		c.decide(s, &j, feature.Target{Ordinal: -1, Category: c.finder.Category(service), Official: true})
		s.judged = append(s.judged, j)
	}
}

func isOfficial(id string, in *Input) bool {
	for _, o := range in.OfficialOf {
		if o == id {
			return true
		}
	}
	return false
}

func mentioned(all []judgement, service int) bool {
	for _, j := range all {
		if j.service == service {
			return true
		}
	}
	return false
}

// decide asks the model about one service.
func (c *Classifier) decide(s *session, j *judgement, t feature.Target) {
	v := s.doc.Features(t)
	c.model.labels.Logits(v.Index, v.Value, j.labels[:])
	linear.Softmax(j.labels[:])
	j.label = decide.Choose(j.labels[:], t.Official || s.doc.ByOperator())
	if l := outcryv1.Label(j.label + 1); l == outcryv1.Label_LABEL_COMPLAINT || l == outcryv1.Label_LABEL_OTHER {
		return
	}
	v = s.doc.Cues(t)
	var symptoms [symptomCount]float32
	c.model.symptoms.Logits(v.Index, v.Value, symptoms[:])
	j.symptom = outcryv1.Symptom(best(symptoms[:]) + 1)
}

func best(p []float32) int {
	top := 0
	for i, v := range p {
		if v > p[top] {
			top = i
		}
	}
	return top
}
