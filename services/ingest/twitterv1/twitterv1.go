// Package twitterv1 reads Twitter API v1.1 posts: archives of the stream (one JSON object a line, with delete notices among them) and
// search responses ({"statuses": […]}). It is the only importer of go-twitter. It must never write a post into a log.
package twitterv1

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strconv"
	"time"

	"github.com/dghubble/go-twitter/twitter" //nolint:staticcheck // archived, like the API whose archives it describes

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
	"outcry.dev/services/ingest/source"
)

// SourceName is the source that these posts carry.
const SourceName = "twitter"

// message is what a line of a v1.1 archive can hold.
type message struct {
	twitter.Tweet
	Delete *struct {
		Status *struct {
			twitter.StatusDeletion
			IDStr string `json:"id_str"`
		} `json:"status"`
		TimestampMS string `json:"timestamp_ms"`
	} `json:"delete"`
	TimestampMS string            `json:"timestamp_ms"`
	Statuses    []json.RawMessage `json:"statuses"`
}

// Decode turns one JSON object into events. Notices other than deletes (limits, warnings, keep-alives) give none.
func Decode(raw []byte, now time.Time, origin string, position int64, emit source.Emit) error {
	return decode(raw, false, now, origin, position, emit)
}

// decode refuses a search response within another: no server sends one, and each level would be parsed again by all above it.
func decode(raw []byte, listed bool, now time.Time, origin string, position int64, emit source.Emit) error {
	unreadable := func(reason string) error {
		return emit(source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: origin, Position: position, Reason: reason, Raw: raw}})
	}
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return unreadable(fmt.Sprintf("not a v1.1 message: %v", err))
	}
	switch {
	case m.Statuses != nil && listed:
		return unreadable("a search response within another")
	case m.Statuses != nil:
		for i, status := range m.Statuses {
			if err := decode(status, true, now, fmt.Sprintf("%s statuses[%d]", origin, i), position, emit); err != nil {
				return err
			}
		}
		return nil
	case m.Delete != nil:
		if m.Delete.Status == nil || (m.Delete.Status.IDStr == "" && m.Delete.Status.ID == 0) {
			return unreadable("delete notice without a status id")
		}
		id := m.Delete.Status.IDStr
		if id == "" {
			id = strconv.FormatInt(m.Delete.Status.ID, 10)
		}
		at, _ := millis(m.Delete.TimestampMS) // absent in older archives; the delete then has no time of its own
		return emit(source.Event{Kind: source.Delete, Post: post.Post{Source: SourceName, ID: id, CreatedAt: at}})
	case m.IDStr == "" && m.ID == 0 && m.User == nil:
		if isNotice(raw) {
			return nil
		}
		return unreadable("neither a post nor a notice of API v1.1")
	}
	p, err := toPost(&m)
	if err != nil {
		return unreadable(err.Error())
	}
	return emit(source.Post(p, 0, now, origin, position, raw))
}

func toPost(m *message) (post.Post, error) {
	t := &m.Tweet
	if t.User == nil {
		return post.Post{}, errors.New(`field "user" is missing`)
	}
	at, ok := millis(m.TimestampMS)
	if !ok {
		var err error
		if at, err = time.Parse(time.RubyDate, t.CreatedAt); err != nil {
			return post.Post{}, fmt.Errorf(`field "created_at" is %q; "Mon Jan 02 15:04:05 +0000 2006" is expected`, t.CreatedAt)
		}
	}
	p := post.Post{
		Source:         SourceName,
		ID:             idOf(t.IDStr, t.ID),
		Author:         t.User.ScreenName,
		Text:           normal.Text(html.UnescapeString(textOf(t))),
		CreatedAt:      at.UTC(),
		Lang:           normal.Lang(t.Lang),
		ReplyTo:        idOf(t.InReplyToStatusIDStr, t.InReplyToStatusID),
		AuthorVerified: t.User.Verified,
	}
	if p.Author == "" {
		p.Author = idOf(t.User.IDStr, t.User.ID)
	}
	if p.Author != "" && p.ID != "" {
		p.URL = "https://twitter.com/" + p.Author + "/status/" + p.ID
	}
	if t.RetweetedStatus != nil {
		p.RepostOf = idOf(t.RetweetedStatus.IDStr, t.RetweetedStatus.ID)
	}
	if t.Place != nil {
		p.Place = normal.Field(t.Place.FullName)
	}
	return p, nil
}

// textOf prefers the whole text over the 140 characters that old clients were shown, with its links whole.
func textOf(t *twitter.Tweet) string {
	text, links := t.Text, t.Entities
	switch {
	case t.ExtendedTweet != nil && t.ExtendedTweet.FullText != "":
		text, links = t.ExtendedTweet.FullText, t.ExtendedTweet.Entities
	case t.FullText != "":
		text = t.FullText
	}
	if links != nil {
		for _, u := range links.Urls[:min(len(links.Urls), 100)] {
			text = normal.Expand(text, u.URL, u.ExpandedURL)
		}
	}
	return text
}

func idOf(s string, n int64) string {
	if s != "" || n == 0 {
		return s
	}
	return strconv.FormatInt(n, 10)
}

func millis(s string) (time.Time, bool) {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// isNotice tells the stream's own notices, which hold one known key, from rubbish.
func isNotice(raw []byte) bool {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) != nil {
		return false
	}
	for _, k := range []string{"limit", "warning", "disconnect", "scrub_geo", "status_withheld", "user_withheld", "friends", "friends_str", "event", "direct_message"} {
		if _, ok := keys[k]; ok {
			return true
		}
	}
	return false
}
