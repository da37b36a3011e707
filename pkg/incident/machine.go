package incident

import (
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/detect"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	suspected  = outcryv1.Incident_STATE_SUSPECTED
	confirmed  = outcryv1.Incident_STATE_CONFIRMED
	recovering = outcryv1.Incident_STATE_RECOVERING
	resolved   = outcryv1.Incident_STATE_RESOLVED
	dismissed  = outcryv1.Incident_STATE_DISMISSED
)

// Machine lives the incidents of one service, one after the other. It is not safe for concurrent use.
type Machine struct {
	cfg     Config
	service string

	life

	recent     recent
	copies     copies
	people     *people
	candidates candidates
	copied     copied
	talk       talk
	words      []*outcryv1.Mention // official ones since the last step
	official   *outcryv1.Mention   // the one that the incident shows
	refilling  bool                // mentions come from Restore
	blind      bool                // the sources on which the service is heard are silent
}

// life is what cannot be rebuilt from mentions. Times are event times in microseconds since 1970.
type life struct {
	incident *outcryv1.Incident // as last published; nil when there is none that could go on or be reopened

	at           int64   // latest step
	heard        int64   // latest mention
	calmSince    int64   // 0 while it is not calm
	opened       int64   // latest opening or reopening
	reopenedFrom int64   // resolution that the latest reopening undid
	publishedAt  int64   // latest publication
	peopleThen   int64   // people when it opened
	peak         int64   // people in a minute, highest so far
	hourLow      int64   // fewest people in the hour since it began to recover
	ended        int64   // when the latest incident was closed; the next one begins later
	copiesFrom   int64   // from when on reposts and copied texts are counted: when it began, as far as that is remembered
	talkedAt     int64   // latest post that was talk
	usualTalk    float64 // posts a minute that were talk, as of talkedAt
	margin       float64 // highest score so far, above the threshold's
	why          string  // the verdict that opened or confirmed it, in words
	endless      bool    // it lasted beyond MaxOpen: the new usual
	muted        bool    // no incident opens until it has been calm
}

// New returns a machine without an incident. The configuration must be valid.
func New(service string, cfg Config) *Machine {
	return &Machine{cfg: cfg, service: service, people: newPeople(cfg.MaxPeople), copied: newCopied(cfg.MaxPeople)}
}

// Open reports whether an incident is under way; while it is, the baseline must not learn.
func (m *Machine) Open() bool {
	return m.incident != nil && m.incident.State != resolved && m.incident.State != dismissed
}

// Alive reports whether, at a time, an incident is open or could still be reopened: only then does the machine need mentions from its
// start on after a restart (NeedsSince).
func (m *Machine) Alive(at time.Time) bool {
	return m.Open() || m.incident != nil && m.endedLately(at.UnixMicro())
}

// endedLately reports whether the incident ended so recently that an alarm reopens it, or a person's confirmation where it was dismissed.
func (m *Machine) endedLately(at int64) bool {
	ended := m.incident.ResolvedAtUs
	if m.incident.State == dismissed {
		ended = m.ended
	}
	return at-ended <= m.cfg.ReopenWithin.Microseconds()
}

// Add takes a mention of the service with any label, in order of event time and before the step that ends after it. The machine keeps
// the mention; the caller must not change it. It reports whether the mention counts one person: see the package's words.
func (m *Machine) Add(x *outcryv1.Mention) (person bool) {
	m.heard = max(m.heard, x.TimeUs)
	m.recent.prune(x.TimeUs)
	if isTalk(x) {
		m.hearTalk(x)
	}
	switch {
	case isOfficial(x):
		m.recent.officials = keep(m.recent.officials, x)
		switch {
		case !m.refilling:
			m.words = keep(m.words, x)
		case m.incident != nil && m.incident.OfficialMention == x.Id:
			m.official = x
		}
	case x.OfficialAuthor:
		if x.Label == outcryv1.Label_LABEL_RECOVERED && x.RepostOf == "" {
			m.recent.over = keep(m.recent.over, x)
		}
	case x.RepostOf != "":
		if x.Label == outcryv1.Label_LABEL_OUTAGE {
			m.copy(x)
		}
	case x.Label == outcryv1.Label_LABEL_RECOVERED:
		if len(m.recent.recovered) < maxRecent {
			m.recent.recovered = append(m.recent.recovered, x)
		}
	case x.Label == outcryv1.Label_LABEL_OUTAGE:
		if m.copies.seen(x) {
			m.copy(x)
			return false
		}
		m.recent.add(x)
		if m.incident != nil && x.TimeUs >= m.incident.StartedAtUs {
			m.tally(x)
		}
		return true
	}
	return false
}

