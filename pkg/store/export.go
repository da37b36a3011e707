package store

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Column says what a column of a file is.
type Column struct {
	Name    string `json:"name" doc:"Name of the column."`
	Type    string `json:"type" doc:"Type in ClickHouse."`
	Comment string `json:"comment" doc:"What it is."`
}

// Export is a question whose answer ClickHouse writes into a file.
type Export struct {
	// Name of the question, for messages.
	Name  string
	query string
	// params are the values of {name:Type} in the query.
	params map[string]string
	// comments of columns that come from no column of a view.
	comments map[string]string
}

// seriesComments are for the view service_series, whose columns ClickHouse knows only once it has its parameters.
var seriesComments = map[string]string{
	"time":              "Start of the step, in UTC.",
	"service":           "Catalog id of the service.",
	"people":            "Distinct people complaining of an outage within the step, reposts left out. They are people who say so in public, not users affected, and do not add up over steps.",
	"mentions":          "Posts within the step that name the service, whatever they say of it, reposts included.",
	"ingested":          "Posts of all sources read within the step, whatever they are about; where it is 0, nothing was heard, and 0 people is not known.",
	"per_1000_mentions": "1000 times people by mentions; empty where nobody mentions the service.",
	"expected":          "People that the baseline expects in the step; empty where there is none.",
	"lower":             "Lower end of the expected band (2.5 % quantile).",
	"upper":             "Upper end of the expected band (97.5 % quantile).",
	"posts":             "Posts within the step, reposts included.",
	"lead_seconds":      "Official word minus detection, in seconds: positive where Outcry was first.",
}

const unixOfTime = "toDateTime({%s:Int64}, 'UTC')"

// ExportSeries is the series of services between two times, one after the other.
func ExportSeries(services []string, from, to time.Time, step time.Duration) Export {
	e := Export{Name: "series", params: map[string]string{"from": unix(from), "to": unix(to), "step": strconv.Itoa(int(step / time.Second))}, comments: seriesComments}
	var parts []string
	for i, service := range services {
		name := fmt.Sprintf("service%d", i)
		e.params[name] = service
		parts = append(parts, fmt.Sprintf(`SELECT time, service, people, mentions, ingested, per_1000_mentions, expected, lower, upper
			FROM service_series(service = {%s:String}, from_unix = {from:Int64}, to_unix = {to:Int64}, step_seconds = {step:UInt32})`, name))
	}
	e.query = "SELECT * FROM (" + strings.Join(parts, "\nUNION ALL\n") + ") ORDER BY service, time"
	return e
}

// Breakdowns are the columns by which counts can be broken down.
func Breakdowns() []string { return []string{"symptom", "source", "language", "place", "label"} }

// brokenDown is the table with the sets of a breakdown, the view of it that others may read, and which of its rows count.
func brokenDown(by string) (table, view, condition string) {
	switch by {
	case "place":
		return "service_minute_places", "service_minute_place_sets", "1"
	case "label":
		return "service_minutes", "service_minute_sets", "NOT repost"
	default:
		return "service_minutes", "service_minute_sets", "label = 'outage' AND NOT repost"
	}
}

// ExportBreakdown is a series of one service, broken down by one of Breakdowns. Labels are of all mentions, the others of outages. Posts that
// name no place are in no part by place.
func ExportBreakdown(service, by string, from, to time.Time, step time.Duration) Export {
	_, view, condition := brokenDown(by)
	comments := map[string]string{by: "The " + by + " that the counts are of; empty where it is not known."}
	if by == "place" {
		comments[by] = "Place that the posts name: a country as ISO 3166-1 alpha-2 code, or a city behind it, such as us/austin. Posts that name none are in no row."
	}
	return Export{Name: "breakdown", comments: merged(seriesComments, comments),
		params: map[string]string{"service": service, "from": unix(from), "to": unix(to), "step": strconv.Itoa(int(step / time.Second))},
		query: fmt.Sprintf(`SELECT toDateTime(intDiv(toUnixTimestamp(minute), {step:UInt32}) * {step:UInt32}, 'UTC') AS time, service, %s,
			uniqExactMerge(people) AS people, uniqExactMerge(posts) AS posts
		FROM %s
		WHERE service = {service:String} AND minute >= %s AND minute < %s AND %s
		GROUP BY time, service, %[1]s ORDER BY time, people DESC, %[1]s`, by, view, fmt.Sprintf(unixOfTime, "from"), fmt.Sprintf(unixOfTime, "to"), condition)}
}

// ExportIncidents are the incidents that lasted at some time in [from, to), of the services given or of all, those detected last first.
func ExportIncidents(services []string, from, to time.Time) Export {
	e := Export{Name: "incidents", params: map[string]string{}, query: `SELECT id, service, toString(state) AS state, toString(severity) AS severity, started_at,
			detected_at, confirmed_at, recovering_at, resolved_at, official_at, lead_seconds, people, peak_per_minute, expected_per_minute,
			symptoms, places, languages, sources, root, consequences, confidence, explanation, official_text, official_url
		FROM incidents_current`}
	e.where(services, from, to)
	e.query += " ORDER BY detected_at DESC, id DESC"
	return e
}

// ExportLeads are the incidents about which the vendor said something, and how far Outcry was ahead.
func ExportLeads(services []string, from, to time.Time) Export {
	e := Export{Name: "lead times", params: map[string]string{}, comments: seriesComments,
		query: `SELECT id, service, started_at, detected_at, official_at, lead_seconds, people, toString(severity) AS severity, official_text, official_url
		FROM incidents_current`}
	e.where(services, from, to, "official_at IS NOT NULL AND state != 'dismissed'")
	e.query += " ORDER BY detected_at DESC, id DESC"
	return e
}

