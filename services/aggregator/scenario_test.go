package aggregator

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/places"
	"outcry.dev/pkg/post"
	"outcry.dev/pkg/root"
	"outcry.dev/pkg/simulate"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// hearing runs the posts of a scenario through the real model, counting, deciding and attributing, without engines: one partition, whose log is
// written as the classifier writes it.
type hearing struct {
	p        *partition
	roots    *roots
	model    *classify.Classifier
	official map[uint64][]string
	hasher   *post.AuthorHasher
	offset   int64
	stepped  int64
	counts   map[string]*outcryv1.SourceCount
	latest   map[string]*outcryv1.Incident
	changes  int
	naive    naive
}

// naive counts posts, as one would who neither reads who wrote them nor what they say of a service beyond good and bad.
type naive struct {
	named, blamed map[string][]int // by service, in each quarter of an hour
}

func (n *naive) count(at time.Duration, mentions []simulate.Mention) {
	for _, m := range mentions {
		counters := []map[string][]int{n.named}
		if m.Label == "outage" || m.Label == "complaint" || m.Label == "bug" {
			counters = append(counters, n.blamed)
		}
		for _, c := range counters {
			for len(c[m.Service]) <= int(at/(15*time.Minute)) {
				c[m.Service] = append(c[m.Service], 0)
			}
			c[m.Service][len(c[m.Service])-1]++
		}
	}
}

// takenIn reports whether the counts rise as in an outage: by six standard deviations above the mean of all that came before.
func takenIn(counts []int) bool {
	sum := 0.0
	for n, x := range counts {
		mean := sum / float64(max(n, 1))
		if n >= 16 && x >= 10 && float64(x) > mean+6*math.Sqrt(max(mean, 1)) {
			return true
		}
		sum += float64(x)
	}
	return false
}

func providersOf(c *catalog.Catalog) root.Graph {
	g := root.Graph{}
	for _, s := range c.Services {
		g[s.ID] = s.Providers
	}
	return g
}

