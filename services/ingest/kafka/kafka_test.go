package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/services/ingest/floodtest"
	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var silent = slog.New(slog.DiscardHandler)

func words(e source.Event) string {
	switch e.Kind {
	case source.Upsert:
		return fmt.Sprintf("%s/%s by %s at %s: %s (%d)", e.Post.Source, e.Post.ID, e.Post.Author, e.Post.CreatedAt.UTC().Format(time.RFC3339), e.Post.Text, e.Revision)
	case source.Delete:
		return "delete " + e.Post.Source + "/" + e.Post.ID
	case source.Unreadable:
		return "unreadable " + e.Fault.Reason
	case source.Mark:
		return "mark"
	}
	return "?"
}

// Records become posts by the mapping; what does not is told of with its place.
func TestMapping(t *testing.T) {
	c := DefaultConfig()
	c.Brokers, c.Topic, c.HTML = []string{"127.0.0.1:1"}, "chatter", true
	c.Fields = map[string]string{"id": "@key", "text": "message.body", "author": "message.user.id", "created_at": "ts", "deleted": "gone", "source": "net.work"}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s := &Source{cfg: c}
	now := time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ name, key, value, want string }{
		{"mapped", "k1", `{"ts":1795575600,"message":{"body":"skype is <b>down</b>","user":{"id":12345678901234567890}}}`, "kafka/k1 by 12345678901234567890 at 2026-11-25T03:00:00Z: skype is down (0)"},
		{"milliseconds, and a name with a dot", "k2", `{"ts":1795575600123,"net.work":"forum","message":{"body":"x","user":{"id":"ann"}},"revision":3}`, "forum/k2 by ann at 2026-11-25T03:00:00Z: x (3)"},
		{"microseconds", "k2", `{"ts":"1795575600123456","message":{"body":"x","user":{"id":"ann"}}}`, "kafka/k2 by ann at 2026-11-25T03:00:00Z: x (0)"},
		{"RFC 3339", "k2", `{"ts":"2026-11-25T02:00:00+01:00","message":{"body":"x","user":{"id":"ann"}}}`, "kafka/k2 by ann at 2026-11-25T01:00:00Z: x (0)"},
		{"deleted", "k3", `{"gone":true}`, "delete kafka/k3"},
		{"a tombstone", "k4", "", "delete kafka/k4"},
		{"a tombstone of nothing", "", "", "unreadable a delete without an id that fits"},
		{"no time", "k5", `{"message":{"body":"x"}}`, `unreadable field "created_at" is missing or empty`},
		{"a bad time", "k5", `{"ts":"noon"}`, `unreadable field "created_at" is "noon"; RFC 3339, or a number since 1970, is expected`},
		{"the future", "k5", `{"ts":4795575600,"message":{"body":"x","user":{"id":"ann"}}}`, `unreadable field "created_at" is in the year 2121`},
		{"no author", "k5", `{"ts":1795575600,"message":["x"]}`, `unreadable field "author" is missing or empty`},
		{"no object", "k5", `[1]`, "unreadable not a JSON object: json: cannot unmarshal array into Go value of type map[string]interface {}"},
		{"too long", "k5", strings.Repeat("x", maxRecord+1), "unreadable record of more than 1048576 bytes"},
	} {
		if got := words(s.decode([]byte(tt.key), []byte(tt.value), 0, 7, now)); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
	s.cfg.Fields = nil
	if got := words(s.decode([]byte("k"), nil, 0, 0, now)); got != "mark" {
		t.Errorf("a tombstone without a key that is the id: %s", got)
	}
	if got := words(s.decode(nil, []byte(`{"id":"1","source":"s","author":"a","text":"t","created_at":"2026-11-25T03:00:00Z"}`), 0, 0, now)); got != "s/1 by a at 2026-11-25T03:00:00Z: t (0)" {
		t.Errorf("as files have it: %s", got)
	}
}

