// Package jetstream reads Bluesky's Jetstream. It must never write a post into a log.
package jetstream

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/source"
)

// SourceName is the source that these posts carry.
const SourceName = "bluesky"

// Collection is the only one that holds posts.
const Collection = "app.bsky.feed.post"

type event struct {
	DID    string  `json:"did"`
	TimeUS int64   `json:"time_us"`
	Kind   string  `json:"kind"`
	Commit *commit `json:"commit"`
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
}

// Decode turns one event into at most one. Likes, follows, identities and the like give none.
func Decode(raw []byte, now time.Time, origin string, position int64, emit source.Emit) error {
	unreadable := func(reason string) error {
		return emit(source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: origin, Position: position, Reason: reason, Raw: raw}})
	}
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return unreadable(fmt.Sprintf("not a Jetstream event: %v", err))
	}
	switch {
	case e.DID == "" || e.TimeUS <= 0 || e.Kind == "":
		return unreadable("not a Jetstream event: did, time_us or kind is missing")
	case e.Kind != "commit" || (e.Commit != nil && e.Commit.Collection != Collection):
		return nil
	case e.Commit == nil || e.Commit.RKey == "":
		return unreadable("commit without collection or rkey")
	}
	id := "at://" + e.DID + "/" + Collection + "/" + e.Commit.RKey
	at := time.UnixMicro(e.TimeUS).UTC()
	switch e.Commit.Operation {
	case "delete":
		return emit(source.Event{Kind: source.Delete, Post: post.Post{Source: SourceName, ID: id, CreatedAt: at}})
	case "create", "update":
	default:
		return unreadable(fmt.Sprintf("unknown operation %q", e.Commit.Operation))
	}
	r := e.Commit.Record
	if r == nil {
		return unreadable("commit without a record")
	}
	p := post.Post{Source: SourceName, ID: id, Author: e.DID, Text: r.Text, CreatedAt: at,
		URL: "https://bsky.app/profile/" + e.DID + "/post/" + e.Commit.RKey}
	if len(r.Langs) > 0 {
		p.Lang = r.Langs[0]
	}
	if r.Reply != nil && strings.HasPrefix(r.Reply.Parent.URI, "at://") {
		p.ReplyTo = r.Reply.Parent.URI
	}
	var revision int64
	if e.Commit.Operation == "update" {
		revision = e.TimeUS
	}
	return emit(source.Post(p, revision, now, origin, position, raw))
}