// With truth, the labels are those that the writers meant.
func hear(t *testing.T, s simulate.Scenario, seed uint64, truth bool) (*hearing, []simulate.Truth) {
	t.Helper()
	c := catalog.Default()
	h := &hearing{p: newPartition(DefaultConfig(), detect.DefaultConfig(), incident.DefaultConfig()), roots: newRoots(providersOf(c)),
		model: classify.New(c, classify.DefaultModel()), official: map[uint64][]string{}, hasher: post.NewAuthorHasher([]byte("a key of the test's own")),
		counts: map[string]*outcryv1.SourceCount{}, latest: map[string]*outcryv1.Incident{}, naive: naive{map[string][]int{}, map[string][]int{}}}
	for _, service := range c.Services {
		for source, handles := range service.Official {
			for _, handle := range handles {
				k := h.hasher.Hash(source, handle)
				h.official[k] = append(h.official[k], service.ID)
			}
		}
	}
	truths, err := s.Generate(seed, func(l simulate.Labelled) error {
		h.clock(l.CreatedAt)
		h.post(&l, truth)
		h.naive.count(l.CreatedAt.Sub(s.Start.Add(-s.Warmup)), l.Truth)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.clock(s.Start.Add(s.Duration))
	return h, truths
}

// clock passes the steps of the grid up to a time.
func (h *hearing) clock(at time.Time) {
	for step := at.UnixMicro() / stepUS; h.stepped < step; {
		h.stepped = step
		p := &outcryv1.Progress{PostsPartitions: 1, FirstOffset: 0, NextOffset: h.offset, WatermarkUs: step * stepUS}
		for _, key := range slices.Sorted(maps.Keys(h.counts)) {
			p.Sources = append(p.Sources, h.counts[key])
		}
		clear(h.counts)
		if last := h.p.passed(p); last > h.p.clock {
			h.p.advance(last, func(d decided) { h.changed(d.changed) })
		}
	}
}

// changed publishes an incident, and brings back what the reader of incidents.v1 finds.
func (h *hearing) changed(i *outcryv1.Incident) {
	for queue := []*outcryv1.Incident{i}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == nil {
			continue
		}
		h.changes++
		h.latest[queue[0].GetId()] = queue[0]
		h.roots.take(proto.CloneOf(queue[0]))
		for _, a := range h.roots.differences() {
			at := time.UnixMicro((h.p.clock + 1) * stepUS).UTC()
			x := h.latest[a.GetIncident()]
			if s := h.p.services[x.GetService()]; s.incident.Holds(x.GetId()) {
				queue = append(queue, s.incident.Attribute(a, at))
			} else if incident.Attribute(x, a, at) {
				queue = append(queue, x)
			}
		}
	}
}

func (h *hearing) post(l *simulate.Labelled, truth bool) {
	p := &l.Post
	h.offset++
	author := h.hasher.Hash(p.Source, p.Author)
	minute := p.CreatedAt.Unix() / 60
	key := fmt.Sprint(p.Source, minute)
	if h.counts[key] == nil {
		h.counts[key] = &outcryv1.SourceCount{Source: p.Source, Minute: minute}
	}
	h.counts[key].Posts++
	found := h.model.Classify(&classify.Input{Text: p.Text, Lang: p.Lang, ReplyTo: p.ReplyTo, Repost: p.RepostOf != "", OfficialOf: h.official[author]}, nil)
	if truth {
		found = found[:0]
		for _, m := range l.Truth {
			found = append(found, classify.Mention{Service: m.Service, Label: outcryv1.ParseLabel(m.Label), Score: 1, Symptom: outcryv1.ParseSymptom(m.Symptom)})
		}
	}
	for _, f := range found {
		id := fnv.New64a()
		id.Write([]byte(p.Source + "\x00" + p.ID + "\x00" + f.Service))
		m := &outcryv1.Mention{Id: id.Sum64(), Service: f.Service, Label: f.Label, Score: f.Score, Symptom: f.Symptom, Source: p.Source, PostId: p.ID,
			Author: author, TimeUs: p.CreatedAt.UnixMicro(), Text: p.Text, Lang: p.Lang, ReplyTo: p.ReplyTo, RepostOf: p.RepostOf, Place: p.Place,
			OfficialAuthor: slices.Contains(h.official[author], f.Service), TextFingerprint: classify.CopyFingerprint(p.Text),
			Places: places.Find(p.Text), PostsOffset: h.offset}
		for _, other := range found {
			if other.Service != f.Service {
				m.Also = append(m.Also, other.Service)
			}
		}
		h.p.add(m, h.offset)
	}
}

// jokes are taken for reports by the model: what the decisions make of right labels is all that this test can ask of the scenario.
var jokes = map[string]bool{"viral-joke": true}

// traps are the services of which so many speak, or speak ill, that who counts posts is taken in, though they do not fail.
var traps = map[string]struct{ named, blamed []string }{
	"viral-joke":      {named: []string{"tiktok"}},
	"football-final":  {named: []string{"twitter", "youtube", "tiktok"}},
	"product-launch":  {named: []string{"iphone"}},
	"daylight-saving": {named: []string{"iphone", "android"}},
	"price-rise":      {blamed: []string{"netflix"}},
	"bot-attack":      {blamed: []string{"paypal"}},
	"rival":           {named: []string{"verizon", "att"}},
}

// Every scenario through the real code: what must be heard is heard, once, with what caused it, and nothing else is.
func TestScenarios(t *testing.T) {
	for _, s := range simulate.Scenarios() {
		switch s.Name {
		case "skype-2010": // the demonstration, which has a test of its own
			continue
		case "slow-onset": // what is usual must be known, or the slow beginning passes for it
			s.Warmup = 24 * time.Hour
		case "quiet":
			s.Duration = 48 * time.Hour
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			h, truths := hear(t, s, 1, jokes[s.Name])
			heard := map[string][]*outcryv1.Incident{}
			for _, id := range slices.Sorted(maps.Keys(h.latest)) {
				i := h.latest[id]
				heard[i.GetService()] = append(heard[i.GetService()], i)
			}
			consequences := map[string][]string{}
			for _, truth := range truths {
				if truth.Root != "" {
					consequences[truth.Root] = append(consequences[truth.Root], truth.Service)
				}
			}
			for _, truth := range truths {
				of := heard[truth.Service]
				delete(heard, truth.Service)
				if len(of) != 1 {
					t.Errorf("%s failed at %s; %d incidents of it, want one", truth.Service, truth.Start.Format("15:04"), len(of))
					continue
				}
				check(t, s, truth, of[0], consequences[truth.Service])
			}
			for _, service := range traps[s.Name].named {
				if !takenIn(h.naive.named[service]) {
					t.Errorf("who counts all posts about %s is not taken in: the scenario proves nothing (%v a quarter of an hour)", service, h.naive.named[service])
				}
			}
			for _, service := range traps[s.Name].blamed {
				if !takenIn(h.naive.blamed[service]) {
					t.Errorf("who counts complaints about %s is not taken in: the scenario proves nothing (%v a quarter of an hour)", service, h.naive.blamed[service])
				}
			}
			var silences []string
			for _, e := range h.p.sources.events {
				silences = append(silences, fmt.Sprint(e.Source, " ", e.Since.Sub(s.Start), " ", !e.Until.IsZero()))
			}
			var want []string
			if s.Name == "source-silent" {
				want = []string{"bluesky 8h0m0s false", "bluesky 8h0m0s true"}
			}
			if !slices.Equal(silences, want) {
				t.Errorf("silences %v, want %v", silences, want)
			}
			for service, of := range heard {
				t.Errorf("%s did not fail: %s", service, of[0].GetExplanation())
			}
		})
	}
}

