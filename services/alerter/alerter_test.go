package alerter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter"
)

func TestMain(m *testing.M) {
	clickhouse.RunIfChild()
	if os.Getenv(childVariable) != "" {
		child() // this process is one that a test kills
		return
	}
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.DiscardHandler)

// kafka is a broker of its own with the topics.
func kafka(t *testing.T) *bus.Bus {
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
	if err := client.EnsureTopics(t.Context(), topics.All(2)...); err != nil {
		t.Fatal(err)
	}
	return client
}

func incident(id string, revision int64) *outcryv1.Incident {
	return &outcryv1.Incident{Id: id, Service: "skype", State: outcryv1.Incident_STATE_CONFIRMED, Severity: outcryv1.Incident_SEVERITY_MAJOR,
		StartedAtUs: 1293034320e6, DetectedAtUs: 1293034440e6, Revision: revision, People: 10 * revision}
}

func write(t *testing.T, b *bus.Bus, msgs ...bus.Message) {
	t.Helper()
	p, err := b.Producer(t.Context(), topics.Incidents)
	if err != nil {
		t.Fatal(err)
	}
	for i := range msgs {
		msgs[i].Partition = bus.AnyPartition
	}
	if err := p.Write(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
}

func message(t *testing.T, i *outcryv1.Incident) bus.Message {
	t.Helper()
	value, err := proto.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{Key: []byte(i.GetId()), Value: value}
}

// lines collects what is written to standard output.
type lines struct {
	mu   sync.Mutex
	data bytes.Buffer
	// fail is returned by Write where it is set.
	fail error
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return 0, l.fail
	}
	return l.data.Write(p)
}

// people gives "incident:people" of each line: people stand for the revision in these tests.
func (l *lines) people(t *testing.T) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for line := range strings.Lines(l.data.String()) {
		out = append(out, change(t, line))
	}
	return out
}

func change(t *testing.T, line string) string {
	t.Helper()
	var i struct {
		ID, State string
		People    int
		Detected  time.Time `json:"detected_at"`
	}
	if err := json.Unmarshal([]byte(line), &i); err != nil {
		t.Errorf("not JSON: %v\n%s", err, line)
	}
	if i.State != "confirmed" || i.Detected.Year() != 2010 {
		t.Errorf("line lacks fields: %s", line)
	}
	return fmt.Sprintf("%s:%d", i.ID, i.People)
}

// start runs an alerter until stop.
func start(t *testing.T, b *bus.Bus, cfg alerter.Config, out io.Writer) (stop func() error) {
	t.Helper()
	return startIn(t, b, cfg, out, t.TempDir())
}

// startIn runs an alerter that keeps what it knows in a folder, until stop.
func startIn(t *testing.T, b *bus.Bus, cfg alerter.Config, out io.Writer, dir string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	a := alerter.New(cfg, alerter.Deps{Bus: b, DataDir: dir, Out: out, Metrics: prometheus.NewRegistry(), Log: quiet})
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-ended
		})
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// eventually waits for what must come; how long it takes does not matter.
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

func committed(t *testing.T, b *bus.Bus) int64 {
	t.Helper()
	offsets, err := b.Committed(t.Context(), "alerter", topics.Incidents)
	if err != nil {
		return -1 // the group does not exist before its first member
	}
	return offsets[0]
}

func stdout() alerter.Config { return alerter.DefaultConfig() }

