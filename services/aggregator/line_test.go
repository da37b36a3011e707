package aggregator

import (
	"io"
	"net"
	"sync"
	"testing"
)

// line is the way to an engine. While it is cut the engine is away: what is under way breaks off in the middle, and nobody is let in.
type line struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	cut     bool
	refused int // callers since it was cut
	open    map[net.Conn]struct{}
	running sync.WaitGroup
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, to: to, open: map[net.Conn]struct{}{}}
	l.running.Go(l.accept)
	t.Cleanup(func() {
		listener.Close()
		l.setCut(true)
		l.running.Wait()
	})
	return l
}

func (l *line) addr() string { return l.listener.Addr().String() }

func (l *line) accept() {
	for {
		caller, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.carry(caller) })
	}
}

// carry copies both ways until either end, or the line, is cut.
func (l *line) carry(caller net.Conn) {
	defer caller.Close()
	engine, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer engine.Close()
	if !l.admit(caller, engine) {
		return
	}
	defer l.forget(caller, engine)
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{caller, engine}, {engine, caller}} {
		ways.Go(func() {
			io.Copy(way[0], way[1]) //nolint:errcheck // it ends with an error whenever the line is cut
			caller.Close()
			engine.Close()
		})
	}
	ways.Wait()
}

func (l *line) admit(ends ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		l.refused++
		return false
	}
	for _, c := range ends {
		l.open[c] = struct{}{}
	}
	return true
}

func (l *line) forget(ends ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range ends {
		delete(l.open, c)
	}
}

func (l *line) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.refused = cut, 0
	for c := range l.open {
		if cut {
			c.Close()
		}
	}
}

// missed tells how many callers found the line cut.
func (l *line) missed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}
