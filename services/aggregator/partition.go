package aggregator

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/detect"
	"outcry.dev/pkg/incident"
	"outcry.dev/pkg/window"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	stepUS   = int64(detect.Step / time.Microsecond)
	minuteUS = int64(time.Minute / time.Microsecond)
	// rememberSteps is how long ids are remembered: the longest window and the lateness that is allowed at most.
	rememberSteps = 2 * 360
	// forgetEvery is how many steps pass between two looks for what can be forgotten.
	forgetEvery = 60
)

// partition is everything known of one partition of mentions.v1: a pure function of its log.
type partition struct {
	latenessUS int64
	exact      int // people of a service that are counted one by one
	detect     detect.Config
	incident   incident.Config

	progress map[int32]*position // by partition of posts.v1
	expected int32               // how many partitions posts.v1 has; 0 until a Progress says so
	forgot   int64               // step at which forget last ran
	began    int64               // first step that has been decided; listening began then
	clock    int64               // last step that has been decided; math.MinInt64 before the first

	intake   *detect.Intake // how much is listened to
	sources  *sources
	services map[string]*service
	active   map[string]*service // those that a step must look at even without new mentions
	showing  map[string]*service // those with an incident that is open or could be reopened, and some with an older one
	pending  map[int64]map[string][]*outcryv1.Mention
	steps    stepHeap // keys of pending

	seen     map[uint64]delivery
	seenAt   map[int64][]uint64
	withdraw map[postKey]int64   // the revision up to which a post is withdrawn
	withdrew map[int64][]postKey // by the step in which it was heard
	fresh    map[int64]bool      // steps of withdrew that changed since the state was saved
}

// position is how far a partition of posts.v1 is.
type position struct {
	WatermarkUS int64 `json:"watermark_us"`
	Next        int64 `json:"next"` // offset behind what was told, be it by one who died before committing it
	Idle        bool  `json:"idle,omitempty"`
	Batch       int64 `json:"batch,omitempty"`         // offset at which the latest batch began
	ClaimedAtUS int64 `json:"claimed_at_us,omitempty"` // of whom we listen to
}

// delivery is the first delivery of a mention, with what was heard then. Its step is 0 where it came too late to count.
type delivery struct {
	step        int64
	timeUS      int64
	offset      int64
	revision    int64
	fingerprint uint64
	also        []string
	places      []string
	score       float32
	label       uint8
	symptom     uint8
}

type postKey struct{ source, id string }

// service is what is known of one service.
type service struct {
	id       string
	people   window.People
	detector *detect.Detector
	incident *incident.Machine
	own      serviceState
	dirty    bool
}

func newPartition(cfg Config, d detect.Config, i incident.Config) *partition {
	return &partition{latenessUS: cfg.AllowedLateness.Microseconds(), exact: cfg.ExactPeople, detect: d, incident: i, clock: math.MinInt64, forgot: math.MinInt64 / 2,
		progress: map[int32]*position{}, sources: newSources(cfg.SilentAfter), intake: detect.NewIntake(), services: map[string]*service{}, active: map[string]*service{},
		showing: map[string]*service{},
		pending: map[int64]map[string][]*outcryv1.Mention{}, seen: map[uint64]delivery{}, seenAt: map[int64][]uint64{},
		withdraw: map[postKey]int64{}, withdrew: map[int64][]postKey{}, fresh: map[int64]bool{}}
}

// fate says what became of a mention.
type fate int

const (
	counted fate = iota
	late
	duplicate
	edited
)

func (f fate) String() string { return [...]string{"counted", "late", "duplicate", "edited"}[f] }

