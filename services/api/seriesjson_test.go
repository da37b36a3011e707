package api

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestSeriesWritesWhatEncodingJSONWould(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() *float64 {
		if random.IntN(3) == 0 {
			return nil
		}
		f := (random.Float64() - 0.5) * math.Pow(10, float64(random.IntN(60)-30))
		if random.IntN(4) == 0 {
			f = float64(random.IntN(5))
		}
		return &f
	}
	start := time.Date(2010, 12, 22, 0, 0, 0, 0, time.UTC)
	for n := range 200 {
		s := seriesJSON{Service: `a"<é`, From: start, To: start.Add(time.Hour), Step: "1m", Unit: "people", Points: []pointJSON{}, Alarms: []span{}}
		for i := range n % 7 {
			s.Points = append(s.Points, pointJSON{Time: start.Add(time.Duration(i) * time.Minute), People: random.IntN(9), Mentions: random.IntN(1000), Ingested: random.IntN(1e6),
				Rate: number(), Expected: number(), Lower: number(), Upper: number()})
		}
		if n%2 == 0 {
			s.Alarms = append(s.Alarms, span{From: start, To: start.Add(time.Minute)})
		}
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.appendJSON(nil)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%v: got  %s\nwant %s", err, got, want)
		}
	}
	s := seriesJSON{Points: []pointJSON{{Upper: new(float64)}}}
	*s.Points[0].Upper = math.NaN()
	if _, err := s.appendJSON(nil); err == nil {
		t.Error("what is no number was written")
	}
}
