package alerter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

var quiet = slog.New(slog.DiscardHandler)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver answers requests in turn and remembers them.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
}

type request struct {
	header http.Header
	body   string
}

// receive answers the n-th request (from 0) with answer.
func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rec := &receiver{}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender has gone
		}
		rec.mu.Lock()
		n := len(rec.requests)
		rec.requests = append(rec.requests, request{r.Header.Clone(), string(body)})
		rec.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(rec.Close)
	return rec
}

func (r *receiver) got() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.requests...)
}

func hook(t *testing.T, cfg Webhook) *webhook {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.GiveUpAfter == 0 {
		cfg.GiveUpAfter = time.Minute
	}
	m := newMetrics(prometheus.NewRegistry())
	w, err := newWebhook(cfg, t.TempDir(), m, newDeliveries(nil, m, quiet), quiet)
	if err != nil {
		t.Fatal(err)
	}
	w.first = time.Millisecond
	t.Cleanup(w.close)
	return w
}

func changeOf(id string, body []byte) change {
	return change{id: id, body: body, incident: &outcryv1.Incident{Id: "a", Service: "skype", Revision: 1}}
}

func TestSendAgainUntilTaken(t *testing.T) {
	rec := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 0:
			w.WriteHeader(http.StatusInternalServerError)
		case 1:
			w.WriteHeader(http.StatusRequestTimeout)
		case 2:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		case 3:
			panic(http.ErrAbortHandler) // cuts the connection
		}
	})
	w := hook(t, Webhook{AllowPrivate: true, URL: rec.URL, Secret: secret})
	if err := w.send(t.Context(), changeOf("skype-1.3", []byte(`{"id":"skype-1"}`))); err != nil {
		t.Fatal(err)
	}
	got := rec.got()
	if len(got) != 5 {
		t.Fatalf("%d requests, want 5", len(got))
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if err := verifier.Verify([]byte(r.body), r.header); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
		if r.header.Get("webhook-id") != "skype-1.3" || r.header.Get("Content-Type") != "application/json" || r.body != `{"id":"skype-1"}` {
			t.Errorf("request %d: %v %s", i, r.header, r.body)
		}
	}
}

func TestWithoutSecretNothingIsSigned(t *testing.T) {
	rec := receive(t, func(int, http.ResponseWriter, *http.Request) {})
	if err := hook(t, Webhook{AllowPrivate: true, URL: rec.URL}).send(t.Context(), changeOf("a.1", nil)); err != nil {
		t.Fatal(err)
	}
	if h := rec.got()[0].header; h.Get("webhook-id") != "a.1" || h.Get("webhook-timestamp") == "" || h.Get("webhook-signature") != "" {
		t.Errorf("headers: %v", h)
	}
}

func TestSomeAnswersAreFinal(t *testing.T) {
	private := receive(t, func(int, http.ResponseWriter, *http.Request) {})
	for name, answer := range map[string]func(w http.ResponseWriter){
		"400": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) },
		"404": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"a redirect into the private network": func(w http.ResponseWriter) {
			w.Header().Set("Location", private.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"a redirect that turns POST into GET": func(w http.ResponseWriter) {
			w.Header().Set("Location", private.URL)
			w.WriteHeader(http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rec := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w) })
			err := hook(t, Webhook{AllowPrivate: true, URL: rec.URL}).send(t.Context(), changeOf("a.1", nil))
			if !errors.Is(err, errRefused) {
				t.Errorf("got %v, want a refusal", err)
			}
			if n := len(rec.got()); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
	if n := len(private.got()); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestGiantAnswerIsNotRead(t *testing.T) {
	const giant = 1 << 40
	written := make(chan int64, 1)
	rec := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n > 0 {
			return
		}
		w.WriteHeader(http.StatusBadGateway)
		var sum int64
		for chunk := make([]byte, 64<<10); sum < giant; {
			n, err := w.Write(chunk)
			sum += int64(n)
			if err != nil {
				break
			}
		}
		written <- sum
	})
	if err := hook(t, Webhook{AllowPrivate: true, URL: rec.URL}).send(t.Context(), changeOf("a.1", nil)); err != nil {
		t.Fatal(err)
	}
	if sum := <-written; sum >= giant {
		t.Errorf("read %d bytes of an answer", sum)
	}
	if n := len(rec.got()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestHangingReceiverIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	rec := receive(t, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 0 {
			<-release
		}
	})
	defer close(release)
	w := hook(t, Webhook{AllowPrivate: true, URL: rec.URL, Timeout: 50 * time.Millisecond})
	if err := w.send(t.Context(), changeOf("a.1", nil)); err != nil {
		t.Fatal(err)
	}
	if n := len(rec.got()); n < 2 {
		t.Errorf("%d requests, want another one after the one that hung", n)
	}
}

