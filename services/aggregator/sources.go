package aggregator

import (
	"maps"
	"math"
	"slices"
	"time"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	// usualMinutes is the memory of a source's usual rate, in which it was heard.
	usualMinutes = 360
	// leastMinutes is how long a source must have been heard before anything is usual.
	leastMinutes = 10
	// missedPosts is how many posts of a source at its usual rate must be missing before it is silent: nights are quieter than days.
	missedPosts = 60
	// voiceMemory is the memory, in steps, of which sources a service is heard on: a week.
	voiceMemory = 7 * 24 * 360
	// mostSources bounds what is remembered; more are taken together.
	mostSources = 64
	// leastHeard is the part of its usual sources below which nothing is known of a service.
	leastHeard = 0.5
)

// sources tells quiet from silent: when each source was heard, and how much is usual. What it knows of a time is a function of the log, since
// posts count for the minute that the watermark of their partition of posts.v1 stood at before them.
type sources struct {
	silentAfter int64 // minutes
	state       sourcesState
	events      []store.SourceSilence // since they were taken last
}

type sourcesState struct {
	Minute   int64                      `json:"minute"` // every minute before it is taken in
	Arrivals map[int64]map[string]int64 `json:"arrivals,omitempty"`
	Of       map[string]*sourceState    `json:"of,omitempty"`
}

type sourceState struct {
	At     int64   `json:"at"` // latest minute in which it was heard
	Sum    float64 `json:"sum"`
	Weight float64 `json:"weight"`
	Since  int64   `json:"since,omitempty"` // first minute of the silence under way, 0 while it is heard
}

func newSources(silentAfter time.Duration) *sources {
	return &sources{silentAfter: int64(silentAfter / time.Minute), state: sourcesState{Arrivals: map[int64]map[string]int64{}, Of: map[string]*sourceState{}}}
}

// restore goes on from a saved state.
func (s *sources) restore(state sourcesState) {
	if state.Arrivals == nil {
		state.Arrivals = map[int64]map[string]int64{}
	}
	if state.Of == nil {
		state.Of = map[string]*sourceState{}
	}
	s.state = state
}

// arrived takes the counts of a Progress of a partition whose watermark stood at beforeUS.
func (s *sources) arrived(beforeUS int64, p *outcryv1.Progress) {
	minute := beforeUS / minuteUS
	if beforeUS == 0 {
		minute = p.GetWatermarkUs() / minuteUS
	}
	minute = max(minute, s.state.Minute)
	for _, c := range p.GetSources() {
		if c.GetPosts() == 0 {
			continue
		}
		if s.state.Arrivals[minute] == nil {
			s.state.Arrivals[minute] = map[string]int64{}
		}
		s.state.Arrivals[minute][s.name(c.GetSource())] += c.GetPosts()
	}
}

func (s *sources) name(source string) string {
	if s.state.Of[source] == nil && len(s.state.Of) >= mostSources {
		return "other"
	}
	return source
}

// advance takes in every minute before one, in order.
func (s *sources) advance(minute int64) {
	if minute <= s.state.Minute {
		return
	}
	for _, m := range slices.Sorted(maps.Keys(s.state.Arrivals)) {
		if m >= minute {
			break
		}
		s.listen(m)
		for _, name := range slices.Sorted(maps.Keys(s.state.Arrivals[m])) {
			s.hear(name, m, float64(s.state.Arrivals[m][name]))
		}
		delete(s.state.Arrivals, m)
	}
	s.listen(minute)
	s.state.Minute = minute
}

func (s *sources) hear(name string, minute int64, posts float64) {
	o := s.state.Of[name]
	if o == nil {
		o = &sourceState{At: minute - 1}
		s.state.Of[name] = o
	}
	passed := float64(minute - o.At)
	decay := math.Exp(-passed / usualMinutes)
	o.Sum = o.Sum*decay + posts
	if o.Since > 0 {
		o.Weight = o.Weight*decay + 1
		s.events = append(s.events, s.silence(name, o, minute))
		o.Since = 0
	} else {
		o.Weight = o.Weight*decay + (1-decay)*usualMinutes
	}
	o.At = minute
}

// listen looks which sources have fallen silent before a minute.
func (s *sources) listen(minute int64) {
	for _, name := range slices.Sorted(maps.Keys(s.state.Of)) {
		o := s.state.Of[name]
		if o.Since > 0 || o.Weight < leastMinutes {
			continue
		}
		missing := max(s.silentAfter, int64(math.Ceil(missedPosts/o.rate())))
		if minute-o.At > missing {
			o.Since = o.At + 1
			s.events = append(s.events, s.silence(name, o, 0))
		}
	}
}

func (o *sourceState) rate() float64 { return o.Sum / o.Weight }

func (s *sources) silence(name string, o *sourceState, until int64) store.SourceSilence {
	e := store.SourceSilence{Source: name, Since: time.Unix(o.Since*60, 0).UTC(), UsualPerMinute: o.rate()}
	if until > 0 {
		e.Until = time.Unix(until*60, 0).UTC()
	}
	return e
}

// silent reports whether any source is.
func (s *sources) silent() bool {
	for _, o := range s.state.Of {
		if o.Since > 0 {
			return true
		}
	}
	return false
}

// heard returns which part of the voices comes from sources that are not silent: 1 where all are heard, or nothing is known.
func (s *sources) heard(voices map[string]float64) float64 {
	all, now := 0.0, 0.0
	for _, name := range slices.Sorted(maps.Keys(voices)) {
		all += voices[name]
		if o := s.state.Of[name]; o == nil || o.Since == 0 {
			now += voices[name]
		}
	}
	if all == 0 {
		return 1
	}
	return now / all
}

// hearVoice keeps how much of what is said of a service comes from which source.
func (s *service) hearVoice(source string, step int64) {
	own := &s.own
	if own.Voices == nil {
		own.Voices = map[string]float64{}
	}
	if decay := math.Exp(-float64(step-own.VoicesAt) / voiceMemory); step > own.VoicesAt {
		for name := range own.Voices {
			own.Voices[name] *= decay
		}
		own.VoicesAt = step
	}
	if _, known := own.Voices[source]; !known && len(own.Voices) >= mostSources {
		source = "other"
	}
	own.Voices[source]++
}
