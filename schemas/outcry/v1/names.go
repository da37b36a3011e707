// Package outcryv1 holds the messages that cross Kafka, generated from the .proto files beside it, and the names that people read.
// It must never hold logic.
package outcryv1

import "strings"

// Name returns the label as posts and tables spell it ("outage"), or "" for none.
func (l Label) Name() string { return shortName(l.String(), "LABEL_") }

// Name returns the symptom as posts and tables spell it ("app_crash"), or "" for none.
func (s Symptom) Name() string { return shortName(s.String(), "SYMPTOM_") }

// Name returns the state as JSON and tables spell it ("suspected"), or "" for none.
func (s Incident_State) Name() string { return shortName(s.String(), "STATE_") }

// Name returns the severity as JSON and tables spell it ("major"), or "" for none.
func (s Incident_Severity) Name() string { return shortName(s.String(), "SEVERITY_") }

// ParseLabel is the inverse of Label.Name; it returns LABEL_UNSPECIFIED for an unknown name.
func ParseLabel(name string) Label { return Label(Label_value["LABEL_"+strings.ToUpper(name)]) }

// ParseSymptom is the inverse of Symptom.Name; it returns SYMPTOM_UNSPECIFIED for an unknown name.
func ParseSymptom(name string) Symptom {
	return Symptom(Symptom_value["SYMPTOM_"+strings.ToUpper(name)])
}

func shortName(full, prefix string) string {
	if full == prefix+"UNSPECIFIED" {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(full, prefix))
}

// Name returns the kind as commands and tables spell it ("dismiss"), or "" for none.
func (k Verdict_Kind) Name() string { return shortName(k.String(), "KIND_") }

// ParseVerdictKind is the inverse of Verdict_Kind.Name; it returns KIND_UNSPECIFIED for an unknown name.
func ParseVerdictKind(name string) Verdict_Kind {
	return Verdict_Kind(Verdict_Kind_value["KIND_"+strings.ToUpper(name)])
}
