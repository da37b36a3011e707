package alerter_test

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter"
)

// withStore is an embedded ClickHouse with its tables.
func withStore(t *testing.T) *store.Store {
	t.Helper()
	cfg := clickhouse.DefaultConfig()
	cfg.DataDir = t.TempDir()
	server, err := clickhouse.Start(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	st, err := store.Open(store.Config{Address: server.Addr(), Username: server.User(), Password: server.Password(), Database: "alerts"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st
}

// TestClickHouseFillsWhatTheTopicLacks opens an incident that is in ClickHouse only, ends it there, and looks for both in the delivery log.
func TestClickHouseFillsWhatTheTopicLacks(t *testing.T) {
	t.Parallel()
	st := withStore(t)
	insert := func(i *outcryv1.Incident) {
		if err := st.InsertIncidents(t.Context(), []store.Incident{{Incident: i, Version: uint64(i.GetRevision())}}); err != nil {
			t.Fatal(err)
		}
	}
	insert(step(1, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_SEVERITY_MINOR))

	b := kafka(t)
	r := pageReceiver(t, nil)
	acfg := alerter.DefaultConfig()
	acfg.Stdout, acfg.ReconcileEvery = false, 200*time.Millisecond
	acfg.AlertmanagerConfig = alertmanagerYAML(t, r.URL, 100*time.Millisecond, 200*time.Millisecond)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	a := alerter.New(acfg, alerter.Deps{Bus: b, Store: st, DataDir: t.TempDir(), Out: io.Discard, Metrics: prometheus.NewRegistry(), Log: quiet})
	go func() { ended <- a.Run(ctx) }()
	eventually(t, "what is open in ClickHouse is paged", func() bool { return slices.Equal(r.got(), []string{"firing minor"}) })

	// The topic brings a revision that ClickHouse had already: nothing new. Then an incident of which ClickHouse does not know.
	other := step(1, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_SEVERITY_MAJOR)
	other.Id, other.Service = "msn-20101222T1600", "msn"
	write(t, b, message(t, step(1, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_SEVERITY_MINOR)), message(t, other))
	eventually(t, "the topic's is paged", func() bool { return slices.Contains(r.got(), "firing major") })
	insert(step(2, outcryv1.Incident_STATE_RESOLVED, outcryv1.Incident_SEVERITY_MINOR))
	eventually(t, "its end in ClickHouse is paged", func() bool { return slices.Contains(r.got(), "resolved minor") })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := r.got(); len(got) != 3 {
		t.Errorf("paged %q", got)
	}
	rows, err := st.Deliveries(t.Context(), store.DeliveryFilter{Subject: "skype", Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Firing || !rows[1].Firing || rows[1].Result != "ok" || rows[1].Channel != "page" || rows[1].Receiver != "page" ||
		rows[1].Integration != "webhook[0]" || rows[1].Incident != "skype-20101222T1600" {
		t.Errorf("delivery log: %+v", rows)
	}
	if failed, err := st.Deliveries(t.Context(), store.DeliveryFilter{Failed: true, Limit: 10}); err != nil || len(failed) > 0 {
		t.Errorf("failed: %+v, %v", failed, err)
	}
}

// TestTheLogHasWhatAClusterWasTold tells an incident and its end to two members, of which one does not answer.
func TestTheLogHasWhatAClusterWasTold(t *testing.T) {
	t.Parallel()
	st, b := withStore(t), kafka(t)
	r := pageReceiver(t, nil)
	address, _ := alertmanagerProcess(t, alertmanagerYAML(t, r.URL, 300*time.Millisecond, 300*time.Millisecond))
	eventually(t, "the member answers", func() bool { return memberAlerts(t, address) != nil })
	away := free(t)
	cfg := alerter.DefaultConfig()
	cfg.Stdout, cfg.ResendEvery, cfg.Alertmanagers = false, time.Second, []string{address, "http://" + away}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	a := alerter.New(cfg, alerter.Deps{Bus: b, Store: st, DataDir: t.TempDir(), Out: io.Discard, Metrics: prometheus.NewRegistry(), Log: quiet})
	go func() { ended <- a.Run(ctx) }()
	write(t, b, message(t, step(1, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_SEVERITY_MAJOR)))
	eventually(t, "it is paged", func() bool { return len(r.got()) == 1 })
	var before time.Time
	eventually(t, "its end is known", func() bool { before = endsAt(t, address); return !before.IsZero() })
	eventually(t, "it is told again", func() bool { return endsAt(t, address).After(before) })
	write(t, b, message(t, step(2, outcryv1.Incident_STATE_RESOLVED, outcryv1.Incident_SEVERITY_MAJOR)))
	eventually(t, "its end is paged", func() bool { return len(r.got()) == 2 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	rows, err := st.Deliveries(t.Context(), store.DeliveryFilter{Subject: "skype", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var told []bool
	failed := 0
	for i := range rows {
		switch d := &rows[len(rows)-1-i]; {
		case d.Channel != "page" || d.Integration != "alertmanager" || d.Incident != "skype-20101222T1600":
			t.Errorf("the log has %+v", *d)
		case d.Receiver == away && d.Result == "retry" && d.Error != "":
			failed++
		case "http://"+d.Receiver == address && d.Result == "ok":
			told = append(told, d.Firing)
		default:
			t.Errorf("the log has %+v", *d)
		}
	}
	if !slices.Equal(told, []bool{true, false}) || failed == 0 {
		t.Errorf("the log has %v of the one member, and %d failures of the other", told, failed)
	}
}
