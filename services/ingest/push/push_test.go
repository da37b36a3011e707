package push

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"outcry.dev/services/ingest/floodtest"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a token of many bytes"

// running is a source that serves.
type running struct {
	t     *testing.T
	addr  string
	mu    sync.Mutex
	got   []string
	fault error
	hold  chan struct{} // emit waits for it
	// entered says that emit does.
	entered chan struct{}
	// settled is asked whether Kafka has acknowledged.
	settled func(context.Context) error
	ended   chan error
	done    chan struct{}
}

func start(t *testing.T, change func(*Config)) *running {
	t.Helper()
	c := DefaultConfig()
	c.Listen, c.Token = "127.0.0.1:0", token
	if change != nil {
		change(&c)
	}
	list, err := c.Sources(source.Deps{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	s := list[0].(*Source)
	r := &running{t: t, ended: make(chan error, 1), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(r.done)
		r.ended <- s.Run(ctx, &source.Session{Emit: r.emit, Status: new(source.Status), Settled: r.settle})
	}()
	r.addr = <-s.bound
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		<-r.done
	})
	return r
}

func (r *running) emit(e source.Event) error {
	if r.hold != nil {
		r.entered <- struct{}{}
		<-r.hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		return r.fault
	}
	r.got = append(r.got, fmt.Sprintf("%d %s/%s %s %d", e.Kind, e.Post.Source, e.Post.ID, e.Post.Text, e.Revision))
	return nil
}

func (r *running) settle(ctx context.Context) error {
	r.mu.Lock()
	settled := r.settled
	r.mu.Unlock()
	if settled == nil {
		return nil
	}
	return settled(ctx)
}

func (r *running) send(body io.Reader, header ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.addr+"/v1/posts", body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text))
}

func line(id, text string) string {
	return fmt.Sprintf(`{"id":%q,"source":"forum","author":"ann","text":%q,"created_at":"2026-11-25T03:00:00Z"}`, id, text)
}

func zipped(s string) io.Reader {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return &b
}

// What is good is taken, whatever stands beside it; what is not is named by its line.
func TestBatches(t *testing.T) {
	r := start(t, nil)
	body := strings.Join([]string{line("1", "skype is down"), "", "rubbish", `{"id":"2"}`, line("3", strings.Repeat("x", 11_000)), `{"source":"forum","id":"1","deleted":true}`,
		`{"deleted":true}`, strings.Replace(line("4", "edited"), "{", `{"revision":7,`, 1), `{"revision":"x"}`, strings.Repeat("y", maxLine+10),
		strings.Replace(line("5", "later"), "2026", "2096", 1), line("6", "the last, without an end")}, "\n")
	for name, send := range map[string]func() (int, string){
		"plain": func() (int, string) { return r.send(strings.NewReader(body)) },
		"gzip":  func() (int, string) { return r.send(zipped(body), "Content-Encoding", "gzip") },
	} {
		r.mu.Lock()
		r.got = nil
		r.mu.Unlock()
		code, text := send()
		var a answer
		if err := json.Unmarshal([]byte(text), &a); err != nil || code != http.StatusAccepted {
			t.Fatalf("%s: %d %s", name, code, text)
		}
		var lines []int
		for _, e := range a.Errors {
			lines = append(lines, e.Line)
			if e.Error == "" || strings.Contains(e.Error, "\n") {
				t.Errorf("line %d: %q", e.Line, e.Error)
			}
		}
		if diff := cmp.Diff([]int{3, 4, 5, 7, 9, 10, 11}, lines); diff != "" || a.Accepted != 4 || a.Rejected != 7 {
			t.Errorf("%s: %s\n%s", name, text, diff)
		}
		r.mu.Lock()
		if diff := cmp.Diff([]string{"0 forum/1 skype is down 0", "1 forum/1  0", "0 forum/4 edited 7", "0 forum/6 the last, without an end 0"}, r.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		r.mu.Unlock()
	}
}

func TestAnswers(t *testing.T) {
	r := start(t, func(c *Config) { c.MaxBytes = 4096 })
	bomb := zipped(strings.Repeat("\n", 10<<20))
	for _, tt := range []struct {
		name   string
		body   io.Reader
		header []string
		code   int
		want   string
	}{
		{"no token", strings.NewReader(line("1", "x")), []string{"Authorization", ""}, 401, "ingest.push.token"},
		{"another token", strings.NewReader(line("1", "x")), []string{"Authorization", "Bearer nope"}, 401, "ingest.push.token"},
		{"another scheme", strings.NewReader(line("1", "x")), []string{"Authorization", "Basic " + token}, 401, "ingest.push.token"},
		{"nothing good", strings.NewReader("rubbish"), nil, 400, `"line":1`},
		{"nothing", strings.NewReader(""), nil, 202, `"accepted":0`},
		{"too large", strings.NewReader(strings.Repeat(line("1", "x")+"\n", 100)), nil, 413, "ingest.push.max_bytes"},
		{"a bomb", bomb, []string{"Content-Encoding", "gzip"}, 413, "ingest.push.max_bytes"},
		{"no gzip", strings.NewReader("x"), []string{"Content-Encoding", "gzip"}, 400, "not gzip"},
		{"half a gzip", io.LimitReader(zipped(line("1", "x")), 40), []string{"Content-Encoding", "gzip"}, 400, "breaks off"},
		{"another encoding", strings.NewReader("x"), []string{"Content-Encoding", "br"}, 415, "br"},
		{"a form", strings.NewReader("x"), []string{"Content-Type", "multipart/form-data; boundary=x"}, 415, "JSON lines"},
	} {
		code, text := r.send(tt.body, tt.header...)
		if code != tt.code || !strings.Contains(text, tt.want) || strings.Contains(text, token) || !json.Valid([]byte(text)) {
			t.Errorf("%s: %d %s", tt.name, code, text)
		}
	}
	resp, err := http.Get("http://" + r.addr + "/v1/posts")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered with %d", resp.StatusCode)
	}
}

