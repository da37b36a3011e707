package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clickhouse asks the engine itself, past everything that Outcry would leave out.
func (w *world) clickhouse(sql string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.get("OUTCRY_CLICKHOUSE_HTTP_ADDRESS")+"/?database=outcry", strings.NewReader(sql))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-ClickHouse-User", w.get("OUTCRY_CLICKHOUSE_USERNAME"))
	req.Header.Set("X-ClickHouse-Key", w.get("OUTCRY_CLICKHOUSE_PASSWORD"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s", sql, body)
	}
	return strings.TrimSpace(string(body))
}

// Deletes, edits and accounts that go, and a delete that comes before its post, from the source to the tables: the text is in no row of any part any
// more, not in the incident that showed it, and not in what anybody is shown; what was said by whom still counts, to the person.
func TestWithdrawnTextsAreGoneEverywhere(t *testing.T) {
	const people, deleted, edited, gone, stays, early = 40, 1, 2, 3, 4, 40
	w := newWorld(t)
	w.set("OUTCRY_INGEST_JETSTREAM_ENABLED", "false")
	api := freeAddress(t)
	w.set("OUTCRY_API_LISTEN", api)
	w.engines()
	events := filepath.Join(w.dir, "events.jsonl")
	file, err := os.Create(events)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	number := 0
	commit := func(author int, operation, text string) {
		number++
		record := ""
		if text != "" {
			record = fmt.Sprintf(`,"record":{"$type":"app.bsky.feed.post","langs":["en"],"text":%q}`, text)
		}
		fmt.Fprintf(file, `{"did":"did:plc:%d","time_us":%d,"kind":"commit","commit":{"rev":"r%d","operation":%q,"collection":"app.bsky.feed.post","rkey":"k%d"%s}}`+"\n",
			author, time.Now().UnixMicro(), number, operation, author, record)
	}
	word := func(author int) string { return fmt.Sprintf("giraffe%dx", author) }
	complaint := func(author int) string {
		return fmt.Sprintf("skype is down, I cannot sign in since %d minutes, says %s", author, word(author))
	}
	for _, stage := range [][]string{{"classifier"}, {"aggregator"}, {"api"}, {"ingest", "--format", "jetstream", "--follow", events}} {
		p := w.start(nil, stage...)
		defer func() {
			if t.Failed() {
				t.Log(p.name, tail(p.stderr.String()))
			}
		}()
	}
	for author := range people {
		commit(author, "create", complaint(author))
	}
	count := func(where string) string { return w.clickhouse("SELECT count() FROM mentions FINAL WHERE " + where) }
	w.until("everything that was said is in the table", 3*time.Minute, func() bool { return count("text LIKE '%giraffe%'") == fmt.Sprint(people) })
	shown := func(path string) string {
		resp, err := http.Get("http://" + api + path)
		if err != nil {
			return "" // it is starting
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	w.until("an incident is open", 3*time.Minute, func() bool { return strings.Contains(shown("/v1/incidents"), `"service":"skype"`) })

	commit(deleted, "delete", "")
	commit(edited, "update", "skype is down, I cannot sign in since a while, says zebra")
	fmt.Fprintf(file, `{"did":"did:plc:%d","time_us":%d,"kind":"account","account":{"active":false,"status":"deleted"}}`+"\n", gone, time.Now().UnixMicro())
	commit(early, "delete", "")
	commit(early, "create", complaint(early))
	w.until("the last of it is counted", 3*time.Minute, func() bool {
		return count("post_id LIKE '%k"+fmt.Sprint(early)+"'") == "1" && count("text LIKE '%zebra%'") == "1"
	})
	w.until("what was withdrawn is gone", 3*time.Minute, func() bool {
		everything := shown("/v1/incidents") + shown("/services/skype")
		for _, author := range []int{deleted, edited, gone, early} {
			if count("text LIKE '%"+word(author)+" %' OR text LIKE '%"+word(author)+"'") != "0" || strings.Contains(everything, word(author)) {
				return false
			}
		}
		return strings.Contains(everything, `"service":"skype"`)
	})
	// What is under it goes when parts are merged, as they are by and by.
	for _, table := range strings.Fields(w.clickhouse("SELECT name FROM system.tables WHERE database = 'outcry' AND engine LIKE '%MergeTree' FORMAT TabSeparated")) {
		w.clickhouse("OPTIMIZE TABLE `" + table + "` FINAL")
		held := w.clickhouse("SELECT arrayFilter(x -> position(r, x) > 0, ['" + strings.Join([]string{word(deleted), word(edited), word(gone), word(early)}, "','") +
			"']) AS f FROM (SELECT toString(tuple(*)) AS r FROM `" + table + "`) WHERE notEmpty(f)")
		if held != "" {
			t.Errorf("table %s still holds %s", table, held)
		}
	}
	if n := count("text LIKE '%" + word(stays) + "%'"); n != "1" {
		t.Errorf("what nobody withdrew is there %s times", n)
	}
	if n := w.clickhouse("SELECT uniqExact(author), uniqExact(id) FROM mentions FINAL WHERE service = 'skype'"); n != "41\t41" {
		t.Errorf("people and mentions are %s", n)
	}
	if n := w.clickhouse("SELECT sum(posts) FROM service_minute_counts WHERE service = 'skype'"); n != "41" {
		t.Errorf("%s mentions are counted", n)
	}
}
