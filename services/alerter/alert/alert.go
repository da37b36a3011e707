// Package alert turns incidents into alerts as Alertmanager knows them: labels that say which alert it is, annotations that say what
// is known of it.
//
// It exists so that an incident is one alert, however often it is updated. Alertmanager takes alerts with other labels for other alerts
// and notifies again. So labels change only where somebody should hear of it: when the state goes from suspected to confirmed, when the
// severity rises, and when the incident turns out to be the consequence of another. Everything else is pinned when the incident is
// first seen, or stands in annotations.
//
// It must never do I/O nor read a clock.
//
// What is not obvious: texts of posts are anybody's words. They are cut, put on one line, and lose what Slack, Discord and others would take
// for markup, mentions of a whole channel above all.
package alert

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Values of the label alertname.
const (
	Outage      = "Outage"            // stands for itself
	Consequence = "OutageConsequence" // another incident is its root
)

// Superseded is the annotation of an alert that ended because one with other labels took its place: how it continues.
const Superseded = "superseded"

// Alert is one alert. EndsAt is zero while it fires.
type Alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt,omitzero"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
	// Doubt says of an alert that has ended that nobody may have been told of its beginning: Late is what to tell where nobody was.
	Doubt bool `json:"-"`
}

// Service is what the catalog says of a service.
type Service struct {
	Name      string
	Category  string
	Countries []string
}

// Writer writes what people read in an alert.
type Writer struct {
	// PublicURL is where people reach Outcry's pages, without a slash at its end.
	PublicURL string
	// Runbook is an address in which {service} stands for the service's id; empty for none.
	Runbook string
	// Service looks a service up; nil or false for unknown ones.
	Service func(id string) (Service, bool)
	// Links returns the addresses under which a person acts on an incident, by the name of their annotation; may be nil.
	Links func(i *outcryv1.Incident) map[string]string
}

func (w Writer) service(id string) Service {
	if w.Service != nil {
		if s, ok := w.Service(id); ok {
			return s
		}
	}
	return Service{Name: id}
}

const (
	evidenceShown = 3
	listShown     = 5
	textRunes     = 200
)

// annotations says what is known of an incident.
func (w Writer) annotations(i *outcryv1.Incident) map[string]string {
	a := map[string]string{
		"summary":     w.summary(i),
		"description": Plain(i.GetExplanation(), 1000),
		"state":       i.GetState().Name(),
		"people":      fmt.Sprint(i.GetPeople()),
		"symptoms":    symptoms(i.GetSymptoms()),
		"places":      names(i.GetPlaces()),
		"sources":     names(i.GetSources()),
	}
	if at := i.GetStartedAtUs(); at != 0 {
		a["started_at"] = time.UnixMicro(at).UTC().Format(time.RFC3339)
	}
	if at := i.GetDetectedAtUs(); at != 0 {
		a["detected_at"] = time.UnixMicro(at).UTC().Format(time.RFC3339)
	}
	if at := i.GetResolvedAtUs(); at != 0 {
		a[resolvedAt] = time.UnixMicro(at).UTC().Format(time.RFC3339)
	}
	shown := 0
	for _, e := range i.GetEvidence() {
		if e.GetText() == "" || shown == evidenceShown {
			continue
		}
		shown++
		a[fmt.Sprintf("evidence_%d", shown)] = strings.TrimSpace(fmt.Sprintf("“%s” (%s, %s) %s", Plain(e.GetText(), textRunes), Plain(e.GetSource(), 40),
			clock(e.GetTimeUs()), address(e.GetUrl())))
	}
	if i.GetOfficialAtUs() != 0 {
		word := clock(i.GetOfficialAtUs())
		if lead := i.GetOfficialAtUs() - i.GetDetectedAtUs(); i.GetDetectedAtUs() != 0 {
			d := (time.Duration(lead) * time.Microsecond).Round(time.Second)
			a["lead"] = d.String()
			if d >= 0 {
				word += fmt.Sprintf(", %s after Outcry", d)
			} else {
				word += fmt.Sprintf(", %s before Outcry", -d)
			}
		}
		a["official"] = strings.TrimSpace(fmt.Sprintf("%s: “%s” %s", word, Plain(i.GetOfficialText(), textRunes), address(i.GetOfficialUrl())))
	}
	if w.PublicURL != "" {
		a["page"] = w.PublicURL + "/incidents/" + url.PathEscape(i.GetId())
		a["chart"] = w.PublicURL + "/services/" + url.PathEscape(i.GetService())
		a["image"] = w.PublicURL + "/embed/services/" + url.PathEscape(i.GetService()) + ".png" // chats show no SVG
	}
	if w.Runbook != "" {
		a["runbook_url"] = strings.ReplaceAll(w.Runbook, "{service}", url.PathEscape(i.GetService()))
	}
	for _, v := range i.GetVerdicts() {
		said := fmt.Sprintf("%s, %s", Plain(v.GetWho(), 60), clock(v.GetAtUs()))
		if v.GetText() != "" {
			said += ": " + Plain(v.GetText(), textRunes)
		}
		switch v.GetKind() { // the last one counts
		case outcryv1.Verdict_KIND_ACKNOWLEDGE:
			a["acknowledged"] = said
		case outcryv1.Verdict_KIND_NOTE:
			a["noted"] = said
		case outcryv1.Verdict_KIND_DISMISS:
			if i.GetState() == outcryv1.Incident_STATE_DISMISSED {
				a["dismissed"] = said
			}
		}
	}
	if len(i.GetConsequences()) > 0 {
		a["consequences"] = Plain(strings.Join(i.GetConsequences(), ", "), 400)
	}
	if w.Links != nil {
		for name, link := range w.Links(i) {
			a[name] = link
		}
	}
	for name, value := range a {
		if value == "" {
			delete(a, name)
		}
	}
	return a
}

