package main

import (
	"strings"
	"testing"
)

func TestBacktestFaults(t *testing.T) {
	bad := writeFile(t, "bad.jsonl", "{\"service\":\"x\"}\n")
	posts := writeFile(t, "posts.jsonl", "")
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":     {nil, exitUsage, "name one history"},
		"two":         {[]string{"--scenario", "quiet", "--kept", "x"}, exitUsage, "name one history"},
		"scenario":    {[]string{"--scenario", "quite"}, exitUsage, `did you mean "quiet"?`},
		"seeds":       {[]string{"--scenario", "quiet", "--seeds", "0"}, exitUsage, "--seeds is 0"},
		"kept":        {[]string{"--kept", "absent"}, exitUsage, "no folder"},
		"lonely":      {[]string{"--scenario", "quiet", "--truth", bad}, exitUsage, "--truth goes with FILE"},
		"truth":       {[]string{"--truth", bad, posts}, exitFailure, "bad.jsonl:1: service, start or end is missing"},
		"feedback":    {[]string{"--feedback", bad, posts}, exitFailure, "bad.jsonl:1: service or start is missing"},
		"compare":     {[]string{"--scenario", "quiet", "--compare", "x"}, exitUsage, "expected KEY=VALUE"},
		"compare key": {[]string{"--scenario", "quiet", "--compare", "detect.min_peple=3"}, exitUsage, "OUTCRY_DETECT_MIN_PEPLE"},
		"format":      {[]string{"--format", "xml", posts}, exitUsage, "--format"},
	} {
		if got := outcry(t, append([]string{"backtest"}, tt.args...)...); got.code != tt.code || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %d %s", name, got.code, got.stderr)
		}
	}
}
