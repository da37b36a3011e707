// Package files reads posts from files: plain, .gz, .bz2 or standard input, in any of the formats. It must never keep a file in memory.
package files

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/jetstream"
	"outcry.dev/services/ingest/source"
	"outcry.dev/services/ingest/twitterv1"
)

// MaxLineBytes is the longest line that is read; a search response can be one line.
const MaxLineBytes = 16 << 20

// Decode turns one line into events.
type Decode func(raw []byte, now time.Time, origin string, position int64, emit source.Emit) error

var formats = map[string]Decode{
	"jsonl":      decodePost,
	"twitter-v1": twitterv1.Decode,
	"jetstream":  jetstream.Decode,
}

// Formats returns the names of the formats.
func Formats() []string {
	names := make([]string, 0, len(formats))
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Format returns a decoder by name. The error names the nearest.
func Format(name string) (Decode, error) {
	if d, ok := formats[name]; ok {
		return d, nil
	}
	nearest := slices.MinFunc(Formats(), func(a, b string) int {
		return levenshtein.ComputeDistance(name, a) - levenshtein.ComputeDistance(name, b)
	})
	return nil, fmt.Errorf("unknown format %q; did you mean %q? Known are %s", name, nearest, strings.Join(Formats(), ", "))
}

func decodePost(raw []byte, now time.Time, origin string, position int64, emit source.Emit) error {
	p, err := post.Decode(raw)
	if err != nil {
		return emit(unreadable(origin, position, strings.ReplaceAll(err.Error(), "\n", "; "), raw))
	}
	return emit(source.Post(p, 0, now, origin, position, raw))
}

// Open opens a file by name, "-" for standard input, and undoes gzip and bzip2, which it knows by the first bytes.
func Open(name string) (io.ReadCloser, error) {
	if name == "-" {
		r, err := Decompress(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return io.NopCloser(r), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := Decompress(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{r, f}, nil
}

// Decompress undoes gzip and bzip2 and leaves everything else as it is.
func Decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	head, err := b.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(b)
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(b), nil
	}
	return b, nil
}

// Read decodes a stream until its end. What cannot be read becomes an Unreadable event and the rest is read all the same;
// the error is emit's or ctx's.
func Read(ctx context.Context, name string, r io.Reader, decode Decode, now time.Time, emit source.Emit) error {
	b := bufio.NewReaderSize(r, 256<<10)
	var long []byte
	begun := false
	for line := int64(1); ; line++ {
		if line%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		raw, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long, raw, err = longLine(b, append(long[:0], raw...))
		}
		if len(raw) > MaxLineBytes {
			if e := emit(unreadable(name, line, fmt.Sprintf("line of more than %d bytes", MaxLineBytes), raw[:1024])); e != nil {
				return e
			}
		} else if trimmed := content(raw, line == 1); len(trimmed) > 0 {
			if !begun && document(trimmed) {
				rest := &boundedReader{lines: line - 1, r: io.MultiReader(bytes.NewReader(bytes.Clone(trimmed)), strings.NewReader("\n"), b)}
				return readDocument(ctx, name, rest, trimmed[0], decode, now, emit)
			}
			begun = true
			if e := decode(trimmed, now, name, line, emit); e != nil {
				return e
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return emit(unreadable(name, line, "the file breaks off: "+err.Error(), nil))
		}
	}
}

// content returns a line without the white space around it, and the first without a byte order mark.
func content(line []byte, first bool) []byte {
	if first {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	return bytes.TrimSpace(line)
}

// longLine reads on to the end of the line, keeping a little more than MaxLineBytes of it.
func longLine(b *bufio.Reader, line []byte) (buf, raw []byte, err error) {
	for {
		part, err := b.ReadSlice('\n')
		if len(line) <= MaxLineBytes {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, line, err
		}
	}
}

// document tells by its first line a JSON document over several lines (an array, or an object with a list in it) from one object a line.
func document(first []byte) bool { return bytes.HasPrefix(first, []byte("[")) || string(first) == "{" }

// readDocument decodes the elements of an array, or of the list under "statuses" of an object.
func readDocument(ctx context.Context, name string, bounded *boundedReader, opening byte, decode Decode, now time.Time, emit source.Emit) error {
	d := json.NewDecoder(bounded)
	broken := func(err error) error {
		return emit(unreadable(name, bounded.line(), "not a JSON document: "+err.Error(), nil))
	}
	if _, err := d.Token(); err != nil {
		return broken(err)
	}
	if opening == '{' {
		for {
			key, err := d.Token()
			if err != nil {
				return broken(err)
			}
			if key == json.Delim('}') {
				return broken(errors.New(`no list "statuses" in it`))
			}
			if key == "statuses" {
				if t, err := d.Token(); err != nil || t != json.Delim('[') {
					return broken(cmp.Or(err, errors.New(`"statuses" is no list`)))
				}
				break
			}
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return broken(err)
			}
			bounded.reset()
		}
	}
	for i := 0; d.More(); i++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var element json.RawMessage
		if err := d.Decode(&element); err != nil {
			return broken(fmt.Errorf("element %d: %w", i, err))
		}
		bounded.reset()
		if err := decode(element, now, fmt.Sprintf("%s element %d", name, i), bounded.line(), emit); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return broken(err)
	}
	return nil
}

func unreadable(name string, line int64, reason string, raw []byte) source.Event {
	return source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: name, Position: line, Reason: reason, Raw: raw}}
}

// boundedReader limits what one element may take, and counts lines.
type boundedReader struct {
	r     io.Reader
	since int
	lines int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.since > MaxLineBytes {
		return 0, fmt.Errorf("element of more than %d bytes", MaxLineBytes)
	}
	n, err := b.r.Read(p)
	b.since += n
	b.lines += int64(bytes.Count(p[:n], []byte("\n")))
	return n, err
}

func (b *boundedReader) reset()      { b.since = 0 }
func (b *boundedReader) line() int64 { return b.lines + 1 }
