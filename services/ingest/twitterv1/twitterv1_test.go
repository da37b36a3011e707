package twitterv1

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/source"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func events(t *testing.T, raw string) []source.Event {
	t.Helper()
	var got []source.Event
	err := Decode([]byte(raw), now, "f", 3, func(e source.Event) error {
		got = append(got, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const (
	user  = `"user":{"id":12,"id_str":"12","screen_name":"ann","verified":true}`
	tweet = `"id":7,"id_str":"7","created_at":"Wed Dec 22 16:20:59 +0000 2010","lang":"en",` + user
)

func TestPosts(t *testing.T) {
	base := post.Post{Source: SourceName, ID: "7", Author: "ann", Text: "hi", CreatedAt: time.Date(2010, 12, 22, 16, 20, 59, 0, time.UTC),
		Lang: "en", URL: "https://twitter.com/ann/status/7", AuthorVerified: true}
	with := func(change func(*post.Post)) post.Post {
		p := base
		change(&p)
		return p
	}
	for _, tt := range []struct {
		name, raw string
		want      post.Post
	}{
		{"plain", `{` + tweet + `,"text":"hi"}`, base},
		{"text of the extended mode", `{` + tweet + `,"full_text":"hi"}`, base},
		{"extended tweet of the stream", `{` + tweet + `,"truncated":true,"text":"h…","extended_tweet":{"full_text":"hi","display_text_range":[0,2]}}`, base},
		{"entities in the text", `{` + tweet + `,"text":"a &lt;b&gt; &amp; c"}`, with(func(p *post.Post) { p.Text = "a <b> & c" })},
		{"whole links, plain text", `{` + tweet + `,"text":" see  https://t.co/ab\u0000","entities":{"urls":[{"url":"https://t.co/ab","expanded_url":"https://example.org/a","indices":[5,20]},{"url":"https://t.co/ab","expanded_url":null}]}}`,
			with(func(p *post.Post) { p.Text = "see https://example.org/a" })},
		{"milliseconds of the stream", `{` + tweet + `,"text":"hi","timestamp_ms":"1293034859657"}`, with(func(p *post.Post) { p.CreatedAt = p.CreatedAt.Add(657 * time.Millisecond) })},
		{"reply", `{` + tweet + `,"text":"hi","in_reply_to_status_id":6,"in_reply_to_status_id_str":"6"}`, with(func(p *post.Post) { p.ReplyTo = "6" })},
		{"retweet", `{` + tweet + `,"text":"hi","retweeted_status":{"id_str":"5","text":"x","user":{"screen_name":"bob"}}}`, with(func(p *post.Post) { p.RepostOf = "5" })},
		{"place", `{` + tweet + `,"text":"hi","place":{"full_name":"Oslo, Norway"}}`, with(func(p *post.Post) { p.Place = "Oslo, Norway" })},
		{"undetermined language", `{` + strings.Replace(tweet, `"en"`, `"und"`, 1) + `,"text":"hi"}`, with(func(p *post.Post) { p.Lang = "" })},
		{"numbers only", `{"id":7,"text":"hi","created_at":"Wed Dec 22 16:20:59 +0000 2010","in_reply_to_status_id":6,"user":{"id":12}}`,
			post.Post{Source: SourceName, ID: "7", Author: "12", Text: "hi", CreatedAt: base.CreatedAt, ReplyTo: "6", URL: "https://twitter.com/12/status/7"}},
	} {
		got := events(t, tt.raw)
		if len(got) != 1 || got[0].Kind != source.Upsert {
			t.Errorf("%s: %+v", tt.name, got)
			continue
		}
		if diff := cmp.Diff(tt.want, got[0].Post); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// told writes events as lines.
func told(events []source.Event) string {
	var b strings.Builder
	for _, e := range events {
		switch e.Kind {
		case source.Upsert:
			fmt.Fprintln(&b, "post", e.Post.ID)
		case source.Delete:
			fmt.Fprintln(&b, "delete", e.Post.Source, e.Post.ID, e.Post.CreatedAt.UnixMilli())
		case source.Unreadable:
			fmt.Fprintf(&b, "%s:%d: %s\n", e.Fault.Origin, e.Fault.Position, e.Fault.Reason)
		}
	}
	return b.String()
}

func TestOtherMessages(t *testing.T) {
	never := fmt.Sprint(time.Time{}.UnixMilli())
	for _, tt := range []struct{ name, raw, want string }{
		{"delete", `{"delete":{"status":{"id":7,"id_str":"7","user_id":3,"user_id_str":"3"},"timestamp_ms":"1293034859657"}}`, "delete twitter 7 1293034859657\n"},
		{"delete without time or text id", `{"delete":{"status":{"id":7,"user_id":3}}}`, "delete twitter 7 " + never + "\n"},
		{"delete of nothing", `{"delete":{"status":{}}}`, "f:3: delete notice without a status id\n"},
		{"delete of something else", `{"delete":{}}`, "f:3: delete notice without a status id\n"},
		{"search response", `{"statuses":[{` + tweet + `,"text":"hi"},{"id_str":"8","created_at":"x","user":{"screen_name":"b"}},7],"search_metadata":{"count":3}}`,
			"post 7\nf statuses[1]:3: field \"created_at\" is \"x\"; \"Mon Jan 02 15:04:05 +0000 2006\" is expected\n" +
				"f statuses[2]:3: not a v1.1 message: json: cannot unmarshal number into Go value of type twitterv1.message\n"},
		{"empty search response", `{"statuses":[]}`, ""},
		{"search response within another", `{"statuses":[{"statuses":[{}]}]}`, "f statuses[0]:3: a search response within another\n"},
		{"limit notice", `{"limit":{"track":12}}`, ""},
		{"warning", `{"warning":{"code":"FALLING_BEHIND"}}`, ""},
		{"disconnect", `{"disconnect":{"code":4}}`, ""},
		{"another object", `{"hello":1}`, "f:3: neither a post nor a notice of API v1.1\n"},
		{"empty object", `{}`, "f:3: neither a post nor a notice of API v1.1\n"},
		{"no JSON", `hello`, "f:3: not a v1.1 message: invalid character 'h' looking for beginning of value\n"},
		{"no user", `{"id_str":"7","text":"hi","created_at":"Wed Dec 22 16:20:59 +0000 2010"}`, "f:3: field \"user\" is missing\n"},
		{"user without a name", `{"id_str":"7","text":"hi","created_at":"Wed Dec 22 16:20:59 +0000 2010","user":{}}`, "f:3: field \"author\" is missing or empty\n"},
		{"the future", strings.Replace(`{`+tweet+`,"text":"hi"}`, "2010", "2030", 1), "f:3: field \"created_at\" lies in the future: 2030-12-22T16:20:59Z\n"},
	} {
		if diff := cmp.Diff(tt.want, told(events(t, tt.raw))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestEmitsErrorEndsTheList(t *testing.T) {
	n := 0
	err := Decode([]byte(`{"statuses":[{`+tweet+`},{`+tweet+`}]}`), now, "f", 1, func(source.Event) error { n++; return fmt.Errorf("boom") })
	if err == nil || n != 1 {
		t.Errorf("%d events, %v", n, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{` + tweet + `,"text":"&#x110000;"}`, `{"delete":{"status":{"id":-1}}}`, `{"statuses":[[],null]}`, `null`, `{"limit":1}`, `{"statuses":[{"statuses":[{}]}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = Decode(raw, now, "f", 1, func(e source.Event) error {
			switch {
			case e.Kind == source.Upsert && e.Post.Validate() != nil:
				t.Errorf("%q gave an invalid post: %v", raw, e.Post.Validate())
			case e.Kind == source.Delete && (e.Post.ID == "" || e.Post.Source != SourceName):
				t.Errorf("%q gave a delete of nothing", raw)
			case e.Kind == source.Unreadable && (e.Fault == nil || e.Fault.Reason == ""):
				t.Errorf("%q gave a fault without a reason", raw)
			}
			return nil
		})
	})
}
