// Package mastodon reads the public timelines of Mastodon servers, and of others that speak its API, by WebSocket or server-sent events. It must
// never write a post or a token into a log.
//
// What is not obvious:
//
//   - A stream cannot be resumed. What was missed is read from the timeline (min_id) before the stream is opened and once more after,
//     and what comes twice is dropped.
//   - A post is known by its uri, which is the same on all servers; a delete names the id that one server gave it. So the connector
//     remembers which is which, for a few hundred thousand posts, and after a restart asks for the last few hundred. A delete of a post
//     that it does not remember cannot be honoured here; the text then expires.
//   - A delete can come before its post, and an edit after the delete: what is deleted stays so.
//   - A missing scope or an unknown stream is answered by an upgrade that works and a frame that says no.
package mastodon