// add takes a mention and returns the event time from which it counts (0 for never) and the offset of its first delivery.
func (p *partition) add(m *outcryv1.Mention, offset int64) (countedAtUS, firstOffset int64, f fate) {
	if m.GetAuthor() == 0 {
		m.Author = m.GetId() // unknown authors are not all the same person
	}
	if before, ok := p.seen[m.GetId()]; ok {
		if m.GetRevision() <= before.revision {
			return 0, 0, duplicate
		}
		// The people of a window are those who said it then; an edit changes the text that is shown, not what was heard.
		before.revision = m.GetRevision()
		p.seen[m.GetId()] = before
		m.Label, m.Symptom = outcryv1.Label(before.label), outcryv1.Symptom(before.symptom)
		m.Score, m.TextFingerprint, m.TimeUs = before.score, before.fingerprint, before.timeUS
		m.Also, m.Places = before.also, before.places
		p.blank(m)
		return before.step * stepUS, before.offset, edited
	}
	p.blank(m)
	at := m.GetTimeUs()
	if from := p.undecided(m.GetPostsPartition()); at < from {
		if lateness := from - at; lateness > p.latenessUS && !(incident.IsOperator(m) && lateness <= operatorLatenessUS) {
			return 0, offset, late
		}
		at = from
	}
	step := at / stepUS
	p.remember(m, step, offset)
	p.wait(atStep(m, step), step)
	return step * stepUS, offset, counted
}

// undecided returns from which event time on a mention of a partition of posts.v1 is in time. The clock is ahead of the partition's own
// watermark only after the partition was declared idle.
func (p *partition) undecided(postsPartition int32) (fromUS int64) {
	if pos := p.progress[postsPartition]; pos != nil {
		fromUS = pos.WatermarkUS
	}
	if p.clock != math.MinInt64 {
		fromUS = max(fromUS, (p.clock+1)*stepUS)
	}
	return fromUS
}

// operatorLatenessUS is how late an operator's own word may be read: pages are asked from time to time, and may have been away.
const operatorLatenessUS = 24 * int64(time.Hour/time.Microsecond)

// atStep returns the mention as decisions see it: a late one counts from the step on in which it came, and the text of an edit is not
// what was heard. An operator's word keeps the time at which it was said, since the lead over it depends on that.
func atStep(m *outcryv1.Mention, step int64) *outcryv1.Mention {
	operator := incident.IsOperator(m)
	if (operator || m.GetTimeUs() >= step*stepUS) && m.GetRevision() == 0 {
		return m
	}
	m = proto.CloneOf(m)
	if !operator {
		m.TimeUs = max(m.GetTimeUs(), step*stepUS)
	}
	if m.GetRevision() > 0 {
		m.Text, m.Url = "", ""
	}
	return m
}

func (p *partition) remember(m *outcryv1.Mention, step, offset int64) {
	p.seen[m.GetId()] = delivery{step: step, timeUS: m.GetTimeUs(), offset: offset, revision: m.GetRevision(),
		fingerprint: m.GetTextFingerprint(), also: m.GetAlso(), places: m.GetPlaces(), score: m.GetScore(), label: uint8(m.GetLabel()), symptom: uint8(m.GetSymptom())}
	p.seenAt[step] = append(p.seenAt[step], m.GetId())
}

// forgotten tells that a mention is an edit of something that is not remembered: only the tables may know what was heard at first.
func (p *partition) forgotten(m *outcryv1.Mention) bool {
	_, known := p.seen[m.GetId()]
	return !known && m.GetRevision() > 0
}

func (p *partition) wait(m *outcryv1.Mention, step int64) {
	byService := p.pending[step]
	if byService == nil {
		byService = map[string][]*outcryv1.Mention{}
		p.pending[step] = byService
		heap.Push(&p.steps, step)
	}
	byService[m.GetService()] = append(byService[m.GetService()], m)
}

// retract remembers that a post was withdrawn, because the withdrawal can arrive before the post, and takes its text out of the
// incidents under way. It returns those that had shown it.
func (p *partition) retract(r *outcryv1.Retraction) (changed []*outcryv1.Incident) {
	k := postKey{r.GetSource(), r.GetPostId()}
	if before, ok := p.withdraw[k]; ok && before >= r.GetRevision() && r.GetAuthor() == 0 {
		return nil
	}
	withdraw := func(s *service) {
		if i := s.incident.Withdraw(r); i != nil {
			s.dirty = true
			changed = append(changed, i)
		}
	}
	for _, s := range p.active {
		withdraw(s)
	}
	for id, s := range p.showing {
		if p.active[id] == nil && s.incident.Alive(p.now()) {
			withdraw(s)
		}
	}
	slices.SortFunc(changed, func(a, b *outcryv1.Incident) int { return cmp.Compare(a.GetId(), b.GetId()) })
	if r.GetAuthor() != 0 {
		p.forgetTexts(r)
		return changed // its posts come before it in every partition of posts.v1, so nothing need be remembered
	}
	step := r.GetTimeUs() / stepUS
	if p.clock != math.MinInt64 {
		step = min(max(step, p.clock), p.clock+rememberSteps)
	}
	p.withhold(k, r.GetRevision(), step)
	return changed
}

