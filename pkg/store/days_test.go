package store_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// TestClosedDaysAreTheSeries holds days that were worked out against the views over three days, after every kind of thing that is written into days: posts
// that come late or twice, withdrawals, windows that supersede others.
func TestClosedDaysAreTheSeries(t *testing.T) {
	s, ctx := open(t, "days"), t.Context()
	random := rand.New(rand.NewPCG(5, 6))
	first := clock(0, 0, 0)
	var of []store.DayOf
	for _, service := range []string{"skype", "viber", "nobody"} {
		for n := range int64(4) {
			of = append(of, store.DayOf{Service: service, Day: first.Unix()/86400 + n - 1})
		}
	}
	open := func() (out []store.DayOf) {
		t.Helper()
		days, err := s.Days(ctx, of...)
		must(t, err)
		for i, packed := range days {
			if packed == nil {
				out = append(out, of[i])
			}
		}
		return out
	}
	// compare holds all days against the views, those that are open as Minutes reads them.
	compare := func() {
		t.Helper()
		days, err := s.Days(ctx, of...)
		must(t, err)
		for i, packed := range days {
			from, to := of[i].Start(), of[i].Start().AddDate(0, 0, 1)
			if packed == nil {
				read, err := s.Minutes(ctx, store.Stretch{Service: of[i].Service, From: from, To: to})
				must(t, err)
				packed, err = store.PackDay(from, read[0])
				must(t, err)
			}
			got, err := store.UnpackDay(packed, of[i].Service, from)
			must(t, err)
			want, err := s.Series(ctx, of[i].Service, from, to, time.Minute)
			must(t, err)
			for n := range want {
				want[n].Ingested = 0
			}
			if diff := cmp.Diff(want, got.Points); diff != "" {
				t.Errorf("%v (-series +day):\n%s", of[i], diff)
			}
			alarms, err := s.Alarms(ctx, of[i].Service, from, to)
			must(t, err)
			if diff := cmp.Diff(alarms, got.Alarms); diff != "" {
				t.Errorf("alarms of %v (-alarms +day):\n%s", of[i], diff)
			}
		}
	}
	closeAll := func(want int) {
		t.Helper()
		all := 0
		for n := 1; n > 0; all += n {
			var err error
			n, err = s.CloseDays(ctx, 0)
			must(t, err)
		}
		if all != want {
			t.Errorf("%d days were worked out, want %d", all, want)
		}
		if left := open(); left != nil {
			t.Errorf("not worked out: %v", left)
		}
		compare()
	}
	closeAll(0) // of nothing
	day := func(service string, n int64) store.DayOf {
		return store.DayOf{Service: service, Day: first.Unix()/86400 + n}
	}
	var mentions []store.Mention
	var windows []store.SpikeWindow
	for i := range 600 {
		m := mention(uint64(random.IntN(500)), uint64(random.IntN(40)), first.Add(time.Duration(random.IntN(48*3600))*time.Second), outcryv1.Label_LABEL_OUTAGE)
		mentions = append(mentions, m)
		expected := random.Float64() * 10
		windows = append(windows, store.SpikeWindow{Service: "skype", End: first.Add(time.Duration(i*29) * 10 * time.Second),
			Window: []time.Duration{time.Minute, 5 * time.Minute, time.Hour}[i%3], Expected: expected, Lower: expected * random.Float64(), Upper: expected * 3,
			Observed: i, Threshold: 3 * expected, Score: expected, HistoryMinutes: 9, Alarm: i%7 == 0, Version: 1})
	}
	// Minutes that have a band, and a window of an hour over midnight, which counts for both days.
	for i := range 300 {
		windows = append(windows, store.SpikeWindow{Service: "skype", End: first.Add(time.Duration(23*60+i) * time.Minute), Window: time.Minute, Expected: 1.5, Lower: 0.2, Upper: 4, Version: 2})
	}
	windows = append(windows, store.SpikeWindow{Service: "viber", End: first.Add(24*time.Hour + 30*time.Minute), Window: time.Hour, Expected: 1, Upper: 2, Alarm: true, Version: 1})
	must(t, s.InsertMentions(ctx, mentions))
	must(t, s.InsertSpikeWindows(ctx, windows))
	if n, err := s.CloseDays(ctx, time.Hour); n != 0 || err != nil {
		t.Errorf("%d days were worked out into which something was written within the hour; %v", n, err)
	}
	// The first window of skype ends when the first day begins, so it is of the day before.
	if diff := cmp.Diff([]store.DayOf{day("skype", -1), day("skype", 0), day("skype", 1), day("skype", 2), day("viber", 0), day("viber", 1)}, open()); diff != "" {
		t.Errorf("written into (-want +got):\n%s", diff)
	}
	compare()
	closeAll(6)
	for _, change := range []struct {
		name string
		do   func() error
		open []store.DayOf
	}{
		{"a late post", func() error {
			return s.InsertMentions(ctx, []store.Mention{mention(1000, 99, first.Add(10*time.Hour), outcryv1.Label_LABEL_OUTAGE)})
		}, []store.DayOf{day("skype", 0)}},
		{"what was delivered before", func() error {
			return s.InsertMentions(ctx, []store.Mention{mention(1000, 99, first.Add(10*time.Hour), outcryv1.Label_LABEL_OUTAGE)})
		},
			[]store.DayOf{day("skype", 0)}},
		{"a withdrawal", func() error {
			return s.Withdraw(ctx, []*outcryv1.Retraction{{Source: "twitter", PostId: mention(1000, 99, first, 0).GetPostId(), Revision: 9}})
		}, []store.DayOf{day("skype", 0)}},
		{"a window that supersedes another", func() error {
			return s.InsertSpikeWindows(ctx, []store.SpikeWindow{{Service: "skype", End: first.Add(26 * time.Hour), Window: time.Minute, Expected: 7, Lower: 3, Upper: 9, Version: 3}})
		}, []store.DayOf{day("skype", 1)}},
		{"a superseded owner's window", func() error {
			return s.InsertSpikeWindows(ctx, []store.SpikeWindow{{Service: "skype", End: first.Add(26 * time.Hour), Window: time.Minute, Expected: 8, Lower: 3, Upper: 9, Version: 1}})
		}, []store.DayOf{day("skype", 1)}},
		{"an alarm over midnight that is none any more", func() error {
			return s.InsertSpikeWindows(ctx, []store.SpikeWindow{{Service: "viber", End: first.Add(24*time.Hour + 30*time.Minute), Window: time.Hour, Expected: 1, Upper: 2, Version: 2}})
		}, []store.DayOf{day("viber", 0), day("viber", 1)}},
	} {
		must(t, change.do())
		if diff := cmp.Diff(change.open, open()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", change.name, diff)
		}
		compare()
		closeAll(len(change.open))
	}
	all := map[store.DayOf]uint64{}
	must(t, s.AllDays(ctx, first, func(d store.DayOf, version uint64, minutes []byte) {
		if version > all[d] && len(minutes) > 0 {
			all[d] = version
		}
	}))
	if len(all) != 5 { // without the one before
		t.Errorf("all days: %v", all)
	}
}

