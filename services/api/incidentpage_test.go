package api

import (
	"testing"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// The sentence of the detection stands beside a later one, and nothing is said twice.
func TestDetection(t *testing.T) {
	suspected := store.Change{State: "suspected", Explanation: "14 people."}
	more := store.Change{State: "suspected", Explanation: "14 people. Coordinated: 9 of 14 posts are copies."}
	confirmed := store.Change{State: "confirmed", Explanation: "19 people."}
	for name, test := range map[string]struct {
		now     string
		changes []store.Change
		want    string
	}{
		"suspected still":       {"14 people.", []store.Change{suspected}, ""},
		"that and more":         {more.Explanation, []store.Change{suspected, more}, ""},
		"confirmed":             {"19 people.", []store.Change{suspected, more, confirmed}, "14 people."},
		"resolved":              {"19 people.", []store.Change{suspected, confirmed, {State: "resolved", Explanation: "19 people."}}, "14 people."},
		"reopened":              {"Reopened: it had been resolved at 18:00 UTC. 12 people.", []store.Change{suspected, confirmed}, "14 people."},
		"its beginning is lost": {"19 people.", []store.Change{confirmed}, ""},
		"no change is known":    {"19 people.", nil, ""},
	} {
		if got := detection(&outcryv1.Incident{Explanation: test.now}, test.changes); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