// isOfficial reports whether a mention is the operator's word about a general problem.
func isOfficial(x *outcryv1.Mention) bool {
	if x.RepostOf != "" {
		return false
	}
	if x.OfficialAuthor {
		return x.Label == outcryv1.Label_LABEL_OFFICIAL || x.Label == outcryv1.Label_LABEL_OUTAGE
	}
	return x.Label == outcryv1.Label_LABEL_OFFICIAL && x.Score >= 0.7
}

func (m *Machine) tally(x *outcryv1.Mention) {
	m.people.add(x)
	m.candidates.add(x)
	m.copied.first(x)
}

// copy counts a repost or a copied text.
func (m *Machine) copy(x *outcryv1.Mention) {
	m.recent.addCopy(x)
	if m.incident != nil && x.TimeUs >= m.copiesFrom {
		m.copied.again(copyOf(x))
	}
}

// Step takes the verdict of a step of the grid, after the mentions before it. It must be called at every step while an incident is
// open or a mention was added, and whenever a verdict is an alarm. It returns a copy of the incident if something worth publishing changed, else nil.
func (m *Machine) Step(v detect.Verdict) *outcryv1.Incident {
	defer func() { m.words = nil }()
	m.at = v.At.UnixMicro()
	m.recent.prune(m.at)
	m.watchCalm(v)
	if m.Open() {
		return m.follow(v)
	}
	if m.incident != nil && !m.endedLately(m.at) {
		m.incident = nil
	}
	acknowledged := m.acknowledge()
	if !v.Alarm || m.muted || m.explained(v) {
		return acknowledged
	}
	if m.incident != nil && m.incident.State == resolved {
		if !m.relapsed(v) {
			return acknowledged
		}
		m.reopen(v)
	} else {
		m.open(v)
	}
	return m.publish(v)
}

// Blind says, before a Step, whether the sources on which the service is heard have fallen silent: what is not heard then is no calm.
func (m *Machine) Blind(blind bool) { m.blind = blind }

// watchCalm keeps since when the counts have been near what is usual, in the windows that forget fast.
func (m *Machine) watchCalm(v detect.Verdict) {
	calm := !m.blind
	for _, w := range v.Windows[:3] {
		calm = calm && !w.Alarm && float64(w.Observed) <= max(w.Upper, w.Threshold/2)
	}
	switch {
	case !calm:
		m.calmSince = 0
	case m.calmSince == 0:
		m.calmSince = m.at
	}
	if m.calm(m.cfg.RecoverAfter) && !v.Alarm {
		m.muted = false
	}
	m.hourLow = min(m.hourLow, int64(v.Windows[3].Observed))
}

func (m *Machine) calm(d time.Duration) bool {
	return m.calmSince > 0 && m.at-m.calmSince >= d.Microseconds()
}

func (m *Machine) open(v detect.Verdict) {
	w := v.Windows[v.Strongest]
	perMinute := float64(w.Observed) / w.Window.Minutes()
	expected := w.Expected / w.Window.Minutes()
	start := m.recent.start(m.at, m.ended, expected, perMinute)
	m.life = life{at: m.at, heard: m.heard, ended: m.ended, talkedAt: m.talkedAt, usualTalk: m.usualTalk, calmSince: m.calmSince, opened: m.at, why: detect.Explain(v, m.service)}
	m.incident = &outcryv1.Incident{
		Id:                m.service + "-" + time.UnixMicro(start).UTC().Format("20060102T1504"),
		Service:           m.service,
		State:             suspected,
		Severity:          outcryv1.Incident_SEVERITY_MINOR,
		StartedAtUs:       start,
		DetectedAtUs:      m.at,
		ExpectedPerMinute: expected,
	}
	m.people, m.candidates, m.copied, m.official = newPeople(m.cfg.MaxPeople), nil, newCopied(m.cfg.MaxPeople), nil
	for _, x := range m.recent.since(start) {
		m.tally(x)
	}
	m.copiesFrom = max(start, m.recent.copiesLostUntil+1)
	for _, c := range m.recent.copies {
		if c.at >= m.copiesFrom {
			m.copied.again(c)
		}
	}
	m.peopleThen = m.people.count()
	m.findOfficial()
}

