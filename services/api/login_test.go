package api_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"outcry.dev/services/api"
	"outcry.dev/services/api/signin"
)

const clientSecret = "a secret of the tests, long enough"

// browser keeps cookies and follows redirects, as one does.
type browser struct {
	*http.Client
	t *testing.T
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{&http.Client{Jar: jar, Transport: transport, Timeout: 90 * time.Second}, t}
}

func (b *browser) send(method, address string, form url.Values, header ...string) answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp, string(read)}
}

func (b *browser) open(address string) answer {
	b.t.Helper()
	return b.send(http.MethodGet, address, nil)
}

// provider runs an OpenID provider and returns its address. Its people are test-user@localhost and test-user2; the password of both is verysecure.
func provider(t *testing.T, callbacks ...string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	issuer := "http://localhost:" + port
	storage.RegisterClients(storage.WebClient("outcry", clientSecret, callbacks...))
	server := &http.Server{Handler: exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), nil, false, op.WithAllowInsecure()), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return issuer
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// signIn goes the way of a person from a page of the api through the form of the provider.
func (b *browser) signIn(base, user string) answer {
	b.t.Helper()
	form := b.open(base + "/login/oidc?next=" + url.QueryEscape("/services/skype?step=1h"))
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(form.body)
	if form.StatusCode != http.StatusOK || id == nil {
		b.t.Fatalf("the form of the provider: %s at %s\n%.500s", form.Status, form.Request.URL, form.body)
	}
	return b.send(http.MethodPost, form.Request.URL.Scheme+"://"+form.Request.URL.Host+"/login/username", url.Values{"username": {user}, "password": {"verysecure"}, "id": {id[1]}})
}

