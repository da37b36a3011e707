// Package action lets people act on an incident from a message: acknowledge it, dismiss it, add a note. A link in the message is signed, expires,
// and works once.
//
// It must never act on a GET: chats and mail scanners open links to preview them. A GET shows a form; the form's button sends a POST.
//
// What is not obvious:
//
//   - A link names incident, kind and end, and carries an HMAC-SHA-256 of them: nothing is stored when it is made, and the same incident's
//     links stay the same for a day, so that an update of an alert does not change them.
//   - What was used is kept on disk before the verdict is sent. If the process is killed in between, or Kafka does not take it, the link has
//     been used up and the page says so to whoever tries it again; a second verdict never comes of it.
//   - The page loads nothing, runs nothing, cannot be framed, and tells no other server where it was opened.
package action

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter/journal"
)

// Path is where a Handler serves.
const Path = "/act"

// Kinds are what a link can do, by the name of the annotation that holds it.
func Kinds() []outcryv1.Verdict_Kind {
	return []outcryv1.Verdict_Kind{outcryv1.Verdict_KIND_ACKNOWLEDGE, outcryv1.Verdict_KIND_DISMISS, outcryv1.Verdict_KIND_NOTE}
}

const (
	day       = 24 * time.Hour
	formBytes = 16 << 10
	macBytes  = 18
)

// Signer makes and checks links. Safe for concurrent use.
type Signer struct {
	key     []byte
	base    string
	expires time.Duration
}

// NewSigner returns a signer of links that begin with base, https://…, and last at least as long as expires.
func NewSigner(key []byte, base string, expires time.Duration) *Signer {
	return &Signer{key: key, base: strings.TrimRight(base, "/"), expires: expires}
}

// Links returns an incident's links by the name of their kind.
func (s *Signer) Links(incident string, now time.Time) map[string]string {
	// The end of a day, so that the links of one day are the same.
	until := now.Add(s.expires + day).Truncate(day).Unix()
	out := map[string]string{}
	for _, k := range Kinds() {
		q := url.Values{"i": {incident}, "k": {k.Name()}, "u": {strconv.FormatInt(until, 10)}, "s": {s.sign(incident, k.Name(), until)}}
		out[k.Name()] = s.base + Path + "?" + q.Encode()
	}
	return out
}

func (s *Signer) sign(incident, kind string, until int64) string {
	m := hmac.New(sha256.New, s.key)
	fmt.Fprintf(m, "%q %q %d", incident, kind, until)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:macBytes])
}

// link is one that was opened.
type link struct {
	Incident, Kind, Signature string
	kind                      outcryv1.Verdict_Kind
	until                     time.Time
}

var (
	errForged  = errors.New("this link is not one of ours, or not all of it was copied")
	errExpired = errors.New("this link has expired; a newer message has another")
	errUsed    = errors.New("this link has been used")
)

func (s *Signer) check(q url.Values, now time.Time) (link, error) {
	l := link{Incident: q.Get("i"), Kind: q.Get("k"), Signature: q.Get("s")}
	until, err := strconv.ParseInt(q.Get("u"), 10, 64)
	if err != nil || !hmac.Equal([]byte(l.Signature), []byte(s.sign(l.Incident, l.Kind, until))) {
		return link{}, errForged
	}
	l.kind = outcryv1.ParseVerdictKind(l.Kind)
	if l.until = time.Unix(until, 0); now.After(l.until) {
		return link{}, errExpired
	}
	return l, nil
}

// used is a record of what was used, kept until the link would have expired anyway.
type used struct {
	Signature string `json:"s"`
	Until     int64  `json:"u"`
}

// Handler serves the pages that links lead to. Safe for concurrent use.
type Handler struct {
	signer *Signer
	send   func(ctx context.Context, incident string, kind outcryv1.Verdict_Kind, who, text string) error
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	used    map[string]int64
	journal *journal.Journal
}