func (m *Machine) reopen(v detect.Verdict) {
	m.reopenedFrom = m.incident.ResolvedAtUs
	m.opened, m.margin = m.at, 0
	m.why = detect.Explain(v, m.service)
	m.peopleThen = m.people.count()
	m.incident.State = suspected
	if m.incident.ConfirmedAtUs > 0 {
		m.incident.State = confirmed
	}
	m.incident.ResolvedAtUs, m.incident.RecoveringAtUs = 0, 0
	m.incident.Reopened++
	m.findOfficial()
}

// follow moves an open incident on.
func (m *Machine) follow(v detect.Verdict) *outcryv1.Incident {
	w := v.Windows[v.Strongest]
	m.peak = max(m.peak, int64(v.Windows[0].Observed))
	if v.Alarm {
		m.margin = max(m.margin, w.Score-w.ThresholdScore)
	}
	before := m.incident.State
	news := m.findOfficial()
	switch {
	case m.at-m.opened >= m.cfg.MaxOpen.Microseconds():
		m.incident.State, m.incident.ResolvedAtUs = resolved, m.at
		m.endless, m.muted = true, true
		m.hourLow = int64(v.Windows[3].Observed)
	case before == suspected && m.convincing(v):
		m.incident.State, m.incident.ConfirmedAtUs = confirmed, m.at
		m.why = detect.Explain(v, m.service)
	case before != recovering && m.relaxed(v):
		m.incident.State, m.incident.RecoveringAtUs = recovering, m.at
		m.hourLow = int64(v.Windows[3].Observed)
	case before == recovering && m.relapsed(v) && m.large(v):
		m.incident.State, m.incident.RecoveringAtUs = suspected, 0
		if m.incident.ConfirmedAtUs > 0 {
			m.incident.State = confirmed
		}
	case before == recovering && (m.calm(m.cfg.ResolveAfter) || m.calm(m.cfg.RecoverAfter) && m.recent.saidOver(m.incident.StartedAtUs)):
		m.incident.State, m.incident.ResolvedAtUs = resolved, m.at
	}
	if m.incident.State == resolved {
		m.ended = m.at
	}
	news = news || m.copied.coordinated() != m.incident.Coordinated
	if news || m.incident.State != before || m.severity() > m.incident.Severity {
		return m.publish(v)
	}
	grown := m.people.count() - m.incident.People
	if grown >= 3 && 4*grown >= m.incident.People && m.at-m.publishedAt >= m.cfg.UpdateEvery.Microseconds() {
		return m.publish(v)
	}
	return nil
}

// convincing reports whether a suspected incident deserves to be confirmed: the operator says so, or the alarm has held while people
// kept coming or while chance is a thousand times less likely than the budget asks for.
func (m *Machine) convincing(v detect.Verdict) bool {
	if m.incident.OfficialAtUs > 0 {
		return true
	}
	if !v.Alarm || m.at-m.opened < m.cfg.ConfirmAfter.Microseconds() || m.copied.coordinated() {
		return false
	}
	return 2*m.people.count() >= 3*m.peopleThen || m.margin >= 3
}

// relaxed reports whether an incident begins to recover: it has been calm, or the operator says that it is over, or people say that it works again and
// no more say that it does not; neither while the short windows are an alarm.
func (m *Machine) relaxed(v detect.Verdict) bool {
	if m.calm(m.cfg.RecoverAfter) {
		return true
	}
	if v.Windows[0].Alarm || v.Windows[1].Alarm || m.at%minuteMicros != 0 {
		return false
	}
	if m.recent.saidOver(m.incident.StartedAtUs) {
		return true
	}
	since := m.at - 15*minuteMicros
	again := distinct(m.recent.recovered, since)
	return again >= 3 && again > distinct(m.recent.outages, since)
}

