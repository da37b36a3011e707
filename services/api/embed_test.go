package api_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"image/png"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/store"
	"outcry.dev/services/api"
)

const shown = "from=2010-12-22T15:00:00Z&to=2010-12-22T21:00:00Z&step=15m"

func TestEmbeds(t *testing.T) {
	if long := get(t, "/embed/services/skype?from=2010-12-22&to=2010-12-23&step=1m").body; strings.Contains(long, "<table>") || len(long) > 100_000 ||
		!strings.Contains(long, `/v1/services/skype/series.csv?from=2010-12-22T00:00:00Z&amp;to=2010-12-23T00:00:00Z&amp;step=1m" target="_blank" rel="noopener"`) {
		t.Errorf("an embed of a day by the minute has %d bytes", len(long))
	}
	page := get(t, "/embed/services/skype?"+shown+"&title=An+%3Cevening%3E&note=2010-12-22T18:00:00Z+kickoff")
	for _, want := range []string{"An &lt;evening&gt;", "kickoff", "per 15 minutes, not users affected", "application/json+oembed", `property="og:image"`, "<caption>", "Source: public posts", `src="/assets/frame.js"`, "<desc"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors *") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy of an embed: %s", csp)
	}
	for _, path := range []string{"/", "/services/skype", "/services/skype/embed", "/incidents/skype-20101222T1612", "/v1/services", "/oembed?url=" + base + "/services/skype"} {
		if csp := get(t, path).Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s may be framed: %s", path, csp)
		}
	}
	svg := get(t, "/embed/services/skype.svg?"+shown+"&lang=de&theme=dark&width=500&height=200")
	if err := xml.Unmarshal([]byte(svg.body), new(struct{ XMLName xml.Name })); err != nil || svg.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(svg.body, "nicht Betroffene") || strings.Contains(svg.body, "@media") {
		t.Errorf("SVG: %v %s", err, svg.Header.Get("Content-Type"))
	}
	picture, err := png.Decode(strings.NewReader(get(t, "/embed/services/skype.png?"+shown).body))
	if err != nil || picture.Bounds().Dx() != 1200 {
		t.Errorf("PNG: %v", err)
	}
	req, _ := http.NewRequest(http.MethodGet, base+"/embed/services/skype?"+shown, nil)
	req.Header.Set("If-None-Match", get(t, "/embed/services/skype?"+shown).Header.Get("ETag"))
	if a := do(t, req); a.StatusCode != http.StatusNotModified {
		t.Errorf("an embed that has not changed: %s", a.Status)
	}
	for query, want := range map[string]string{"theme=pink": "light, dark", "lang=xx": "en, de", "note=soon": "2010-12-22T16:30", "width=1": "320 to 2000", "form=2010-12-22": "no parameter", "title=" + strings.Repeat("x", 121): "120"} {
		if a := get(t, "/embed/services/skype?"+query); a.StatusCode != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %s %s", query, a.Status, a.body)
		}
	}
	if a := get(t, "/embed/services/skype.pdf"); a.StatusCode != 404 {
		t.Errorf("PDF: %s", a.Status)
	}

	var card struct{ Type, HTML string }
	getJSON2(t, "/oembed?url="+url.QueryEscape(base+"/services/skype?"+shown), &card)
	if card.Type != "rich" || !strings.Contains(card.HTML, `<iframe src="`+base+"/embed/services/skype?from=") {
		t.Errorf("oEmbed: %+v", card)
	}
	for _, other := range []string{"https://elsewhere.example/services/skype", base + "/", "x"} {
		if a := get(t, "/oembed?url="+url.QueryEscape(other)); a.StatusCode != 404 {
			t.Errorf("oEmbed of %s: %s", other, a.Status)
		}
	} // A page that compares and splits has an embed of its service all the same.
	getJSON2(t, "/oembed?url="+url.QueryEscape(base+"/services/skype?with=viber&by=symptom&measure=rate&from=2010-12-22T15:00Z&to=2010-12-22T21:00Z"), &card)
	src := html.UnescapeString(regexp.MustCompile(`src="([^"]*)"`).FindStringSubmatch(card.HTML)[1])
	if a := get(t, src); a.StatusCode != 200 || !strings.Contains(src, "from=2010-12-22T15%3A00Z") {
		t.Errorf("%s: %s", src, a.Status)
	}

	composer := get(t, "/services/skype/embed?"+shown)
	for _, want := range []string{"/embed.js&#34; data-chart=", "&lt;iframe src=", "&lt;img src=", "alt=&#34;Skype: complaints in public posts, 22 December 2010, 15:00 UTC to 22 December 2010, 21:00 UTC&#34;", `<option value="fr">français</option>`, `<iframe class="preview" src="/embed/services/skype?`} {
		if !strings.Contains(composer.body, want) {
			t.Errorf("the composer lacks %q", want)
		}
	}
	if a := get(t, "/embed.js"); a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("embed.js: %s", a.Status)
	}
}

