package source

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
)

// Whatever a source hands in, what comes out is a fault that says why, or a valid post in the one normal form: bringing it there again changes nothing.
func FuzzPost(f *testing.F) {
	now := time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)
	f.Add("1", "bluesky", "ann", " a  b\x00\u2028e\u0301", "PT_br", "javascript:x", " Oslo,\n Norway ", "9", now.Unix())
	f.Add("1", "x", "ann", "skype is down", "en", "https://x.example/1", "", "", int64(1))
	f.Add("", "", "", "\xff", "english", "https://a b", "\u200b", "\xff", now.Unix()+1_000_000)
	f.Fuzz(func(t *testing.T, id, source, author, text, lang, url, place, reply string, at int64) {
		e := Post(post.Post{ID: id, Source: source, Author: author, Text: text, Lang: lang, URL: url, Place: place, ReplyTo: reply, CreatedAt: time.Unix(at, 0)}, 0, now, "f", 1, nil)
		switch e.Kind {
		case Upsert:
			again := e.Post
			normal.Post(&again)
			if diff := cmp.Diff(e.Post, again); diff != "" || e.Post.Validate() != nil || !utf8.ValidString(e.Post.Lang+e.Post.URL+e.Post.Place) {
				t.Errorf("%+v is not in the normal form: %v\n%s", e.Post, e.Post.Validate(), diff)
			}
			if e.Post.ID != id || e.Post.ReplyTo != reply || e.Post.CreatedAt.After(now.Add(MaxFuture)) || e.Post.CreatedAt.Location() != time.UTC {
				t.Errorf("%+v", e.Post)
			}
		case Unreadable:
			if e.Fault.Reason == "" {
				t.Error("a fault without a reason")
			}
		default:
			t.Errorf("kind %d", e.Kind)
		}
	})
}
