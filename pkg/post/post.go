package post

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of one post. A post beyond them is malformed.
const (
	MaxTextBytes = 10_000
	MaxIDBytes   = 512 // of ids, names and codes
	MaxURLBytes  = 4096
)

// Post is one public post.
type Post struct {
	ID        string    `json:"id"`
	Source    string    `json:"source"`
	Author    string    `json:"author"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"created_at"`

	Lang           string `json:"lang,omitempty"`
	URL            string `json:"url,omitempty"`
	ReplyTo        string `json:"reply_to,omitempty"`
	RepostOf       string `json:"repost_of,omitempty"`
	Place          string `json:"place,omitempty"`
	AuthorVerified bool   `json:"author_verified,omitempty"`

	// Notice is what a status page says in so many words; posts of people, and posts as JSON lines, have none.
	Notice Notice `json:"-"`
}

// StatusPages is the source of what operators say on their status pages. Its authors are ids of services of the catalog.
const StatusPages = "statuspage"

// X is the source of posts of X, whose terms allow to pass on ids and nothing else.
const X = "x"

// IDsOnly reports whether only the ids of a source's posts may be passed on: its texts are read, and neither stored nor shown.
func IDsOnly(source string) bool { return source == X }

// Notice is the state of an incident by its operator.
type Notice int

// Notices, numbered as in the messages of posts.v1.
const (
	NoNotice Notice = iota
	// Problem: an incident is open.
	Problem
	// Recovered: the incident is over.
	Recovered
)

// Parse reads one JSON line. The error says which field is wrong and what it should hold.
func Parse(line []byte) (Post, error) {
	p, err := Decode(line)
	if err != nil {
		return Post{}, err
	}
	p.Normalize()
	return p, p.Validate()
}

// Decode reads one JSON line and leaves it to the caller to Normalize and Validate what was in it.
func Decode(line []byte) (Post, error) {
	var p Post
	if scan(line, &p) {
		return p, nil
	}
	p = Post{}
	if err := json.Unmarshal(line, &p); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return Post{}, fmt.Errorf("not a JSON object: %w at byte %d", syntax, syntax.Offset)
		}
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) && wrongType.Field == "" {
			return Post{}, fmt.Errorf("not a JSON object: it is of type %s", wrongType.Value)
		} else if wrongType != nil {
			return Post{}, fmt.Errorf("field %q holds a %s where a %s belongs", wrongType.Field, wrongType.Value, wrongType.Type)
		}
		value := "no text" // the one field that reads itself is the time
		var noTime *time.ParseError
		if errors.As(err, &noTime) {
			value = fmt.Sprintf("%.40q", noTime.Value)
		}
		return Post{}, fmt.Errorf("field \"created_at\" is %s; write RFC 3339, such as \"2010-12-22T16:00:00Z\"", value)
	}
	return p, nil
}

// Normalize brings the text into Unicode NFC, so that equal texts have equal bytes.
func (p *Post) Normalize() { p.Text = norm.NFC.String(p.Text) }

// Validate reports every field that is missing or beyond its limit.
func (p *Post) Validate() error {
	var faults []error
	missing := func(field string) { faults = append(faults, fmt.Errorf("field %q is missing or empty", field)) }
	if p.ID == "" {
		missing("id")
	}
	if p.Source == "" {
		missing("source")
	}
	if p.Author == "" {
		missing("author")
	}
	if p.CreatedAt.IsZero() {
		missing("created_at")
	} else if y := p.CreatedAt.Year(); y < 1990 || y > 2100 {
		faults = append(faults, fmt.Errorf("field \"created_at\" is in the year %d", y))
	}
	if len(p.Text) > MaxTextBytes {
		faults = append(faults, fmt.Errorf("field \"text\" has %d bytes; at most %d are read", len(p.Text), MaxTextBytes))
	}
	if !utf8.ValidString(p.Text) {
		faults = append(faults, errors.New("field \"text\" is not UTF-8"))
	}
	for _, f := range [...]struct {
		name, value string
		most        int
	}{
		{"id", p.ID, MaxIDBytes}, {"source", p.Source, MaxIDBytes}, {"author", p.Author, MaxIDBytes}, {"lang", p.Lang, MaxIDBytes},
		{"url", p.URL, MaxURLBytes}, {"reply_to", p.ReplyTo, MaxIDBytes}, {"repost_of", p.RepostOf, MaxIDBytes}, {"place", p.Place, MaxIDBytes},
	} {
		if len(f.value) > f.most {
			faults = append(faults, fmt.Errorf("field %q has %d bytes; at most %d are read", f.name, len(f.value), f.most))
		}
	}
	return errors.Join(faults...)
}
