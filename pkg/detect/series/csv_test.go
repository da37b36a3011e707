package series

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// noise writes n rows of chance around a mean, from a seed; then what a test plants.
func noise(seed uint64, n int, interval time.Duration, mean float64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	values := make([]float64, n)
	for i := range values {
		values[i] = poisson(rng, mean)
	}
	return values
}

func file(values []float64, interval time.Duration, layout string) string {
	var b strings.Builder
	b.WriteString("timestamp,value\n")
	at := time.Date(2020, 2, 27, 21, 42, 53, 0, time.UTC)
	for i, v := range values {
		fmt.Fprintf(&b, "%s,%g\n", at.Add(time.Duration(i)*interval).Format(layout), v)
	}
	return b.String()
}

func run(t *testing.T, in string, interval time.Duration) [][]string {
	t.Helper()
	return runWithin(t, in, interval, 1)
}

func runWithin(t *testing.T, in string, interval time.Duration, budget float64) [][]string {
	t.Helper()
	var out bytes.Buffer
	if err := Run(strings.NewReader(in), &out, interval, budget); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func TestAnOutageStandsOut(t *testing.T) {
	for _, interval := range []time.Duration{time.Minute, 5 * time.Minute, 20 * time.Minute, time.Hour} {
		values := noise(1, 3000, interval, 3)
		for i := range 5 {
			values[2500+i] += 80
		}
		out := runWithin(t, file(values, interval, time.RFC3339), 0, 0.1) // a larger budget lets chance alarm within the four months of hours
		if len(out) != len(values)+1 {
			t.Fatalf("%v: %d rows out of %d", interval, len(out)-1, len(values))
		}
		for i, record := range out[1:] {
			inside := i >= 2500 && i < 2505
			after := i >= 2505 && time.Duration(i-2505)*interval <= 2*time.Hour+interval
			if got := record[4] == "1"; got != inside && !after {
				t.Errorf("%v: row %d: alarm is %v", interval, i, got)
			}
		}
		if first, second := out[1+2500][3], out[1+2501][3]; first <= "0.55" || second > "0.4" {
			t.Errorf("%v: scores %s and %s; only the first row of an outage is news", interval, first, second)
		}
	}
}

func TestOutputDependsOnThePastAlone(t *testing.T) {
	values := noise(2, 2500, time.Minute, 1)
	for i := range 8 {
		values[1500+100*i] += float64(10 * i)
	}
	whole := run(t, file(values, 5*time.Minute, time.DateTime), 0)
	for _, n := range []int{2, 700, 1501, 2200} {
		part := run(t, file(values[:n], 5*time.Minute, time.DateTime), 0)
		if got, want := fmt.Sprint(part), fmt.Sprint(whole[:n+1]); got != want {
			t.Errorf("the first %d rows are judged differently when the file ends there", n)
		}
	}
}

func TestServicesDoNotDisturbEachOther(t *testing.T) {
	a, b := noise(3, 800, time.Minute, 2), noise(4, 800, time.Minute, 40)
	a[600] = 50
	var mixed strings.Builder
	mixed.WriteString("value,Service,extra,timestamp\n")
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range a {
		when := at.Add(time.Duration(i) * 20 * time.Minute).Format(time.DateTime)
		fmt.Fprintf(&mixed, "%g,a,x,%s\n%g,\"b,c\",y,%s\n", a[i], when, b[i], when)
	}
	out := run(t, mixed.String(), 0)
	if got := strings.Join(out[0], ","); got != "timestamp,value,expected,score,alarm,service" {
		t.Fatalf("header %q", got)
	}
	for k, values := range [][]float64{a, b} {
		alone := run(t, "timestamp,value\n"+func() string {
			var s strings.Builder
			for i, v := range values {
				fmt.Fprintf(&s, "%s,%g\n", at.Add(time.Duration(i)*20*time.Minute).Format(time.DateTime), v)
			}
			return s.String()
		}(), 20*time.Minute)
		for i := range values {
			if got, want := fmt.Sprint(out[1+2*i+k][:5]), fmt.Sprint(alone[1+i]); got != want {
				t.Fatalf("series %d row %d: %s together, %s alone", k, i, got, want)
			}
		}
	}
}

func TestMissingRowsAreNotZeros(t *testing.T) {
	values := noise(5, 4000, time.Minute, 30)
	var kept strings.Builder
	kept.WriteString("timestamp,value\n")
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	rng := rand.New(rand.NewPCG(9, 9))
	for i, v := range values {
		if i > 10 && (rng.IntN(10) == 0 || i > 2000 && i < 2400) {
			continue
		}
		fmt.Fprintf(&kept, "%s,%g\n", at.Add(time.Duration(i)*5*time.Minute).Format(time.RFC3339), v)
	}
	for i, record := range run(t, kept.String(), 0)[1:] {
		if record[4] != "0" {
			t.Errorf("row %d (%v) is an alarm", i, record)
		}
		if i > 1500 && (record[2] < "2" || record[2] > "4") {
			t.Errorf("row %d expects %s, not about 30", i, record[2])
		}
	}
}

func TestFaultsSayWhereAndWhatToDo(t *testing.T) {
	const good = "2020-01-01T00:00:00Z,1\n2020-01-01T00:05:00Z,2\n"
	for _, c := range []struct {
		name, in string
		interval time.Duration
		want     []string
		rows     int // written before the fault
	}{
		{"empty", "", 0, []string{"empty", "timestamp,value"}, -1},
		{"no value column", "timestamp,count\n" + good, 0, []string{"line 1", "timestamp and value"}, -1},
		{"one row", "timestamp,value\n2020-01-01 00:00:00,1\n", 0, []string{"--interval"}, -1},
		{"second row", "timestamp,value\n2020-01-01 00:00:00,1\n2020-01-01 00:05:00,NaN\n", 0, []string{"line 3", `"NaN"`}, -1},
		{"other separator", "timestamp;value\n2020-01-01 00:00:00;1\n", 0, []string{"line 1", "commas"}, -1},
		{"wrong number", "timestamp,value\n" + good + "2020-01-01T00:10:00Z,many\n", 0, []string{"line 4", `"many"`, "0 to"}, 2},
		{"negative", "timestamp,value\n" + good + "2020-01-01T00:10:00Z,-1\n", 0, []string{"line 4", `"-1"`}, 2},
		{"not a number", "timestamp,value\n" + good + "2020-01-01T00:10:00Z,NaN\n", 0, []string{"line 4", `"NaN"`}, 2},
		{"no time", "timestamp,value\n" + good + "yesterday,3\n", 0, []string{"line 4", `"yesterday"`, "2006-01-02"}, 2},
		{"backwards", "timestamp,value\n" + good + "2020-01-01T00:04:59Z,3\n", 0, []string{"line 4", "sort"}, 2},
		{"short row", "timestamp,value\n" + good + "2020-01-01T00:10:00Z\n", time.Minute, []string{"line 4", "fields"}, 2},
		{"open quote", "timestamp,value\n" + good + "\"2020-01-01T00:10:00Z,1\n", time.Minute, []string{"line 4", "quote"}, 2},
		{"endless row", "timestamp,value\n" + good + "\"" + strings.Repeat("x", 3<<20), time.Minute, []string{"after line 3", "bytes", "quote"}, 2},
		{"interval", "timestamp,value\n" + good, time.Millisecond, []string{"interval", "5m"}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			err := Run(strings.NewReader(c.in), &out, c.interval, 1)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if rows := strings.Count(out.String(), "\n") - 1; rows != c.rows {
				t.Errorf("%d rows written before the fault, want %d", rows, c.rows)
			}
		})
	}
}

