package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/classify"
)

func TestExplain(t *testing.T) {
	const text = "is Skype down? I cannot sign in"
	got := outcry(t, "explain", "--json", text)
	var e classify.Explanation
	if err := json.Unmarshal([]byte(got.stdout), &e); err != nil || got.code != exitOK {
		t.Fatalf("%v: %+v", err, got)
	}
	if len(e.Mentions) != 1 || e.Mentions[0].Service != "skype" || e.Mentions[0].Matched != "Skype" || e.Mentions[0].Label != "outage" || len(e.Mentions[0].Features) == 0 {
		t.Fatalf("%+v", e)
	}
	m := e.Mentions[0]

	words := outcry(t, "explain", text)
	for _, want := range []string{
		"read as  " + e.Read + "\n", fmt.Sprintf("\nskype: outage (%s), score %.2f, named by \"Skype\"\n  outage %.2f ", m.Symptom, m.Score, m.Score),
		fmt.Sprintf("  %+6.2f  %s\n", m.Features[0].Weight, m.Features[0].Feature),
		fmt.Sprintf("\n  why %s\n  %+6.2f  %s\n", m.Symptom, m.SymptomFeatures[0].Weight, m.SymptomFeatures[0].Feature),
	} {
		if !strings.Contains(words.stdout, want) {
			t.Errorf("%q is not in\n%s", want, words.stdout)
		}
	}
	if n := strings.Count(words.stdout, "\n"); n != 6+len(m.Features)+len(m.SymptomFeatures) {
		t.Errorf("%d lines for %d features\n%s", n, len(m.Features), words.stdout)
	}

	for name, same := range map[string]call{
		"without quotes": {args: append([]string{"explain"}, strings.Fields(text)...)},
		"standard input": {args: []string{"explain", "-"}, stdin: text + "\n"},
	} {
		if diff := cmp.Diff(words, same.run(t), cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}

	classified := call{args: []string{"classify", "-"}, stdin: fmt.Sprintf(`{"id":"1","text":%q}`+"\n", text)}.run(t)
	want := fmt.Sprintf(`{"id":"1","mentions":[{"service":"skype","label":"outage","score":%.4g,"symptom":%q}]}`+"\n", m.Score, m.Symptom)
	if classified.stdout != want {
		t.Errorf("classify says otherwise: %s, want %s", classified.stdout, want)
	}
}

func TestExplainWhatNamesNoService(t *testing.T) {
	if got := outcry(t, "explain", "what a lovely morning"); got.code != exitOK || !strings.HasPrefix(got.stdout, "No service is named") {
		t.Errorf("%+v", got)
	}
	if got := outcry(t, "explain", "help"); got.code != exitOK || !strings.HasPrefix(got.stdout, "No service is named") {
		t.Errorf("the text is taken for a command: %+v", got)
	}
}

func TestExplainRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		call
		code int
		want string
	}{
		"nothing":  {call{args: []string{"explain"}}, exitUsage, "TEXT, or - for standard input, is missing"},
		"blank":    {call{args: []string{"explain", " "}}, exitFailure, "the text is empty"},
		"too long": {call{args: []string{"explain", "-"}, stdin: strings.Repeat("skype ", 10_000)}, exitFailure, "more than 10000 bytes"},
	} {
		if got := tt.run(t); got.code != tt.code || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
