// Package kafka reads posts from a topic of somebody else's, with a mapping from its fields to those of posts. It must never join a consumer
// group of others, commit anything to their cluster, or write a post into a log.
//
// What is not obvious: the cursor is the offset of every partition, stored on Outcry's side. A partition that is new is read from its beginning,
// one that retention has overtaken from its oldest record, and the gap is told.
package kafka

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	Brokers []string `koanf:"brokers" doc:"Addresses, host:port, of the brokers that have the topic; empty to read none."`
	Topic   string   `koanf:"topic" doc:"Topic with posts, one JSON object a record."`
	From    string   `koanf:"from" doc:"Where to begin the first time: latest or earliest."`
	Source  string   `koanf:"source" doc:"Source of posts whose records do not say."`
	HTML    bool     `koanf:"html" doc:"Whether texts are HTML."`
	// Security is of those brokers, not of Outcry's own.
	Security bus.Security      `koanf:"security" doc:"How those brokers are spoken to."`
	Fields   map[string]string `koanf:"fields" doc:"Where the fields of a post are in a record, such as text=message.body; a field that is not named is where files have it. @key is the record's key. Besides those of files: deleted and revision."`
}

// DefaultConfig reads nothing.
func DefaultConfig() Config {
	return Config{Brokers: []string{}, From: "latest", Source: "kafka", Fields: map[string]string{}}
}

// fields are what can be mapped.
func fields() []string {
	return []string{"author", "author_verified", "created_at", "deleted", "id", "lang", "place", "reply_to", "repost_of", "revision", "source", "text", "url"}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			faults = append(faults, fmt.Errorf("brokers: %q is not host:port", b))
		}
	}
	if len(c.Brokers) == 0 && c.Security != (bus.Security{}) {
		faults = append(faults, errors.New("security is for brokers; name them in brokers"))
	}
	if len(c.Brokers) > 0 && c.Topic == "" {
		faults = append(faults, errors.New("topic is missing"))
	}
	if c.From != "latest" && c.From != "earliest" {
		faults = append(faults, fmt.Errorf("from is %q; latest and earliest are there", c.From))
	}
	if c.Source == "" || len(c.Source) > 100 {
		faults = append(faults, errors.New("source must have 1 to 100 bytes"))
	}
	for _, f := range slices.Sorted(maps.Keys(c.Fields)) {
		if !slices.Contains(fields(), f) {
			faults = append(faults, fmt.Errorf("fields: %q is none of %s", f, strings.Join(fields(), ", ")))
		}
		if c.Fields[f] == "" {
			faults = append(faults, fmt.Errorf("fields: %s has no place", f))
		}
	}
	return errors.Join(faults...)
}

// Sources returns the one topic, where brokers are set.
func (c Config) Sources(source.Deps) ([]source.Source, error) {
	if len(c.Brokers) == 0 {
		return nil, nil
	}
	return []source.Source{&Source{cfg: c}}, nil
}

// maxRecord is how long a record may be.
const maxRecord = 1 << 20

// Source reads a topic.
type Source struct{ cfg Config }

// Name is that of the topic.
func (s *Source) Name() string { return "kafka/" + s.cfg.Topic[:min(len(s.cfg.Topic), 190)] }

func (s *Source) bus(log *slog.Logger) *bus.Bus {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return bus.New(bus.Config{Brokers: s.cfg.Brokers, Security: s.cfg.Security}, log)
}

// Probe asks for the topic, and tries the mapping on a few of its latest records.
func (s *Source) Probe(ctx context.Context) (string, error) {
	b := s.bus(nil)
	defer b.Close()
	offsets, err := b.Offsets(ctx, s.cfg.Topic)
	if err != nil {
		return "", err
	}
	n := int64(0)
	for _, o := range offsets {
		n += o.Next - o.First
	}
	found := fmt.Sprintf("%d partitions, %d records", len(offsets), n)
	if n == 0 {
		return found, nil
	}
	tried, err := s.sample(ctx, b, offsets)
	if err != nil {
		return "", fmt.Errorf("%s: %w", found, err)
	}
	return found + "; " + tried, nil
}

const (
	// sampled is how many records a probe tries the mapping on, of at most sampledPartitions and one or two fetches of each.
	sampled           = 20
	sampledPartitions = 8
	sampledFetches    = 2
	sampleTime        = 10 * time.Second
	// named is how many of a record's fields are named to a person.
	named = 12
)

