package simulate

import "outcry.dev/pkg/post"

// Labelled is a post and what its writer meant.
type Labelled struct {
	post.Post
	Truth []Mention `json:"truth"` // one for each service that the text names; nil where it names none
}

// Mention is what the writer of a post meant about one service. Labels and symptoms are those of the project's design; Symptom is
// empty for complaint and other.
type Mention struct {
	Service string `json:"service"`
	Label   string `json:"label"`
	Symptom string `json:"symptom,omitempty"`
}

var labels = []string{"outage", "bug", "complaint", "recovered", "official", "other"}

var symptomNames = []string{
	"login", "loading", "connection", "app_crash", "playback", "messaging", "calls", "posting", "search", "email", "payments",
	"website", "performance", "feature", "general",
}
