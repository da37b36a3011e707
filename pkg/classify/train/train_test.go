package main

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify/internal/linear"
	"outcry.dev/pkg/classify/internal/target"
)

func TestMissingDataIsSaidClearly(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
	}{
		{nil, "--data is missing"},
		{[]string{"--data", filepath.Join(t.TempDir(), "none")}, "not part of the repository"},
		{[]string{"--data", "x", "y"}, `unexpected argument "y"`},
	} {
		err := run(row.args, io.Discard)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v: error %v, want %q", row.args, err, row.want)
		}
	}
}

func TestFaultyLineIsNamed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "posts.jsonl")
	if err := os.WriteFile(name, []byte("// why\n{\"text\":\"a\"}\n{oops\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readPosts(name, originOwn); err == nil || !strings.Contains(err.Error(), "posts.jsonl:3") {
		t.Errorf("error %v, want the file and line 3", err)
	}
}

// TestOwnPosts reads the project's own posts: labels and services must exist, and what a post is about must be found in it.
func TestOwnPosts(t *testing.T) {
	m := &maker{finder: target.New(catalog.Default())}
	var posts []post
	for folder, from := range map[string]origin{ownFolder: originOwn, ownTestFolder: originOwnTests} {
		some, err := readFolder(folder, from)
		if err != nil {
			t.Fatal(err)
		}
		posts = append(posts, some...)
	}
	if len(posts) < 14*120 {
		t.Fatalf("%d posts", len(posts))
	}
	learnt := 0
	for i := range posts {
		if len(m.examples(&posts[i])) > 0 {
			learnt++
		}
	}
	if share := float64(learnt) / float64(len(posts)); share < 0.99 {
		t.Errorf("only %.3f of the posts teach anything: see that labels and services are spelt as in the catalog", share)
	}
}

func TestLabelsHoldNoText(t *testing.T) {
	labels, err := readPosts(labelsFile, originRead)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, l := range labels {
		if l.Text != "" || l.ID == "" || seen[l.ID] {
			t.Errorf("label %+v: want an id, once, and no text", l)
		}
		seen[l.ID] = true
	}
}

func TestExamplesSeeEachService(t *testing.T) {
	m := &maker{finder: target.New(catalog.Default())}
	p := &post{Text: "skype is down, back to facebook", Mentions: map[string]string{"skype": "outage", "facebook": "other"}}
	got := m.examples(p)
	if len(got) != 2 || labelName(got[0].Class) != "outage" || labelName(got[1].Class) != "other" {
		t.Fatalf("%d examples", len(got))
	}
	if slices.Equal(got[0].Index, got[1].Index) {
		t.Error("both services see the same features")
	}
}

// TestDoubtIsSharedBetweenLabels: a second label takes its share of an example's weight, and no other example.
func TestDoubtIsSharedBetweenLabels(t *testing.T) {
	m := &maker{finder: target.New(catalog.Default())}
	for _, row := range []struct {
		post post
		want map[string]float32 // share of the weight by label
	}{
		{post{Text: "skype is acting up", Label: "outage"}, map[string]float32{"outage": 1}},
		{post{Text: "skype is acting up", Label: "outage", Second: "bug"}, map[string]float32{"outage": 1 - secondShare, "bug": secondShare}},
		{post{Text: "skype is acting up", Label: "bug", Second: "outage", Share: 0.4}, map[string]float32{"bug": 0.6, "outage": 0.4}},
	} {
		row.post.origin = originRead
		got := map[string]float32{}
		chosen := 0
		for _, e := range m.examples(&row.post) {
			got[labelName(e.Class)] += e.Weight / originWeight[originRead]
			if e.chosen {
				chosen++
			}
		}
		if len(got) != len(row.want) || chosen != 1 {
			t.Errorf("%+v: %v with %d chosen", row.post, got, chosen)
		}
		for label, share := range row.want {
			if math.Abs(float64(got[label]-share)) > 1e-6 {
				t.Errorf("%+v: %v, want %v", row.post, got, row.want)
			}
		}
	}
}

// TestStandardError: that of a share of n posts is known, and F1 of a label that is always right has none.
func TestStandardError(t *testing.T) {
	var right, mixed []outcome
	for i := range 400 {
		said := &example{}
		said.Class = 0
		right = append(right, outcome{example: said, p: []float32{1, 0, 0, 0, 0, 0}})
		truth := &example{}
		truth.Class = i % 2 // every second one is said wrongly
		mixed = append(mixed, outcome{example: truth, p: []float32{1, 0, 0, 0, 0, 0}})
	}
	if e := standardError(right); e != 0 {
		t.Errorf("standard error %.4f of what is always right", e)
	}
	// F1 = 2q/(1+q) with q the share that is right; its slope at 0.5 is 2/1.5².
	want := 2 / (1.5 * 1.5) * math.Sqrt(0.25/400)
	if e := standardError(mixed); math.Abs(e-want) > want/8 {
		t.Errorf("standard error %.4f, want about %.4f", e, want)
	}
}

// TestFitIsReproducible: the same examples give the same bytes, another seed others.
func TestFitIsReproducible(t *testing.T) {
	var examples []linear.Example
	for i := range 200 {
		examples = append(examples, linear.Example{Index: []uint32{uint32(i % 7), uint32(10 + i%3)}, Value: []float32{0.6, 0.8}, Class: i % 3, Weight: 1})
	}
	o := linear.Options{Features: 64, Classes: 3, Epochs: 8, Rate: 0.3, L2: 1e-5, Dropout: 0.5, Seed: 1, Runs: 2}
	a := string(linear.Fit(examples, o).Quantise().Append(nil))
	if b := string(linear.Fit(examples, o).Quantise().Append(nil)); a != b {
		t.Error("two fits differ")
	}
	o.Seed = 2
	if b := string(linear.Fit(examples, o).Quantise().Append(nil)); a == b {
		t.Error("the seed changes nothing")
	}
	m, rest, err := linear.Read([]byte(a))
	if err != nil || len(rest) != 0 {
		t.Fatal(err)
	}
	logits := make([]float32, 3)
	for i := range 3 { // feature 10+i says class i
		m.Logits([]uint32{uint32(10 + i)}, []float32{1}, logits)
		if slices.Max(logits) != logits[i] {
			t.Errorf("class %d has logits %v", i, logits)
		}
	}
}

// TestScalingCalibrates: over-confident logits with a wrong prior become probabilities.
func TestScalingCalibrates(t *testing.T) {
	var out []outcome
	for i := range 1000 {
		class := 0
		if i%4 == 0 { // three in four are class 0
			class = 1
		}
		e := &example{}
		e.Class = class
		out = append(out, outcome{example: e, logits: []float32{0, 8, -9, -9, -9, -9}})
	}
	s := fitScaling(out)
	p := make([]float64, labelCount)
	s.apply(out[0].logits, p)
	if math.Abs(p[0]-0.75) > 0.05 {
		t.Errorf("probability %.3f of what happens in 3 of 4 cases", p[0])
	}
}

func TestFoldsKeepCopiesTogether(t *testing.T) {
	a, b := &post{group: 42}, &post{group: 42}
	if foldOf(a, 10) != foldOf(b, 10) {
		t.Error("copies are in two parts")
	}
	used := map[int]bool{}
	for g := range uint64(1000) {
		f := foldOf(&post{group: g}, 10)
		if f < 0 || f > 9 {
			t.Fatalf("part %d", f)
		}
		used[f] = true
	}
	if len(used) != 10 {
		t.Errorf("%d parts in use", len(used))
	}
}
