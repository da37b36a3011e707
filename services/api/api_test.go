package api_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/api"
)

var quiet = slog.New(slog.DiscardHandler)

var (
	server *clickhouse.Server
	base   string // address of an API over the day that fill writes
)

func TestMain(m *testing.M) {
	clickhouse.RunIfChild()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "outcry-api")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	server, err = clickhouse.Start(ctx, engine(dir, "full", "empty", "keyed"), quiet)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	s, err := open(ctx, "full")
	if err != nil {
		return 1, err
	}
	defer s.Close()
	if err := fill(ctx, s); err != nil {
		return 1, err
	}
	addr, stop, err := serve(ctx, s)
	if err != nil {
		return 1, err
	}
	base = "http://" + addr
	defer func() { err = errors.Join(err, stop()) }()
	defer http.DefaultClient.CloseIdleConnections()
	return m.Run(), nil
}

// engine is an embedded server that knows the readers of some databases, of which it has one each.
func engine(dir string, databases ...string) clickhouse.Config {
	cfg := clickhouse.Config{DataDir: dir, Password: "of the tests"}
	for _, r := range store.ReadersOf(databases[0], cfg.Password) {
		cfg.Users = append(cfg.Users, clickhouse.User{Name: r.Name, Password: r.Password, Settings: r.Settings, Grants: r.Grants})
	}
	return cfg
}

func open(ctx context.Context, database string) (*store.Store, error) {
	s, err := store.Open(store.Config{Address: server.Addr(), HTTPAddress: server.HTTPAddr(), Username: server.User(), Password: server.Password(), Database: database}, quiet)
	if err != nil {
		return nil, err
	}
	_, err = s.Migrate(ctx)
	return s, err
}

// serve runs an API on a free port until stop.
func serve(ctx context.Context, s *store.Store) (addr string, stop func() error, err error) {
	return serveWith(ctx, s, api.Config{Listen: "127.0.0.1:0", PublicRead: true})
}

func serveWith(ctx context.Context, s *store.Store, cfg api.Config) (addr string, stop func() error, err error) {
	registry := prometheus.NewRegistry()
	a := api.New(cfg, api.Deps{Store: s, Catalog: catalog.Default(), Registry: registry, Gatherer: registry, Log: quiet})
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(runCtx) }()
	stop = func() error {
		cancel()
		return <-ended
	}
	addr, err = a.Addr(ctx)
	return addr, stop, err
}

var day = time.Date(2010, 12, 22, 0, 0, 0, 0, time.UTC)

func clock(hour, minute int) time.Time {
	return day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
}

const hostile = `<script>alert("x")</script> skype is "down" & out`

