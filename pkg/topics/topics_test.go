package topics_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/topics"
)

func TestPostKeysTellPostsApart(t *testing.T) {
	keys := map[string]bool{}
	for _, k := range [][2]string{{"twitter", "1"}, {"twitter1", ""}, {"", "twitter1"}, {"twitte", "r1"}, {"mastodon", "1"}} {
		keys[string(topics.PostKey(k[0], k[1]))] = true
	}
	if len(keys) != 5 {
		t.Errorf("five posts have %d keys", len(keys))
	}
	if !bytes.Equal(topics.PostKey("twitter", "1"), []byte("twitter\x001")) {
		t.Errorf("key is %q", topics.PostKey("twitter", "1"))
	}
}

func TestTopics(t *testing.T) {
	for _, topic := range topics.All(7) {
		partitioned := topic.Name == topics.Posts || topic.Name == topics.Mentions
		if partitioned != (topic.Partitions == 7) || !partitioned && topic.Name != topics.Sources && topic.Partitions != 1 {
			t.Errorf("%s has %d partitions", topic.Name, topic.Partitions)
		}
		if topic.Name == topics.Sources {
			continue // states of sources: compacted, and forgotten when a source has not been listened to for a year
		}
		// Texts expire; incidents are kept by their latest state.
		if keptForEver := topic.Retention == 0; keptForEver != topic.Compacted || topic.Compacted != (topic.Name == topics.Incidents) {
			t.Errorf("%s is compacted: %v, kept for %s", topic.Name, topic.Compacted, topic.Retention)
		}
	}
}

// Whatever could not be read can be written as a dead letter.
func FuzzDeadLetter(f *testing.F) {
	f.Add("a.jsonl", int64(3), "no author", []byte("{"))
	f.Add("\xff", int64(-1), "bad \xc3", bytes.Repeat([]byte{0xff}, topics.MaxDeadBytes+1))
	f.Fuzz(func(t *testing.T, origin string, position int64, reason string, value []byte) {
		d := topics.DeadLetter("ingest", origin, position, reason, value)
		if _, err := proto.Marshal(d); err != nil {
			t.Fatal(err)
		}
		if len(d.GetValue()) > topics.MaxDeadBytes || !bytes.HasPrefix(value, d.GetValue()) || d.GetValueBytes() != int64(len(value)) || d.GetPosition() != position {
			t.Errorf("%d of %d bytes are kept, %d stated", len(d.GetValue()), len(value), d.GetValueBytes())
		}
		if utf8.ValidString(reason) && d.GetReason() != reason || strings.Contains(d.GetOrigin(), "\xff") {
			t.Errorf("reason %q, origin %q", d.GetReason(), d.GetOrigin())
		}
	})
}