// roundTrip stands for the network where a test has a clock of its own.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestPauses runs on a clock of its own: hours pass at once.
func TestPauses(t *testing.T) {
	answer := func(status int, header ...string) *http.Response {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("busy"))}
		if len(header) > 0 {
			resp.Header.Set("Retry-After", header[0])
		}
		return resp
	}
	run := func(t *testing.T, f func(n int) (*http.Response, error)) (times []time.Duration, err error) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			w := hook(t, Webhook{AllowPrivate: true, URL: "https://example.org/hook", GiveUpAfter: time.Hour})
			w.first = time.Second
			w.client.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
				times = append(times, time.Since(start))
				return f(len(times) - 1)
			})
			err = w.send(t.Context(), changeOf("a.1", nil))
		})
		return times, err
	}
	t.Run("they grow, with jitter, up to minutes, until it is given up", func(t *testing.T) {
		times, err := run(t, func(int) (*http.Response, error) { return answer(503), nil })
		if err == nil || errors.Is(err, errRefused) || !strings.Contains(err.Error(), `status 503: "busy"`) {
			t.Errorf("got %v", err)
		}
		last := times[len(times)-1]
		if last < 45*time.Minute || last > time.Hour || len(times) < 12 || len(times) > 60 {
			t.Errorf("%d attempts, the last after %s", len(times), last)
		}
		if first := times[1]; first < 500*time.Millisecond || first > 1500*time.Millisecond {
			t.Errorf("first pause %s", first)
		}
	})
	t.Run("Retry-After in seconds", func(t *testing.T) {
		times, err := run(t, func(n int) (*http.Response, error) {
			return answer(map[bool]int{true: 429, false: 204}[n == 0], "120"), nil
		})
		if err != nil || len(times) != 2 || times[1] != 2*time.Minute {
			t.Errorf("attempts at %v, %v", times, err)
		}
	})
	t.Run("Retry-After as a date", func(t *testing.T) {
		times, err := run(t, func(n int) (*http.Response, error) {
			return answer(map[bool]int{true: 503, false: 204}[n == 0], time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat)), nil
		})
		if err != nil || len(times) != 2 || times[1] != 90*time.Second {
			t.Errorf("attempts at %v, %v", times, err)
		}
	})
	t.Run("a Retry-After of years is not waited for", func(t *testing.T) {
		times, err := run(t, func(n int) (*http.Response, error) {
			return answer(map[bool]int{true: 429, false: 204}[n == 0], "999999999"), nil
		})
		if err != nil || len(times) != 2 || times[1] != retryAfterMax {
			t.Errorf("attempts at %v, %v", times, err)
		}
	})
	t.Run("a broken Retry-After is none", func(t *testing.T) {
		times, err := run(t, func(n int) (*http.Response, error) {
			return answer(map[bool]int{true: 429, false: 204}[n == 0], "-5; soon"), nil
		})
		if err != nil || len(times) != 2 || times[1] > 2*time.Second {
			t.Errorf("attempts at %v, %v", times, err)
		}
	})
}

func TestEndOfContextEndsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		w := hook(t, Webhook{AllowPrivate: true, URL: "https://example.org/hook", GiveUpAfter: time.Hour, Timeout: time.Minute})
		w.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		if err := w.send(ctx, changeOf("a.1", nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took < 10*time.Minute || took > 10*time.Minute+finishTime {
			t.Errorf("ended after %s", took)
		}
	})
}

func TestErrorsDoNotHoldTheAddress(t *testing.T) {
	w := hook(t, Webhook{AllowPrivate: true, URL: "http://127.0.0.1:1/services/T0001/s3cr3t"})
	err := w.request(t.Context(), "a.1", time.Now(), nil)
	if err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v", err)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "0", "120", "-1", "1e9", "Wed, 22 Dec 2010 16:12:00 GMT", "99999999999999999999"} {
		f.Add(s)
	}
	now := time.Date(2010, 12, 22, 16, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header string) {
		if pause, ok := retryAfter(header, now); ok && (pause <= 0 || pause > retryAfterMax) {
			t.Errorf("%q gives %s", header, pause)
		}
	})
}