// relapsed reports whether an alarm is news rather than the echo of what was before the recovery, which the long windows still hold:
// a short window raises it, or so many people came within the hour that they are an alarm by themselves.
func (m *Machine) relapsed(v detect.Verdict) bool {
	hour := v.Windows[3]
	return v.Windows[0].Alarm || v.Windows[1].Alarm || float64(int64(hour.Observed)-m.hourLow) >= hour.Threshold
}

// relapseShare is the part of the incident's peak that a relapse must reach: the tail of a large outage is still an alarm by itself.
const relapseShare = 0.1

// large reports whether people come at a rate that is a part of the incident worth speaking of.
func (m *Machine) large(v detect.Verdict) bool {
	short := v.Windows[1]
	return float64(short.Observed) >= relapseShare*float64(m.peak)*short.Window.Minutes()
}

// findOfficial looks for the first official word, by the time at which it was said, and reports whether it is new: one that is read late can be
// earlier than one that is known.
func (m *Machine) findOfficial() (news bool) {
	for _, list := range [][]*outcryv1.Mention{m.recent.officials, m.words} { // what was said long ago is among the words alone
		for _, x := range list {
			if firstWord(m.incident, x) {
				m.official, news = x, true
			}
		}
	}
	return news
}

// firstWord takes an official word if it belongs to an incident and is earlier than the one that is known.
func firstWord(i *outcryv1.Incident, x *outcryv1.Mention) bool {
	if !spansWord(i, x) || i.OfficialAtUs != 0 && x.TimeUs >= i.OfficialAtUs {
		return false
	}
	i.OfficialAtUs, i.OfficialText, i.OfficialUrl, i.OfficialMention = x.TimeUs, x.Text, x.Url, x.Id
	return true
}

// spansWord reports whether the time at which something was said belongs to an incident: from half an hour before its start to half an hour after its resolution.
func spansWord(i *outcryv1.Incident, x *outcryv1.Mention) bool {
	return x.TimeUs >= i.StartedAtUs-beforeStart && (i.ResolvedAtUs == 0 || x.TimeUs <= i.ResolvedAtUs+afterEnd)
}

// acknowledge takes what the operator said of an incident that is resolved by now, and returns a copy of it if that is news.
func (m *Machine) acknowledge() (changed *outcryv1.Incident) {
	for _, x := range m.words {
		if m.incident != nil && Acknowledge(m.incident, x, time.UnixMicro(m.at)) {
			m.official, changed = x, proto.CloneOf(m.incident)
		}
	}
	return changed
}

// IsOperator reports whether a mention is the operator's own word on an outage, or on its end. What it says is true of the time at which it was said,
// however late it is read.
func IsOperator(x *outcryv1.Mention) bool {
	return x.OfficialAuthor && (isOfficial(x) || x.Label == outcryv1.Label_LABEL_RECOVERED && x.RepostOf == "")
}

// Admits reports whether a mention is the operator's own word on an outage.
func Admits(x *outcryv1.Mention) bool { return x.OfficialAuthor && isOfficial(x) }

// severity grows with people and with how far they exceed what is usual; it does not fall within an incident.
func (m *Machine) severity() outcryv1.Incident_Severity {
	n := m.people.count()
	excess := float64(m.peak) / max(m.incident.ExpectedPerMinute, 0.01)
	s := outcryv1.Incident_SEVERITY_MINOR
	if m.copied.coordinated() {
		n = 0
	}
	if n >= int64(m.cfg.MajorPeople) && excess >= 3 {
		s = outcryv1.Incident_SEVERITY_MAJOR
	}
	if n >= int64(m.cfg.CriticalPeople) && excess >= 5 {
		s = outcryv1.Incident_SEVERITY_CRITICAL
	}
	return max(s, m.incident.Severity)
}

