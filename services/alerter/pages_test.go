package alerter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter"
)

// childVariable makes the test's program an alerter: what it is set to is childConfig as JSON.
const childVariable = "OUTCRY_TEST_ALERTER"

type childConfig struct {
	Brokers       []string
	DataDir, File string
	Alertmanagers []string
}

func child() {
	var c childConfig
	if err := json.Unmarshal([]byte(os.Getenv(childVariable)), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := alerter.DefaultConfig()
	cfg.AlertmanagerConfig, cfg.Alertmanagers, cfg.ResendEvery = c.File, c.Alertmanagers, time.Second
	b := bus.New(bus.Config{Brokers: c.Brokers, SessionTimeout: 6 * time.Second}, quiet) // the least that brokers take
	defer b.Close()
	a := alerter.New(cfg, alerter.Deps{Bus: b, DataDir: c.DataDir, Out: io.Discard, Metrics: prometheus.NewRegistry(), Log: quiet})
	if err := a.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is an alerter in a process of its own.
type process struct {
	t   *testing.T
	cfg childConfig
	cmd *exec.Cmd
}

func (p *process) start() {
	p.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := json.Marshal(p.cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(exe)
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(b))
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) kill() {
	p.t.Helper()
	if p.cmd.ProcessState != nil {
		return // it was killed before
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	_ = p.cmd.Wait() // it was killed
}

// pagesOf receives Alertmanager's webhooks; each page as "firing minor", "resolved major".
type pagesOf struct {
	*httptest.Server
	mu   sync.Mutex
	all  []string
	each map[string][]string // by service
	at   map[string]time.Time
}

func pageReceiver(t *testing.T, before func(what string) (status int)) *pagesOf {
	t.Helper()
	p := &pagesOf{each: map[string][]string{}, at: map[string]time.Time{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var got struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("not JSON: %v\n%s", err, body)
			return
		}
		var parts []string
		service := ""
		for _, a := range got.Alerts {
			parts = append(parts, a.Status+" "+a.Labels["severity"])
			service = a.Labels["service"]
		}
		sort.Strings(parts)
		page := strings.Join(parts, ", ")
		status := http.StatusOK
		if before != nil {
			status = before(strings.TrimSpace(service + " " + page))
		}
		if status == http.StatusOK {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.all = append(p.all, page)
			p.each[service] = append(p.each[service], page)
			if _, ok := p.at[service]; !ok {
				p.at[service] = arrived
			}
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *pagesOf) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// of returns the pages of a service.
func (p *pagesOf) of(service string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.each[service])
}

func alertmanagerYAML(t *testing.T, url string, wait, interval time.Duration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alertmanager.yml")
	text := fmt.Sprintf(`
route: {receiver: page, group_by: [service], group_wait: %s, group_interval: %s, repeat_interval: 24h}
receivers:
  - name: page
    webhook_configs: [{url: %q, send_resolved: true}]
`, wait, interval, url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withBroker is a broker that processes can reach, and a client of it.
func withBroker(t *testing.T) (*bus.Bus, []string) {
	t.Helper()
	b, err := broker.Start(broker.Config{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	client := bus.New(bus.Config{Brokers: b.Addrs()}, quiet)
	t.Cleanup(func() {
		client.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := client.EnsureTopics(t.Context(), topics.All(1)...); err != nil {
		t.Fatal(err)
	}
	return client, b.Addrs()
}

// step is a revision of an incident of skype.
func step(revision int64, state outcryv1.Incident_State, severity outcryv1.Incident_Severity) *outcryv1.Incident {
	i := incident("skype-20101222T1600", revision)
	i.State, i.Severity = state, severity
	return i
}

// TestKilledInEachState kills the alerter before, while and after each page of an incident's life. No page is missing, and none comes twice but
// the one during which it was killed.
func TestKilledInEachState(t *testing.T) {
	t.Parallel()
	const minor, major = outcryv1.Incident_SEVERITY_MINOR, outcryv1.Incident_SEVERITY_MAJOR
	const confirmed, resolved = outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_STATE_RESOLVED
	life := []struct {
		incident *outcryv1.Incident
		page     string
	}{
		{step(1, confirmed, minor), "firing minor"},
		{step(2, confirmed, major), "firing major, resolved minor"},
		{step(3, resolved, major), "resolved major"},
	}
	for _, when := range []string{"before", "while", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			b, brokers := withBroker(t)
			requested := make(chan string, 100)
			var mu sync.Mutex
			hold := false
			released := make(chan struct{})
			r := pageReceiver(t, func(what string) int {
				requested <- strings.TrimPrefix(what, "skype ")
				mu.Lock()
				held := hold
				hold = false
				mu.Unlock()
				if held {
					<-released // the sender is killed while it waits for the answer; the page is taken nevertheless
				}
				return http.StatusOK
			})
			defer close(released)
			wait := 300 * time.Millisecond
			p := &process{t: t, cfg: childConfig{Brokers: brokers, DataDir: t.TempDir(), File: alertmanagerYAML(t, r.URL, wait, wait)}}
			p.start()
			defer func() { p.kill() }()
			next := func(want string) {
				t.Helper()
				select {
				case got := <-requested:
					// What ended in a killed process may be told again, or not, beside what fires.
					if got != want && got != strings.Split(want, ",")[0] {
						t.Errorf("paged %q, want %q", got, want)
					}
				case <-time.After(time.Minute):
					t.Fatalf("never paged: %s", want)
				}
			}
			for _, s := range life {
				mu.Lock()
				hold = when == "while"
				mu.Unlock()
				write(t, b, message(t, s.incident))
				switch when {
				case "before":
					// Taken on and kept, but not paged; or not even taken on. Both come.
					time.Sleep(100 * time.Millisecond)
					p.kill()
				case "while":
					next(s.page)
					p.kill()
				case "after":
					next(s.page)
					eventually(t, "it is kept", func() bool { return kept(t, p.cfg.DataDir, s.page) })
					p.kill()
				}
				p.start()
				if when != "after" {
					next(s.page) // for "while" this is the one repetition
				}
				eventually(t, "it is kept", func() bool { return kept(t, p.cfg.DataDir, s.page) })
			}
			time.Sleep(4 * wait) // for pages that should not come
			select {
			case extra := <-requested:
				t.Errorf("paged once more: %q", extra)
			default:
			}
		})
	}
}

// kept says whether the notification log holds as many notifications as the page's place in the life asks for: its file grows with each.
func kept(t *testing.T, dir, page string) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "alerter", "notifications.log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	state := keptStates.Load(dir, b)
	return state >= map[string]int{"firing minor": 1, "firing major, resolved minor": 2, "resolved major": 3}[page]
}

// keptStates counts the different contents with which a notification log was seen.
var keptStates logStates

type logStates struct {
	mu   sync.Mutex
	seen map[string][]string
}

// Load returns how many different last notifications a log has had. A log that was compacted holds the last one alone.
func (l *logStates) Load(dir string, content []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string][]string{}
	}
	if len(content) == 0 {
		return len(l.seen[dir])
	}
	last := string(content[max(0, len(content)-40):])
	if !slices.Contains(l.seen[dir], last) {
		l.seen[dir] = append(l.seen[dir], last)
	}
	return len(l.seen[dir])
}

// alertmanagerProcess runs Debian's Alertmanager, of the package prometheus-alertmanager, and returns its address.
func alertmanagerProcess(t *testing.T, file string, peers ...string) (address, peer string) {
	t.Helper()
	listen, peer := free(t), free(t)
	return runAlertmanager(t, listen, peer, file, peers...), peer
}

// alertmanagerAt runs one that listens where the caller says, host:port.
func alertmanagerAt(t *testing.T, listen, file string) (address string) {
	t.Helper()
	return runAlertmanager(t, listen, free(t), file)
}

func runAlertmanager(t *testing.T, listen, peer, file string, peers ...string) (address string) {
	t.Helper()
	exe, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Fatal("prometheus-alertmanager is missing: install the package of that name, or run ./scripts/test, which does")
	}
	args := []string{"--config.file=" + file, "--storage.path=" + t.TempDir(), "--web.listen-address=" + listen, "--cluster.listen-address=" + peer,
		"--cluster.settle-timeout=1m", "--cluster.gossip-interval=50ms", "--cluster.pushpull-interval=1s", "--log.level=error",
		// A member that waits for the others longer than a group's interval tells a group as it was before the wait: with short intervals, again.
		"--cluster.peer-timeout=1h"}
	for _, p := range peers {
		args = append(args, "--cluster.peer="+p)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return "http://" + listen
}

var (
	portBase = rand.Int32N(20_000)
	ports    atomic.Int32
)

// free returns an address that nobody has, below the ports that the system gives away by itself: nobody gets it between here and its use.
func free(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprint("127.0.0.1:", 10_000+(portBase+ports.Add(1))%20_000)
		if l, err := net.Listen("tcp", address); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// memberAlert is what an Alertmanager knows of an alert.
type memberAlert struct {
	Labels, Annotations map[string]string
	EndsAt              time.Time
}

func memberAlerts(t *testing.T, address string) []memberAlert {
	t.Helper()
	resp, err := http.Get(address + "/api/v2/alerts")
	if err != nil {
		return nil // it starts
	}
	defer resp.Body.Close()
	var got []memberAlert
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return nil
	}
	return got
}

// endsAt is when the only alert of an Alertmanager ends unless it is told again; zero without one.
func endsAt(t *testing.T, address string) time.Time {
	t.Helper()
	got := memberAlerts(t, address)
	if len(got) != 1 {
		return time.Time{}
	}
	return got[0].EndsAt
}

// alertsAt asks an Alertmanager for what fires, as "service/severity".
func alertsAt(t *testing.T, address string) []string {
	t.Helper()
	var out []string
	for _, a := range memberAlerts(t, address) {
		if a.Annotations["summary"] == "" {
			t.Errorf("no summary: %v", a)
		}
		out = append(out, a.Labels["service"]+"/"+a.Labels["severity"])
	}
	sort.Strings(out)
	return out
}

// TestAClusterGetsEverything tells alerts to two of Debian's Alertmanagers, of which one comes late.
func TestAClusterGetsEverything(t *testing.T) {
	t.Parallel()
	b := kafka(t)
	r := pageReceiver(t, nil)
	file := alertmanagerYAML(t, r.URL, 500*time.Millisecond, time.Second)
	first, peer := alertmanagerProcess(t, file)
	late := free(t)
	cfg := alerter.DefaultConfig()
	cfg.Stdout, cfg.ResendEvery, cfg.Alertmanagers = false, time.Second, []string{first, "http://" + late}
	stop := start(t, b, cfg, io.Discard)
	write(t, b, message(t, step(1, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_SEVERITY_MINOR)))
	eventually(t, "it is paged", func() bool { return slices.Contains(r.got(), "firing minor") })

	// The late one takes the place that the configuration names.
	l, err := net.Listen("tcp", late)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := alertmanagerProcess(t, file, peer)
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, second+r.URL.Path, r.Body)
		if err != nil {
			return
		}
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
	})}
	go func() { _ = proxy.Serve(l) }()
	defer func() {
		_ = proxy.Close()
		http.DefaultClient.CloseIdleConnections()
	}()
	for _, address := range []string{first, second} {
		eventually(t, address+" has it", func() bool { return slices.Equal(alertsAt(t, address), []string{"skype/minor"}) })
	}
	var before time.Time
	eventually(t, "its end is known", func() bool { before = endsAt(t, second); return !before.IsZero() })
	eventually(t, "it is told again, with a later end", func() bool { return endsAt(t, second).After(before) })
	write(t, b, message(t, step(2, outcryv1.Incident_STATE_RESOLVED, outcryv1.Incident_SEVERITY_MINOR)))
	eventually(t, "its end is paged", func() bool { return slices.Contains(r.got(), "resolved minor") })
	for _, address := range []string{first, second} {
		eventually(t, address+" knows of the end", func() bool { return len(alertsAt(t, address)) == 0 })
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := r.got(); !slices.Equal(got, []string{"firing minor", "resolved minor"}) {
		t.Errorf("the cluster paged %q", got)
	}
}

// TestAStorm opens and escalates hundreds of incidents at once while the receiver refuses half of all requests. Each page comes in the end, in order.
func TestAStorm(t *testing.T) {
	t.Parallel()
	const incidents = 300 // `outcry bench alerts` has 2,000
	b := kafka(t)
	var mu sync.Mutex
	asked := map[string]int{}
	half := func(what string) int { // every second request for the same thing is answered with 500, the first above all
		mu.Lock()
		defer mu.Unlock()
		if asked[what]++; asked[what]%2 == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	r := pageReceiver(t, half)
	hook := receiver(t, func(change string, w http.ResponseWriter, _ *http.Request) {
		if half(change) != http.StatusOK {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	cfg := webhook(hook.URL)
	cfg.Stdout = false
	cfg.AlertmanagerConfig = alertmanagerYAML(t, r.URL, 100*time.Millisecond, time.Second)
	stop := start(t, b, cfg, io.Discard)
	batch := func(revision int64, severity outcryv1.Incident_Severity) {
		var msgs []bus.Message
		for i := range incidents {
			in := step(revision, outcryv1.Incident_STATE_CONFIRMED, severity)
			in.Service = fmt.Sprintf("service-%d", i)
			in.Id = in.Service + "-20101222T1600"
			msgs = append(msgs, message(t, in))
		}
		write(t, b, msgs...)
	}
	count := func(page string) int {
		r.mu.Lock()
		defer r.mu.Unlock()
		sum := 0
		for _, pages := range r.each {
			if slices.ContainsFunc(pages, func(p string) bool { return strings.HasPrefix(p, page) }) {
				sum++
			}
		}
		return sum
	}
	batch(1, outcryv1.Incident_SEVERITY_MINOR)
	eventually(t, "each is paged", func() bool { return count("firing minor") == incidents })
	batch(2, outcryv1.Incident_SEVERITY_MAJOR)
	eventually(t, "each escalates", func() bool { return count("firing major") == incidents })
	eventually(t, "each change is at the webhook", func() bool { bodies, _ := hook.taken(); return len(bodies) == 2*incidents })
	if err := stop(); err != nil {
		t.Error(err)
	}
	for service, pages := range r.each {
		if want := []string{"firing minor", "firing major, resolved minor"}; !slices.Equal(pages, want) {
			t.Errorf("%s: %q", service, pages)
		}
	}
	bodies, _ := hook.taken()
	last := map[string]int{}
	for _, body := range bodies {
		id, people, _ := strings.Cut(body, ":")
		revision := map[string]int{"10": 1, "20": 2}[people]
		if revision != last[id]+1 {
			t.Errorf("%s: revision %d after %d", id, revision, last[id])
		}
		last[id] = revision
	}
}

// TestWhatWasMissedIsOnePage lets incidents begin and end while no alerter runs.
func TestWhatWasMissedIsOnePage(t *testing.T) {
	t.Parallel()
	b := kafka(t)
	r := pageReceiver(t, nil)
	cfg := alerter.DefaultConfig()
	cfg.Stdout, cfg.AlertmanagerConfig = false, alertmanagerYAML(t, r.URL, 100*time.Millisecond, time.Second)
	dir := t.TempDir()
	of := func(service string, revision int64, state outcryv1.Incident_State, over time.Time) bus.Message {
		i := step(revision, state, outcryv1.Incident_SEVERITY_MAJOR)
		i.Service, i.Id, i.ConfirmedAtUs = service, service+"-1", i.GetDetectedAtUs()
		if !over.IsZero() {
			i.ResolvedAtUs = over.UnixMicro()
		}
		return message(t, i)
	}
	const confirmed, resolved, dismissed = outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_STATE_RESOLVED, outcryv1.Incident_STATE_DISMISSED
	now := time.Now()
	paged := func(service string) func() bool { return func() bool { return len(r.of(service)) > 0 } }

	write(t, b, of("before-all", 1, resolved, now))
	stop := startIn(t, b, cfg, io.Discard, dir) // it has never run: all of this is the past
	write(t, b, of("present", 1, confirmed, time.Time{}))
	eventually(t, "the present is paged", paged("present"))
	eventually(t, "it is committed", func() bool { return committed(t, b) == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	write(t, b, of("missed", 1, confirmed, time.Time{}), of("missed", 2, resolved, now), of("compacted", 5, resolved, now),
		of("old", 1, resolved, now.Add(-48*time.Hour)), of("false", 1, confirmed, time.Time{}), of("false", 2, dismissed, time.Time{}))
	for _, service := range []string{"first", "second"} { // the second start pages nothing again
		stop = startIn(t, b, cfg, io.Discard, dir)
		eventually(t, "what was missed is paged", func() bool { return paged("missed")() && paged("compacted")() })
		write(t, b, of(service, 1, confirmed, time.Time{}))
		eventually(t, "the next one is paged", paged(service))
		if service == "second" { // what was missed is over
			eventually(t, "its end is paged", func() bool {
				return slices.Contains(r.of("missed"), "resolved major") && slices.Contains(r.of("compacted"), "resolved major")
			})
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]string{"missed": {"firing major", "resolved major"}, "compacted": {"firing major", "resolved major"}}
	for _, service := range []string{"present", "first", "second"} {
		want[service] = []string{"firing major"}
	}
	if !maps.EqualFunc(r.each, want, slices.Equal) {
		t.Errorf("paged %v", r.each)
	}
}

// TestDeathsAroundAMissedPage kills an alerter that has taken an incident on and told nobody. The incident is over when the next one starts, which is
// killed at each step of telling it late. Whatever happens, one page says it, and one its end.
func TestDeathsAroundAMissedPage(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"in process", "cluster"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			b, brokers := withBroker(t)
			r := pageReceiver(t, nil)
			const short = 300 * time.Millisecond
			never, soon := alertmanagerYAML(t, r.URL, time.Hour, time.Hour), alertmanagerYAML(t, r.URL, short, short)
			p := &process{t: t, cfg: childConfig{Brokers: brokers, DataDir: t.TempDir(), File: never}}
			member := free(t)
			if where == "cluster" {
				p.cfg.File, p.cfg.Alertmanagers = "", []string{"http://" + member}
			}
			p.start()
			defer func() { p.kill() }()
			holds := func(file, what string) func() bool {
				return func() bool {
					content, err := os.ReadFile(filepath.Join(p.cfg.DataDir, "alerter", file))
					return err == nil && bytes.Contains(content, []byte(what))
				}
			}
			const id = "skype-20101222T1600"
			write(t, b, message(t, step(1, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_SEVERITY_MAJOR)))
			eventually(t, "the incident is taken on", holds("alerts.log", id))
			eventually(t, "it is committed", func() bool { return committed(t, b) == 1 })
			p.kill()
			over := step(2, outcryv1.Incident_STATE_RESOLVED, outcryv1.Incident_SEVERITY_MAJOR)
			over.ResolvedAtUs = time.Now().UnixMicro()
			// One that began and ended meanwhile.
			missed := step(2, outcryv1.Incident_STATE_RESOLVED, outcryv1.Incident_SEVERITY_MAJOR)
			missed.Id, missed.Service, missed.ConfirmedAtUs, missed.ResolvedAtUs = "msn-20101222T1600", "msn", missed.GetDetectedAtUs(), over.GetResolvedAtUs()
			write(t, b, message(t, over), message(t, missed))

			// Known to be in doubt, and nobody told, twice.
			for range 2 {
				p.start()
				eventually(t, "it is in doubt", func() bool {
					return holds("alerts.log", `"doubt":true`)() && holds("alerts.log", "msn-20101222T1600")()
				})
				eventually(t, "all is committed", func() bool { return committed(t, b) == 3 })
				p.kill()
			}
			if got := r.got(); len(got) > 0 {
				t.Fatalf("paged %q", got)
			}

			services := []string{"skype", "msn"}
			if where == "cluster" {
				alertmanagerAt(t, member, soon)
			} else {
				p.cfg.File = soon
			}
			p.start()
			for _, service := range services {
				eventually(t, service+" is paged", func() bool { return len(r.of(service)) > 0 })
				eventually(t, "that is kept", holds("told.log", service+"-20101222T1600"))
			}
			p.kill()
			// Whoever was told of it is told of its end, and of nothing more by those who start after that.
			for n := range 3 {
				p.start()
				for _, service := range services {
					eventually(t, "the end of "+service+" is told", func() bool { return slices.Contains(r.of(service), "resolved major") })
				}
				next := incident("barrier-1", int64(n+1))
				next.Id, next.Service = fmt.Sprint("barrier-", n), fmt.Sprint("barrier", n)
				write(t, b, message(t, next))
				eventually(t, "the next incident is paged", func() bool { return len(r.of(next.GetService())) > 0 })
				p.kill()
			}
			for _, service := range services {
				if got := r.of(service); !slices.Equal(got, []string{"firing major", "resolved major"}) {
					t.Errorf("%s: paged %q", service, got)
				}
			}
		})
	}
}

// TestAClusterThatWasTold kills an alerter whose cluster was told of an incident that is over when the next one starts: nothing is repeated.
func TestAClusterThatWasTold(t *testing.T) {
	t.Parallel()
	b, brokers := withBroker(t)
	r := pageReceiver(t, nil)
	address, _ := alertmanagerProcess(t, alertmanagerYAML(t, r.URL, 300*time.Millisecond, 300*time.Millisecond))
	p := &process{t: t, cfg: childConfig{Brokers: brokers, DataDir: t.TempDir(), Alertmanagers: []string{address}}}
	p.start()
	defer func() { p.kill() }()
	write(t, b, message(t, step(1, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_SEVERITY_MAJOR)))
	eventually(t, "it is paged", func() bool { return len(r.got()) == 1 })
	eventually(t, "it is committed", func() bool { return committed(t, b) == 1 })
	p.kill()
	over := step(2, outcryv1.Incident_STATE_RESOLVED, outcryv1.Incident_SEVERITY_MAJOR)
	over.ResolvedAtUs = time.Now().UnixMicro()
	write(t, b, message(t, over))
	for range 2 {
		p.start()
		eventually(t, "its end is paged", func() bool { return len(r.got()) >= 2 })
		eventually(t, "the cluster has nothing that fires", func() bool { return len(alertsAt(t, address)) == 0 })
		p.kill()
	}
	if got := r.got(); !slices.Equal(got, []string{"firing major", "resolved major"}) {
		t.Errorf("paged %q", got)
	}
}

// TestAClusterThatWasAwayAllTheWhile opens and ends an incident while no member of the cluster answers: it is told late.
func TestAClusterThatWasAwayAllTheWhile(t *testing.T) {
	t.Parallel()
	b := kafka(t)
	r := pageReceiver(t, nil)
	member := free(t)
	cfg := alerter.DefaultConfig()
	cfg.Stdout, cfg.ResendEvery, cfg.Alertmanagers = false, time.Second, []string{"http://" + member}
	start(t, b, cfg, io.Discard)
	begun := step(1, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_SEVERITY_MAJOR)
	over := step(2, outcryv1.Incident_STATE_RESOLVED, outcryv1.Incident_SEVERITY_MAJOR)
	over.ResolvedAtUs = time.Now().UnixMicro()
	write(t, b, message(t, begun))
	eventually(t, "it is taken on", func() bool { return committed(t, b) == 1 })
	write(t, b, message(t, over))
	eventually(t, "so is its end", func() bool { return committed(t, b) == 2 })
	address := alertmanagerAt(t, member, alertmanagerYAML(t, r.URL, 300*time.Millisecond, 300*time.Millisecond))
	eventually(t, "it is paged", func() bool { return slices.Contains(r.got(), "firing major") })
	got := memberAlerts(t, address)
	if len(got) != 1 || got[0].Annotations["missed"] == "" || time.Until(got[0].EndsAt) < 5*time.Minute || time.Until(got[0].EndsAt) > 10*time.Minute {
		t.Errorf("the cluster has %+v", got)
	}
}

// TestAChangedConfigurationIsTakenOn changes alertmanager.yml under a running alerter: to one that is wrong, and to another receiver.
func TestAChangedConfigurationIsTakenOn(t *testing.T) {
	t.Parallel()
	b := kafka(t)
	before, after := pageReceiver(t, nil), pageReceiver(t, nil)
	cfg := alerter.DefaultConfig()
	cfg.Stdout, cfg.AlertmanagerConfig = false, alertmanagerYAML(t, before.URL, 100*time.Millisecond, 300*time.Millisecond)
	registry := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	a := alerter.New(cfg, alerter.Deps{Bus: b, DataDir: t.TempDir(), Out: io.Discard, Metrics: registry, Log: quiet})
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	reloads := func(result string) float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "outcry_alerter_config_reloads_total" && m.GetLabel()[0].GetValue() == result {
					return m.GetCounter().GetValue()
				}
			}
		}
		return 0
	}
	change := func(text []byte) {
		if err := os.WriteFile(cfg.AlertmanagerConfig, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	of := func(service string) bus.Message {
		i := incident(service+"-1", 1)
		i.Service = service
		return message(t, i)
	}
	write(t, b, of("first"))
	eventually(t, "it is paged", func() bool { return len(before.got()) == 1 })

	change([]byte("route: {receiver: nobody}"))
	eventually(t, "it is refused", func() bool { return reloads("refused") == 1 })
	write(t, b, of("second"))
	eventually(t, "the one before stays in force", func() bool { return len(before.got()) == 2 })

	// A group that is the same to the notification log is not told again where only a time changes.
	same, err := os.ReadFile(alertmanagerYAML(t, before.URL, 100*time.Millisecond, 200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	change(same)
	eventually(t, "another interval is taken on", func() bool { return reloads("ok") == 1 })
	write(t, b, of("third"))
	eventually(t, "it is paged", func() bool { return len(before.got()) >= 3 })
	if got := before.got(); !slices.Equal(got, []string{"firing major", "firing major", "firing major"}) {
		t.Errorf("paged %q", got)
	}

	other, err := os.ReadFile(alertmanagerYAML(t, after.URL, 100*time.Millisecond, 200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	change(other)
	eventually(t, "another receiver is taken on", func() bool { return reloads("ok") == 2 })
	write(t, b, of("fourth"))
	eventually(t, "it is paged there", func() bool { return len(after.got()) == 1 })
	if got := before.got(); len(got) != 3 {
		t.Errorf("paged %q", got)
	}
}

// TestAnEngineThatCannotStartEndsTheAlerter has an alertmanager.yml that is wrong, and a port that another has.
func TestAnEngineThatCannotStartEndsTheAlerter(t *testing.T) {
	t.Parallel()
	wrong := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(wrong, []byte("route: {receiver: nowhere}"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, change := range map[string]func(*alerter.Config){
		"nowhere":        func(c *alerter.Config) { c.AlertmanagerConfig = wrong },
		"alerter.listen": func(c *alerter.Config) { c.Listen = taken.Addr().String() },
	} {
		cfg := alerter.DefaultConfig()
		change(&cfg)
		a := alerter.New(cfg, alerter.Deps{Bus: kafka(t), DataDir: t.TempDir(), Out: io.Discard, Metrics: prometheus.NewRegistry(), Log: quiet})
		if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it ends with %v, want %s", err, want)
		}
	}
}
