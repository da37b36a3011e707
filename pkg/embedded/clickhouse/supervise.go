package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/creack/pty" // opens a terminal on Linux and macOS, without cgo
)

// child is one process of the engine.
type child struct {
	pid     int
	process *os.Process
	input   io.Closer // closing it ends the engine in an orderly way
	life    io.Closer // closing it, or dying, bounds how long that may take
	output  *tail
	ended   chan struct{} // closed when the process has gone
	state   *os.ProcessState
	started time.Time
	logged  int64 // bytes that the log had before it
}

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	// An engine that dies younger than quickDeath, patience times in a row, would do so for ever.
	quickDeath = time.Minute
	patience   = 6
)

// supervise starts the engine again when it dies, until Close or until it has died quickly too often.
func (s *Server) supervise(c *child) {
	defer close(s.done)
	defer func() {
		if err := s.lock.Release(); err != nil {
			s.log.Warn("release ClickHouse's data folder", "err", err)
		}
	}()
	quick, pause := 0, firstPause
	for {
		select {
		case <-s.closing:
			s.end(c)
			s.setChild(nil)
			return
		case <-c.ended:
		}
		s.setChild(nil)
		died := s.death(c)
		if s.cfg.NoRestart {
			s.giveUp(died)
			return
		}
		if time.Since(c.started) >= quickDeath {
			quick, pause = 0, firstPause
		}
		for c = nil; c == nil; {
			if quick++; quick >= patience {
				s.giveUp(fmt.Errorf("ClickHouse died %d times in a row: %w", quick, died))
				return
			}
			s.log.Warn("ClickHouse died and is started again", "deaths", quick, "pause", pause, "err", died)
			select {
			case <-s.closing:
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, longestPause)
			ctx, cancel := s.untilClose()
			next, err := s.launch(ctx)
			if err != nil && ctx.Err() != nil {
				cancel()
				return
			}
			cancel()
			c, died = next, err
		}
		s.setChild(c)
		s.log.Info("ClickHouse answers again", "pid", c.pid)
	}
}

// untilClose is a context that Close ends.
func (s *Server) untilClose() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// launch starts a process and waits until it answers. If it does not, nothing is left of it.
func (s *Server) launch(ctx context.Context) (*child, error) {
	c, err := s.spawn()
	if err != nil {
		return nil, fmt.Errorf("start ClickHouse: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.StartTimeout, fmt.Errorf("no answer on %s for %v", s.HTTPAddr(), s.cfg.StartTimeout))
	defer cancel()
	for {
		select {
		case <-c.ended:
			return nil, s.death(c)
		case <-ctx.Done():
			s.kill(c)
			return nil, fmt.Errorf("start ClickHouse: %w; its log is %s%s", context.Cause(ctx), s.LogPath(), s.lastWords(c))
		case <-time.After(20 * time.Millisecond):
			if s.answers(ctx) {
				return c, nil
			}
		}
	}
}

// standardInput gives the process a terminal to read (see arguments), or a pipe where there are none, as in some containers. The caller closes
// its end once it has started.
func (s *Server) standardInput(cmd *exec.Cmd, c *child) (end *os.File, err error) {
	terminal, end, err := pty.Open()
	if err != nil {
		s.log.Warn("the embedded ClickHouse has no terminal: a client that breaks off may end it, and it is then started again; mount devpts on /dev/pts", "error", err)
		if end, terminal, err = os.Pipe(); err != nil {
			return nil, err
		}
	}
	cmd.Stdin, c.input = end, terminal
	return end, nil
}

// spawn starts a process.
func (s *Server) spawn() (*child, error) {
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	lifeEnd, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer lifeEnd.Close()
	c := &child{output: &tail{}, ended: make(chan struct{}), life: life, started: time.Now(), logged: size(s.LogPath())}
	cmd := exec.CommandContext(context.Background(), exe) // it outlives the context of Start
	cmd.Args = append([]string{childName, s.library}, arguments(s.files)...)
	cmd.Dir = s.files.dir
	cmd.Env = append(os.Environ(), "TZ=UTC") // clickhouse-local does not heed its setting for it
	cmd.Stderr = c.output                    // standard output is what a person would see of the queries
	cmd.ExtraFiles = []*os.File{lifeEnd}
	cmd.SysProcAttr = processAttributes()
	cmd.WaitDelay = time.Second
	end, err := s.standardInput(cmd, c)
	if err != nil {
		return nil, errors.Join(err, life.Close())
	}
	defer end.Close()
	started := make(chan error)
	go func() {
		// The kernel kills the engine when the thread that started it ends, so that thread stays until the engine has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // the state says more
		c.state = cmd.ProcessState
		c.life.Close()
		c.input.Close()
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(err, life.Close(), c.input.Close())
	}
	c.process, c.pid = cmd.Process, cmd.Process.Pid
	return c, nil
}

// answers tells whether this engine, which alone knows the password, answers; a stranger on the port does not count.
func (s *Server) answers(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTPAddr()+"/?query=SELECT+1", nil)
	if err != nil {
		return false
	}
	request.SetBasicAuth(s.User(), s.Password())
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16))
	return err == nil && response.StatusCode == http.StatusOK && string(body) == "1\n"
}

// end closes the engine's standard input and waits for it; an engine that does not heed that is killed.
func (s *Server) end(c *child) {
	c.input.Close()
	select {
	case <-c.ended:
	case <-time.After(s.cfg.CloseTimeout):
		s.log.Warn("ClickHouse did not end in time and is killed, which costs no data", "timeout", s.cfg.CloseTimeout)
		s.kill(c)
	}
}

func (s *Server) kill(c *child) {
	_ = c.process.Kill() // fails only if it has ended
	<-c.ended
}

// death is how a process ended.
type death struct {
	text   string
	signal bool // not by itself
}

func (d death) Error() string { return d.text }

// death says how a process ended.
func (s *Server) death(c *child) error {
	text := fmt.Sprintf("ClickHouse ended (%v) after %v; its log is %s%s", c.state, time.Since(c.started).Round(time.Millisecond), s.LogPath(), s.lastWords(c))
	return death{text, !c.state.Exited()}
}

// lastWords are what the log and the process itself said that tells most of its end.
func (s *Server) lastWords(c *child) string {
	words := strings.TrimSpace(telling(logSince(s.LogPath(), c.logged)) + "\n" + telling(withoutChatter(c.output.String())))
	if words == "" {
		return ""
	}
	return " and says:\n" + words
}
