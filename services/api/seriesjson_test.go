package api

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/store"
)

// asEncodingJSON is a series by way of the types that describe it.
func asEncodingJSON(t *testing.T, s *stretch) string {
	t.Helper()
	described := newSeriesJSON(s)
	for i := range s.Points {
		described.Points = append(described.Points, newPointJSON(&s.Points[i]))
	}
	described.Alarms = append([]span{}, s.Alarms...)
	out, err := json.Marshal(described)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestSeriesWritesWhatEncodingJSONWould(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() float64 {
		if random.IntN(4) == 0 {
			return float64(random.IntN(5))
		}
		return (random.Float64() - 0.5) * math.Pow(10, float64(random.IntN(60)-30))
	}
	for n := range 300 {
		start := []time.Time{time.Date(2010, 12, 22, 21, 58, 0, 0, time.UTC), time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2024, 2, 29, 12, 0, 7, 5000, time.FixedZone("", 3600))}[n%3]
		step := []time.Duration{time.Minute, time.Hour, 24 * time.Hour}[n%2]
		s := &stretch{Service: &catalog.Service{ID: `a"<é`}, From: start.UTC(), To: start.Add(7 * step).UTC(), Step: step}
		band := &store.Expectation{Expected: number(), Lower: number(), Upper: number()}
		for i := range n % 7 {
			p := store.Point{Start: start.Add(time.Duration(i) * step).UTC(), People: random.IntN(1 << random.IntN(9)), Mentions: random.IntN(1 << random.IntN(12)), Ingested: random.IntN(1e6)}
			switch random.IntN(4) {
			case 0:
			case 1:
				band = &store.Expectation{Expected: number(), Lower: number(), Upper: number()}
				fallthrough
			default:
				p.Expected = band
			}
			s.Points = append(s.Points, p)
		}
		if n%2 == 0 {
			s.Alarms = append(s.Alarms, span{From: start.UTC(), To: start.Add(time.Minute).UTC()})
		}
		want := asEncodingJSON(t, s)
		got, err := appendSeries(nil, s)
		if err != nil || string(got) != want {
			t.Fatalf("%v: got  %s\nwant %s", err, got, want)
		}
		w := httptest.NewRecorder()
		if err := writeSeries(w, httptest.NewRequest("GET", "/v1/series", nil), true, s, s); err != nil || w.Body.String() != `{"series":[`+want+`,`+want+"]}\n" {
			t.Fatalf("%v: several: %s", err, w.Body)
		}
	}
	for _, e := range []store.Expectation{{Upper: math.NaN()}, {Lower: math.Inf(-1)}} {
		s := &stretch{Service: &catalog.Service{}, Step: time.Minute, Points: []store.Point{{Expected: &e}}}
		if _, err := appendSeries(nil, s); err == nil {
			t.Error("what is no number was written")
		}
	}
}

// BenchmarkSeriesOfADay unpacks a day and writes it as JSON, beside what encoding/json takes for the writing alone.
func BenchmarkSeriesOfADay(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []string{"one band", "a band each minute"} {
		start := time.Date(2010, 12, 22, 0, 0, 0, 0, time.UTC)
		of := store.MinutesOf{}
		band := &store.Expectation{Expected: 1.5, Upper: 4}
		for i := range store.DayMinutes {
			if kind != "one band" {
				band = &store.Expectation{Expected: random.Float64(), Upper: 4 * random.Float64()}
			}
			of.Points = append(of.Points, store.Point{Start: start.Add(time.Duration(i) * time.Minute), People: random.IntN(4), Mentions: random.IntN(4), Ingested: 5000, Expected: band})
		}
		packed, err := store.PackDay(start, of)
		if err != nil {
			b.Fatal(err)
		}
		s := &stretch{Service: &catalog.Service{ID: "skype"}, From: start, To: start.Add(day), Step: time.Minute, Points: of.Points}
		b.Run(kind+"/encoding-json", func(b *testing.B) {
			described := newSeriesJSON(s)
			for i := range s.Points {
				described.Points = append(described.Points, newPointJSON(&s.Points[i]))
			}
			for b.Loop() {
				if _, err := json.Marshal(described); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind+"/unpack", func(b *testing.B) {
			for b.Loop() {
				if _, err := store.UnpackDay(packed, "skype", start); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind+"/write", func(b *testing.B) {
			var out []byte
			for b.Loop() {
				if out, err = appendSeries(out[:0], s); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind+"/answer", func(b *testing.B) {
			r := httptest.NewRequest("GET", "/", nil)
			for b.Loop() {
				m, err := store.UnpackDay(packed, "skype", start)
				if err != nil {
					b.Fatal(err)
				}
				s.Points = m.Points
				if err := writeSeries(discard{}, r, false, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// discard is an answer that nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
