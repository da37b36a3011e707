package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/api"
)

// TestMinutesFollowWhatIsWritten writes into days that are kept in memory, open and worked out: JSON, charts and SQL say the same then.
func TestMinutesFollowWhatIsWritten(t *testing.T) {
	s, err := open(t.Context(), "minutes")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// So little room that days make way for each other, and enough.
	for _, room := range []int{0, 16} {
		addr, stop, err := serveWith(t.Context(), s, api.Config{Listen: "127.0.0.1:0", PublicRead: true, MinutesMB: room})
		if err != nil {
			t.Fatal(err)
		}
		from, to := clock(22, 0), clock(26, 0) // over midnight
		id := uint64(room * 1000)
		say := func(at time.Time) error {
			id++
			return s.InsertMentions(t.Context(), []store.Mention{{Mention: &outcryv1.Mention{Id: id, Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, Score: 1, Source: "twitter", PostId: fmt.Sprint(id),
				Author: id, TimeUs: at.UnixMicro(), Text: "skype down"}, CountedAtUS: at.UnixMicro()}})
		}
		expect := func(end time.Time, expected float64, version uint64) error {
			return s.InsertSpikeWindows(t.Context(), []store.SpikeWindow{{Service: "skype", End: end, Window: time.Minute, Expected: expected, Lower: expected / 3, Upper: 3 * expected, Version: uint64(room)<<8 + version}})
		}
		type point struct {
			People, Mentions, Ingested int
			Expected, Lower, Upper     *float64
		}
		read := func(path string, into any) error {
			resp, err := http.Get("http://" + addr + path)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %w", resp.Status, err)
			}
			return nil
		}
		stretch := "step=1m&from=" + from.Format(time.RFC3339) + "&to=" + to.Format(time.RFC3339)
		answered := func() (points []point, err error) {
			var series struct{ Points []point }
			err = read("/v1/services/skype/series?"+stretch, &series)
			return series.Points, err
		}
		known := func() (points []point) {
			t.Helper()
			view, err := s.Series(t.Context(), "skype", from, to, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range view {
				one := point{People: p.People, Mentions: p.Mentions, Ingested: p.Ingested}
				if e := p.Expected; e != nil {
					one.Expected, one.Lower, one.Upper = &e.Expected, &e.Lower, &e.Upper
				}
				points = append(points, one)
			}
			return points
		}
		charts := 0
		drawn := func() (points []point, err error) {
			charts++ // a chart is kept for a minute under its address
			var picture struct {
				Chart struct {
					Points []struct {
						People int
						Band   *struct{ Lower, Upper float64 }
					}
				}
			}
			err = read(fmt.Sprintf("/embed/services/skype.json?title=%d&%s", charts, stretch), &picture)
			for _, p := range picture.Chart.Points {
				one := point{People: p.People}
				if p.Band != nil {
					one.Lower, one.Upper = &p.Band.Lower, &p.Band.Upper
				}
				points = append(points, one)
			}
			return points, err
		}
		// agree waits until all say what SQL says.
		agree := func(when string) {
			t.Helper()
			for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				got, err := answered()
				if err != nil {
					t.Fatal(err)
				}
				chart, err := drawn()
				if err != nil {
					t.Fatal(err)
				}
				want := known()
				wantChart := slices.Clone(want)
				for i, p := range want {
					wantChart[i] = point{People: p.People, Lower: p.Lower, Upper: p.Upper}
				}
				diff := cmp.Diff(want, got) + cmp.Diff(wantChart, chart)
				if diff == "" {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("with %d MB, %s (-view +JSON, -view +chart):\n%s", room, when, diff)
				}
			}
		}
		agree("before all")
		for _, change := range []struct {
			name string
			do   func() error
		}{
			{"a post", func() error { return say(clock(22, 30)) }},
			{"a late post beyond midnight", func() error { return say(clock(25, 30)) }},
			{"another one in the same minute", func() error { return say(clock(22, 30)) }},
			{"an expectation", func() error { return expect(clock(23, 31), 2.5, 2) }},
			{"an expectation that takes its place", func() error { return expect(clock(23, 31), 3.5, 3) }},
			{"one that was superseded before", func() error { return expect(clock(23, 31), 4.5, 1) }},
			{"an expectation of the last minute of a day", func() error { return expect(clock(24, 0), 5.5, 1) }},
			{"a withdrawal", func() error {
				return s.Withdraw(t.Context(), []*outcryv1.Retraction{{Source: "twitter", PostId: fmt.Sprint(id), Revision: 1}})
			}},
			{"what was read", func() error {
				return s.InsertSourceMinutes(t.Context(), []store.SourceMinute{store.NewSourceMinute(&outcryv1.SourceCount{Source: "twitter", Minute: clock(22, 31).Unix() / 60, Posts: 50}, &outcryv1.Progress{FirstOffset: int64(room)}, 1)})
			}},
		} {
			if err := change.do(); err != nil {
				t.Fatal(err)
			}
			agree("after " + change.name)
			for n := 1; n > 0; {
				if n, err = s.CloseDays(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
			}
			for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); { // for as long as what was kept before may be answered
				agree("worked out after " + change.name)
			}
		}
		want := known()
		var crowd sync.WaitGroup
		for range 20 {
			crowd.Go(func() {
				got, err := answered()
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("in a crowd (-view +JSON):\n%s; %v", diff, err)
				}
			})
		}
		crowd.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLastDaysAreReadBeforeAnybodyAsks starts beside days that were worked out, and asks for one of them, before and after somebody writes into it.
