package action

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const incident = "skype-20101222T1600"

var quiet = slog.New(slog.DiscardHandler)

// desk is a handler whose clock a test sets, and what was said.
type desk struct {
	*Handler
	signer *Signer
	dir    string
	at     time.Time
	said   []string
	fail   error
}

func open(t *testing.T, dir string) *desk {
	t.Helper()
	d := &desk{signer: NewSigner([]byte("0123456789abcdef"), "https://act.example.org", time.Hour), dir: dir, at: time.Now().Truncate(day).Add(12 * time.Hour)}
	h, err := NewHandler(d.signer, dir, func(_ context.Context, incident string, kind outcryv1.Verdict_Kind, who, text string) error {
		d.said = append(d.said, strings.Join([]string{incident, kind.Name(), who, text}, "|"))
		return d.fail
	}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	h.now = func() time.Time { return d.at }
	d.Handler = h
	t.Cleanup(func() { _ = h.Close() })
	return d
}

func (d *desk) do(method, link string, form url.Values) (int, string) {
	r := httptest.NewRequest(method, link, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	b, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(b)
}

func TestALinkActsOnceAndNeverOnAGet(t *testing.T) {
	d := open(t, t.TempDir())
	link := d.signer.Links(incident, d.at)["dismiss"]
	for range 3 { // previews
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if status, _ := d.do(method, link, nil); status != http.StatusOK {
				t.Errorf("%s: %d", method, status)
			}
		}
	}
	if len(d.said) != 0 {
		t.Fatalf("a preview acted: %v", d.said)
	}
	if _, body := d.do(http.MethodGet, link, nil); !strings.Contains(body, `<form method="post"`) || !strings.Contains(body, incident) || strings.Contains(body, "<script") {
		t.Errorf("no form: %s", body)
	}
	if status, _ := d.do(http.MethodPost, link, url.Values{}); status != http.StatusUnprocessableEntity || len(d.said) != 0 {
		t.Errorf("without a name: %d, %v", status, d.said)
	}
	form := url.Values{"who": {"ann"}, "text": {"a <b>joke</b>"}}
	if status, body := d.do(http.MethodPost, link, form); status != http.StatusOK || !strings.Contains(body, "dismissed") {
		t.Errorf("post: %d %s", status, body)
	}
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		if status, _ := d.do(method, link, form); status != http.StatusGone {
			t.Errorf("%s again: %d", method, status)
		}
	}
	again := open(t, d.dir)
	if status, _ := again.do(http.MethodPost, link, form); status != http.StatusGone || len(again.said) != 0 {
		t.Errorf("after a restart: %d, %v", status, again.said)
	}
	if want := incident + "|dismiss|ann|a <b>joke</b>"; len(d.said) != 1 || d.said[0] != want {
		t.Errorf("said %q, want %q", d.said, want)
	}
}

func TestLinksOfADayAreTheSameAndExpire(t *testing.T) {
	d := open(t, t.TempDir())
	noon := d.at
	links := d.signer.Links(incident, noon)
	if len(links) != 3 {
		t.Fatalf("links: %v", links)
	}
	for name, link := range links {
		if later := d.signer.Links(incident, noon.Add(5*time.Hour))[name]; later != link {
			t.Errorf("%s: an update of the day changes the link", name)
		}
		d.at = noon.Add(time.Hour)
		if status, _ := d.do(http.MethodGet, link, nil); status != http.StatusOK {
			t.Errorf("%s: %d", name, status)
		}
		d.at = d.at.Add(48 * time.Hour)
		if status, _ := d.do(http.MethodPost, link, url.Values{"who": {"ann"}, "text": {"x"}}); status != http.StatusGone {
			t.Errorf("%s: two days later: %d", name, status)
		}
	}
	if len(d.said) != 0 {
		t.Errorf("said %v", d.said)
	}
}

func TestForgedLinksDoNothing(t *testing.T) {
	d := open(t, t.TempDir())
	link, err := url.Parse(d.signer.Links(incident, d.at)["acknowledge"])
	if err != nil {
		t.Fatal(err)
	}
	other := NewSigner([]byte("another key 1234"), "https://act.example.org", time.Hour).Links(incident, d.at)["acknowledge"]
	forged := map[string]string{"another key": other, "nothing": "https://act.example.org/act"}
	for name, value := range map[string]string{"i": "msn-20101222T1600", "k": "dismiss", "u": "99999999999", "s": "AAAA"} {
		q := link.Query()
		q.Set(name, value)
		forged[name] = "https://act.example.org/act?" + q.Encode()
	}
	for name, f := range forged {
		if status, _ := d.do(http.MethodPost, f, url.Values{"who": {"eve"}, "text": {"x"}}); status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	if len(d.said) != 0 {
		t.Errorf("said %v", d.said)
	}
}

func TestAFailureSaysWhatToDo(t *testing.T) {
	d := open(t, t.TempDir())
	d.fail = errors.New("kafka is away")
	status, body := d.do(http.MethodPost, d.signer.Links(incident, d.at)["note"], url.Values{"who": {"ann"}, "text": {"x"}})
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "outcry incidents note "+incident) || strings.Contains(body, "kafka is away") {
		t.Errorf("%d %s", status, body)
	}
}

func FuzzLink(f *testing.F) {
	s := NewSigner([]byte("0123456789abcdef"), "https://act.example.org", time.Hour)
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for _, link := range s.Links(incident, now) {
		u, err := url.Parse(link)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(u.RawQuery)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if l, err := s.check(q, now); err == nil && (l.Incident != incident || l.kind == outcryv1.Verdict_KIND_UNSPECIFIED) {
			t.Errorf("%q passes as %+v", query, l)
		}
	})
}