// NewHandler returns a handler that keeps what was used in the folder, and hands what people say to send. The caller closes it.
func NewHandler(s *Signer, dir string, send func(ctx context.Context, incident string, kind outcryv1.Verdict_Kind, who, text string) error, log *slog.Logger) (*Handler, error) {
	h := &Handler{signer: s, send: send, log: log, now: time.Now, used: map[string]int64{}}
	j, err := journal.Open(filepath.Join(dir, "links.log"), func(b []byte) error {
		var u used
		if err := json.Unmarshal(b, &u); err != nil {
			return err
		}
		if time.Unix(u.Until, 0).After(h.now()) {
			h.used[u.Signature] = u.Until
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	h.journal = j
	return h, nil
}

// Close closes the file of what was used.
func (h *Handler) Close() error { return h.journal.Close() }

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

type view struct {
	Title, Fault, Done string
	Incident, Verb     string
	Query              string
	Note               bool
}

var verbs = map[outcryv1.Verdict_Kind][2]string{
	outcryv1.Verdict_KIND_ACKNOWLEDGE: {"I see to it", "acknowledged"},
	outcryv1.Verdict_KIND_DISMISS:     {"It is no outage", "dismissed"},
	outcryv1.Verdict_KIND_NOTE:        {"Add the note", "noted"},
}

// ServeHTTP shows the form of a link (GET), or does what it is for (POST).
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Robots-Tag", "noindex")
	head.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		head.Set("Allow", "GET, HEAD, POST")
		h.show(w, http.StatusMethodNotAllowed, view{Title: "Not that way", Fault: "open the link, and press the button"})
		return
	}
	l, err := h.signer.check(r.URL.Query(), h.now())
	if err == nil && h.isUsed(l) {
		err = errUsed
	}
	if err != nil {
		h.refuse(w, err)
		return
	}
	verb := verbs[l.kind]
	if r.Method != http.MethodPost {
		h.show(w, http.StatusOK, view{Title: l.Incident, Incident: l.Incident, Verb: verb[0], Query: r.URL.RawQuery, Note: l.kind == outcryv1.Verdict_KIND_NOTE})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, formBytes)
	if err := r.ParseForm(); err != nil {
		h.show(w, http.StatusBadRequest, view{Title: "Not understood", Fault: "the form could not be read"})
		return
	}
	who, text := strings.TrimSpace(r.PostForm.Get("who")), strings.TrimSpace(r.PostForm.Get("text"))
	if who == "" || len(who) > 200 || len(text) > 2000 || l.kind == outcryv1.Verdict_KIND_NOTE && text == "" {
		h.show(w, http.StatusUnprocessableEntity, view{Title: l.Incident, Incident: l.Incident, Verb: verb[0], Query: r.URL.RawQuery, Note: l.kind == outcryv1.Verdict_KIND_NOTE,
			Fault: "say who you are (at most 200 bytes), and with a note what it is (at most 2,000 bytes)"})
		return
	}
	if err := h.use(l); err != nil {
		h.refuse(w, err)
		return
	}
	if err := h.send(r.Context(), l.Incident, l.kind, who, text); err != nil {
		h.log.Error("what a person said of an incident could not be sent", "incident", l.Incident, "kind", l.Kind, "error", err)
		h.show(w, http.StatusServiceUnavailable, view{Title: "It did not work", Fault: "it could not be sent, and the link is used up; say it with `outcry incidents " + l.Kind + " " + l.Incident + "`"})
		return
	}
	h.log.Info("a person said something of an incident", "incident", l.Incident, "kind", l.Kind, "who", who)
	h.show(w, http.StatusOK, view{Title: l.Incident, Done: "Thank you. " + l.Incident + " is " + verb[1] + "."})
}

func (h *Handler) refuse(w http.ResponseWriter, err error) {
	status := http.StatusForbidden
	switch {
	case errors.Is(err, errExpired), errors.Is(err, errUsed):
		status = http.StatusGone
	case !errors.Is(err, errForged):
		h.log.Error("a link could not be used", "error", err)
		h.show(w, http.StatusServiceUnavailable, view{Title: "It did not work", Fault: "try again in a moment"})
		return
	}
	h.show(w, status, view{Title: "Nothing was done", Fault: err.Error()})
}

func (h *Handler) isUsed(l link) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.used[l.Signature]
	return ok
}

// use marks a link as used, on disk.
func (h *Handler) use(l link) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.used[l.Signature]; ok {
		return errUsed
	}
	b, err := json.Marshal(used{l.Signature, l.until.Unix()})
	if err != nil {
		return err
	}
	if err := h.journal.Append(b); err != nil {
		return err
	}
	h.used[l.Signature] = l.until.Unix()
	return nil
}

func (h *Handler) show(w http.ResponseWriter, status int, v view) {
	w.WriteHeader(status)
	if err := page.Execute(w, v); err != nil {
		h.log.Debug("a page was not read to its end", "error", err)
	}
}
