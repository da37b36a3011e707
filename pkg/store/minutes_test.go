package store_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// TestMinutesAreTheSeries holds the short question against the view over data of every kind: repeated, late, withdrawn and superseded rows.
func TestMinutesAreTheSeries(t *testing.T) {
	s, ctx := open(t, "minutes"), t.Context()
	random := rand.New(rand.NewPCG(1, 1))
	from := clock(10, 0, 0)
	compare := func() {
		t.Helper()
		for _, r := range [][2]time.Time{{from, from.Add(3 * time.Hour)}, {from.Add(70 * time.Minute), from.Add(71 * time.Minute)}, {from.Add(24 * time.Hour), from.Add(25 * time.Hour)}} {
			want, err := s.Series(ctx, "skype", r[0], r[1], time.Minute)
			must(t, err)
			wantAlarms, err := s.Alarms(ctx, "skype", r[0], r[1])
			must(t, err)
			ingested, err := s.IngestedByMinute(ctx, r[0], r[1])
			must(t, err)
			// Beside others, which must not get into each other's way.
			several, err := s.Minutes(ctx, store.Stretch{Service: "skype", From: from.Add(-time.Hour), To: from.Add(time.Hour)}, store.Stretch{Service: "skype", From: r[0], To: r[1]},
				store.Stretch{Service: "viber", From: r[0], To: r[1]})
			must(t, err)
			if viber := several[2]; len(viber.Points) != len(want) || len(viber.Alarms) != 0 || slices.ContainsFunc(viber.Points, func(p store.Point) bool { return p.Mentions > 0 }) {
				t.Errorf("of somebody else: %+v", viber)
			}
			got, alarms := several[1].Points, several[1].Alarms
			for i := range got {
				got[i].Ingested = ingested[i]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("minutes of %v (-series +minutes):\n%s", r, diff)
			}
			if diff := cmp.Diff(wantAlarms, alarms); diff != "" {
				t.Errorf("alarms of %v (-alarms +minutes):\n%s", r, diff)
			}
		}
	}
	compare() // of nothing
	labels := []outcryv1.Label{outcryv1.Label_LABEL_OUTAGE, outcryv1.Label_LABEL_OUTAGE, outcryv1.Label_LABEL_BUG, outcryv1.Label_LABEL_OTHER}
	var written []store.Mention
	for round := range 3 {
		var mentions []store.Mention
		var windows []store.SpikeWindow
		var sources []store.SourceMinute
		for range 200 {
			m := mention(uint64(random.IntN(400)), uint64(random.IntN(40)), from.Add(time.Duration(random.IntN(3*3600))*time.Second), labels[random.IntN(len(labels))])
			m.Lang = []string{"en", "de"}[random.IntN(2)]
			if random.IntN(5) == 0 {
				m.RepostOf = "p1"
			}
			mentions = append(mentions, m)
			expected := random.Float64() * 10
			windows = append(windows, store.SpikeWindow{Service: "skype", End: from.Add(time.Duration(random.IntN(3*360)) * 10 * time.Second),
				Window: []time.Duration{time.Minute, time.Minute, 5 * time.Minute, time.Hour}[random.IntN(4)], Expected: expected, Lower: expected * random.Float64(), Upper: expected * 3,
				Alarm: round > 0 && random.IntN(8) == 0, Version: uint64(round + 1)})
			sources = append(sources, store.NewSourceMinute(&outcryv1.SourceCount{Source: "twitter", Minute: from.Unix()/60 + int64(random.IntN(180)), Posts: int64(random.IntN(50))},
				&outcryv1.Progress{FirstOffset: int64(random.IntN(9))}, uint64(round+1)))
		}
		seen := map[[2]int64]bool{} // one row of a version and window
		kept := windows[:0]
		for _, w := range windows {
			if k := [2]int64{w.End.Unix(), int64(w.Window)}; !seen[k] {
				seen[k] = true
				kept = append(kept, w)
			}
		}
		must(t, s.InsertMentions(ctx, mentions))
		must(t, s.InsertSpikeWindows(ctx, kept))
		must(t, s.InsertSourceMinutes(ctx, sources[:1]))
		written = append(written, mentions...)
		compare()
	}
	must(t, s.InsertMentions(ctx, written[:300])) // delivered again
	must(t, s.Withdraw(ctx, []*outcryv1.Retraction{{Source: "twitter", PostId: written[0].GetPostId(), Revision: 9}}))
	compare()
}

func TestPartsTellWhatWasWritten(t *testing.T) {
	s, ctx := open(t, "parts"), t.Context()
	must(t, s.InsertMentions(ctx, []store.Mention{mention(1, 1, clock(16, 12, 10), outcryv1.Label_LABEL_OUTAGE), mention(2, 1, clock(16, 14, 10), outcryv1.Label_LABEL_OUTAGE)}))
	parts, err := s.SeriesParts(ctx)
	must(t, err)
	want := []store.Part{
		{Table: "service_days", Partition: "201012", FirstInsert: 1, LastInsert: 1, PerTable: true, From: clock(0, 0, 0), To: clock(23, 59, 59)},
		{Table: "service_minute_totals", Partition: "201012", FirstInsert: 1, LastInsert: 1, PerTable: true, From: clock(16, 12, 0), To: clock(16, 14, 0)},
	}
	slices.SortFunc(parts, func(a, b store.Part) int { return strings.Compare(a.Table, b.Table) })
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}
