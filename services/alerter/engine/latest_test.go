package engine

import (
	"log/slog"
	"testing"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
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
