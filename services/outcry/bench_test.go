package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/post"
)

func TestBenchPostsAreAFirehose(t *testing.T) {
	texts, err := newBenchTexts(DefaultConfig(), 1)
	if err != nil {
		t.Fatal(err)
	}
	write := func(seed uint64) (*benchmark, []byte) {
		dir := t.TempDir()
		b := &benchmark{cfg: DefaultConfig(), posts: 20_000, file: filepath.Join(dir, "posts"), warmFile: filepath.Join(dir, "warm")}
		if err := b.writePosts(t.Context(), texts, seed); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, name := range []string{b.warmFile, b.file} {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, content...)
		}
		return b, all
	}
	b, content := write(1)
	if _, again := write(1); !bytes.Equal(content, again) {
		t.Error("the same seed gave other posts")
	}
	c, err := loadCatalog(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	classifier := classify.New(c, classify.DefaultModel())
	posts, named := 0, 0
	authors, ids := map[string]int{}, map[string]bool{}
	var last time.Time
	for line := range bytes.Lines(content) {
		p, err := post.Parse(line)
		if err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		if p.CreatedAt.Before(last) {
			t.Fatalf("post %d goes back in time", posts)
		}
		last = p.CreatedAt
		posts++
		authors[p.Author]++
		ids[p.ID] = true
		if len(classifier.Classify(&classify.Input{Text: p.Text, Lang: p.Lang}, nil)) > 0 {
			named++
		}
	}
	if posts != b.posts+b.warm || len(ids) != posts {
		t.Errorf("%d posts with %d ids, want %d to be measured and %d before them", posts, len(ids), b.posts, b.warm)
	}
	if share := float64(named) / float64(posts); share < 0.025 || share > 0.035 {
		t.Errorf("%.3f of the posts name a service, want 0.03", share)
	}
	once, most := 0, 0
	for _, n := range authors {
		most = max(most, n)
		if n == 1 {
			once++
		}
	}
	if once < len(authors)/2 || most < 20 {
		t.Errorf("of %d authors %d write once and one %d times: not a few who write much and many who write little", len(authors), once, most)
	}
}

func TestBenchSpread(t *testing.T) {
	shares := func(s ...float64) (pairs []benchPair) {
		for _, x := range s {
			pairs = append(pairs, benchPair{Share: x})
		}
		return pairs
	}
	if got, want := spread(shares(0.5, 0.2, 0.4)), (benchSpread{Median: 0.4, Min: 0.2, Max: 0.5}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := spread(shares(0.75, 0.25)); got.Median != 0.5 {
		t.Errorf("%+v", got)
	}
}

func TestBenchUsage(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"bench --posts 10", "--posts is 10; expected 1000 to 1000000000"},
		{"bench --pairs 0", "--pairs is 0; expected 1 to 1000"},
		{"bench pipeline", `unknown command "pipeline"; known are latency`},
	} {
		if got := outcry(t, strings.Fields(tt.line)...); got.code != exitUsage || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %+v", tt.line, got)
		}
	}
}
