package clickhouse

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"time"

	"outcry.dev/pkg/embedded/internal/dirlock"
)

// Config says where the engine and its data are, and what it may use.
type Config struct {
	// DataDir holds the tables, the engine's settings and its log. Needed; made if it is not there.
	DataDir string
	// Library is the path of libchdb.so. Empty fetches it once into CacheDir.
	Library string
	// CacheDir is where the fetched library is kept. Empty is os.UserCacheDir()/outcry.
	CacheDir string
	// NativePort and HTTPPort are on 127.0.0.1; 0 takes free ones, which then stay the same over restarts of the engine.
	NativePort, HTTPPort int
	// Password of the user that clients are. Empty makes a random one at every Start.
	Password string
	// Users are more users beside the one that clients are: the engine takes users from its settings alone, not by CREATE USER.
	Users []User
	// MaxMemoryBytes is what all queries, inserts and merges may hold together; beyond it they fail, the engine goes on.
	// 0 is DefaultConfig's.
	MaxMemoryBytes int64
	// StartTimeout is how long the engine may take until it answers. 0 is DefaultConfig's.
	StartTimeout time.Duration
	// CloseTimeout is how long it may take to end before it is killed, which costs no data. 0 is DefaultConfig's.
	CloseTimeout time.Duration
	// NoRestart leaves the engine dead once it has died: Done is closed then.
	NoRestart bool
	// Progress shows how far the fetch is. Nil shows nothing.
	Progress io.Writer
}

// User may log in from this machine and do what it is granted.
type User struct {
	Name     string // lower-case letters, digits and underscores
	Password string // needed
	// Settings are ClickHouse's own, such as readonly: 1.
	Settings map[string]string
	// Grants are what follows GRANT, without TO: "SELECT ON outcry.incidents_current".
	Grants []string
}

var userNamePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

func (u User) validate() error {
	var faults []error
	if !userNamePattern.MatchString(u.Name) || u.Name == userName || u.Name == "default" {
		faults = append(faults, fmt.Errorf("ClickHouse's user %q is not named by lower-case letters, digits and underscores, or is there already", u.Name))
	}
	if u.Password == "" {
		faults = append(faults, fmt.Errorf("ClickHouse's user %q has no password", u.Name))
	}
	for name := range u.Settings {
		if !userNamePattern.MatchString(name) {
			faults = append(faults, fmt.Errorf("ClickHouse has no setting %q", name))
		}
	}
	return errors.Join(faults...)
}

// DefaultConfig is right for a machine that the pipeline shares with a person. It lacks the data folder.
func DefaultConfig() Config {
	return Config{
		MaxMemoryBytes: 2 << 30,
		StartTimeout:   time.Minute,
		CloseTimeout:   10 * time.Second,
	}
}

// leastMemory is what the engine needs to answer at all.
const leastMemory = 256 << 20

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var faults []error
	if c.DataDir == "" {
		faults = append(faults, errors.New("the embedded ClickHouse has no data folder"))
	}
	for _, u := range c.Users {
		faults = append(faults, u.validate())
	}
	for name, port := range map[string]int{"native": c.NativePort, "HTTP": c.HTTPPort} {
		if port < 0 || port > 65535 {
			faults = append(faults, fmt.Errorf("ClickHouse's %s port %d is outside 0 to 65535", name, port))
		}
	}
	if c.NativePort != 0 && c.NativePort == c.HTTPPort {
		faults = append(faults, fmt.Errorf("ClickHouse's native and HTTP port are both %d", c.HTTPPort))
	}
	if c.MaxMemoryBytes != 0 && c.MaxMemoryBytes < leastMemory {
		faults = append(faults, fmt.Errorf("ClickHouse cannot work in %d bytes of memory: allow at least %d", c.MaxMemoryBytes, leastMemory))
	}
	if c.StartTimeout < 0 || c.CloseTimeout < 0 {
		faults = append(faults, errors.New("ClickHouse's start and close timeouts cannot be below zero"))
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	standard := DefaultConfig()
	c.MaxMemoryBytes = cmp.Or(c.MaxMemoryBytes, standard.MaxMemoryBytes)
	c.StartTimeout = cmp.Or(c.StartTimeout, standard.StartTimeout)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, standard.CloseTimeout)
	return c
}