// fill writes a day with an outage of Skype in it.
func fill(ctx context.Context, s *store.Store) error {
	var mentions []store.Mention
	var minutes []store.SourceMinute
	var windows []store.SpikeWindow
	id := uint64(0)
	say := func(service string, at time.Time, label outcryv1.Label, author uint64, text, url string) uint64 {
		id++
		symptom := outcryv1.Symptom_SYMPTOM_LOGIN
		if label == outcryv1.Label_LABEL_OTHER {
			symptom = outcryv1.Symptom_SYMPTOM_UNSPECIFIED
		}
		mentions = append(mentions, store.Mention{Mention: &outcryv1.Mention{Id: id, Service: service, Label: label, Score: 0.9, Symptom: symptom,
			Source: "twitter", PostId: fmt.Sprint(id), Author: author, TimeUs: at.UnixMicro(), Text: text, Lang: "en", Url: url,
			OfficialAuthor: label == outcryv1.Label_LABEL_OFFICIAL, Places: []string{"us/austin", "de"}[:author%3]}, CountedAtUS: at.UnixMicro()})
		return id
	}
	var evidence []uint64
	texts := []string{"can't sign in to skype, anyone else?", "Skype down again?? just when I need to call my mum", "skype won't connect, keeps spinning", "is skype down or is it my wifi", "Skype keeps signing me out"}
	start := clock(16, 12)
	for m := range 24 * 60 {
		at := day.Add(time.Duration(m) * time.Minute)
		minutes = append(minutes, store.NewSourceMinute(&outcryv1.SourceCount{Source: "twitter", Minute: at.Unix() / 60, Posts: 120}, &outcryv1.Progress{}, 1))
		people := 0
		if m%3 == 0 {
			people = 1 + m%2
		}
		if since := at.Sub(start).Minutes(); since >= 0 {
			people += int(60 * math.Min(1, (since+1)/12) * math.Exp(-since/80))
		}
		for n := range people {
			got := say("skype", at.Add(time.Duration(n)*500*time.Millisecond), outcryv1.Label_LABEL_OUTAGE, uint64(m*1000+n), texts[(m+n)%len(texts)], fmt.Sprintf("https://twitter.com/i/status/%d", m*1000+n))
			if m == 16*60+14 && n < 3 {
				evidence = append(evidence, got)
			}
		}
		if m%5 == 0 {
			say("viber", at, outcryv1.Label_LABEL_OTHER, uint64(m), "calling from the train", "")
		}
		w := store.SpikeWindow{Service: "skype", End: at.Add(time.Minute), Window: time.Minute, Observed: people, Expected: 0.8, Lower: 0, Upper: 4, Threshold: 6, Version: 1}
		w.Alarm = people >= 6
		windows = append(windows, w)
	}
	say("skype", clock(23, 58), outcryv1.Label_LABEL_OUTAGE, 999_999, hostile, `javascript:alert("x")`)
	official := say("skype", clock(17, 2), outcryv1.Label_LABEL_OFFICIAL, 7, "Some of you may have problems signing in to Skype – we're investigating.", "https://twitter.com/Skype/status/1")
	incident := &outcryv1.Incident{
		Id: "skype-20101222T1612", Service: "skype", State: outcryv1.Incident_STATE_RESOLVED, Severity: outcryv1.Incident_SEVERITY_CRITICAL,
		StartedAtUs: start.UnixMicro(), DetectedAtUs: start.Add(140 * time.Second).UnixMicro(), ConfirmedAtUs: start.Add(4 * time.Minute).UnixMicro(),
		RecoveringAtUs: clock(19, 40).UnixMicro(), ResolvedAtUs: clock(20, 30).UnixMicro(), OfficialAtUs: clock(17, 2).UnixMicro(), DecidedAtUs: clock(20, 30).UnixMicro(),
		Revision: 9, People: 4410, PeakPerMinute: 54, ExpectedPerMinute: 0.8, Confidence: 0.98,
		Symptoms: []*outcryv1.SymptomCount{{Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, People: 3900}, {Symptom: outcryv1.Symptom_SYMPTOM_CALLS, People: 260}, {Symptom: outcryv1.Symptom_SYMPTOM_APP_CRASH, People: 250}},
		Explanation: "29 people reported trouble with skype in the 5 minutes to 2010-12-22 16:16:00 UTC; 0.8 were expected (up to 4 in 95 % of such windows, " +
			"alarm from 13 on); by chance once in 10^9 windows; 16 hours of history.",
		Evidence:     []*outcryv1.Evidence{{MentionId: evidence[0]}, {MentionId: evidence[1]}, {MentionId: evidence[2]}, {MentionId: official}},
		OfficialText: "Some of you may have problems signing in to Skype – we're investigating.", OfficialUrl: "https://twitter.com/Skype/status/1",
	}
	first := &outcryv1.Incident{
		Id: incident.Id, Service: "skype", State: outcryv1.Incident_STATE_SUSPECTED, Severity: outcryv1.Incident_SEVERITY_MINOR,
		StartedAtUs: incident.StartedAtUs, DetectedAtUs: incident.DetectedAtUs, DecidedAtUs: incident.DetectedAtUs, Revision: 1, People: 14,
		Explanation: "14 people reported trouble with skype in the 5 minutes to 2010-12-22 16:14:20 UTC; 0.8 were expected (up to 4 in 95 % of such windows, " +
			"alarm from 13 on); by chance once in 10^6 windows; 16 hours of history.",
	}
	later := &outcryv1.Incident{Id: "viber-20101222T2250", Service: "viber", State: outcryv1.Incident_STATE_SUSPECTED, Severity: outcryv1.Incident_SEVERITY_MINOR,
		StartedAtUs: clock(22, 50).UnixMicro(), DetectedAtUs: clock(22, 53).UnixMicro(), DecidedAtUs: clock(22, 53).UnixMicro(), Revision: 1, People: 14,
		Explanation: "14 people complained in five minutes where 0.3 were expected."}
	dismissed := &outcryv1.Incident{Id: "gmail-20101222T0300", Service: "gmail", State: outcryv1.Incident_STATE_DISMISSED, Severity: outcryv1.Incident_SEVERITY_MINOR,
		StartedAtUs: clock(3, 0).UnixMicro(), DetectedAtUs: clock(3, 1).UnixMicro(), DecidedAtUs: clock(3, 30).UnixMicro(), Revision: 2, Explanation: "a joke"}
	return errors.Join(s.InsertMentions(ctx, mentions), s.InsertSourceMinutes(ctx, minutes), s.InsertSpikeWindows(ctx, windows),
		s.InsertIncidents(ctx, []store.Incident{{Incident: first, Version: 1}, {Incident: incident, Version: 1}, {Incident: later, Version: 1},
			{Incident: dismissed, Verdict: &outcryv1.Verdict{Kind: outcryv1.Verdict_KIND_DISMISS, Who: "someone"}, Version: 1}}))
}

