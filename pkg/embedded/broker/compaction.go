package broker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	segmentSuffix = ".dat"
	indexSuffix   = ".idx"
	// nextSuffix is of what will take a segment's place. kfake does not look at it.
	nextSuffix = ".dat.next"
	// snapshotName is what kfake writes when it is closed, so that it can start faster.
	snapshotName = "snapshot.json"

	// defaultLag is for compacted topics that do not say max.compaction.lag.ms.
	defaultLag = 12 * time.Hour
	// defaultDeleteRetention is Kafka's own.
	defaultDeleteRetention = 24 * time.Hour
)

// compacted is a partition of a compacted topic.
type compacted struct {
	partition
	dir string
	// lag is the topic's max.compaction.lag.ms: how long a record may stay after the next one of its key.
	lag time.Duration
	// deleteRetention is the topic's delete.retention.ms: how old a tombstone has to be to go.
	deleteRetention time.Duration
}

// compactedPartitions reads which partitions of kfake's folder are to be compacted. Topics that keep records for a time as well are among them.
func compactedPartitions(log string) ([]compacted, error) {
	b, err := os.ReadFile(filepath.Join(log, "topics.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which topics are compacted: %w", err)
	}
	var file struct {
		Topics []struct {
			Name       string            `json:"name"`
			Partitions int32             `json:"partitions"`
			Configs    map[string]string `json:"configs"`
		} `json:"topics"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("read which topics are compacted: %w", err)
	}
	var all []compacted
	for _, topic := range file.Topics {
		if !strings.Contains(topic.Configs["cleanup.policy"], "compact") {
			continue
		}
		span := func(name string, otherwise time.Duration) time.Duration {
			ms, err := strconv.ParseInt(topic.Configs[name], 10, 64)
			if err != nil || ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
				return otherwise
			}
			return time.Duration(ms) * time.Millisecond
		}
		for p := range topic.Partitions {
			all = append(all, compacted{
				partition:       partition{topic.Name, p},
				dir:             filepath.Join(log, "partitions", fmt.Sprintf("%s-%d", url.PathEscape(topic.Name), p)),
				lag:             span("max.compaction.lag.ms", defaultLag),
				deleteRetention: span("delete.retention.ms", defaultDeleteRetention),
			})
		}
	}
	return all, nil
}

// extent is how far a log reaches. It changes whenever something is appended.
type extent struct{ base, bytes int64 } // of the last segment

func (p compacted) extent() (extent, error) {
	all, err := p.segments()
	if err != nil || len(all) == 0 {
		return extent{}, err
	}
	last := all[len(all)-1]
	return extent{last.base, last.info.Size()}, nil
}

// segment is one file of a partition's log.
type segment struct {
	base int64 // its name; no record in it has a lower offset
	path string
	info fs.FileInfo
}

// segments returns the partition's segments in the order of their offsets.
func (p compacted) segments() ([]segment, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a partition that was never written to has no folder
		return nil, err
	}
	var all []segment
	for _, entry := range entries {
		name, found := strings.CutSuffix(entry.Name(), segmentSuffix)
		base, err := strconv.ParseInt(name, 10, 64)
		if !found || err != nil {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		all = append(all, segment{base, filepath.Join(p.dir, entry.Name()), info})
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.base, b.base) })
	return all, nil
}

// compaction takes superseded records out of one partition, a segment at a time. Each segment is first written anew beside itself and then
// takes its own place by being renamed. Since a record that is superseded may be there or not, what a kill leaves between two segments is a
// log like any other.
//
// The files may be replaced only while no broker has them open; to read, and to write beside them, one may run.
type compaction struct {
	compacted
	now     time.Time
	keys    map[string]int64 // the last offset of each key
	first   int64            // the offset at which the log begins, as before: what is below was deleted
	last    int64            // the offset of the last record, which stays
	scanned int64            // the base of the last segment when prepare read it
	started bool             // a record has been kept, so that the log's first offset is
	changes []change
}

// change is a segment that has been written anew, or that nothing stays of where next is empty.
type change struct {
	segment
	next string
}

// errTorn means that a segment does not end with a whole batch.
var errTorn = errors.New("the end is not whole")

// newCompaction is of a log whose records below an offset have been deleted, and stand in the file only.
func newCompaction(p compacted, start int64) *compaction {
	return &compaction{compacted: p, now: time.Now(), keys: map[string]int64{}, first: start, last: -1, scanned: -1}
}

// prepare does what can be done while a broker writes to the partition: it reads all, and writes anew what is no longer written to. It reports
// whether there is anything to take out.
func (c *compaction) prepare(ctx context.Context) (bool, error) {
	all, err := c.segments()
	if err != nil || len(all) == 0 {
		return false, err
	}
	closed, open := all[:len(all)-1], all[len(all)-1]
	for _, s := range closed {
		if err := c.scan(s); err != nil {
			return false, err
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	if err := c.scan(open); err != nil && !errors.Is(err, errTorn) { // a batch is being written
		return false, err
	}
	for _, s := range closed {
		if err := c.rewrite(s); err != nil {
			return false, err
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	c.scanned = open.base
	if len(c.changes) > 0 {
		return true, nil
	}
	some := false
	err = eachBatch(open, func(_ []byte, batch kmsg.RecordBatch) error {
		return eachRecord(batch, func(offset int64, r kmsg.Record) { some = some || !c.stays(batch, offset, r) })
	})
	if errors.Is(err, errTorn) {
		err = nil
	}
	return some, err
}

// finish does the rest, and all where prepare has not run. No broker may have the partition open.
func (c *compaction) finish() error {
	all, err := c.segments()
	if err != nil {
		return err
	}
	var rest []segment
	for _, s := range all {
		if s.base < c.scanned {
			continue
		}
		rest = append(rest, s)
		if err := c.scan(s); err != nil {
			return err
		}
	}
	for _, s := range rest {
		if err := c.rewrite(s); err != nil {
			return err
		}
	}
	if len(c.changes) == 0 {
		return nil
	}
	// A machine that loses power may lose what came last. It must not be left without the record before either.
	for _, s := range all {
		if err := syncFile(s.path); err != nil {
			return err
		}
	}
	// It says how long the segments are and where the log ends. Were they that long again when a broker is killed, the next would believe it.
	if err := os.Remove(filepath.Join(c.dir, snapshotName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// In ascending order: the first batch that stays reaches down to where the log began, and must not overlap what has not gone yet.
	for _, ch := range c.changes {
		if now, err := os.Stat(ch.path); err != nil || !os.SameFile(now, ch.info) || now.Size() != ch.info.Size() {
			return fmt.Errorf("%s has changed meanwhile", ch.path) // as when the topic was deleted
		}
		if ch.next == "" {
			// The index goes first: without its segment it would stay for good.
			if err := os.Remove(strings.TrimSuffix(ch.path, segmentSuffix) + indexSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err := os.Remove(ch.path); err != nil {
				return err
			}
			continue
		}
		// kfake cuts the index, which has an entry for each batch; those of batches outside transactions are all alike.
		if err := os.Rename(ch.next, ch.path); err != nil {
			return err
		}
	}
	return nil
}

// drop removes what prepare has written.
func (c *compaction) drop() {
	for _, ch := range c.changes {
		if ch.next != "" {
			_ = os.Remove(ch.next) // the next start removes it
		}
	}
	c.changes = nil
}

// errTransactional means that whether a record is valid depends on others.
var errTransactional = errors.New("transactions are not compacted")

// scan notes the last offset of each key.
func (c *compaction) scan(s segment) error {
	return eachBatch(s, func(_ []byte, batch kmsg.RecordBatch) error {
		const transactional, control = 1 << 4, 1 << 5
		if batch.Attributes&(transactional|control) != 0 {
			return errTransactional
		}
		if c.last < 0 {
			c.first = max(c.first, batch.FirstOffset)
		}
		return eachRecord(batch, func(offset int64, r kmsg.Record) {
			c.last = offset
			if r.Key != nil {
				c.keys[string(r.Key)] = offset
			}
		})
	})
}

// begin is the offset at which the log begins. Where all was deleted, its last record comes back, since one always stays.
func (c *compaction) begin() int64 { return min(c.first, c.last) }

// stays tells whether a record is the last of its key and not a tombstone that has done its work. One without a key has no successor.
func (c *compaction) stays(batch kmsg.RecordBatch, offset int64, r kmsg.Record) bool {
	switch {
	case offset == c.last:
		return true
	case offset < c.begin():
		return false
	case r.Key == nil:
		return true
	case offset < c.keys[string(r.Key)]:
		return false
	}
	return r.Value != nil || c.now.Sub(time.UnixMilli(batch.FirstTimestamp+r.TimestampDelta64)) < c.deleteRetention
}

// rewrite writes beside a segment what stays of it, where not all does.
func (c *compaction) rewrite(s segment) (err error) {
	var out bytes.Buffer
	changed := false
	err = eachBatch(s, func(raw []byte, batch kmsg.RecordBatch) error {
		var records []kmsg.Record
		if err := eachRecord(batch, func(offset int64, r kmsg.Record) {
			if c.stays(batch, offset, r) {
				records = append(records, r)
			}
		}); err != nil {
			return err
		}
		if len(records) == 0 {
			changed = true
			return nil
		}
		base := batch.FirstOffset
		if !c.started && base+int64(records[len(records)-1].OffsetDelta)-c.begin() <= math.MaxInt32 {
			base = c.begin() // else who waits at the log's first offset would be told that it is out of range
		}
		c.started = true
		if len(records) == int(batch.NumRecords) && base == batch.FirstOffset {
			out.Write(raw)
			return nil
		}
		changed = true
		b, err := withRecords(batch, base, records)
		out.Write(b)
		return err
	})
	if err != nil || !changed {
		return err
	}
	if out.Len() == 0 {
		c.changes = append(c.changes, change{s, ""})
		return nil
	}
	next := strings.TrimSuffix(s.path, segmentSuffix) + nextSuffix
	c.changes = append(c.changes, change{s, next})
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, s.info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = f.Write(out.Bytes())
	return errors.Join(err, f.Sync(), f.Close())
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Where things stand in a batch of Kafka's format 2.
const (
	lengthAt   = 8  // of what follows it, in 4 bytes
	checksumAt = 17 // of what follows it, in 4 bytes
	headerSize = 61
)

// eachBatch calls f for each batch of a segment, in order. It fails with errTorn where the file ends otherwise than with a whole one.
func eachBatch(s segment, f func(raw []byte, batch kmsg.RecordBatch) error) error {
	b, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	for len(b) > 0 {
		if len(b) < headerSize {
			return fmt.Errorf("%s: %w", s.path, errTorn)
		}
		size := lengthAt + 4 + int64(binary.BigEndian.Uint32(b[lengthAt:]))
		if size < headerSize || size > int64(len(b)) || binary.BigEndian.Uint32(b[checksumAt:]) != crc32.Checksum(b[checksumAt+4:size], castagnoli) {
			return fmt.Errorf("%s: %w", s.path, errTorn)
		}
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(b[:size]); err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
		if err := f(b[:size], batch); err != nil {
			return fmt.Errorf("%s at offset %d: %w", s.path, batch.FirstOffset, err)
		}
		b = b[size:]
	}
	return nil
}

// eachRecord calls f for each record of a batch with its offset.
func eachRecord(batch kmsg.RecordBatch, f func(offset int64, r kmsg.Record)) error {
	records, err := kfake.BatchRecords(batch)
	if err != nil {
		return err
	}
	for _, r := range records {
		f(batch.FirstOffset+int64(r.OffsetDelta), r)
	}
	return nil
}

var compressions = map[int16]kgo.CompressionCodec{
	1: kgo.GzipCompression(), 2: kgo.SnappyCompression(), 3: kgo.Lz4Compression(), 4: kgo.ZstdCompression(),
}

// withRecords returns a batch that holds only some of its records, at their offsets, and begins at base.
func withRecords(batch kmsg.RecordBatch, base int64, records []kmsg.Record) ([]byte, error) {
	const compression, appendTime = 7, 1 << 3
	shift := int32(batch.FirstOffset - base)
	if batch.Attributes&appendTime == 0 {
		batch.MaxTimestamp = math.MinInt64
	}
	batch.Records = nil
	for _, r := range records {
		r.OffsetDelta += shift
		r.Length = 0
		r.Length = int32(len(r.AppendTo(nil)) - 1) // all but the length itself, which was one byte
		batch.Records = r.AppendTo(batch.Records)
		batch.MaxTimestamp = max(batch.MaxTimestamp, batch.FirstTimestamp+r.TimestampDelta64)
		batch.LastOffsetDelta = r.OffsetDelta
	}
	if how, compressed := compressions[batch.Attributes&compression]; compressed {
		compressor, err := kgo.DefaultCompressor(how)
		if err != nil {
			return nil, err
		}
		packed, codec := compressor.Compress(&bytes.Buffer{}, batch.Records)
		if codec < 0 {
			return nil, errors.New("records could not be compressed again")
		}
		batch.Records, batch.Attributes = packed, batch.Attributes&^compression|int16(codec)
	}
	batch.FirstOffset, batch.NumRecords = base, int32(len(records))
	b := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(b[lengthAt:], uint32(len(b)-lengthAt-4))
	binary.BigEndian.PutUint32(b[checksumAt:], crc32.Checksum(b[checksumAt+4:], castagnoli))
	return b, nil
}

// compactAtRest compacts all partitions of kfake's folder, which no broker has open.
func compactAtRest(log string) error {
	all, err := compactedPartitions(log)
	if err != nil {
		return err
	}
	var faults []error
	for _, p := range all {
		err := p.clean()
		if err == nil {
			var start int64
			if start, err = p.start(); err == nil {
				c := newCompaction(p, start)
				if err = c.finish(); err != nil {
					c.drop()
				}
			}
		}
		if err != nil && !errors.Is(err, errTorn) { // kfake will cut it off, and what is before will be compacted in its time
			faults = append(faults, fmt.Errorf("compact %s/%d: %w", p.topic, p.index, err))
		}
	}
	return errors.Join(faults...)
}

// clean removes what a compaction that was killed has left.
func (p compacted) clean() error {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), nextSuffix) {
			err = errors.Join(err, os.Remove(filepath.Join(p.dir, entry.Name())))
		}
	}
	return err
}

// start returns below which offset records had been deleted when the broker was last closed.
func (p compacted) start() (int64, error) {
	b, err := os.ReadFile(filepath.Join(p.dir, snapshotName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var snapshot struct {
		Start int64 `json:"log_start_offset"`
	}
	return snapshot.Start, json.Unmarshal(b, &snapshot)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
