package baseline

import (
	"testing"
	"time"
)

func TestDaylightShift(t *testing.T) {
	for date, want := range map[string]int64{
		"2026-03-07": 0, "2026-03-08": 3600, "2026-03-17": 3600, "2026-03-18": 0, "2026-03-28": 0, "2026-03-29": 3600, "2026-04-07": 3600, "2026-04-08": 0,
		"2026-07-01": 0, "2026-10-24": 0, "2026-10-25": -3600, "2026-11-01": -3600, "2026-11-10": -3600, "2026-11-11": 0, "2027-01-01": 0,
	} {
		at, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		if got := daylightShift(at.Unix() + 7200); got != want {
			t.Errorf("%s: %d, want %d", date, got, want)
		}
	}
}

// Where the day begins at seven, and with the clocks at eight, neither hour surprises after the change.
func TestTheMorningMayComeAnHourLater(t *testing.T) {
	p := &Params{FoldSeconds: 900, FoldUnits: 15, Units: [Windows]float64{1, 5, 15, 60}, LevelHours: 120, SeasonDays: 14, SpreadHours: 672, ClipSD: 4, ShiftHours: 24, QuietHours: 1680}
	var b Baseline
	change := time.Date(2026, time.October, 25, 0, 0, 0, 0, time.UTC).Unix()
	for at := change - 21*86400; at < change; at += 900 {
		count := 3.0
		if h := at % 86400 / 3600; h >= 7 && h < 20 {
			count = 60
		}
		b.Fold(p, at, Batch{Exposure: 15, Count: count})
	}
	before := b.Predict(p, 2, change-86400+20*3600+1800, 1).Mean // half past eight in the evening, before
	after := b.Predict(p, 2, change+20*3600+1800, 1).Mean
	if before > 25 || after < 40 {
		t.Errorf("at 20:30, %.0f are expected the day before the clocks go back and %.0f the day after; 3 and up to 60 are true", before, after)
	}
}
