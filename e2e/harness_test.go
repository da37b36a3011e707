package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"outcry.dev/pkg/bus"
)

// binary is the command under test.
var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "outcry-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "outcry")
	// With the race detector, so that a race in any process fails its test.
	out, err := exec.Command("go", "build", "-race", "-o", binary, "outcry.dev/services/outcry").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// world is the surroundings of one test: a data folder, a temporary folder, a Kafka prefix.
type world struct {
	t   *testing.T
	dir string
	env []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	tmp := filepath.Join(w.dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OUTCRY_") && !strings.HasPrefix(v, "TMPDIR=") {
			w.env = append(w.env, v)
		}
	}
	w.set("TMPDIR", tmp)
	w.set("OUTCRY_DATA_DIR", filepath.Join(w.dir, "data"))
	w.set("OUTCRY_KAFKA_SESSION_TIMEOUT", "6s")
	if brokers := os.Getenv("E2E_KAFKA_BROKERS"); brokers != "" {
		w.set("OUTCRY_KAFKA_BROKERS", brokers)
		w.set("OUTCRY_KAFKA_PREFIX", fmt.Sprintf("e2e-%d-%s.", time.Now().UnixNano(), strings.ReplaceAll(t.Name(), "/", "-")))
	}
	return w
}

func (w *world) set(name, value string) { w.env = append(w.env, name+"="+value) }

func (w *world) get(name string) (value string) {
	for _, v := range w.env {
		if n, x, _ := strings.Cut(v, "="); n == name {
			value = x
		}
	}
	return value
}

// run runs the command to its end and returns its standard output; it must end with status 0.
func (w *world) run(args ...string) string {
	w.t.Helper()
	out, stderr, err := w.try(nil, args...)
	if err != nil {
		w.t.Fatalf("outcry %s: %v\n%s", strings.Join(args, " "), err, tail(stderr))
	}
	return out
}

// try runs the command to its end.
func (w *world) try(stdin []byte, args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env, cmd.Dir = w.env, w.dir
	cmd.Stdin = bytes.NewReader(stdin)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	return out.String(), said.String(), err
}

// rows runs outcry query and decodes what it prints.
func rows[R any](w *world, sql string) []R {
	w.t.Helper()
	var out []R
	d := json.NewDecoder(strings.NewReader(w.run("query", sql)))
	for d.More() {
		var r R
		if err := d.Decode(&r); err != nil {
			w.t.Fatalf("outcry query: %v", err)
		}
		out = append(out, r)
	}
	return out
}

// process is a running command.
type process struct {
	*exec.Cmd
	t      *testing.T
	name   string
	ended  chan struct{}
	stderr *lines
}

// lines keeps what a process says.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start starts a command that goes on until it is stopped; at the test's end it is interrupted and must end with status 0.
func (w *world) start(stdout *lines, args ...string) *process {
	w.t.Helper()
	return w.startWith(nil, stdout, args...)
}

// startWith is start with a standard input.
func (w *world) startWith(stdin io.Reader, stdout *lines, args ...string) *process {
	w.t.Helper()
	p := &process{Cmd: exec.Command(binary, args...), t: w.t, name: strings.Join(args, " "), ended: make(chan struct{}), stderr: &lines{}}
	p.Env, p.Dir, p.Stderr = w.env, w.dir, p.stderr
	p.Stdin, p.Stdout = stdin, stdout
	if stdout == nil {
		p.Stdout = &lines{}
	}
	if err := p.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // its state is looked at where it matters
		close(p.ended)
	}()
	w.t.Cleanup(func() {
		p.interrupt()
		if strings.Contains(p.stderr.String(), "WARNING: DATA RACE") {
			w.t.Errorf("outcry %s: data race\n%s", p.name, p.stderr)
		}
	})
	return p
}

// interrupt sends Ctrl-C and waits for the end.
func (p *process) interrupt() {
	if p.running() {
		_ = p.Process.Signal(os.Interrupt) // it may just have ended
	}
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		_ = p.Process.Kill()
		<-p.ended
		p.t.Errorf("outcry %s did not end within a minute of Ctrl-C\n%s", p.name, tail(p.stderr.String()))
	}
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill sends SIGKILL and proves that the process died of it.
func (p *process) kill() {
	p.t.Helper()
	if !p.running() {
		p.t.Fatalf("outcry %s ended by itself before it could be killed: %v\n%s", p.name, p.ProcessState, tail(p.stderr.String()))
	}
	if err := p.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.ended
	status, ok := p.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		p.t.Fatalf("outcry %s was not killed: %v", p.name, p.ProcessState)
	}
}

// children returns the process ids of the children of a process.
func children(pid int) []int {
	var out []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(t) // a thread that has ended has none
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// engines starts the engines by themselves and points the stages to them.
func (w *world) engines() *process {
	w.t.Helper()
	out := &lines{}
	p := w.start(out, "engines")
	w.until("the engines are up", 2*time.Minute, func() bool {
		if !p.running() {
			w.t.Fatalf("outcry engines ended: %v\n%s", p.ProcessState, tail(p.stderr.String()))
		}
		return strings.Contains(out.String(), "OUTCRY_CLICKHOUSE_PASSWORD=")
	})
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		w.set(name, value)
	}
	return p
}

// bus is the Kafka that the stages use.
func (w *world) bus() *bus.Bus {
	b := bus.New(bus.Config{Brokers: strings.Split(w.get("OUTCRY_KAFKA_BROKERS"), ","), Prefix: w.get("OUTCRY_KAFKA_PREFIX")}, slog.New(slog.DiscardHandler))
	w.t.Cleanup(b.Close)
	return b
}

// left returns how many records of a topic a group has not committed.
func (w *world) left(b *bus.Bus, group, topic string) (left int64) {
	w.t.Helper()
	offsets, err := b.Offsets(w.t.Context(), topic)
	if err != nil {
		w.t.Fatal(err)
	}
	committed, err := b.Committed(w.t.Context(), group, topic)
	if err != nil {
		w.t.Fatal(err)
	}
	for p, o := range offsets {
		left += o.Next - max(o.First, committed[p])
	}
	return left
}

// committed returns how many records of a topic a group has committed.
func (w *world) committed(b *bus.Bus, group, topic string) (n int64) {
	w.t.Helper()
	committed, err := b.Committed(w.t.Context(), group, topic)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range committed {
		n += max(0, c)
	}
	return n
}

// until waits for something to come true.
func (w *world) until(what string, within time.Duration, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited %s in vain until %s", within, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// tail returns the last lines of what a process said.
func tail(s string) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-30):], "\n")
}

// jsonLines decodes JSON lines.
func jsonLines[R any](t *testing.T, s string) []R {
	t.Helper()
	var out []R
	scanner := bufio.NewScanner(strings.NewReader(s))
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var r R
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s", err, scanner.Text())
		}
		out = append(out, r)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// data returns the path of a file of real posts.
func data(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("E2E_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Fatalf("this test reads real posts, which are not in the repository: put %s into ../shared/data beside it, or name its folder in E2E_DATA", name)
	} else if err != nil {
		t.Fatal(err)
	}
	return path
}
