package api_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/store"
	"outcry.dev/services/api"
)

const hour = "from=2010-12-22T16:00:00Z&to=2010-12-22T17:00:00Z&step=15m"

// The same number from SQL, JSON, files and the chart.
func TestOneNumberEverywhere(t *testing.T) {
	var series seriesAnswer
	getJSON(t, "/v1/services/skype/series?"+hour, &series)
	var people []string
	for _, p := range series.Points {
		people = append(people, strconv.Itoa(p.People))
	}
	want := strings.Join(people, " ")
	if len(people) != 4 || people[1] == "0" {
		t.Fatalf("series: %s", want)
	}

	table, err := csv.NewReader(strings.NewReader(get(t, "/v1/services/skype/series.csv?"+hour).body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := slices.Index(table[0], "people")
	var fromCSV []string
	for _, row := range table[1:] {
		fromCSV = append(fromCSV, row[column])
	}
	if got := strings.Join(fromCSV, " "); got != want {
		t.Errorf("CSV says %s, JSON %s", got, want)
	}
	if table[1][0] != "2010-12-22T16:00:00Z" {
		t.Errorf("time in CSV: %s", table[1][0])
	}

	asked := ask(t, fmt.Sprintf("SELECT people FROM service_series(service = 'skype', from_unix = %d, to_unix = %d, step_seconds = 900) ORDER BY time", clock(16, 0).Unix(), clock(17, 0).Unix()), "csv")
	if got := strings.Join(strings.Fields(asked.body)[1:], " "); asked.StatusCode != 200 || got != want {
		t.Errorf("SQL says %s, JSON %s", asked.body, want)
	}
	// From the sets, as analysts would without knowing the view.
	asked = ask(t, `SELECT uniqExactMerge(people) AS n FROM service_minute_sets WHERE service = 'skype' AND label = 'outage' AND NOT repost
		AND minute >= '2010-12-22 16:00:00' AND minute < '2010-12-22 17:00:00' GROUP BY toStartOfFifteenMinutes(minute) ORDER BY toStartOfFifteenMinutes(minute)`, "csv")
	if got := strings.Join(strings.Fields(asked.body)[1:], " "); got != want {
		t.Errorf("the sets say %s, JSON %s", asked.body, want)
	}

	peak := 0
	for _, p := range series.Points {
		peak = max(peak, p.People)
	}
	chart := get(t, "/services/skype/chart.svg?"+hour).body
	if want := fmt.Sprintf("At most %d people per 15 minutes complained", peak); !strings.Contains(chart, want) {
		t.Errorf("the chart does not say %q:\n%s", want, regexp.MustCompile(`<desc.*</desc>`).FindString(chart))
	}
}

func ask(t *testing.T, sql, format string) answer {
	t.Helper()
	resp, err := http.Post(base+"/v1/sql?format="+format, "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(body)}
}

func TestFilesInEveryFormat(t *testing.T) {
	magic := map[string]string{"csv": `"`, "parquet": "PAR1", "arrow": "ARROW1", "jsonl": "{"}
	for _, path := range []string{"/v1/services", "/v1/services/skype/series", "/v1/services/skype/breakdown", "/v1/services/skype/evidence", "/v1/series", "/v1/incidents", "/v1/leads"} {
		query := "?"
		if path == "/v1/series" {
			query = "?service=skype,viber&" + hour
		}
		for _, f := range store.Formats {
			a := get(t, path+"."+f.Suffix+query)
			if a.StatusCode != 200 || a.Header.Get("Content-Type") != f.MediaType || path != "/v1/services" && !strings.HasPrefix(a.body, magic[f.Suffix]) {
				t.Errorf("%s.%s: %s %s %.60q", path, f.Suffix, a.Status, a.Header.Get("Content-Type"), a.body)
			}
			if !strings.Contains(a.Header.Get("Link"), `rel="describedby"`) || !strings.Contains(a.Header.Get("Content-Disposition"), "."+f.Suffix) || a.Header.Get("ETag") == "" {
				t.Errorf("%s.%s: headers %v", path, f.Suffix, a.Header)
			}
			req, _ := http.NewRequest(http.MethodGet, base+path+query, nil)
			req.Header.Set("Accept", f.MediaType)
			if got := do(t, req); got.body != a.body && f.Suffix != "parquet" {
				t.Errorf("%s with Accept: %s gives something else than the suffix", path, f.MediaType)
			}
		}
		var about struct {
			Title    string
			Columns  []store.Column
			Caveat   string
			Citation struct{ Text, BibTeX string }
		}
		getJSON(t, path+".meta.json"+query, &about)
		header := strings.Split(strings.TrimSpace(strings.SplitN(get(t, path+".csv"+query).body, "\n", 2)[0]), ",")
		if path != "/v1/services" && len(header) != len(about.Columns) {
			t.Errorf("%s: %d columns described, %d in the file", path, len(about.Columns), len(header))
		}
		for i, c := range about.Columns {
			if c.Comment == "" || c.Type == "" || path != "/v1/services" && header[i] != strconv.Quote(c.Name) {
				t.Errorf("%s: column %+v", path, c)
			}
		}
		if about.Title == "" || !strings.Contains(about.Citation.Text, base) || !strings.HasPrefix(about.Citation.BibTeX, "@misc{") || !strings.Contains(about.Caveat, "not users affected") {
			t.Errorf("%s: %+v", path, about)
		}
	}
}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(body)}
}

func TestWhatHasNotChangedIsNotSentAgain(t *testing.T) {
	for _, path := range []string{"/v1/services", "/v1/services/skype/series?" + hour, "/v1/incidents.csv", "/v1/incidents/skype-20101222T1612"} {
		tag := get(t, path).Header.Get("ETag")
		req, _ := http.NewRequest(http.MethodGet, base+path, nil)
		req.Header.Set("If-None-Match", tag)
		if a := do(t, req); tag == "" || a.StatusCode != http.StatusNotModified || a.body != "" {
			t.Errorf("%s with ETag %s: %s, %d bytes", path, tag, a.Status, len(a.body))
		}
	}
}

func TestOtherSitesMayAsk(t *testing.T) {
	req, _ := http.NewRequest(http.MethodOptions, base+"/v1/sql", nil)
	req.Header.Set("Origin", "https://news.example")
	req.Header.Set("Access-Control-Request-Method", "POST")
	if a := do(t, req); a.StatusCode != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("preflight: %s %v", a.Status, a.Header)
	}
	if a := get(t, "/v1/services/skype"); a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("CORS: %v", a.Header)
	}
	if a := get(t, "/"); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("pages are not for other sites")
	}
}

