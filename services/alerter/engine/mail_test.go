package engine_test

import (
	"io"
	"mime"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"outcry.dev/services/alerter/engine"
)

// mailbox is an SMTP server that keeps what it gets.
type mailbox struct {
	mu   sync.Mutex
	got  []*mail.Message
	to   []string
	body []string
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{box: m}, nil }

type session struct {
	box *mailbox
	to  string
}

func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	msg, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(msg.Body)
	if err != nil {
		return err
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.got, s.box.to, s.box.body = append(s.box.got, msg), append(s.box.to, s.to), append(s.box.body, string(body))
	return nil
}

func TestMailGoesToAnSMTPServer(t *testing.T) {
	box := &mailbox{}
	server := smtp.NewServer(box)
	server.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	defer func() {
		_ = server.Close()
		<-served
	}()
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	err = os.WriteFile(file, []byte(`
route: {receiver: mail, group_by: [service], group_wait: 50ms, group_interval: 200ms}
receivers:
  - name: mail
    email_configs:
      - {to: "ops@example.org", from: "outcry@example.org", smarthost: "`+l.Addr().String()+`", require_tls: false, send_resolved: true,
         headers: {Subject: '{{ template "outcry.title" . }}'}, html: '', text: '{{ template "outcry.text" . }}'}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, engine.Config{File: file}, told(t, skype()))
	defer stop(t, e)
	eventually(t, "a mail comes", func() bool {
		box.mu.Lock()
		defer box.mu.Unlock()
		return len(box.got) == 1
	})
	box.mu.Lock()
	defer box.mu.Unlock()
	subject, err := new(mime.WordDecoder).DecodeHeader(box.got[0].Header.Get("Subject"))
	if err != nil || subject != "[critical] skype: outage" || box.to[0] != "ops@example.org" {
		t.Errorf("subject %q to %s (%v)", subject, box.to[0], err)
	}
	if !strings.Contains(box.body[0], "4009 people have reported trouble") {
		t.Errorf("body: %s", box.body[0])
	}
}
