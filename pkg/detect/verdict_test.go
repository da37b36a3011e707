package detect

import (
	"math"
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	at := time.Date(2010, 12, 22, 16, 12, 30, 0, time.UTC)
	for _, c := range []struct {
		window  WindowVerdict
		history int
		want    string
	}{
		{
			WindowVerdict{Window: 5 * time.Minute, Observed: 42, Expected: 0.8, Upper: 2.7, Threshold: 9, Score: 31.4, Alarm: true}, 14 * 24 * 60,
			"42 people reported trouble with skype in the 5 minutes to 2010-12-22 16:12:30 UTC; 0.8 were expected (up to 3 in 95 % of such windows, alarm from 9 on); by chance less than once in 10^15 windows; 14 days of history.",
		},
		{
			WindowVerdict{Window: time.Minute, Observed: 6, Expected: 0.01, Upper: 0.3, Threshold: 5, Score: 9.7, Alarm: true}, 16 * 60,
			"6 people reported trouble with skype in the minute to 2010-12-22 16:12:30 UTC; fewer than 0.1 were expected (up to 1 in 95 % of such windows, alarm from 5 on); by chance once in 10^9 windows; 16 hours of history.",
		},
		{
			WindowVerdict{Window: time.Hour, Observed: 31, Expected: 20.4, Upper: 33, Threshold: 60, Score: 1.9}, 30,
			"31 people reported trouble with skype in the hour to 2010-12-22 16:12:30 UTC; 20 were expected (up to 33 in 95 % of such windows, alarm from 60 on); by chance once in 79 windows; only 30 minutes of history.",
		},
		{
			WindowVerdict{Window: time.Minute, Observed: 1, Expected: 2, Upper: 5, Threshold: 14}, 0,
			"1 person reported trouble with skype in the minute to 2010-12-22 16:12:30 UTC; 2.0 were expected (up to 5 in 95 % of such windows, alarm from 14 on); nothing unusual; there is no history yet, so the expectation is a guess.",
		},
	} {
		v := Verdict{At: at, HistoryMinutes: c.history}
		v.Windows[0] = c.window
		if got := Explain(v, "skype"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{FalseAlarmsPerMonth: math.NaN(), MinPeople: 0}.Validate()
	if err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) != 2 {
		t.Errorf("two faults, reported as: %v", err)
	}
}