// TestDaysOfAHistoryAreWorkedOut upgrades a database in which counts lie that no view has seen.
func TestDaysOfAHistoryAreWorkedOut(t *testing.T) {
	s, ctx := open(t, "olddays"), t.Context()
	var database string
	must(t, s.Query(ctx, "SELECT currentDatabase()", func([]string) error { return nil }, func(values []any) error {
		database, _ = values[0].(string)
		return nil
	}))
	run := func(statement string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+server.HTTPAddr()+"/?database="+database, strings.NewReader(statement))
		must(t, err)
		req.SetBasicAuth(server.User(), server.Password())
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		message, err := io.ReadAll(resp.Body)
		must(t, errors.Join(err, resp.Body.Close()))
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", statement, message)
		}
	}
	run("DROP VIEW service_minutes_to_days")
	run("DROP VIEW spike_windows_to_days")
	run("DROP TABLE service_days")
	must(t, s.InsertMentions(ctx, []store.Mention{mention(1, 1, clock(16, 12, 10), outcryv1.Label_LABEL_OUTAGE)}))
	must(t, s.InsertSpikeWindows(ctx, []store.SpikeWindow{{Service: "viber", End: clock(24, 20, 0), Window: time.Hour, Alarm: true, Version: 1}}))
	run("ALTER TABLE goose_db_version DELETE WHERE version_id = 54 SETTINGS mutations_sync = 1")
	applied, err := s.Migrate(ctx)
	must(t, err)
	if len(applied) != 1 {
		t.Fatalf("applied %v", applied)
	}
	n := clock(0, 0, 0).Unix() / 86400
	of := []store.DayOf{{Service: "skype", Day: n}, {Service: "viber", Day: n}, {Service: "viber", Day: n + 1}}
	days, err := s.Days(ctx, of...)
	must(t, err)
	for i, packed := range days {
		if packed != nil {
			t.Errorf("%v is thought to be empty", of[i])
		}
	}
	// What was there before is old, however short the time since the upgrade.
	closed, err := s.CloseDays(ctx, 15*time.Minute)
	must(t, err)
	if closed != len(of) {
		t.Errorf("%d days were worked out", closed)
	}
	days, err = s.Days(ctx, of...)
	must(t, err)
	for i, packed := range days {
		got, err := store.UnpackDay(packed, of[i].Service, of[i].Start())
		must(t, err)
		if mentions := got.Points[16*60+12].Mentions; mentions != 1-min(i, 1) || len(got.Alarms) != min(i, 1) {
			t.Errorf("%v: %d mentions at 16:12, alarms %v", of[i], mentions, got.Alarms)
		}
	}
}
