package main

import (
	"strings"
	"testing"

	"outcry.dev/pkg/catalog"
)

func TestCatalogList(t *testing.T) {
	got := outcry(t, "catalog", "list")
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if want := len(catalog.Default().Services); got.code != exitOK || len(lines) != want {
		t.Fatalf("exit status %d, %d lines for %d services: %s", got.code, len(lines), want, got.stderr)
	}
	skype, _ := catalog.Default().ByID("skype")
	few := outcry(t, "catalog", "list", "--category", skype.Category)
	for line := range strings.Lines(few.stdout) {
		if fields := strings.Fields(line); len(fields) < 4 || fields[1] != skype.Category {
			t.Errorf("%q is not of the category %s", line, skype.Category)
		}
	}
	if !strings.Contains(few.stdout, "skype ") || len(few.stdout) >= len(got.stdout) {
		t.Errorf("%s", few.stdout)
	}
}

func TestCatalogShow(t *testing.T) {
	got := outcry(t, "catalog", "show", "skype")
	for _, want := range []string{"id ", "skype", "Skype", "official on twitter", "@Skype"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%q is not in\n%s", want, got.stdout)
		}
	}
	if got := outcry(t, "catalog", "show", "skipe"); got.code != exitFailure || got.stderr != "outcry: no service has the id \"skipe\"; the nearest known one is skype\n" {
		t.Errorf("%+v", got)
	}
}

func TestCatalogFilesOfTheConfigurationAreUsed(t *testing.T) {
	mine := writeFile(t, "mine.yaml", "category: messaging\nservices:\n  - {id: carrier-pigeon, name: Carrier Pigeon Express}\n")
	environ := []string{"OUTCRY_CATALOG_FILES=" + mine}
	if got := (call{args: []string{"catalog", "show", "carrier-pigeon"}, environ: environ}).run(t); !strings.Contains(got.stdout, "Carrier Pigeon Express") {
		t.Errorf("%+v", got)
	}
	got := call{args: []string{"classify", "-"}, stdin: `{"id":"1","text":"carrier pigeon express is down"}` + "\n", environ: environ}.run(t)
	if !strings.Contains(got.stdout, `"service":"carrier-pigeon"`) {
		t.Errorf("%+v", got)
	}
}

func TestCatalogCheck(t *testing.T) {
	if got := outcry(t, "catalog", "check"); got.code != exitOK || !strings.HasSuffix(got.stdout, " services, no faults\n") {
		t.Errorf("%+v", got)
	}
	broken := writeFile(t, "broken.yaml", "category: nonsense\nservices:\n  - {id: Up Case, name: X}\n  - {id: a-b, name: Skype}\n")
	got := outcry(t, "catalog", "check", broken)
	if got.code != exitFailure || got.stdout != "" || strings.Count(got.stderr, broken+":") < 2 {
		t.Errorf("every fault must be named with its file: %+v", got)
	}
}

func TestCatalogUsage(t *testing.T) {
	for line, want := range map[string]string{
		"catalog shwo skype":            "known are list, show, check",
		"catalog show":                  "the ID of a service is missing",
		"catalog show a b":              `unexpected argument "b"`,
		"catalog list --category gmaes": "the nearest known one is games",
	} {
		if got := outcry(t, strings.Fields(line)...); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v", line, got)
		}
	}
}
