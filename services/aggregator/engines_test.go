package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/root"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

var quiet = slog.New(slog.DiscardHandler)

// server is shared by the tests that do not kill theirs; each has databases of its own.
var server *clickhouse.Server

func TestMain(m *testing.M) {
	clickhouse.RunIfChild()
	code := run(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "outcry-aggregator")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if server, err = clickhouse.Start(ctx, clickhouse.Config{DataDir: dir}, quiet); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Close()
	return m.Run()
}

// startClickHouse is for tests that kill it: an engine that dies six times within minutes is given up.
func startClickHouse(t *testing.T) *clickhouse.Server {
	t.Helper()
	own, err := clickhouse.Start(t.Context(), clickhouse.Config{DataDir: t.TempDir()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	return own
}

// kill kills the engine, which comes back by itself.
func kill(t *testing.T, engine *clickhouse.Server) {
	t.Helper()
	if pid := engine.PID(); pid != 0 { // it may still be away from the last time
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
}

// site is one Outcry: topics and a database of its own.
type site struct {
	t     *testing.T
	bus   *bus.Bus
	store *store.Store

	providers root.Graph
}

func newSite(t *testing.T, brokers []string, name string, partitions int) *site {
	t.Helper()
	return newSiteAt(t, server, server.Addr(), brokers, name, partitions)
}

// newSiteAt has its ClickHouse at an address, which may be that of a line to the engine.
func newSiteAt(t *testing.T, engine *clickhouse.Server, addr string, brokers []string, name string, partitions int) *site {
	t.Helper()
	cfg := store.Config{Address: addr, Username: engine.User(), Password: engine.Password(), Database: name}
	st, err := store.Open(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, store: st, bus: bus.New(bus.Config{Brokers: brokers, Prefix: name + ".", SessionTimeout: 6 * time.Second}, quiet)}
	t.Cleanup(func() {
		s.bus.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.bus.EnsureTopics(t.Context(), topics.All(partitions)...); err != nil {
		t.Fatal(err)
	}
	return s
}

func startBroker(t *testing.T) []string {
	t.Helper()
	b, err := broker.Start(broker.Config{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b.Addrs()
}

// rows returns the rows of a query, one line each. An engine that dies comes back by itself; the stage waits for it, and so do we.
func (s *site) rows(query string) (out []string) {
	s.t.Helper()
	eventually(s.t, "ClickHouse answers", func() bool {
		out = nil
		err := s.store.Query(s.t.Context(), query, func([]string) error { return nil }, func(values []any) error {
			out = append(out, fmt.Sprint(values...))
			return nil
		})
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			s.t.Fatal(err)
		}
		return err == nil
	})
	return out
}

// write appends to mentions.v1, a piece at a time, with a pause after each.
func (s *site) write(log [][]*outcryv1.MentionRecord, pieces int, pause time.Duration) {
	for piece := range pieces {
		s.writePiece(log, piece, pieces)
		time.Sleep(pause)
	}
}

// writePiece appends one of so many pieces of a log to mentions.v1.
func (s *site) writePiece(log [][]*outcryv1.MentionRecord, piece, pieces int) {
	s.t.Helper()
	p, err := s.bus.Producer(s.t.Context(), topics.Mentions)
	if err != nil {
		s.t.Fatal(err)
	}
	var msgs []bus.Message
	for partition, records := range log {
		for _, r := range records[piece*len(records)/pieces : (piece+1)*len(records)/pieces] {
			msgs = append(msgs, bus.Message{Partition: partition, Value: encode(s.t, r)})
		}
	}
	if err := p.Write(s.t.Context(), msgs...); err != nil {
		s.t.Fatal(err)
	}
}

// caughtUp tells whether everything in mentions.v1 is in the saved state.
func (s *site) caughtUp(log [][]*outcryv1.MentionRecord) bool {
	s.t.Helper()
	for partition, records := range log {
		rows, err := s.store.States(s.t.Context(), partition)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(rows) == 0 || rows[0].NextOffset < int64(len(records)) {
			return false
		}
	}
	return true
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// stage runs a stage until it is stopped.
func (s *site) stage(cfg Config) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	stage := New(cfg, Deps{Bus: s.bus, Store: s.store, Detect: detect.DefaultConfig(), Incident: incident.DefaultConfig(), Providers: s.providers,
		Log: quiet, Metrics: prometheus.NewRegistry()})
	go func() { ended <- stage.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil && s.t.Context().Err() == nil {
			s.t.Errorf("stage: %v", err)
		}
	}
}