// sample tries the mapping on the latest records, and says what comes of it; an error is that nothing does.
func (s *Source) sample(ctx context.Context, b *bus.Bus, offsets []bus.Offsets) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	var full []int
	for p, o := range offsets {
		if o.Next > o.First && len(full) < sampledPartitions {
			full = append(full, p)
		}
	}
	kinds, total, first := map[source.Kind]int{}, 0, ""
	now := time.Now()
	for n, p := range full {
		most := (sampled - total) / (len(full) - n) // what a partition lacks, others may have
		records, err := latest(ctx, b, s.cfg.Topic, p, offsets[p], most)
		if err != nil {
			return "", fmt.Errorf("read partition %d: %w", p, err)
		}
		for _, m := range records {
			e := s.decode(m.Key, m.Value, p, m.Offset, now)
			kinds[e.Kind]++
			total++
			if e.Kind == source.Unreadable && first == "" {
				first = fmt.Sprintf("partition %d, offset %d: %s%s", p, m.Offset, e.Fault.Reason, has(m.Value))
			}
		}
	}
	bad := kinds[source.Unreadable]
	switch {
	case total == 0:
		return "none of the latest records is there any more, so the mapping could not be tried", nil
	case bad == total:
		return "", fmt.Errorf("none of the %d latest records that were tried is a post by ingest.kafka.fields; the first that is not: %s; name there where a record has text, id, author and created_at",
			total, first)
	}
	found := fmt.Sprintf("of the %d latest that were tried %d are posts", total, kinds[source.Upsert])
	if n := kinds[source.Delete]; n > 0 {
		found += fmt.Sprintf(", %d withdraw one", n)
	}
	if n := kinds[source.Mark]; n > 0 {
		found += fmt.Sprintf(", %d are empty", n)
	}
	if bad > 0 {
		found += fmt.Sprintf(", %d are neither and would go to dead.v1; the first: %s; check ingest.kafka.fields if those should be posts", bad, first)
	}
	return found, nil
}

// latest reads at most so many of the last records of a partition, outside any group.
func latest(ctx context.Context, b *bus.Bus, topic string, partition int, o bus.Offsets, most int) (records []bus.Message, err error) {
	r, err := b.Reader(ctx, topic, partition, max(o.First, o.Next-int64(most)))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// Where records were compacted away, or end a transaction, fewer are there than offsets.
	for range sampledFetches {
		if r.Offset() >= o.Next || len(records) >= most {
			break
		}
		got, err := r.Fetch(ctx)
		if err != nil {
			return nil, err
		}
		records = append(records, got[:min(len(got), most-len(records))]...)
	}
	return records, nil
}

// has names the fields of a record, never what is in them.
func has(value []byte) string {
	var record map[string]json.RawMessage
	if len(value) > maxRecord || json.Unmarshal(value, &record) != nil || len(record) == 0 {
		return ""
	}
	names := slices.Sorted(maps.Keys(record))
	more := ""
	if len(names) > named {
		names, more = names[:named], ", …"
	}
	return " (it has the fields " + polite.Line(strings.Join(names, ", ")) + more + ")"
}

// position is the cursor.
type position struct {
	Topic   string  `json:"topic"`
	Offsets []int64 `json:"offsets"` // of the next record, by partition
}

