package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/post"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		child() // this process is one that a test kills
		return
	}
	goleak.VerifyTestMain(m)
}

const partitions = 2

var (
	key   = []byte("a key of sixteen bytes")
	begin = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
)

// events is a source that gives what it holds, and then does what then says.
type events struct {
	list []source.Event
	then func(ctx context.Context) error
}

func (s *events) Name() string { return "events" }

func (s *events) Run(ctx context.Context, in *source.Session) error {
	for _, e := range s.list {
		if err := in.Emit(e); err != nil {
			return err
		}
	}
	if s.then != nil {
		return s.then(ctx)
	}
	return nil
}

func upsert(id string, at time.Time) source.Event {
	return source.Event{Kind: source.Upsert, Post: post.Post{ID: id, Source: "bluesky", Author: "ann", Text: "text of " + id, CreatedAt: at}}
}

func start(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := broker.Start(broker.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	k := bus.New(bus.Config{Brokers: b.Addrs(), Prefix: "test."}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		k.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := k.EnsureTopics(t.Context(), topics.All(partitions)...); err != nil {
		t.Fatal(err)
	}
	return k
}

func newStage(k *bus.Bus, cfg ingest.Config, live bool, s source.Source) *ingest.Stage {
	return ingest.New(cfg, ingest.Deps{Bus: k, AuthorKey: key, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Live: live}, s)
}

// readAll returns what each partition of a topic holds.
func readAll[M any, P interface {
	*M
	proto.Message
}](t *testing.T, k *bus.Bus, topic string) (all [][]P, keys [][]string) {
	t.Helper()
	offsets, err := k.Offsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	all, keys = make([][]P, len(offsets)), make([][]string, len(offsets))
	for partition, o := range offsets {
		r, err := k.Reader(t.Context(), topic, partition, o.First)
		if err != nil {
			t.Fatal(err)
		}
		for r.Offset() < o.Next {
			msgs, err := r.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range msgs {
				p := P(new(M))
				if err := proto.Unmarshal(m.Value, p); err != nil {
					t.Fatal(err)
				}
				all[partition] = append(all[partition], p)
				keys[partition] = append(keys[partition], string(m.Key))
			}
		}
		r.Close()
	}
	return all, keys
}

// A post arrives with every field, its author as a hash, and a delete in the same partition behind it.
func TestPostsAndDeletes(t *testing.T) {
	k := start(t)
	full := post.Post{ID: "1", Source: "mastodon", Author: "ann@example.org", Text: "héllo", CreatedAt: begin.Add(123456 * time.Microsecond), Lang: "en",
		URL: "https://example.org/1", ReplyTo: "0", RepostOf: "9", Place: "Oslo", AuthorVerified: true}
	stage := newStage(k, ingest.DefaultConfig(), false, &events{list: []source.Event{
		{Kind: source.Upsert, Post: full, Revision: 5},
		{Kind: source.Delete, Post: post.Post{Source: "mastodon", ID: "1", CreatedAt: begin.Add(time.Second)}},
		{Kind: source.Delete, Post: post.Post{Source: "mastodon", ID: "unheard of"}},
	}})
	if err := stage.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	us := begin.UnixMicro()
	want := map[string][]*outcryv1.Post{
		"mastodon\x001": {
			{Kind: outcryv1.Post_KIND_UPSERT, Source: "mastodon", Id: "1", Author: post.NewAuthorHasher(key).Hash("mastodon", "ann@example.org"),
				TimeUs: us + 123456, Text: "héllo", Lang: "en", Url: "https://example.org/1", ReplyTo: "0", RepostOf: "9", Place: "Oslo",
				AuthorVerified: true, Revision: 5},
			{Kind: outcryv1.Post_KIND_DELETE, Source: "mastodon", Id: "1", TimeUs: us + 1e6},
		},
		// A delete without a time of its own is of when it came.
		"mastodon\x00unheard of": {{Kind: outcryv1.Post_KIND_DELETE, Source: "mastodon", Id: "unheard of", TimeUs: us + 123456}},
	}
	all, keys := readAll[outcryv1.Post](t, k, topics.Posts)
	got := map[string][]*outcryv1.Post{}
	for partition := range all {
		for i, p := range all[partition] {
			if p.GetKind() != outcryv1.Post_KIND_CLOCK {
				got[keys[partition][i]] = append(got[keys[partition][i]], p)
			}
		}
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	counts := ingest.Counts{Posts: 1, Deletes: 2, Newest: full.CreatedAt}
	if diff := cmp.Diff(counts, stage.Counts()); diff != "" {
		t.Errorf("counts (-want +got)\n%s", diff)
	}
}

// What is not kept does not reach Kafka; that a post is a reply or a repost does. Ids that cannot be become dead letters.
func TestFieldsThatAreNotKept(t *testing.T) {
	k := start(t)
	cfg := ingest.DefaultConfig()
	cfg.Keep = []string{"lang"}
	full := post.Post{ID: "1", Source: "mastodon", Author: "ann", Text: "a", CreatedAt: begin, Lang: "en", URL: "https://example.org/1", ReplyTo: "22", RepostOf: "9",
		Place: "Oslo", AuthorVerified: true}
	plain := post.Post{ID: "2", Source: "mastodon", Author: "ann", Text: "b", CreatedAt: begin}
	stage := newStage(k, cfg, false, &events{list: []source.Event{{Post: full}, {Post: plain}, {Kind: source.Delete, Post: post.Post{Source: "mastodon", ID: strings.Repeat("x", 600)}}}})
	if err := stage.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	hash := post.NewAuthorHasher(key).Hash("mastodon", "ann")
	want := map[string]*outcryv1.Post{
		"1": {Kind: outcryv1.Post_KIND_UPSERT, Source: "mastodon", Id: "1", Author: hash, TimeUs: begin.UnixMicro(), Text: "a", Lang: "en", ReplyTo: "-", RepostOf: "-"},
		"2": {Kind: outcryv1.Post_KIND_UPSERT, Source: "mastodon", Id: "2", Author: hash, TimeUs: begin.UnixMicro(), Text: "b"},
	}
	all, _ := readAll[outcryv1.Post](t, k, topics.Posts)
	got := map[string]*outcryv1.Post{}
	for _, posts := range all {
		for _, p := range posts {
			if p.GetKind() != outcryv1.Post_KIND_CLOCK {
				got[p.GetId()] = p
			}
		}
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if c := stage.Counts(); c.Unreadable != 1 || c.Deletes != 0 {
		t.Errorf("counts %+v", c)
	}
	cfg.Keep = []string{"lang", "text", "lang"}
	if err := cfg.Validate(); err == nil || strings.Count(err.Error(), "keep has") != 2 {
		t.Errorf("Validate says %v", err)
	}
}

// An account that goes is told to every partition, behind what it wrote, and under its hash.
func TestRemovedAuthorGoesEverywhere(t *testing.T) {
	k := start(t)
	stage := newStage(k, ingest.DefaultConfig(), false, &events{list: []source.Event{upsert("1", begin), upsert("2", begin),
		{Kind: source.RemoveAuthor, Post: post.Post{Source: "bluesky", Author: "ann", CreatedAt: begin.Add(time.Second)}}}})
	if err := stage.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := &outcryv1.Post{Kind: outcryv1.Post_KIND_AUTHOR_REMOVED, Source: "bluesky", Author: post.NewAuthorHasher(key).Hash("bluesky", "ann"), TimeUs: begin.UnixMicro() + 1e6}
	all, _ := readAll[outcryv1.Post](t, k, topics.Posts)
	for partition, posts := range all {
		var last *outcryv1.Post
		for _, p := range posts {
			if p.GetKind() != outcryv1.Post_KIND_CLOCK {
				last = p
			}
		}
		if diff := cmp.Diff(want, last, protocmp.Transform()); diff != "" {
			t.Errorf("partition %d ends with (-want +got)\n%s", partition, diff)
		}
	}
}

// Every post arrives once and unharmed, over many batches; a partition holds no post that is older than a clock before it.
func TestRecording(t *testing.T) {
	k := start(t)
	cfg := ingest.DefaultConfig()
	cfg.BatchPosts, cfg.MaxOutOfOrderness = 100, 2*time.Second
	var list []source.Event
	want := map[string]string{}
	for i := range 5000 {
		e := upsert(fmt.Sprint(i), begin.Add(time.Duration(i)*20*time.Millisecond-time.Duration(i%7)*250*time.Millisecond))
		e.Post.Text = strings.Repeat("x", i%300) + e.Post.ID
		if i == 2500 {
			e.Post.Text = strings.Repeat("long ", 1500)
		}
		want[e.Post.ID] = e.Post.Text
		list = append(list, e)
	}
	stage := newStage(k, cfg, false, &events{list: list})
	if err := stage.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, _ := readAll[outcryv1.Post](t, k, topics.Posts)
	got := map[string]string{}
	var clocks [partitions][]int64
	for partition, posts := range all {
		clock := int64(0)
		for _, p := range posts {
			if p.GetKind() == outcryv1.Post_KIND_CLOCK {
				clock = p.GetTimeUs()
				clocks[partition] = append(clocks[partition], clock)
				continue
			}
			if _, twice := got[p.GetId()]; twice {
				t.Errorf("post %s came twice", p.GetId())
			}
			got[p.GetId()] = p.GetText()
			if p.GetTimeUs() < clock {
				t.Errorf("post %s is older than the clock before it", p.GetId())
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	// Each step of the grid once, in every partition, and at the end the one that lets all posts be decided.
	if !slices.Equal(clocks[0], clocks[1]) {
		t.Errorf("the partitions have different clocks: %v %v", clocks[0], clocks[1])
	}
	for i, c := range clocks[0] {
		if c%detect.Step.Microseconds() != 0 || i > 0 && c <= clocks[0][i-1] {
			t.Errorf("clocks off the grid or not in order: %v", clocks[0])
		}
	}
	if last, newest := clocks[0][len(clocks[0])-1], stage.Counts().Newest.UnixMicro(); last <= newest {
		t.Errorf("the last clock %d does not let the last post of %d be decided", last, newest)
	}
}

func TestUnreadableGoesToDeadLetters(t *testing.T) {
	k := start(t)
	raw := []byte("\xff rubbish")
	stage := newStage(k, ingest.DefaultConfig(), false, &events{list: []source.Event{
		upsert("1", begin),
		{Kind: source.Unreadable, Fault: &source.Fault{Origin: "posts.jsonl", Position: 7, Reason: "not a post", Raw: raw}},
		{Kind: source.Unreadable, Fault: &source.Fault{Origin: "o\xff", Position: 8, Reason: "r\xff", Raw: make([]byte, topics.MaxDeadBytes+1)}},
	}, then: func(context.Context) error {
		copy(raw, "overwritten") // the bytes belong to the source again
		return nil
	}})
	if err := stage.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, keys := readAll[outcryv1.DeadLetter](t, k, topics.Dead)
	want := []*outcryv1.DeadLetter{
		{Stage: "ingest", Origin: "posts.jsonl", Position: 7, Reason: "not a post", Value: []byte("\xff rubbish"), ValueBytes: 9},
		{Stage: "ingest", Origin: "o\uFFFD", Position: 8, Reason: "r\uFFFD", Value: make([]byte, topics.MaxDeadBytes), ValueBytes: topics.MaxDeadBytes + 1},
	}
	if diff := cmp.Diff(want, all[0], protocmp.Transform()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if keys[0][0] != "posts.jsonl" {
		t.Errorf("key %q", keys[0][0])
	}
	if c := stage.Counts(); c.Posts != 1 || c.Unreadable != 2 {
		t.Errorf("counts %+v", c)
	}
}

// Nobody posts, and time goes on all the same: the wall clock moves a live source.
func TestLiveTimeGoesOnWithoutPosts(t *testing.T) {
	k := start(t)
	cfg := ingest.DefaultConfig()
	cfg.BatchWait, cfg.MaxOutOfOrderness = 5*time.Millisecond, time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := time.Now()
	stage := newStage(k, cfg, true, &events{list: []source.Event{upsert("1", before)}, then: func(ctx context.Context) error {
		// Until the post and a clock have been written without the source's doing.
		for {
			offsets, err := k.Offsets(ctx, topics.Posts)
			if err != nil {
				return err
			}
			written := int64(0)
			for _, o := range offsets {
				written += o.Next
			}
			if written >= 1+partitions {
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(5 * time.Millisecond):
			}
		}
	}})
	if err := stage.Run(ctx); err != nil {
		t.Fatalf("interrupted, it returned %v", err)
	}
	all, _ := readAll[outcryv1.Post](t, k, topics.Posts)
	for partition, posts := range all {
		clocks := 0
		for _, p := range posts {
			if p.GetKind() != outcryv1.Post_KIND_CLOCK {
				continue
			}
			clocks++
			at := time.UnixMicro(p.GetTimeUs())
			if at.After(time.Now().Add(-cfg.MaxOutOfOrderness)) || at.Before(before.Add(-cfg.MaxOutOfOrderness-detect.Step)) || p.GetTimeUs()%detect.Step.Microseconds() != 0 {
				t.Errorf("clock of %s, begun at %s", at, before)
			}
		}
		if clocks == 0 {
			t.Errorf("partition %d has no clock", partition)
		}
	}
}

// What a source gave before it failed is not thrown away silently: its error is the stage's.
// settling is a source that waits for Kafka after each of its posts, and looks there itself.
type settling struct {
	t    *testing.T
	k    *bus.Bus
	done context.CancelFunc
}

func (*settling) Name() string { return "settling" }

func (s *settling) Run(ctx context.Context, in *source.Session) error {
	for i := range 5 {
		if err := in.Emit(upsert(fmt.Sprint(i), time.Now())); err != nil {
			return err
		}
		if err := in.Settle(ctx); err != nil {
			return err
		}
		offsets, err := s.k.Offsets(ctx, topics.Posts)
		if err != nil {
			return err
		}
		written := int64(0)
		for _, o := range offsets {
			written += o.Next
		}
		if written <= int64(i) {
			s.t.Errorf("settled after %d posts, with %d records in Kafka", i+1, written)
		}
	}
	if err := in.Settle(ctx); err != nil { // nothing is under way
		return err
	}
	s.done()
	return ctx.Err()
}

// What is settled is in Kafka.
func TestSettled(t *testing.T) {
	k := start(t)
	cfg := ingest.DefaultConfig()
	cfg.BatchWait = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := newStage(k, cfg, true, &settling{t: t, k: k, done: cancel}).Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestASourcesErrorIsTheStages(t *testing.T) {
	k := start(t)
	boom := errors.New("boom")
	stage := newStage(k, ingest.DefaultConfig(), false, &events{list: []source.Event{upsert("1", begin)}, then: func(context.Context) error { return boom }})
	if err := stage.Run(t.Context()); !errors.Is(err, boom) {
		t.Errorf("Run returned %v", err)
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	if err := ingest.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := ingest.Config{MaxOutOfOrderness: -1, BatchPosts: 0, BatchWait: 0}.Validate()
	for _, field := range []string{"max_out_of_orderness", "batch_posts", "batch_wait"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in %v", field, err)
		}
	}
}