func TestListsGoOnAtTheirCursors(t *testing.T) {
	for path, field := range map[string]string{"/v1/services?q=sk&limit=2": "services", "/v1/services/skype/evidence?limit=100&from=2010-12-22T16:00:00Z&to=2010-12-22T16:20:00Z": "evidence", "/v1/leads?limit=1": "incidents"} {
		seen := map[string]bool{}
		pages := 0
		for next := path; next != ""; pages++ {
			a := get(t, next)
			var page map[string]json.RawMessage
			if err := json.Unmarshal([]byte(a.body), &page); err != nil {
				t.Fatal(err)
			}
			var rows []struct{ ID string }
			if err := json.Unmarshal(page[field], &rows); err != nil {
				t.Fatalf("%s: %v\n%s", next, err, a.body)
			}
			for _, row := range rows {
				if seen[row.ID] {
					t.Errorf("%s: %s twice", path, row.ID)
				}
				seen[row.ID] = true
			}
			link := a.Header.Get("Link")
			next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			if (page["next_cursor"] != nil) != (next != "") {
				t.Errorf("%s: Link %q beside next_cursor %s", path, link, page["next_cursor"])
			}
		}
		if len(seen) == 0 || field != "incidents" && pages < 2 {
			t.Errorf("%s: %d rows in %d pages", path, len(seen), pages)
		}
		if field == "evidence" {
			var minutes seriesAnswer
			getJSON(t, "/v1/services/skype/series?from=2010-12-22T16:00:00Z&to=2010-12-22T16:20:00Z&step=1m", &minutes)
			posts := 0
			for _, p := range minutes.Points {
				posts += p.Mentions
			}
			if len(seen) != posts {
				t.Errorf("%d posts of evidence in pages, %d counted", len(seen), posts)
			}
		}
	}
}

func TestSearchAndBreakdown(t *testing.T) {
	var found struct {
		Services  []struct{ ID string }
		Incidents []struct{ ID string }
	}
	getJSON(t, "/v1/search?q=SKYP", &found)
	if len(found.Services) == 0 || found.Services[0].ID != "skype" || len(found.Incidents) != 1 {
		t.Errorf("search: %+v", found)
	}
	var broken struct {
		Groups []struct {
			Name   string
			People int
			Points []struct{ People int }
		}
	}
	getJSON(t, "/v1/services/skype/breakdown?by=symptom&"+hour, &broken)
	if len(broken.Groups) != 1 || broken.Groups[0].Name != "login" || len(broken.Groups[0].Points) != 4 {
		t.Errorf("breakdown: %+v", broken)
	}
	if a := get(t, "/v1/services/skype/breakdown?by=author"); a.StatusCode != 400 || !strings.Contains(a.body, "symptom, source") {
		t.Errorf("by author: %s", a.body)
	}
}

