package clickhouse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"outcry.dev/pkg/embedded/internal/dirlock"
)

// alive tells whether a process exists. An engine whose parent has gone is reaped by whoever inherits it, which a container
// may lack: a zombie is not alive.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !onLinux
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

var onLinux = func() bool { _, err := os.Stat("/proc/self/stat"); return err == nil }()

func kill(t *testing.T, pid int) {
	t.Helper()
	if !alive(pid) {
		t.Fatalf("process %d was not running", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestDataSurvivesKillAndTheEngineComesBack(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir()})
	s.must(t, "CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id")
	rows := 0
	for range 3 {
		s.must(t, "INSERT INTO seen SELECT number FROM numbers(1000)")
		rows += 1000
		addr, killed := s.Addr(), s.PID()
		kill(t, killed)
		eventually(t, "a new process", func() bool { pid := s.PID(); return pid != 0 && pid != killed })
		if got := s.must(t, "SELECT count() FROM seen"); got != strconv.Itoa(rows) {
			t.Errorf("%s rows after the kill, want %d", got, rows)
		}
		if s.Addr() != addr {
			t.Errorf("native address went from %s to %s", addr, s.Addr())
		}
		if alive(killed) {
			t.Errorf("killed process %d lives", killed)
		}
	}
}

func TestEngineKilledBeforeItAnswersIsStartedAgain(t *testing.T) {
	start(t, Config{DataDir: t.TempDir()}) // fetches the library, if need be
	dir := t.TempDir()
	killed, started := make(chan int, 1), make(chan struct{})
	go func() {
		defer close(killed)
		for {
			processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, p := range processes {
				// As it is at once, before it can answer.
				if line, err := os.ReadFile(p); err == nil && strings.HasPrefix(string(line), childName+"\x00") && strings.Contains(string(line), dir) {
					pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
					if syscall.Kill(pid, syscall.SIGKILL) == nil {
						killed <- pid
						return
					}
				}
			}
			select {
			case <-started:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	s := start(t, Config{DataDir: dir})
	close(started)
	if pid := <-killed; pid == 0 || pid == s.PID() {
		t.Errorf("process %d was killed, %d is there", pid, s.PID())
	}
	s.must(t, "SELECT 1")
}

func TestWithoutRestartItSaysWhy(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{DataDir: dir, NoRestart: true})
	s.must(t, "CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id")
	s.must(t, "INSERT INTO seen VALUES (1), (2)")
	kill(t, s.PID())
	<-s.Done()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), s.LogPath()) || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the error does not name how it ended and its log: %v", err)
	}
	if s.PID() != 0 {
		t.Errorf("process %d after the end", s.PID())
	}
	again := start(t, Config{DataDir: dir})
	if got := again.must(t, "SELECT sum(id) FROM seen"); got != "3" {
		t.Errorf("sum %s after the restart, want 3", got)
	}
}

func TestCloseEndsTheProcessAndFreesTheFolder(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{DataDir: dir})
	pid, native, http := s.PID(), s.Addr(), s.HTTPAddr()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Errorf("process %d is there after Close", pid)
	}
	if s.Err() != nil {
		t.Errorf("error after Close: %v", s.Err())
	}
	for _, addr := range []string{native, http} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s answers after Close", addr)
		}
	}
	start(t, Config{DataDir: dir})
}

func TestSecondStartOnTheSameFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{DataDir: dir})
	_, err := Start(bounded(t), Config{DataDir: dir}, quiet())
	if !errors.Is(err, dirlock.ErrHeld) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second start: %v", err)
	}
	s.must(t, "SELECT 1") // the first is not disturbed
}

// beParent starts an engine, says who it is, and waits to be killed.
func beParent(dir string) {
	s, err := Start(context.Background(), Config{DataDir: dir}, quiet())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	signal.Ignore(os.Interrupt) // it heeds Ctrl-C when it wants to: never
	fmt.Println(s.PID(), s.HTTPAddr(), s.Password())
	select {}
}

// parent is a process that holds an engine.
func parent(t *testing.T, dir string) (cmd *exec.Cmd, engine int, addr, password string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe)
	cmd.Args = []string{parentName, dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &engine, &addr, &password); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return cmd, engine, addr, password
}

