package backtest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"outcry.dev/pkg/chart"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

var day = time.Date(2026, 9, 15, 0, 0, 0, 0, time.UTC)

func at(clock string) time.Time {
	d, err := time.ParseDuration(strings.Replace(clock, ":", "h", 1) + "m")
	if err != nil {
		panic(err)
	}
	return day.Add(d)
}

func incident(service, started, detected, resolved, official string) *outcryv1.Incident {
	us := func(clock string) int64 {
		if clock == "" {
			return 0
		}
		return at(clock).UnixMicro()
	}
	return &outcryv1.Incident{Id: service + "-" + started, Service: service, StartedAtUs: us(started), DetectedAtUs: us(detected),
		ResolvedAtUs: us(resolved), OfficialAtUs: us(official), People: 40, Explanation: "Why <b>."}
}

func truth(service, start, end, official string) Truth {
	t := Truth{Service: service, Kind: "total", Start: at(start), End: at(end)}
	if official != "" {
		t.Official = at(official)
	}
	return t
}

func TestOutcomes(t *testing.T) {
	truths := []Truth{truth("skype", "10:00", "12:00", "11:00"), truth("skype", "20:00", "21:00", "")}
	for _, c := range []struct {
		name     string
		incident *outcryv1.Incident
		complete bool
		want     Outcome
		start    string // of the truth that it belongs to
	}{
		{"inside", incident("skype", "10:02", "10:04", "12:10", ""), true, Hit, "10:00"},
		{"begins as the outage ends", incident("skype", "12:29", "12:31", "13:00", ""), true, Hit, "10:00"},
		{"begins when it is over", incident("skype", "12:30", "12:31", "13:00", ""), true, FalseAlarm, ""},
		{"over before it began", incident("skype", "09:00", "09:02", "09:49", ""), true, FalseAlarm, ""},
		{"still open", incident("skype", "19:00", "19:02", "", ""), true, Hit, "20:00"},
		{"overlaps two, nearer to the second", incident("skype", "19:50", "20:02", "21:00", ""), true, Hit, "20:00"},
		{"another service", incident("viber", "10:02", "10:04", "12:10", ""), true, FalseAlarm, ""},
		{"nobody knows", incident("viber", "10:02", "10:04", "12:10", ""), false, Unproven, ""},
		{"the vendor spoke", incident("viber", "10:02", "10:04", "12:10", "10:30"), false, Hit, ""},
	} {
		h := History{Name: "h", From: day, To: day.Add(24 * time.Hour), Truths: truths, Complete: c.complete, Incidents: []*outcryv1.Incident{c.incident}}
		j := Evaluate("s", []History{h}).Incidents[0]
		if j.Outcome != c.want || (j.Truth != nil) != (c.start != "") || j.Truth != nil && !j.Truth.Start.Equal(at(c.start)) {
			t.Errorf("%s: %s of %v, want %s of %s", c.name, j.Outcome, j.Truth, c.want, c.start)
		}
	}
}

func example() Result {
	h := History{Name: "a day", From: day, To: day.Add(24 * time.Hour), Posts: 1000, Services: 3, Complete: true,
		Truths: []Truth{truth("skype", "10:00", "12:00", "11:00"), truth("viber", "20:00", "21:00", "")},
		Incidents: []*outcryv1.Incident{
			incident("skype", "10:01", "10:05", "11:00", "11:00"), incident("skype", "11:30", "11:32", "12:00", ""),
			incident("slack", "05:00", "05:02", "06:00", ""),
		},
		Verdicts: []Verdict{
			{Service: "slack", Start: at("05:00"), End: at("06:00"), At: at("05:20"), Dismissed: true, Note: "a joke | not <more>"},
			{Service: "skype", Start: at("10:01"), At: at("10:30")},
			{Service: "bank", Start: at("10:01"), End: at("10:31"), Dismissed: true},
		}}
	quiet := History{Name: "quiet", From: day, To: day.Add(48 * time.Hour), Posts: 500, Services: 5, Complete: true}
	return Evaluate("as configured", []History{h, quiet})
}

func TestMeasures(t *testing.T) {
	r := example()
	m := r.Overall
	if m.Truths != 2 || m.Found != 1 || m.Hits != 1 || m.Repeats != 1 || m.FalseAlarms != 1 || m.Incidents != 3 || m.Days != 3 || r.Posts != 1500 {
		t.Errorf("overall %+v of %d posts", m, r.Posts)
	}
	if m.Precision.Value != 0.5 || m.Recall.Value != 0.5 || math.Abs(m.FalsePerMonth.Value-30.44/3) > 1e-9 {
		t.Errorf("precision %v, recall %v, false alarms a month %v", m.Precision, m.Recall, m.FalsePerMonth)
	}
	if m.AfterStart.Median != 300 || m.LeadOfficial.Median != 3300 || m.LeadOfficial.N != 1 {
		t.Errorf("after the start %v, lead %v", m.AfterStart, m.LeadOfficial)
	}
	if math.Abs(r.PerMonth.Of-(3+10)/30.44) > 1e-9 {
		t.Errorf("%v service-months, of 3 services for a day and 5 for two", r.PerMonth.Of)
	}
	if len(r.Missed) != 1 || r.Missed[0].Service != "viber" || len(r.ByService) != 3 {
		t.Errorf("missed %v; by service %v", r.Missed, r.ByService)
	}
}