// fillMore has the incident of Viber confirmed, and one more person complain of Skype.
func fillMore(ctx context.Context, s *store.Store) error {
	later := &outcryv1.Incident{Id: "viber-20101222T2250", Service: "viber", State: outcryv1.Incident_STATE_CONFIRMED, Severity: outcryv1.Incident_SEVERITY_MINOR,
		StartedAtUs: clock(22, 50).UnixMicro(), DetectedAtUs: clock(22, 53).UnixMicro(), ConfirmedAtUs: clock(23, 0).UnixMicro(), DecidedAtUs: clock(23, 0).UnixMicro(), Revision: 2, People: 20}
	at := clock(23, 59).UnixMicro()
	return errors.Join(s.InsertIncidents(ctx, []store.Incident{{Incident: later, Version: 2}}),
		s.InsertMentions(ctx, []store.Mention{{Mention: &outcryv1.Mention{Id: 5_000_000, Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, Score: 0.9, Source: "twitter",
			PostId: "more", Author: 5_000_000, TimeUs: at, Text: "skype down"}, CountedAtUS: at}}))
}

type answer struct {
	*http.Response
	body string
}

func get(t *testing.T, address string) answer {
	t.Helper()
	if !strings.HasPrefix(address, "http") {
		address = base + address
	}
	resp, err := http.Get(address)
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

func getJSON(t *testing.T, path string, into any) {
	t.Helper()
	a := get(t, path)
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %s %s\n%s", path, a.Status, a.Header.Get("Content-Type"), a.body)
	}
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

type serviceAnswer struct {
	At       time.Time
	ID, Name string
	State    string
	People   int `json:"people_last_hour"`
	Mentions int `json:"mentions_last_hour"`
	Incident string
}

func TestServicesAreAtTheTimeOfTheData(t *testing.T) {
	for _, test := range []struct {
		query, service, state, incident string
		at                              time.Time
		talked                          bool
	}{
		{"", "skype", "ok", "", clock(24, 0), true},
		{"", "viber", "suspected", "viber-20101222T2250", clock(24, 0), true},
		{"", "gmail", "ok", "", clock(24, 0), false},
		{"?at=2010-12-22T16:15:00Z", "skype", "suspected", "skype-20101222T1612", clock(16, 15), true},
		{"?at=2010-12-22T17:00:00Z", "skype", "outage", "skype-20101222T1612", clock(17, 0), true},
		{"?at=2010-12-22T18:00:00%2B01:00", "skype", "outage", "skype-20101222T1612", clock(17, 0), true},
		{"?at=2010-12-22T20:00:00Z", "skype", "recovering", "skype-20101222T1612", clock(20, 0), true},
		{"?at=2010-12-22T16:14Z", "skype", "ok", "", clock(16, 14), true}, // not detected yet
		{"?at=2010-12-22T03:10:00Z", "gmail", "ok", "", clock(3, 10), false},
		{"?at=2010-12-24", "skype", "unknown", "", clock(48, 0), false}, // silent is not quiet
	} {
		var got struct {
			At       time.Time
			Services []serviceAnswer
		}
		getJSON(t, "/v1/services"+test.query, &got)
		if !got.At.Equal(test.at) || len(got.Services) != len(catalog.Default().Services) {
			t.Errorf("%s: at %s with %d services", test.query, got.At, len(got.Services))
		}
		for _, s := range got.Services {
			if s.ID == test.service && (s.State != test.state || s.Incident != test.incident || (s.Mentions > 0) != test.talked) {
				t.Errorf("%s: %+v, want state %s and incident %q", test.query, s, test.state, test.incident)
			}
		}
		var one serviceAnswer
		getJSON(t, "/v1/services/"+test.service+test.query, &one)
		if one.State != test.state || !one.At.Equal(test.at) {
			t.Errorf("%s alone: %+v", test.service, one)
		}
	}
}

// A service whose source is silent is unknown wherever its state is shown, and ok nowhere; so is everything when nothing is heard any more.
func TestSilentIsNotQuiet(t *testing.T) {
	for _, test := range []struct {
		name            string
		end             time.Time // of the data
		silence         bool      // bluesky has fallen silent ten minutes before
		skype, viber, x string    // heard on twitter; on bluesky; of which nobody speaks
		heading, banner string
	}{
		{"heard", clock(12, 0), false, "ok", "ok", "ok", "All quiet", ""},
		{"one silent", clock(12, 0), true, "ok", "unknown", "ok", "Quiet where anything is heard", "bluesky"},
		{"all silent since an hour", time.Now().Add(-time.Hour).Truncate(time.Minute), false, "unknown", "unknown", "unknown", "Nothing can be said", ""},
		{"all silent since a month", time.Now().AddDate(0, -1, 0).Truncate(time.Minute), false, "unknown", "unknown", "unknown", "Nothing can be said", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := open(t.Context(), strings.ReplaceAll(test.name, " ", "_"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var mentions []store.Mention
			var minutes []store.SourceMinute
			for n := range 60 {
				at := test.end.Add(time.Duration(n-60) * time.Minute)
				for source, service := range map[string]string{"twitter": "skype", "bluesky": "viber"} {
					if source == "bluesky" && test.silence && n >= 50 {
						continue
					}
					id := uint64(2*n + len(mentions)%2 + 1)
					mentions = append(mentions, store.Mention{Mention: &outcryv1.Mention{Id: id, Service: service, Source: source, Label: outcryv1.Label_LABEL_OTHER,
						PostId: fmt.Sprint(id), Author: id, TimeUs: at.UnixMicro(), Text: "words"}})
					minute := store.NewSourceMinute(&outcryv1.SourceCount{Source: source, Minute: at.Unix() / 60, Posts: 100}, &outcryv1.Progress{FirstOffset: int64(n)}, 1)
					if test.heading == "Nothing can be said" { // heard live, until it ended
						minute.WrittenAt = at.Add(2 * time.Minute)
					}
					minutes = append(minutes, minute)
				}
			}
			var silences []store.SourceSilence
			if test.silence {
				silences = append(silences, store.SourceSilence{Source: "bluesky", Since: test.end.Add(-10 * time.Minute), UsualPerMinute: 100, Version: 1})
			}
			if err := errors.Join(s.InsertMentions(t.Context(), mentions), s.InsertSourceMinutes(t.Context(), minutes), s.InsertSourceSilences(t.Context(), silences)); err != nil {
				t.Fatal(err)
			}
			addr, stop, err := serve(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := stop(); err != nil {
					t.Error(err)
				}
			}()
			read := func(path string) string {
				resp, err := http.Get("http://" + addr + path)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("%s: %s %v", path, resp.Status, err)
				}
				return string(body)
			}
			metrics := read("/v1/services.prom")
			for service, want := range map[string]string{"skype": test.skype, "viber": test.viber, "steam": test.x} {
				for path, shown := range map[string]string{"/v1/services/" + service: `"state":"` + want + `"`, "/services/" + service + "/badge.svg": ">" + want + "<",
					"/services/" + service: "state-" + want} {
					if body := read(path); !strings.Contains(body, shown) {
						t.Errorf("%s does not say %s:\n%.600s", path, shown, body)
					}
				}
				if line := fmt.Sprintf(`outcry_service_state{service="%s",state="%s"} 1`, service, want); !strings.Contains(metrics, line) {
					t.Errorf("the states of services lack %s", line)
				}
			}
			board := read("/")
			if !strings.Contains(board, "<h1>"+test.heading+"</h1>") || test.banner != "" && !strings.Contains(board, "Nothing has come from <span>"+test.banner+"</span>") {
				t.Errorf("the board says neither %q nor that %q is silent", test.heading, test.banner)
			}
		})
	}
}

type seriesAnswer struct {
	From, To time.Time
	Step     string
	Unit     string
	Points   []struct {
		Time                       time.Time
		People, Mentions, Ingested int
		Expected, Lower, Upper     *float64
	}
	Alarms []struct{ From, To time.Time }
}

func TestSeries(t *testing.T) {
	var hour seriesAnswer
	getJSON(t, "/v1/services/skype/series?from=2010-12-22T16:00:00Z&to=2010-12-22T17:00:00Z&step=1m", &hour)
	if len(hour.Points) != 60 || hour.Step != "1m" || !strings.Contains(hour.Unit, "per minute, not users affected") {
		t.Fatalf("%d points, %+v", len(hour.Points), hour)
	}
	if p := hour.Points[14]; p.People != 14 || p.Mentions != 14 || p.Ingested != 120 || p.Upper == nil || *p.Upper != 4 || !p.Time.Equal(clock(16, 14)) {
		t.Errorf("16:14: %+v", p)
	}
	if len(hour.Alarms) != 1 || !hour.Alarms[0].From.Equal(clock(16, 12)) {
		t.Errorf("alarms: %+v", hour.Alarms)
	}

	var chosen seriesAnswer
	getJSON(t, "/v1/services/skype/series", &chosen)
	if !chosen.From.Equal(clock(14, 10)) || !chosen.To.Equal(clock(24, 0)) || chosen.Step != "5m" {
		t.Errorf("without a range: %s to %s by %s, want from two hours before the incident to the end of the data", chosen.From, chosen.To, chosen.Step)
	}
	total := 0
	for _, p := range chosen.Points {
		total += p.People
	}
	if total < 4000 {
		t.Errorf("the chosen range holds %d people of the outage", total)
	}
	var whole seriesAnswer
	getJSON(t, "/v1/services/gmail/series?step=1d", &whole) // never mentioned
	if len(whole.Points) != 1 || whole.Points[0].People != 0 || !whole.From.Equal(day) {
		t.Errorf("a service that nobody mentions: %+v", whole)
	}
}

func TestIncidentsInPages(t *testing.T) {
	var ids []string
	path := "/v1/incidents?limit=1"
	for path != "" {
		var page struct {
			Incidents  []map[string]any
			NextCursor string `json:"next_cursor"`
		}
		getJSON(t, path, &page)
		for _, i := range page.Incidents {
			ids = append(ids, i["id"].(string))
		}
		path = ""
		if page.NextCursor != "" {
			path = "/v1/incidents?limit=1&cursor=" + page.NextCursor
		}
	}
	if got := strings.Join(ids, " "); got != "viber-20101222T2250 skype-20101222T1612 gmail-20101222T0300" {
		t.Errorf("incidents in pages of one: %s", got)
	}
	for query, want := range map[string]int{
		"state=open": 1, "state=resolved,dismissed": 2, "service=skype": 1, "service=skype,viber&state=suspected": 1,
		"from=2010-12-22T17:00:00Z&to=2010-12-22T18:00:00Z": 1 + 1, // dismissed ones have no end
		"service=github": 0,
	} {
		var page struct{ Incidents []map[string]any }
		getJSON(t, "/v1/incidents?"+query, &page)
		if len(page.Incidents) != want {
			t.Errorf("%s: %d incidents, want %d: %v", query, len(page.Incidents), want, page.Incidents)
		}
	}
	var one map[string]any
	getJSON(t, "/v1/incidents/skype-20101222T1612", &one)
	if one["detected_at"] != "2010-12-22T16:14:20Z" || one["lead_seconds"] != 2860.0 || one["people"] != 4410.0 || len(one["evidence"].([]any)) != 4 {
		t.Errorf("incident: %v", one)
	}
}

func TestProblemsSayWhatToDo(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		detail string
	}{
		"/v1/services/skypee":                                             {404, `The nearest is "skype"`},
		"/v1/services/skypee/series":                                      {404, `The nearest is "skype"`},
		"/v1/incidents/none":                                              {404, "/v1/incidents lists all"},
		"/v1/incident":                                                    {404, "/v1/services"},
		"/v1/services/skype/series?step=10s":                              {400, "1m, 15m, 1h or 1d"},
		"/v1/services/skype/series?step=90s":                              {400, "whole number of minutes"},
		"/v1/services/skype/series?step=2d":                               {400, "1m to 1d"},
		"/v1/services/skype/series?step=99999999d":                        {400, "1m to 1d"},
		"/v1/services/skype/series?from=yesterday":                        {400, "2010-12-22T16:00:00Z"},
		"/v1/services/skype/series?from=0001-01-01":                       {400, "1990 to 2099"},
		"/v1/services/skype/series?form=2010-12-22":                       {400, `Did you mean "from"?`},
		"/v1/services/skype/series?from=2010-12-22&to=2010-12-21":         {400, "from must be before to"},
		"/v1/services/skype/series?from=2010-12-01&to=2010-12-22&step=1m": {400, "step=15m"},
		"/v1/services/skype/series?from=1991-01-01&to=2099-01-01":         {400, "5000 days at most"},
		"/v1/incidents?limit=0":                                           {400, "from 1 to 500"},
		"/v1/incidents?limit=501":                                         {400, "from 1 to 500"},
		"/v1/incidents?cursor=%21":                                        {400, "next_cursor"},
		"/v1/incidents?state=down":                                        {400, "suspected, confirmed"},
		"/v1/incidents?service=skypo":                                     {404, `"skype"`},
		"/v1/services?at=' OR 1":                                          {400, "is not a time"},
	} {
		a := get(t, strings.ReplaceAll(path, " ", "%20"))
		var p struct {
			Type, Title, Detail string
			Status              int
		}
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %s", path, a.Header.Get("Content-Type"), a.body)
			continue
		}
		if a.StatusCode != want.status || p.Status != want.status || p.Title == "" || !strings.Contains(p.Detail, want.detail) {
			t.Errorf("%s: %d %+v, want %d with %q", path, a.StatusCode, p, want.status, want.detail)
		}
	}
	resp, err := http.Post(base+"/v1/incidents", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" {
		t.Errorf("POST: %s, Allow %q", resp.Status, resp.Header.Get("Allow"))
	}
}

