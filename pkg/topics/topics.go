// Package topics names the Kafka topics, their keys and how they are kept. It must never move a message.
package topics

import (
	"strings"
	"time"

	"outcry.dev/pkg/bus"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Names carry the version of their messages.
const (
	Posts     = "posts.v1"
	Mentions  = "mentions.v1"
	Incidents = "incidents.v1"
	Dead      = "dead.v1"
	// Sources holds cursors and states of the sources: whoever owns a partition of it runs the sources whose names belong there.
	Sources = "sources.v1"
)

// sourcePartitions is among how many processes sources can be shared.
const sourcePartitions = 8

// DefaultPartitions of posts.v1 and mentions.v1: enough for two cores to share, few enough for progress to stay cheap.
const DefaultPartitions = 2

// Retention of texts in Kafka: what a network or its author withdraws is gone from there a day later at the latest, which is what the strictest
// of them (X) asks for. A stage that has been down for longer misses what came before; the embedded broker keeps what has not been read.
const Retention = 24 * time.Hour

// All returns every topic, with posts.v1 and mentions.v1 cut into a number of partitions.
func All(partitions int) []bus.Topic {
	return []bus.Topic{
		{Name: Posts, Partitions: partitions, Retention: Retention},
		{Name: Mentions, Partitions: partitions, Retention: Retention},
		{Name: Incidents, Partitions: 1, Compacted: true},
		{Name: Dead, Partitions: 1, Retention: Retention},
		{Name: Sources, Partitions: sourcePartitions, Compacted: true, Retention: 365 * 24 * time.Hour},
	}
}

// PostKey is the key of a post: all changes of one post stay in order.
func PostKey(source, id string) []byte {
	return append(append(append(make([]byte, 0, len(source)+1+len(id)), source...), 0), id...)
}

// MaxDeadBytes is how much of unreadable bytes a dead letter keeps.
const MaxDeadBytes = 64 << 10

// DeadLetter returns the dead letter for bytes that a stage could not read.
func DeadLetter(stage, origin string, position int64, reason string, value []byte) *outcryv1.DeadLetter {
	return &outcryv1.DeadLetter{Stage: stage, Origin: strings.ToValidUTF8(origin, "\uFFFD"), Position: position,
		Reason: strings.ToValidUTF8(reason, "\uFFFD"),
		Value:  value[:min(len(value), MaxDeadBytes)], ValueBytes: int64(len(value))}
}
