package backtest

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is one evaluation, or several side by side.
type Report struct {
	Made    time.Time `json:"made_at"`
	Version string    `json:"version"` // of outcry
	Results []Result  `json:"results"` // of each of the settings that are compared
}

// row is one line of the comparison.
type row struct {
	name string
	of   func(r *Result) string
}

var rows = []row{
	{"histories", func(r *Result) string { return fmt.Sprint(len(r.Histories)) }},
	{"posts", func(r *Result) string { return fmt.Sprint(r.Posts) }},
	{"days of listening", func(r *Result) string { return fmt.Sprintf("%.1f", r.Overall.Days) }},
	{"services spoken of", func(r *Result) string { return fmt.Sprint(r.Services) }},
	{"outages known", func(r *Result) string { return fmt.Sprint(r.Overall.Truths) }},
	{"incidents", func(r *Result) string {
		m := r.Overall
		s := fmt.Sprintf("%d: %d hits, %d repeats, %d false alarms", m.Incidents, m.Hits, m.Repeats, m.FalseAlarms)
		if m.Unproven > 0 {
			s += fmt.Sprintf(" (%d of them unproven)", m.Unproven)
		}
		return s
	}},
	{"precision", func(r *Result) string { return share(r.Overall.Precision) }},
	{"recall", func(r *Result) string { return share(r.Overall.Recall) }},
	{"detected after the start", func(r *Result) string { return r.Overall.AfterStart.String() }},
	{"lead over the official word", func(r *Result) string { return r.Overall.LeadOfficial.String() }},
	{"false alarms a month, all services", func(r *Result) string { return rate(r.Overall.FalsePerMonth, "months") }},
	{"false alarms a month and service", func(r *Result) string { return rate(r.PerMonth, "service-months") }},
}

var feedbackRows = []row{
	{"people's verdicts", func(r *Result) string {
		dismissed := 0
		for _, e := range r.Effects {
			if e.Dismissed {
				dismissed++
			}
		}
		return fmt.Sprintf("%d dismissed, %d confirmed", dismissed, len(r.Effects)-dismissed)
	}},
	{"dismissed ones still raised", func(r *Result) string {
		raised, minutes := 0, 0.0
		for _, e := range r.Effects {
			if e.Dismissed && e.Incident != "" {
				raised++
				minutes += e.OpenMinutes
			}
		}
		return fmt.Sprintf("%d, open for %.0f minutes after the verdict", raised, minutes)
	}},
	{"confirmed ones still found", func(r *Result) string {
		found := 0
		for _, e := range r.Effects {
			if !e.Dismissed && e.Incident != "" {
				found++
			}
		}
		return fmt.Sprint(found)
	}},
	{"precision by their word", func(r *Result) string {
		if r.WithFeedback == nil {
			return "–"
		}
		return share(r.WithFeedback.Precision)
	}},
	{"false alarms a month by their word", func(r *Result) string {
		if r.WithFeedback == nil {
			return "–"
		}
		return rate(r.WithFeedback.FalsePerMonth, "months")
	}},
}

func (r *Report) rows() []row {
	for i := range r.Results {
		if len(r.Results[i].Effects) > 0 {
			return append(rows[:len(rows):len(rows)], feedbackRows...)
		}
	}
	return rows
}

// table returns the comparison: a name and a value for each result.
func (r *Report) table() (header []string, lines [][]string) {
	header = []string{""}
	for i := range r.Results {
		header = append(header, r.Results[i].Settings)
	}
	for _, row := range r.rows() {
		line := []string{row.name}
		for i := range r.Results {
			line = append(line, row.of(&r.Results[i]))
		}
		lines = append(lines, line)
	}
	return header, lines
}

var serviceHeader = []string{"service", "outages", "found", "hits", "repeats", "false", "after the start", "lead over official", "precision", "recall", "false a month"}

func (m *Measures) line() []string {
	return []string{m.Service, fmt.Sprint(m.Truths), fmt.Sprint(m.Found), fmt.Sprint(m.Hits), fmt.Sprint(m.Repeats), fmt.Sprint(m.FalseAlarms),
		m.AfterStart.short(), m.LeadOfficial.short(), share(m.Precision), share(m.Recall), rate(m.FalsePerMonth, "months")}
}

var incidentHeader = []string{"history", "incident", "outcome", "detected", "after the start", "lead over official", "people"}

func (j *Judged) line() []string {
	part := func(s *float64) string {
		if s == nil {
			return "–"
		}
		return duration(*s)
	}
	return []string{j.History, j.ID, string(j.Outcome), j.Detected.Format(time.DateTime), part(j.AfterSec), part(j.LeadSec), fmt.Sprint(j.People)}
}

