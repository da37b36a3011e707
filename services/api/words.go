package api

import (
	"fmt"
	"strings"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// What pages say in words.

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// shortDuration writes a step as requests do: 1m, 15m, 1h, 1d.
func shortDuration(d time.Duration) string {
	switch {
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
}

// longDuration rounds for people: 40 s, 48 min, 3 h 12 min, 2 d 4 h.
func longDuration(d time.Duration) string {
	d = d.Abs()
	two := func(whole time.Duration, wholeName string, part time.Duration, partName string) string {
		d = d.Round(part)
		n, m := d/whole, d%whole/part
		if m == 0 {
			return fmt.Sprintf("%d %s", n, wholeName)
		}
		return fmt.Sprintf("%d %s %d %s", n, wholeName, m, partName)
	}
	switch {
	case d < time.Minute-time.Second/2:
		return fmt.Sprintf("%d s", d.Round(time.Second)/time.Second)
	case d < time.Hour-time.Minute/2:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	case d < day-time.Minute/2:
		return two(time.Hour, "h", time.Minute, "min")
	default:
		return two(day, "d", time.Hour, "h")
	}
}

// incidentState in the words of a reader.
func incidentWord(i *outcryv1.Incident) string {
	switch i.GetState() {
	case outcryv1.Incident_STATE_CONFIRMED:
		return "outage"
	default:
		return i.GetState().Name()
	}
}

// leadWords compares the detection with the official word.
func leadWords(i *outcryv1.Incident) string {
	if i.GetOfficialAtUs() == 0 {
		return "no official word"
	}
	d := micros(i.GetOfficialAtUs()).Sub(micros(i.GetDetectedAtUs()))
	switch {
	case d >= time.Second:
		return longDuration(d) + " before the official word"
	case d <= -time.Second:
		return longDuration(d) + " after the official word"
	default:
		return "with the official word"
	}
}

// lasted is how long an incident took, or has taken until a moment.
func lasted(i *outcryv1.Incident, at time.Time) string {
	end := i.GetResolvedAtUs()
	if end == 0 && i.GetState() == outcryv1.Incident_STATE_DISMISSED {
		end = i.GetDecidedAtUs()
	}
	if end == 0 {
		if at.IsZero() || at.UnixMicro() < i.GetStartedAtUs() {
			return "open"
		}
		return longDuration(at.Sub(micros(i.GetStartedAtUs()))) + ", still open"
	}
	return longDuration(micros(end).Sub(micros(i.GetStartedAtUs())))
}

// categoryName is a category of the catalog for people.
func categoryName(category string) string {
	switch category {
	case "":
		return "Other"
	case "ai":
		return "AI"
	case "isps":
		return "Internet providers"
	default:
		return strings.ToUpper(category[:1]) + category[1:]
	}
}

// momentTime leaves out the day where it is that of the beginning.
func momentTime(t, start time.Time) string {
	if t.Truncate(day).Equal(start.Truncate(day)) {
		return t.Format("15:04")
	}
	return t.Format("2 January, 15:04")
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// webAddress passes addresses that a reader may follow, and nothing else.
func webAddress(s string) string {
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return s
	}
	return ""
}
