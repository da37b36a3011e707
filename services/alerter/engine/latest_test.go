package engine

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/services/alerter/alert"
)

// TestAGroupIsToldWhatIsNewest gives a group an alert as it was before its end, as a worker of the dispatcher does that was overtaken by another.
func TestAGroupIsToldWhatIsNewest(t *testing.T) {
	alerts, err := mem.NewAlerts(t.Context(), time.Hour, 0, nil, slog.New(slog.DiscardHandler), eventrecorder.NopRecorder(), prometheus.NewRegistry(),
		featurecontrol.NoopFlags{})
	if err != nil {
		t.Fatal(err)
	}
	defer alerts.Close()
	e := &Engine{alerts: alerts}
	fires := alert.Alert{Labels: map[string]string{"alertname": alert.Outage, "incident": "skype-1"}, StartsAt: time.Now()}
	if err := e.Put(t.Context(), fires); err != nil {
		t.Fatal(err)
	}
	first, err := alerts.Get(converted(fires).Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	same, err := e.latest(t.Context(), []*amalert.Alert{first})
	if err != nil || len(same) != 1 || same[0] != first {
		t.Errorf("the latest is changed: %v, %v", same, err)
	}
	over := fires
	over.EndsAt = time.Now()
	if err := e.Put(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	told := alerts.Subscribe("group")
	defer told.Close()
	got, err := e.latest(t.Context(), []*amalert.Alert{first})
	if err != nil || len(got) != 1 || !got[0].Resolved() {
		t.Errorf("told of what was before: %v, %v", got, err)
	}
	select {
	case again := <-told.Next(): // what it holds from before comes first, or it comes again
		if !again.Data.Resolved() {
			t.Errorf("the group gets %v", again.Data)
		}
	case <-time.After(90 * time.Second):
		t.Error("the group keeps what was before")
	}
}

// TestOfOneAlertTheLastIsPut puts an alert and its end at once, as an alerter does that catches up.
func TestOfOneAlertTheLastIsPut(t *testing.T) {
	alerts, err := mem.NewAlerts(t.Context(), time.Hour, 0, nil, slog.New(slog.DiscardHandler), eventrecorder.NopRecorder(), prometheus.NewRegistry(),
		featurecontrol.NoopFlags{})
	if err != nil {
		t.Fatal(err)
	}
	defer alerts.Close()
	told := alerts.Subscribe("group")
	defer told.Close()
	e := &Engine{alerts: alerts}
	fires := alert.Alert{Labels: map[string]string{"alertname": alert.Outage, "incident": "skype-1"}, StartsAt: time.Now()}
	over, other := fires, alert.Alert{Labels: map[string]string{"alertname": alert.Outage, "incident": "msn-1"}, StartsAt: time.Now()}
	over.EndsAt = time.Now()
	if err := e.Put(t.Context(), fires, over, other); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"skype-1 resolved", "msn-1 firing"} {
		a := <-told.Next()
		if got := string(a.Data.Labels["incident"]) + " " + string(a.Data.Status()); got != want {
			t.Errorf("the group gets %s, want %s", got, want)
		}
	}
}

// TestAnEscalationIsToldAsOne gives a group one of the two alerts of an escalation, or the new one beside the old one as it was before, as workers of
// the dispatcher do that overtake each other. The group is told both, but not what belongs to other groups.
func TestAnEscalationIsToldAsOne(t *testing.T) {
	alerts, err := mem.NewAlerts(t.Context(), time.Hour, 0, nil, slog.New(slog.DiscardHandler), eventrecorder.NopRecorder(), prometheus.NewRegistry(),
		featurecontrol.NoopFlags{})
	if err != nil {
		t.Fatal(err)
	}
	defer alerts.Close()
	for name, c := range map[string]struct {
		severities []string // of those that the group holds
		by, want   string
	}{
		"the old one":           {[]string{"minor"}, "service", "major firing, minor ended"},
		"the new one":           {[]string{"major"}, "service", "major firing"}, // the old one's end is told with the next thing, or by its own group
		"both, the old as was":  {[]string{"minor as was", "major"}, "service", "major firing, minor ended"},
		"both":                  {[]string{"minor", "major"}, "service", "major firing, minor ended"},
		"it goes to another":    {[]string{"minor"}, "severity", "minor ended"},
		"nothing is in between": {[]string{"major", "other"}, "service", "major firing, other firing"},
	} {
		cfg, err := amconfig.Load("route: {receiver: page, group_by: [" + c.by + "]}\nreceivers: [{name: page}]")
		if err != nil {
			t.Fatal(err)
		}
		e := &Engine{alerts: alerts, root: dispatch.NewRoute(cfg.Route, nil)}
		of := func(severity string) alert.Alert {
			return alert.Alert{Labels: map[string]string{"alertname": alert.Outage, "service": "skype", "incident": name, "severity": severity}, StartsAt: time.Now()}
		}
		minor, major, other := of("minor"), of("major"), of("other")
		other.Labels["incident"] = name + ", another"
		if err := e.Put(t.Context(), minor, other); err != nil {
			t.Fatal(err)
		}
		held := map[string]*amalert.Alert{"minor as was": get(t, alerts, minor), "other": get(t, alerts, other)}
		over := minor
		over.EndsAt, over.Annotations = time.Now(), map[string]string{alert.Superseded: "continues as confirmed, major"}
		if err := e.Put(t.Context(), over, major); err != nil {
			t.Fatal(err)
		}
		held["minor"], held["major"] = get(t, alerts, over), get(t, alerts, major)
		var group []*amalert.Alert
		for _, s := range c.severities {
			group = append(group, asDispatched(held[s]))
		}
		told, err := e.latest(notify.WithGroupKey(t.Context(), groupKey(e.root, group[0])), group)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range told {
			state := " firing"
			if a.Resolved() {
				state = " ended"
			}
			got = append(got, string(a.Labels["severity"])+state)
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: told %q, want %q", name, text, c.want)
		}
	}
}

func get(t *testing.T, alerts *mem.Alerts, a alert.Alert) *amalert.Alert {
	t.Helper()
	got, err := alerts.Get(converted(a).Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	return got
}
