package source_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The guide shows the code of the example that the tests run.
func TestTheGuideShowsTheExample(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/adding-a-source.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(guide), -1) {
		if strings.Contains(block[1], "…") {
			continue // lines to add elsewhere
		}
		shown++
		if !strings.Contains(string(example), block[1]) {
			t.Errorf("docs/adding-a-source.md shows code that is not in example_test.go: %.200s", block[1])
		}
	}
	if shown != 2 {
		t.Errorf("the guide shows %d pieces of the example", shown)
	}
}
