package classifier

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/places"
	"outcry.dev/pkg/post"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Group is the consumer group of the stage.
const Group = "classifier"

// Deps are what the stage works with.
type Deps struct {
	Bus        *bus.Bus
	Catalog    *catalog.Catalog
	Classifier *classify.Classifier
	AuthorKey  []byte
	Log        *slog.Logger
	Metrics    prometheus.Registerer
}

// Stage turns posts into mentions.
type Stage struct {
	cfg     Config
	deps    Deps
	metrics *metrics

	// official holds, by hashed author, in which the source is, the services for which the author speaks.
	official map[uint64][]string
	mentions *bus.Producer
	dead     *bus.Producer
	// partitions is how many posts.v1 has.
	partitions int
}

// New returns a stage that remembers its parts.
func New(cfg Config, deps Deps) *Stage {
	return &Stage{cfg: cfg, deps: deps, metrics: newMetrics(deps.Metrics)}
}

// Run works until ctx ends.
func (s *Stage) Run(ctx context.Context) error {
	var err error
	if s.partitions, err = s.deps.Bus.Partitions(ctx, topics.Posts); err != nil {
		return err
	}
	if s.mentions, err = s.deps.Bus.Producer(ctx, topics.Mentions); err != nil {
		return err
	}
	if s.dead, err = s.deps.Bus.Producer(ctx, topics.Dead); err != nil {
		return err
	}
	s.official = officialAuthors(s.deps.Catalog, s.deps.AuthorKey)
	err = s.deps.Bus.Consume(ctx, bus.GroupConfig{Group: Group, Topic: topics.Posts}, s.consume)
	if err != nil {
		return fmt.Errorf("classifier: %w", err)
	}
	return nil
}

// officialAuthors hashes the official accounts of the catalog, because posts carry no names.
func officialAuthors(c *catalog.Catalog, key []byte) map[uint64][]string {
	hasher := post.NewAuthorHasher(key)
	out := map[uint64][]string{}
	for _, service := range c.Services {
		out[hasher.Hash(post.StatusPages, service.ID)] = []string{service.ID}
		for source, handles := range service.Official {
			for _, handle := range handles {
				keys := []uint64{hasher.Hash(source, handle), hasher.Hash(source, strings.ToLower(handle))}
				if source == "twitter" { // the same accounts, under the name that the network has now
					keys = append(keys, hasher.Hash(post.X, handle))
				}
				for _, k := range keys {
					if !slices.Contains(out[k], service.ID) {
						out[k] = append(out[k], service.ID)
					}
				}
			}
		}
	}
	return out
}

// consume works through one partition of posts.v1.
func (s *Stage) consume(ctx context.Context, claim *bus.Claim) error {
	w := &worker{stage: s, claim: claim, partition: int32(claim.Partition), start: claim.Offset(), claimedUS: time.Now().UnixMicro(), maxUS: math.MinInt64,
		steppedUS: math.MinInt64, counts: map[countKey]*outcryv1.SourceCount{}}
	lag := s.metrics.lag.WithLabelValues(strconv.Itoa(claim.Partition))
	lastRecord := time.Now()
	for {
		msgs, err := claim.Fetch(ctx)
		if err != nil {
			return err
		}
		idle := false
		if len(msgs) == 0 {
			if w.idle || time.Since(lastRecord) < s.cfg.IdleAfter {
				continue
			}
			idle = true
		} else {
			lastRecord = time.Now()
		}
		w.batch = w.start
		w.idle = idle // before the records: the progress at their steps must not say that nobody need wait for them
		for i := range msgs {
			w.take(&msgs[i])
		}
		w.progress(claim.Offset())
		if len(w.dead) > 0 {
			if err := s.dead.Write(ctx, w.dead...); err != nil {
				return err
			}
		}
		if err := s.mentions.Write(ctx, w.out...); err != nil {
			return err
		}
		w.out, w.dead = w.out[:0], w.dead[:0]
		if err := claim.Commit(claim.Offset()); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		lag.Set(float64(claim.Lag()))
	}
}

// worker holds what is known of one partition.
type worker struct {
	stage     *Stage
	claim     *bus.Claim
	partition int32

	post      outcryv1.Post
	found     []classify.Mention
	out       []bus.Message
	dead      []bus.Message
	counts    map[countKey]*outcryv1.SourceCount
	counting  *outcryv1.SourceCount // the one of counts that was used last; the next post is nearly always of the same source and minute
	start     int64                 // first offset that no Progress covers
	batch     int64                 // offset at which the batch began
	claimedUS int64                 // wall clock
	maxUS     int64                 // latest watermark
	steppedUS int64                 // watermark of the latest Progress at a step
	idle      bool
}