func TestPages(t *testing.T) {
	for path, test := range map[string]struct {
		status int
		want   []string
	}{
		"/":                                    {200, []string{"Viber: suspected", `href="/incidents/skype-20101222T1612"`, "48 min before the official word", "22 December 2010, 16:14 UTC", `href="/?category=messaging"`, "4,410", `class="spark"`, `src="/assets/live.js"`}},
		"/?at=2010-12-22T17:00:00Z":            {200, []string{"Skype: outage"}},
		"/?q=github":                           {200, []string{`href="/services/github"`}},
		"/?category=messaging&state=suspected": {200, []string{"Viber"}},
		"/?q=nobodyiscalledthis":               {200, []string{"No service is like that"}},
		"/?state=broken":                       {400, []string{"none of ok"}},
		"/?at=2010-12-22T10:00:00Z":            {200, []string{"All quiet"}},
		"/?at=2010-12-22":                      {200, []string{"Nothing can be said"}},
		"/?utm_source=newsletter":              {200, []string{"Viber"}},
		"/services/skype":                      {200, []string{"<svg", "chart-band", "chart-alarm", "first official word", "investigating", "not users affected", "22 December 2010", "&lt;script&gt;alert", `href="/incidents/skype-20101222T1612"`}},
		"/services/gmail":                      {200, []string{"<svg", "No post in the time shown"}},
		"/services/skypee":                     {404, []string{"The nearest is &#34;skype&#34;"}},
		"/services/skype?from=x":               {400, []string{"is not a time"}},
		"/incidents/skype-20101222T1612":       {200, []string{"29 people reported", "<b>Detected on this:</b> 14 people reported", "98 %", "app crash", "48 min before", "Confirmed as an outage", "Skype keeps signing me out"}},
		"/incidents/viber-20101222T2250":       {200, []string{"still open", "no official word"}},
		"/incidents/none":                      {404, []string{"There is no incident"}},
		"/nothing":                             {404, []string{"All services"}},
	} {
		a := get(t, path)
		if a.StatusCode != test.status || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s %s", path, a.Status, a.Header.Get("Content-Type"))
		}
		for _, want := range test.want {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
		for _, bad := range []string{"<script>", "javascript:", "ZgotmplZ", " style=", "<no value>", "%!"} {
			if strings.Contains(a.body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "script-src 'self';") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
		if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: headers %v", path, a.Header)
		}
		if len(a.body) > 150_000 {
			t.Errorf("%s has %d bytes", path, len(a.body))
		}
	}
}