// forgetTexts takes the texts of an account from what waits for its step.
func (p *partition) forgetTexts(r *outcryv1.Retraction) {
	for _, byService := range p.pending {
		for _, list := range byService {
			for i, m := range list {
				if incident.Withdraws(r, m) {
					list[i] = proto.CloneOf(m)
					list[i].Text, list[i].Url = "", ""
				}
			}
		}
	}
}

// now is the event time up to which everything is decided.
func (p *partition) now() time.Time { return time.UnixMicro((p.clock + 1) * stepUS).UTC() }

// withhold remembers up to which revision a post is withdrawn.
func (p *partition) withhold(k postKey, revision, step int64) {
	p.withdraw[k] = revision
	p.withdrew[step] = append(p.withdrew[step], k)
	p.fresh[step] = true
}

// withdrawn tells whether the post of a mention is withdrawn, as far as is remembered.
func (p *partition) withdrawn(m *outcryv1.Mention) bool {
	upTo, ok := p.withdraw[postKey{m.GetSource(), m.GetPostId()}]
	return ok && m.GetRevision() <= upTo
}

// blank takes the text from a mention of a withdrawn post.
func (p *partition) blank(m *outcryv1.Mention) {
	if p.withdrawn(m) {
		m.Text, m.Url = "", ""
	}
}

// passed takes a Progress and returns the last step that may now be decided.
func (p *partition) passed(r *outcryv1.Progress) int64 {
	p.expected = max(p.expected, r.GetPostsPartitions())
	pos := p.position(r)
	if pos.outdated(r) {
		return p.decidable()
	}
	same := r.GetBatchOffset() == pos.Batch
	if !same || r.GetNextOffset() > pos.Next { // else it is told again
		for _, c := range r.GetSources() {
			if (c.GetMinute()+1)*minuteUS > pos.WatermarkUS { // late posts depend on who was waited for; they are in the tables only
				p.intake.Add(c.GetMinute(), c.GetPosts())
			}
		}
		p.sources.arrived(pos.WatermarkUS, r)
	}
	pos.WatermarkUS = max(pos.WatermarkUS, r.GetWatermarkUs())
	if same {
		pos.Next = max(pos.Next, r.GetNextOffset())
	} else { // it goes on, or posts.v1 was made anew, or is read once more from an earlier offset
		pos.Next = r.GetNextOffset()
	}
	pos.Idle, pos.Batch, pos.ClaimedAtUS = r.GetIdle(), r.GetBatchOffset(), r.GetClaimedAtUs()
	return p.decidable()
}

func (p *partition) position(r *outcryv1.Progress) *position {
	pos := p.progress[r.GetPostsPartition()]
	if pos == nil {
		pos = &position{}
		p.progress[r.GetPostsPartition()] = pos
	}
	return pos
}

// decidable returns the last step that every partition of posts.v1 has passed, or math.MinInt64.
func (p *partition) decidable() int64 {
	if p.expected == 0 || len(p.progress) < int(p.expected) {
		return math.MinInt64
	}
	lowest, waiting := int64(math.MaxInt64), false
	for _, pos := range p.progress {
		if !pos.Idle {
			lowest, waiting = min(lowest, pos.WatermarkUS), true
		}
	}
	if !waiting {
		return math.MinInt64
	}
	return lowest/stepUS - 1 // a watermark speaks for what lies before it
}

// decided is what came out of one step of one service.
type decided struct {
	service string
	verdict detect.Verdict
	// estimated says that the observed people are, with window.StandardError.
	estimated bool
	changed   *outcryv1.Incident
	// admitted are operators' words about what the machine does not hold any more, perhaps.
	admitted []*outcryv1.Mention
}