// A flood in one batch, that is compressed, is taken whole and at the pipeline's pace.
func TestFlood(t *testing.T) {
	c := DefaultConfig()
	c.Listen, c.Token, c.MaxBytes = "127.0.0.1:0", token, 64<<20
	s := newSource(c)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		body, in := io.Pipe()
		go func() {
			z, _ := gzip.NewWriterLevel(in, gzip.BestSpeed) // which is one
			err := floodtest.Say(z, floodtest.Numbered(line("?", "skype is down")+"\n"))
			_ = in.CloseWithError(errors.Join(err, z.Close()))
		}()
		r := running{t: t, addr: <-s.bound}
		if code, text := r.send(body, "Content-Encoding", "gzip"); code != http.StatusAccepted || text != `{"accepted":100000,"rejected":0}` {
			t.Errorf("%d %s", code, text)
		}
		http.DefaultClient.CloseIdleConnections()
	}()
	floodtest.Run(t, s, "", 0)
	<-sent
}

// While as many batches are being taken as may be, others are asked to come again.
func TestBusy(t *testing.T) {
	hold := make(chan struct{})
	r := start(t, func(c *Config) { c.MaxBatches = 1 })
	r.hold, r.entered = hold, make(chan struct{}, 1)
	first := make(chan int)
	go func() { code, _ := r.send(strings.NewReader(line("1", "x"))); first <- code }()
	<-r.entered
	if code, _ := r.send(strings.NewReader("")); code != http.StatusTooManyRequests {
		t.Errorf("the second is answered with %d", code)
	}
	close(hold)
	if code := <-first; code != http.StatusAccepted {
		t.Errorf("the first is answered with %d", code)
	}
}

// A pipeline that has failed takes nothing, says so, and ends the run with its error.
func TestPipelineFails(t *testing.T) {
	r := start(t, nil)
	r.fault = errors.New("boom")
	code, text := r.send(strings.NewReader(line("1", "x")))
	if code != http.StatusServiceUnavailable || !strings.Contains(text, `"accepted":0`) {
		t.Errorf("%d %s", code, text)
	}
	if err := <-r.ended; err == nil || err.Error() != "boom" {
		t.Errorf("the run ended with %v", err)
	}
}

