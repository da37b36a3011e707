package baseline

import "time"

// daylightDays is how long after a change of clocks what was learned before it is held against both hours.
const daylightDays = 10

// daylightShift returns where the habits of a time lie in what was learned, in seconds: an hour later after clocks went forward, an hour
// earlier after they went back, 0 otherwise. The days are those of the European Union and of North America, where most people who
// change their clocks live.
func daylightShift(at int64) int64 {
	t := time.Unix(at, 0).UTC()
	switch t.Month() {
	case time.March, time.April:
		if within(t, nthSunday(t.Year(), time.March, 2)) || within(t, lastSunday(t.Year(), time.March)) {
			return hour
		}
	case time.October, time.November:
		if within(t, lastSunday(t.Year(), time.October)) || within(t, nthSunday(t.Year(), time.November, 1)) {
			return -hour
		}
	}
	return 0
}

func within(t, day time.Time) bool {
	return !t.Before(day) && t.Before(day.AddDate(0, 0, daylightDays))
}

func nthSunday(year int, month time.Month, n int) time.Time {
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return first.AddDate(0, 0, (7-int(first.Weekday()))%7+7*(n-1))
}

func lastSunday(year int, month time.Month) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC)
	return last.AddDate(0, 0, -int(last.Weekday()))
}