func TestKilledParentTakesTheEngineAlong(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{DataDir: t.TempDir()}).must(t, "SELECT 1") // fetches the library, if need be, outside the helper
	cmd, engine, addr, password := parent(t, dir)
	for _, sql := range []string{"CREATE TABLE seen (id UInt64) ENGINE = MergeTree ORDER BY id", "INSERT INTO seen VALUES (7)"} {
		if _, err := query(bounded(t), addr, userName, password, sql); err != nil {
			t.Fatal(err)
		}
	}
	if !alive(engine) {
		t.Fatal("the engine did not run")
	}
	kill(t, cmd.Process.Pid)
	if got := start(t, Config{DataDir: dir}).must(t, "SELECT id FROM seen"); got != "7" {
		t.Errorf("read %q, want 7", got)
	}
	eventually(t, "the engine ends after its parent was killed", func() bool { return !alive(engine) })
}

func TestCtrlCIsTheParentsToHeed(t *testing.T) {
	cmd, engine, addr, password := parent(t, t.TempDir())
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil { // as the terminal does: to the whole group
		t.Fatal(err)
	}
	if _, err := query(bounded(t), addr, userName, password, "SELECT 1"); err != nil || !alive(engine) {
		t.Errorf("the engine did not outlive Ctrl-C: %v", err)
	}
}

func TestOnlyThePasswordOpens(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir()})
	s.must(t, "CREATE TABLE secret (id UInt64) ENGINE = MergeTree ORDER BY id")
	ctx := bounded(t)
	if _, err := query(ctx, s.HTTPAddr(), s.User(), "wrong", "SELECT 1"); err == nil {
		t.Error("a wrong password opens")
	}
	for _, sql := range []string{
		"SELECT * FROM secret", "DROP TABLE secret", "CREATE TABLE other (id UInt64) ENGINE = Memory", "SELECT * FROM system.processes",
		"SELECT * FROM file('/etc/passwd', LineAsString)", "SELECT * FROM url('http://" + s.HTTPAddr() + "/ping', LineAsString)",
		"SYSTEM SHUTDOWN", "CREATE USER other", "SELECT * FROM system.users",
	} {
		if answer, err := query(ctx, s.HTTPAddr(), "default", "", sql); err == nil || !strings.Contains(err.Error(), "ACCESS_DENIED") {
			t.Errorf("%s without a password: %q, %v", sql, answer, err)
		}
	}
	if host, _, _ := net.SplitHostPort(s.Addr()); !net.ParseIP(host).IsLoopback() {
		t.Errorf("native protocol on %s", s.Addr())
	}
	settings, err := os.ReadFile(s.files.users())
	if err != nil || strings.Contains(string(settings), s.Password()) {
		t.Errorf("the password lies in the data folder (%v)", err)
	}
	if got := start(t, Config{DataDir: t.TempDir()}); got.Password() == s.Password() {
		t.Error("two servers have the same password")
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir()})
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range interfaces {
		ip := address.(*net.IPNet).IP
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		for _, listening := range []string{s.Addr(), s.HTTPAddr()} {
			_, port, _ := net.SplitHostPort(listening)
			if conn, err := net.Dial("tcp", net.JoinHostPort(ip.String(), port)); err == nil {
				conn.Close()
				t.Errorf("answers on %s port %s", ip, port)
			}
		}
	}
}

func TestBehavesAsAServerDoes(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir()})
	for sql, want := range map[string]string{
		"SELECT timezone()":                    "UTC",
		"SELECT currentUser()":                 userName,
		"SELECT getSetting('implicit_select')": "false",
		"SELECT toDateTime('2010-12-22 12:00:00') = toDateTime(1293019200)": "1",
	} {
		if got := s.must(t, sql); got != want {
			t.Errorf("%s is %s, want %s", sql, got, want)
		}
	}
}

// Clients break off and say what they should not; that is no reason for the engine to end.
func TestClientsThatBreakOffLeaveTheEngineAlone(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir()})
	pid := s.PID()
	text := func(s string) string { return string(rune(len(s))) + s }
	hello := func(password string) string {
		return "\x00" + text("client") + "\x18\x01" + "\xb2\xa9\x03" + text("default") + text(s.User()) + text(password)
	}
	logged := func() string {
		log, err := os.ReadFile(s.LogPath())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(log)
	}
	for name, client := range map[string]struct{ says, error string }{ // error is what the engine's log says of it
		"garbage":        {"\x63\x01", "Unexpected packet from client"},
		"wrong password": {hello("wrong"), "Authentication failed"},
		"half a hello":   {hello(s.Password())[:10], "Connection reset by peer"},
	} {
		// More than once, since one that breaks off before the engine has taken it up is another error.
		eventually(t, name+" is an error", func() bool {
			conn, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write([]byte(client.says)); err != nil {
				t.Fatal(err)
			}
			if name != "half a hello" {
				_, _ = io.Copy(io.Discard, conn) // until the engine closes it
			}
			if err := errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()); err != nil {
				t.Fatal(err)
			}
			return strings.Contains(logged(), client.error)
		})
		if got := s.must(t, "SELECT 1"); got != "1" || s.PID() != pid || strings.Contains(logged(), "<Fatal>") {
			t.Fatalf("%s: answer %s from process %d, was %d; %s", name, got, s.PID(), pid, telling(logged()))
		}
	}
}

