package e2e

import "testing"

// The classifier is measured beside the real engine, which must find names too.
func TestBenchClassifyBesideTheEngine(t *testing.T) {
	w := newWorld(t)
	type row struct {
		What  string  `json:"what"`
		Posts float64 `json:"posts_per_second"`
		Found int     `json:"found"`
	}
	results := jsonLines[struct {
		Posts int   `json:"posts"`
		Named int   `json:"named"`
		Rows  []row `json:"rows"`
	}](t, w.run("bench", "classify", "--posts", "2000", "--rounds", "1", "--json"))
	if len(results) != 1 || len(results[0].Rows) != 5 {
		t.Fatalf("%+v, want one result of five rows", results)
	}
	r := results[0]
	if r.Posts != 2000 || r.Named == 0 {
		t.Errorf("%d posts, of which %d name a service", r.Posts, r.Named)
	}
	for _, row := range r.Rows {
		if row.Posts <= 0 || row.Found == 0 {
			t.Errorf("%+v: nothing measured or found", row)
		}
	}
}
