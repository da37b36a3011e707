package main

import (
	"strings"
	"testing"
)

func TestBacktestFaults(t *testing.T) {
	bad := writeFile(t, "bad.jsonl", "{\"service\":\"x\"}\n")
	stranger := writeFile(t, "stranger.jsonl", `{"service":"no-such-service","start":"2020-01-01T00:00:00Z","end":"2020-01-01T01:00:00Z"}`)
	misspelt := writeFile(t, "misspelt.jsonl", `{"service":"skype","start":"2020-01-01T00:00:00Z","dismised":true}`)
	day := writeFile(t, "day.jsonl", `{"service":"skype","start":"2020-01-01","dismissed":true}`)
	rubbish := writeFile(t, "rubbish.jsonl", "\nrubbish\n")
	posts := writeFile(t, "posts.jsonl", "")
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":         {nil, exitUsage, "name one history"},
		"two":             {[]string{"--scenario", "quiet", "--kept", "x"}, exitUsage, "name one history"},
		"scenario":        {[]string{"--scenario", "quite"}, exitUsage, `did you mean "quiet"?`},
		"seeds":           {[]string{"--scenario", "quiet", "--seeds", "0"}, exitUsage, "--seeds is 0"},
		"kept":            {[]string{"--kept", "absent"}, exitUsage, "no folder"},
		"lonely":          {[]string{"--scenario", "quiet", "--truth", bad}, exitUsage, "--truth goes with FILE"},
		"truth":           {[]string{"--truth", bad, posts}, exitFailure, "bad.jsonl:1: service, start or end is missing"},
		"feedback":        {[]string{"--feedback", bad, posts}, exitFailure, "bad.jsonl:1: service or start is missing"},
		"compare":         {[]string{"--scenario", "quiet", "--compare", "x"}, exitUsage, "expected KEY=VALUE"},
		"compare key":     {[]string{"--scenario", "quiet", "--compare", "detect.min_peple=3"}, exitUsage, `unknown key "detect.min_peple"; the nearest known one is detect.min_people`},
		"compare value":   {[]string{"--scenario", "quiet", "--compare", "detect.min_people=few"}, exitUsage, `outcry: --compare: detect.min_people is "few"; expected a whole number`},
		"compare range":   {[]string{"--scenario", "quiet", "--compare", "detect.min_people=-3"}, exitUsage, "outcry: --compare: detect.min_people is -3; set 1 to"},
		"compare rubbish": {[]string{"--scenario", "quiet", "--compare", "detect.xyz=3"}, exitUsage, `unknown key "detect.xyz"; the nearest known one is detect.`},
		"page":            {[]string{"--page", "absent/page.html", posts}, exitUsage, "absent is no folder"},
		"idle seeds":      {[]string{"--seeds", "2", posts}, exitUsage, "go with --scenario"},
		"stranger":        {[]string{"--truth", stranger, posts}, exitFailure, `stranger.jsonl:1: the catalog has no service "no-such-service"`},
		"misspelt":        {[]string{"--feedback", misspelt, posts}, exitFailure, `misspelt.jsonl:1: json: unknown field "dismised"`},
		"day":             {[]string{"--feedback", day, posts}, exitFailure, `day.jsonl:1: "2020-01-01" is no time; write RFC 3339`},
		"rubbish":         {[]string{"--feedback", rubbish, posts}, exitFailure, "rubbish.jsonl:2: not a JSON object"},
		"format":          {[]string{"--format", "xml", posts}, exitUsage, "--format"},
	} {
		if got := outcry(t, append([]string{"backtest"}, tt.args...)...); got.code != tt.code || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %d %s", name, got.code, got.stderr)
		}
	}
}
