package recent

import (
	"fmt"
	"testing"
)

func TestTheOldestGoes(t *testing.T) {
	m := New[int](3)
	for i := range 5 {
		if _, ok := m.Put(fmt.Sprint(i), i); ok {
			t.Errorf("%d was there", i)
		}
	}
	for i := range 5 {
		if v, ok := m.Get(fmt.Sprint(i)); ok != (i >= 2) || ok && v != i {
			t.Errorf("%d: %d, %t", i, v, ok)
		}
	}
	if before, ok := m.Put("2", 7); !ok || before != 2 {
		t.Errorf("%d, %t", before, ok)
	}
	m.Put("5", 5)
	if _, ok := m.Get("2"); ok {
		t.Error("2 was set again, and is the oldest all the same")
	}
}

func TestSizeStays(t *testing.T) {
	m := New[struct{}](100)
	for i := range 100_000 {
		m.Put(fmt.Sprint(i), struct{}{})
	}
	if len(m.values) != 100 || len(m.keys) != 100 {
		t.Errorf("%d values, %d keys", len(m.values), len(m.keys))
	}
}