// cluster is a broker of the test's own.
func cluster(t *testing.T) (*broker.Broker, *bus.Bus) {
	t.Helper()
	server, err := broker.Start(broker.Config{}, silent)
	if err != nil {
		t.Fatal(err)
	}
	b := bus.New(bus.Config{Brokers: server.Addrs()}, silent)
	t.Cleanup(func() {
		b.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server, b
}

// A probe says what comes of the mapping, and changes nothing in the cluster.
func TestProbeTriesTheMapping(t *testing.T) {
	server, b := cluster(t)
	const (
		good   = `{"id":"1","author":"ann","text":"hello","created_at":"2026-11-25T03:00:00Z"}`
		other  = `{"id":"1","user":"ann","body":"a secret","ts":1795575600}`
		mapped = `{"id":"1","deleted":true}`
	)
	repeat := func(value string, n int) []string { return slices.Repeat([]string{value}, n) }
	for i, tt := range []struct {
		name    string
		records []string // the first goes to partition 0, the next to 1
		fields  map[string]string
		want    string
	}{
		{"nothing", nil, nil, "2 partitions, 0 records"},
		{"posts", repeat(good, 3), nil, "2 partitions, 3 records; of the 3 latest that were tried 3 are posts"},
		{"the latest of many", slices.Concat(repeat(other, 100), repeat(good, 20)), nil, "2 partitions, 120 records; of the 20 latest that were tried 20 are posts"},
		{"all kinds", []string{good, "", mapped, other}, nil, "2 partitions, 4 records; of the 4 latest that were tried 1 are posts, 1 withdraw one, 1 are empty, 1 are neither and would go to dead.v1; " +
			`the first: partition 1, offset 1: field "created_at" is missing or empty (it has the fields body, id, ts, user); check ingest.kafka.fields if those should be posts`},
		{"none", repeat(other, 30), nil, "wrong: 2 partitions, 30 records: none of the 20 latest records that were tried is a post by ingest.kafka.fields; the first that is not: " +
			`partition 0, offset 5: field "created_at" is missing or empty (it has the fields body, id, ts, user); name there where a record has text, id, author and created_at`},
		{"the same, mapped", repeat(other, 30), map[string]string{"author": "user", "text": "body", "created_at": "ts"}, "2 partitions, 30 records; of the 20 latest that were tried 20 are posts"},
		{"no JSON", []string{"hello"}, nil, "wrong: 2 partitions, 1 records: none of the 1 latest records that were tried is a post by ingest.kafka.fields; the first that is not: " +
			"partition 0, offset 0: not a JSON object: invalid character 'h' looking for beginning of value; name there where a record has text, id, author and created_at"},
	} {
		topic := fmt.Sprint("chatter-", i)
		if err := b.EnsureTopics(t.Context(), bus.Topic{Name: topic, Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		producer, err := b.Producer(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		var records []bus.Message
		for n, value := range tt.records {
			records = append(records, bus.Message{Partition: n % 2, Value: []byte(value)})
		}
		if err := producer.Write(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
		c := DefaultConfig()
		c.Brokers, c.Topic, c.Fields = server.Addrs(), topic, tt.fields
		got, err := (&Source{cfg: c}).Probe(t.Context())
		if err != nil {
			got = "wrong: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// A topic is read once and whole over restarts, from every partition; nothing is committed to the cluster.
func TestResume(t *testing.T) {
	server, b := cluster(t)
	const topic, partitions = "chatter", 3
	if err := b.EnsureTopics(t.Context(), bus.Topic{Name: topic, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	producer, err := b.Producer(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	write := func(n int) {
		var records []bus.Message
		for range n {
			value := fmt.Sprintf(`{"id":"%d","author":"ann","text":"hello","created_at":"2026-11-25T03:00:00Z"}`, written)
			records = append(records, bus.Message{Partition: written % partitions, Value: []byte(value)})
			written++
		}
		if err := producer.Write(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
	}
	c := DefaultConfig()
	c.Brokers, c.Topic, c.From = server.Addrs(), topic, "earliest"
	list, err := c.Sources(source.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	read := func(cursor string, n int) (last string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := list[0].Run(ctx, &source.Session{Cursor: cursor, Status: new(source.Status), Emit: func(e source.Event) error {
			if n == 0 {
				return ctx.Err()
			}
			ids = append(ids, e.Post.ID)
			last = e.Cursor
			if n--; n == 0 {
				cancel()
			}
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
		return last
	}
	write(100)
	cursor := read("", 40)
	write(50)
	cursor = read(cursor, 60)
	cursor = read(cursor, 50)
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 150 {
		t.Errorf("%d different posts of 150", n)
	}
	if cursor != `{"topic":"chatter","offsets":[50,50,50]}` {
		t.Errorf("cursor is %s", cursor)
	}
	if found, err := list[0].(source.Prober).Probe(t.Context()); err != nil || found != "3 partitions, 150 records; of the 20 latest that were tried 20 are posts" {
		t.Errorf("%q, %v", found, err)
	}
}

// A topic of brokers that ask for a password is read with it, and without it doctor says what is wrong.
func TestBrokersThatAsk(t *testing.T) {
	server, err := broker.Start(broker.Config{Users: map[string]string{"ann": "a password"}}, silent)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := DefaultConfig()
	c.Brokers, c.Topic, c.From = server.Addrs(), "chatter", "earliest"
	c.Security = bus.Security{Mechanism: "SCRAM-SHA-256", Username: "ann", Password: "a password"}
	b := bus.New(bus.Config{Brokers: c.Brokers, Security: c.Security}, silent)
	defer b.Close()
	if err := b.EnsureTopics(t.Context(), bus.Topic{Name: c.Topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	p, err := b.Producer(t.Context(), c.Topic)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(t.Context(), bus.Message{Value: []byte(`{"id":"1","author":"ann","text":"hello","created_at":"2026-11-25T03:00:00Z"}`)}); err != nil {
		t.Fatal(err)
	}
	list, err := c.Sources(source.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	got := ""
	if err := list[0].Run(ctx, &source.Session{Status: new(source.Status), Emit: func(e source.Event) error { got = words(e); cancel(); return nil }}); err != nil || got != "kafka/1 by ann at 2026-11-25T03:00:00Z: hello (0)" {
		t.Errorf("%q, %v", got, err)
	}
	c.Security.Password = "another"
	list, err = c.Sources(source.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	short, end := context.WithTimeout(t.Context(), 2*time.Second)
	defer end()
	if found, err := list[0].(source.Prober).Probe(short); err == nil || strings.Contains(err.Error(), "another") {
		t.Errorf("with another password: %q, %v", found, err)
	}
}

func TestBegin(t *testing.T) {
	offsets := []bus.Offsets{{First: 10, Next: 20}, {First: 0, Next: 5}, {First: 0, Next: 7}}
	for _, tt := range []struct {
		name, from, cursor string
		want               []int64
		gaps               int64
	}{
		{"first, latest", "latest", "", []int64{20, 5, 7}, 0},
		{"first, earliest", "earliest", "", []int64{10, 0, 0}, 0},
		{"expired, made anew, new", "latest", `{"topic":"t","offsets":[3,99]}`, []int64{10, 0, 0}, 1},
		{"where it was", "latest", `{"topic":"t","offsets":[11,5,0]}`, []int64{11, 5, 0}, 0},
		{"of another topic", "latest", `{"topic":"u","offsets":[11,5,0]}`, []int64{20, 5, 7}, 0},
		{"rubbish", "latest", `{`, []int64{20, 5, 7}, 0},
	} {
		st := new(source.Status)
		got := (&Source{cfg: Config{Topic: "t", From: tt.from}}).begin(&source.Session{Cursor: tt.cursor, Status: st}, offsets)
		if !slices.Equal(got.Offsets, tt.want) || st.Snapshot(time.Now()).Gaps != tt.gaps {
			t.Errorf("%s: %v", tt.name, got.Offsets)
		}
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	c := Config{Brokers: []string{"nowhere"}, From: "noon", Fields: map[string]string{"body": "x", "text": ""}}
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("%v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("k"), []byte(`{"id":1,"created_at":1795575600,"text":"x","author":{"a":1}}`))
	f.Add([]byte{0xff}, []byte(nil))
	s := &Source{cfg: Config{Topic: "t", Source: "kafka", Fields: map[string]string{"id": "@key"}}}
	now := time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if e := s.decode(key, value, 0, 0, now); e.Kind == source.Upsert && e.Post.Validate() != nil || e.Kind == source.Delete && e.Post.ID == "" {
			t.Errorf("%q %q gave %+v", key, value, e)
		}
	})
}

// A flood of records is read whole and at the pipeline's pace, however many wait.
func TestFlood(t *testing.T) {
	server, b := cluster(t)
	const topic = "chatter"
	if err := b.EnsureTopics(t.Context(), bus.Topic{Name: topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	producer, err := b.Producer(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	post := floodtest.Numbered(`{"id":"?","author":"ann","text":"` + strings.Repeat("skype is down ", 10) + `","created_at":"2026-11-25T03:00:00Z"}`)
	for first := 0; first < floodtest.Posts; first += 1000 {
		var records []bus.Message
		for n := first; n < first+1000; n++ {
			records = append(records, bus.Message{Value: post(nil, n)})
		}
		if err := producer.Write(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
	}
	c := DefaultConfig()
	c.Brokers, c.Topic, c.From = server.Addrs(), topic, "earliest"
	list, err := c.Sources(source.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	floodtest.Run(t, list[0], "", 24<<20) // what is fetched at once, and the broker's own copy of it
}
