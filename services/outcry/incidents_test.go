package main

import (
	"strings"
	"testing"
)

func TestWrongWordsAboutIncidents(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"incidents", "dismiss"}, "outcry: ID is missing"},
		{[]string{"incidents", "dismiss", "skype"}, `"skype" is no incident; an id is a service and a start, such as skype-20101222T1612`},
		{[]string{"incidents", "note", "skype-20101222T1612"}, "TEXT is missing"},
		{[]string{"incidents", "confirm", "--who", strings.Repeat("a", 201), "skype-20101222T1612"}, "who of a verdict has 201 bytes"},
		{[]string{"incidents", "list", "--limit", "0"}, "--limit is 0; expected 1 to 100000"},
	} {
		if got := outcry(t, row.args...); got.code != exitUsage || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%v: exit status %d, %q; want %q", row.args, got.code, got.stderr, row.want)
		}
	}
	environ := []string{"OUTCRY_DATA_DIR=" + t.TempDir()}
	if got := (call{args: []string{"incidents", "list", "--service", "skyp"}, environ: environ}).run(t); !strings.Contains(got.stderr, "outcry: --service: the catalog has no service \"skyp\"") {
		t.Errorf("a service that is not known: %+v", got)
	}
	for _, args := range [][]string{{"incidents", "list"}, {"incidents", "confirm", "skype-20101222T1612"}} {
		if got := (call{args: args, environ: environ}).run(t); got.code != exitFailure || !strings.Contains(got.stderr, "holds no data") {
			t.Errorf("%v without data: %+v", args, got)
		}
	}
}
