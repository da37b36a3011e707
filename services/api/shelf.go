package api

import (
	"sync"
	"time"
)

// shelf keeps answers in memory, up to maxKeptBytes.
type shelf struct {
	mu      sync.Mutex
	answers map[string]*kept
	bytes   int
	making  map[string]*making
}

// making is an answer that is being made, for all who wait for it.
type making struct {
	done chan struct{}
	k    *kept
	err  error
}

func newShelf() *shelf { return &shelf{answers: map[string]*kept{}, making: map[string]*making{}} }

// get returns an answer that is still fresh, or nil.
func (s *shelf) get(name string, now time.Time) *kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.answers[name]
	if k == nil || now.After(k.until) {
		return nil
	}
	return k
}

// once has several who ask at the same time for the same thing wait for one answer.
func (s *shelf) once(name string, f func() (*kept, error)) (*kept, error) {
	s.mu.Lock()
	if m := s.making[name]; m != nil {
		s.mu.Unlock()
		<-m.done
		if m.err == nil {
			return m.k, nil
		}
		return f() // what went wrong may have been the other one's, who went away
	}
	m := &making{done: make(chan struct{}), err: errNotKept}
	s.making[name] = m
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.making, name)
		s.mu.Unlock()
		close(m.done)
	}()
	m.k, m.err = f()
	if m.err == nil {
		m.k.seal()
	}
	return m.k, m.err
}

// put keeps an answer, and gives up others where there is no room.
func (s *shelf) put(name string, k *kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.answers[name]; old != nil {
		s.bytes -= len(old.body)
	}
	s.answers[name] = k
	s.bytes += len(k.body) + 500
	for other, old := range s.answers { // in no order
		if s.bytes <= maxKeptBytes {
			break
		}
		if other != name {
			delete(s.answers, other)
			s.bytes -= len(old.body) + 500
		}
	}
}
