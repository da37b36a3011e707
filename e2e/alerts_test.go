package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A test goes the whole way: by command to Kafka, through an alerter elsewhere to a page and to the webhook, and into the delivery log. A webhook
// that has gone is left alone until somebody enables it.
func TestAlertsTestGoesTheWholeWay(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var pages, changes []string
	gone := false
	receivers := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var body struct {
			Service string
			Test    bool
			Alerts  []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return // the sender was cut off
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path == "/page" && len(body.Alerts) == 1:
			pages = append(pages, body.Alerts[0].Status+" "+body.Alerts[0].Labels["service"]+" test="+body.Alerts[0].Labels["test"])
		case r.URL.Path == "/change" && gone:
			rw.WriteHeader(http.StatusGone)
		case r.URL.Path == "/change":
			changes = append(changes, body.Service)
		}
	}))
	defer receivers.Close()
	w.set("OUTCRY_ALERTER_PAGE_WEBHOOK_URL", receivers.URL+"/page")
	w.set("OUTCRY_ALERTER_PAGE_GROUP_WAIT", "500ms")
	w.set("OUTCRY_ALERTER_WEBHOOK_URL", receivers.URL+"/change")
	w.set("OUTCRY_ALERTER_WEBHOOK_ALLOW_PRIVATE", "true")
	w.engines()
	alerter := w.start(nil, "alerter")
	defer func() {
		if t.Failed() {
			t.Log(tail(alerter.stderr.String()))
		}
	}()

	w.until("a test is delivered", 3*time.Minute, func() bool {
		_, stderr, err := w.try(nil, "alerts", "test", "skype", "--for", "5s")
		if err != nil && !strings.Contains(stderr, "was delivered to nobody") {
			t.Fatalf("%v: %s", err, stderr)
		}
		return err == nil // the alerter may just be starting
	})
	w.until("the page and the change are there", time.Minute, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Contains(pages, "firing skype test=true") && slices.Contains(changes, "skype")
	})
	w.until("both are in the log", time.Minute, func() bool {
		channels := map[string]bool{}
		for _, d := range jsonLines[struct {
			Channel, Result string
			Test            bool
		}](t, w.run("alerts", "log", "skype")) {
			channels[d.Channel] = channels[d.Channel] || d.Result == "ok" && d.Test
		}
		return channels["page"] && channels["webhook"]
	})
	if _, stderr, err := w.try(nil, "alerts", "replay", "no-such-incident"); err == nil || !strings.Contains(stderr, "no incident has this id") {
		t.Errorf("an incident that is not known is sent again: %v, %s", err, stderr)
	}

	mu.Lock()
	gone = true
	mu.Unlock()
	if _, stderr, err := w.try(nil, "alerts", "test", "viber", "--for", "5s"); err != nil && !strings.Contains(stderr, "was delivered to nobody") {
		t.Fatalf("%v: %s", err, stderr) // the page may be late; it is the webhook that matters here
	}
	w.until("the webhook is disabled, and enabled", time.Minute, func() bool {
		_, stderr, err := w.try(nil, "alerts", "enable")
		return err == nil && strings.Contains(stderr, "the webhook is enabled")
	})
}
