package aggregator

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"google.golang.org/protobuf/proto"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// start is the first moment of every log here: 2010-12-22 16:00 UTC.
const start = int64(1_293_033_600_000_000)

const (
	second = int64(1_000_000)
	minute = 60 * second
)

// logger writes what classifiers would write to mentions.v1, with all that can go wrong.
type logger struct {
	rng        *rand.Rand
	partitions int                         // of mentions.v1
	log        [][]*outcryv1.MentionRecord // by partition of mentions.v1
	posts      []*postsPartition
	next       uint64
	rewrites   bool            // edits and withdrawals happen
	read       map[int64]int64 // posts by minute, each once
}

// postsPartition is a partition of posts.v1 as its classifier sees it.
type postsPartition struct {
	number   int32
	offset   int64
	first    int64 // first offset that no Progress covers
	batch    int64 // offset of the last commit
	claimed  int64 // how many classifiers have had it
	counts   map[int64]int64
	done     []*outcryv1.Mention
	lately   []func() // what was done since the last commit, to be done again
	idle     bool
	withheld []*outcryv1.Mention // withdrawn before they come
}

// randomLog is three and a half hours of event time with an outage of a service in the second and again in the third, and how many posts
// were read of each minute.
func randomLog(rng *rand.Rand, mentionsPartitions, postsPartitions int, rewrites bool) ([][]*outcryv1.MentionRecord, map[int64]int64) {
	l := &logger{rng: rng, partitions: mentionsPartitions, log: make([][]*outcryv1.MentionRecord, mentionsPartitions), rewrites: rewrites, read: map[int64]int64{}}
	for i := range postsPartitions {
		l.posts = append(l.posts, &postsPartition{number: int32(i), claimed: 1, counts: map[int64]int64{}})
	}
	const steps = 3*360 + 180
	at := make([]int, postsPartitions)
	for {
		q := rng.IntN(postsPartitions)
		for at[q] == steps { // the others still have something to say
			if q = (q + 1) % postsPartitions; at[0] == steps && at[postsPartitions-1] == steps && q == 0 && done(at, steps) {
				return l.log, l.read
			}
		}
		ahead := 0
		for _, n := range at {
			ahead = max(ahead, at[q]-n)
		}
		if ahead > 40 { // classifiers do not run apart for ever
			continue
		}
		l.step(l.posts[q], int64(at[q]), at[q] == steps-1)
		at[q]++
		if done(at, steps) {
			return l.log, l.read
		}
	}
}

func done(at []int, steps int) bool {
	for _, n := range at {
		if n < steps {
			return false
		}
	}
	return true
}

func (l *logger) chance(p float64) bool { return l.rng.Float64() < p }

// step writes what one partition of posts.v1 has of one step of event time.
func (l *logger) step(p *postsPartition, step int64, last bool) {
	now := start + step*stepUS
	silent := p.number == 1 && step > 500 && step < 620 // a partition falls silent for 20 minutes
	if silent {
		if !p.idle {
			p.idle = true
			l.progress(p, now)
		}
		return
	}
	p.idle = false
	outage := step > 400 && step < 460 || step > 880 && step < 920
	n := l.rng.IntN(2)
	if outage {
		n = 2 + l.rng.IntN(4)
	}
	for range n {
		l.post(p, now, outage)
	}
	for range 2 {
		if l.rewrites && len(p.done) > 0 && l.chance(0.1) {
			l.rewrite(p, now)
		}
	}
	if len(p.lately) > 0 && l.chance(0.03) { // a classifier died before it committed
		l.tellAgain(p)
	}
	if last {
		now += 2 * 360 * stepUS
	}
	l.progress(p, now)
	if l.chance(0.3) {
		p.commit()
	}
}

// tellAgain goes through a batch from its beginning as another classifier does, which finds no fewer steps and may end the batch elsewhere.
func (l *logger) tellAgain(p *postsPartition) {
	again := p.lately
	p.claimed++
	p.lately, p.offset, p.first = nil, p.batch, p.batch
	clear(p.counts)
	for _, do := range again {
		l.do(p, do)
		if l.chance(0.3) {
			l.progress(p, 0)
			if l.chance(0.1) {
				p.commit()
			}
		}
	}
}

// do does what is done again if it is not committed.
func (l *logger) do(p *postsPartition, what func()) {
	what()
	p.lately = append(p.lately, what)
}

// commit comes right behind a Progress.
func (p *postsPartition) commit() { p.batch, p.lately = p.offset, nil }

var labels = []outcryv1.Label{outcryv1.Label_LABEL_OUTAGE, outcryv1.Label_LABEL_OUTAGE, outcryv1.Label_LABEL_COMPLAINT,
	outcryv1.Label_LABEL_RECOVERED, outcryv1.Label_LABEL_OFFICIAL, outcryv1.Label_LABEL_OTHER}

