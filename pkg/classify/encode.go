package classify

import "outcry.dev/pkg/classify/internal/linear"

// EncodeModel stores a model as ReadModel reads it. It is for training: labels has a class for each label, symptoms one for each
// symptom.
func EncodeModel(labels, symptoms *linear.Model) []byte {
	b := labels.Append([]byte(magic))
	return symptoms.Append(b)
}
