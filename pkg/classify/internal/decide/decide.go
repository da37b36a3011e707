// Package decide chooses a label from probabilities: the most likely one, except that the two labels on which others build claims
// ("the operator said so", "it works again") need more than a lead, and are "other" without it.
//
// It is used in the same way when measuring and when classifying, so that what is measured is what is done.
package decide

import outcryv1 "outcry.dev/schemas/outcry/v1"

// Labels is how many labels there are; a label's class is its number minus one.
const Labels = int(outcryv1.Label_LABEL_OTHER)

// Thresholds found on held-out posts, so that 9 of 10 such labels are right.
const (
	// minOfficial: an operator's account writes mostly about single cases.
	minOfficial = 0.5
	// minOfficialUnknown holds where no account of the operator is known to have written the post: the wording must be plain.
	minOfficialUnknown = 0.8
	// minRecovered keeps hopes and reports of other days from ending an incident.
	minRecovered = 0.7
)

// Thresholds are all that Choose goes by, for the model's version.
func Thresholds() [3]float32 { return [3]float32{minOfficial, minOfficialUnknown, minRecovered} }

// Choose gives the class for probabilities: the most likely one, or "other" where that is a claim too weak to stand; the next likely one
// would be less likely still, and "works again" must not be counted as an outage. byOperator says that an official account wrote the post.
func Choose(p []float32, byOperator bool) int {
	best := 0
	for c, v := range p {
		if v > p[best] {
			best = c
		}
	}
	least := float32(0)
	switch outcryv1.Label(best + 1) {
	case outcryv1.Label_LABEL_OFFICIAL:
		least = minOfficialUnknown
		if byOperator {
			least = minOfficial
		}
	case outcryv1.Label_LABEL_RECOVERED:
		least = minRecovered
	}
	if p[best] < least {
		return int(outcryv1.Label_LABEL_OTHER) - 1
	}
	return best
}
