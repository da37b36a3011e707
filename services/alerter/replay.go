package alerter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter/alert"
	"outcry.dev/services/alerter/engine"
)

// Replay sends the state of an incident to the webhook by hand, once, under the id of its revision: a receiver that has it knows it again.
func Replay(ctx context.Context, cfg Config, deps Deps, i *outcryv1.Incident) (err error) {
	if cfg.Webhook.URL == "" {
		return errors.New("alerter.webhook.url is empty: there is no webhook to send to")
	}
	m := newMetrics(deps.Metrics)
	d := newDeliveries(deps.Store, m, deps.Log)
	logged := d.start(ctx)
	defer logged()
	w, err := newWebhook(cfg.Webhook, deps.DataDir, m, d, deps.Log)
	if err != nil {
		return err
	}
	defer w.close()
	if w.gone.set() {
		return errGone
	}
	body, err := encode(i)
	if err != nil {
		return err
	}
	return w.attempt(ctx, change{id: requestID(i), body: body, incident: i}, 1)
}

func requestID(i *outcryv1.Incident) string { return fmt.Sprintf("%s.%d", i.GetId(), i.GetRevision()) }

// Trial returns an invented incident of a service, marked as a test.
func Trial(service string, now time.Time) *outcryv1.Incident {
	at := now.UnixMicro()
	return &outcryv1.Incident{Id: fmt.Sprintf("%s-%s", service, now.UTC().Format("20060102T1504")) + "-test", Service: service, Test: true,
		State: outcryv1.Incident_STATE_CONFIRMED, Severity: outcryv1.Incident_SEVERITY_MAJOR, StartedAtUs: now.Add(-5 * time.Minute).UnixMicro(),
		DetectedAtUs: now.Add(-3 * time.Minute).UnixMicro(), ConfirmedAtUs: at, DecidedAtUs: at, Revision: 1, People: 57, PeakPerMinute: 19, ExpectedPerMinute: 0.4, Confidence: 0.95,
		Symptoms:    []*outcryv1.SymptomCount{{Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, People: 41}},
		Sources:     []*outcryv1.NameCount{{Name: "test", People: 57}},
		Explanation: "This is a test of the way of an alert: nobody has reported anything.",
		Evidence:    []*outcryv1.Evidence{{Source: "test", Text: "this is a test", TimeUs: at, Label: outcryv1.Label_LABEL_OUTAGE}}}
}

// Over returns the next revision of a test, in which it has ended.
func Over(i *outcryv1.Incident, now time.Time) *outcryv1.Incident {
	next := proto.CloneOf(i)
	next.State, next.Revision = outcryv1.Incident_STATE_RESOLVED, i.GetRevision()+1
	next.ResolvedAtUs, next.DecidedAtUs = now.UnixMicro(), now.UnixMicro()
	return next
}

// Publish writes a test to incidents.v1, from where it goes the way of every incident.
func Publish(ctx context.Context, b *bus.Bus, i *outcryv1.Incident) error {
	if !i.GetTest() {
		return fmt.Errorf("incident %s is no test: the aggregator alone publishes others", i.GetId())
	}
	value, err := proto.Marshal(i)
	if err != nil {
		return err
	}
	p, err := b.Producer(ctx, topics.Incidents)
	if err != nil {
		return err
	}
	return p.Write(ctx, bus.Message{Partition: bus.AnyPartition, Key: []byte(i.GetId()), Value: value})
}

// Preview says whom an incident would reach through Alertmanager's engine, and with which words, beside others that are open.
func Preview(ctx context.Context, cfg Config, c *catalog.Catalog, dataDir string, i *outcryv1.Incident, beside ...*outcryv1.Incident) (alert.Alert, []engine.Reached, error) {
	w := newWriter(cfg, c, nil)
	if cfg.Links.URL != "" { // what it shows must not work
		w.Links = func(*outcryv1.Incident) map[string]string {
			return map[string]string{"acknowledge": cfg.Links.URL + "/…"}
		}
	}
	t := alert.NewTracker(w)
	now := time.Now()
	told := t.Apply(i, now)
	if len(told) == 0 { // it is over: show its last page
		before := proto.CloneOf(i)
		before.State, before.Revision = outcryv1.Incident_STATE_CONFIRMED, i.GetRevision()-1
		t.Apply(before, now)
		told = t.Apply(i, now)
	}
	a := told[len(told)-1]
	var others []alert.Alert
	for _, o := range beside {
		if o.GetId() != i.GetId() {
			others = append(others, t.Apply(o, now)...)
		}
	}
	reached, err := engine.Preview(ctx, cfg.Engine(dataDir), a, others...)
	return a, reached, err
}

// Alertmanager returns the alertmanager.yml in force, checked.
func Alertmanager(cfg Config) (string, error) {
	c := cfg.Engine("")
	if err := engine.Check(c); err != nil {
		return "", err
	}
	if c.File == "" {
		return c.Default.YAML()
	}
	b, err := os.ReadFile(c.File)
	return string(b), err
}