func TestHeaderAloneIsFine(t *testing.T) {
	if out := run(t, "\ufefftimestamp,value\n", 0); len(out) != 1 {
		t.Errorf("%d records", len(out))
	}
}

func TestWriteFaultIsReported(t *testing.T) {
	reader, writer := io.Pipe()
	reader.CloseWithError(fmt.Errorf("disk full"))
	err := Run(strings.NewReader(file(noise(1, 10, 0, 3), time.Minute, time.RFC3339)), writer, 0, 1)
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}

func FuzzRun(f *testing.F) {
	f.Add("timestamp,value\n2020-01-01T00:00:00Z,1\n2020-01-01T00:05:00Z,2\n", int64(0))
	f.Add("value,service,timestamp\n1,\"a,b\",2020-01-01 00:00:00\n9e11,,2299-12-31 00:00:00\n0,,2299-12-31 00:00:00\n", int64(time.Hour))
	f.Fuzz(func(t *testing.T, in string, interval int64) {
		var out bytes.Buffer
		err := Run(strings.NewReader(in), &out, time.Duration(interval), 1)
		if out.Len() == 0 {
			if err == nil {
				t.Fatal("neither output nor error")
			}
			return
		}
		records, bad := csv.NewReader(&out).ReadAll()
		if bad != nil {
			t.Fatalf("output is no CSV: %v", bad)
		}
		for _, r := range records[1:] {
			var expected, score float64
			if _, bad := fmt.Sscan(r[2]+" "+r[3], &expected, &score); bad != nil || !(expected >= 0) || !(score >= 0 && score <= 1) || r[4] != "0" && r[4] != "1" {
				t.Fatalf("row %q (%v)", r, bad)
			}
		}
	})
}

func BenchmarkRun(b *testing.B) {
	in := file(noise(1, 10_000, 0, 20), 5*time.Minute, time.RFC3339)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if err := Run(strings.NewReader(in), io.Discard, 0, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/row")
}
