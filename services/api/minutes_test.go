package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/api"
)

// TestMinutesFollowWhatIsWritten has posts come late into days that are kept in memory: JSON and SQL say the same then.
func TestMinutesFollowWhatIsWritten(t *testing.T) {
	s, err := open(t.Context(), "minutes")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// So little room that days make way for each other, and enough.
	for _, room := range []int{0, 16} {
		addr, stop, err := serveWith(t.Context(), s, api.Config{Listen: "127.0.0.1:0", PublicRead: true, MinutesMB: room})
		if err != nil {
			t.Fatal(err)
		}
		from, to := clock(22, 0), clock(26, 0) // over midnight
		id := uint64(room * 1000)
		say := func(at time.Time) {
			t.Helper()
			id++
			if err := s.InsertMentions(t.Context(), []store.Mention{{Mention: &outcryv1.Mention{Id: id, Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, Score: 1, Source: "twitter", PostId: fmt.Sprint(id),
				Author: id, TimeUs: at.UnixMicro(), Text: "skype down"}, CountedAtUS: at.UnixMicro()}}); err != nil {
				t.Fatal(err)
			}
		}
		numbers := func(points []store.Point) (out []int) {
			for _, p := range points {
				out = append(out, p.People, p.Mentions, p.Ingested)
			}
			return out
		}
		answered := func() (string, error) {
			resp, err := http.Get(fmt.Sprintf("http://%s/v1/services/skype/series?step=1m&from=%s&to=%s", addr, from.Format(time.RFC3339), to.Format(time.RFC3339)))
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			var series struct {
				Points []struct{ People, Mentions, Ingested int }
			}
			if err := json.NewDecoder(resp.Body).Decode(&series); err != nil || resp.StatusCode != http.StatusOK {
				return "", fmt.Errorf("%s: %w", resp.Status, err)
			}
			var points []store.Point
			for _, p := range series.Points {
				points = append(points, store.Point{People: p.People, Mentions: p.Mentions, Ingested: p.Ingested})
			}
			return fmt.Sprint(numbers(points)), nil
		}
		known := func() string {
			t.Helper()
			view, err := s.Series(t.Context(), "skype", from, to, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(numbers(view))
		}
		for _, at := range []time.Time{clock(22, 30), clock(25, 30), clock(22, 30)} {
			say(at)
			for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				got, err := answered()
				if err != nil {
					t.Fatal(err)
				}
				want := known()
				if got == want {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("with %d MB, after a post of %v: JSON says %s, the view %s", room, at, got, want)
				}
			}
		}
		want := known()
		var crowd sync.WaitGroup
		for range 20 {
			crowd.Go(func() {
				if got, err := answered(); got != want {
					t.Errorf("in a crowd: JSON says %s, the view %s; %v", got, want, err)
				}
			})
		}
		crowd.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestACrowdDoesNoHarm has very many ask at once: whoever is not answered is told when to come again, and the server lives.
func TestACrowdDoesNoHarm(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for n := range 400 {
		wg.Go(func() {
			resp, err := client.Get(fmt.Sprintf("%s/v1/services/skype/breakdown?step=1m&from=2010-12-%02dT00:00:00Z&to=2010-12-23T00:00:00Z", base, 20+n%3))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			statuses[resp.StatusCode]++
			if resp.StatusCode == http.StatusServiceUnavailable && (resp.Header.Get("Retry-After") == "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json")) {
				t.Errorf("turned away without being told when to come again: %v", resp.Header)
			}
		})
	}
	wg.Wait()
	if statuses[http.StatusOK] == 0 || statuses[http.StatusOK]+statuses[http.StatusServiceUnavailable] != 400 {
		t.Errorf("answers: %v", statuses)
	}
	if a := get(t, "/readyz"); a.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", a.body)
	}
}