// sections are the tables of one result.
type section struct {
	title  string
	header []string
	lines  [][]string
}

func (r *Result) sections() []section {
	var out []section
	add := func(title string, header []string, lines [][]string) {
		if len(lines) > 0 {
			out = append(out, section{title, header, lines})
		}
	}
	var lines [][]string
	for i := range r.ByService {
		lines = append(lines, r.ByService[i].line())
	}
	add("By service", serviceHeader, lines)
	lines = nil
	for i := range r.Incidents {
		lines = append(lines, r.Incidents[i].line())
	}
	add("Incidents", incidentHeader, lines)
	lines = nil
	for _, m := range r.Missed {
		lines = append(lines, []string{m.History, m.Service, m.Kind, m.Start.Format(time.DateTime), m.End.Format(time.DateTime)})
	}
	add("Missed", []string{"history", "service", "kind", "start", "end"}, lines)
	lines = nil
	for _, e := range r.Effects {
		said := "confirmed"
		if e.Dismissed {
			said = "dismissed"
		}
		what := "is not raised under these settings"
		if e.Incident != "" {
			what = fmt.Sprintf("%s → %s", e.Outcome, e.Becomes)
			if e.OpenMinutes > 0 {
				what += fmt.Sprintf(", %.0f minutes less open", e.OpenMinutes)
			}
		}
		lines = append(lines, []string{e.History, e.Service, e.Start.Format(time.DateTime), said, what, e.Note})
	}
	add("What people's verdicts change", []string{"history", "service", "incident began", "verdict", "effect", "note"}, lines)
	return out
}

// WriteText writes what a person reads in a terminal.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cells []string) { fmt.Fprintln(t, strings.TrimRight(strings.Join(cells, "\t"), "\t")) }
	header, lines := r.table()
	line(header)
	for _, l := range lines {
		line(l)
	}
	for i := range r.Results {
		for _, s := range r.Results[i].sections() {
			title := s.title
			if len(r.Results) > 1 {
				title += ", " + r.Results[i].Settings
			}
			fmt.Fprintf(t, "\n%s\n", title)
			line(s.header)
			for _, l := range s.lines {
				line(l)
			}
		}
	}
	fmt.Fprintf(t, "\nIn brackets: 95 %% intervals, and the size of the sample.\n")
	return t.Flush()
}

// WriteMarkdown writes a page for the documentation.
func (r *Report) WriteMarkdown(w io.Writer, intro string) error {
	var b strings.Builder
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "`", "'")
	line := func(cells []string) {
		b.WriteString("|")
		for _, c := range cells {
			b.WriteString(" " + cell.Replace(c) + " |")
		}
		b.WriteString("\n")
	}
	table := func(header []string, lines [][]string) {
		b.WriteString("\n")
		line(header)
		b.WriteString("|" + strings.Repeat("---|", len(header)) + "\n")
		for _, l := range lines {
			line(l)
		}
	}
	fmt.Fprintf(&b, "# Results\n\n%s\n\nMade on %s by outcry %s. In brackets: 95 %% intervals, and the size of the sample.\n", intro, r.Made.UTC().Format("2 January 2006"), r.Version)
	table(r.table())
	for i := range r.Results {
		for _, s := range r.Results[i].sections() {
			title := s.title
			if len(r.Results) > 1 {
				title += ", " + r.Results[i].Settings
			}
			fmt.Fprintf(&b, "\n## %s\n", title)
			table(s.header, s.lines)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func share(i Interval) string {
	if !i.Known() {
		return "not known"
	}
	return fmt.Sprintf("%.0f %% (%.0f to %.0f %%, n = %.0f)", 100*i.Value, 100*i.Lower, 100*i.Upper, i.Of)
}

func rate(i Interval, unit string) string {
	if !i.Known() {
		return "not known"
	}
	return fmt.Sprintf("%s (%s to %s, %s %s)", number(i.Value), number(i.Lower), number(i.Upper), number(i.Of), unit)
}

func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 1 || x == 0:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2g", x)
}

func duration(seconds float64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%s%dh%02dm", sign, int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%s%dm%02ds", sign, int(d.Minutes()), int(d.Seconds())%60)
}

func (s Spread) short() string {
	if s.N == 0 {
		return "–"
	}
	return duration(s.Median)
}

// String gives the median, and the spread around it.
func (s Spread) String() string {
	if s.N == 0 {
		return "not known"
	}
	return fmt.Sprintf("%s in the median (%s to %s, n = %d)", duration(s.Median), duration(s.Least), duration(s.Most), s.N)
}
