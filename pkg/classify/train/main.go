package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/classify/internal/feature"
	"outcry.dev/pkg/classify/internal/linear"
	"outcry.dev/pkg/classify/internal/target"
)

// options of the two fits.
type options struct {
	label, symptom linear.Options
	folds          int
}

func defaultOptions() options {
	base := linear.Options{Features: 1 << feature.Bits, Epochs: 20, Rate: 0.3, L2: 2e-5, Seed: 20101222, Dropout: 0.5}
	o := options{label: base, symptom: base, folds: 10}
	o.label.Classes, o.symptom.Classes = labelCount, symptomCount
	o.symptom.L2 = 2e-4 // a tenth of the examples, and three times the classes
	o.label.Runs, o.symptom.Runs = 4, 1
	return o
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("train", flag.ContinueOnError)
	data := flags.String("data", "", "`folder` with the labelled and unlabelled posts, which are other people's and outside the repository")
	folder := flags.String("classify", "classify", "`folder` of the package whose weights are built")
	output := flags.String("out", "", "`file` for the weights (default: weights.bin in the package's folder)")
	evaluate := flags.Bool("evaluate", false, "measure by cross-validation and on the project's own test posts; write no weights")
	folds := flags.Int("folds", 10, "parts of the cross-validation")
	without := flags.String("without", "", "leave out the written posts of `name`.jsonl, to see what they are worth")
	choose := flags.String("select", "", "write to `file` what the model thinks of posts without a label, for a reader to label next")
	faults := flags.String("faults", "", "with --evaluate, write to `file` the posts judged wrongly (other people's posts: keep it private)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	c, err := load(*data, filepath.Join(*folder, "train"))
	if err != nil {
		return err
	}
	c.own = slices.DeleteFunc(c.own, func(p post) bool { return p.Source == *without })
	o := defaultOptions()
	o.folds = *folds
	m := &maker{finder: target.New(catalog.Default())}
	all := m.all(c.dev, c.read, c.own)
	fmt.Fprintf(out, "%d posts labelled for sampling, %d read, %d written: %d examples\n", len(c.dev), len(c.read), len(c.own), len(all))
	switch {
	case *evaluate:
		return report(out, c, m, all, o, *faults)
	case *choose != "":
		return selectPosts(c, m, all, o, *choose)
	}
	if *output == "" {
		*output = filepath.Join(*folder, "weights.bin")
	}
	stored, err := build(out, all, o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(*output, stored, 0o644); err != nil {
		return fmt.Errorf("write weights: %w", err)
	}
	fmt.Fprintf(out, "wrote %d bytes to %s\n", len(stored), *output)
	return nil
}

// build fits both models to all examples, with the scaling that cross-validation finds.
func build(out io.Writer, all []example, o options) ([]byte, error) {
	held := crossValidate(all, o.folds, o, func(p *post) bool { return p.origin == originDev })
	scale := fitScaling(only(held, originDev))
	labels := linear.Fit(plain(all), o.label).Quantise()
	labels.Rescale(float32(scale.factor), scale.shift[:])
	symptoms := fitSymptoms(all, o)
	stored := classify.EncodeModel(labels, symptoms)
	m, err := classify.ReadModel(stored)
	if err != nil {
		return nil, fmt.Errorf("the new model cannot be read: %w", err)
	}
	fmt.Fprintf(out, "model %s, factor %.3f, shifts %.2f\n", m.Version(), scale.factor, scale.shift)
	return stored, nil
}

// generalShift is added to the logit of the symptom "general". Readers give it to what they can tell nothing better of, so without
// the shift it is also the model's answer wherever it is in doubt; with it, cross-validation says it as often as readers do, and is
// no less often right.
const generalShift = -0.9

// fitSymptoms fits the model of symptoms.
func fitSymptoms(all []example, o options) *linear.Model {
	m := linear.Fit(bySymptom(all), o.symptom).Quantise()
	shift := make([]float64, symptomCount)
	shift[symptomCount-1] = generalShift
	m.Rescale(1, shift)
	return m
}

func plain(all []example) []linear.Example {
	list := make([]linear.Example, len(all))
	for i := range all {
		list[i] = all[i].Example
	}
	return list
}

func bySymptom(all []example) []linear.Example {
	var list []linear.Example
	for i := range all {
		if all[i].symptom >= 0 {
			e := all[i].Example
			e.Index, e.Value = all[i].cues.Index, all[i].cues.Value
			e.Class = all[i].symptom
			list = append(list, e)
		}
	}
	return list
}
