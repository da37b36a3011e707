package aggregator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"outcry.dev/pkg/store"
)

// A mention that came too late for any decision, before there was any, is not taken for one of 1970 by the next owner: listening would
// seem to have begun then, and half a century of silence would count as history.
func TestLateMentionsAreNotRestored(t *testing.T) {
	s := newSite(t, startBroker(t), fmt.Sprintf("late_%d", rand.Uint64()), 1)
	p := newTestPartition()
	progress(p, 0, 2, start+2*p.latenessUS, false) // the other partition of posts.v1 has said nothing yet
	m := outageMention(1, start)
	countedAt, offset, fate := p.add(m, 0)
	if fate != late || countedAt != 0 {
		t.Fatalf("the mention is %s and counts at %d; the test would prove nothing", fate, countedAt)
	}
	state, err := p.marshalState()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.InsertMentions(t.Context(), []store.Mention{{Mention: m, CountedAtUS: countedAt, Offset: offset}}); err != nil {
		t.Fatal(err)
	}
	if err := s.store.InsertState(t.Context(), []store.State{{State: state, NextOffset: 1, Version: 1 << epochShift}}); err != nil {
		t.Fatal(err)
	}
	next := newTestPartition()
	if _, _, err := next.restore(t.Context(), s.store, 0); err != nil {
		t.Fatal(err)
	}
	next.advance(progress(next, 1, 2, start+2*p.latenessUS, false), func(decided) {})
	p.advance(progress(p, 1, 2, start+2*p.latenessUS, false), func(decided) {})
	if next.began != p.began {
		t.Errorf("listening began with step %d; without the restart, with step %d", next.began, p.began)
	}
}
