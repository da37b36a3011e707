package incident

import (
	"math"

	"outcry.dev/pkg/detect"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	// mistaken is the part of posts about something else that the model takes for reports of an outage, at most: measured on bursts of talk
	// about prices, launches and finals.
	mistaken = 0.06
	// talkMemory is the time in which the usual rate of talk forgets, in microseconds.
	talkMemory = 24 * 3600e6
	talkSteps  = 360
)

// talk counts what is said of a service without reporting an outage. When everybody talks about a service, say because it became dearer, a
// few of the many posts are mistaken for reports, and together they can look like an outage.
type talk struct {
	step int64 // of detect.Step, latest
	of   []uint16
}

const stepMicros = int64(detect.Step / 1000)

// isTalk reports whether a mention is about something else than an outage.
func isTalk(x *outcryv1.Mention) bool {
	switch x.Label {
	case outcryv1.Label_LABEL_BUG, outcryv1.Label_LABEL_COMPLAINT, outcryv1.Label_LABEL_OTHER:
		return x.RepostOf == ""
	}
	return false
}

func (t *talk) advance(step int64) {
	if t.of == nil {
		t.step, t.of = step, make([]uint16, talkSteps)
		return
	}
	for first := max(t.step+1, step-talkSteps+1); first <= step; first++ {
		t.of[first%talkSteps] = 0
	}
	t.step = max(t.step, step)
}

func (t *talk) add(at int64) {
	t.advance(at / stepMicros)
	if n := &t.of[t.step%talkSteps]; *n < math.MaxUint16 {
		*n++
	}
}

// lately returns the posts of the last minutes before a time.
func (t *talk) lately(at int64, minutes float64) (n float64) {
	if t.of == nil {
		return 0
	}
	last := at/stepMicros - 1
	for step := last; step > last-int64(6*minutes); step-- {
		if step <= t.step && step > t.step-talkSteps {
			n += float64(t.of[step%talkSteps])
		}
	}
	return n
}

// hearTalk keeps the usual rate of talk: an exponential mean in event time, in posts a minute.
func (m *Machine) hearTalk(x *outcryv1.Mention) {
	m.talk.add(x.TimeUs)
	if m.refilling { // the rate has heard it before
		return
	}
	m.usualTalk = m.talkRate(x.TimeUs) + float64(minuteMicros)/talkMemory
	m.talkedAt = max(m.talkedAt, x.TimeUs)
}

func (m *Machine) talkRate(at int64) float64 {
	return m.usualTalk * math.Exp(-float64(max(0, at-m.talkedAt))/talkMemory)
}

// explained reports whether an alarm has another explanation than an outage: no window would be one without the posts that the model takes
// for reports by mistake among talk that is beyond what is usual, nor without the people who speak of another service at the same time,
// where most do: users of a network that works complain that they cannot reach one that does not.
func (m *Machine) explained(v detect.Verdict) bool {
	for _, w := range v.Windows {
		if !w.Alarm {
			continue
		}
		minutes := w.Window.Minutes()
		excess := max(0, m.talk.lately(m.at, minutes)-minutes*m.talkRate(m.at))
		people, besides := m.recent.naming(m.at - w.Window.Microseconds())
		if 2*besides < people {
			besides = 0
		}
		if float64(w.Observed-besides)-mistaken*excess >= w.Threshold {
			return false
		}
	}
	return true
}
