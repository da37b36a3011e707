package aggregator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// listening plays minutes of posts of two sources, and writes what is found as a line each.
type listening struct {
	s      *sources
	minute int64
}

func newListening() *listening {
	return &listening{s: newSources(DefaultConfig().SilentAfter), minute: start / minuteUS}
}

func (l *listening) play(minutes, bluesky, twitter int64) {
	for range minutes {
		p := &outcryv1.Progress{WatermarkUs: (l.minute + 1) * minuteUS}
		for name, n := range map[string]int64{"bluesky": bluesky, "twitter": twitter} {
			p.Sources = append(p.Sources, &outcryv1.SourceCount{Source: name, Minute: l.minute, Posts: n})
		}
		l.s.arrived(l.minute*minuteUS, p)
		l.minute++
		l.s.advance(l.minute)
	}
}

func (l *listening) found() (out []string) {
	for _, e := range l.s.events {
		line := fmt.Sprintf("%s %v", e.Source, e.Since.Sub(time.UnixMicro(start).UTC()))
		if !e.Until.IsZero() {
			line += fmt.Sprintf(" to %v", e.Until.Sub(time.UnixMicro(start).UTC()))
		}
		out = append(out, line)
	}
	return out
}

func TestSilence(t *testing.T) {
	for _, row := range []struct {
		name string
		play func(l *listening)
		want []string
	}{
		{"both are heard", func(l *listening) { l.play(300, 20, 1) }, nil},
		{"one falls silent and comes back", func(l *listening) { l.play(60, 20, 1); l.play(40, 0, 1); l.play(60, 20, 1) },
			[]string{"bluesky 1h0m0s", "bluesky 1h0m0s to 1h40m0s"}},
		{"a pause is no silence", func(l *listening) { l.play(60, 20, 1); l.play(4, 0, 1); l.play(60, 20, 1) }, nil},
		{"one with few posts is waited for", func(l *listening) { l.play(60, 20, 1); l.play(55, 20, 0); l.play(60, 20, 1) }, nil},
		{"but not for ever", func(l *listening) { l.play(60, 20, 1); l.play(70, 20, 0) }, []string{"twitter 1h0m0s"}},
		{"nights are quieter", func(l *listening) {
			l.play(300, 20, 1)
			for range 60 {
				l.play(1, 1, 0)
				l.play(2, 0, 0)
				l.play(1, 0, 1)
			}
		}, nil},
		{"one heard for minutes only is nothing usual", func(l *listening) { l.play(8, 20, 20); l.play(100, 0, 20) }, nil},
		{"a recording with a gap", func(l *listening) { l.play(60, 20, 20); l.minute += 60; l.play(10, 20, 20) },
			[]string{"bluesky 1h0m0s", "twitter 1h0m0s", "bluesky 1h0m0s to 2h0m0s", "twitter 1h0m0s to 2h0m0s"}},
	} {
		l := newListening()
		row.play(l)
		if diff := gocmp.Diff(row.want, l.found()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}

// What is saved and restored goes on as what never stopped.
func TestSilenceIsRestored(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	running, again := newListening(), newListening()
	for range 30 {
		minutes, bluesky, twitter := 1+rng.Int64N(40), rng.Int64N(3)*10, rng.Int64N(3)*10
		running.play(minutes, bluesky, twitter)
		again.play(minutes, bluesky, twitter)
		state, err := json.Marshal(again.s.state)
		if err != nil {
			t.Fatal(err)
		}
		var restored sourcesState
		if err := json.Unmarshal(state, &restored); err != nil {
			t.Fatal(err)
		}
		events := again.s.events
		again.s = newSources(DefaultConfig().SilentAfter)
		again.s.restore(restored)
		again.s.events = events
	}
	if diff := gocmp.Diff(running.found(), again.found()); diff != "" || len(running.found()) == 0 {
		t.Errorf("found %v (-running +restored):\n%s", running.found(), diff)
	}
}

// While the sources of a service are silent, its incident does not end: what is not heard is no calm.
func TestSilenceIsNoCalm(t *testing.T) {
	r := newRunner()
	at := start - 120*minute
	offset := int64(0)
	play := func(minutes int64, bluesky, outage int) {
		for range minutes * 6 {
			for range outage {
				offset++
				m := outageMention(uint64(offset), at+second)
				m.Source = "bluesky"
				r.take(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: m}}, offset)
			}
			offset++
			p := &outcryv1.Progress{PostsPartitions: 1, FirstOffset: offset - 1, NextOffset: offset, WatermarkUs: at + stepUS,
				Sources: []*outcryv1.SourceCount{{Source: "bluesky", Minute: at / minuteUS, Posts: int64(bluesky)}, {Source: "twitter", Minute: at / minuteUS, Posts: 5}}}
			r.take(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: p}}, offset)
			at += stepUS
		}
	}
	play(120, 20, 0)
	play(10, 20, 2)
	play(120, 0, 0)
	if state := r.incidents[len(r.incidents)-1].GetState(); state != outcryv1.Incident_STATE_CONFIRMED {
		t.Errorf("two hours into the silence it is %s", state.Name())
	}
	r.restart(t)
	play(120, 20, 0)
	if state := r.incidents[len(r.incidents)-1].GetState(); state != outcryv1.Incident_STATE_RESOLVED {
		t.Errorf("two hours after the silence it is %s", state.Name())
	}
}