// summary is one sentence: what was seen, what was expected, since when, how sure.
func (w Writer) summary(i *outcryv1.Incident) string {
	const minute = "15:04 UTC on 2 January 2006"
	begun := time.UnixMicro(i.GetStartedAtUs()).UTC()
	when, people, have := "since "+begun.Format(minute), "people", "have "
	if i.GetPeople() == 1 {
		people, have = "person", "has "
	}
	if over := time.UnixMicro(i.GetResolvedAtUs()).UTC(); i.GetResolvedAtUs() != 0 {
		until := over.Format(minute)
		if over.Format(time.DateOnly) == begun.Format(time.DateOnly) {
			until = over.Format("15:04 UTC")
		}
		when, have = "from "+begun.Format(minute)+" to "+until, ""
	}
	s := fmt.Sprintf("%s: %d %s %sreported trouble %s, at most %d in a minute where %.2g were expected (%s, %.0f %% sure)", Plain(w.service(i.GetService()).Name, 80),
		i.GetPeople(), people, have, when, i.GetPeakPerMinute(), i.GetExpectedPerMinute(), i.GetState().Name(), 100*i.GetConfidence())
	if i.GetTest() {
		s = "TEST, nothing happened. " + s
	}
	if top := i.GetSymptoms(); len(top) > 0 && top[0].GetSymptom().Name() != "general" {
		s += ", mostly about " + strings.ReplaceAll(top[0].GetSymptom().Name(), "_", " ")
	}
	return s + "."
}

// generator is where an alert comes from.
func (w Writer) generator(i *outcryv1.Incident) string {
	if w.PublicURL == "" {
		return ""
	}
	return w.PublicURL + "/incidents/" + url.PathEscape(i.GetId())
}

func symptoms(in []*outcryv1.SymptomCount) string {
	var out []string
	for _, s := range in[:min(len(in), listShown)] {
		out = append(out, fmt.Sprintf("%s %d", s.GetSymptom().Name(), s.GetPeople()))
	}
	return strings.Join(out, ", ")
}

func names(in []*outcryv1.NameCount) string {
	var out []string
	for _, c := range in[:min(len(in), listShown)] {
		out = append(out, fmt.Sprintf("%s %d", Plain(c.GetName(), 60), c.GetPeople()))
	}
	return strings.Join(out, ", ")
}

func clock(us int64) string { return time.UnixMicro(us).UTC().Format("15:04 UTC") }

// Plain makes a text of anybody's fit for a message: one line, at most so many runes, nothing that a chat takes for markup or for a mention.
func Plain(s string, runes int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			continue // among them those that turn the direction of what follows
		}
		if space && n > 0 {
			b.WriteByte(' ')
			n++
		}
		space = false
		if n >= runes {
			return b.String() + "…"
		}
		n++
		switch r {
		case '<':
			r = '‹'
		case '>':
			r = '›'
		case '[':
			r = '⟦' // no link whose text is not its address
		case ']':
			r = '⟧'
		}
		b.WriteRune(r)
		if r == '@' {
			b.WriteRune('\u2060') // a word joiner: no name follows the sign
		}
	}
	return b.String()
}

// address returns an address that a message can hold, or nothing.
func address(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(s) > 500 {
		return ""
	}
	out := u.String()
	if strings.ContainsAny(out, " <>|\"'`") {
		return ""
	}
	return out
}
