package ingest_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest"
	"outcry.dev/services/ingest/jetstream"
)

// Variables that make the test's own program an ingest process.
const (
	childURL     = "INGEST_TEST_URL"
	childBrokers = "INGEST_TEST_BROKERS"
	childPrefix  = "INGEST_TEST_PREFIX"
	childSession = "INGEST_TEST_SESSION"
)

// child is what `outcry ingest` does, with one source and without ClickHouse.
func child() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	session, err := time.ParseDuration(os.Getenv(childSession))
	if err != nil {
		panic(err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	k := bus.New(bus.Config{Brokers: []string{os.Getenv(childBrokers)}, Prefix: os.Getenv(childPrefix), SessionTimeout: session}, log)
	defer k.Close()
	cfg := jetstream.DefaultConfig()
	cfg.URL = os.Getenv(childURL)
	s, err := jetstream.New(cfg)
	if err != nil {
		panic(err)
	}
	fmt.Println("begun")
	err = ingest.New(ingest.DefaultConfig(), ingest.Deps{Bus: k, AuthorKey: key, Log: log, Metrics: prometheus.NewRegistry(), Live: true}, s).Run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// firehose is a Jetstream server: it says something all the time, remembers everything, and gives it from any cursor on.
type firehose struct {
	*httptest.Server
	mu      sync.Mutex
	more    *sync.Cond
	said    []said
	ended   bool
	active  map[string]int // connections by name of the process
	cursors []int64
}

type said struct {
	timeUS int64
	id     string // of the post, with "-" before it where it was deleted
	frame  []byte
}

func newFirehose(t *testing.T) *firehose {
	t.Helper()
	f := &firehose{active: map[string]int{}}
	f.more = sync.NewCond(&f.mu)
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
		f.more.Broadcast()
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

// say adds events, each with a time of its own.
func (f *firehose) say(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		i := len(f.said)
		at := time.Now().UnixMicro()
		if i > 0 {
			at = max(at, f.said[i-1].timeUS+1)
		}
		key := fmt.Sprintf("k%d", i)
		operation, record, mark := "create", fmt.Sprintf(`,"record":{"$type":"app.bsky.feed.post","text":"post %d","langs":["en"]}`, i), ""
		if i%10 == 9 { // the delete of the one before it
			operation, record, mark, key = "delete", "", "-", fmt.Sprintf("k%d", i-1)
		}
		f.said = append(f.said, said{at, mark + "at://did:plc:ann/app.bsky.feed.post/" + key, fmt.Appendf(nil,
			`{"did":"did:plc:ann","time_us":%d,"kind":"commit","commit":{"rev":"r%d","operation":%q,"collection":"app.bsky.feed.post","rkey":%q%s}}`,
			at, i, operation, key, record)})
	}
	f.more.Broadcast()
}

func (f *firehose) serve(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("process")
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	ctx := c.CloseRead(r.Context())
	stop := context.AfterFunc(ctx, f.more.Broadcast)
	defer stop()
	cursor, _ := strconv.ParseInt(r.URL.Query().Get("cursor"), 10, 64)

	f.mu.Lock()
	defer f.mu.Unlock()
	f.active[name]++
	defer func() { f.active[name]-- }()
	f.cursors = append(f.cursors, cursor)
	at, _ := slices.BinarySearchFunc(f.said, cursor, func(s said, us int64) int { return int(s.timeUS - us) })
	for {
		for at == len(f.said) && !f.ended && ctx.Err() == nil {
			f.more.Wait()
		}
		if f.ended || ctx.Err() != nil {
			return
		}
		frame := f.said[at].frame
		at++
		f.mu.Unlock()
		err := c.Write(ctx, websocket.MessageText, frame)
		f.mu.Lock()
		if err != nil {
			return
		}
	}
}

// connected returns the processes that are.
func (f *firehose) connected() (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, n := range f.active {
		if n > 0 {
			names = append(names, name)
		}
	}
	return names
}

// process is an ingest process.
type process struct {
	*exec.Cmd
	name string
}

func launch(t *testing.T, f *firehose, brokers, prefix, name string, session time.Duration) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{exec.Command(program), name}
	p.Env = append(os.Environ(), childURL+"=ws"+strings.TrimPrefix(f.URL, "http")+"/subscribe?process="+url.QueryEscape(name),
		childBrokers+"="+brokers, childPrefix+"="+prefix, childSession+"="+session.String(), "GOMAXPROCS=1", "GOCOVERDIR="+t.TempDir())
	p.Stderr = t.Output()
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("process %s did not begin: %v", name, err)
	}
	return p
}

func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait() // killed, as was meant
}

