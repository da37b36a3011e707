package mastodon

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
)

// SourceName is the source that these posts carry.
const SourceName = "mastodon"

// status is a post as the API gives it.
type status struct {
	ID          string    `json:"id"`
	URI         string    `json:"uri"`
	URL         *string   `json:"url"`
	CreatedAt   time.Time `json:"created_at"`
	EditedAt    *string   `json:"edited_at"`
	Visibility  string    `json:"visibility"`
	SpoilerText string    `json:"spoiler_text"`
	Content     string    `json:"content"`
	Language    *string   `json:"language"`
	InReplyToID *string   `json:"in_reply_to_id"`
	Account     struct {
		Acct     string `json:"acct"`
		Username string `json:"username"`
		URL      string `json:"url"`
	} `json:"account"`
	Reblog *status `json:"reblog"`
}

// frame is one message of a stream.
type frame struct {
	Event   string          `json:"event"`
	Payload json.RawMessage `json:"payload"`
	// An answer to what cannot be had.
	Error  string `json:"error"`
	Status int    `json:"status"`
}

// payload undoes the string that payloads are sent in; some servers send objects.
func (f *frame) payload() ([]byte, error) {
	if len(f.Payload) > 0 && f.Payload[0] == '"' {
		var s string
		if err := json.Unmarshal(f.Payload, &s); err != nil {
			return nil, err
		}
		return []byte(s), nil
	}
	return f.Payload, nil
}

// deletedID reads the payload of a delete: a bare id, which some servers send as a number.
func deletedID(payload []byte) (string, error) {
	id := strings.Trim(strings.TrimSpace(string(payload)), `"`)
	if id == "" || len(id) > 100 || strings.ContainsAny(id, "{}[] ") {
		return "", errors.New("a delete without an id")
	}
	return id, nil
}

func decodeStatus(raw []byte) (*status, error) {
	var s status
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("not a status: %w", err)
	}
	if s.ID == "" || s.URI == "" || s.Account.Acct == "" {
		return nil, errors.New("not a status: id, uri or account is missing")
	}
	if len(s.ID) > 100 || len(s.URI) > post.MaxIDBytes {
		return nil, errors.New("a status whose id or uri is too long")
	}
	return &s, nil
}

// public reports whether everybody may read the post.
func (s *status) public() bool {
	return s.Visibility == "public" || s.Visibility == "unlisted" || s.Visibility == ""
}

// revision is 0 for the first text, and later the time of the edit in microseconds.
func (s *status) revision() int64 {
	if s.EditedAt == nil {
		return 0
	}
	t, err := time.Parse(time.RFC3339, *s.EditedAt)
	if err != nil || t.Unix() < 0 {
		return 0
	}
	return t.UnixMicro()
}

// post returns the normal form. Accounts of the server itself come without a domain.
func (s *status) post(domain string, received time.Time, known func(id string) string) post.Post {
	of := s
	if s.Reblog != nil {
		of = s.Reblog
	}
	text := normal.HTML(of.Content)
	if warning := normal.Text(of.SpoilerText); warning != "" {
		text = normal.Text(warning + "\n" + text)
	}
	p := post.Post{Source: SourceName, ID: s.URI, Author: s.Account.Acct, Text: text, CreatedAt: normal.Time(s.CreatedAt, received)}
	if !strings.Contains(p.Author, "@") {
		p.Author += "@" + domain
	}
	p.Author = strings.ToLower(p.Author)
	if of.Language != nil {
		p.Lang = normal.Lang(*of.Language)
	}
	if s.URL != nil {
		p.URL = normal.URL(*s.URL)
	}
	if p.URL == "" {
		p.URL = normal.URL(s.URI)
	}
	if s.InReplyToID != nil && *s.InReplyToID != "" {
		p.ReplyTo = known(*s.InReplyToID)
	}
	if s.Reblog != nil {
		p.RepostOf = s.Reblog.URI
		if p.RepostOf == "" {
			p.RepostOf = s.Reblog.ID
		}
	}
	return p
}

// later compares two ids of one server: numbers that grow, or ULIDs.
func later(a, b string) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}
