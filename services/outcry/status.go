package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// statusLine keeps a line on standard error up to date: rewritten in place on a terminal, now and then below each other elsewhere.
type statusLine struct {
	w        io.Writer
	terminal bool
	text     func() string
	printing sync.Mutex
	stop     chan struct{}
	done     sync.WaitGroup
}

const (
	statusOnTerminal = 200 * time.Millisecond
	statusElsewhere  = 5 * time.Second
)

// status begins a line that text fills.
func (a *app) status(text func() string) *statusLine {
	s := &statusLine{w: a.stderr, terminal: isTerminal(a.stderr), text: text, stop: make(chan struct{})}
	every := statusElsewhere
	if s.terminal {
		every = statusOnTerminal
	}
	s.done.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-t.C:
				s.print()
			}
		}
	})
	return s
}

func (s *statusLine) print() {
	s.printing.Lock()
	defer s.printing.Unlock()
	if s.terminal {
		fmt.Fprintf(s.w, "\r\033[K%s", s.text())
		return
	}
	fmt.Fprintln(s.w, s.text())
}

// interrupt puts a line that stays above the one that is kept up to date.
func (s *statusLine) interrupt(line string) {
	s.printing.Lock()
	defer s.printing.Unlock()
	if s.terminal {
		fmt.Fprint(s.w, "\r\033[K")
	}
	fmt.Fprintln(s.w, line)
}

// end takes the line away. It must be called once.
func (s *statusLine) end() {
	close(s.stop)
	s.done.Wait()
	if s.terminal {
		fmt.Fprint(s.w, "\r\033[K")
	}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