func TestLastDaysAreReadBeforeAnybodyAsks(t *testing.T) {
	s, err := open(t.Context(), "preload")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	from := time.Now().UTC().Truncate(day24).Add(-5 * day24)
	say := func(id uint64) {
		t.Helper()
		at := from.Add(7*time.Hour + time.Duration(id)*time.Second)
		if err := s.InsertMentions(t.Context(), []store.Mention{{Mention: &outcryv1.Mention{Id: id, Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, Score: 1, Source: "twitter", PostId: fmt.Sprint(id),
			Author: id, TimeUs: at.UnixMicro(), Text: "skype down"}, CountedAtUS: at.UnixMicro()}}); err != nil {
			t.Fatal(err)
		}
	}
	say(1)
	if n, err := s.CloseDays(t.Context(), 0); n != 1 || err != nil {
		t.Fatalf("%d days were worked out; %v", n, err)
	}
	addr, stop, err := serveWith(t.Context(), s, api.Config{Listen: "127.0.0.1:0", PublicRead: true, MinutesMB: 16})
	if err != nil {
		t.Fatal(err)
	}
	metric := func(name string) string {
		t.Helper()
		resp, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if value, found := strings.CutPrefix(line, name+" "); found {
				return strings.TrimSpace(value)
			}
		}
		t.Fatalf("there is no metric %s", name)
		return ""
	}
	people := func() int {
		t.Helper()
		resp, err := http.Get(fmt.Sprintf("http://%s/v1/services/skype/series?step=1m&from=%s&to=%s", addr, from.Format(time.RFC3339), from.Add(day24).Format(time.RFC3339)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var series struct{ Points []struct{ People int } }
		if err := json.NewDecoder(resp.Body).Decode(&series); err != nil || len(series.Points) != 1440 {
			t.Fatalf("%d points; %v", len(series.Points), err)
		}
		return series.Points[7*60].People
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(90 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	until("a day in memory", func() bool { return metric("outcry_api_days_bytes") != "0" })
	if n := people(); n != 1 {
		t.Errorf("%d people, want 1", n)
	}
	if open, closed := metric(`outcry_api_days_total{from="open"}`), metric(`outcry_api_days_total{from="closed"}`); open != "0" || closed != "0" {
		t.Errorf("%s open and %s closed days were read for an answer from memory", open, closed)
	}
	say(2)
	until("the late post", func() bool { return people() == 2 })
	if open := metric(`outcry_api_days_total{from="open"}`); open == "0" {
		t.Error("the day was not read from the tables")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

const day24 = 24 * time.Hour

// TestACrowdDoesNoHarm has very many ask at once: whoever is not answered is told when to come again, and the server lives.
func TestACrowdDoesNoHarm(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for n := range 400 {
		wg.Go(func() {
			resp, err := client.Get(fmt.Sprintf("%s/v1/services/skype/breakdown?step=1m&from=2010-12-%02dT00:00:00Z&to=2010-12-23T00:00:00Z", base, 20+n%3))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			statuses[resp.StatusCode]++
			if resp.StatusCode == http.StatusServiceUnavailable && (resp.Header.Get("Retry-After") == "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json")) {
				t.Errorf("turned away without being told when to come again: %v", resp.Header)
			}
		})
	}
	wg.Wait()
	if statuses[http.StatusOK] == 0 || statuses[http.StatusOK]+statuses[http.StatusServiceUnavailable] != 400 {
		t.Errorf("answers: %v", statuses)
	}
	if a := get(t, "/readyz"); a.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", a.body)
	}
}
