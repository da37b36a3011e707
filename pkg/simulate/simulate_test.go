package simulate

import (
	"encoding/json"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"outcry.dev/pkg/catalog"
)

// generate collects a scenario, small unless it is asked for as declared.
func generate(t *testing.T, s Scenario, seed uint64) ([]Labelled, []Truth) {
	t.Helper()
	var posts []Labelled
	truths, err := s.Generate(seed, func(p Labelled) error {
		posts = append(posts, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return posts, truths
}

func lookup(t *testing.T, name string) Scenario {
	t.Helper()
	s, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func digest(t *testing.T, s Scenario, seed uint64) uint64 {
	t.Helper()
	h := fnv.New64a()
	if _, err := s.Generate(seed, func(p Labelled) error { return json.NewEncoder(h).Encode(p) }); err != nil {
		t.Fatal(err)
	}
	return h.Sum64()
}

func TestSameSeedSameBytes(t *testing.T) {
	s := lookup(t, "total")
	s.Volume = 0.05
	first := digest(t, s, 7)
	if again := digest(t, s, 7); again != first {
		t.Errorf("the same seed gave %x, then %x", first, again)
	}
	if other := digest(t, s, 8); other == first {
		t.Error("another seed gave the same bytes")
	}
	renamed := s
	renamed.Name = "another"
	if other := digest(t, renamed, 7); other == first {
		t.Error("another scenario gave the same bytes")
	}
}

// Every scenario, at a fraction of its volume: what holds for each post.
func TestEveryScenario(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			s.Volume = 0.05
			posts, truths := generate(t, s, 1)
			if len(posts) == 0 {
				t.Fatal("no posts")
			}
			seen := map[string]bool{}
			last := s.Start
			for _, p := range posts {
				if err := p.Validate(); err != nil {
					t.Fatalf("%+v: %v", p, err)
				}
				if p.CreatedAt.Before(last) || !p.CreatedAt.Before(s.Start.Add(s.Duration)) {
					t.Fatalf("post at %v after one at %v", p.CreatedAt, last)
				}
				last = p.CreatedAt
				if seen[p.ID] {
					t.Fatalf("id %s occurs twice", p.ID)
				}
				for _, earlier := range []string{p.ReplyTo, p.RepostOf} {
					if earlier != "" && !seen[earlier] {
						t.Fatalf("post %s refers to %s, which does not come before it", p.ID, earlier)
					}
				}
				seen[p.ID] = true
				checkText(t, s, p)
			}
			if len(truths) != len(s.Outages) {
				t.Errorf("%d truths for %d outages", len(truths), len(s.Outages))
			}
			for _, truth := range truths {
				if !truth.Start.Before(truth.End) || !truth.Official.IsZero() && truth.Official.Before(truth.Start) {
					t.Errorf("times of %+v", truth)
				}
			}
		})
	}
}

func checkText(t *testing.T, s Scenario, p Labelled) {
	t.Helper()
	limit := 280
	if s.Start.Year() < 2017 {
		limit = 140
	}
	if n := utf8.RuneCountInString(p.Text); n == 0 || n > limit {
		t.Fatalf("%d characters: %q", n, p.Text)
	}
	if strings.ContainsAny(p.Text, "{}[]|\x01\x02\n") || strings.Contains(p.Text, "  ") {
		t.Fatalf("left over from a template: %q", p.Text)
	}
	for _, m := range p.Truth {
		if !slices.Contains(labels, m.Label) {
			t.Fatalf("label %q", m.Label)
		}
		service := theWorld().byID[m.Service]
		if service == nil {
			t.Fatalf("unknown service %q", m.Service)
		}
		if !containsName(p.Text, service) {
			t.Fatalf("%s is not named in %q", m.Service, p.Text)
		}
		if known := slices.Contains(symptomNames, m.Symptom); known != labelHasSymptom(m.Label) {
			t.Fatalf("label %s with symptom %q: %q", m.Label, m.Symptom, p.Text)
		}
		if year := s.Start.Year(); year < service.since || year > service.till {
			t.Fatalf("%s in %d: %q", m.Service, year, p.Text)
		}
	}
}

// The main scenario as declared: its volume, its outage, and that nothing else looks like one.
func TestSkype2010(t *testing.T) {
	s := lookup(t, "skype-2010")
	posts, truths := generate(t, s, 1)
	if n := len(posts); n < 60_000 || n > 100_000 {
		t.Errorf("%d posts", n)
	}
	official := s.Start.Add(16*time.Hour + 50*time.Minute)
	if len(truths) != 1 || truths[0].Service != "skype" || !truths[0].Official.Equal(official) {
		t.Fatalf("truths %+v", truths)
	}
	var naming, reposts, replies int
	authors, languages, services := map[string]int{}, map[string]int{}, map[string]bool{}
	reporters := map[time.Duration]map[string]bool{} // of Skype, by hour
	elsewhere := map[string]map[time.Time]map[string]bool{}
	firstOfficial := time.Time{}
	for _, p := range posts {
		authors[p.Author]++
		languages[p.Lang]++
		if p.Truth != nil {
			naming++
		}
		if p.RepostOf != "" {
			reposts++
		}
		if p.ReplyTo != "" {
			replies++
		}
		for _, m := range p.Truth {
			services[m.Service] = true
			switch {
			case m.Label == "official" && m.Service == "skype" && firstOfficial.IsZero():
				firstOfficial = p.CreatedAt
				if p.Author != "Skype" || !p.AuthorVerified {
					t.Errorf("the first official word is %s's", p.Author)
				}
			case m.Label == "outage" && m.Service == "skype":
				add(reporters, p.CreatedAt.Sub(s.Start).Truncate(time.Hour), p.Author)
			case m.Label == "outage":
				window := p.CreatedAt.Truncate(15 * time.Minute)
				if elsewhere[m.Service] == nil {
					elsewhere[m.Service] = map[time.Time]map[string]bool{}
				}
				add(elsewhere[m.Service], window, p.Author)
			}
		}
	}
	checkVariety(t, posts)
	if !firstOfficial.Equal(official) {
		t.Errorf("first official word at %v", firstOfficial)
	}
	for hour := range 15 {
		if n := len(reporters[time.Duration(hour)*time.Hour]); n > 15 {
			t.Errorf("%d people report Skype in the quiet hour %d", n, hour)
		}
	}
	if n := len(reporters[17*time.Hour]); n < 600 {
		t.Errorf("%d people report Skype in the hour from 17:00", n)
	}
	for service, windows := range elsewhere {
		for at, people := range windows {
			if len(people) > 10 {
				t.Errorf("%d people report %s in the quarter of an hour at %v", len(people), service, at)
			}
		}
	}
	share := func(n int) float64 { return float64(n) / float64(len(posts)) }
	for what, r := range map[string]struct{ got, low, high float64 }{
		"naming a service": {share(naming), 0.3, 0.5},
		"reposts":          {share(reposts), 0.04, 0.15},
		"replies":          {share(replies), 0.08, 0.25},
		"people per post":  {share(len(authors)), 0.3, 0.8},
		"English":          {share(languages["en"]), 0.45, 0.85},
		"languages":        {float64(len(languages)), 11, 11},
		"services":         {float64(len(services)), 100, 400},
	} {
		if r.got < r.low || r.got > r.high {
			t.Errorf("%s: %.2f, not within %v and %v", what, r.got, r.low, r.high)
		}
	}
}

func add[K comparable](sets map[K]map[string]bool, key K, member string) {
	if sets[key] == nil {
		sets[key] = map[string]bool{}
	}
	sets[key][member] = true
}

// Outages are of services that the catalog knows, and who speaks about them officially is known there too.
func TestAgreesWithTheCatalog(t *testing.T) {
	c := catalog.Default()
	for _, s := range Scenarios() {
		for _, o := range s.Outages {
			known, ok := c.ByID(o.Service)
			if !ok {
				t.Errorf("%s: the catalog has no service %q", s.Name, o.Service)
				continue
			}
			if len(o.Official) > 0 && len(known.Official["twitter"]) == 0 {
				t.Errorf("%s: the catalog has no official account of %s", s.Name, o.Service)
			}
		}
	}
}

// checkVariety: apart from reposts, the same report of an outage is rare.
func checkVariety(t *testing.T, posts []Labelled) {
	t.Helper()
	seen := map[string]bool{}
	total, repeated := 0, 0
	for _, p := range posts {
		if p.RepostOf != "" || len(p.Truth) == 0 || p.Truth[0].Label != "outage" {
			continue
		}
		total++
		text := strings.Trim(strings.ToLower(p.Text), "!?. ")
		if seen[text] {
			repeated++
		}
		seen[text] = true
	}
	if share := float64(repeated) / float64(total); share > 0.15 {
		t.Errorf("%.0f %% of %d reports have been said before", 100*share, total)
	}
}

func TestVolumeAndWarmup(t *testing.T) {
	s := lookup(t, "regional")
	s.Volume = 0.05
	small, _ := generate(t, s, 1)
	s.Volume = 0.15
	large, _ := generate(t, s, 1)
	if ratio := float64(len(large)) / float64(len(small)); ratio < 2.7 || ratio > 3.3 {
		t.Errorf("three times the volume gives %.2f times the posts", ratio)
	}
	s.Volume, s.Warmup = 0.05, 24*time.Hour
	warm, truths := generate(t, s, 1)
	if ratio := float64(len(warm)) / float64(len(small)); ratio < 1.8 || ratio > 2.2 {
		t.Errorf("a day more gives %.2f times the posts", ratio)
	}
	if first := warm[0].CreatedAt; first.After(s.Start.Add(-23 * time.Hour)) {
		t.Errorf("the warm-up begins at %v", first)
	}
	if truths[0].Start.Before(s.Start) {
		t.Errorf("an outage starts in the warm-up: %v", truths[0].Start)
	}
}

func TestSilentSource(t *testing.T) {
	s := lookup(t, "source-silent")
	s.Volume = 0.2
	posts, _ := generate(t, s, 1)
	silent, count := s.Sources[0].Silent[0], map[string]int{}
	for _, p := range posts {
		if at := p.CreatedAt.Sub(s.Start); at >= silent.From && at < silent.To {
			count[p.Source]++
		}
	}
	if count["bluesky"] != 0 || count["twitter"] < 200 {
		t.Errorf("while bluesky is silent: %v", count)
	}
}

func TestBotsAreFewAndCopy(t *testing.T) {
	s := lookup(t, "bot-attack")
	s.Volume = 0.3
	posts, truths := generate(t, s, 1)
	if len(truths) != 0 {
		t.Errorf("truths %+v", truths)
	}
	authors, texts, n := map[string]bool{}, map[string]bool{}, 0
	for _, p := range posts {
		if len(p.Truth) > 0 && p.Truth[0] == (Mention{"paypal", "outage", "general"}) && p.RepostOf == "" && p.CreatedAt.Hour() >= 15 && p.CreatedAt.Hour() < 16 {
			authors[p.Author], texts[p.Text] = true, true
			n++
		}
	}
	if n < 150 || len(authors) > 20 || len(texts) > 15 {
		t.Errorf("%d posts of %d accounts with %d texts", n, len(authors), len(texts))
	}
}

func TestLookupNamesTheNearest(t *testing.T) {
	_, err := Lookup("skype2010")
	if err == nil || !strings.Contains(err.Error(), `"skype-2010"`) {
		t.Error(err)
	}
}

func TestGenerateStopsAtTheFirstError(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	_, err := lookup(t, "quiet").Generate(1, func(Labelled) error {
		if n++; n == 10 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 10 {
		t.Errorf("%v after %d posts", err, n)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	s := Scenario{
		Name: "broken", Duration: time.Hour, Volume: -1, Sources: nil,
		Outages: []Outage{{Service: "nonesuch", From: 2 * time.Hour, To: time.Hour, Regions: []string{"atlantis"}, Reports: Curve{{time.Hour, 1}, {0, 1}}, Symptoms: []Weighted{{"sneezing", 1}}}},
		Talk:    []Talk{{Section: "other.nothing"}},
		Bots:    []Bots{{Service: "skype"}},
	}
	_, err := s.Generate(1, func(Labelled) error { return nil })
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"volume", "source", "nonesuch", "atlantis", "sneezing", "does not come after", "other.nothing", "account"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in: %v", want, err)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	s, err := Lookup("skype-2010")
	if err != nil {
		b.Fatal(err)
	}
	posts := 0
	for b.Loop() {
		if _, err := s.Generate(1, func(Labelled) error { posts++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(posts)/b.Elapsed().Seconds(), "posts/s")
}