// Server is a running engine and what keeps it running.
type Server struct {
	cfg          Config
	log          *slog.Logger
	files        layout
	lock         *dirlock.Lock
	library      string
	password     string
	native, http int

	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the engine will not come back
	close   sync.Once

	mu    sync.Mutex
	child *child // nil between a death and the next start
	err   error  // why it gave up
}

// Start fetches the library if there is none, starts the engine and waits until it answers. ctx bounds all that and nothing
// later: the engine runs until Close. An engine that dies is started again on the same ports and data; see Done.
func Start(ctx context.Context, cfg Config, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("find the data folder: %w", err)
	}
	library, err := Library(ctx, cfg)
	if err != nil {
		return nil, err
	}
	lock, err := dirlock.Acquire(dir)
	if err != nil {
		return nil, fmt.Errorf("start the embedded ClickHouse: %w", err)
	}
	s := &Server{
		cfg: cfg, log: log, files: layout{dir}, lock: lock, library: library, password: cfg.Password,
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	if s.password == "" {
		s.password = rand.Text()
	}
	first, err := s.first(ctx)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	s.child = first
	go s.supervise(first)
	return s, nil
}

// first starts the engine on the configured ports, or on free ones. It is tried more than once where somebody else has taken a free port
// between the choice and its use, and where the engine was killed.
func (s *Server) first(ctx context.Context) (*child, error) {
	err := s.awaitPredecessor(ctx)
	if err != nil {
		return nil, err
	}
	for range 3 {
		if s.native, s.http, err = choosePorts(ctx, s.cfg.NativePort, s.cfg.HTTPPort); err != nil {
			return nil, err
		}
		if err := writeSettings(s.files, s.native, s.http, s.cfg.MaxMemoryBytes, max(2, runtime.NumCPU()/2), s.password, s.cfg.Users); err != nil {
			return nil, err
		}
		var started *child
		if started, err = s.launch(ctx); err == nil {
			return started, nil
		}
		var died death
		if killed := errors.As(err, &died) && died.signal; ctx.Err() != nil || !killed && !portTaken(ctx, s.native) && !portTaken(ctx, s.http) {
			break
		}
	}
	return nil, err
}

// awaitPredecessor gives the engine of a parent that was killed a moment ago the time to end.
func (s *Server) awaitPredecessor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*outlive)
	defer cancel()
	if err := dirlock.AwaitFree(ctx, s.files.status()); err != nil {
		return fmt.Errorf("start the embedded ClickHouse: another engine still works on %s: %w", s.files.dir, err)
	}
	return nil
}

// choosePorts replaces zeros by free ports.
func choosePorts(ctx context.Context, native, http int) (int, int, error) {
	for _, port := range []*int{&native, &http} {
		listener, err := listen(ctx, *port)
		if err != nil {
			return 0, 0, fmt.Errorf("choose ClickHouse's ports: %w: stop what uses it, or choose another port (0 takes a free one)", err)
		}
		defer listener.Close() // held until both are chosen, so that they differ
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return native, http, nil
}

func portTaken(ctx context.Context, port int) bool {
	listener, err := listen(ctx, port)
	if err != nil {
		return true
	}
	listener.Close()
	return false
}

func listen(ctx context.Context, port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", loopback(port))
}

// Addr is where the native protocol is spoken, as host:port. It stays the same over restarts of the engine.
func (s *Server) Addr() string { return loopback(s.native) }

// HTTPAddr is where HTTP is spoken, as host:port. It stays the same over restarts of the engine.
func (s *Server) HTTPAddr() string { return loopback(s.http) }

// User is who clients are.
func (s *Server) User() string { return userName }

// Password is the user's: the configured one, or this Start's own.
func (s *Server) Password() string { return s.password }

// LogPath is the engine's log.
func (s *Server) LogPath() string { return s.files.log() }

// PID is the engine's process now, or 0 while there is none.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return 0
	}
	return s.child.pid
}

// Done is closed when the engine has ended and will not be started again: after Close, after too many quick deaths, or after
// the first with NoRestart.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why the engine has ended, with what its log says of it. It is nil while it runs and after Close.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the engine in an orderly way, or kills it when that takes longer than CloseTimeout, and gives the data folder
// free. Later calls wait for the first.
func (s *Server) Close() error {
	s.close.Do(func() { close(s.closing) })
	<-s.done
	return nil
}

func (s *Server) setChild(c *child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child = c
}

func (s *Server) giveUp(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}
