package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// People complain, by HTTP, and an incident opens; then the operator's status page admits it: the incident has the official word, and
// the lead over it.
func TestStatusPageGivesTheOfficialWord(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	incidents := "[]"
	page := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path != "/api/v2/summary.json" && r.URL.Path != "/api/v2/incidents.json" {
			http.NotFound(rw, r)
			return
		}
		fmt.Fprintf(rw, `{"page":{"name":"Skype"},"incidents":%s}`, incidents)
	}))
	defer page.Close()
	push, api := freeAddress(t), freeAddress(t)
	const token = "a token for this test alone"
	w.set("OUTCRY_INGEST_JETSTREAM_ENABLED", "false")
	w.set("OUTCRY_INGEST_PUSH_LISTEN", push)
	w.set("OUTCRY_INGEST_PUSH_TOKEN", token)
	w.set("OUTCRY_INGEST_STATUSPAGE_ENABLED", "true")
	w.set("OUTCRY_INGEST_STATUSPAGE_SERVICES", "skype")
	w.set("OUTCRY_INGEST_STATUSPAGE_PAGES", "skype="+page.URL)
	w.set("OUTCRY_INGEST_STATUSPAGE_INTERVAL", "10s")
	w.set("OUTCRY_API_LISTEN", api)
	up := w.start(nil, "up")
	defer func() {
		if t.Failed() {
			t.Log(tail(up.stderr.String()))
		}
	}()

	people := 0
	complain := func() bool {
		var b bytes.Buffer
		for range 40 {
			people++
			fmt.Fprintf(&b, "{\"id\":\"%d\",\"source\":\"forum\",\"author\":\"person %d\",\"text\":\"skype is down, I cannot sign in since %d minutes\",\"created_at\":%q}\n",
				people, people, people, time.Now().UTC().Format(time.RFC3339Nano))
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+push+"/v1/posts", &b)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusAccepted
	}
	get := func() string {
		resp, err := http.Get("http://" + api + "/v1/incidents")
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	w.until("posts are taken", 2*time.Minute, complain)
	w.until("an incident opens", 2*time.Minute, func() bool {
		complain()
		time.Sleep(2 * time.Second)
		return strings.Contains(get(), `"service":"skype"`)
	})
	mu.Lock()
	incidents = fmt.Sprintf(`[{"id":"i1","name":"Sign-in","status":"investigating","created_at":%q,"incident_updates":[{"id":"u1","status":"investigating","body":"We are looking into it.","created_at":%[1]q}]}]`,
		time.Now().UTC().Format(time.RFC3339))
	mu.Unlock()
	w.until("the incident has the official word", 2*time.Minute, func() bool {
		complain()
		time.Sleep(2 * time.Second)
		s := get()
		return strings.Contains(s, `"official_at":"`) && strings.Contains(s, `"lead_seconds":`)
	})
}

// freeAddress is one on loopback that nobody has.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// What operators had said of outages is read when they are over, of one within the hour, of the other many hours later: it is their official word, with the lead over it,
// nothing is opened again, and the same posts give the same again.
func TestOfficialWordAfterTheEnd(t *testing.T) {
	posts := outageDay(rand.New(rand.NewPCG(1, 2)))
	start := posts[0].CreatedAt
	at := func(d time.Duration) time.Time { return start.Add(d).Truncate(time.Second) }
	add := func(source, author string, created time.Time, text string) {
		posts = append(posts, line{Source: source, ID: fmt.Sprint("late ", len(posts)), Author: author, Text: text, CreatedAt: created})
	}
	quiet := func(from, until time.Duration) {
		for d := from; d < until; d += 10 * time.Second {
			add("twitter", fmt.Sprint("somebody ", len(posts)), at(d), "listening to spotify all day")
		}
	}
	quiet(5*time.Hour, 5*time.Hour+20*time.Minute)
	github := at(3*time.Hour + 50*time.Minute)
	add("twitter", "githubstatus", github, "We are investigating reports of degraded availability of GitHub.")
	quiet(5*time.Hour+20*time.Minute, 10*time.Hour)
	skype := at(3*time.Hour + 20*time.Minute)
	add("twitter", "SkypeSupport", skype, "Some of you may have problems signing in to Skype, we are investigating.")
	add("twitter", "SkypeSupport", at(time.Hour), "Some of you may have problems signing in to Skype, we are investigating.") // long before
	quiet(10*time.Hour, 10*time.Hour+5*time.Minute)
	w := newWorld(t)
	var file bytes.Buffer
	for _, p := range posts {
		file.Write(marshalLine(t, p))
	}
	path := filepath.Join(w.dir, "posts.jsonl")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	first := w.run("replay", path)
	type found struct {
		Service, State string
		Reopened       int
		OfficialAt     time.Time `json:"official_at"`
		DetectedAt     time.Time `json:"detected_at"`
		ResolvedAt     time.Time `json:"resolved_at"`
		Lead           float64   `json:"lead_seconds"`
	}
	said := map[string]time.Time{"github": github, "skype": skype}
	for _, i := range jsonLines[found](t, first) {
		want, ok := said[i.Service]
		if !ok || i.DetectedAt.After(want) || i.ResolvedAt.Before(want) {
			continue
		}
		delete(said, i.Service)
		if i.State != "resolved" || !i.OfficialAt.Equal(want) || i.Lead != want.Sub(i.DetectedAt).Seconds() || i.Reopened != 0 {
			t.Errorf("%+v, want the official word at %s", i, want)
		}
	}
	if len(said) > 0 {
		t.Errorf("no incident of %v in\n%s", said, first)
	}
	if again := newWorld(t).run("replay", path); again != first {
		t.Errorf("the same posts give, again,\n%s\nafter\n%s", again, first)
	}
}
