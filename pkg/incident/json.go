package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// line is an incident as a JSON line. Its fields are an interface: they do not change.
type line struct {
	ID                string           `json:"id"`
	Service           string           `json:"service"`
	State             string           `json:"state"`
	Severity          string           `json:"severity"`
	StartedAt         *time.Time       `json:"started_at,omitempty"`
	DetectedAt        *time.Time       `json:"detected_at,omitempty"`
	ConfirmedAt       *time.Time       `json:"confirmed_at,omitempty"`
	ResolvedAt        *time.Time       `json:"resolved_at,omitempty"`
	OfficialAt        *time.Time       `json:"official_at,omitempty"`
	LeadSeconds       *float64         `json:"lead_seconds,omitempty"`
	People            int64            `json:"people"`
	PeakPerMinute     int64            `json:"peak_per_minute"`
	ExpectedPerMinute float64          `json:"expected_per_minute"`
	Symptoms          map[string]int64 `json:"symptoms"`
	Root              string           `json:"root"`
	Consequences      []string         `json:"consequences"`
	Confidence        float64          `json:"confidence"`
	Explanation       string           `json:"explanation"`
	Evidence          []post           `json:"evidence"`

	// Added later; absent where there is nothing to say.
	Places         map[string]int64 `json:"places,omitempty"`
	Languages      map[string]int64 `json:"languages,omitempty"`
	Sources        map[string]int64 `json:"sources,omitempty"`
	Reopened       int32            `json:"reopened,omitempty"`
	Coordinated    bool             `json:"coordinated,omitempty"`
	RootConfidence float64          `json:"root_confidence,omitempty"`
	RootReasons    []string         `json:"root_reasons,omitempty"`
	Verdicts       []word           `json:"verdicts,omitempty"`
	Test           bool             `json:"test,omitempty"`
}

type word struct {
	Kind string     `json:"kind"`
	Who  string     `json:"who"`
	Text string     `json:"text,omitempty"`
	At   *time.Time `json:"at"`
}

type post struct {
	ID      string     `json:"id"`
	Source  string     `json:"source"`
	Time    *time.Time `json:"time,omitempty"`
	Text    string     `json:"text"`
	URL     string     `json:"url,omitempty"`
	Label   string     `json:"label"`
	Symptom string     `json:"symptom,omitempty"`
	Score   float32    `json:"score"`
}

// JSON encodes an incident as one JSON line without the line feed. Times are RFC 3339 in UTC and absent where not known; lead_seconds is
// the official word minus the detection, absent without an official word; symptoms, places, languages and sources map a name to distinct people.
func JSON(i *outcryv1.Incident) ([]byte, error) {
	l := line{
		ID: i.Id, Service: i.Service, State: i.State.Name(), Severity: i.Severity.Name(),
		StartedAt: moment(i.StartedAtUs), DetectedAt: moment(i.DetectedAtUs), ConfirmedAt: moment(i.ConfirmedAtUs),
		ResolvedAt: moment(i.ResolvedAtUs), OfficialAt: moment(i.OfficialAtUs),
		People: i.People, PeakPerMinute: i.PeakPerMinute, ExpectedPerMinute: i.ExpectedPerMinute,
		Symptoms: map[string]int64{}, Root: i.Root, Consequences: append([]string{}, i.Consequences...),
		Confidence: i.Confidence, Explanation: i.Explanation, Evidence: []post{}, Test: i.Test,
	}
	l.Places, l.Languages, l.Sources = byName(i.Places), byName(i.Languages), byName(i.Sources)
	l.Reopened, l.Coordinated = i.Reopened, i.Coordinated
	l.RootConfidence, l.RootReasons = i.RootConfidence, i.RootReasons
	for _, v := range i.Verdicts {
		l.Verdicts = append(l.Verdicts, word{v.Kind.Name(), v.Who, v.Text, moment(v.AtUs)})
	}
	if i.OfficialAtUs > 0 && i.DetectedAtUs > 0 {
		lead := float64(i.OfficialAtUs-i.DetectedAtUs) / 1e6
		l.LeadSeconds = &lead
	}
	for _, s := range i.Symptoms {
		l.Symptoms[s.Symptom.Name()] = s.People
	}
	for _, e := range i.Evidence {
		l.Evidence = append(l.Evidence, post{
			ID: e.PostId, Source: e.Source, Time: moment(e.TimeUs), Text: e.Text, URL: e.Url,
			Label: e.Label.Name(), Symptom: e.Symptom.Name(), Score: e.Score,
		})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read it
	if err := e.Encode(l); err != nil {
		return nil, fmt.Errorf("encode incident %s: %w", i.Id, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func byName(counts []*outcryv1.NameCount) map[string]int64 {
	if len(counts) == 0 {
		return nil
	}
	people := make(map[string]int64, len(counts))
	for _, c := range counts {
		people[c.Name] = c.People
	}
	return people
}

func moment(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := time.UnixMicro(us).UTC()
	return &t
}