func TestConfig(t *testing.T) {
	good := DefaultConfig().Webhook
	good.URL = "https://example.org/hook"
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if err := DefaultConfig().Webhook.Validate(); err != nil {
		t.Error(err)
	}
	signed := good
	signed.Secret = secret
	if err := signed.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Webhook){
		"url":             func(w *Webhook) { w.URL = "example.org" },
		"url ":            func(w *Webhook) { w.URL = "https://user:s3cr3t@exa mple.org" },
		"secret":          func(w *Webhook) { w.Secret = "s3cr3t!" },
		"secret ":         func(w *Webhook) { w.Secret = "whsec_c2hvcnQ=" },
		"secret number 2": func(w *Webhook) { w.Secret = secret + " s3cr3t!" },
		"secret  ":        func(w *Webhook) { w.Secret, w.URL = secret, "" },
		"timeout":         func(w *Webhook) { w.Timeout = 0 },
		"give_up_after":   func(w *Webhook) { w.GiveUpAfter = 100 * time.Hour },
	} {
		bad := good
		change(&bad)
		err := bad.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), strings.TrimSpace(name)+" ") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
	all := Webhook{URL: "x", Secret: "!"}
	if err := all.Validate(); strings.Count(fmt.Sprint(err), "\n") != 3 {
		t.Errorf("not all faults at once: %v", err)
	}
}

func TestSeveralSecretsSignAtOnce(t *testing.T) {
	const next = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	rec := receive(t, func(int, http.ResponseWriter, *http.Request) {})
	if err := hook(t, Webhook{AllowPrivate: true, URL: rec.URL, Secret: secret + " " + next}).send(t.Context(), changeOf("a.1", []byte("{}"))); err != nil {
		t.Fatal(err)
	}
	got := rec.got()[0]
	for _, s := range []string{secret, next} {
		verifier, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify([]byte(got.body), got.header); err != nil {
			t.Errorf("a receiver that knows one of the secrets refuses: %v", err)
		}
	}
}

func TestAReceiverThatHasGoneIsLeftAlone(t *testing.T) {
	rec := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			w.WriteHeader(http.StatusGone)
		}
	})
	dir := t.TempDir()
	cfg := Webhook{AllowPrivate: true, URL: rec.URL, Timeout: time.Second, GiveUpAfter: time.Minute}
	open := func() *webhook {
		m := newMetrics(prometheus.NewRegistry())
		w, err := newWebhook(cfg, dir, m, newDeliveries(nil, m, quiet), quiet)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.close)
		return w
	}
	w := open()
	for range 2 {
		if err := w.send(t.Context(), changeOf("a.1", nil)); !errors.Is(err, errGone) {
			t.Errorf("got %v", err)
		}
	}
	if err := open().send(t.Context(), changeOf("a.1", nil)); !errors.Is(err, errGone) {
		t.Errorf("after a restart: %v", err)
	}
	if n := len(rec.got()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if was, err := Enable(cfg, dir); err != nil || !was {
		t.Errorf("enable: %v, %v", was, err)
	}
	if err := w.send(t.Context(), changeOf("a.2", nil)); err != nil {
		t.Errorf("enabled again, but: %v", err)
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	rec := receive(t, func(int, http.ResponseWriter, *http.Request) {})
	port := rec.URL[strings.LastIndex(rec.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"} {
		err := hook(t, Webhook{URL: "http://" + host + port}).send(t.Context(), changeOf("a.1", nil))
		if !errors.Is(err, errRefused) || !errors.Is(err, errPrivate) || !strings.HasPrefix(err.Error(), "nothing was sent: alerter.webhook.url leads to") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := len(rec.got()); n != 0 {
		t.Errorf("%d requests came through", n)
	}
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.1.1": false, "fe80::1": false, "fd00::1": false, "::": false, "224.0.0.1": false, "255.255.255.255": false, "64:ff9b::7f00:1": false,
		"::ffff:10.0.0.1": false, "2002:7f00:1::": false, "203.0.113.9": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v", address, got)
		}
	}
}
