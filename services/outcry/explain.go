package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/classify"
)

func (a *app) explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say why a text is read as it is",
		ArgsUsage: `"TEXT"`,
		Description: `Prints, for each service that the text names: the words that name it, the label and how probable each label is, the symptom, and
the features of the text that moved the label most, and then the symptom, with their weights: above 0 for it, below 0 against it.
The TEXT - is read from standard input.

Examples:
  outcry explain "is skype down? cannot sign in since noon"
  outcry explain --json "spotify is back" | jq .mentions[0].probabilities
  pbpaste | outcry explain -`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object with all of it"},
		},
		Action: a.explain,
	}
}

func (a *app) explain(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 1, math.MaxInt, "a TEXT, or - for standard input,"); err != nil {
		return err
	}
	text := strings.Join(cmd.Args().Slice(), " ") // who forgets the quotes means one text
	if text == "-" {
		read, err := io.ReadAll(io.LimitReader(&interruptible{ctx: ctx, r: a.stdin}, classify.MaxBytes+1))
		if err != nil {
			return fmt.Errorf("read the text: %w", err)
		}
		text = strings.TrimRight(string(read), "\r\n")
	}
	if len(text) > classify.MaxBytes {
		return fmt.Errorf("the text has more than %d bytes, which is what is read of a post", classify.MaxBytes)
	}
	if strings.TrimSpace(text) == "" {
		return errors.New("the text is empty")
	}
	services, err := a.catalog(cmd)
	if err != nil {
		return err
	}
	explanation := classify.New(services, classify.DefaultModel()).Explain(text)
	if cmd.Bool("json") {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(explanation)
	}
	return writeExplanation(a.stdout, explanation)
}

func writeExplanation(w io.Writer, e classify.Explanation) error {
	var b strings.Builder
	if len(e.Mentions) == 0 {
		b.WriteString("No service is named; \"outcry catalog list\" has those that are listened for.\n")
	} else {
		fmt.Fprintf(&b, "read as  %s\nmodel    %s\n", e.Read, e.Version)
	}
	for _, m := range e.Mentions {
		fmt.Fprintf(&b, "\n%s: %s", m.Service, m.Label)
		if m.Symptom != "" {
			fmt.Fprintf(&b, " (%s)", m.Symptom)
		}
		fmt.Fprintf(&b, ", score %.2f, named by %q\n ", m.Score, m.Matched)
		labels := slices.SortedFunc(maps.Keys(m.Probabilities), func(x, y string) int {
			return cmp.Or(cmp.Compare(m.Probabilities[y], m.Probabilities[x]), cmp.Compare(x, y))
		})
		for _, label := range labels {
			fmt.Fprintf(&b, " %s %.2f", label, m.Probabilities[label])
		}
		b.WriteString("\n")
		writeFeatures(&b, m.Features)
		if m.Symptom != "" {
			fmt.Fprintf(&b, "  why %s\n", m.Symptom)
			writeFeatures(&b, m.SymptomFeatures)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFeatures(b *strings.Builder, features []classify.ExplainedFeature) {
	for _, f := range features {
		fmt.Fprintf(b, "  %+6.2f  %s\n", f.Weight, f.Feature)
	}
}
