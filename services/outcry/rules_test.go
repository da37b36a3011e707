package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const rulesFolder = "../../deploy/prometheus"

// TestRulesOfPrometheus runs the unit tests of the alert rules with promtool, of Debian's package prometheus.
func TestRulesOfPrometheus(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Fatal("promtool is missing: install the package prometheus, or run ./scripts/test, which does")
	}
	for _, args := range [][]string{
		{"check", "rules", filepath.Join(rulesFolder, "rules.yml"), filepath.Join(rulesFolder, "outcry.rules.yml")},
		{"check", "config", "--syntax-only", filepath.Join(rulesFolder, "prometheus.yml")},
		{"test", "rules", filepath.Join(rulesFolder, "rules_test.yml")},
	} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestRulesNameMetricsThatThereAre looks for each metric of the rules in the programs, and for each rule in the tests of the rules.
func TestRulesNameMetricsThatThereAre(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(rulesFolder, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile(filepath.Join(rulesFolder, "outcry.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	rules = append(rules, more...)
	tests, err := os.ReadFile(filepath.Join(rulesFolder, "rules_test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var programs strings.Builder
	for _, folder := range []string{"..", "../../pkg"} {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			programs.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := regexp.MustCompile(`outcry_[a-z_]+`).FindAllString(string(rules), -1)
	if len(names) < 12 {
		t.Errorf("only %d metrics in the rules", len(names))
	}
	for _, name := range names {
		// ingest puts its prefix before the names of its sources' metrics.
		if !strings.Contains(programs.String(), `"`+name+`"`) && !strings.Contains(programs.String(), `"`+strings.TrimPrefix(name, "outcry_ingest_")+`"`) {
			t.Errorf("no program has the metric %s", name)
		}
	}
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !regexp.MustCompile(`alertname: ` + m[1] + `\n\s+exp_alerts:\n`).Match(tests) {
			t.Errorf("no test lets %s fire", m[1])
		}
	}
}
