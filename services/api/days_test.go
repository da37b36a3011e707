package api

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/store"
)

func TestADayComesBackAsItWasPacked(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	start := time.Date(2010, 12, 22, 0, 0, 0, 0, time.UTC)
	var points []store.Point
	var ingested []int
	var band *store.Expectation
	for i := range dayMinutes {
		switch random.IntN(4) {
		case 0:
			band = nil
		case 1:
			band = &store.Expectation{Expected: random.Float64(), Lower: -random.Float64(), Upper: 1e9 * random.Float64()}
		}
		p := store.Point{Start: start.Add(time.Duration(i) * time.Minute), People: random.IntN(3), Mentions: random.IntN(1_000_000), Ingested: random.IntN(100), Expected: band}
		points = append(points, p)
		ingested = append(ingested, p.Ingested)
	}
	for _, r := range [][2]int{{0, dayMinutes}, {7, 900}, {1439, 1440}, {5, 5}} {
		got := unpack(nil, pack(points), packCounts(ingested), start, r[0], r[1])
		if diff := cmp.Diff(points[r[0]:r[1]], got, cmp.Transformer("none", func(p []store.Point) []store.Point { return append([]store.Point{}, p...) })); len(got) != r[1]-r[0] || r[1] > r[0] && diff != "" {
			t.Errorf("minutes %v (-packed +unpacked):\n%s", r, diff)
		}
	}
}

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
