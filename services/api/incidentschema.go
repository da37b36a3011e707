package api

import (
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// incidentFields describes an incident: pkg/incident writes it. A test holds the two against each other.
type incidentFields struct {
	ID                string           `json:"id" doc:"Service and minute of started_at."`
	Service           string           `json:"service" doc:"Catalog id of the service."`
	State             string           `json:"state" enum:"suspected,confirmed,recovering,resolved,dismissed" doc:"Where the incident stands."`
	Severity          string           `json:"severity" enum:"minor,major,critical" doc:"By the number of people and the excess over the expectation."`
	StartedAt         *time.Time       `json:"started_at,omitempty" doc:"First unusual minute."`
	DetectedAt        *time.Time       `json:"detected_at,omitempty" doc:"When it became suspected."`
	ConfirmedAt       *time.Time       `json:"confirmed_at,omitempty" doc:"When it became confirmed; absent where it did not."`
	ResolvedAt        *time.Time       `json:"resolved_at,omitempty" doc:"When it was over; absent while it lasts."`
	OfficialAt        *time.Time       `json:"official_at,omitempty" doc:"First official word; absent without one."`
	LeadSeconds       *float64         `json:"lead_seconds,omitempty" doc:"official_at minus detected_at: positive where Outcry was first."`
	People            int64            `json:"people" doc:"Distinct people with an outage mention since started_at."`
	PeakPerMinute     int64            `json:"peak_per_minute" doc:"Highest number of distinct people in a minute."`
	ExpectedPerMinute float64          `json:"expected_per_minute" doc:"People a minute that the baseline expected at the start."`
	Symptoms          map[string]int64 `json:"symptoms" doc:"People by symptom."`
	Root              string           `json:"root" doc:"Incident that probably caused this one; empty where it stands for itself."`
	Consequences      []string         `json:"consequences" doc:"Services carried along."`
	Confidence        float64          `json:"confidence" doc:"0 to 1."`
	Explanation       string           `json:"explanation" doc:"What was seen, what was expected, how unlikely."`
	Evidence          []evidenceJSON   `json:"evidence" doc:"Posts; empty in lists."`
}

// Schema lets huma describe what json.RawMessage hides. Fields may be added.
func (incidentJSON) Schema(r huma.Registry) *huma.Schema {
	ref := r.Schema(reflect.TypeFor[incidentFields](), true, "Incident")
	if s := r.SchemaFromRef(ref.Ref); s != nil {
		s.AdditionalProperties = true
	}
	return ref
}

// Schema names the states.
func (state) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{"ok", "suspected", "outage", "recovering", "unknown"}}
}
