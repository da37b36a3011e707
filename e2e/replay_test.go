package e2e

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Real posts go through the whole pipeline, and what ClickHouse holds in the end is what was read.
func TestReplayOfRealPostsCountsWhatWasRead(t *testing.T) {
	for _, name := range []string{"spotify-2017-10.jsonl.gz", "support-2017-multi.jsonl.gz"} {
		t.Run(name, func(t *testing.T) {
			path := data(t, name)
			w := newWorld(t)
			posts := readGzip(t, path)
			labels := jsonLines[classified](t, w.run("classify", path))
			w.run("replay", "--keep", w.get("OUTCRY_DATA_DIR"), path)
			// What was kept is looked at without Kafka.
			if got, want := ingested(w), len(posts); got != want {
				t.Errorf("source_minutes counts %d posts, the file has %d", got, want)
			}
			equalCounts(t, countsIn(w), countsFrom(t, posts, labels))
		})
	}
}

func TestReplayOfATwitterSearchResponse(t *testing.T) {
	path := data(t, "samples/twitter_v11_search_100.json")
	w := newWorld(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var response struct{ Statuses []struct{ ID int64 } }
	if err := json.Unmarshal(raw, &response); err != nil {
		t.Fatal(err)
	}
	w.run("replay", "--format", "twitter-v1", "--keep", w.get("OUTCRY_DATA_DIR"), path)
	if got, want := ingested(w), len(response.Statuses); got != want || want != 100 {
		t.Errorf("source_minutes counts %d posts, the file has %d", got, want)
	}
	mentions := 0
	for _, c := range jsonLines[classified](t, w.run("classify", "--format", "twitter-v1", path)) {
		mentions += len(c.Mentions)
	}
	counted := 0
	for _, c := range countsIn(w) {
		counted += c.Posts
	}
	if counted != mentions {
		t.Errorf("service_minutes counts %d mentions, classify finds %d", counted, mentions)
	}
}

func readGzip(t *testing.T, path string) []line {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := bufio.NewReader(z).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return jsonLines[line](t, b.String())
}
