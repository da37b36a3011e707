package incident

import (
	"testing"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func TestJSON(t *testing.T) {
	at := func(clock string) int64 {
		t, _ := time.Parse(time.DateTime, "2010-12-22 "+clock)
		return t.UnixMicro()
	}
	for _, c := range []struct {
		name string
		i    *outcryv1.Incident
		want string
	}{
		{"suspected", &outcryv1.Incident{
			Id: "skype-20101222T1612", Service: "skype", State: suspected, Severity: outcryv1.Incident_SEVERITY_MINOR,
			StartedAtUs: at("16:12:00"), DetectedAtUs: at("16:13:10"), People: 6, PeakPerMinute: 5, Explanation: "Why.", Confidence: 0.6,
		}, `{"id":"skype-20101222T1612","service":"skype","state":"suspected","severity":"minor","started_at":"2010-12-22T16:12:00Z",` +
			`"detected_at":"2010-12-22T16:13:10Z","people":6,"peak_per_minute":5,"expected_per_minute":0,"symptoms":{},"root":"","consequences":[],` +
			`"confidence":0.6,"explanation":"Why.","evidence":[]}`},
		{"resolved", &outcryv1.Incident{
			Id: "skype-20101222T1612", Service: "skype", State: resolved, Severity: outcryv1.Incident_SEVERITY_CRITICAL,
			StartedAtUs: at("16:12:00"), DetectedAtUs: at("16:13:10"), ConfirmedAtUs: at("16:15:10"), RecoveringAtUs: at("17:00:00"),
			ResolvedAtUs: at("17:20:00"), OfficialAtUs: at("16:43:10"), People: 600, PeakPerMinute: 50, ExpectedPerMinute: 0.25,
			Symptoms: []*outcryv1.SymptomCount{{Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, People: 400}, {Symptom: outcryv1.Symptom_SYMPTOM_APP_CRASH, People: 9}},
			Root:     "telco-20101222T1611", Consequences: []string{"viber"}, Confidence: 0.97, Explanation: "Why.",
			Evidence: []*outcryv1.Evidence{{
				Source: "twitter", PostId: "7", Text: "can't <sign> in", Url: "https://x.test/7", TimeUs: at("16:13:00") + 1500,
				Label: outcryv1.Label_LABEL_OUTAGE, Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, Score: 0.5,
			}},
		}, `{"id":"skype-20101222T1612","service":"skype","state":"resolved","severity":"critical","started_at":"2010-12-22T16:12:00Z",` +
			`"detected_at":"2010-12-22T16:13:10Z","confirmed_at":"2010-12-22T16:15:10Z","resolved_at":"2010-12-22T17:20:00Z",` +
			`"official_at":"2010-12-22T16:43:10Z","lead_seconds":1800,"people":600,"peak_per_minute":50,"expected_per_minute":0.25,` +
			`"symptoms":{"app_crash":9,"login":400},"root":"telco-20101222T1611","consequences":["viber"],"confidence":0.97,"explanation":"Why.",` +
			`"evidence":[{"id":"7","source":"twitter","time":"2010-12-22T16:13:00.0015Z","text":"can't <sign> in","url":"https://x.test/7",` +
			`"label":"outage","symptom":"login","score":0.5}]}`},
		{"what was added later", &outcryv1.Incident{
			Id: "viber-20101222T1615", Service: "viber", State: dismissed, Severity: outcryv1.Incident_SEVERITY_MINOR, DetectedAtUs: at("16:15:00"),
			Places: []*outcryv1.NameCount{{Name: "no/oslo", People: 2}}, Languages: []*outcryv1.NameCount{{Name: "no", People: 3}},
			Sources: []*outcryv1.NameCount{{Name: "twitter", People: 3}}, Reopened: 1, Coordinated: true,
			Root: "skype-20101222T1612", RootConfidence: 0.7, RootReasons: []string{"It began after skype."},
			Verdicts: []*outcryv1.Verdict{{Id: "1", Kind: outcryv1.Verdict_KIND_DISMISS, Who: "ana", Text: "no", AtUs: at("16:20:00")}},
		}, `{"id":"viber-20101222T1615","service":"viber","state":"dismissed","severity":"minor","detected_at":"2010-12-22T16:15:00Z","people":0,` +
			`"peak_per_minute":0,"expected_per_minute":0,"symptoms":{},"root":"skype-20101222T1612","consequences":[],"confidence":0,` +
			`"explanation":"","evidence":[],"places":{"no/oslo":2},"languages":{"no":3},"sources":{"twitter":3},"reopened":1,"coordinated":true,` +
			`"root_confidence":0.7,"root_reasons":["It began after skype."],` +
			`"verdicts":[{"kind":"dismiss","who":"ana","text":"no","at":"2010-12-22T16:20:00Z"}]}`},
	} {
		got, err := JSON(c.i)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}
