package classifier

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/post"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	start  = int64(1_293_033_600_000_000) // 2010-12-22 16:00 UTC, a step of the grid
	second = int64(1_000_000)
)

var (
	quiet = slog.New(slog.DiscardHandler)
	key   = []byte("a key of the tests")
	model = classify.New(catalog.Default(), classify.DefaultModel())
)

// site is a broker of its own with the topics.
type site struct {
	t   *testing.T
	bus *bus.Bus
}

func newSite(t *testing.T, partitions int) *site {
	t.Helper()
	b, err := broker.Start(broker.Config{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, bus: bus.New(bus.Config{Brokers: b.Addrs()}, quiet)}
	t.Cleanup(func() {
		s.bus.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.bus.EnsureTopics(t.Context(), topics.All(partitions)...); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) stage(cfg Config) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	stage := New(cfg, Deps{Bus: s.bus, Catalog: catalog.Default(), Classifier: model, AuthorKey: key, Log: quiet, Metrics: prometheus.NewRegistry()})
	go func() { ended <- stage.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("stage: %v", err)
		}
	}
}

func (s *site) write(msgs ...bus.Message) {
	s.t.Helper()
	p, err := s.bus.Producer(s.t.Context(), topics.Posts)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.Write(s.t.Context(), msgs...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) committed(partition int) int64 {
	s.t.Helper()
	c, err := s.bus.Committed(s.t.Context(), Group, topics.Posts)
	if err != nil {
		s.t.Fatal(err)
	}
	return c[partition]
}

// values returns what a partition of a topic holds.
func (s *site) values(topic string, partition int) (out [][]byte) {
	s.t.Helper()
	r, err := s.bus.Reader(s.t.Context(), topic, partition, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	for {
		msgs, err := r.Fetch(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if len(msgs) == 0 {
			return out
		}
		for _, m := range msgs {
			out = append(out, m.Value)
		}
	}
}

func (s *site) records(partition int) (out []*outcryv1.MentionRecord) {
	s.t.Helper()
	for _, value := range s.values(topics.Mentions, partition) {
		r := &outcryv1.MentionRecord{}
		if err := proto.Unmarshal(value, r); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func aPost(id, text string, at int64) *outcryv1.Post {
	return &outcryv1.Post{Kind: outcryv1.Post_KIND_UPSERT, Source: "twitter", Id: id, Author: 77, TimeUs: at, Text: text, Lang: "en",
		Url: "https://a.example/" + id, Place: "Oslo"}
}

func message(t *testing.T, p *outcryv1.Post) bus.Message {
	t.Helper()
	value, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Message{Partition: 0, Key: topics.PostKey(p.GetSource(), p.GetId()), Value: value}
}

func idOf(source, id, service string) uint64 {
	sum := sha256.Sum256([]byte(source + "\x00" + id + "\x00" + service))
	return binary.BigEndian.Uint64(sum[:])
}

// A post becomes one mention for each service that it names, with an id that depends on nothing else; edits and deletes withdraw what was
// said before, everywhere, because nobody remembers where it was said.
// An account that goes is withdrawn in every partition of mentions.v1; a removal of nobody is unreadable.
func TestRemovedAuthorsAreWithdrawnEverywhere(t *testing.T) {
	s := newSite(t, 2)
	removed := &outcryv1.Post{Kind: outcryv1.Post_KIND_AUTHOR_REMOVED, Source: "bluesky", Author: 77, TimeUs: start + second}
	nobody := &outcryv1.Post{Kind: outcryv1.Post_KIND_AUTHOR_REMOVED, Source: "bluesky", TimeUs: start}
	s.write(message(t, aPost("1", "skype is down", start)), message(t, removed), message(t, nobody))
	stop := s.stage(DefaultConfig())
	eventually(t, "everything is classified", func() bool { return s.committed(0) == 3 })
	stop()
	want := &outcryv1.Retraction{Source: "bluesky", Author: 77, Revision: deletedRevision, TimeUs: start + second}
	for partition := range 2 {
		var got []*outcryv1.Retraction
		for _, r := range s.records(partition) {
			if x := r.GetRetraction(); x != nil {
				got = append(got, x)
			}
		}
		if len(got) != 1 || !proto.Equal(got[0], want) {
			t.Errorf("partition %d: %v, want %v", partition, got, want)
		}
	}
	if dead := s.values(topics.Dead, 0); len(dead) != 1 {
		t.Errorf("%d dead letters, want that of nobody", len(dead))
	}
}

func TestPostsBecomeMentions(t *testing.T) {
	s := newSite(t, 2)
	hasher := post.NewAuthorHasher(key)
	first := aPost("1", "can't watch Netflix, Comcast is out again", start)
	edit := proto.CloneOf(first)
	edit.Text, edit.Revision, edit.TimeUs = "can't watch Netflix, Comcast is out again, and nobody there answers the phone", 3, start+second
	official := aPost("2", "We are aware that some of you cannot sign in. We are working on it.", start+2*second)
	official.Author = hasher.Hash("twitter", "SKYPE")
	elsewhere := aPost("3", official.GetText(), start+3*second)
	elsewhere.Source, elsewhere.Author = "mastodon", hasher.Hash("mastodon", "skype")
	gone := &outcryv1.Post{Kind: outcryv1.Post_KIND_DELETE, Source: "twitter", Id: "1", TimeUs: start + 4*second}
	s.write(message(t, first), message(t, aPost("4", "lovely weather today", start)), message(t, edit), message(t, official),
		message(t, elsewhere), message(t, aPost("5", "skype is down", start+3*second)), message(t, gone))
	stop := s.stage(DefaultConfig())
	eventually(t, "everything is classified", func() bool { return s.committed(0) == 7 })
	stop()

	mentions := map[string]*outcryv1.Mention{}
	for partition := range 2 {
		var order []string
		for _, r := range s.records(partition) {
			if m := r.GetMention(); m != nil {
				mentions[fmt.Sprintf("%s %s %d", m.GetPostId(), m.GetService(), m.GetRevision())] = m
				if m.GetId() != idOf(m.GetSource(), m.GetPostId(), m.GetService()) {
					t.Errorf("mention of %s in post %s has id %d", m.GetService(), m.GetPostId(), m.GetId())
				}
				if m.GetPostId() == "1" {
					order = append(order, fmt.Sprint("revision ", m.GetRevision()))
				}
			}
			if x := r.GetRetraction(); x != nil {
				order = append(order, fmt.Sprintf("withdraw %s/%s up to %d", x.GetSource(), x.GetPostId(), x.GetRevision()))
			}
		}
		order = slices.Compact(order)
		order = slices.DeleteFunc(order, func(s string) bool { return strings.HasPrefix(s, "revision") && len(order) == 2 })
		want := []string{"revision 0", "withdraw twitter/1 up to 2", "revision 3", fmt.Sprint("withdraw twitter/1 up to ", deletedRevision)}
		if len(order) == 2 { // no service of the post is at home in this partition
			want = []string{want[1], want[3]}
		}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("partition %d (-want +got):\n%s", partition, diff)
		}
	}
	got := slices.Sorted(maps.Keys(mentions))
	want := []string{"1 comcast 0", "1 comcast 3", "1 netflix 0", "1 netflix 3", "2 skype 0", "5 skype 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("mentions (-want +got):\n%s", diff)
	}
	m := mentions["1 comcast 0"]
	if m.GetLabel() != outcryv1.Label_LABEL_OUTAGE || m.GetScore() <= 0 || m.GetScore() > 1 || m.GetModelVersion() != model.Version() ||
		m.GetAuthor() != 77 || m.GetTimeUs() != start || m.GetText() != first.GetText() || m.GetUrl() != first.GetUrl() || m.GetPlace() != "Oslo" ||
		m.GetLang() != "en" || m.GetOfficialAuthor() || m.GetPostsOffset() != 0 || m.GetTextFingerprint() == 0 {
		t.Errorf("mention is %v", m)
	}
	if m := mentions["1 netflix 3"]; m.GetPostsOffset() != 2 || m.GetText() != edit.GetText() || m.GetTextFingerprint() == mentions["1 netflix 0"].GetTextFingerprint() {
		t.Errorf("mention of the edit is %v", m)
	}
	if m := mentions["2 skype 0"]; !m.GetOfficialAuthor() {
		t.Errorf("the word of the operator is %v", m)
	}
	if m := mentions["5 skype 0"]; m.GetTextFingerprint() != 0 {
		t.Errorf("a text that everybody writes has the fingerprint %d", m.GetTextFingerprint())
	}
}

// A status page is taken at its word for its own service, and for that alone; nobody else has such a word.
func TestStatusPages(t *testing.T) {
	s := newSite(t, 1)
	page := func(id, author, text string, n outcryv1.Post_Notice) *outcryv1.Post {
		p := aPost(id, text, start)
		p.Source, p.Author, p.Notice = post.StatusPages, post.NewAuthorHasher(key).Hash(post.StatusPages, author), n
		return p
	}
	s.write(message(t, page("1", "skype", "Sign-in: Identified. A database is slow, Comcast is down too.", outcryv1.Post_NOTICE_PROBLEM)),
		message(t, page("2", "skype", "Sign-in: This incident has been resolved.", outcryv1.Post_NOTICE_RECOVERED)),
		message(t, page("3", "nobody", "Sign-in: Investigating.", outcryv1.Post_NOTICE_PROBLEM)))
	stop := s.stage(DefaultConfig())
	eventually(t, "everything is classified", func() bool { return s.committed(0) == 3 })
	stop()
	got := map[string]outcryv1.Label{}
	for _, r := range s.records(0) {
		if m := r.GetMention(); m != nil {
			got[m.GetPostId()+" "+m.GetService()] = m.GetLabel()
			if own := m.GetService() == "skype"; own != m.GetOfficialAuthor() || own && (m.GetScore() != 1 || m.GetSymptom() == 0) {
				t.Errorf("mention is %v", m)
			}
		}
	}
	if got["1 skype"] != outcryv1.Label_LABEL_OFFICIAL || got["2 skype"] != outcryv1.Label_LABEL_RECOVERED || len(got) != 3 ||
		got["1 comcast"] == outcryv1.Label_LABEL_OFFICIAL {
		t.Errorf("mentions are %v", got)
	}
}

// A text that may not be passed on is read, and goes no further; the accounts of the network's former name are the same.
func TestTextsThatMayNotBePassedOn(t *testing.T) {
	s := newSite(t, 1)
	p, official := aPost("1", "skype is down", start), aPost("2", "We are aware that some of you cannot sign in.", start)
	p.Source, official.Source, official.Author = post.X, post.X, post.NewAuthorHasher(key).Hash(post.X, "Skype")
	s.write(message(t, p), message(t, official))
	stop := s.stage(DefaultConfig())
	eventually(t, "everything is classified", func() bool { return s.committed(0) == 2 })
	stop()
	n := 0
	for _, r := range s.records(0) {
		if m := r.GetMention(); m != nil {
			n++
			if m.GetText() != "" || m.GetUrl() == "" || m.GetOfficialAuthor() != (m.GetPostId() == "2") {
				t.Errorf("mention is %v", m)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d mentions", n)
	}
}

// Unreadable records go to dead.v1 with their place, and are counted; those around them are classified.
func TestUnreadableRecords(t *testing.T) {
	s := newSite(t, 2)
	bad := [][]byte{[]byte("\xff\xff"), {}}
	for _, p := range []*outcryv1.Post{{Kind: 9, Source: "twitter", Id: "9"}, {Kind: outcryv1.Post_KIND_UPSERT, Source: "twitter", Id: "9", TimeUs: 1 << 62},
		{Kind: outcryv1.Post_KIND_UPSERT, Source: "twitter", Id: "9", TimeUs: -1}, {Kind: outcryv1.Post_KIND_DELETE, Source: "twitter", Id: "9", TimeUs: -1},
		{Kind: outcryv1.Post_KIND_UPSERT, Source: "twitter", Id: "9", TimeUs: start, Revision: -1}} {
		bad = append(bad, message(t, p).Value)
	}
	msgs := []bus.Message{message(t, aPost("1", "skype is down", start))}
	var want []string
	for i, v := range bad {
		msgs = append(msgs, bus.Message{Partition: 0, Key: []byte("k"), Value: v})
		want = append(want, fmt.Sprintf("classifier posts.v1/0 %d %q", i+1, v))
	}
	s.write(append(msgs, message(t, aPost("2", "skype is down", start)))...)
	stop := s.stage(DefaultConfig())
	eventually(t, "everything is read", func() bool { return s.committed(0) == int64(len(bad)+2) })
	stop()
	var got []string
	for _, value := range s.values(topics.Dead, 0) {
		var d outcryv1.DeadLetter
		if err := proto.Unmarshal(value, &d); err != nil {
			t.Fatal(err)
		}
		if d.GetReason() == "" {
			t.Errorf("record %d has no reason", d.GetPosition())
		}
		got = append(got, fmt.Sprintf("%s %s %d %q", d.GetStage(), d.GetOrigin(), d.GetPosition(), d.GetValue()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dead.v1 (-want +got):\n%s", diff)
	}
	posts, unreadable := int64(0), int64(0)
	for _, c := range newTally(s.records(0)).sources {
		for _, n := range c {
			posts, unreadable = posts+n.GetPosts(), unreadable+n.GetUnreadable()
		}
	}
	if posts != 2 || unreadable != int64(len(bad)) {
		t.Errorf("%d posts and %d unreadable records are counted, want 2 and %d", posts, unreadable, len(bad))
	}
}

// tally is what an aggregator makes of the progress in a partition of mentions.v1.
type tally struct {
	sources map[[2]int64][]*outcryv1.SourceCount // by partition and first offset: the last one counts
}

func newTally(records []*outcryv1.MentionRecord) tally {
	t := tally{map[[2]int64][]*outcryv1.SourceCount{}}
	for _, r := range records {
		p := r.GetProgress()
		if p == nil {
			continue
		}
		if p.GetFirstOffset() == p.GetBatchOffset() { // what was told of the batch before is void
			maps.DeleteFunc(t.sources, func(k [2]int64, _ []*outcryv1.SourceCount) bool {
				return k[0] == int64(p.GetPostsPartition()) && k[1] >= p.GetBatchOffset()
			})
		}
		if len(p.GetSources()) > 0 {
			t.sources[[2]int64{int64(p.GetPostsPartition()), p.GetFirstOffset()}] = p.GetSources()
		}
	}
	return t
}

// stream is posts about skype in disorder, a few seconds apart.
func stream(t *testing.T, rng *rand.Rand, n int) (msgs []bus.Message, posts []*outcryv1.Post) {
	now := start
	for i := range n {
		now += rng.Int64N(6 * second)
		p := aPost(fmt.Sprint(i), fmt.Sprintf("skype is down here too, says number %d", i), now-rng.Int64N(3*second))
		switch rng.IntN(12) {
		case 0:
			p = &outcryv1.Post{Kind: outcryv1.Post_KIND_CLOCK, TimeUs: now}
		case 1:
			p = &outcryv1.Post{Kind: outcryv1.Post_KIND_DELETE, Source: "twitter", Id: fmt.Sprint(rng.IntN(n)), TimeUs: now + 90*second}
		}
		msgs, posts = append(msgs, message(t, p)), append(posts, p)
	}
	return msgs, posts
}

// steps returns, by offset of the record that takes the watermark over a step of the grid, that step.
func steps(posts []*outcryv1.Post, disorder time.Duration) map[int64]int64 {
	out, latest := map[int64]int64{}, int64(0)
	for i, p := range posts {
		at := p.GetTimeUs()
		switch p.GetKind() {
		case outcryv1.Post_KIND_UPSERT:
			at -= disorder.Microseconds()
		case outcryv1.Post_KIND_DELETE:
			continue
		}
		if step := at / (10 * second); step > latest {
			out[int64(i)], latest = step*10*second, step
		}
	}
	return out
}

// Whatever the sizes of the batches, the progress of a step stands in the log right behind the record that crosses it.
func TestProgressStandsWhereItsStepIsCrossed(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	for range 2 {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := newSite(t, 1)
		msgs, posts := stream(t, rng, 400)
		stop := s.stage(DefaultConfig())
		for rest := msgs; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(60))
			s.write(rest[:n]...)
			rest = rest[n:]
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		}
		eventually(t, "everything is classified", func() bool { return s.committed(0) == int64(len(msgs)) })
		stop()
		want := steps(posts, DefaultConfig().MaxOutOfOrderness)
		if len(want) < 50 {
			t.Fatalf("%d steps: the stream is too dull to show anything", len(want))
		}
		got, watermark, next := map[int64]int64{}, int64(0), int64(0)
		for _, r := range s.records(0) {
			if m := r.GetMention(); m != nil {
				if m.GetPostsOffset() < next {
					t.Errorf("the mention of record %d comes behind the progress up to %d", m.GetPostsOffset(), next)
				}
				if m.GetPostsOffset() > next {
					for offset := next; offset < m.GetPostsOffset(); offset++ {
						if step, ok := want[offset]; ok {
							t.Errorf("the mention of record %d comes before the progress of %d, which record %d crosses", m.GetPostsOffset(), step, offset)
						}
					}
				}
			}
			if p := r.GetProgress(); p != nil {
				if p.GetFirstOffset() != next {
					t.Errorf("progress from %d, want from %d", p.GetFirstOffset(), next)
				}
				next = p.GetNextOffset()
				if p.GetWatermarkUs() > watermark {
					watermark = p.GetWatermarkUs()
					got[next-1] = watermark
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("steps by the record that crosses them (-want +got):\n%s", diff)
		}
	}
}

// A stage that is cut off in the middle repeats only what it had not committed, and a repeated count replaces the first one.
func TestCutOffAndGoOn(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	s := newSite(t, 2)
	msgs, posts := stream(t, rng, 3000)
	go func() {
		for rest := msgs; len(rest) > 0 && t.Context().Err() == nil; {
			n := min(len(rest), 1+rand.IntN(100))
			s.write(rest[:n]...)
			rest = rest[n:]
			time.Sleep(20 * time.Millisecond)
		}
	}()
	for s.committed(0) < int64(len(msgs)) {
		committed, from := s.committed(0), len(s.records(0))
		cfg := DefaultConfig()
		stop := s.stage(cfg)
		eventually(t, "the stage works", func() bool { return s.committed(0) > committed })
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		stop()
		for _, r := range s.records(0)[from:] {
			if m := r.GetMention(); m != nil && m.GetPostsOffset() < committed {
				t.Fatalf("record %d is classified again, though %d was committed", m.GetPostsOffset(), committed)
			}
		}
	}
	want, got := map[int64]int64{}, map[int64]int64{}
	ids, deletes := map[uint64]bool{}, int64(0)
	for _, p := range posts {
		if p.GetKind() == outcryv1.Post_KIND_UPSERT {
			want[p.GetTimeUs()/60_000_000]++
			ids[idOf("twitter", p.GetId(), "skype")] = true
		} else if p.GetKind() == outcryv1.Post_KIND_DELETE {
			deletes++
		}
	}
	for partition := range 2 {
		clear(got)
		gotDeletes := int64(0)
		for _, counts := range newTally(s.records(partition)).sources {
			for _, c := range counts {
				if c.GetPosts() > 0 {
					got[c.GetMinute()] += c.GetPosts()
				}
				gotDeletes += c.GetDeletes()
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || gotDeletes != deletes {
			t.Errorf("posts by minute (-want +got), %d deletes of %d:\n%s", gotDeletes, deletes, diff)
		}
		for _, r := range s.records(partition) {
			delete(ids, r.GetMention().GetId())
		}
	}
	if len(ids) > 0 {
		t.Errorf("%d posts have no mention", len(ids))
	}
}

// A partition that is silent is not waited for, and is waited for again from its next record on.
func TestSilentPartitionIsIdle(t *testing.T) {
	s := newSite(t, 2)
	cfg := DefaultConfig()
	cfg.IdleAfter = 200 * time.Millisecond
	stop := s.stage(cfg)
	defer stop()
	progress := func() (out []*outcryv1.Progress) {
		for _, r := range s.records(1) {
			if p := r.GetProgress(); p.GetPostsPartition() == 1 && p != nil {
				out = append(out, p)
			}
		}
		return out
	}
	eventually(t, "the silent partition is idle", func() bool { return len(progress()) > 0 })
	first := progress()
	if len(first) != 1 || !first[0].GetIdle() || first[0].GetPostsPartitions() != 2 || first[0].GetNextOffset() != 0 || first[0].GetWatermarkUs() != 0 {
		t.Fatalf("progress of a silent partition: %v, want it once, idle", first)
	}
	var msgs []bus.Message
	for i := range int64(20) {
		m := message(t, aPost(fmt.Sprint(i), "skype is down", start+i*20*second))
		m.Partition = 1
		msgs = append(msgs, m)
	}
	s.write(msgs...)
	eventually(t, "the partition is idle again", func() bool { p := progress(); return len(p) > 1 && p[len(p)-1].GetIdle() })
	later := progress()[1:]
	for _, p := range later[:len(later)-1] {
		if p.GetIdle() {
			t.Errorf("progress up to offset %d is idle, though records follow", p.GetNextOffset())
		}
	}
	if last := later[len(later)-1]; last.GetNextOffset() != 20 || last.GetFirstOffset() != 20 || len(last.GetSources()) != 0 {
		t.Errorf("the idle partition's progress is %v", last)
	}
}
