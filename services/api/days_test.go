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
	january := func(first, last int64) store.Part {
		return store.Part{Table: "spike_windows", Partition: "201101", FirstInsert: first, LastInsert: last, PerTable: true}
	}
	perTable := func(p store.Part) store.Part {
		p.PerTable = true
		return p
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
		{"inserts in two months", []store.Part{part(1, 5, 0, 0), part(7, 7, 0, 1), part(9, 9, 0, 2), january(6, 6), january(8, 8)}, 4, false},
		{"merges over numbers of the other month", []store.Part{perTable(part(1, 7, 0, 0)), part(9, 9, 0, 2), january(6, 8)}, 0, false},
		{"a merge over a number that nobody saw", []store.Part{perTable(part(1, 9, 0, 0)), january(6, 11)}, 1, false},
		{"an insert of which the other month's merge has the number in between", []store.Part{perTable(part(1, 9, 0, 0)), perTable(part(10, 10, 0, 5)), january(6, 11)}, 1, false},
		{"numbers within a partition", []store.Part{part(1, 11, 0, 0), january(6, 11)}, 1, false},
		{"one month again", []store.Part{part(1, 11, 0, 0)}, 0, true},
		{"rows are changed in their place", []store.Part{part(1, 11, 6, 0)}, 1, true},
	} {
		changed, all := w.add(look.parts)
		if len(changed) != look.changed || all != look.all {
			t.Errorf("%s: %d changed, all %v; want %d, %v", look.name, len(changed), all, look.changed, look.all)
		}
	}
}