// A frozen chart shows the same whatever becomes of the data, and says when what it showed turned out to be wrong.
func TestFrozenCharts(t *testing.T) {
	s, err := open(t.Context(), fmt.Sprint("frozen", databases.Add(1))) // what is done in it stays
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := fill(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	key, secret, err := api.NewKey("newsroom", []string{"act"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutKey(t.Context(), key, time.Now()); err != nil {
		t.Fatal(err)
	}
	versions := []store.Mention{{Mention: &outcryv1.Mention{Id: 8_000_000, Service: "viber", Label: outcryv1.Label_LABEL_OUTAGE, Score: 0.9, Source: "twitter", PostId: "v", Author: 1,
		TimeUs: clock(16, 20).UnixMicro(), ModelVersion: "v7"}}}
	if err := s.InsertMentions(t.Context(), versions); err != nil {
		t.Fatal(err)
	}
	freezeOf := func(address, secret, service string) answer {
		req, _ := http.NewRequest(http.MethodPost, "http://"+address+"/v1/charts", strings.NewReader(`{"service": "`+service+`", "query": "`+shown+`&title=Frozen"}`))
		req.Header.Set("Authorization", "Bearer "+secret)
		return do(t, req)
	}
	freeze := func(address, secret string) answer { return freezeOf(address, secret, "skype") }
	addr, stop, err := serve(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if a := freeze(addr, "outcry_wrong"); a.StatusCode != 401 {
		t.Errorf("without a key: %s", a.Status)
	}
	var chart struct {
		ID, Page, SVG, PNG, Data string
		FrozenAt                 time.Time `json:"frozen_at"`
	}
	if a := freeze(addr, secret); json.Unmarshal([]byte(a.body), &chart) != nil || chart.ID == "" {
		t.Fatalf("freeze: %s", a.body)
	}
	var again struct{ ID string }
	if a := freeze(addr, secret); json.Unmarshal([]byte(a.body), &again) != nil || again.ID != chart.ID {
		t.Errorf("the same chart frozen again: %s", a.body)
	}
	before := map[string]answer{}
	for _, address := range []string{chart.Page, chart.SVG, chart.PNG, chart.Data} {
		before[address] = get(t, address)
		if before[address].StatusCode != 200 {
			t.Errorf("%s: %s", address, before[address].Status)
		}
	}
	if !strings.Contains(before[chart.Data].Header.Get("Cache-Control"), "immutable") || strings.Contains(before[chart.Page].body, "Correction") || !strings.Contains(before[chart.SVG].body, "Frozen") {
		t.Errorf("frozen: %v", before[chart.Data].Header)
	}
	// The picture names the version of the model where there is one.
	today := chart.FrozenAt.Format("2 January 2006")
	if body := before[chart.SVG].body; !strings.Contains(body, "Frozen "+today+".") || strings.Contains(body, "model") {
		t.Errorf("without a version of the model: %s", regexp.MustCompile(`Frozen[^<]*`).FindString(body))
	}
	var viber struct{ Page, SVG string }
	if a := freezeOf(addr, secret, "viber"); json.Unmarshal([]byte(a.body), &viber) != nil || !strings.Contains(get(t, viber.SVG).body, ", model v7.") {
		t.Errorf("with a version of the model: %s\n%s", a.body, regexp.MustCompile(`Frozen[^<]*`).FindString(get(t, viber.SVG).body))
	}
	if page := get(t, viber.Page).body; strings.Count(page, "model v7.") != 2 { // on a phone, too
		t.Errorf("the charts of a page name the model %d times", strings.Count(page, "model v7."))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// More people come in, and the incident is dismissed.
	var more []store.Mention
	for n := range 50 {
		more = append(more, store.Mention{Mention: &outcryv1.Mention{Id: 9_000_000 + uint64(n), Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, Score: 0.9, Source: "twitter",
			PostId: "late", Author: 9_000_000 + uint64(n), TimeUs: clock(16, 20).UnixMicro(), Text: "skype down"}})
	}
	dismissed := &outcryv1.Incident{Id: "skype-20101222T1612", Service: "skype", State: outcryv1.Incident_STATE_DISMISSED, Severity: outcryv1.Incident_SEVERITY_CRITICAL,
		StartedAtUs: clock(16, 12).UnixMicro(), DetectedAtUs: clock(16, 14).UnixMicro(), DecidedAtUs: clock(23, 0).UnixMicro(), Revision: 10}
	if err := s.InsertMentions(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	if err := s.InsertIncidents(t.Context(), []store.Incident{{Incident: dismissed, Version: 2}}); err != nil {
		t.Fatal(err)
	}
	addr2, stop, err := serve(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	moved := func(address string) string { return strings.Replace(address, addr, addr2, 1) }
	if after := get(t, moved(chart.Data)); after.body != before[chart.Data].body {
		t.Error("the numbers of a frozen chart have changed")
	}
	if live := get(t, "http://"+addr2+"/embed/services/skype.json?"+shown+"&title=Frozen"); live.body == before[chart.Data].body {
		t.Error("the live chart has not changed, so this shows nothing")
	}
	for _, address := range []string{chart.Page, chart.SVG} {
		if a := get(t, moved(address)); !strings.Contains(a.body, "has since been dismissed") || strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s does not say that it is corrected: %s", address, a.Header.Get("Cache-Control"))
		}
	}
	if bytes.Equal([]byte(get(t, moved(chart.PNG)).body), []byte(before[chart.PNG].body)) {
		t.Error("the picture does not say that it is corrected")
	}
	if a := get(t, "http://"+addr2+"/embed/frozen/none"); a.StatusCode != 404 {
		t.Errorf("none: %s", a.Status)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// BenchmarkEmbed measures embeds that are in memory, over loopback, the client included.
func BenchmarkEmbed(b *testing.B) {
	address := base + "/embed/services/skype?" + shown
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	b.SetParallelism(16)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			req, _ := http.NewRequest(http.MethodGet, address, nil)
			req.Header.Set("Accept-Encoding", "identity")
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			var body bytes.Buffer
			if _, err := body.ReadFrom(resp.Body); err != nil || resp.StatusCode != 200 {
				b.Errorf("%s: %v", resp.Status, err)
			}
			resp.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