// post writes the mentions of a new post.
func (l *logger) post(p *postsPartition, now int64, outage bool) {
	l.next++
	at := now + l.rng.Int64N(stepUS)
	switch r := l.rng.Float64(); {
	case r < 0.1:
		at -= l.rng.Int64N(5 * minute) // late, yet not too late for the decisions to come
	case r < 0.15:
		at = max(start-5*minute, at-5*minute-l.rng.Int64N(150*minute))
	case r < 0.2:
		at += l.rng.Int64N(10 * minute)
	}
	m := &outcryv1.Mention{Source: "twitter", PostId: fmt.Sprint("p", l.next), Author: 1 + l.rng.Uint64N(400), TimeUs: at,
		Lang: []string{"en", "de", ""}[l.rng.IntN(3)], Place: []string{"", "Oslo", "Lima"}[l.rng.IntN(3)], Score: float32(0.5 + l.rng.Float64()/2),
		Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, ModelVersion: "m", PostsPartition: p.number, PostsOffset: p.offset, TextFingerprint: l.next + 1000}
	m.Text, m.Url = fmt.Sprintf("words of %s, as they were first written", m.PostId), "https://a.example/"+m.PostId
	switch r := l.rng.Float64(); {
	case r < 0.1:
		m.TextFingerprint = 7 // a text that is passed on
	case r < 0.2:
		m.RepostOf = "p1"
	case r < 0.3:
		m.TextFingerprint = 0
	case r < 0.33:
		m.OfficialAuthor = true
	case r < 0.35:
		m.Author = 0
	}
	l.read[at/minute]++
	l.do(p, func() {
		p.offset++
		p.counts[at/minute]++
	})
	services := []string{"skype", "gmail", "netflix", "internet"}
	l.rng.Shuffle(len(services), func(i, j int) { services[i], services[j] = services[j], services[i] })
	if outage && l.chance(0.9) {
		services[0] = "skype"
	}
	early := l.rewrites && l.chance(0.05)
	if early {
		l.retract(p, m, maxRevision)
	}
	for _, s := range services[:1+l.rng.IntN(2)] {
		x := proto.CloneOf(m)
		x.Service, x.Id, x.Label = s, hash(m.PostId+s), labels[l.rng.IntN(len(labels))]
		if outage && s == "skype" {
			x.Label = outcryv1.Label_LABEL_OUTAGE
		}
		if early {
			p.withheld = append(p.withheld, x)
			continue
		}
		p.done = append(p.done, x)
		l.mention(p, x)
	}
	if len(p.withheld) > 0 && l.chance(0.2) {
		for _, x := range p.withheld {
			l.mention(p, x)
		}
		p.withheld = nil
	}
}

// rewrite repeats, edits or withdraws something that was said, be it long ago.
func (l *logger) rewrite(p *postsPartition, now int64) {
	i := l.rng.IntN(len(p.done))
	if l.chance(0.7) {
		i = len(p.done) - 1 - l.rng.IntN(min(len(p.done), 20))
	}
	m := p.done[i]
	switch l.rng.IntN(3) {
	case 0:
		l.mention(p, m)
	case 1:
		l.retract(p, m, maxRevision)
	case 2:
		m = proto.CloneOf(m)
		m.Revision++
		m.Label, m.Symptom = labels[l.rng.IntN(len(labels))], outcryv1.Symptom_SYMPTOM_CALLS
		m.Text = fmt.Sprintf("words of %s, revision %d", m.PostId, m.Revision)
		if l.chance(0.5) {
			m.TimeUs = now // as the network that edits in place tells it
		}
		p.done[i] = m
		l.retract(p, m, m.Revision-1)
		l.mention(p, m)
	}
}

func (l *logger) mention(p *postsPartition, m *outcryv1.Mention) {
	l.write(p, int(hash(m.GetService())%uint64(l.partitions)), &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: m}})
}

func (l *logger) retract(p *postsPartition, m *outcryv1.Mention, revision int64) {
	l.write(p, -1, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Retraction{Retraction: &outcryv1.Retraction{
		Source: m.GetSource(), PostId: m.GetPostId(), Revision: revision, TimeUs: m.GetTimeUs()}}})
}

// progress ends a step: nothing older follows, but for what is late.
func (l *logger) progress(p *postsPartition, watermark int64) {
	idle := p.idle
	l.do(p, func() {
		x := &outcryv1.Progress{PostsPartition: p.number, PostsPartitions: int32(len(l.posts)), FirstOffset: p.first, NextOffset: p.offset,
			WatermarkUs: watermark, Idle: idle, BatchOffset: p.batch, ClaimedAtUs: p.claimed}
		for m, n := range p.counts {
			x.Sources = append(x.Sources, &outcryv1.SourceCount{Source: "twitter", Minute: m, Posts: n})
		}
		clear(p.counts)
		p.first = p.offset
		l.append(-1, &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: x}})
	})
}

// write appends to one partition of mentions.v1, or to all.
func (l *logger) write(p *postsPartition, partition int, r *outcryv1.MentionRecord) {
	l.do(p, func() { l.append(partition, r) })
}

func (l *logger) append(partition int, r *outcryv1.MentionRecord) {
	for i := range l.log {
		if partition < 0 || i == partition {
			l.log[i] = append(l.log[i], proto.CloneOf(r))
		}
	}
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
