package store_test

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
	for round := range 40 {
		of := store.MinutesOf{Points: make([]store.Point, store.DayMinutes)}
		var band *store.Expectation
		for i := range of.Points {
			p := &of.Points[i]
			switch change := random.IntN(1 + 10*round); {
			case i > 0 && change > 3:
				*p = of.Points[i-1] // rounds with ever longer runs, the last of them of whole hours
			case change == 0:
				band = nil
			case change == 1:
				band = &store.Expectation{Expected: random.Float64(), Lower: -random.Float64(), Upper: 1e9 * random.Float64()}
			}
			if i == 0 || random.IntN(1+round) == 0 {
				*p = store.Point{People: random.IntN(9), Mentions: random.IntN(1 << random.IntN(30)), Expected: band}
			}
			p.Start = start.Add(time.Duration(i) * time.Minute)
		}
		for range round % 3 {
			of.Alarms = append(of.Alarms, store.SpikeWindow{Service: "skype", Alarm: true, Window: time.Hour, End: start.Add(time.Duration(random.IntN(25*3600)) * time.Second), Observed: random.IntN(1000),
				Expected: random.Float64(), Lower: random.Float64(), Upper: random.Float64(), Threshold: random.Float64(), Score: random.Float64(), HistoryMinutes: random.IntN(1e6)})
		}
		packed, err := store.PackDay(start, of)
		must(t, err)
		got, err := store.UnpackDay(packed, "skype", start)
		must(t, err)
		if diff := cmp.Diff(of, got); diff != "" {
			t.Fatalf("round %d (-packed +unpacked):\n%s", round, diff)
		}
		for range 200 { // what was damaged is refused, or is a day, and never the end of the process
			damaged := append([]byte(nil), packed...)
			damaged[random.IntN(len(damaged))] ^= byte(1 + random.IntN(255))
			damaged = damaged[:len(damaged)-random.IntN(2)*random.IntN(len(damaged))]
			if _, err := store.UnpackDay(damaged, "skype", start); err == nil && len(damaged) < len(packed)/2 {
				t.Errorf("half a day is no error")
			}
		}
	}
	if _, err := store.PackDay(start, store.MinutesOf{}); err == nil {
		t.Error("a day without minutes was packed")
	}
	empty, err := store.PackDay(start, store.MinutesOf{Points: make([]store.Point, store.DayMinutes)})
	must(t, err)
	if len(empty) > 40 {
		t.Errorf("an empty day has %d bytes", len(empty))
	}
}