// No batch is answered before Kafka has acknowledged it; one that Kafka does not acknowledge is to be sent again.
func TestAnswersOnceAcknowledged(t *testing.T) {
	r := start(t, nil)
	acknowledged, asked := make(chan struct{}), make(chan struct{}, 1)
	r.settled = func(context.Context) error { asked <- struct{}{}; <-acknowledged; return nil }
	type reply struct {
		code int
		text string
	}
	first := make(chan reply, 1)
	go func() { code, text := r.send(strings.NewReader(line("1", "x"))); first <- reply{code, text} }()
	<-asked // everything is taken, and it waits
	r.mu.Lock()
	taken := len(r.got)
	r.mu.Unlock()
	select {
	case got := <-first:
		t.Fatalf("answered with %d before Kafka had acknowledged", got.code)
	case <-time.After(50 * time.Millisecond):
	}
	close(acknowledged)
	if got := <-first; got.code != http.StatusAccepted || taken != 1 {
		t.Errorf("%d %s, %d posts taken", got.code, got.text, taken)
	}
	r.mu.Lock()
	r.settled = func(context.Context) error { return context.DeadlineExceeded }
	r.mu.Unlock()
	for name, body := range map[string]string{"whole": line("2", "x"), "broken off": line("2", "x") + "\nrubbish"} {
		if code, text := r.send(strings.NewReader(body)); code != http.StatusServiceUnavailable || !strings.Contains(text, `"accepted":0`) || !strings.Contains(text, "again") {
			t.Errorf("%s, not acknowledged: %d %s", name, code, text)
		}
	}
	if code, _ := r.send(strings.NewReader("rubbish")); code != http.StatusBadRequest {
		t.Errorf("nothing to acknowledge: %d", code)
	}
}

// With a certificate the address speaks HTTPS and nothing else, and a renewed certificate is used without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	renew := func(serial int64, at time.Time) *x509.CertPool {
		private, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(crand.Reader, c, c, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalECPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
			if err := errors.Join(os.WriteFile(name, pem.EncodeToMemory(block), 0o600), os.Chtimes(name, at, at)); err != nil {
				t.Fatal(err)
			}
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		return pool
	}
	first := renew(1, time.Now())
	r := start(t, func(c *Config) { c.TLSCert, c.TLSKey = cert, key })
	send := func(roots *x509.CertPool) error {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		defer client.CloseIdleConnections()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+r.addr+"/v1/posts", strings.NewReader(line("1", "x")))
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("answered with %d", resp.StatusCode)
		}
		return nil
	}
	if err := send(first); err != nil {
		t.Error(err)
	}
	if code, _ := r.send(strings.NewReader(line("1", "x"))); code == http.StatusAccepted {
		t.Error("posts are taken in the clear")
	}
	second := renew(2, time.Now().Add(time.Minute))
	if err := send(second); err != nil {
		t.Errorf("after the renewal: %v", err)
	}
	if err := send(first); err == nil {
		t.Error("the old certificate is still in use")
	}
	if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := send(second); err != nil {
		t.Errorf("in the middle of a renewal: %v", err)
	}
	if _, err := newSource(Config{Listen: "127.0.0.1:0", TLSCert: cert, TLSKey: key, MaxBatches: 1}).Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "tls_cert and tls_key") {
		t.Errorf("a broken key is found to be good: %v", err)
	}
}

func TestProbe(t *testing.T) {
	r := start(t, nil)
	if _, err := newSource(Config{Listen: r.addr, MaxBatches: 1}).Probe(t.Context()); err == nil {
		t.Error("an address that is taken is found to be free")
	}
	if found, err := newSource(Config{Listen: "127.0.0.1:0", MaxBatches: 1}).Probe(t.Context()); err != nil || !strings.Contains(found, "/v1/posts") {
		t.Errorf("%q, %v", found, err)
	}
}

func TestConfig(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if list, err := c.Sources(source.Deps{}); len(list) != 0 || err != nil {
		t.Error(list, err)
	}
	c = Config{Listen: "nowhere", Token: "short-secret", TLSCert: "cert.pem"}
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 4 || strings.Contains(err.Error(), "short-secret") {
		t.Errorf("faults are %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{line("1", "x"), `{"deleted":true,"id":"1","source":"s"}`, `{"revision":-1}`, "null", `{"deleted":true,"id":"\ud800","source":"s","created_at":"2026-11-25T03:00:00Z"}`} {
		f.Add([]byte(s))
	}
	now := time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := decode(raw, now)
		if e.Kind == source.Upsert && e.Post.Validate() != nil || e.Kind == source.Delete && e.Post.ID == "" || e.Kind == source.Unreadable && e.Fault.Reason == "" {
			t.Errorf("%q gave %+v", raw, e)
		}
	})
}
