// Package jetstream reads Bluesky's Jetstream, version 1 of its wire format. It must never write a post into a log.
package jetstream

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
	"outcry.dev/services/ingest/source"
)

// SourceName is the source that these posts carry.
const SourceName = "bluesky"

// Collection is the only one that holds posts.
const Collection = "app.bsky.feed.post"

type event struct {
	DID     string  `json:"did"`
	TimeUS  int64   `json:"time_us"`
	Kind    string  `json:"kind"`
	Commit  *commit `json:"commit"`
	Account *struct {
		Active bool `json:"active"`
	} `json:"account"`
}

type commit struct {
	Rev        string  `json:"rev"`
	Operation  string  `json:"operation"`
	Collection string  `json:"collection"`
	RKey       string  `json:"rkey"`
	Record     *record `json:"record"`
}

type record struct {
	Text  string   `json:"text"`
	Langs []string `json:"langs"`
	Reply *struct {
		Parent struct {
			URI string `json:"uri"`
		} `json:"parent"`
	} `json:"reply"`
	Facets []struct {
		Index struct {
			Start int `json:"byteStart"`
			End   int `json:"byteEnd"`
		} `json:"index"`
		Features []struct {
			URI string `json:"uri"`
		} `json:"features"`
	} `json:"facets"`
}

// Decode turns one event into at most one. Likes, follows, identities and the like give none.
func Decode(raw []byte, now time.Time, origin string, position int64, emit source.Emit) error {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return emit(unreadable(origin, position, fmt.Sprintf("not a Jetstream event: %v", err), raw))
	}
	if out, ok := e.convert(raw, now, origin, position); ok {
		return emit(out)
	}
	return nil
}

func unreadable(origin string, position int64, reason string, raw []byte) source.Event {
	return source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: origin, Position: position, Reason: reason, Raw: raw}}
}

// convert returns what an event says of posts, or false where it says nothing of them.
func (e *event) convert(raw []byte, now time.Time, origin string, position int64) (source.Event, bool) {
	broken := func(reason string) (source.Event, bool) { return unreadable(origin, position, reason, raw), true }
	at := time.UnixMicro(e.TimeUS).UTC()
	switch {
	case e.DID == "" || e.TimeUS <= 0 || e.Kind == "":
		return broken("not a Jetstream event: did, time_us or kind is missing")
	case e.Kind == "account":
		if e.Account == nil {
			return broken("account event without an account")
		}
		if e.Account.Active {
			return source.Event{}, false
		}
		// Deleted, deactivated, suspended or taken down: whichever it is, the network shows nothing of the account any more.
		return source.Event{Kind: source.RemoveAuthor, Post: post.Post{Source: SourceName, Author: e.DID, CreatedAt: at}}, true
	case e.Kind != "commit" || (e.Commit != nil && e.Commit.Collection != Collection):
		return source.Event{}, false
	case e.Commit == nil || e.Commit.RKey == "":
		return broken("commit without collection or rkey")
	}
	id := "at://" + e.DID + "/" + Collection + "/" + e.Commit.RKey
	switch e.Commit.Operation {
	case "delete":
		return source.Event{Kind: source.Delete, Post: post.Post{Source: SourceName, ID: id, CreatedAt: at}}, true
	case "create", "update":
	default:
		return broken(fmt.Sprintf("unknown operation %q", e.Commit.Operation))
	}
	r := e.Commit.Record
	if r == nil {
		return broken("commit without a record")
	}
	p := post.Post{Source: SourceName, ID: id, Author: e.DID, Text: normal.Text(r.whole()), CreatedAt: at,
		URL: "https://bsky.app/profile/" + e.DID + "/post/" + e.Commit.RKey}
	if len(r.Langs) > 0 {
		p.Lang = normal.Lang(r.Langs[0])
	}
	if r.Reply != nil && strings.HasPrefix(r.Reply.Parent.URI, "at://") {
		p.ReplyTo = r.Reply.Parent.URI
	}
	var revision int64
	if e.Commit.Operation == "update" {
		revision = e.TimeUS
	}
	return source.Post(p, revision, now, origin, position, raw), true
}

// whole is the text with its links whole: clients shorten what they show.
func (r *record) whole() string {
	var links []normal.Link
	for _, f := range r.Facets {
		for _, feature := range f.Features {
			if uri := normal.URL(feature.URI); uri != "" {
				links = append(links, normal.Link{Start: f.Index.Start, End: f.Index.End, URL: uri})
			}
		}
	}
	return normal.Links(r.Text, links)
}