func TestEachRevisionOnceOnStandardOutput(t *testing.T) {
	b, out := kafka(t), &lines{}
	stop := start(t, b, stdout(), out)
	write(t, b,
		message(t, incident("a", 1)), message(t, incident("b", 1)), message(t, incident("a", 2)),
		message(t, incident("a", 2)),  // written again
		message(t, incident("a", 1)),  // and an older one
		bus.Message{Key: []byte("b")}, // a tombstone
		message(t, incident("a", 5)), message(t, incident("a", 4)),
		message(t, incident("c", 1)),
	)
	eventually(t, "all are committed", func() bool { return committed(t, b) == 9 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got, want := out.people(t), []string{"a:10", "b:10", "a:20", "a:50", "c:10"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAfterARestartNothingIsRepeatedAndNothingIsMissed(t *testing.T) {
	b := kafka(t)
	first := &lines{}
	stop := start(t, b, stdout(), first)
	write(t, b, message(t, incident("a", 1)), message(t, incident("a", 2)))
	eventually(t, "both are committed", func() bool { return committed(t, b) == 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	// The aggregator was restarted as well and writes its last change again.
	write(t, b, message(t, incident("a", 2)), message(t, incident("a", 3)))
	second := &lines{}
	stop = start(t, b, stdout(), second)
	eventually(t, "all are committed", func() bool { return committed(t, b) == 4 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := append(first.people(t), second.people(t)...); !slices.Equal(got, []string{"a:10", "a:20", "a:30"}) {
		t.Errorf("got %v", got)
	}
}

func TestUnreadableRecordsGoToTheDeadLetters(t *testing.T) {
	b, out := kafka(t), &lines{}
	stop := start(t, b, stdout(), out)
	write(t, b, bus.Message{Key: []byte("x"), Value: []byte("no protobuf")}, message(t, &outcryv1.Incident{Id: "norevision"}), message(t, incident("a", 1)))
	eventually(t, "all are committed", func() bool { return committed(t, b) == 3 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := out.people(t); !slices.Equal(got, []string{"a:10"}) {
		t.Errorf("got %v", got)
	}
	claim, err := b.Reader(t.Context(), topics.Dead, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Close()
	var letters []*outcryv1.DeadLetter
	for len(letters) < 2 {
		msgs, err := claim.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			letter := &outcryv1.DeadLetter{}
			if err := proto.Unmarshal(m.Value, letter); err != nil {
				t.Fatal(err)
			}
			letters = append(letters, letter)
		}
	}
	if l := letters[0]; l.GetStage() != "alerter" || l.GetOrigin() != "incidents.v1/0" || l.GetPosition() != 0 || string(l.GetValue()) != "no protobuf" || l.GetReason() == "" {
		t.Errorf("letter: %v", l)
	}
}

func TestAClosedStandardOutputEndsTheAlerter(t *testing.T) {
	b, out := kafka(t), &lines{fail: errors.New("broken pipe")}
	a := alerter.New(stdout(), alerter.Deps{Bus: b, DataDir: t.TempDir(), Out: out, Metrics: prometheus.NewRegistry(), Log: quiet})
	write(t, b, message(t, incident("a", 1)))
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("got %v", err)
	}
	if n := committed(t, b); n > 0 {
		t.Errorf("committed %d, though nothing was delivered", n)
	}
}

// sink is a webhook receiver.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	ids    []string
}

func receiver(t *testing.T, answer func(incident string, w http.ResponseWriter, r *http.Request)) *sink {
	t.Helper()
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender has gone
		}
		taken := &status{ResponseWriter: w, code: http.StatusOK}
		answer(change(t, string(body)), taken, r)
		if taken.code == http.StatusOK {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.bodies = append(s.bodies, change(t, string(body)))
			s.ids = append(s.ids, r.Header.Get("webhook-id"))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

func (s *sink) taken() (bodies, ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies), slices.Clone(s.ids)
}

func webhook(url string) alerter.Config {
	cfg := alerter.DefaultConfig()
	cfg.Webhook.URL, cfg.Webhook.AllowPrivate = url, true
	return cfg
}

func TestOneStuckIncidentHoldsUpNeitherOthersNorStandardOutput(t *testing.T) {
	b, out := kafka(t), &lines{}
	release := make(chan struct{})
	s := receiver(t, func(change string, _ http.ResponseWriter, r *http.Request) {
		if change == "stuck:10" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	})
	cfg := webhook(s.URL)
	cfg.Webhook.Timeout = time.Minute
	stop := start(t, b, cfg, out)
	write(t, b, message(t, incident("stuck", 1)), message(t, incident("stuck", 2)), message(t, incident("a", 1)), message(t, incident("a", 2)))
	eventually(t, "the other incident is delivered", func() bool { bodies, _ := s.taken(); return len(bodies) == 2 })
	eventually(t, "all four lines are written", func() bool { return len(out.people(t)) == 4 })
	if bodies, ids := s.taken(); !slices.Equal(bodies, []string{"a:10", "a:20"}) || !slices.Equal(ids, []string{"a.1", "a.2"}) {
		t.Errorf("delivered %v as %v while one incident is stuck", bodies, ids)
	}
	if n := committed(t, b); n > 0 {
		t.Errorf("committed %d over an undelivered change", n)
	}
	close(release)
	eventually(t, "all are committed", func() bool { return committed(t, b) == 4 })
	if bodies, _ := s.taken(); !slices.Equal(bodies, []string{"a:10", "a:20", "stuck:10", "stuck:20"}) {
		t.Errorf("delivered %v", bodies)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWhatWasNotDeliveredIsDeliveredAfterARestart(t *testing.T) {
	b := kafka(t)
	var mu sync.Mutex
	down := true
	s := receiver(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	out := &lines{}
	stop := start(t, b, webhook(s.URL), out)
	write(t, b, message(t, incident("a", 1)), message(t, incident("a", 2)), message(t, incident("b", 1)))
	eventually(t, "three lines are written", func() bool { return len(out.people(t)) == 3 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := committed(t, b); n > 0 {
		t.Fatalf("committed %d, though nothing was delivered", n)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	stop = start(t, b, webhook(s.URL), &lines{})
	eventually(t, "all are committed", func() bool { return committed(t, b) == 3 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	bodies, _ := s.taken()
	var ofA []string
	for _, change := range bodies {
		if strings.HasPrefix(change, "a:") {
			ofA = append(ofA, change)
		}
	}
	if len(bodies) != 3 || !slices.Equal(ofA, []string{"a:10", "a:20"}) {
		t.Errorf("delivered %v", bodies)
	}
}

func TestARefusalHoldsNothingUp(t *testing.T) {
	b := kafka(t)
	s := receiver(t, func(change string, w http.ResponseWriter, _ *http.Request) {
		if change == "a:10" {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
	})
	cfg := webhook(s.URL)
	cfg.Stdout = false
	out := &lines{}
	stop := start(t, b, cfg, out)
	write(t, b, message(t, incident("a", 1)), message(t, incident("a", 2)))
	eventually(t, "both are committed", func() bool { return committed(t, b) == 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if bodies, _ := s.taken(); !slices.Equal(bodies, []string{"a:20"}) {
		t.Errorf("delivered %v", bodies)
	}
	if got := out.people(t); len(got) != 0 {
		t.Errorf("standard output is off, but got %v", got)
	}
}
