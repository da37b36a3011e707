package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// xServer is X: it says three posts on the first stream, and afterwards nothing but that it is alive.
type xServer struct {
	*httptest.Server
	mu      sync.Mutex
	streams int
	answers bool // compliance jobs
	handed  []string
}

func newXServer(t *testing.T) *xServer {
	s := &xServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *xServer) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/2/tweets/search/stream" {
		s.stream(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch path := r.Method + " " + r.URL.Path; {
	case strings.HasSuffix(path, "/rules"):
		fmt.Fprint(w, `{"meta":{"summary":{}}}`)
	case strings.HasPrefix(path, "POST /2/compliance/jobs") && !s.answers:
		w.WriteHeader(http.StatusServiceUnavailable)
	case strings.HasPrefix(path, "POST /2/compliance/jobs"):
		fmt.Fprintf(w, `{"data":{"id":"j1","status":"created","upload_url":"%s/files/up","download_url":"%[1]s/files/down"}}`, s.URL)
	case strings.HasPrefix(path, "GET /2/compliance/jobs"):
		fmt.Fprintf(w, `{"data":{"id":"j1","status":"complete","download_url":"%s/files/down"}}`, s.URL)
	case path == "PUT /files/up":
		body, _ := io.ReadAll(r.Body)
		s.handed = append(s.handed, string(body))
	case path == "GET /files/down":
		fmt.Fprintln(w, `{"id":"1002","action":"delete","reason":"deleted"}`)
	default:
		http.NotFound(w, r)
	}
}

func (s *xServer) stream(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.streams++
	first := s.streams == 1
	s.mu.Unlock()
	for author := 1; first && author <= 3; author++ {
		fmt.Fprintf(w, `{"data":{"id":"100%d","text":"skype is down, I cannot sign in","author_id":"%[1]d","created_at":%q},"includes":{"users":[{"id":"%[1]d","username":"person%[1]d"}]}}`+"\r\n",
			author, time.Now().UTC().Format(time.RFC3339))
	}
	for {
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Second):
			fmt.Fprint(w, "\r\n")
		}
	}
}

// X does not tell of deletes, and is asked. The process that heard a post is killed; the one that goes on, which never heard it, asks for it all the same, and
// what is left of the post goes.
func TestDeletesOnXAreFollowedByWhoeverGoesOn(t *testing.T) {
	x := newXServer(t)
	w := newWorld(t)
	w.set("OUTCRY_INGEST_JETSTREAM_ENABLED", "false")
	w.set("OUTCRY_INGEST_X_ENABLED", "true")
	w.set("OUTCRY_INGEST_X_URL", x.URL)
	w.set("OUTCRY_INGEST_X_TOKEN", "a token for this test alone")
	w.set("OUTCRY_INGEST_X_SPEND_LIMIT", "10")
	w.set("OUTCRY_INGEST_X_SERVICES", "skype")
	w.set("OUTCRY_INGEST_X_COUNTS_EVERY", "0s")
	w.set("OUTCRY_INGEST_X_COMPLIANCE_EVERY", "5m")
	w.engines()
	for _, stage := range []string{"classifier", "aggregator"} {
		w.start(nil, stage)
	}
	first := w.start(nil, "ingest")
	held := func() string {
		return w.clickhouse("SELECT arrayStringConcat(arraySort(groupArray(post_id)), ' ') FROM mentions FINAL WHERE source = 'x' AND url != ''")
	}
	w.until("what X said is in the table", 3*time.Minute, func() bool { return held() == "1001 1002 1003" })
	second := w.start(nil, "ingest")
	defer func() {
		if t.Failed() {
			t.Log(tail(second.stderr.String()))
		}
	}()
	first.kill()
	x.mu.Lock()
	x.answers = true
	x.mu.Unlock()
	// Where nothing was held X is asked a minute later; where it was asked already, and did not answer, five minutes later.
	w.until("the deleted post is gone", 8*time.Minute, func() bool { return held() == "1001 1003" })
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.streams < 2 || len(x.handed) != 1 || x.handed[0] != "1001\n1002\n1003\n" {
		t.Errorf("%d streams; handed in %q", x.streams, x.handed)
	}
	if n := w.clickhouse("SELECT sum(posts) FROM service_minute_counts WHERE service = 'skype'"); n != "3" {
		t.Errorf("%s posts count", n)
	}
}
