package classify_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	outcryv1 "outcry.dev/schemas/outcry/v1"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
)

var classifier = sync.OnceValue(func() *classify.Classifier {
	return classify.New(catalog.Default(), classify.DefaultModel())
})

// labels classifies a post and spells what comes out "service:label", in order.
func labels(in *classify.Input) string {
	var all []string
	for _, m := range classifier().Classify(in, nil) {
		all = append(all, m.Service+":"+m.Label.Name())
	}
	return strings.Join(all, " ")
}

func TestClassify(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"skype down?", "skype:outage"},
		{"cant sign in to skype!!", "skype:outage"},
		{"Is it just me or is Skype dead", "skype:outage"},
		{"no word from skype yet", "skype:outage"},
		{"Skype's down, back to chatting on Facebook", "skype:outage facebook:other"},
		{"can't watch Netflix, Comcast is out again", "netflix:other comcast:outage"},
		{"my internet is down", "internet:outage"},
		{"@comcastcares still nothing here", "comcast:outage"},
		{"@SpotifyCares same here, still not working", "spotify:outage"},
		{"just updated my spotify playlist, love it", "spotify:other"},
		{"skype is back!", "skype:recovered"},
		{"comcast charged me twice this month, robbery", "comcast:complaint"},
		{"lovely weather today, sat down in the park", ""},
		{"", ""},
	} {
		if got := labels(&classify.Input{Text: row.text}); got != row.want {
			t.Errorf("%q: %q, want %q", row.text, got, row.want)
		}
	}
}