func TestFeedback(t *testing.T) {
	r := example()
	dismissed, confirmed, other := r.Effects[0], r.Effects[1], r.Effects[2]
	if dismissed.Incident != "slack-05:00" || dismissed.Becomes != FalseAlarm || dismissed.OpenMinutes != 40 {
		t.Errorf("dismissed: %+v", dismissed)
	}
	if confirmed.Incident != "skype-10:01" || confirmed.Outcome != Hit || confirmed.Becomes != Hit {
		t.Errorf("confirmed: %+v", confirmed)
	}
	if other.Incident != "" {
		t.Errorf("a verdict on an incident that these settings do not raise: %+v", other)
	}
	// Where nothing is known, people's word decides.
	h := History{From: day, To: day.Add(24 * time.Hour), Incidents: []*outcryv1.Incident{incident("slack", "05:00", "05:02", "06:00", ""), incident("bank", "05:00", "05:02", "06:00", "")},
		Verdicts: []Verdict{{Service: "slack", Start: at("05:00"), End: at("06:00")}, {Service: "bank", Start: at("05:00"), End: at("06:00"), Dismissed: true}}}
	got := Evaluate("s", []History{h})
	if got.Overall.Precision.Value != 0 || got.WithFeedback.Precision.Value != 0.5 || got.Overall.Unproven != 2 || got.WithFeedback.Unproven != 0 {
		t.Errorf("precision %v without people's word and %v with it", got.Overall.Precision, got.WithFeedback.Precision)
	}
}

// Values from the tables of the papers and of R's binom.confint and poisson.test.
func TestIntervals(t *testing.T) {
	for _, c := range []struct {
		name         string
		got          Interval
		lower, upper float64
	}{
		{"8 of 10", Wilson(8, 10), 0.4901625, 0.9433178},
		{"0 of 5", Wilson(0, 5), 0, 0.4344825},
		{"5 of 5", Wilson(5, 5), 0.5655175, 1},
		{"none in a month", Poisson(0, 1), 0, 3.688879},
		{"10 in a month", Poisson(10, 1), 4.795389, 18.39036},
		{"10 in two months", Poisson(10, 2), 2.3976945, 9.19518},
	} {
		if math.Abs(c.got.Lower-c.lower) > 1e-5 || math.Abs(c.got.Upper-c.upper) > 1e-5 {
			t.Errorf("%s: %v, want %v to %v", c.name, c.got, c.lower, c.upper)
		}
	}
	if Wilson(0, 0).Known() || Poisson(3, 0).Known() {
		t.Error("something is known of nothing")
	}
}

func TestReports(t *testing.T) {
	other := example()
	other.Settings = "detect.min_people=3"
	r := &Report{Made: day, Version: "test", Results: []Result{example(), other}}
	var text, markdown, page, object bytes.Buffer
	figure := r.Results[0].Incidents[0].Figure("as configured")
	missed := r.Results[0].Missed[0].Figure("as configured")
	for i := range 60 {
		figure.Chart.Points = append(figure.Chart.Points, chart.Point{Start: figure.Chart.From.Add(time.Duration(i) * figure.Chart.Step), People: i})
	}
	if err := errors.Join(r.WriteText(&text), r.WriteMarkdown(&markdown, "Words before."), r.WritePage(&page, []Figure{figure, missed}), json.NewEncoder(&object).Encode(r)); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": text.String(), "markdown": markdown.String(), "page": page.String()} {
		for _, want := range []string{"detect.min_people=3", "as configured", "3: 1 hits, 1 repeats, 1 false alarms", "50 % (", "n = 2", "5m00s in the median", "55m00s", "slack-05:00",
			"40 minutes less open", "dismissed", "viber"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, out)
			}
		}
	}
	if s := markdown.String(); !strings.Contains(s, "15 September 2026") || strings.Contains(s, "<more>") || !strings.Contains(s, `a joke \| not`) {
		t.Errorf("markdown: %s", s)
	}
	if s := page.String(); strings.Contains(s, "<more>") || strings.Contains(s, "<b>.") || strings.Contains(s, "<script") || strings.Count(s, "<svg") != 2 {
		t.Error("the page does not escape, or lacks a picture")
	}
	if s := object.String(); !strings.Contains(s, `"recall":{"value":0.5`) {
		t.Errorf("JSON: %s", s)
	}
	d := xml.NewDecoder(bytes.NewReader(page.Bytes()))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
	}
}
