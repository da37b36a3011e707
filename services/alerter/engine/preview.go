package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	amalert "github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v2"

	"outcry.dev/services/alerter/alert"
)

// Reached is a receiver that an alert would reach.
type Reached struct {
	Receiver  string
	GroupWait string
	// Inhibited says that another of the alerts keeps this one from being told.
	Inhibited bool
	Messages  []Message
}

// Message is what one integration of a receiver would send.
type Message struct {
	// Integration is its kind: "slack", "webhook", "email".
	Integration string
	// Fields are the texts of its configuration that hold templates, rendered.
	Fields [][2]string
}

// Preview says whom an alert would reach, and with which words, beside others that fire.
func Preview(ctx context.Context, c Config, a alert.Alert, beside ...alert.Alert) ([]Reached, error) {
	cfg, err := load(c)
	if err != nil {
		return nil, err
	}
	external := &url.URL{Scheme: "http", Host: "localhost"}
	if c.Listen != "" {
		external.Host = c.Listen
	}
	templates, err := loadTemplates(cfg, external)
	if err != nil {
		return nil, err
	}
	inhibited, err := mutes(ctx, cfg, a, beside)
	if err != nil {
		return nil, err
	}
	in := converted(a)
	var out []Reached
	for _, route := range dispatch.NewRoute(cfg.Route, nil).Match(in.Labels) {
		r := Reached{Receiver: route.RouteOpts.Receiver, GroupWait: route.RouteOpts.GroupWait.String(), Inhibited: inhibited}
		data := templates.Data(r.Receiver, groupLabels(in, route), model.LabelSet{}, notify.ReasonFirstNotification.String(), in)
		i := slices.IndexFunc(cfg.Receivers, func(rc amconfig.Receiver) bool { return rc.Name == r.Receiver })
		if i < 0 {
			return nil, fmt.Errorf("receiver %s is not in the configuration", r.Receiver)
		}
		if r.Messages, err = messagesOf(cfg.Receivers[i], templates, data); err != nil {
			return nil, fmt.Errorf("receiver %s: %w", r.Receiver, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func mutes(ctx context.Context, cfg *amconfig.Config, a alert.Alert, beside []alert.Alert) (bool, error) {
	recorder := eventrecorder.NopRecorder()
	log := nothing()
	alerts, err := mem.NewAlerts(ctx, gcEvery, 0, nil, log, recorder, prometheus.NewRegistry(), featurecontrol.NoopFlags{})
	if err != nil {
		return false, err
	}
	defer alerts.Close()
	for _, b := range append(slices.Clone(beside), a) {
		if err := alerts.Put(ctx, converted(b)); err != nil {
			return false, err
		}
	}
	i := inhibit.NewInhibitor(alerts, cfg.InhibitRules, log, recorder)
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.Run()
	}()
	i.WaitForLoading()
	defer func() {
		i.Stop()
		<-done
	}()
	return i.Mutes(ctx, converted(a).Labels), nil
}

func groupLabels(a *amalert.Alert, route *dispatch.Route) model.LabelSet {
	out := model.LabelSet{}
	for name, value := range a.Labels {
		if _, ok := route.RouteOpts.GroupBy[name]; ok || route.RouteOpts.GroupByAll {
			out[name] = value
		}
	}
	return out
}

// messagesOf renders every template in a receiver's configuration, whatever its kind. Secrets are masked when it is written as YAML.
func messagesOf(rc amconfig.Receiver, templates *template.Template, data *template.Data) ([]Message, error) {
	b, err := yaml.Marshal(rc)
	if err != nil {
		return nil, err
	}
	var tree yaml.MapSlice
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return nil, err
	}
	var out []Message
	for _, kind := range tree {
		name, isConfigs := strings.CutSuffix(fmt.Sprint(kind.Key), "_configs")
		list, isList := kind.Value.([]any)
		if !isConfigs || !isList {
			continue
		}
		for _, one := range list {
			m := Message{Integration: name}
			if name == "webhook" {
				body, err := json.MarshalIndent(data, "", "  ")
				if err != nil {
					return nil, err
				}
				m.Fields = append(m.Fields, [2]string{"body", string(unescaped(body))})
			}
			if err := render(&m, "", one, templates, data); err != nil {
				return nil, err
			}
			out = append(out, m)
		}
	}
	return out, nil
}

// unescaped writes <, > and & as themselves: people read it.
func unescaped(b []byte) []byte {
	for _, r := range [][2]string{{`\u003c`, "<"}, {`\u003e`, ">"}, {`\u0026`, "&"}} {
		b = bytes.ReplaceAll(b, []byte(r[0]), []byte(r[1]))
	}
	return b
}

func render(m *Message, path string, node any, templates *template.Template, data *template.Data) error {
	switch v := node.(type) {
	case yaml.MapSlice:
		for _, item := range v {
			if err := render(m, strings.TrimPrefix(path+"."+fmt.Sprint(item.Key), "."), item.Value, templates, data); err != nil {
				return err
			}
		}
	case []any:
		for i, item := range v {
			if err := render(m, fmt.Sprintf("%s[%d]", path, i), item, templates, data); err != nil {
				return err
			}
		}
	case string:
		if !strings.Contains(v, "{{") {
			return nil
		}
		execute := templates.ExecuteTextString
		if strings.HasSuffix(path, "html") {
			execute = templates.ExecuteHTMLString
		}
		text, err := execute(v, data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if text = strings.TrimSpace(text); text != "" {
			m.Fields = append(m.Fields, [2]string{path, text})
		}
	}
	return nil
}