// confidence is a judgement in numbers, 0 to 1: how far beyond the threshold, how many people, the operator's word, and how much
// history the expectation rests on.
func (m *Machine) confidence(v detect.Verdict) float64 {
	doubt := 0.5 * math.Exp(-m.margin/4)
	doubt *= 0.6 + 0.4*math.Exp(-float64(m.people.count())/30)
	if m.incident.ConfirmedAtUs == 0 {
		doubt = max(doubt, 0.2)
	}
	if m.incident.OfficialAtUs > 0 {
		doubt *= 0.2
	}
	if v.HistoryMinutes < 24*60 {
		doubt = min(doubt+0.1, 0.6)
	}
	if m.copied.coordinated() && m.incident.OfficialAtUs == 0 {
		doubt = max(doubt, 0.7)
	}
	return math.Round((1-doubt)*100) / 100
}

// publish brings the incident up to date and returns a copy.
func (m *Machine) publish(v detect.Verdict) *outcryv1.Incident {
	i := m.incident
	m.peak = max(m.peak, int64(v.Windows[0].Observed))
	if v.Alarm {
		w := v.Windows[v.Strongest]
		m.margin = max(m.margin, w.Score-w.ThresholdScore)
	}
	m.publishedAt = m.at
	i.DecidedAtUs = m.at
	i.Revision++
	i.Severity = m.severity()
	i.People = m.people.count()
	i.PeakPerMinute = m.peak
	i.Symptoms = m.people.symptoms()
	i.Places = m.people.named(func(p person) uint16 { return p.place })
	i.Languages = m.people.named(func(p person) uint16 { return p.lang })
	i.Sources = m.people.named(func(p person) uint16 { return p.source })
	i.Named = m.people.services()
	i.Posts, i.Copies, i.Coordinated = m.copied.posts(), m.copied.copies(), m.copied.coordinated()
	i.Evidence = m.candidates.choose()
	i.Confidence = m.confidence(v)
	i.Explanation = m.explanation()
	return proto.CloneOf(i)
}

func (m *Machine) explanation() string {
	s := m.why
	if m.reopenedFrom > 0 {
		s = fmt.Sprintf("Reopened: it had been resolved at %s. %s", time.UnixMicro(m.reopenedFrom).UTC().Format("15:04 UTC"), s)
	}
	if m.copied.coordinated() {
		s += " Coordinated: " + m.copied.String() + "."
	}
	if m.endless {
		s += fmt.Sprintf(" It has lasted %v and is taken as the new usual.", m.cfg.MaxOpen)
	}
	return s
}

// Withdraws says whether a retraction withdraws the text of a mention, of whatever revision: of the post, or of all posts of the account up to a time.
func Withdraws(r *outcryv1.Retraction, x *outcryv1.Mention) bool {
	if r.GetAuthor() != 0 {
		return x.Author == r.Author && x.Source == r.Source && x.TimeUs <= r.TimeUs
	}
	return x.Source == r.Source && x.PostId == r.PostId
}

// Withdraw forgets the text of a post, or of all posts of an account, that the author or the network took back; the person stays counted. It returns
// a copy of the incident if it had shown such a post, else nil.
func (m *Machine) Withdraw(r *outcryv1.Retraction) *outcryv1.Incident {
	shown := m.showsOf(r)
	if i := m.incident; i != nil && m.official != nil && Withdraws(r, m.official) && (i.OfficialText != "" || i.OfficialUrl != "") {
		i.OfficialText, i.OfficialUrl, shown = "", "", true
	}
	m.candidates.withdraw(r)
	for _, list := range [][]*outcryv1.Mention{m.recent.outages, m.recent.recovered, m.recent.officials, m.recent.over} {
		for k, x := range list {
			if Withdraws(r, x) {
				list[k] = withoutText(x)
			}
		}
	}
	if m.incident == nil || !shown {
		return nil
	}
	m.incident.Evidence = m.candidates.choose()
	m.incident.Revision++
	return proto.CloneOf(m.incident)
}

// showsOf says whether the incident shows, or may show, what is withdrawn: evidence does not tell its author, the candidates that it was chosen from do.
func (m *Machine) showsOf(r *outcryv1.Retraction) bool {
	return m.incident != nil && slices.ContainsFunc(m.incident.Evidence, func(e *outcryv1.Evidence) bool {
		if r.GetAuthor() == 0 {
			return e.Source == r.Source && e.PostId == r.PostId
		}
		i := slices.IndexFunc(m.candidates, func(c candidate) bool { return c.x.Id == e.MentionId })
		return i < 0 || Withdraws(r, m.candidates[i].x)
	})
}
