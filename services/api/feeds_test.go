package api_test

import (
	"context"
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/catalog"
	"outcry.dev/services/api"
)

func TestFeeds(t *testing.T) {
	for path, want := range map[string]string{"/incidents.atom": "application/atom+xml", "/incidents.rss": "application/rss+xml", "/services/skype/incidents.atom": "application/atom+xml", "/services/skype/incidents.rss": "application/rss+xml"} {
		a := get(t, path)
		if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), want) || !strings.Contains(a.body, base+"/incidents/skype-20101222T1612") {
			t.Errorf("%s: %s %s\n%.300s", path, a.Status, a.Header.Get("Content-Type"), a.body)
		}
		if err := xml.Unmarshal([]byte(a.body), new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if strings.Contains(a.body, "gmail") || strings.Contains(path, "skype") && strings.Contains(a.body, "viber") {
			t.Errorf("%s holds what it should not", path)
		}
	}
	a := get(t, "/services/skype/incidents.ics")
	for _, want := range []string{"BEGIN:VCALENDAR", "DTSTART:20101222T161200Z", "DTEND:20101222T203000Z", "SUMMARY:Skype: resolved"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("calendar lacks %s:\n%s", want, a.body)
		}
	}
	if a := get(t, "/services/viber/badge.svg"); !strings.Contains(a.body, ">suspected<") || a.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("badge: %s", a.body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(get(t, "/v1/services.prom").body))
	if err != nil || len(families["outcry_service_state"].GetMetric()) != len(catalog.Default().Services) {
		t.Errorf("states: %v, %d families", err, len(families))
	}
}

// What people say goes to the owner of the incident, with their name, and nowhere else.
func TestWordsAboutIncidents(t *testing.T) {
	s, err := open(t.Context(), "said")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := fill(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	key, secret, err := api.NewKey("ann", []string{"act"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutKey(t.Context(), key, time.Now()); err != nil {
		t.Fatal(err)
	}
	said := make(chan *outcryv1.Verdict, 10)
	registry := prometheus.NewRegistry()
	a := api.New(api.Config{Listen: "127.0.0.1:0", PublicRead: true}, api.Deps{Store: s, Catalog: catalog.Default(), Registry: registry, Gatherer: registry, Log: quiet,
		Say: func(_ context.Context, v *outcryv1.Verdict) error { said <- v; return nil }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	addr, err := a.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		id, key, body string
		status        int
	}{
		{"skype-20101222T1612", secret, `{"kind": "dismiss", "text": "a football match"}`, 200},
		{"skype-20101222T1612", "", `{"kind": "dismiss"}`, 401},
		{"skype-20101222T1612", secret, `{"kind": "delete"}`, 400},
		{"skype-20101222T1612", secret, `{"kind": "note"}`, 400},
		{"skype-20101222T1613", secret, `{"kind": "acknowledge"}`, 404},
		{"skype-20101222T1612", secret, `{"verdict": "dismiss"}`, 400},
	} {
		req, _ := http.NewRequest(http.MethodPost, "http://"+addr+"/v1/incidents/"+test.id+"/verdicts", strings.NewReader(test.body))
		if test.key != "" {
			req.Header.Set("Authorization", "Bearer "+test.key)
		}
		if got := do(t, req); got.StatusCode != test.status {
			t.Errorf("%s %s: %s, want %d\n%s", test.id, test.body, got.Status, test.status, got.body)
		}
	}
	if len(said) != 1 {
		t.Fatalf("%d words were handed on", len(said))
	}
	if v := <-said; v.GetKind() != outcryv1.Verdict_KIND_DISMISS || v.GetIncident() != "skype-20101222T1612" || !strings.HasPrefix(v.GetWho(), "ann ") || v.GetText() != "a football match" {
		t.Errorf("handed on: %v", v)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