func (e *Export) where(services []string, from, to time.Time, conditions ...string) {
	if len(services) > 0 {
		quoted := make([]string, len(services))
		for i, s := range services {
			quoted[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
		}
		e.params["services"] = "[" + strings.Join(quoted, ",") + "]"
		conditions = append(conditions, "has({services:Array(String)}, service)")
	}
	if !from.IsZero() {
		e.params["from"] = unix(from)
		conditions = append(conditions, "(resolved_at IS NULL OR resolved_at >= "+fmt.Sprintf(unixOfTime, "from")+")")
	}
	if !to.IsZero() {
		e.params["to"] = unix(to)
		conditions = append(conditions, "started_at < "+fmt.Sprintf(unixOfTime, "to"))
	}
	if len(conditions) > 0 {
		e.query += "\nWHERE " + strings.Join(conditions, " AND ")
	}
}

// ExportEvidence are the mentions of a service in [from, to) with a label, or with any, in the order of time.
func ExportEvidence(service, label string, from, to time.Time) Export {
	condition := ""
	params := map[string]string{"service": service, "from": unix(from), "to": unix(to)}
	if label != "" {
		condition, params["label"] = " AND label = {label:String}", label
	}
	return Export{Name: "evidence", params: params, query: fmt.Sprintf(`SELECT service, time, label, score, symptom, source, post_id, text, url, language, place, repost,
			official_author, model_version
		FROM evidence
		WHERE service = {service:String} AND time >= %s AND time < %s%s
		ORDER BY time, post_id`, fmt.Sprintf(unixOfTime, "from"), fmt.Sprintf(unixOfTime, "to"), condition)}
}

// ExportServices are the services listened for.
func ExportServices() Export {
	return Export{Name: "services", query: "SELECT service, name, category, countries, providers, web, status_page FROM catalog_current ORDER BY service"}
}

// Export hands on the answer to e as ClickHouse writes it, row by row. The caller closes it.
func (s *Store) Export(ctx context.Context, e Export, f Format) (io.ReadCloser, error) {
	answer, err := s.stream(ctx, s.self(), f.name, e.params, e.query)
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", e.Name, err)
	}
	return answer, nil
}

// Columns says what the columns of an export are: names and types as ClickHouse has them, comments from the views.
func (s *Store) Columns(ctx context.Context, e Export) ([]Column, error) {
	answer, err := s.stream(ctx, s.self(), "JSONEachRow", e.params, "DESCRIBE TABLE ("+e.query+")")
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", e.Name, err)
	}
	columns, err := decodeRows[Column](answer)
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", e.Name, err)
	}
	comments := map[string]string{}
	err = s.ask(ctx, "read the comments of columns", func(rows driver.Rows) error {
		var name, comment string
		err := rows.Scan(&name, &comment)
		if comments[name] == "" || comment != "" && strings.Contains(e.query, "FROM "+name) {
			comments[name] = comment
		}
		return err
	}, "SELECT column, any(comment) FROM documentation WHERE comment != '' AND relation IN (?) GROUP BY column", e.relations())
	for i, c := range columns {
		columns[i].Comment = comments[c.Name]
		if own, found := e.comments[c.Name]; found {
			columns[i].Comment = own
		}
	}
	return columns, err
}

// relations are those that the export reads.
func (e Export) relations() []string {
	var out []string
	for _, view := range PublicViews() {
		if strings.Contains(e.query, "FROM "+view) {
			out = append(out, view)
		}
	}
	return out
}

// DataVersion changes whenever rows that people ask for are written.
func (s *Store) DataVersion(ctx context.Context) (string, error) {
	var version uint64
	err := s.ask(ctx, "read the version of the data", func(rows driver.Rows) error { return rows.Scan(&version) },
		`SELECT cityHash64(arraySort(groupArray((table, name)))) FROM system.parts
		WHERE active AND database = currentDatabase() AND table IN ('mentions', 'service_minutes', 'service_minute_totals', 'source_minutes', 'spike_windows', 'incidents', 'incident_events', 'catalog')`)
	return strconv.FormatUint(version, 36), err
}

func (s *Store) self() login {
	auth := s.cfg.options().Auth
	if auth.Username == "" {
		auth.Username = "default"
	}
	return login{auth.Username, auth.Password}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func merged(maps ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range maps {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// View is a view that analysts may read.
type View struct {
	Name    string
	Columns []Column
}

// PublicSchema describes PublicViews.
func (s *Store) PublicSchema(ctx context.Context) ([]View, error) {
	found := map[string]int{}
	var out []View
	for i, name := range PublicViews() {
		found[name] = i
		out = append(out, View{Name: name, Columns: []Column{}})
	}
	err := s.ask(ctx, "read the documentation", func(rows driver.Rows) error {
		var relation string
		var c Column
		err := rows.Scan(&relation, &c.Name, &c.Type, &c.Comment)
		v := &out[found[relation]]
		v.Columns = append(v.Columns, c)
		return err
	}, "SELECT relation, column, type, comment FROM documentation WHERE relation IN (?)", PublicViews())
	if err != nil {
		return nil, err
	}
	// ClickHouse knows the columns of a view with parameters once it has them.
	now := time.Unix(0, 0)
	series := &out[found["service_series"]]
	series.Columns, err = s.Columns(ctx, ExportSeries([]string{""}, now, now.Add(time.Minute), time.Minute))
	return out, err
}