func TestOutsideLinksGiveNothingAway(t *testing.T) {
	for _, path := range []string{"/services/skype", "/incidents/skype-20101222T1612"} {
		body := get(t, path).body
		n := 0
		for rest := body; ; n++ {
			i := strings.Index(rest, `<a href="http`)
			if i < 0 {
				break
			}
			rest = rest[i+1:]
			if tag, _, _ := strings.Cut(rest, ">"); !strings.Contains(tag, `rel="nofollow noopener noreferrer"`) {
				t.Errorf("%s: %s", path, tag)
			}
		}
		if n == 0 {
			t.Errorf("%s has no link to a post", path)
		}
	}
}

// TestEveryLinkLeadsSomewhere follows the links of the pages, and of the pages behind them.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	links := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	seen := map[string]bool{}
	todo := []string{"/", "/services/skype", "/incidents/skype-20101222T1612", "/?at=2010-12-22T17:00:00Z"}
	services := 0
	for depth := range 3 {
		var next []string
		for _, path := range todo {
			a := get(t, path)
			if a.StatusCode != 200 {
				t.Errorf("%s: %s", path, a.Status)
			}
			if depth == 2 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
				continue
			}
			here, err := url.Parse(base + path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range links.FindAllStringSubmatch(a.body, -1) {
				to, err := here.Parse(html.UnescapeString(m[1]))
				if err != nil {
					t.Errorf("%s links to %q: %v", path, m[1], err)
					continue
				}
				to.Fragment = ""
				target := strings.TrimPrefix(to.String(), base)
				if to.Host != here.Host || seen[target] {
					continue
				}
				if strings.HasPrefix(to.Path, "/services/") && to.RawQuery == "" {
					if services++; services > 5 { // they are all alike
						continue
					}
				}
				seen[target] = true
				next = append(next, target)
			}
		}
		todo = next
	}
	if len(seen) < 30 {
		t.Errorf("only %d links were found", len(seen))
	}
}

