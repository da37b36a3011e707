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

func TestMissed(t *testing.T) {
	over := func(text string, at, confirmed time.Time) *outcryv1.Incident {
		i := revision(t, text)
		i.ResolvedAtUs = at.UnixMicro()
		if !confirmed.IsZero() {
			i.ConfirmedAtUs = confirmed.UnixMicro()
		}
		return i
	}
	for name, c := range map[string]struct {
		i    *outcryv1.Incident
		want string
	}{
		"over":            {over("3 resolved major", noon.Add(-time.Hour), noon.Add(-2*time.Hour)), "ended confirmed major"},
		"never confirmed": {over("3 resolved minor", noon.Add(-time.Hour), time.Time{}), "ended suspected minor"},
		"a consequence":   {over("3 resolved minor root=aws-1", noon.Add(-time.Hour), noon.Add(-2*time.Hour)), "ended confirmed minor of aws-1"},
		"no news":         {over("3 resolved major", noon.Add(-25*time.Hour), noon.Add(-26*time.Hour)), ""},
		"dismissed":       {over("3 dismissed major", noon.Add(-time.Hour), noon.Add(-2*time.Hour)), ""},
		"open":            {revision(t, "3 confirmed major"), ""},
	} {
		tracker := alert.NewTracker(writer())
		out := tracker.Missed(c.i, noon)
		if got := told(out); got != c.want {
			t.Errorf("%s: told %q, want %q", name, got, c.want)
		}
		if len(out) == 0 {
			continue
		}
		if a := out[0]; !a.StartsAt.Equal(noon) || !a.EndsAt.After(noon.Add(time.Minute)) || a.Annotations[alert.Missed] != "over since 11:00 UTC on 2 January 2026" {
			t.Errorf("%s: %+v", name, a)
		}
		if tracker.Revision(c.i.GetId()) != 3 || len(tracker.Apply(c.i, noon)) != 0 || len(tracker.Firing()) != 0 {
			t.Errorf("%s: it is told again", name)
		}
	}
}

// What ended while nobody was there may not have been told; what is told instead does not outlive a restart, which asks anew.
func TestDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		begun, end string
		over       time.Time
		doubted    bool
	}{
		"over":          {"2 confirmed major", "3 resolved major", noon.Add(-time.Hour), true},
		"no news":       {"2 confirmed major", "3 resolved major", noon.Add(-25 * time.Hour), false},
		"dismissed":     {"2 confirmed major", "3 dismissed major", noon.Add(-time.Hour), false},
		"a consequence": {"2 confirmed minor root=aws-1", "3 resolved minor root=aws-1", noon.Add(-time.Hour), false},
		"open":          {"2 confirmed major", "3 confirmed major", noon.Add(-time.Hour), false},
	} {
		tracker := alert.NewTracker(writer())
		tracker.Apply(revision(t, c.begun), noon.Add(-2*time.Hour))
		end := revision(t, c.end)
		end.ResolvedAtUs = c.over.UnixMicro()
		tracker.Apply(end, noon)
		tracker.Doubt(end, noon)
		a := tracker.All()[0]
		if doubted := a.Untold != nil; doubted != c.doubted {
			t.Errorf("%s: doubted is %v", name, doubted)
		}
		if !c.doubted {
			continue
		}
		if u := a.Untold; !maps.Equal(u.Labels, a.Labels) || !u.EndsAt.After(noon) || u.Annotations[alert.Missed] == "" || a.Annotations[alert.Missed] != "" {
			t.Errorf("%s: %+v instead of %+v", name, u, a)
		}
		record, err := tracker.Record(end.GetId())
		if err != nil {
			t.Fatal(err)
		}
		if again := alert.NewTracker(writer()); again.Restore(record) != nil || again.All()[0].Untold != nil {
			t.Errorf("%s: it is doubted after a restart too", name)
		}
	}
}
