package statuspage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
)

// errFormat says that an answer is of another format, which is no fault of the server.
var errFormat = errors.New("no status page in a format that can be read")

// lenient takes a value of any type: what is not of the type that is wanted counts as missing. Compatible hosts differ.
type lenient[T any] struct{ v T }

func (l *lenient[T]) UnmarshalJSON(raw []byte) error {
	var v T
	if json.Unmarshal(raw, &v) == nil {
		l.v = v
	}
	return nil
}

// moment reads the times that hosts write.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil //nolint:nilerr // a time that cannot be read is a missing one
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			m.Time = t
			return nil
		}
	}
	return nil
}

type jsonPage struct {
	Page lenient[struct {
		Name      lenient[string] `json:"name"`
		UpdatedAt moment          `json:"updated_at"`
	}] `json:"page"`
	Status lenient[struct {
		Indicator   lenient[string] `json:"indicator"`
		Description lenient[string] `json:"description"`
	}] `json:"status"`
	Components lenient[[]lenient[jsonComponent]] `json:"components"`
	Incidents  lenient[[]lenient[jsonIncident]]  `json:"incidents"`
}

type jsonComponent struct {
	Name   lenient[string] `json:"name"`
	Status lenient[string] `json:"status"`
}

type jsonIncident struct {
	ID         lenient[string]                   `json:"id"`
	Name       lenient[string]                   `json:"name"`
	Status     lenient[string]                   `json:"status"`
	Impact     lenient[string]                   `json:"impact"`
	Shortlink  lenient[string]                   `json:"shortlink"`
	StartedAt  moment                            `json:"started_at"`
	CreatedAt  moment                            `json:"created_at"`
	UpdatedAt  moment                            `json:"updated_at"`
	Monitoring moment                            `json:"monitoring_at"`
	ResolvedAt moment                            `json:"resolved_at"`
	Updates    lenient[[]lenient[jsonUpdate]]    `json:"incident_updates"`
	Components lenient[[]lenient[jsonComponent]] `json:"components"`
}

type jsonUpdate struct {
	ID        lenient[string] `json:"id"`
	Status    lenient[string] `json:"status"`
	Body      lenient[string] `json:"body"`
	CreatedAt moment          `json:"created_at"`
	UpdatedAt moment          `json:"updated_at"`
	Affected  lenient[[]lenient[struct {
		Name lenient[string] `json:"name"`
	}]] `json:"affected_components"`
}

// maxUpdates bounds what is taken from one answer.
const maxUpdates = 2000

// decodeJSON reads summary.json or incidents.json. errFormat means that it is neither.
func decodeJSON(raw []byte) (document, error) {
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	if !bytes.HasPrefix(raw, []byte("{")) {
		return document{}, errFormat
	}
	var p jsonPage
	if err := json.Unmarshal(raw, &p); err != nil {
		return document{}, fmt.Errorf("not JSON: %w", err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return document{}, fmt.Errorf("not JSON: %w", err)
	}
	if keys["page"] == nil && keys["status"] == nil && keys["components"] == nil && keys["incidents"] == nil {
		return document{}, errFormat
	}
	d := document{title: normal.Field(p.Page.v.Name.v)}
	d.indicate(&p)
	for _, i := range p.Incidents.v {
		d.incident(&i.v)
		if len(d.updates) > maxUpdates {
			break
		}
	}
	slices.SortStableFunc(d.updates, func(a, b update) int { return a.at.Compare(b.at) })
	return d, nil
}

// indicate takes the page's indicator, or makes one of its components.
func (d *document) indicate(p *jsonPage) {
	d.indicator = strings.ToLower(p.Status.v.Indicator.v)
	worst, known := 0, false
	var failing []string
	for _, c := range p.Components.v {
		rank := map[string]int{"degraded_performance": 1, "partial_outage": 2, "major_outage": 3}[c.v.Status.v]
		known = known || c.v.Status.v != ""
		worst = max(worst, rank)
		if rank > 0 && c.v.Name.v != "" && len(failing) < 10 {
			failing = append(failing, c.v.Name.v+" ("+strings.ReplaceAll(c.v.Status.v, "_", " ")+")")
		}
	}
	switch d.indicator {
	case "none", "minor", "major", "critical":
	case "":
		if known {
			d.indicator = [...]string{"none", "minor", "minor", "major"}[worst]
		}
	default: // such as maintenance
		d.indicator = "none"
	}
	about := normal.Field(strings.Join(failing, ", "))
	d.summary = update{text: normal.Text(join(normal.Field(p.Status.v.Description.v), about)), about: about, at: p.Page.v.UpdatedAt.Time}
	if d.summary.text == "" {
		d.summary.text = map[bool]string{true: "All systems operational", false: "Service disruption"}[d.indicator == "none"]
	}
}

func (d *document) incident(i *jsonIncident) {
	if i.Impact.v == "maintenance" {
		return
	}
	name := normal.Field(i.Name.v)
	id := i.ID.v
	if id == "" {
		id = name + "@" + first(i.CreatedAt.Time, i.StartedAt.Time).UTC().Format(time.RFC3339)
	}
	id = shortID(id)
	_, told := noticeOf(i.Status.v)
	over := !i.ResolvedAt.IsZero()
	if n, _ := noticeOf(i.Status.v); n == post.Recovered || !told {
		over = true
	}
	about := []string{name}
	for _, c := range i.Components.v {
		about = append(about, c.v.Name.v)
	}
	base := update{url: normal.URL(i.Shortlink.v), open: !over, about: normal.Text(strings.Join(about, "\n"))}
	if len(i.Updates.v) == 0 {
		if !told || name == "" {
			return
		}
		u := base
		u.notice, _ = noticeOf(i.Status.v)
		u.id, u.text = shortID(id+"/"+i.Status.v), name
		switch {
		case u.notice == post.Recovered || i.Status.v == "" && over:
			u.notice, u.at = post.Recovered, first(i.ResolvedAt.Time, i.UpdatedAt.Time)
		case i.Status.v == "":
			u.notice, u.at = post.Problem, first(i.CreatedAt.Time, i.StartedAt.Time)
		case i.Status.v == "monitoring":
			u.at = first(i.Monitoring.Time, i.UpdatedAt.Time)
		default:
			u.at = first(i.CreatedAt.Time, i.StartedAt.Time, i.UpdatedAt.Time)
		}
		d.updates = append(d.updates, u)
		return
	}
	for _, x := range i.Updates.v {
		notice, tell := noticeOf(x.v.Status.v)
		if !tell {
			continue
		}
		if x.v.Status.v == "" { // the incident's own state is all there is to go by
			notice = post.Problem
		}
		u := base
		u.notice, u.at = notice, first(x.v.CreatedAt.Time, i.CreatedAt.Time, i.StartedAt.Time)
		if x.v.UpdatedAt.Sub(u.at) > time.Second && !u.at.IsZero() {
			u.edited = x.v.UpdatedAt.Time
		}
		u.text = normal.Text(join(name, normal.HTML(x.v.Body.v)))
		if u.text == "" {
			continue
		}
		u.id = id + "/" + shortID(x.v.ID.v)
		if x.v.ID.v == "" {
			u.id = id + "/" + x.v.Status.v + "@" + u.at.UTC().Format(time.RFC3339)
		}
		u.id = shortID(u.id)
		for _, c := range x.v.Affected.v {
			u.about += "\n" + normal.Field(c.v.Name.v)
		}
		d.updates = append(d.updates, u)
	}
}
