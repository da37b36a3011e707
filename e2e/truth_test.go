package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// line is one post as the tests read it, independently of the command's own reader.
type line struct {
	ID        string    `json:"id"`
	Source    string    `json:"source"`
	Author    string    `json:"author"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"created_at"`
	RepostOf  string    `json:"repost_of,omitempty"`
}

// classified is a line that outcry classify prints.
type classified struct {
	ID       string
	Mentions []struct {
		Service, Label, Symptom string
		Score                   float64
	}
}

// cell is where a mention is counted.
type cell struct {
	Service string `json:"service"`
	Minute  string `json:"minute"`
	Label   string `json:"label"`
	Repost  bool   `json:"repost"`
}

// tally is what is counted there.
type tally struct{ Posts, People int }

// countsFrom counts what the tables should hold, in a few lines: distinct posts and distinct authors in each cell.
func countsFrom(t *testing.T, posts []line, labels []classified) map[cell]tally {
	t.Helper()
	if len(posts) != len(labels) {
		t.Fatalf("%d posts were classified, there are %d", len(labels), len(posts))
	}
	ids, authors := map[cell]map[string]bool{}, map[cell]map[string]bool{}
	for i, p := range posts {
		if labels[i].ID != p.ID {
			t.Fatalf("post %d is %s, classified as %s", i, p.ID, labels[i].ID)
		}
		for _, m := range labels[i].Mentions {
			c := cell{m.Service, p.CreatedAt.UTC().Truncate(time.Minute).Format(time.RFC3339), m.Label, p.RepostOf != ""}
			if ids[c] == nil {
				ids[c], authors[c] = map[string]bool{}, map[string]bool{}
			}
			ids[c][p.Source+"\x00"+p.ID] = true
			authors[c][p.Source+"\x00"+strings.ToLower(p.Author)] = true // one account, however it is spelled
		}
	}
	out := map[cell]tally{}
	for c := range ids {
		out[c] = tally{len(ids[c]), len(authors[c])}
	}
	return out
}

// countsIn reads the same from ClickHouse.
func countsIn(w *world) map[cell]tally {
	w.t.Helper()
	out := map[cell]tally{}
	for _, r := range rows[struct {
		cell
		Posts  int `json:"posts"`
		People int `json:"people"`
	}](w, `SELECT service, minute, label, repost, uniqExactMerge(posts) AS posts, uniqExactMerge(people) AS people
		FROM service_minutes GROUP BY service, minute, label, repost`) {
		at, err := time.Parse(time.RFC3339, r.Minute)
		if err != nil {
			w.t.Fatal(err)
		}
		r.Minute = at.UTC().Format(time.RFC3339)
		out[r.cell] = tally{r.Posts, r.People}
	}
	return out
}

// ingested returns how many posts the denominators say were read.
func ingested(w *world) int {
	w.t.Helper()
	return rows[struct {
		N int `json:"n"`
	}](w, "SELECT sum(posts) AS n FROM source_minute_counts")[0].N
}

// ingestedByMinute is the same, by the minute in which they were written.
func ingestedByMinute(w *world) map[string]int {
	w.t.Helper()
	out := map[string]int{}
	for _, r := range rows[struct {
		At string `json:"at"`
		N  int    `json:"n"`
	}](w, "SELECT toString(minute) AS at, sum(posts) AS n FROM source_minute_counts GROUP BY minute HAVING n > 0") {
		out[r.At] = r.N
	}
	return out
}

// equalCounts fails with the cells that differ.
func equalCounts(t *testing.T, got, want map[cell]tally) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		if len(diff) > 3000 {
			diff = diff[:3000] + "…"
		}
		t.Errorf("counts in ClickHouse differ from the truth (-want +got):\n%s", diff)
	}
}

func marshalLine(t *testing.T, l line) []byte {
	t.Helper()
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func names(n int) string { return fmt.Sprintf("person%d", n) }