// advance decides every step up to and including the last, in order, and hands each decision to emit.
func (p *partition) advance(last int64, emit func(decided)) {
	if p.clock == math.MinInt64 {
		p.began = last
		if len(p.steps) > 0 {
			p.began = min(last, p.steps[0])
		}
	}
	for p.clock < last {
		step := p.clock + 1
		if p.clock == math.MinInt64 || len(p.active) == 0 {
			// Nobody is talking: on to the next mention.
			if len(p.steps) == 0 || p.steps[0] > last {
				p.clock = last
				break
			}
			step = max(step, p.steps[0])
		}
		p.clock = step
		p.decide(step, emit)
	}
	p.intake.Advance(p.now())
	p.sources.advance((p.clock + 1) * stepUS / minuteUS)
	p.forget()
}

// decide takes the mentions of one step and judges the services that are talked about.
func (p *partition) decide(step int64, emit func(decided)) {
	mentions := p.pending[step]
	for id := range mentions {
		p.active[id] = p.service(id)
	}
	if len(p.steps) > 0 && p.steps[0] == step {
		heap.Pop(&p.steps)
		delete(p.pending, step)
	}
	ids := make([]string, 0, len(p.active))
	for id := range p.active {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	at := p.now()
	p.intake.Advance(at)
	p.sources.advance(at.UnixMicro() / minuteUS)
	for _, id := range ids {
		s := p.active[id]
		s.people.Advance(step)
		words := p.take(s, mentions[id])
		people := s.people.Counts()
		ingested, heard := p.intake.Relative(people[3]), p.sources.heard(s.own.Voices)
		if p.sources.silent() { // a service that is heard elsewhere misses nothing
			ingested = heard
		}
		verdict := s.detector.Step(detect.Observation{At: at, People: people, MinutePeople: people[0], Ingested: ingested}, s.incident.Open())
		s.incident.Blind(heard < leastHeard)
		changed := s.incident.Step(verdict)
		s.dirty = true
		if changed != nil {
			p.showing[id] = s
		}
		words = slices.DeleteFunc(words, s.incident.Spans)
		emit(decided{service: id, verdict: verdict, estimated: s.people.Estimated(), changed: changed, admitted: words})
		if s.people.Empty() && !s.incident.Open() {
			delete(p.active, id)
		}
	}
}

// take counts the people of the mentions of one step, and returns what operators admit.
func (p *partition) take(s *service, mentions []*outcryv1.Mention) (words []*outcryv1.Mention) {
	order(mentions)
	for _, m := range mentions {
		s.hearVoice(m.GetSource(), p.clock)
		if m.GetText() != "" && p.withdrawn(m) { // while it waited
			m = proto.CloneOf(m)
			p.blank(m)
		}
		if s.incident.Add(m) {
			s.people.Add(m.GetAuthor())
		}
		if incident.Admits(m) {
			words = append(words, m)
		}
	}
	return words
}

// order sorts mentions by time and id, so that it does not matter in which order partitions were read.
func order(mentions []*outcryv1.Mention) {
	slices.SortFunc(mentions, func(a, b *outcryv1.Mention) int {
		return cmp.Or(cmp.Compare(a.GetTimeUs(), b.GetTimeUs()), cmp.Compare(a.GetId(), b.GetId()))
	})
}

func (p *partition) service(id string) *service {
	s := p.services[id]
	if s == nil {
		s = &service{id: id, people: window.People{Limit: p.exact}, detector: detect.New(p.detect), incident: incident.New(id, p.incident)}
		s.detector.Begin(time.UnixMicro(p.began * stepUS).UTC())
		p.services[id] = s
	}
	return s
}

// forget drops what can no longer matter.
func (p *partition) forget() {
	if p.clock < p.forgot+forgetEvery {
		return
	}
	p.forgot = p.clock
	oldest := p.clock - rememberSteps
	for step, ids := range p.seenAt {
		if step < oldest {
			for _, id := range ids {
				delete(p.seen, id)
			}
			delete(p.seenAt, step)
		}
	}
	for id, s := range p.showing {
		if !s.incident.Alive(p.now()) {
			delete(p.showing, id)
		}
	}
	for step, keys := range p.withdrew {
		if step < oldest {
			for _, k := range keys {
				delete(p.withdraw, k)
			}
			delete(p.withdrew, step)
			delete(p.fresh, step)
		}
	}
}

// stepHeap gives the earliest step first.
type stepHeap []int64

func (h stepHeap) Len() int           { return len(h) }
func (h stepHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h stepHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *stepHeap) Push(x any)        { *h = append(*h, x.(int64)) }
func (h *stepHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