func TestChartImage(t *testing.T) {
	a := get(t, "/services/skype/chart.svg?from=2010-12-22T15:00:00Z&to=2010-12-22T21:00:00Z&width=640")
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(a.body, `width="640"`) || !strings.Contains(a.body, "prefers-color-scheme") {
		t.Errorf("%s %s\n%.300s", a.Status, a.Header.Get("Content-Type"), a.body)
	}
	if err := xml.Unmarshal([]byte(a.body), new(struct{ XMLName xml.Name })); err != nil {
		t.Error(err)
	}
	if a := get(t, "/services/skype/chart.svg?width=9"); a.StatusCode != 400 {
		t.Errorf("width 9: %s", a.Status)
	}
}

func TestStyleSheetHoldsTheCharts(t *testing.T) {
	page := get(t, "/").body
	_, rest, _ := strings.Cut(page, `<link rel="stylesheet" href="`)
	address, _, _ := strings.Cut(rest, `"`)
	a := get(t, address)
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/css") || !strings.Contains(a.body, ".chart-band") || !strings.Contains(a.body, ".posts") {
		t.Errorf("%s: %s", address, a.Header.Get("Content-Type"))
	}
	if a := get(t, "/assets/icon.svg"); a.StatusCode != 200 {
		t.Errorf("icon: %s", a.Status)
	}
	if a := get(t, "/assets/other"); a.StatusCode != 404 {
		t.Errorf("other asset: %s", a.Status)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := get(t, path); a.StatusCode != 200 || !strings.HasPrefix(a.body, "ok") {
			t.Errorf("%s: %s %s", path, a.Status, a.body)
		}
	}
	get(t, "/v1/services/skypee")
	if a := get(t, "/metrics"); !strings.Contains(a.body, `outcry_api_request_seconds_count{route="/v1/services/{id}",status="404"}`) {
		t.Errorf("metrics lack the request:\n%s", a.body)
	}
}