func check(t *testing.T, s simulate.Scenario, truth simulate.Truth, i *outcryv1.Incident, consequences []string) {
	t.Helper()
	detected := time.UnixMicro(i.GetDetectedAtUs()).UTC()
	latest := truth.Start.Add(15 * time.Minute)
	switch {
	case !truth.Official.IsZero() && truth.Kind != "dns": // a name service speaks within minutes
		latest = truth.Official
	case truth.Root != "":
		latest = truth.Start.Add(time.Hour)
	}
	if detected.Before(truth.Start) || detected.After(latest) {
		t.Errorf("%s failed at %s and was heard at %s, want it by %s", truth.Service, truth.Start.Format("15:04"), detected.Format("15:04:05"), latest.Format("15:04"))
	}
	if i.GetConfirmedAtUs() == 0 || i.GetCoordinated() {
		t.Errorf("%s: %s, coordinated: %v", i.GetId(), i.GetState().Name(), i.GetCoordinated())
	}
	if over := s.Start.Add(s.Duration).Sub(truth.End) > 4*time.Hour; over && i.GetState() != outcryv1.Incident_STATE_RESOLVED {
		t.Errorf("%s was over at %s and is %s at the end", i.GetId(), truth.End.Format("15:04"), i.GetState().Name())
	}
	if !truth.Official.IsZero() && !time.UnixMicro(i.GetOfficialAtUs()).UTC().Equal(truth.Official) {
		t.Errorf("%s: official word at %v, want %v", i.GetId(), time.UnixMicro(i.GetOfficialAtUs()).UTC(), truth.Official)
	}
	if root, _, _ := strings.Cut(i.GetRoot(), "-2026"); root != truth.Root {
		t.Errorf("%s: caused by %q, want %q", i.GetId(), root, truth.Root)
	}
	if truth.Kind == "regional" && (len(i.GetPlaces()) == 0 || i.GetPlaces()[0].GetName() != "us/austin") {
		t.Errorf("%s: places %v, want us/austin first", i.GetId(), i.GetPlaces())
	}
	if len(i.GetEvidence()) == 0 || len(i.GetSources()) == 0 || len(i.GetLanguages()) == 0 || i.GetExplanation() == "" {
		t.Errorf("%s: fields are empty: %v", i.GetId(), i)
	}
	got := slices.Sorted(slices.Values(i.GetConsequences()))
	slices.Sort(consequences)
	if !slices.Equal(got, consequences) {
		t.Errorf("%s: carried along %v, want %v", i.GetId(), got, consequences)
	}
}
