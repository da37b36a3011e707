// Package x listens to X through the filtered stream of its API v2. It must never write a post or the token into a log.
//
// What is not obvious:
//
//   - Posts cost money. What was spent in a month (UTC) travels in the cursor, which is durable; the stream ends before the limit, and
//     after a restart a margin is added for what came after the last cursor.
//   - Only ids may be redistributed, so the classifier takes the text away (post.IDsOnly) once it has read it.
//   - The catalog's names are packed into as few rules as fit, whatever service they belong to: what a post is about is not the rule's to say.
//     Rules with another tag are left alone. Rules cannot be changed: they are deleted and added.
//   - The server may spell fields with tweet or with post.
//   - The stream does not tell of deletes. The ids of what is stored are handed in for batch compliance from time to time, and what is gone is
//     withdrawn. Which those are is asked of the tables, and not remembered, so restarts and other processes make no difference. The files of a job lie
//     elsewhere: they are fetched without the token.
//   - There is no going back: what was missed is a gap.
package x
