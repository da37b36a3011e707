package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"outcry.dev/pkg/catalog"
)

func TestBenchClassifyMeasuresTheSamePosts(t *testing.T) {
	texts, err := newBenchTexts(DefaultConfig(), 1)
	if err != nil {
		t.Fatal(err)
	}
	b := newClassifyBench(catalog.Default(), texts, 20_000, 1)
	if len(b.firehose) != 20_000 || len(b.named) != 2000 {
		t.Fatalf("%d posts of a firehose and %d with a name", len(b.firehose), len(b.named))
	}
	found := b.classify(b.firehose)
	if share := float64(found) / float64(len(b.firehose)); share < 0.025 || share > 0.035 {
		t.Errorf("%.3f of the firehose name a service, want 0.03", share)
	}
	if n := b.findNames(b.firehose); n != found {
		t.Errorf("names in %d posts, mentions in %d", n, found)
	}
	if n := b.classify(b.named); n != uint64(len(b.named)) {
		t.Errorf("%d of %d posts with a name have a mention", n, len(b.named))
	}
	if again := newClassifyBench(catalog.Default(), texts, 20_000, 1); !slices.Equal(again.firehose, b.firehose) {
		t.Error("the same seed gave other posts")
	}
	for _, n := range []int{benchNeedles, benchPatterns} {
		needles := b.needles(n)
		slices.Sort(needles)
		if len(slices.Compact(needles)) != n || needles[0] == "" {
			t.Errorf("%d different names, want %d", len(needles), n)
		}
	}
}

func TestBenchClassifyHandsOnWhatTheEngineSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Code: 47. no such column", http.StatusBadRequest)
	}))
	defer server.Close()
	c := &clickHouseBench{address: strings.TrimPrefix(server.URL, "http://")}
	if _, err := c.count(t.Context(), "multiMatchAny", []string{"it's"}); err == nil || !strings.Contains(err.Error(), "Code: 47") {
		t.Errorf("error %v, want that of the engine", err)
	}
}

func TestBenchClassifyUsage(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"bench classify --posts 10", "--posts is 10; expected 1000 to 10000000"},
		{"bench classify --rounds 0", "--rounds is 0; expected 1 to 1000"},
		{"bench classify x", `unexpected argument "x"`},
	} {
		if got := outcry(t, strings.Fields(tt.line)...); got.code != exitUsage || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %+v", tt.line, got)
		}
	}
}
