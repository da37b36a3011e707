package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// People are counted to the places that their posts name, once each, whatever is delivered twice, and stay counted when texts go.
func TestPlacesByMinute(t *testing.T) {
	s := open(t, "places_by_minute")
	var list []store.Mention
	say := func(author uint64, minute int, label outcryv1.Label, places ...string) *store.Mention {
		m := mention(uint64(len(list)+1), author, clock(16, minute, 0), label)
		m.Places = places
		list = append(list, m)
		return &list[len(list)-1]
	}
	say(1, 0, outcryv1.Label_LABEL_OUTAGE, "us/austin", "us")
	say(1, 1, outcryv1.Label_LABEL_OUTAGE, "us/austin")
	say(2, 1, outcryv1.Label_LABEL_OUTAGE, "us/austin")
	say(3, 30, outcryv1.Label_LABEL_OUTAGE, "de")
	say(4, 30, outcryv1.Label_LABEL_OUTAGE)
	say(5, 30, outcryv1.Label_LABEL_OTHER, "de")
	say(6, 30, outcryv1.Label_LABEL_OUTAGE, "de").RepostOf = "p1"
	for range 2 {
		must(t, s.InsertMentions(t.Context(), list))
	}
	want := []store.Group{
		{Name: "us/austin", People: 2, Posts: 3, Points: []store.GroupPoint{{Start: clock(16, 0, 0), People: 2, Posts: 3}}},
		{Name: "de", People: 1, Posts: 1, Points: []store.GroupPoint{{Start: clock(16, 30, 0), People: 1, Posts: 1}}},
		{Name: "us", People: 1, Posts: 1, Points: []store.GroupPoint{{Start: clock(16, 0, 0), People: 1, Posts: 1}}},
	}
	read := func() {
		t.Helper()
		got, err := s.Breakdown(t.Context(), list[0].GetService(), "place", clock(16, 0, 0), clock(17, 0, 0), 15*time.Minute)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("places (-want +got):\n%s", diff)
		}
	}
	read()
	must(t, s.Withdraw(t.Context(), []*outcryv1.Retraction{{Source: list[0].GetSource(), PostId: list[0].GetPostId(), Revision: 1 << 60}}))
	read()
}
