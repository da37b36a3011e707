package api

import (
	"testing"
	"time"

	"outcry.dev/pkg/store"
)

func TestWhatWasWritten(t *testing.T) {
	at := time.Date(2010, 12, 22, 0, 0, 0, 0, time.UTC)
	part := func(first, last int64, mutation uint64, hour int) store.Part {
		return store.Part{Table: "spike_windows", Partition: "201012", FirstInsert: first, LastInsert: last, Mutation: mutation, From: at.Add(time.Duration(hour) * time.Hour), To: at.Add(time.Duration(hour+1) * time.Hour)}
	}
	var w written
	for _, look := range []struct {
		name    string
		parts   []store.Part
		changed int
		all     bool
	}{
		{"the first look", []store.Part{part(1, 1, 0, 0), part(3, 3, 0, 1)}, 2, true},
		{"nothing", []store.Part{part(1, 1, 0, 0), part(3, 3, 0, 1)}, 0, false},
		{"an insert", []store.Part{part(1, 1, 0, 0), part(3, 3, 0, 1), part(4, 4, 0, 2)}, 1, false},
		{"a merge", []store.Part{part(1, 1, 0, 0), part(3, 4, 0, 1)}, 0, false},
		{"an insert that came before another and ended after it", []store.Part{part(1, 1, 0, 0), part(2, 2, 0, 5), part(3, 4, 0, 1)}, 1, false},
		{"a merge of all", []store.Part{part(1, 4, 0, 0)}, 0, false},
		{"an insert that was merged before it was seen", []store.Part{part(1, 5, 0, 0)}, 1, false},
		{"another month", []store.Part{part(1, 5, 0, 0), {Table: "spike_windows", Partition: "201101", FirstInsert: 1, LastInsert: 1}}, 1, false},
		{"a month is dropped", []store.Part{part(1, 5, 0, 0)}, 0, true},
		{"rows are changed in their place", []store.Part{part(1, 5, 6, 0)}, 1, true},
	} {
		changed, all := w.add(look.parts)
		if len(changed) != look.changed || all != look.all {
			t.Errorf("%s: %d changed, all %v; want %d, %v", look.name, len(changed), all, look.changed, look.all)
		}
	}
}
