package alert_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter/alert"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func writer() alert.Writer {
	return alert.Writer{PublicURL: "https://outcry.example.org", Service: func(string) (alert.Service, bool) {
		return alert.Service{Name: "Skype", Category: "messaging", Countries: []string{"DE", "FR"}}, true
	}}
}

// revision reads "2 confirmed major root=aws-1": what an incident is after a change.
func revision(t *testing.T, text string) *outcryv1.Incident {
	t.Helper()
	i := &outcryv1.Incident{Id: "skype-1", Service: "skype", People: 7, Explanation: "why", Sources: []*outcryv1.NameCount{{Name: "twitter"}, {Name: "bluesky"}}}
	for n, word := range strings.Fields(text) {
		switch {
		case n == 0:
			if _, err := fmt.Sscan(word, &i.Revision); err != nil {
				t.Fatal(err)
			}
		case n == 1:
			i.State = outcryv1.Incident_State(outcryv1.Incident_State_value["STATE_"+strings.ToUpper(word)])
		case n == 2:
			i.Severity = outcryv1.Incident_Severity(outcryv1.Incident_Severity_value["SEVERITY_"+strings.ToUpper(word)])
		case strings.HasPrefix(word, "root="):
			i.Root = strings.TrimPrefix(word, "root=")
		case word == "elsewhere":
			i.Sources = append(i.Sources, &outcryv1.NameCount{Name: "mastodon"})
		}
	}
	return i
}

