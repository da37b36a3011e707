package main

import (
	"os"
	"strings"
	"testing"
)

// TestAlertsPreview shows an invented incident, which needs no data.
func TestAlertsPreview(t *testing.T) {
	slack := []string{"OUTCRY_DATA_DIR=" + t.TempDir(), "OUTCRY_ALERTER_PAGE_SLACK_URL=https://hooks.slack.com/services/T/B/s3cr3t"}
	got := call{args: []string{"alerts", "preview", "skype"}, environ: slack}.run(t)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{`service="skype"`, `test="true"`, "receiver page, after 10s", "  slack\n", "TEST: [major] skype: outage", "57 people have reported"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %s in\n%s", want, got.stdout)
		}
	}
	if strings.Contains(got.stdout+got.stderr, "s3cr3t") {
		t.Error("it shows a secret")
	}
	file := writeFile(t, "alertmanager.yml", `
route: {receiver: nobody, routes: [{receiver: chats, matchers: [category="messaging"]}]}
receivers: [{name: nobody}, {name: chats, webhook_configs: [{url: "https://example.org/s3cr3t"}]}]`)
	own := call{args: []string{"alerts", "preview", "skype"}, environ: []string{"OUTCRY_DATA_DIR=" + t.TempDir(), "OUTCRY_ALERTER_ALERTMANAGER_CONFIG=" + file}}.run(t)
	if own.code != 0 || !strings.Contains(own.stdout, "receiver chats") || strings.Contains(own.stdout, "receiver nobody") || strings.Contains(own.stdout, "s3cr3t") {
		t.Errorf("%+v", own)
	}
	if got := (call{args: []string{"alerts", "preview", "no-such-thing"}, environ: slack}).run(t); got.code == 0 {
		t.Errorf("an incident that is not known: %+v", got)
	}
}

// TestAlertsConfig prints what can be given back.
func TestAlertsConfig(t *testing.T) {
	got := call{args: []string{"alerts", "config"}, environ: []string{"OUTCRY_ALERTER_PAGE_WEBHOOK_URL=https://example.org/hook"}}.run(t)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	file := writeFile(t, "alertmanager.yml", got.stdout)
	if again := (call{args: []string{"alerts", "config"}, environ: []string{"OUTCRY_ALERTER_ALERTMANAGER_CONFIG=" + file}}).run(t); again.code != 0 || again.stdout != got.stdout {
		t.Errorf("%+v", again)
	}
	if err := os.WriteFile(file, []byte("route: {receiver: nobody}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if bad := (call{args: []string{"alerts", "config"}, environ: []string{"OUTCRY_ALERTER_ALERTMANAGER_CONFIG=" + file}}).run(t); bad.code == 0 || !strings.Contains(bad.stderr, "nobody") {
		t.Errorf("a receiver that is not there: %+v", bad)
	}
	for _, args := range [][]string{{"config", "check"}, {"alerts", "test", "skype"}, {"alerts", "preview", "skype"}} {
		bad := call{args: args, environ: []string{"OUTCRY_DATA_DIR=" + t.TempDir(), "OUTCRY_ALERTER_ALERTMANAGER_CONFIG=" + file}}.run(t)
		if bad.code != exitFailure || !strings.Contains(bad.stderr, "alerter.alertmanager_config "+file) {
			t.Errorf("%v: %+v", args, bad)
		}
	}
}

func TestAlertsThatCannotBeSent(t *testing.T) {
	environ := []string{"OUTCRY_DATA_DIR=" + t.TempDir()}
	for _, c := range []struct{ args, want string }{
		{"test skype", "nobody is told of anything"},
		{"test no-such-service", "the catalog has no service"},
		{"test skype --for 1ms", "--for is 1ms"},
		{"test", "SERVICE"},
		{"replay", "an incident"},
		{"log --limit 0", "--limit is 0"},
		{"log --since -1h", "--since is -1h"},
		{"enable now", "now"},
	} {
		got := call{args: append([]string{"alerts"}, strings.Fields(c.args)...), environ: environ}.run(t)
		if got.code == 0 || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%s: %+v, want %q", c.args, got, c.want)
		}
	}
}

func TestAlertsEnable(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"OUTCRY_DATA_DIR=" + dir, "OUTCRY_ALERTER_WEBHOOK_URL=https://example.org/hook"}
	got := call{args: []string{"alerts", "enable"}, environ: environ}.run(t)
	if got.code != 0 || !strings.Contains(got.stderr, "was not disabled") {
		t.Errorf("%+v", got)
	}
}
