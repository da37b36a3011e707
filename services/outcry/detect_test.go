package main

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// week is seven days of counts every five minutes that go up and down with the day, with twenty times as many for an hour at the end of the sixth.
func week() string {
	var b strings.Builder
	b.WriteString("service,timestamp,value\n")
	start := time.Date(2020, 3, 2, 0, 0, 0, 0, time.UTC)
	for i := range 7 * 288 {
		value := 10 + i%288/48 + i*7%5
		if i >= outageRow && i < outageRow+12 {
			value *= 20
		}
		fmt.Fprintf(&b, "apple,%s,%d\n", start.Add(time.Duration(i)*5*time.Minute).Format(time.RFC3339), value)
	}
	return b.String()
}

const outageRow = 6 * 288

func TestDetect(t *testing.T) {
	input := week()
	got := outcry(t, "detect", "--csv", writeFile(t, "week.csv", input), "--interval", "5m")
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("%d %s", got.code, got.stderr)
	}
	rows, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if header := strings.Join(rows[0], ","); header != "timestamp,value,expected,score,alarm,service" {
		t.Errorf("header %s", header)
	}
	if rows = rows[1:]; len(rows) != 7*288 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, row := range rows {
		score, err := strconv.ParseFloat(row[3], 64)
		if err != nil || score < 0 || score > 1 || row[5] != "apple" {
			t.Fatalf("row %d: %v", i, row)
		}
		if alarm := row[4] == "1"; alarm && i < outageRow {
			t.Errorf("row %d: an alarm before the outage: %v", i, row)
		}
	}
	if rows[outageRow][4] != "1" {
		t.Errorf("no alarm when the outage begins: %v", rows[outageRow])
	}
	for name, same := range map[string]call{
		"standard input":      {args: []string{"detect", "--csv", "-", "--interval=5m"}, stdin: input},
		"interval left to it": {args: []string{"detect", "--csv", "-"}, stdin: input},
	} {
		if again := same.run(t); again != got {
			t.Errorf("%s: other output, %d %s", name, again.code, again.stderr)
		}
	}
}

func TestDetectFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		call
		code int
		want string
	}{
		"no file":      {call{args: []string{"detect"}}, exitUsage, "name the file with --csv FILE"},
		"argument":     {call{args: []string{"detect", "x.csv"}}, exitUsage, "name the file with --csv FILE"},
		"absent":       {call{args: []string{"detect", "--csv", "absent.csv"}}, exitFailure, "absent.csv does not exist"},
		"interval":     {call{args: []string{"detect", "--csv", "-", "--interval", "soon"}}, exitUsage, `option --interval does not take "soon"`},
		"budget":       {call{args: []string{"detect", "--csv", "-", "--budget", "0"}}, exitUsage, "--budget is 0; expected more than 0"},
		"empty":        {call{args: []string{"detect", "--csv", "-"}}, exitFailure, "standard input: "},
		"row":          {call{args: []string{"detect", "--csv", "-", "--interval", "1m"}, stdin: "timestamp,value\n2020-03-01T10:00:00Z,many\n"}, exitFailure, "line 2"},
		"broken by us": {call{args: []string{"detect", "--csv", "-"}, environ: []string{"OUTCRY_DETEKT_X=1"}}, exitFailure, "OUTCRY_DETEKT_X: unknown variable"},
	} {
		if got := tt.run(t); got.code != tt.code || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