// Run reads all partitions until something fails that waiting does not mend.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	b := s.bus(in.Log)
	defer b.Close()
	offsets, err := b.Offsets(ctx, s.cfg.Topic)
	if err != nil {
		return err
	}
	at := s.begin(in, offsets)
	in.Status.Connected(strings.Join(s.cfg.Brokers, ","))
	var mu sync.Mutex // guards at, and keeps events and their cursors in order
	g, ctx := errgroup.WithContext(ctx)
	for p := range offsets {
		g.Go(func() error {
			r, err := b.Reader(ctx, s.cfg.Topic, p, at.Offsets[p])
			if err != nil {
				return err
			}
			defer r.Close()
			for {
				records, err := r.Fetch(ctx)
				if err != nil {
					return err
				}
				mu.Lock()
				for i := range records {
					at.Offsets[p] = records[i].Offset + 1
					e := s.decode(records[i].Key, records[i].Value, p, records[i].Offset, time.Now())
					e.Cursor = at.cursor()
					if err := in.Emit(e); err != nil {
						mu.Unlock()
						return err
					}
				}
				mu.Unlock()
			}
		})
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (p *position) cursor() string {
	b, _ := json.Marshal(p) // cannot fail
	return string(b)
}

// begin is where each partition is read from.
func (s *Source) begin(in *source.Session, offsets []bus.Offsets) *position {
	var before position
	if json.Unmarshal([]byte(in.Cursor), &before) != nil || before.Topic != s.cfg.Topic {
		before = position{}
	}
	at := &position{Topic: s.cfg.Topic, Offsets: make([]int64, len(offsets))}
	for p, o := range offsets {
		switch {
		case p < len(before.Offsets) && before.Offsets[p] < o.First:
			in.Status.Gap(fmt.Sprintf("partition %d, offsets %d to %d: they have expired", p, before.Offsets[p], o.First-1))
			at.Offsets[p] = o.First
		case p < len(before.Offsets) && before.Offsets[p] <= o.Next:
			at.Offsets[p] = before.Offsets[p]
		case len(before.Offsets) > 0: // a new partition, or a topic that was made anew
			at.Offsets[p] = o.First
		case s.cfg.From == "earliest":
			at.Offsets[p] = o.First
		default:
			at.Offsets[p] = o.Next
		}
	}
	return at
}

// decode turns a record into an event.
func (s *Source) decode(key, value []byte, partition int, offset int64, now time.Time) source.Event {
	origin := fmt.Sprintf("%s/%d", s.cfg.Topic, partition)
	unreadable := func(reason string) source.Event {
		return source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: origin, Position: offset, Reason: polite.Line(reason), Raw: value[:min(len(value), maxRecord)]}}
	}
	gone := func(src, id string) source.Event {
		if id == "" || len(id) > post.MaxIDBytes || len(src) > post.MaxIDBytes {
			return unreadable("a delete without an id that fits")
		}
		return source.Event{Kind: source.Delete, Post: post.Post{Source: src, ID: id, CreatedAt: now}}
	}
	if len(value) > maxRecord {
		return unreadable(fmt.Sprintf("record of more than %d bytes", maxRecord))
	}
	if len(value) == 0 { // Kafka's own tombstone: it has nothing but its key
		if s.cfg.Fields["id"] != "@key" {
			return source.Event{Kind: source.Mark}
		}
		return gone(s.cfg.Source, strings.ToValidUTF8(string(key), "\uFFFD"))
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var record map[string]any
	if err := d.Decode(&record); err != nil {
		return unreadable("not a JSON object: " + err.Error())
	}
	text := func(field string) string { return scalar(s.find(record, key, field)) }
	p := post.Post{ID: text("id"), Source: text("source"), Author: text("author"), Text: text("text"), Lang: normal.Lang(text("lang")), URL: normal.URL(text("url")),
		ReplyTo: text("reply_to"), RepostOf: text("repost_of"), Place: normal.Field(text("place")), AuthorVerified: text("author_verified") == "true"}
	if p.Source == "" {
		p.Source = s.cfg.Source
	}
	if v := text("deleted"); v != "" && v != "false" && v != "0" {
		return gone(p.Source, p.ID)
	}
	if s.cfg.HTML {
		p.Text = normal.HTML(p.Text)
	} else {
		p.Text = normal.Text(p.Text)
	}
	at, err := moment(text("created_at"))
	if err != nil {
		return unreadable(err.Error())
	}
	p.CreatedAt = at
	revision, _ := strconv.ParseInt(text("revision"), 10, 64) // 0 where there is none
	return source.Post(p, min(max(revision, 0), 1<<60-1), now, origin, offset, value)
}

// find returns what stands where a field is.
func (s *Source) find(record map[string]any, key []byte, field string) any {
	place, mapped := s.cfg.Fields[field]
	if !mapped {
		place = field
	}
	if place == "@key" {
		return strings.ToValidUTF8(string(key), "\uFFFD")
	}
	if v, ok := record[place]; ok { // a name with dots in it
		return v
	}
	var v any = record
	for part := range strings.SplitSeq(place, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// scalar is a value as text; lists and objects are none.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// moment reads RFC 3339, or a number since 1970: seconds, milliseconds, microseconds or nanoseconds, by its size.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, errors.New(`field "created_at" is missing or empty`)
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && n > 0 {
		for _, unit := range []float64{1, 1e3, 1e6, 1e9} {
			if n/unit < 1e11 {
				return time.UnixMicro(int64(n / unit * 1e6)).UTC(), nil
			}
		}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf(`field "created_at" is %q; RFC 3339, or a number since 1970, is expected`, polite.Line(s))
}
