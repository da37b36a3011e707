package alerter

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"outcry.dev/services/alerter/alert"
	"outcry.dev/services/alerter/journal"
)

// told knows of which alerts somebody was told, by their labels, over restarts. Safe for concurrent use.
type told struct {
	mu      sync.Mutex
	keys    map[string]bool
	journal *journal.Journal
}

// openTold opens the file at path. One that is new takes a cluster elsewhere to have been told of all alerts that are known: they are from a time in
// which that was not kept.
func (a *Alerter) openTold(path string, known []alert.Alert) (*told, error) {
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	t := &told{keys: map[string]bool{}}
	t.journal, err = journal.Open(path, func(key []byte) error {
		t.keys[string(key)] = true
		return nil
	})
	if err != nil || !fresh || len(a.cfg.Alertmanagers) == 0 {
		return t, err
	}
	for _, k := range known {
		err = errors.Join(err, t.Add(k.Labels))
	}
	return t, err
}

// Has implements engine.Memory.
func (t *told) Has(labels map[string]string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys[fingerprint(labels)]
}

// Add implements engine.Memory. It is on disk when Add returns.
func (t *told) Add(labels ...map[string]string) error {
	t.mu.Lock()
	var records [][]byte
	for _, l := range labels {
		if key := fingerprint(l); !t.keys[key] {
			t.keys[key] = true
			records = append(records, []byte(key))
		}
	}
	t.mu.Unlock()
	return t.journal.Append(records...)
}

// keep forgets all other alerts.
func (t *told) keep(alerts []alert.Alert) error {
	known := map[string]bool{}
	for _, a := range alerts {
		known[fingerprint(a.Labels)] = true
	}
	upTo := t.journal.Size() // what is added from here on stays
	t.mu.Lock()
	maps.DeleteFunc(t.keys, func(key string, _ bool) bool { return !known[key] })
	var records [][]byte
	for _, key := range slices.Sorted(maps.Keys(t.keys)) {
		records = append(records, []byte(key))
	}
	t.mu.Unlock()
	return t.journal.Compact(upTo, records...)
}

func (t *told) close() error { return t.journal.Close() }

// fingerprint is the same for the same labels.
func fingerprint(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(k + "\xff" + labels[k] + "\xff")
	}
	return b.String()
}