type countKey struct {
	source string
	minute int64
}

const stepUS = int64(detect.Step / time.Microsecond)

// take works through one record.
func (w *worker) take(m *bus.Message) {
	p := &w.post
	p.Reset()
	if err := proto.Unmarshal(m.Value, p); err != nil {
		w.unreadable(m, err.Error())
		return
	}
	if p.GetTimeUs() < 0 || p.GetTimeUs() >= maxTimeUS || p.GetRevision() < 0 || p.GetRevision() >= deletedRevision {
		w.unreadable(m, fmt.Sprintf("post at time_us %d of revision %d", p.GetTimeUs(), p.GetRevision()))
		return
	}
	watermark := p.GetTimeUs()
	switch p.GetKind() {
	case outcryv1.Post_KIND_UPSERT:
		w.count(p.GetSource(), p.GetTimeUs()).Posts++
		w.stage.metrics.posts.Inc()
		w.classify(p, m.Offset)
		watermark -= w.stage.cfg.MaxOutOfOrderness.Microseconds()
	case outcryv1.Post_KIND_DELETE:
		w.count(p.GetSource(), p.GetTimeUs()).Deletes++
		w.retract(p, deletedRevision)
		watermark = math.MinInt64 // a delete may come long after everything else, or carry no time at all
	case outcryv1.Post_KIND_AUTHOR_REMOVED:
		if p.GetAuthor() == 0 {
			w.unreadable(m, "removal of an unknown author")
			return
		}
		w.broadcast(m.Key, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Retraction{
			Retraction: &outcryv1.Retraction{Source: p.GetSource(), Author: p.GetAuthor(), Revision: deletedRevision, TimeUs: p.GetTimeUs()}}})
		watermark = math.MinInt64
	case outcryv1.Post_KIND_CLOCK:
	default:
		w.unreadable(m, fmt.Sprintf("unknown kind %d of post", p.GetKind()))
		return
	}
	w.maxUS = max(w.maxUS, watermark)
	if w.maxUS/stepUS*stepUS > w.steppedUS && w.maxUS > 0 {
		w.steppedUS = w.maxUS / stepUS * stepUS
		w.progress(m.Offset + 1)
	}
}

// maxTimeUS is 2100-01-01. A later time would pass for the end of all windows.
const maxTimeUS = 4_102_444_800_000_000

// deletedRevision is above every revision that an edit can have.
const deletedRevision = 1 << 60

func (w *worker) classify(p *outcryv1.Post, offset int64) {
	s := w.stage
	if p.GetRevision() > 0 {
		w.retract(p, p.GetRevision()-1)
	}
	officialOf := s.official[p.GetAuthor()]
	w.found = s.deps.Classifier.Classify(&classify.Input{Text: p.GetText(), Lang: p.GetLang(), ReplyTo: p.GetReplyTo(),
		Repost: p.GetRepostOf() != "", OfficialOf: officialOf}, w.found[:0])
	if len(w.found) == 0 {
		return
	}
	fingerprint := classify.CopyFingerprint(p.GetText())
	named := places.Find(p.GetText())
	if len(named) == 0 && p.GetPlace() != "" {
		named = places.Find(p.GetPlace())
	}
	text := p.GetText()
	if post.IDsOnly(p.GetSource()) {
		text = "" // from here on nobody may see it: not in ClickHouse, not in an incident, not on a page
	}
	for _, f := range w.found {
		official := slices.Contains(officialOf, f.Service)
		if official {
			f = noticed(f, p.GetNotice())
		}
		s.metrics.mentions.WithLabelValues(f.Label.Name()).Inc()
		w.put([]byte(f.Service), &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: &outcryv1.Mention{
			Id: mentionID(p.GetSource(), p.GetId(), f.Service), Service: f.Service, Label: f.Label, Score: f.Score, Symptom: f.Symptom,
			ModelVersion: s.deps.Classifier.Version(), Source: p.GetSource(), PostId: p.GetId(), Author: p.GetAuthor(),
			TimeUs: p.GetTimeUs(), Text: text, Lang: p.GetLang(), Url: p.GetUrl(), ReplyTo: p.GetReplyTo(),
			RepostOf: p.GetRepostOf(), Place: p.GetPlace(), Revision: p.GetRevision(),
			OfficialAuthor: official, TextFingerprint: fingerprint,
			PostsPartition: w.partition, PostsOffset: offset, Also: others(w.found, f.Service), Places: named,
		}}})
	}
}

