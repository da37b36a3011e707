package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"outcry.dev/pkg/topics"
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
	w.until("the page and the change are there", 3*time.Minute, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Contains(pages, "firing skype test=true") && slices.Contains(changes, "skype")
	})
	w.until("both are in the log", 3*time.Minute, func() bool {
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
	w.until("the webhook is disabled, and enabled", 3*time.Minute, func() bool {
		_, stderr, err := w.try(nil, "alerts", "enable")
		return err == nil && strings.Contains(stderr, "the webhook is enabled")
	})
}

// A receiver refuses every change of an outage. The delivery log says which; sent again by hand, the incident is the one that was refused, under the
// same id, signed, and in the log as delivered.
func TestAnIncidentIsSentAgainByHand(t *testing.T) {
	w := newWorld(t)
	const secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	takes := false
	refused, taken := map[string]string{}, map[string]string{} // bodies by webhook-id
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was cut off
		}
		id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
			t.Errorf("%s is signed %q, want %q", id, r.Header.Get("webhook-signature"), want)
		}
		if sec, err := strconv.ParseInt(at, 10, 64); err != nil || time.Since(time.Unix(sec, 0)).Abs() > time.Minute {
			t.Errorf("%s is of %q", id, at)
		}
		mu.Lock()
		defer mu.Unlock()
		if !takes {
			refused[id] = string(body)
			rw.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		taken[id] = string(body)
	}))
	defer receiver.Close()
	w.set("OUTCRY_ALERTER_WEBHOOK_URL", receiver.URL+"/hook")
	w.set("OUTCRY_ALERTER_WEBHOOK_SECRET", "whsec_"+secret)
	w.set("OUTCRY_ALERTER_WEBHOOK_ALLOW_PRIVATE", "true")
	w.engines()
	b := w.bus()
	w.start(nil, "classifier")
	w.start(nil, "aggregator")
	alerter := w.start(nil, "alerter")
	var posts []byte
	for _, p := range outageDay(rand.New(rand.NewPCG(1, 1))) {
		posts = append(posts, marshalLine(t, p)...)
	}
	if _, stderr, err := w.try(posts, "ingest", "-"); err != nil {
		t.Fatalf("%v: %s", err, tail(stderr))
	}
	w.until("all is worked through", 5*time.Minute, func() bool {
		left := w.left(b, "classifier", topics.Posts) + w.left(b, "aggregator", topics.Mentions) + w.left(b, "alerter", topics.Incidents)
		incidents := 0
		if left == 0 {
			incidents = len(incidentsOf(t, w.run("incidents", "list")))
		}
		return incidents > 0
	})
	alerter.interrupt() // what is in its log now is all

	type row struct {
		Incident, Channel, Delivery, Result, Error string
		Revision, Attempt                          int
	}
	log := func(args ...string) []row {
		return jsonLines[row](t, w.run(append([]string{"alerts", "log"}, args...)...))
	}
	failed := log("--failed", "--limit", "1000")
	if len(failed) == 0 {
		t.Fatalf("the log has no failure\n%s", tail(alerter.stderr.String()))
	}
	last := failed[0]
	for _, r := range failed {
		if r.Channel != "webhook" || r.Result != "refused" || !strings.Contains(r.Error, "status 422") || r.Delivery != fmt.Sprintf("%s.%d", r.Incident, r.Revision) {
			t.Errorf("the log has %+v", r)
		}
		if r.Incident == last.Incident && r.Revision > last.Revision {
			last = r
		}
	}
	if _, stderr, err := w.try(nil, "alerts", "replay", last.Incident); err == nil || !strings.Contains(stderr, "status 422") {
		t.Errorf("sent again while it is refused: %v, %s", err, stderr)
	}
	mu.Lock()
	takes = true
	mu.Unlock()
	// One that is not known does not keep the others from being sent.
	_, stderr, err := w.try(nil, "alerts", "replay", "skype-20000101T0000", last.Incident)
	if err == nil || !strings.Contains(stderr, last.Incident+" was taken") || !strings.Contains(stderr, "skype-20000101T0000: no incident has this id") {
		t.Errorf("sent again: %v, %s", err, stderr)
	}
	w.run("alerts", "replay", last.Incident)
	mu.Lock()
	defer mu.Unlock()
	if len(taken) != 1 || taken[last.Delivery] == "" || taken[last.Delivery] != refused[last.Delivery] {
		t.Errorf("taken\n%v\nwant %s\n%s", taken, last.Delivery, refused[last.Delivery])
	}
	delivered := 0
	for _, r := range log(last.Incident) {
		if r.Result == "ok" && r.Delivery == last.Delivery && r.Revision == last.Revision {
			delivered++
		}
	}
	if delivered != 2 {
		t.Errorf("%d deliveries are logged, want 2", delivered)
	}
}