func TestSigningInAtAProvider(t *testing.T) {
	s, err := open(t.Context(), "signin")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// The provider has to know the address of the api before it runs, and the api that of the provider.
	listen := freeAddress(t)
	issuer := provider(t, "http://"+listen+"/login/callback")
	addr, stop, err := serveWith(t.Context(), s, api.Config{Listen: listen, OIDC: signin.Config{Issuer: issuer, ClientID: "outcry", ClientSecret: clientSecret,
		Readers: []string{"test-user@zitadel.ch"}, Actors: []string{"TEST-user@zitadel.ch"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	base := "http://" + addr

	person := newBrowser(t)
	first := person.open(base + "/services/skype?step=1h")
	if first.StatusCode != http.StatusOK || first.Request.URL.Path != "/login" || !strings.Contains(first.body, `href="/login/oidc?next=%2fservices%2fskype%3fstep%3d1h"`) {
		t.Fatalf("somebody unknown: %s at %s\n%s", first.Status, first.Request.URL, first.body)
	}
	page := person.signIn(base, "test-user@localhost")
	if page.StatusCode != http.StatusOK || page.Request.URL.String() != base+"/services/skype?step=1h" {
		t.Fatalf("signed in: %s at %s\n%.800s", page.Status, page.Request.URL, page.body)
	}
	if !strings.Contains(page.body, `aria-label="Sign out, test-user@zitadel.ch"`) || strings.Contains(page.body, "Sign in") {
		t.Errorf("the head does not say who is signed in:\n%.1200s", page.body)
	}
	if got := page.Header.Get("Cache-Control"); !strings.HasPrefix(got, "private") {
		t.Errorf("what only some may read says %s", got)
	}
	if a := person.open(base + "/v1/services"); a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "private, max-age=10" || !strings.Contains(strings.Join(a.Header.Values("Vary"), ","), "Cookie") {
		t.Errorf("data with a session: %s %v", a.Status, a.Header)
	}
	if a := person.open(base + "/login"); !strings.Contains(a.body, "test-user@zitadel.ch") {
		t.Errorf("the page does not say who is signed in:\n%s", a.body)
	}
	// Who may act may do so, but not because another site says so; keys are not theirs.
	chart := `{"service":"skype","query":"from=2010-12-22T16:00:00Z&to=2010-12-22T17:00:00Z"}`
	act := func(header ...string) answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/charts", strings.NewReader(chart))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := person.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return answer{resp, string(body)}
	}
	if a := act(); a.StatusCode != http.StatusOK {
		t.Errorf("freeze a chart: %s %s", a.Status, a.body)
	}
	if a := act("Origin", "https://elsewhere.example"); a.StatusCode != http.StatusForbidden {
		t.Errorf("freeze a chart from another site: %s %s", a.Status, a.body)
	}
	if a := person.open(base + "/v1/keys"); a.StatusCode != http.StatusForbidden {
		t.Errorf("keys: %s", a.Status)
	}
	entries, err := s.AuditLog(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, e := range entries {
		done = append(done, e.Actor+": "+e.Action)
	}
	if got := strings.Join(done, "; "); !strings.Contains(got, "test-user@zitadel.ch (signed in): sign in") || !strings.Contains(got, "test-user@zitadel.ch (signed in): freeze chart") {
		t.Errorf("audit log: %s", got)
	}
	if a := person.send(http.MethodPost, base+"/logout", url.Values{}); a.Request.URL.Path != "/login" {
		t.Errorf("signed out: %s", a.Request.URL)
	}
	if a := person.open(base + "/v1/services"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after signing out: %s", a.Status)
	}

	other := newBrowser(t)
	if a := other.signIn(base, "test-user2"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "none of those who may read") {
		t.Errorf("somebody who is not among the readers: %s at %s\n%s", a.Status, a.Request.URL, a.body)
	}
	// A way back that was begun elsewhere: somebody else's answer would sign this browser in as them.
	if a := other.open(base + "/login/callback?code=x&state=y"); a.StatusCode != http.StatusForbidden {
		t.Errorf("a way back without a way there: %s", a.Status)
	}
	forged := newBrowser(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/services", nil)
	req.AddCookie(&http.Cookie{Name: "outcry_session", Value: "eyJraW5kIjoic2Vzc2lvbiJ9.AAAA"})
	resp, err := forged.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged session: %s", resp.Status)
	}
}

func TestSigningInWithAKey(t *testing.T) {
	s, err := open(t.Context(), "keycookie")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	key, secret, err := api.NewKey("a reader", []string{"read"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutKey(t.Context(), key, time.Now()); err != nil {
		t.Fatal(err)
	}
	addr, stop, err := serveWith(t.Context(), s, api.Config{Listen: "127.0.0.1:0", PublicURL: "http://ignored.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	b := newBrowser(t)
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	base := "http://" + addr
	if a := b.open(base + "/incidents.atom?x=1"); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/login?next=%2Fincidents.atom%3Fx%3D1" {
		t.Errorf("without a key: %s %s", a.Status, a.Header.Get("Location"))
	}
	if a := b.open(base + "/v1/services"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("data without a key: %s", a.Status)
	}
	// A frame in another site cannot show the page that signs in, so it says where to.
	framed := b.send(http.MethodGet, base+"/embed/services/skype?step=1h", nil, "Sec-Fetch-Dest", "iframe")
	if framed.StatusCode != http.StatusUnauthorized || !strings.Contains(framed.Header.Get("Content-Security-Policy"), "frame-ancestors *") || !strings.Contains(framed.body, `href="/embed/services/skype?step=1h" target="_blank" rel="noopener"`) {
		t.Errorf("a frame without a key: %s %v\n%s", framed.Status, framed.Header, framed.body)
	}
	if a := b.send(http.MethodGet, base+"/embed/services/skype", nil, "Sec-Fetch-Dest", "document"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("an embed in a window of its own without a key: %s", a.Status)
	}
	if a := b.send(http.MethodPost, base+"/login", url.Values{"key": {"outcry_WRONG"}, "next": {"/"}}); a.StatusCode != http.StatusUnauthorized || len(a.Cookies()) != 0 {
		t.Errorf("a wrong key: %s %v", a.Status, a.Cookies())
	}
	if a := b.send(http.MethodPost, base+"/login", url.Values{"key": {secret}}, "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site"); a.StatusCode != http.StatusForbidden {
		t.Errorf("a key from another site: %s", a.Status)
	}
	for next, want := range map[string]string{"/services/skype": "/services/skype", "//elsewhere.example": "/", "https://elsewhere.example/": "/", `/\elsewhere.example`: "/", "javascript:x": "/"} {
		a := b.send(http.MethodPost, base+"/login", url.Values{"key": {secret}, "next": {next}})
		if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != want {
			t.Errorf("next %q leads to %q, want %q (%s)", next, a.Header.Get("Location"), want, a.Status)
		}
		cookies := a.Cookies()
		if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
			t.Fatalf("cookies: %v", cookies)
		}
	}
	if a := b.open(base + "/services/skype"); a.StatusCode != http.StatusOK {
		t.Errorf("a page with the key: %s", a.Status)
	}
	if a := b.open(base + "/services/skype/chart.svg"); a.StatusCode != http.StatusOK {
		t.Errorf("a chart with the key: %s", a.Status)
	}
	if err := api.RevokeKey(context.WithoutCancel(t.Context()), s, key.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(100 * time.Millisecond) { // keys are read anew every few seconds
		if a := b.open(base + "/services/skype"); a.StatusCode == http.StatusSeeOther {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a revoked key still opens pages")
		}
	}
}

// Where everybody may read, the head offers to sign in only if somebody can.
func TestTheHeadOffersToSignIn(t *testing.T) {
	s, err := open(t.Context(), "head")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if body := get(t, "/explore?step=1h").body; strings.Contains(body, "Sign in") || strings.Contains(body, "/log") {
		t.Error("a page offers to sign in where nobody can")
	}
	addr, stop, err := serveWith(t.Context(), s, api.Config{Listen: "127.0.0.1:0", PublicRead: true, OIDC: signin.Config{Issuer: "https://accounts.example", ClientID: "outcry", ClientSecret: clientSecret}})
	if err != nil {
		t.Fatal(err)
	}
	a := get(t, "http://"+addr+"/explore?step=1h")
	if !strings.Contains(a.body, `<a href="/login?next=%2Fexplore%3Fstep%3D1h">Sign in</a>`) || strings.Contains(a.body, "Sign out") || !strings.Contains(a.Header.Get("Vary"), "Cookie") {
		t.Errorf("%v\n%.1200s", a.Header, a.body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
