package jetstream

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

const at = 1772359200123456 // 2026-03-01T10:00:00.123456Z

// commitOf writes an event as Jetstream does.
func commitOf(operation, record string) string {
	return fmt.Sprintf(`{"did":"did:plc:ann","time_us":%d,"kind":"commit","commit":{"rev":"r","operation":%q,"collection":"app.bsky.feed.post","rkey":"k"%s}}`,
		int64(at), operation, record)
}

func decode(t *testing.T, raw string) []source.Event {
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

func TestDecode(t *testing.T) {
	const id = "at://did:plc:ann/app.bsky.feed.post/k"
	base := post.Post{Source: SourceName, ID: id, Author: "did:plc:ann", Text: "hi", CreatedAt: time.UnixMicro(at).UTC(),
		URL: "https://bsky.app/profile/did:plc:ann/post/k"}
	full := base
	full.Lang, full.ReplyTo = "nb", "at://did:plc:bob/app.bsky.feed.post/j"
	long, linked := base, base
	long.Text = strings.Repeat("x", post.MaxTextBytes)
	linked.Text, linked.Lang = "é see https://example.org/a/b/c now", "pt-BR"
	for _, tt := range []struct {
		name, raw string
		want      []source.Event
	}{
		{"post", commitOf("create", `,"record":{"$type":"app.bsky.feed.post","text":"hi","createdAt":"1970-01-01T00:00:00Z"}`), []source.Event{{Post: base}}},
		{"reply with languages", commitOf("create", `,"record":{"text":"hi","langs":["nb","en"],"reply":{"parent":{"uri":"at://did:plc:bob/app.bsky.feed.post/j"},"root":{}}}`),
			[]source.Event{{Post: full}}},
		{"reply to something else", commitOf("create", `,"record":{"text":"hi","reply":{"parent":{"uri":"https://example.org"}}}`), []source.Event{{Post: base}}},
		{"edit", commitOf("update", `,"record":{"text":"hi"}`), []source.Event{{Post: base, Revision: at}}},
		{"delete", commitOf("delete", ``), []source.Event{{Kind: source.Delete, Post: post.Post{Source: SourceName, ID: id, CreatedAt: time.UnixMicro(at).UTC()}}}},
		{"a text beyond the limit is cut", commitOf("create", `,"record":{"text":"`+strings.Repeat("x", post.MaxTextBytes+1)+`"}`), []source.Event{{Post: long}}},
		{"whole links, plain text", commitOf("create", `,"record":{"text":"é  see example.org/a... \u0000now","langs":["PT-br"],"facets":[
			{"index":{"byteStart":8,"byteEnd":24},"features":[{"$type":"app.bsky.richtext.facet#link","uri":"https://example.org/a/b/c"}]},
			{"index":{"byteStart":0,"byteEnd":999},"features":[{"$type":"app.bsky.richtext.facet#link","uri":"javascript:x"}]},
			{"index":{"byteStart":-1,"byteEnd":1},"features":[{"$type":"app.bsky.richtext.facet#mention","did":"did:plc:bob"}]}]}`), []source.Event{{Post: linked}}},
		{"account gone", `{"did":"did:plc:ann","time_us":1772359200123456,"kind":"account","account":{"active":false,"status":"deleted"}}`,
			[]source.Event{{Kind: source.RemoveAuthor, Post: post.Post{Source: SourceName, Author: "did:plc:ann", CreatedAt: time.UnixMicro(at).UTC()}}}},
		{"account back", `{"did":"did:plc:ann","time_us":1,"kind":"account","account":{"active":true}}`, nil},
		{"like", strings.Replace(commitOf("create", `,"record":{}`), "feed.post", "feed.like", 1), nil},
		{"identity", `{"did":"did:plc:ann","time_us":1,"kind":"identity","identity":{}}`, nil},
		{"a kind that is yet to come", `{"did":"did:plc:ann","time_us":1,"kind":"sync"}`, nil},
	} {
		if diff := cmp.Diff(tt.want, decode(t, tt.raw)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestRubbish(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"no JSON", `<html>`, "not a Jetstream event: invalid character '<' looking for beginning of value"},
		{"empty", `{}`, "not a Jetstream event: did, time_us or kind is missing"},
		{"no time", `{"did":"did:plc:ann","kind":"commit"}`, "not a Jetstream event: did, time_us or kind is missing"},
		{"commit without a commit", `{"did":"did:plc:ann","time_us":1,"kind":"commit"}`, "commit without collection or rkey"},
		{"no key", strings.Replace(commitOf("delete", ""), `"k"`, `""`, 1), "commit without collection or rkey"},
		{"no record", commitOf("create", ""), "commit without a record"},
		{"unknown operation", commitOf("burn", ""), `unknown operation "burn"`},
		{"the future", strings.Replace(commitOf("create", `,"record":{"text":"hi"}`), "1772359200123456", "1872359200123456", 1),
			"field \"created_at\" lies in the future: 2029-05-01T19:46:40Z"},
		{"account without an account", `{"did":"did:plc:ann","time_us":1,"kind":"account"}`, "account event without an account"},
	} {
		got := decode(t, tt.raw)
		if len(got) != 1 || got[0].Kind != source.Unreadable {
			t.Errorf("%s: %+v", tt.name, got)
			continue
		}
		want := source.Fault{Origin: "f", Position: 3, Reason: tt.want, Raw: []byte(tt.raw)}
		if diff := cmp.Diff(want, *got[0].Fault); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{commitOf("create", `,"record":{"text":"hi","langs":[""]}`), commitOf("delete", ""), commitOf("update", `,"record":null`), `null`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		events := 0
		_ = Decode(raw, now, "f", 1, func(e source.Event) error {
			events++
			switch {
			case e.Kind == source.Upsert && e.Post.Validate() != nil:
				t.Errorf("%q gave an invalid post: %v", raw, e.Post.Validate())
			case e.Kind == source.Delete && (e.Post.ID == "" || e.Post.Source != SourceName):
				t.Errorf("%q gave a delete of nothing", raw)
			case e.Kind == source.RemoveAuthor && e.Post.Author == "":
				t.Errorf("%q removed nobody", raw)
			case e.Kind == source.Unreadable && (e.Fault == nil || e.Fault.Reason == ""):
				t.Errorf("%q gave a fault without a reason", raw)
			}
			return nil
		})
		if events > 1 {
			t.Errorf("%q gave %d events", raw, events)
		}
	})
}
