package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"outcry.dev/services/alerter/alert"
	"outcry.dev/services/alerter/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// page is what Alertmanager's webhook sends.
type page struct {
	Status string
	Alerts []struct {
		Status              string
		Labels, Annotations map[string]string
	}
}

// pager receives pages.
type pager struct {
	*httptest.Server
	mu    sync.Mutex
	pages []string
	full  []page
}

// receive answers each request with the status that answer gives.
func receive(t *testing.T, answer func(n int) int) *pager {
	t.Helper()
	p := &pager{}
	n := 0
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var got page
		if err := json.Unmarshal(b, &got); err != nil {
			t.Errorf("not JSON: %v", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		status := answer(n)
		n++
		if status == http.StatusOK {
			p.pages = append(p.pages, got.text())
			p.full = append(p.full, got)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(p.Close)
	return p
}

// text tells a page in a line: "firing skype/major", with each alert's status where they differ.
func (p page) text() string {
	var out []string
	for _, a := range p.Alerts {
		out = append(out, a.Status+" "+a.Labels["service"]+"/"+a.Labels["severity"])
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (p *pager) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.pages)
}

func ok(int) int { return http.StatusOK }

// fast is a configuration with short intervals and the inhibition of the default one.
func fast(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alertmanager.yml")
	err := os.WriteFile(path, []byte(`
route: {receiver: page, group_by: [service], group_wait: 50ms, group_interval: 200ms, repeat_interval: 24h}
inhibit_rules:
  - source_matchers: [alertname="Outage"]
    target_matchers: [alertname="OutageConsequence"]
    equal: [root]
receivers:
  - name: page
    webhook_configs: [{url: "`+url+`", send_resolved: true}]
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func start(t *testing.T, cfg engine.Config, known ...alert.Alert) *engine.Engine {
	t.Helper()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	e := engine.New(cfg, engine.Deps{Metrics: prometheus.NewRegistry(), Log: quiet})
	if err := e.Start(t.Context(), known...); err != nil {
		t.Fatal(err)
	}
	return e
}

func stop(t *testing.T, e *engine.Engine) {
	t.Helper()
	if err := e.Stop(); err != nil {
		t.Error(err)
	}
}

func put(t *testing.T, e *engine.Engine, alerts ...alert.Alert) {
	t.Helper()
	if err := e.Put(t.Context(), alerts...); err != nil {
		t.Fatal(err)
	}
}

func firing(service, severity string, more ...string) alert.Alert {
	a := alert.Alert{Labels: map[string]string{"alertname": alert.Outage, "service": service, "severity": severity, "incident": service + "-1",
		"root": service + "-1", "state": "confirmed"}, Annotations: map[string]string{"summary": service + " fails"}, StartsAt: time.Now()}
	for i := 0; i+1 < len(more); i += 2 {
		a.Labels[more[i]] = more[i+1]
	}
	return a
}

func ended(a alert.Alert) alert.Alert {
	a.EndsAt = time.Now()
	return a
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestALifeIsAPageForEachStep(t *testing.T) {
	p := receive(t, ok)
	e := start(t, engine.Config{File: fast(t, p.URL)})
	defer stop(t, e)
	minor := firing("skype", "minor")
	put(t, e, minor)
	eventually(t, "it pages", func() bool { return len(p.got()) == 1 })
	for range 3 { // updates
		minor.Annotations = map[string]string{"summary": "more people"}
		put(t, e, minor)
		time.Sleep(250 * time.Millisecond)
	}
	major := firing("skype", "major")
	put(t, e, ended(minor), major)
	eventually(t, "it escalates", func() bool { return len(p.got()) == 2 })
	put(t, e, ended(major))
	eventually(t, "it resolves", func() bool { return len(p.got()) == 3 })
	want := []string{"firing skype/minor", "firing skype/major, resolved skype/minor", "resolved skype/major"}
	if got := p.got(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if summary := p.full[2].Alerts[0].Annotations["summary"]; summary != "skype fails" {
		t.Errorf("the end has lost its annotations: %q", summary)
	}
}

func TestACloudIsOnePage(t *testing.T) {
	p := receive(t, ok)
	e := start(t, engine.Config{File: fast(t, p.URL)})
	defer stop(t, e)
	var all []alert.Alert
	for _, s := range []string{"a", "b", "c", "d"} {
		all = append(all, firing(s, "major", "alertname", alert.Consequence, "root", "cloud-1"))
	}
	put(t, e, append(all, firing("cloud", "critical"), firing("other", "minor"))...)
	eventually(t, "both page", func() bool { return len(p.got()) == 2 })
	time.Sleep(500 * time.Millisecond)
	got := p.got()
	slices.Sort(got)
	if want := []string{"firing cloud/critical", "firing other/minor"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAKillForgetsNothing leaves an engine as a kill would, without its end, and starts another on a copy of its files.
func TestAKillForgetsNothing(t *testing.T) {
	p := receive(t, ok)
	dir := t.TempDir()
	cfg := engine.Config{File: fast(t, p.URL), DataDir: dir}
	e := start(t, cfg)
	defer stop(t, e)
	put(t, e, firing("skype", "major"))
	eventually(t, "it pages", func() bool { return len(p.got()) == 1 })
	copied := t.TempDir()
	eventually(t, "it is in the log", func() bool {
		if err := os.CopyFS(filepath.Join(copied, "at"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(copied, "at", "notifications.log"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 0 {
			return true
		}
		return os.RemoveAll(filepath.Join(copied, "at")) != nil
	})
	cfg.DataDir = filepath.Join(copied, "at")
	again := start(t, cfg, firing("skype", "major"))
	defer stop(t, again)
	time.Sleep(600 * time.Millisecond)
	if got := p.got(); len(got) != 1 {
		t.Errorf("paged again: %q", got)
	}
	put(t, again, ended(firing("skype", "major")))
	eventually(t, "its end is told", func() bool { return slices.Contains(p.got(), "resolved skype/major") })
}

// TestWhatHasEndedIsToldOnce starts again beside an alert that fires and one of the same group whose end was told long ago.
func TestWhatHasEndedIsToldOnce(t *testing.T) {
	p := receive(t, ok)
	cfg := engine.Config{File: fast(t, p.URL), DataDir: t.TempDir()}
	past, present := firing("skype", "minor", "incident", "skype-0"), firing("skype", "major")
	e := start(t, cfg, past)
	eventually(t, "it pages", func() bool { return len(p.got()) == 1 })
	put(t, e, ended(past))
	eventually(t, "its end is told", func() bool { return len(p.got()) == 2 })
	put(t, e, present)
	eventually(t, "the next one pages", func() bool { return len(p.got()) == 3 })
	for range 2 {
		stop(t, e)
		e = start(t, cfg, ended(past), present)
		time.Sleep(500 * time.Millisecond)
	}
	if got := p.got(); len(got) != 3 {
		t.Errorf("a restart pages again: %q", got)
	}
	// An end of which nobody has been told is told, though it came while nobody was there.
	stop(t, e)
	e = start(t, cfg, ended(past), ended(present))
	defer stop(t, e)
	eventually(t, "the end is told after the restart", func() bool { return slices.Contains(p.got(), "resolved skype/major") })
}

func TestAFailingReceiverGetsItInTheEnd(t *testing.T) {
	p := receive(t, func(n int) int {
		return []int{http.StatusInternalServerError, http.StatusBadRequest, http.StatusServiceUnavailable, http.StatusOK}[min(n, 3)]
	})
	var mu sync.Mutex
	var attempts []engine.Attempt
	e := engine.New(engine.Config{File: fast(t, p.URL), DataDir: t.TempDir()}, engine.Deps{Metrics: prometheus.NewRegistry(), Log: quiet,
		Sent: func(a engine.Attempt) {
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, a)
		}})
	if err := e.Start(t.Context(), firing("skype", "major")); err != nil {
		t.Fatal(err)
	}
	defer stop(t, e)
	eventually(t, "it pages", func() bool { return len(p.got()) == 1 })
	eventually(t, "four attempts are told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(attempts) == 4
	})
	if a := attempts[0]; a.Receiver != "page" || a.Integration != "webhook[0]" || a.Err == nil || !a.Alerts[0].Firing || a.Alerts[0].Labels["service"] != "skype" {
		t.Errorf("attempt: %+v", a)
	}
	if a := attempts[3]; a.Err != nil {
		t.Errorf("attempt: %+v", a)
	}
}

// amtool runs Debian's, of the package prometheus-alertmanager.
func amtool(t *testing.T, e *engine.Engine, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("amtool"); err != nil {
		t.Fatal("amtool is missing: install the package prometheus-alertmanager, or run ./scripts/test, which does")
	}
	cmd := exec.CommandContext(t.Context(), "amtool", append([]string{"--alertmanager.url=http://" + e.Addr()}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("amtool %v: %v\n%s", args, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

func TestAmtoolListsAlertsAndManagesSilences(t *testing.T) {
	p := receive(t, ok)
	dir := t.TempDir()
	cfg := engine.Config{File: fast(t, p.URL), DataDir: dir, Listen: "127.0.0.1:0"}
	e := start(t, cfg, firing("skype", "major"), firing("cloud", "critical"), firing("shop", "minor", "alertname", alert.Consequence, "root", "cloud-1"))
	eventually(t, "both page", func() bool { return len(p.got()) == 2 })
	if out := amtool(t, e, "alert", "query", "-o", "json", "service=skype"); !strings.Contains(out, `"severity":"major"`) || strings.Contains(out, "cloud") {
		t.Errorf("alert query: %s", out)
	}
	if out := amtool(t, e, "alert", "query", "--inhibited"); !strings.Contains(out, "OutageConsequence") {
		t.Errorf("inhibited: %s", out)
	}
	id := strings.TrimSpace(amtool(t, e, "silence", "add", "--author=ann", "--comment=known", "--duration=1h", "service=skype"))
	put(t, e, ended(firing("skype", "major")), firing("skype", "critical"))
	time.Sleep(500 * time.Millisecond)
	if got := p.got(); len(got) != 2 {
		t.Errorf("a silenced alert paged: %q", got)
	}
	if out := amtool(t, e, "silence", "query", "-o", "json"); !strings.Contains(out, id) || !strings.Contains(out, `"known"`) {
		t.Errorf("silence query: %s", out)
	}
	stop(t, e)
	e = start(t, cfg, firing("skype", "critical"))
	defer stop(t, e)
	if out := amtool(t, e, "silence", "query", "-q"); !strings.Contains(out, id) {
		t.Errorf("the restart lost the silence: %q", out)
	}
	amtool(t, e, "silence", "expire", id)
	eventually(t, "it pages once the silence has ended", func() bool {
		return slices.ContainsFunc(p.got(), func(s string) bool { return strings.Contains(s, "firing skype/critical") })
	})
	if out := amtool(t, e, "config", "show"); !strings.Contains(out, "receiver: page") {
		t.Errorf("config show: %s", out)
	}
}

func TestFaultsOfTheConfiguration(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yml")
	if err := os.WriteFile(bad, []byte("route: {receiver: nowhere}\nreceivers: [{name: page}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]engine.Config{
		"undefined receiver": {File: bad},
		"no such file":       {File: bad + "x"},
	} {
		if err := engine.Check(cfg); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		e := engine.New(cfg, engine.Deps{Metrics: prometheus.NewRegistry(), Log: quiet})
		if err := e.Start(context.Background()); err == nil {
			t.Errorf("%s: it starts", name)
		}
	}
	err := engine.Check(engine.Config{Default: engine.Default{SlackURL: "s3cr3t://hooks"}})
	if err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("an address that is none: %v", err)
	}
	if err := engine.Check(engine.Config{}); err != nil {
		t.Errorf("the default configuration: %v", err)
	}
	full := engine.Default{SlackURL: "https://hooks.slack.com/services/T/B/x", WebhookURL: "https://example.org/a?b=\"c"}
	if err := engine.Check(engine.Config{Default: full}); err != nil {
		t.Errorf("the default configuration with receivers: %v", err)
	}
	// It is to be copied to clusters, whose Alertmanager may be older than ours.
	text, err := full.YAML()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "amtool", "check-config", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("amtool check-config: %v\n%s", err, out)
	}
}