// told writes alerts as "firing confirmed major", ended ones with "ended", consequences with their root.
func told(alerts []alert.Alert) string {
	var out []string
	for _, a := range alerts {
		s := "firing"
		if !a.EndsAt.IsZero() {
			s = "ended"
		}
		s += " " + a.Labels["state"] + " " + a.Labels["severity"]
		if a.Labels["alertname"] == alert.Consequence {
			s += " of " + a.Labels["root"]
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestWhatIsTold(t *testing.T) {
	for name, steps := range map[string][][2]string{
		"a life": {
			{"1 suspected minor", "firing suspected minor"},
			{"2 confirmed minor", "ended suspected minor, firing confirmed minor"},
			{"3 confirmed minor", "firing confirmed minor"},
			{"4 confirmed critical", "ended confirmed minor, firing confirmed critical"},
			{"5 recovering critical", "firing confirmed critical"},
			{"6 resolved critical", "ended confirmed critical"},
		},
		"severity and certainty do not fall": {
			{"1 confirmed critical", "firing confirmed critical"},
			{"2 suspected minor", "firing confirmed critical"},
			{"3 dismissed minor", "ended confirmed critical"},
		},
		"it comes back": {
			{"1 confirmed major", "firing confirmed major"},
			{"2 resolved major", "ended confirmed major"},
			{"3 resolved major", ""},
			{"4 suspected major", "firing confirmed major"},
			{"5 resolved major", "ended confirmed major"},
		},
		"a root turns up": {
			{"1 confirmed major", "firing confirmed major"},
			{"2 confirmed major root=aws-1", "ended confirmed major, firing confirmed major of aws-1"},
			{"3 resolved major root=aws-1", "ended confirmed major of aws-1"},
		},
		"an old revision, or one that was told": {
			{"5 confirmed major", "firing confirmed major"},
			{"5 confirmed major", ""},
			{"4 resolved major", ""},
		},
		"the end of what nobody heard of": {{"3 resolved major", ""}, {"4 dismissed major", ""}},
		"another source":                  {{"1 confirmed major", "firing confirmed major"}, {"2 confirmed major elsewhere", "firing confirmed major"}},
	} {
		t.Run(name, func(t *testing.T) {
			tracker, restarted := alert.NewTracker(writer()), alert.NewTracker(writer())
			for n, s := range steps {
				now := noon.Add(time.Duration(n) * time.Minute)
				got := tracker.Apply(revision(t, s[0]), now)
				if told(got) != s[1] {
					t.Errorf("%s: %q, want %q", s[0], told(got), s[1])
				}
				// One that was restarted before each step tells the same.
				again := restarted.Apply(revision(t, s[0]), now)
				if told(again) != s[1] {
					t.Errorf("%s, after a restart: %q, want %q", s[0], told(again), s[1])
				}
				records, err := restarted.Records()
				if err != nil {
					t.Fatal(err)
				}
				restarted = alert.NewTracker(writer())
				for _, r := range records {
					if err := restarted.Restore(r); err != nil {
						t.Fatal(err)
					}
				}
				if a, b := told(tracker.All()), told(restarted.All()); a != b {
					t.Errorf("%s: all are %q, after a restart %q", s[0], a, b)
				}
			}
		})
	}
}

func TestLabelsAndAnnotations(t *testing.T) {
	i := revision(t, "1 confirmed major")
	a := alert.NewTracker(writer()).Apply(i, noon)[0]
	want := map[string]string{"alertname": "Outage", "service": "skype", "incident": "skype-1", "severity": "major", "state": "confirmed", "root": "skype-1",
		"category": "messaging", "country": "DE,FR", "source": "bluesky,twitter"}
	if !maps.Equal(a.Labels, want) {
		t.Errorf("labels %v", a.Labels)
	}
	for _, name := range []string{"summary", "description", "state", "people", "page", "chart", "image"} {
		if a.Annotations[name] == "" {
			t.Errorf("no %s in %v", name, slices.Sorted(maps.Keys(a.Annotations)))
		}
	}
	if !a.StartsAt.Equal(noon) {
		t.Errorf("it starts at %s, by the clock of the posts", a.StartsAt)
	}
}

func TestWhatEndedLongAgoIsForgotten(t *testing.T) {
	tracker := alert.NewTracker(writer())
	tracker.Apply(revision(t, "1 confirmed minor"), noon)
	tracker.Apply(revision(t, "2 confirmed major"), noon)
	tracker.Apply(revision(t, "3 resolved major"), noon)
	tracker.Forget(noon.Add(alert.Keep))
	if n := len(tracker.All()); n != 2 {
		t.Errorf("%d alerts, want 2", n)
	}
	tracker.Forget(noon.Add(alert.Keep + time.Second))
	if n := len(tracker.All()); n != 0 {
		t.Errorf("%d alerts are left", n)
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"", "<!channel>", "@everyone", "[a](b)", "a\r\nb", "\u202eabc", "\xff", "  x  "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := alert.Plain(s, 50)
		if strings.ContainsAny(out, "<>[]\n\r\t\x00") || len([]rune(out)) > 120 || strings.Contains(out, "@e") {
			t.Errorf("%q gives %q", s, out)
		}
	})
}

func overAt(t *testing.T, text string, at, confirmed time.Time) *outcryv1.Incident {
	i := revision(t, text)
	i.ResolvedAtUs = at.UnixMicro()
	if !confirmed.IsZero() {
		i.ConfirmedAtUs = confirmed.UnixMicro()
	}
	return i
}

func TestMissed(t *testing.T) {
	hour := noon.Add(-time.Hour)
	for name, c := range map[string]struct {
		i    *outcryv1.Incident
		want string
	}{
		"over":            {overAt(t, "3 resolved major", hour, hour), "ended confirmed major"},
		"never confirmed": {overAt(t, "3 resolved minor", hour, time.Time{}), "ended suspected minor"},
		"a consequence":   {overAt(t, "3 resolved minor root=aws-1", hour, hour), ""},
		"no news":         {overAt(t, "3 resolved major", noon.Add(-25*time.Hour), hour), ""},
		"dismissed":       {overAt(t, "3 dismissed major", hour, hour), ""},
		"open":            {revision(t, "3 confirmed major"), ""},
	} {
		tracker := alert.NewTracker(writer())
		missed := tracker.Missed(c.i, noon)
		all := tracker.All()
		if got := told(all); got != c.want || missed != (c.want != "") {
			t.Errorf("%s: %v, told %q, want %q", name, missed, got, c.want)
		}
		if len(all) == 0 {
			continue
		}
		if a := all[0]; !a.Doubt || !a.EndsAt.Equal(noon) || a.Annotations[alert.Missed] != "" {
			t.Errorf("%s: %+v", name, a)
		}
		if tracker.Revision(c.i.GetId()) != 3 || len(tracker.Apply(c.i, noon)) != 0 || len(tracker.Firing()) != 0 {
			t.Errorf("%s: it is told again", name)
		}
	}
}

// What ended while nobody was there may not have been told. That is in doubt until it is known, however often the process dies, and is news for a day.
func TestDoubt(t *testing.T) {
	hour := noon.Add(-time.Hour)
	for name, c := range map[string]struct {
		begun   string
		end     *outcryv1.Incident
		doubted bool
	}{
		"over":          {"2 confirmed major", overAt(t, "3 resolved major", hour, hour), true},
		"no news":       {"2 confirmed major", overAt(t, "3 resolved major", noon.Add(-25*time.Hour), hour), false},
		"dismissed":     {"2 confirmed major", overAt(t, "3 dismissed major", hour, hour), false},
		"a consequence": {"2 confirmed minor root=aws-1", overAt(t, "3 resolved minor root=aws-1", hour, hour), false},
		"open":          {"2 confirmed major", revision(t, "3 confirmed major"), false},
	} {
		tracker := alert.NewTracker(writer())
		tracker.Apply(revision(t, c.begun), noon.Add(-2*time.Hour))
		tracker.Apply(c.end, noon)
		if got := tracker.Doubt(c.end.GetId(), noon); got != c.doubted || tracker.All()[0].Doubt != c.doubted {
			t.Errorf("%s: doubted is %v", name, got)
		}
		if !c.doubted {
			continue
		}
		for restart := range 2 {
			record, err := tracker.Record(c.end.GetId())
			if err != nil {
				t.Fatal(err)
			}
			tracker = alert.NewTracker(writer())
			if err := tracker.Restore(record); err != nil {
				t.Fatal(err)
			}
			a := tracker.All()[0]
			late, ok := alert.Late(a, noon.Add(10*time.Hour)) // long after the last one would have been over
			if !a.Doubt || !ok || !maps.Equal(late.Labels, a.Labels) || late.EndsAt.Sub(late.StartsAt) != 10*time.Minute || !late.StartsAt.Equal(noon.Add(10*time.Hour)) ||
				late.Annotations[alert.Missed] != "over since 11:00 UTC on 2 January 2026" || a.Annotations[alert.Missed] != "" {
				t.Errorf("%s, restart %d: %v, %+v instead of %+v", name, restart, ok, late, a)
			}
			if _, ok := alert.Late(a, noon.Add(24*time.Hour)); ok {
				t.Errorf("%s: it is news for longer than a day", name)
			}
		}
		tracker.Apply(revision(t, "4 confirmed major"), noon)
		if a := tracker.All()[0]; a.Doubt || !a.EndsAt.IsZero() {
			t.Errorf("%s: it fires again, and is %+v", name, a)
		}
	}
}
