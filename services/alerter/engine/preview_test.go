package engine_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter/alert"
	"outcry.dev/services/alerter/engine"
)

var update = flag.Bool("update", false, "write the golden files again")

// skype is an incident with everything in it.
func skype() *outcryv1.Incident {
	return &outcryv1.Incident{
		Id: "skype-20101222T1600", Service: "skype", State: outcryv1.Incident_STATE_CONFIRMED, Severity: outcryv1.Incident_SEVERITY_CRITICAL,
		StartedAtUs: 1293033600e6, DetectedAtUs: 1293034360e6, ConfirmedAtUs: 1293034480e6, OfficialAtUs: 1293036600e6, Revision: 7,
		People: 4009, PeakPerMinute: 38, ExpectedPerMinute: 0.09, Confidence: 0.97,
		Symptoms:    []*outcryv1.SymptomCount{{Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, People: 484}, {Symptom: outcryv1.Symptom_SYMPTOM_CONNECTION, People: 76}},
		Places:      []*outcryv1.NameCount{{Name: "Berlin", People: 12}, {Name: "London", People: 9}},
		Sources:     []*outcryv1.NameCount{{Name: "twitter", People: 4009}},
		Explanation: "27 people reported trouble with skype in the 15 minutes to 2010-12-22 16:14:40 UTC; 1.3 were expected.",
		Evidence: []*outcryv1.Evidence{
			{Source: "twitter", Text: "skype login is down <!channel> @everyone", Url: "https://example.org/1", TimeUs: 1293034360e6},
			{Source: "twitter", Text: "cannot sign in to skype\nat all", Url: "javascript:alert(1)", TimeUs: 1293034390e6},
			{Source: "twitter", Text: "[free money](https://evil.example) skype", Url: "https://example.org/3", TimeUs: 1293034400e6},
			{Source: "twitter", Text: "a fourth one", TimeUs: 1293034400e6},
		},
		OfficialText: "Some of you may have problems signing in.", OfficialUrl: "https://example.org/word", Consequences: []string{"qik"},
	}
}

// told is the alert of an incident after its revisions.
func told(t *testing.T, revisions ...*outcryv1.Incident) alert.Alert {
	t.Helper()
	tracker := alert.NewTracker(alert.Writer{PublicURL: "https://outcry.example.org", Runbook: "https://wiki.example.org/{service}",
		Service: func(string) (alert.Service, bool) {
			return alert.Service{Name: "Skype", Category: "messaging"}, true
		},
		Links: func(i *outcryv1.Incident) map[string]string {
			return map[string]string{"acknowledge": "https://act.example.org/a?t=1", "dismiss": "https://act.example.org/a?t=2"}
		}})
	var out []alert.Alert
	for n, i := range revisions {
		i.Revision += int64(n)
		if out = tracker.Apply(i, time.Date(2010, 12, 22, 16+7*n, 14, 45, 0, time.UTC)); len(out) != 1 {
			t.Fatalf("%d alerts", len(out))
		}
	}
	return out[0]
}

// TestMessages holds what people read against golden files: go test ./services/alerter/engine -update writes them again.
func TestMessages(t *testing.T) {
	over, dismissed := skype(), skype()
	over.State, over.ResolvedAtUs = outcryv1.Incident_STATE_RESOLVED, 1293057660e6
	dismissed.State = outcryv1.Incident_STATE_DISMISSED
	dismissed.Verdicts = []*outcryv1.Verdict{{Kind: outcryv1.Verdict_KIND_DISMISS, Who: "ann", Text: "people quote a film", AtUs: 1293035000e6}}
	all := filepath.Join(t.TempDir(), "all.yml")
	if err := os.WriteFile(all, []byte(allReceivers), 0o600); err != nil {
		t.Fatal(err)
	}
	normal := engine.Config{Default: engine.Default{SlackURL: "https://hooks.slack.com/services/T/B/s3cr3t", WebhookURL: "https://example.org/s3cr3t"}}
	suspected := skype()
	suspected.State, suspected.Severity = outcryv1.Incident_STATE_SUSPECTED, outcryv1.Incident_SEVERITY_MINOR
	resolved := told(t, skype(), over)
	test := told(t, skype())
	test.Labels["test"] = "true"
	missed, ok := alert.Late(resolved, resolved.EndsAt)
	if missed.EndsAt = (time.Time{}); !ok {
		t.Error("it is no news any more")
	}
	for name, c := range map[string]struct {
		cfg engine.Config
		a   alert.Alert
	}{
		"missed":    {normal, missed},
		"default":   {normal, told(t, skype())},
		"resolved":  {normal, resolved},
		"dismissed": {normal, told(t, skype(), dismissed)},
		"suspected": {normal, told(t, suspected)},
		"test":      {normal, test},
		"receivers": {engine.Config{File: all}, told(t, skype())},
	} {
		reached, err := engine.Preview(t.Context(), c.cfg, c.a)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var b strings.Builder
		for _, r := range reached {
			b.WriteString("=== " + r.Receiver + " after " + r.GroupWait + "\n")
			for _, m := range r.Messages {
				b.WriteString("--- " + m.Integration + "\n")
				for _, f := range m.Fields {
					b.WriteString(f[0] + ":\n" + f[1] + "\n")
				}
			}
		}
		if strings.Contains(b.String(), "s3cr3t") {
			t.Errorf("%s shows a secret", name)
		}
		golden := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s is not as in %s; write it again with -update if it should be so:\n%s", name, golden, b.String())
		}
	}
}

func TestPreviewSeesInhibition(t *testing.T) {
	root := firing("cloud", "critical")
	follower := firing("shop", "minor", "alertname", alert.Consequence, "root", "cloud-1")
	for _, c := range []struct {
		beside []alert.Alert
		want   bool
	}{{nil, false}, {[]alert.Alert{root}, true}} {
		got, err := engine.Preview(t.Context(), engine.Config{Default: engine.Default{WebhookURL: "https://example.org"}}, follower, c.beside...)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Inhibited != c.want {
			t.Errorf("beside %d: %+v", len(c.beside), got)
		}
	}
}

const allReceivers = `
global: {smtp_smarthost: "localhost:25", smtp_from: "outcry@example.org", opsgenie_api_key: s3cr3t, slack_api_url: "https://hooks.slack.com/s3cr3t"}
route:
  receiver: everyone
  routes:
    - {matchers: [severity="critical"], receiver: everyone, continue: true}
    - {matchers: [service="skype"], receiver: calls}
receivers:
  - name: everyone
    slack_configs: [{channel: "#outages"}]
    pagerduty_configs: [{routing_key: s3cr3t}]
    opsgenie_configs: [{}]
    email_configs: [{to: "ops@example.org"}]
    msteamsv2_configs: [{webhook_url: "https://example.org/s3cr3t"}]
    discord_configs: [{webhook_url: "https://example.org/s3cr3t"}]
    telegram_configs: [{bot_token: s3cr3t, chat_id: 1}]
    sns_configs: [{topic_arn: "arn:aws:sns:us-east-2:1:x", sigv4: {region: us-east-2}}]
    incidentio_configs: [{url: "https://example.org/x", alert_source_token: s3cr3t}]
  - name: calls
    webhook_configs: [{url: "https://example.org/s3cr3t"}]
`
