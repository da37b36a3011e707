package x

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"time"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
)

// SourceName is the source that these posts carry.
const SourceName = post.X

type reference struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type note struct {
	Text     string   `json:"text"`
	Entities entities `json:"entities"`
}

// entities say which addresses the short ones in a text stand for.
type entities struct {
	URLs []struct {
		URL      string `json:"url"`
		Expanded string `json:"expanded_url"`
	} `json:"urls"`
}

func (e *entities) expand(text string) string {
	for _, u := range e.URLs[:min(len(e.URLs), 100)] {
		text = normal.Expand(text, u.URL, u.Expanded)
	}
	return text
}

// message is a line of the stream. Each field can be absent, and has one of two spellings.
type message struct {
	Data *struct {
		ID         string      `json:"id"`
		Text       string      `json:"text"`
		AuthorID   string      `json:"author_id"`
		CreatedAt  time.Time   `json:"created_at"`
		Lang       string      `json:"lang"`
		Tweets     []reference `json:"referenced_tweets"`
		Posts      []reference `json:"referenced_posts"`
		TweetEdits []string    `json:"edit_history_tweet_ids"`
		PostEdits  []string    `json:"edit_history_post_ids"`
		NoteTweet  *note       `json:"note_tweet"`
		NotePost   *note       `json:"note_post"`
		Entities   entities    `json:"entities"`
		Geo        struct {
			PlaceID string `json:"place_id"`
		} `json:"geo"`
	} `json:"data"`
	Includes struct {
		Users []struct {
			ID       string `json:"id"`
			Username string `json:"username"`
			Verified bool   `json:"verified"`
		} `json:"users"`
		Places []struct {
			ID       string `json:"id"`
			FullName string `json:"full_name"`
		} `json:"places"`
	} `json:"includes"`
	Errors []problem `json:"errors"`
	problem
}

// decode reads a line. edited are the ids of earlier versions of the post, the oldest first.
func decode(raw []byte, received time.Time) (p post.Post, edited []string, m *message, err error) {
	m = &message{}
	if err := json.Unmarshal(raw, m); err != nil {
		return p, nil, nil, fmt.Errorf("not a message of the stream: %w", err)
	}
	d := m.Data
	if d == nil {
		return p, nil, m, nil
	}
	if d.ID == "" || len(d.ID) > 100 {
		return p, nil, m, errors.New("a post without an id")
	}
	p = post.Post{Source: SourceName, ID: d.ID, Author: d.AuthorID, Text: d.Entities.expand(d.Text), CreatedAt: normal.Time(d.CreatedAt, received), Lang: normal.Lang(d.Lang)}
	for _, n := range []*note{d.NoteTweet, d.NotePost} {
		if n != nil && n.Text != "" {
			p.Text = n.Entities.expand(n.Text)
		}
	}
	p.Text = normal.Text(html.UnescapeString(p.Text))
	for _, u := range m.Includes.Users {
		if u.ID == d.AuthorID && u.Username != "" {
			p.Author, p.AuthorVerified = u.Username, u.Verified
		}
	}
	if p.Author == "" {
		return p, nil, m, errors.New("a post without an author")
	}
	for _, place := range m.Includes.Places {
		if place.ID == d.Geo.PlaceID {
			p.Place = normal.Field(place.FullName)
		}
	}
	for _, refs := range [][]reference{d.Tweets, d.Posts} {
		for _, r := range refs {
			switch r.Type {
			case "replied_to":
				p.ReplyTo = r.ID
			case "retweeted", "reposted":
				p.RepostOf = r.ID
			}
		}
	}
	p.URL = normal.URL("https://x.com/i/status/" + d.ID)
	for _, ids := range [][]string{d.TweetEdits, d.PostEdits} {
		for _, id := range ids {
			if id != "" && id != d.ID && len(id) <= 100 {
				edited = append(edited, id)
			}
		}
	}
	return p, edited, m, nil
}