// stored counts what posts.v1 holds, in the words of said.
func stored(t *testing.T, k *bus.Bus) map[string]int {
	t.Helper()
	all, _ := readAll[outcryv1.Post](t, k, topics.Posts)
	got := map[string]int{}
	for _, posts := range all {
		for _, p := range posts {
			switch p.GetKind() {
			case outcryv1.Post_KIND_UPSERT:
				got[p.GetId()]++
			case outcryv1.Post_KIND_DELETE:
				got["-"+p.GetId()]++
			}
		}
	}
	return got
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	soon(t, 20*time.Millisecond, what, done)
}

// soon asks every so often whether something is done: not so often, where asking is what keeps the machine from doing it.
func soon(t *testing.T, every time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !done(); time.Sleep(every) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// Ten sources, the process of each killed ten times while the network goes on talking: whatever the network said is in Kafka, deletes
// after their posts, and a process never begins before where one had begun earlier.
func TestKilledAHundredTimesNothingIsLost(t *testing.T) {
	const lanes, kills = 10, 10
	const session = 4 * time.Second // a slow machine has to heartbeat within it
	b, err := broker.Start(broker.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	var all sync.WaitGroup
	for lane := range lanes {
		all.Go(func() {
			t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(lane), 7))
				prefix := fmt.Sprintf("lane%d.", lane)
				k := bus.New(bus.Config{Brokers: b.Addrs(), Prefix: prefix}, slog.New(slog.DiscardHandler))
				defer k.Close()
				if err := k.EnsureTopics(t.Context(), topics.All(partitions)...); err != nil {
					t.Fatal(err)
				}
				f := newFirehose(t)
				for i := range kills {
					p := launch(t, f, b.Addrs()[0], prefix, fmt.Sprint("process ", i), session)
					f.say(50)
					eventually(t, "the process listens", func() bool { return slices.Contains(f.connected(), p.name) })
					for range rng.IntN(40) {
						f.say(rng.IntN(30))
						time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond) // somewhere between cursors
					}
					p.kill()
					f.say(rng.IntN(200)) // while nobody listens
				}
				last := launch(t, f, b.Addrs()[0], prefix, "last", session)
				defer last.kill()
				f.mu.Lock()
				want := slices.Clone(f.said)
				f.mu.Unlock()
				var got map[string]int
				soon(t, time.Second, "everything is in Kafka", func() bool {
					got = stored(t, k)
					return !slices.ContainsFunc(want, func(s said) bool { return got[s.id] == 0 })
				})
				total := 0
				for _, n := range got {
					total += n
				}
				if len(got) != len(want) {
					t.Errorf("%d different events are in Kafka, %d were said", len(got), len(want))
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				if !slices.IsSorted(f.cursors) || f.cursors[len(f.cursors)-1] == 0 {
					t.Errorf("processes began at %v: not at what was stored last", f.cursors)
				}
				t.Logf("%d events, %d records: %.1f times each, over %d kills", len(want), total, float64(total)/float64(len(want)), kills)
			})
		})
	}
	all.Wait()
}

// Of two processes one listens; when it is killed, and when it is asked to end, the other takes over where it was.
func TestTheOtherTakesOver(t *testing.T) {
	b, err := broker.Start(broker.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	k := bus.New(bus.Config{Brokers: b.Addrs(), Prefix: "two."}, slog.New(slog.DiscardHandler))
	defer k.Close()
	if err := k.EnsureTopics(t.Context(), topics.All(partitions)...); err != nil {
		t.Fatal(err)
	}
	f := newFirehose(t)
	f.say(10)
	processes := map[string]*process{}
	for i := range 2 {
		name := fmt.Sprint("process ", i)
		processes[name] = launch(t, f, b.Addrs()[0], "two.", name, 4*time.Second)
		defer processes[name].kill()
	}
	heard := func() {
		t.Helper()
		f.say(100)
		f.mu.Lock()
		want := slices.Clone(f.said)
		f.mu.Unlock()
		soon(t, time.Second, "everything is in Kafka", func() bool {
			got := stored(t, k)
			return !slices.ContainsFunc(want, func(s said) bool { return got[s.id] == 0 })
		})
	}
	heard()
	eventually(t, "one of them listens", func() bool { return len(f.connected()) == 1 })
	for range 50 { // and stays the only one
		f.say(5)
		time.Sleep(20 * time.Millisecond)
		if names := f.connected(); len(names) > 1 {
			t.Fatalf("%q listen at once", names)
		}
	}
	active := f.connected()[0]
	processes[active].kill()
	delete(processes, active)
	heard()
	for name, p := range processes {
		eventually(t, "the other listens", func() bool { return slices.Equal(f.connected(), []string{name}) })
		// It ends by itself, and leaves no doubt about where it was.
		if err := p.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("asked to end, it returned %v", err)
		}
	}
	states, err := ingest.States(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := strconv.FormatInt(f.said[len(f.said)-1].timeUS, 10); len(states) != 1 || states[0].GetSource() != "jetstream" || states[0].GetState() != "stopped" || states[0].GetCursor() != last {
		t.Errorf("states %v, want one that stopped at %s", states, last)
	}
}
