// Package mastodon reads the public timelines of Mastodon servers, and of others that speak its API, by WebSocket or server-sent events. It must
// never write a post or a token into a log.
//
// What is not obvious:
//
//   - A stream cannot be resumed. What was missed is read from the timeline (min_id) before the stream is opened and once more after,
//     and what comes twice is dropped.
//   - A post is known by its uri, which is the same on all servers; a delete names the id that one server gave it. So the connector
//     remembers which is which, for a few hundred thousand posts, and after a restart asks for the last few hundred.
//   - What was deleted while nobody listened is asked for, among what is stored: of each server its own posts, whose uri has the id in it. A post of
//     another server is not: this one's id of it is not stored, this one also drops such posts for reasons of its own, and the other is none that
//     the operator has chosen to talk to. Its text expires.
//   - 404 alone is no word that a post is gone: it must come from the API, of a server that gives a post that is there.
//   - A delete can come before its post, and an edit after the delete: what is deleted stays so.
//   - A missing scope or an unknown stream is answered by an upgrade that works and a frame that says no.
package mastodon
