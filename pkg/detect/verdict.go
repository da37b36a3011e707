package detect

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// WindowVerdict says how usual the count of one window is.
type WindowVerdict struct {
	Window   time.Duration
	Observed int
	// Expected is the mean that the baseline predicts; Lower and Upper enclose 95 % of what it predicts.
	Expected, Lower, Upper float64
	// Threshold is the number of people from which on the window is an alarm.
	Threshold float64
	// ThresholdScore is the score that Threshold people have: what the false-alarm budget asks for.
	ThresholdScore float64
	// Score is −log10 of the probability of seeing as many people or more by chance; 0 where no more than the mean were seen.
	Score float64
	Alarm bool
}

// Verdict is the decision of one step.
type Verdict struct {
	At      time.Time
	Windows [len(Windows)]WindowVerdict
	// Alarm is true where any window is an alarm.
	Alarm bool
	// Strongest is the index of the window with the highest score, of those that are an alarm if any is.
	Strongest int
	// HistoryMinutes is how many minutes of history stand behind the expectation.
	HistoryMinutes int
}

// Explain says in one sentence what was seen, what was expected and how unlikely that is.
func Explain(v Verdict, service string) string {
	w := v.Windows[v.Strongest]
	var s strings.Builder
	fmt.Fprintf(&s, "%d %s reported trouble with %s in the %s to %s; %s expected (up to %.0f in 95 %% of such windows, alarm from %.0f on)",
		w.Observed, plural(w.Observed, "person", "people"), service, length(w.Window), v.At.UTC().Format("2006-01-02 15:04:05 UTC"),
		expected(w.Expected), math.Ceil(w.Upper), w.Threshold)
	switch {
	case w.Score >= 15:
		s.WriteString("; by chance less than once in 10^15 windows")
	case w.Score >= 1:
		fmt.Fprintf(&s, "; by chance once in %s windows", power(w.Score))
	default:
		s.WriteString("; nothing unusual")
	}
	fmt.Fprintf(&s, "; %s.", history(v.HistoryMinutes))
	return s.String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func length(d time.Duration) string {
	if d == time.Minute {
		return "minute"
	}
	if d == time.Hour {
		return "hour"
	}
	return fmt.Sprintf("%d minutes", int(d.Minutes()))
}

func expected(x float64) string {
	switch {
	case x >= 9.5:
		return fmt.Sprintf("%.0f were", x)
	case x >= 0.05:
		return fmt.Sprintf("%.1f were", x)
	default:
		return "fewer than 0.1 were"
	}
}

func power(score float64) string {
	if score < 6 {
		return fmt.Sprintf("%.0f", math.Pow(10, score))
	}
	return fmt.Sprintf("10^%.0f", math.Floor(score))
}

func history(minutes int) string {
	switch {
	case minutes == 0:
		return "there is no history yet, so the expectation is a guess"
	case minutes < 2*60:
		return fmt.Sprintf("only %d minutes of history", minutes)
	case minutes < 2*24*60:
		return fmt.Sprintf("%d hours of history", minutes/60)
	default:
		return fmt.Sprintf("%d days of history", minutes/(24*60))
	}
}