// A port that is taken at the last moment is an error at once, not a wait for an answer.
func TestEngineThatCannotListenEnds(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir()})
	for _, taken := range []string{"native", "HTTP"} {
		other := &Server{cfg: s.cfg, log: quiet(), files: layout{t.TempDir()}, library: s.library, password: "x", native: s.native, http: s.http}
		other.cfg.StartTimeout = 20 * time.Minute
		if taken == "HTTP" {
			var err error
			if other.native, _, err = choosePorts(t.Context(), 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := writeSettings(other.files, other.native, other.http, leastMemory, 2, "x", nil); err != nil {
			t.Fatal(err)
		}
		if c, err := other.launch(bounded(t)); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			t.Errorf("%s port: started %v, %v", taken, c, err)
		}
	}
}

func TestQueryBeyondTheMemoryFailsAndTheEngineGoesOn(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir(), MaxMemoryBytes: leastMemory})
	pid := s.PID()
	_, err := query(bounded(t), s.HTTPAddr(), s.User(), s.Password(), "SELECT length(groupArray(number)) FROM numbers(100000000)")
	if err == nil || !strings.Contains(err.Error(), "MEMORY_LIMIT_EXCEEDED") {
		t.Errorf("got %v", err)
	}
	if got := s.must(t, "SELECT 1"); got != "1" || s.PID() != pid {
		t.Errorf("answer %s from process %d, was %d", got, s.PID(), pid)
	}
}

func TestGivesUpOnAnEngineThatKeepsDying(t *testing.T) {
	dir := t.TempDir()
	library := filepath.Join(dir, "library.so")
	cached, err := Library(bounded(t), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(cached, library); err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{DataDir: filepath.Join(dir, "data"), Library: library})
	if err := os.Remove(library); err != nil {
		t.Fatal(err)
	}
	kill(t, s.PID())
	select {
	case <-s.Done():
	case <-bounded(t).Done():
		t.Fatal("it tries for ever")
	}
	for _, part := range []string{fmt.Sprint(patience), library, s.LogPath()} {
		if err := s.Err(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	start(t, Config{DataDir: filepath.Join(dir, "data")}) // it has let go of the folder
}

func TestCloseWhileTheEngineIsAway(t *testing.T) {
	s := start(t, Config{DataDir: t.TempDir()})
	kill(t, s.PID())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.PID() != 0 {
		t.Errorf("process %d after Close", s.PID())
	}
}

func TestStartThatTakesTooLongLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{DataDir: t.TempDir()}) // fetches the library, if need be
	_, err := Start(bounded(t), Config{DataDir: dir, StartTimeout: time.Nanosecond}, quiet())
	if err == nil || !strings.Contains(err.Error(), "no answer") || !strings.Contains(err.Error(), filepath.Join(dir, "clickhouse.log")) {
		t.Errorf("start: %v", err)
	}
	start(t, Config{DataDir: dir})
}

func TestWrongLibraryIsNamed(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "not-a-library.so")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, library := range []string{text, filepath.Join(dir, "absent.so"), dir} {
		_, err := Start(bounded(t), Config{DataDir: filepath.Join(dir, "data"), Library: library}, quiet())
		if err == nil || !strings.Contains(err.Error(), library) {
			t.Errorf("start with %s: %v", library, err)
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	dir := t.TempDir()
	if _, err := Start(bounded(t), Config{DataDir: dir, HTTPPort: port}, quiet()); err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("start on a taken port: %v", err)
	}
	start(t, Config{DataDir: dir}) // the failed start has let go of the folder
}

func TestConfigurationFaultsComeTogether(t *testing.T) {
	err := Config{NativePort: -1, HTTPPort: 70000, MaxMemoryBytes: 1}.Validate()
	for _, part := range []string{"data folder", "native port -1", "HTTP port 70000", "1 bytes of memory"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	cfg := DefaultConfig()
	cfg.DataDir = "somewhere"
	if err := cfg.Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
}
