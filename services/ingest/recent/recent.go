// Package recent remembers the last few of many things within a fixed size. It must never grow beyond it.
package recent

import "sync"

// Map holds the newest keys and their values; the oldest key goes when another comes. Safe for concurrent use.
type Map[V any] struct {
	mu     sync.Mutex
	values map[string]V
	keys   []string // a ring
	at     int
	most   int
}

// New returns a Map of at most so many keys, 1 or more.
func New[V any](most int) *Map[V] {
	return &Map[V]{values: make(map[string]V), most: max(1, most)}
}

// Get returns the value of a key.
func (m *Map[V]) Get(key string) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok = m.values[key]
	return value, ok
}

// Put sets the value of a key and returns the one before. A key that is there keeps its age.
func (m *Map[V]) Put(key string, value V) (before V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, ok = m.values[key]
	m.values[key] = value
	if ok {
		return before, true
	}
	if len(m.keys) < m.most {
		m.keys = append(m.keys, key)
		return before, false
	}
	delete(m.values, m.keys[m.at])
	m.keys[m.at] = key
	m.at = (m.at + 1) % m.most
	return before, false
}