// noticed takes a status page at its word: it states what the model has to guess.
func noticed(f classify.Mention, n outcryv1.Post_Notice) classify.Mention {
	switch n {
	case outcryv1.Post_NOTICE_PROBLEM:
		f.Label, f.Score = outcryv1.Label_LABEL_OFFICIAL, 1
	case outcryv1.Post_NOTICE_RECOVERED:
		f.Label, f.Score = outcryv1.Label_LABEL_RECOVERED, 1
	default:
		return f
	}
	if f.Symptom == outcryv1.Symptom_SYMPTOM_UNSPECIFIED {
		f.Symptom = outcryv1.Symptom_SYMPTOM_GENERAL
	}
	return f
}

// others are the services that a post names beside one.
func others(found []classify.Mention, service string) (also []string) {
	for _, f := range found {
		if f.Service != service && !slices.Contains(also, f.Service) {
			also = append(also, f.Service)
		}
	}
	return also
}

// mentionID is the same however often a post is delivered.
func mentionID(source, postID, service string) uint64 {
	h := sha256.New()
	h.Write([]byte(source))
	h.Write([]byte{0})
	h.Write([]byte(postID))
	h.Write([]byte{0})
	h.Write([]byte(service))
	return binary.BigEndian.Uint64(h.Sum(nil))
}

func (w *worker) retract(p *outcryv1.Post, revision int64) {
	w.broadcast(topics.PostKey(p.GetSource(), p.GetId()), &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Retraction{
		Retraction: &outcryv1.Retraction{Source: p.GetSource(), PostId: p.GetId(), Revision: revision, TimeUs: p.GetTimeUs()}}})
}

// progress tells every aggregator how far this partition is; the counts since the last one go with it.
func (w *worker) progress(next int64) {
	p := &outcryv1.Progress{PostsPartition: w.partition, PostsPartitions: int32(w.stage.partitions), FirstOffset: w.start,
		NextOffset: next, WatermarkUs: max(0, w.steppedUS), Idle: w.idle, BatchOffset: w.batch, ClaimedAtUs: w.claimedUS}
	for _, c := range w.counts {
		p.Sources = append(p.Sources, c)
	}
	slices.SortFunc(p.Sources, func(a, b *outcryv1.SourceCount) int {
		if c := strings.Compare(a.GetSource(), b.GetSource()); c != 0 {
			return c
		}
		return int(a.GetMinute() - b.GetMinute())
	})
	clear(w.counts)
	w.counting = nil
	w.start = next
	w.broadcast(nil, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: p}})
}

func (w *worker) count(source string, timeUS int64) *outcryv1.SourceCount {
	k := countKey{source, timeUS / 60_000_000}
	if c := w.counting; c != nil && c.GetMinute() == k.minute && c.GetSource() == k.source {
		return c
	}
	c := w.counts[k]
	if c == nil {
		c = &outcryv1.SourceCount{Source: k.source, Minute: k.minute}
		w.counts[k] = c
	}
	w.counting = c
	return c
}

func (w *worker) unreadable(m *bus.Message, reason string) {
	s := w.stage
	s.metrics.unreadable.Inc()
	w.count("unknown", max(0, w.maxUS)).Unreadable++
	s.deps.Log.Warn("unreadable record goes to dead.v1", "topic", topics.Posts, "partition", w.partition, "offset", m.Offset, "reason", reason)
	d := topics.DeadLetter("classifier", fmt.Sprintf("%s/%d", topics.Posts, w.partition), m.Offset, reason, m.Value)
	w.dead = append(w.dead, bus.Message{Partition: bus.AnyPartition, Key: m.Key, Value: marshal(d)})
}

func (w *worker) put(key []byte, r *outcryv1.MentionRecord) {
	w.out = append(w.out, bus.Message{Partition: bus.AnyPartition, Key: key, Value: marshal(r)})
}

func (w *worker) broadcast(key []byte, r *outcryv1.MentionRecord) {
	value := marshal(r)
	for p := range w.stage.mentions.Partitions() {
		w.out = append(w.out, bus.Message{Partition: p, Key: key, Value: value})
	}
}

// marshal cannot fail: the strings were unmarshalled as valid UTF-8 or come from the catalog.
func marshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic("classifier: " + err.Error())
	}
	return b
}
