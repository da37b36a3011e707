package api

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func FuzzParams(f *testing.F) {
	f.Add("from=2010-12-22&to=2010-12-22T16:00Z&step=15m&state=open&cursor=MTIgYQ&limit=5")
	f.Add("step=-1d&from=9999-99-99&cursor=%00&state=,,&limit=1e9")
	f.Add("step=9223372036854775807d&from=&to=+&%gh&state=UNSPECIFIED")
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{URL: &url.URL{Path: "/v1/x", RawQuery: query}}
		p := readParams(r, "from", "to", "step", "state", "cursor", "limit")
		asked, states, limit := p.timeRange(), p.states(), p.number("limit", 50, 1, maxIncidents)
		_ = p.cursor()
		if p.fault != nil {
			return
		}
		if asked.step != 0 && (asked.step < time.Minute || asked.step > day || asked.step%time.Minute != 0) {
			t.Errorf("step %s", asked.step)
		}
		for _, at := range []time.Time{asked.from, asked.to} {
			if !at.IsZero() && (at.Before(firstTime) || !at.Before(lastTime)) {
				t.Errorf("time %s", at)
			}
		}
		if limit < 1 || limit > maxIncidents {
			t.Errorf("limit %d", limit)
		}
		for _, s := range states {
			if s == outcryv1.Incident_STATE_UNSPECIFIED {
				t.Error("a state that is none")
			}
		}
	})
}

func TestCursorComesBack(t *testing.T) {
	i := &outcryv1.Incident{Id: "skype-20101222T1612", DetectedAtUs: 1293034460000000}
	p := &params{values: url.Values{"cursor": {nextCursor(i)}}}
	want := &store.IncidentKey{DetectedAtUS: i.GetDetectedAtUs(), ID: i.GetId()}
	if diff := cmp.Diff(want, p.cursor()); diff != "" || p.fault != nil {
		t.Errorf("(-want +got):\n%s%v", diff, p.fault)
	}
}

func TestAlarmSpans(t *testing.T) {
	at := func(minute int) time.Time { return time.Unix(0, 0).UTC().Add(time.Duration(minute) * time.Minute) }
	window := func(end, minutes int) store.SpikeWindow {
		return store.SpikeWindow{End: at(end), Window: time.Duration(minutes) * time.Minute}
	}
	for name, test := range map[string]struct {
		windows []store.SpikeWindow
		want    []span
	}{
		"none":                           {nil, nil},
		"neighbors are one":              {[]store.SpikeWindow{window(11, 1), window(12, 1), window(13, 1)}, []span{{at(10), at(13)}}},
		"a short rest does not end it":   {[]store.SpikeWindow{window(11, 1), window(17, 1)}, []span{{at(10), at(17)}}},
		"a long rest does":               {[]store.SpikeWindow{window(11, 1), window(18, 1)}, []span{{at(10), at(11)}, {at(17), at(18)}}},
		"the echo of a spike is not one": {[]store.SpikeWindow{window(101, 1), window(130, 60), window(160, 60)}, []span{{at(100), at(101)}}},
		"a slow rise shows in long windows alone": {
			[]store.SpikeWindow{window(101, 1), window(300, 60), window(301, 60)}, []span{{at(100), at(101)}, {at(240), at(301)}}},
	} {
		if diff := cmp.Diff(test.want, alarmSpans(test.windows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLongDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 40 * time.Second: "40 s", 59*time.Second + 600*time.Millisecond: "1 min", 47*time.Minute + 40*time.Second: "48 min",
		59*time.Minute + 45*time.Second: "1 h", 4*time.Hour + 18*time.Minute: "4 h 18 min", 52 * time.Hour: "2 d 4 h", -time.Minute: "1 min",
	} {
		if got := longDuration(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
