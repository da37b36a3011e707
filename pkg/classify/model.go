package classify

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"outcry.dev/pkg/classify/internal/decide"
	"outcry.dev/pkg/classify/internal/feature"
	"outcry.dev/pkg/classify/internal/linear"
)

// magic begins a stored model; its last digit is the version of the form.
const magic = "OUTCRY-MODEL-2\n"

//go:embed weights.bin
var weights []byte

// Model is what training found. It is safe for concurrent use.
type Model struct {
	labels   *linear.Model // classes: outcryv1.Label minus one
	symptoms *linear.Model // classes: outcryv1.Symptom minus one
	version  string
}

// DefaultModel gives the model that comes with the program.
func DefaultModel() *Model { return defaultModel() }

var defaultModel = sync.OnceValue(func() *Model {
	m, err := ReadModel(weights)
	if err != nil {
		panic(fmt.Sprintf("the embedded model: %v; rebuild it with scripts/train", err)) // a test reads it
	}
	return m
})

// ReadModel reads a model that training wrote.
func ReadModel(stored []byte) (*Model, error) {
	b, ok := bytes.CutPrefix(stored, []byte(magic))
	if !ok {
		return nil, errors.New("not a model of this version of the program")
	}
	labels, b, err := linear.Read(b)
	if err != nil {
		return nil, fmt.Errorf("read label weights: %w", err)
	}
	symptoms, b, err := linear.Read(b)
	if err != nil {
		return nil, fmt.Errorf("read symptom weights: %w", err)
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("%d bytes after the model", len(b))
	}
	if labels.Classes != labelCount || symptoms.Classes != symptomCount || labels.Features() != 1<<feature.Bits || symptoms.Features() != 1<<feature.Bits {
		return nil, errors.New("the model has other labels or features than this program")
	}
	return &Model{labels: labels, symptoms: symptoms, version: version(stored)}, nil
}

// version depends on all that decides a label: weights, lexicon and thresholds.
func version(stored []byte) string {
	h := sha256.New()
	h.Write(stored)
	h.Write([]byte(feature.LexiconText()))
	fmt.Fprint(h, decide.Thresholds())
	return "c1-" + hex.EncodeToString(h.Sum(nil))[:12]
}

// Version names the model: it depends on its weights, on the lexicon and on the thresholds of the rarer labels.
func (m *Model) Version() string { return m.version }