// Places are the same in JSON, in files, in SQL and in the page.
func TestPlaces(t *testing.T) {
	var broken struct {
		Groups []struct {
			Name   string
			Points []struct {
				Time   time.Time
				People int
			}
		}
	}
	getJSON(t, "/v1/services/skype/breakdown?by=place&"+hour, &broken)
	if len(broken.Groups) != 2 || broken.Groups[0].Name != "us/austin" || broken.Groups[1].Name != "de" || len(broken.Groups[0].Points) != 4 {
		t.Fatalf("by place: %+v", broken)
	}
	var lines []string
	for _, g := range broken.Groups {
		for _, p := range g.Points {
			lines = append(lines, fmt.Sprintf("%s %s %d", p.Time.Format("15:04"), g.Name, p.People))
		}
	}
	slices.Sort(lines)
	read := func(kind, csv string) {
		t.Helper()
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(strings.ReplaceAll(csv, `"`, "")), "\n")[1:] {
			f := strings.Split(line, ",")
			at, err := time.Parse(time.RFC3339, f[0])
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			got = append(got, fmt.Sprintf("%s %s %s", at.Format("15:04"), f[1], f[2]))
		}
		slices.Sort(got)
		if diff := cmp.Diff(lines, got); diff != "" {
			t.Errorf("%s (-JSON +%s):\n%s", kind, kind, diff)
		}
	}
	read("CSV", strings.ReplaceAll(get(t, "/v1/services/skype/breakdown.csv?by=place&"+hour).body, `"skype",`, ""))
	read("SQL", ask(t, `SELECT toStartOfFifteenMinutes(minute) AS time, place, uniqExactMerge(people) AS people FROM service_minute_place_sets
		WHERE service = 'skype' AND minute >= '2010-12-22 16:00:00' AND minute < '2010-12-22 17:00:00' GROUP BY time, place`, "csv").body)
	page := get(t, "/explore?service=skype&by=place&"+hour).body
	for _, want := range []string{"Skype by place", "Austin, United States", ">Germany<", "<option selected>place</option>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestDescription(t *testing.T) {
	var d struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Responses   map[string]any
			Parameters  []struct {
				Name, In, Description string
				Required              bool
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	getJSON2(t, "/v1/openapi.json", &d)
	if !strings.HasPrefix(d.OpenAPI, "3.1") || len(d.Paths) < 40 {
		t.Fatalf("OpenAPI %s with %d paths", d.OpenAPI, len(d.Paths))
	}
	for path, item := range d.Paths {
		for method, op := range item {
			var inPath, inQuery []string
			for _, p := range op.Parameters {
				if p.Description == "" {
					t.Errorf("%s %s: nothing is said of %s", method, path, p.Name)
				}
				switch {
				case p.In == "query":
					inQuery = append(inQuery, p.Name)
				case p.Required:
					inPath = append(inPath, "{"+p.Name+"}")
				}
			}
			if want := regexp.MustCompile(`\{\w+\}`).FindAllString(path, -1); !slices.Equal(want, inPath) {
				t.Errorf("%s %s describes %v", method, path, inPath)
			}
			if wants := map[string][]string{"breakdown": {"from", "to", "step", "by"}, "many-series": {"service", "from", "to", "step"}, "incidents": {"service", "state", "from", "to", "limit", "cursor"},
				"services": {"at", "q", "category", "country", "state", "limit", "cursor"}}[op.OperationID]; wants != nil && !slices.Equal(wants, inQuery) {
				t.Errorf("%s has the parameters %v, want %v", path, inQuery, wants)
			}
			if op.OperationID == "" || op.Responses["200"] == nil || op.Responses["default"] == nil || len(op.Responses) != 2 {
				t.Errorf("%s %s: %+v", method, path, op)
			}
		}
	}
	// What an incident is said to be, and what it is.
	var one map[string]any
	getJSON(t, "/v1/incidents/skype-20101222T1612", &one)
	described := d.Components.Schemas["IncidentFields"].Properties
	for _, field := range []string{"id", "service", "state", "severity", "people", "symptoms", "evidence", "lead_seconds", "root"} {
		if one[field] == nil || described[field] == nil {
			t.Errorf("field %s: %v, described as %v", field, one[field], described[field])
		}
	}
}

func getJSON2(t *testing.T, path string, into any) {
	t.Helper()
	a := get(t, path)
	if err := json.Unmarshal([]byte(a.body), into); err != nil || a.StatusCode != 200 {
		t.Fatalf("%s: %s %v", path, a.Status, err)
	}
}

// A stream says how things stand, and then what changes.
func TestStreams(t *testing.T) {
	database := "stream"
	s, err := open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := fill(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	addr, stop, err := serve(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lines := map[string]*bufio.Scanner{}
	for _, path := range []string{"/v1/incidents/stream", "/v1/services/stream", "/v1/services/skype/series/stream"} {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%s: %s", path, resp.Status)
		}
		lines[path] = bufio.NewScanner(resp.Body)
		lines[path].Buffer(nil, 1<<20)
	}
	until := func(path, want string) {
		t.Helper()
		for lines[path].Scan() {
			if strings.Contains(lines[path].Text(), want) {
				return
			}
		}
		t.Errorf("%s ended without %q: %v", path, want, lines[path].Err())
	}
	until("/v1/incidents/stream", `"id":"skype-20101222T1612"`)
	until("/v1/services/stream", `"id":"viber","state":"suspected"`)
	until("/v1/services/stream", "event: board")
	until("/v1/services/skype/series/stream", `"time":"2010-12-22T23:58:00Z"`)
	if err := fillMore(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	until("/v1/incidents/stream", `"state":"confirmed"`)
	until("/v1/services/stream", `"id":"viber","state":"outage"`)
	until("/v1/services/skype/series/stream", `"time":"2010-12-22T23:59:00Z","people":1`)
	if err := stop(); err != nil { // streams end with the server
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	s, err := open(t.Context(), "keyed")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	secrets := map[string]string{}
	now := time.Now()
	for _, scope := range api.Scopes() {
		key, secret, err := api.NewKey("somebody with "+scope, []string{scope}, now)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.PutKey(t.Context(), key, now); err != nil {
			t.Fatal(err)
		}
		secrets[scope] = secret
		if strings.Contains(key.Hash, secret[7:]) || len(key.Hash) != 64 {
			t.Errorf("hash %s of %s", key.Hash, secret)
		}
	}
	addr, stop, err := serveWith(t.Context(), s, api.Config{Listen: "127.0.0.1:0", RequestsPerSecond: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path, scope string
		status      int
	}{
		{"/v1/services", "", 401}, {"/", "", 401}, {"/v1/services", "read", 200}, {"/v1/services", "admin", 200},
		{"/v1/services/skype/evidence", "read", 403}, {"/v1/services/skype/evidence", "evidence", 200}, {"/v1/services/skype/evidence", "admin", 200},
		{"/healthz", "", 200}, {"/v1/services", "unknown", 401},
	} {
		req, _ := http.NewRequest(http.MethodGet, "http://"+addr+test.path, nil)
		if test.scope != "" {
			req.Header.Set("Authorization", "Bearer "+secrets[test.scope])
		}
		a := do(t, req)
		if a.StatusCode != test.status || test.status == 401 && a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s with %q: %s, want %d\n%.200s", test.path, test.scope, a.Status, test.status, a.body)
		}
	}
	admin := func(method, path, body string) answer {
		req, _ := http.NewRequest(method, "http://"+addr+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+secrets["admin"])
		return do(t, req)
	}
	var made struct{ ID, Secret string }
	if a := admin(http.MethodPost, "/v1/keys", `{"name": "a newsroom", "scopes": ["read"]}`); json.Unmarshal([]byte(a.body), &made) != nil || made.Secret == "" {
		t.Fatalf("a key made by the api: %s", a.body)
	}
	with := func() int {
		req, _ := http.NewRequest(http.MethodGet, "http://"+addr+"/v1/services/skype", nil)
		req.Header.Set("Authorization", "Bearer "+made.Secret)
		return do(t, req).StatusCode
	}
	if got := with(); got != 200 {
		t.Errorf("with the key made by the api: %d", got)
	}
	if a := admin(http.MethodDelete, "/v1/keys/"+made.ID, ""); a.StatusCode != 200 {
		t.Errorf("revoke: %s", a.body)
	}
	if got := with(); got != 401 {
		t.Errorf("with a revoked key: %d", got)
	}
	if a := admin(http.MethodGet, "/v1/audit", ""); !strings.Contains(a.body, "revoke key") || !strings.Contains(a.body, "somebody with admin") {
		t.Errorf("audit log: %s", a.body)
	}
	if a := admin(http.MethodGet, "/v1/keys", ""); strings.Contains(a.body, made.Secret) || !strings.Contains(a.body, made.ID) {
		t.Errorf("keys: %s", a.body)
	}
	// An address has five requests at hand, and a key fifty.
	limited := false
	for range 6 {
		a := get(t, "http://"+addr+"/v1/services")
		if a.StatusCode == http.StatusTooManyRequests {
			limited = true
			if a.Header.Get("Retry-After") == "" || a.Header.Get("RateLimit-Remaining") != "0" || a.Header.Get("RateLimit-Limit") != "5" {
				t.Errorf("headers of a limit: %v", a.Header)
			}
		}
	}
	if !limited {
		t.Error("no request was refused for coming too soon")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]string{nil, {"write"}, {"read", ""}} {
		if _, _, err := api.NewKey("x", bad, now); err == nil {
			t.Errorf("a key with scopes %v", bad)
		}
	}
	if _, _, err := api.NewKey("", []string{"read"}, now); err == nil {
		t.Error("a key without a name")
	}
}
