// Package source is what every connector speaks: events in the order in which a network or a file gives them, a cursor that says where to go
// on, and the state that people want to see. It must never know a network or Kafka.
//
// What is not obvious:
//
//   - A connector makes one connection, or goes through one file, and returns when that is over. Waiting, connecting again, storing the
//     cursor and being the only one are the stage's.
//   - A cursor travels with its event. It is stored after Kafka has acknowledged the event and everything before it, so a cursor never
//     promises more than what is safe. After a crash a little is delivered again: connectors begin somewhat before the cursor where
//     their network is vague, and posts have ids, so repeating is harmless.
//   - Tombstones win: a delete can arrive before its post. Connectors hand both on as they come; what follows sorts it out by post id.
//   - A connector keeps what it needs between two runs (ids that it has seen, rate limits) in itself: the same Source is run again.
package source