func TestOfficial(t *testing.T) {
	statement := "Some of you may have problems signing in to Skype – we're investigating, and we're sorry for the disruption"
	for _, row := range []struct {
		name string
		in   classify.Input
		want string
	}{
		{"by the operator", classify.Input{Text: statement, OfficialOf: []string{"skype"}}, "skype:official"},
		{"the operator does not name itself", classify.Input{Text: "We're aware that some of you can't sign in. Our engineers are working on it", OfficialOf: []string{"skype"}}, "skype:official"},
		{"an author in brackets", classify.Input{Text: "[SpotifyCares] We're aware of an issue with logging in and are working on a fix, sorry for the inconvenience"}, "spotify:official"},
		{"the operator on other matters", classify.Input{Text: "Happy birthday to our founder! Skype turns ten", OfficialOf: []string{"skype"}}, "skype:other"},
		{"an account nobody knows", classify.Input{Text: "nothing to see", OfficialOf: []string{"no-such-service"}}, ""},
	} {
		if got := labels(&row.in); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestMentionsSayWhere(t *testing.T) {
	for _, text := range []string{"ugh, Skype won't let me sign in", "Skype is down, cannot sign in"} {
		got := classifier().Classify(&classify.Input{Text: text}, nil)
		if len(got) != 1 || text[got[0].Start:got[0].End] != "Skype" || got[0].Symptom != outcryv1.Symptom_SYMPTOM_LOGIN {
			t.Errorf("%+v, want one mention of Skype with symptom login", got)
		}
	}
}

// written is a post that the project wrote for testing.
type written struct {
	Text     string            `json:"text"`
	Label    string            `json:"label"`
	Service  string            `json:"service"`
	Symptom  string            `json:"symptom"`
	Mentions map[string]string `json:"mentions"`
	Official bool              `json:"official"`
}

func writtenPosts(t *testing.T, name string) []written {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var posts []written
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "//") {
			continue
		}
		var p written
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		posts = append(posts, p)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return posts
}

// TestLanguages goes the whole way, from a text to its mentions, over posts that the model was not trained on.
func TestLanguages(t *testing.T) {
	files, err := filepath.Glob("testdata/posts/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 14 {
		t.Fatalf("posts in %d languages, want 14", len(files))
	}
	for _, name := range files {
		language := strings.TrimSuffix(filepath.Base(name), ".jsonl")
		t.Run(language, func(t *testing.T) {
			posts := writtenPosts(t, name)
			if len(posts) < 60 {
				t.Errorf("%d posts, want 60", len(posts))
			}
			var hit, said, truth float64
			for _, p := range posts {
				in := &classify.Input{Text: p.Text}
				if p.Official {
					in.OfficialOf = []string{p.Service}
				}
				outage := false
				for _, m := range classifier().Classify(in, nil) {
					outage = outage || m.Label == outcryv1.Label_LABEL_OUTAGE
				}
				if p.Label == "outage" {
					truth++
				}
				if outage {
					said++
				}
				if outage && p.Label == "outage" {
					hit++
				}
				if outage != (p.Label == "outage") {
					t.Logf("%s judged outage=%v: %s", p.Label, outage, p.Text)
				}
			}
			f1 := 2 * hit / (said + truth)
			t.Logf("F1 %.3f, precision %.3f, recall %.3f of outage", f1, hit/said, hit/truth)
			if f1 < 0.8 {
				t.Errorf("F1 of outage is %.3f, want 0.8", f1)
			}
		})
	}
}

// TestSymptoms demands that what a post says fails beats what usually fails of such a service.
func TestSymptoms(t *testing.T) {
	posts := writtenPosts(t, "testdata/symptoms.jsonl")
	var right, all float64
	for _, p := range posts {
		for _, m := range classifier().Classify(&classify.Input{Text: p.Text}, nil) {
			if m.Service != p.Service {
				continue
			}
			all++
			if m.Symptom.Name() == p.Symptom {
				right++
			} else {
				t.Logf("%s %q, want %q: %s", m.Label.Name(), m.Symptom.Name(), p.Symptom, p.Text)
			}
		}
	}
	if all < 40 {
		t.Errorf("%v services found as named, want 40", all)
	}
	t.Logf("%.0f of %.0f right", right, all)
	if right < 0.8*all {
		t.Errorf("%.0f of %.0f right, want 0.8 of them", right, all)
	}
}

// TestUnsaid demands that "it is not down" is no report that it is, nor what would be if it were, what was once, what others claim, or small talk.
func TestUnsaid(t *testing.T) {
	var right, all float64
	for _, p := range writtenPosts(t, "testdata/unsaid.jsonl") {
		found := false
		for _, m := range classifier().Classify(&classify.Input{Text: p.Text}, nil) {
			if m.Service != p.Service {
				continue
			}
			found = true
			if outage := m.Label == outcryv1.Label_LABEL_OUTAGE; outage == (p.Label == "outage") {
				right++
			} else {
				t.Logf("%s (%.2f), want %s: %s", m.Label.Name(), m.Score, p.Label, p.Text)
			}
		}
		if !found {
			t.Logf("%s is not found: %s", p.Service, p.Text)
		}
		all++
	}
	t.Logf("%.0f of %.0f right", right, all)
	if all < 100 || right < 0.8*all {
		t.Errorf("%.0f of %.0f right, want 0.8 of 100 or more", right, all)
	}
}

// TestTrainedAndTestedApart keeps the posts for testing out of those for training.
func TestTrainedAndTestedApart(t *testing.T) {
	trained := map[uint64]string{}
	files, _ := filepath.Glob("train/posts/*.jsonl")
	for _, name := range files {
		for _, p := range writtenPosts(t, name) {
			trained[classify.Fingerprint(p.Text)] = p.Text
		}
	}
	if len(trained) < 14*60 {
		t.Errorf("%d posts to train on", len(trained))
	}
	files, _ = filepath.Glob("testdata/posts/*.jsonl")
	for _, name := range append(files, "testdata/symptoms.jsonl", "testdata/unsaid.jsonl") {
		for _, p := range writtenPosts(t, name) {
			if copied, ok := trained[classify.Fingerprint(p.Text)]; ok {
				t.Errorf("%s: %q is trained on as %q", name, p.Text, copied)
			}
		}
	}
}

func TestNamesNothingAllocatesNothing(t *testing.T) {
	c := classifier()
	in := &classify.Input{Text: "good morning everyone, what a lovely day to walk the dog and read a book in the park"}
	var dst []classify.Mention
	c.Classify(in, dst)
	if n := testing.AllocsPerRun(100, func() { dst = c.Classify(in, dst[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	want := labels(&classify.Input{Text: "skype is down, github works"})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				if got := labels(&classify.Input{Text: "skype is down, github works"}); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
	wait.Wait()
}

func TestExplain(t *testing.T) {
	e := classifier().Explain("Skype won't let me sign in @ work http://x.example")
	if len(e.Mentions) != 1 {
		t.Fatalf("%d mentions, want 1", len(e.Mentions))
	}
	m := e.Mentions[0]
	if m.Service != "skype" || m.Matched != "Skype" || m.Label != "outage" || m.Symptom != "login" || len(m.Probabilities) != 6 {
		t.Errorf("%+v", m)
	}
	if !strings.Contains(e.Read, "<service 1>") || !strings.Contains(e.Read, "<link>") {
		t.Errorf("read as %q", e.Read)
	}
	found := false
	for _, f := range m.Features {
		found = found || strings.Contains(f.Feature, "LOGIN") || strings.Contains(f.Feature, "sign")
	}
	if !found {
		t.Errorf("signing in is not among the reasons: %v", m.Features)
	}
	if len(m.SymptomFeatures) == 0 || !strings.Contains(m.SymptomFeatures[0].Feature, "LOGIN") || m.SymptomFeatures[0].Weight <= 0 {
		t.Errorf("signing in is not what makes the symptom login: %v", m.SymptomFeatures)
	}
	if _, err := json.Marshal(e); err != nil {
		t.Error(err)
	}
	if e := classifier().Explain("nothing"); len(e.Mentions) != 0 {
		t.Errorf("%+v", e)
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{
		"skype down?", "Skype\xff is d\u0335o\u0335w\u0335n\u200b", strings.Repeat("skype ", 3000), "[SpotifyCares] @1 we're on it", "سكايب معطل", "スカイプ落ちてる",
		"skype" + strings.Repeat("(", 5000), "\ue000 skype \ue101", "@skype @skype @skype", "&amp;skype&lt;", "skype İ's n't", strings.Repeat("a", 20000) + " skype", "RT @skype: RT ",
	} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, official bool) {
		in := &classify.Input{Text: text}
		if official {
			in.OfficialOf = []string{"skype"}
		}
		for _, m := range classifier().Classify(in, nil) {
			if m.Label == 0 || m.Service == "" || !(m.Score > 0 && m.Score <= 1) || m.Start < 0 || m.End < m.Start || m.End > len(text) {
				t.Errorf("%q: %+v", text, m)
			}
			silent := m.Label == outcryv1.Label_LABEL_OTHER || m.Label == outcryv1.Label_LABEL_COMPLAINT
			if silent != (m.Symptom == 0) {
				t.Errorf("%q: label %v with symptom %v", text, m.Label, m.Symptom)
			}
		}
		if utf8.ValidString(text) {
			classifier().Explain(text)
		}
		classify.Fingerprint(text)
	})
}

func BenchmarkClassify(b *testing.B) {
	for _, row := range []struct{ name, text string }{
		{"names_nothing", "good morning everyone, what a lovely day to walk the dog and read a book in the park"},
		{"names_one", "is skype down again? I can't sign in since this morning and nobody in the office can either :( #fail"},
		{"names_two", "Skype's down for the whole office since this morning, back to chatting on Facebook until they fix it"},
	} {
		b.Run(row.name, func(b *testing.B) {
			c, in := classifier(), &classify.Input{Text: row.text}
			var dst []classify.Mention
			b.ReportAllocs()
			for b.Loop() {
				dst = c.Classify(in, dst[:0])
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
		})
	}
	b.Run("mix_3_percent", func(b *testing.B) {
		c := classifier()
		quiet := &classify.Input{Text: "good morning everyone, what a lovely day to walk the dog and read a book in the park"}
		loud := &classify.Input{Text: "is skype down again? I can't sign in since this morning"}
		var dst []classify.Mention
		n := 0
		for b.Loop() {
			in := quiet
			if n++; n%33 == 0 {
				in = loud
			}
			dst = c.Classify(in, dst[:0])
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
	})
}