func TestWithoutData(t *testing.T) {
	s, err := open(t.Context(), "empty")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	addr, stop, err := serve(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/services/skype", "/v1/services", "/v1/services/skype/series", "/v1/incidents"} {
		if a := get(t, "http://"+addr+path); a.StatusCode != 200 {
			t.Errorf("%s: %s\n%s", path, a.Status, a.body)
		}
	}
	if a := get(t, "http://"+addr+"/"); !strings.Contains(a.body, "Nothing heard yet") {
		t.Error("the first page does not say that there is nothing")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWithoutClickHouse(t *testing.T) {
	s, err := store.Open(store.Config{Address: "127.0.0.1:1"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	addr, stop, err := serve(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 503, "/": 503, "/v1/services": 503, "/services/skype": 503, "/services/skypee": 404} {
		a := get(t, "http://"+addr+path)
		if a.StatusCode != status {
			t.Errorf("%s: %s, want %d\n%s", path, a.Status, status, a.body)
		}
		if status == 503 && (a.Header.Get("Retry-After") == "" || strings.Contains(a.body, "127.0.0.1")) {
			t.Errorf("%s: Retry-After %q\n%s", path, a.Header.Get("Retry-After"), a.body)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestATakenAddressIsSaidToWhoeverWaits(t *testing.T) {
	registry := prometheus.NewRegistry()
	a := api.New(api.Config{Listen: strings.TrimPrefix(base, "http://")}, api.Deps{Catalog: catalog.Default(), Registry: registry, Gatherer: registry, Log: quiet})
	err := a.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "api.listen") {
		t.Errorf("Run: %v", err)
	}
	if _, got := a.Addr(t.Context()); !errors.Is(got, err) {
		t.Errorf("Addr: %v, want %v", got, err)
	}
}

func TestConfig(t *testing.T) {
	for listen, ok := range map[string]bool{"127.0.0.1:8080": true, ":0": true, "[::1]:80": true, "8080": false, "": false, "localhost:http": false, ":70000": false} {
		err := api.Config{Listen: listen}.Validate()
		if (err == nil) != ok {
			t.Errorf("%q: %v", listen, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "listen ") {
			t.Errorf("%q: %q does not begin with its key", listen, err)
		}
	}
	if err := api.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}
