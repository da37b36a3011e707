package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"time"

	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Follower reads a file that grows, line by line, and waits at its end for more. Where the file is replaced or cut, it goes on at the
// beginning of the new one. Its cursor is the place behind the last line, and how the file begins.
type Follower struct {
	path   string
	decode Decode
}

// Follow returns a source for a file, which must exist by the time it runs and not be compressed.
func Follow(path string, decode Decode) (*Follower, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", path, err)
	}
	return &Follower{path: whole, decode: decode}, nil
}

// Name is the path, since the cursor is a place in it.
func (f *Follower) Name() string {
	name := "file:" + f.path
	if len(name) > 200 { // what a name may have
		h := fnv.New64a()
		_, _ = h.Write([]byte(f.path)) // it cannot fail
		name = fmt.Sprintf("file:%x/%s", h.Sum64(), filepath.Base(f.path))
		name = name[:min(len(name), 200)]
	}
	return name
}

const (
	// lookEvery is how often the end of the file is looked at.
	lookEvery = 250 * time.Millisecond
	// markEvery is after how many lines the cursor moves at the latest.
	markEvery = 256
	// beginBytes is how much of a file's beginning tells it from another.
	beginBytes = 512
)

// errReplaced says that another file stands under the name.
var errReplaced = errors.New("replaced")

// Run follows the file until ctx ends.
func (f *Follower) Run(ctx context.Context, in *source.Session) error {
	for cursor := in.Cursor; ; cursor = "" {
		if err := f.follow(ctx, in, cursor); !errors.Is(err, errReplaced) {
			return err
		}
	}
}

func (f *Follower) follow(ctx context.Context, in *source.Session, cursor string) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	head := make([]byte, beginBytes)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.HasPrefix(head[:n], []byte{0x1f, 0x8b}) || bytes.HasPrefix(head[:n], []byte("BZh")) {
		return fmt.Errorf("%s is compressed, and cannot be followed", f.path)
	}
	at := resume(file, cursor)
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return err
	}
	in.Status.Connected(f.path)
	l := &lines{file: file, r: bufio.NewReaderSize(file, 256<<10), at: at, read: at}
	number, marked := int64(0), at // since this process follows it
	mark := func() error {
		if l.at == marked {
			return nil
		}
		marked = l.at
		return in.Emit(source.Event{Kind: source.Mark, Cursor: place(file, l.at)})
	}
	for {
		line, long, err := l.next()
		switch {
		case errors.Is(err, io.EOF):
			if err := mark(); err != nil {
				return err
			}
			if err := f.changed(file, l.read); err != nil {
				return err
			}
			if err := polite.Sleep(ctx, lookEvery); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		number++
		if long {
			err = in.Emit(unreadable(f.path, number, fmt.Sprintf("line of more than %d bytes", MaxLineBytes), line))
		} else if line = content(line, l.at == int64(len(line))); len(line) > 0 {
			err = f.decode(line, time.Now(), f.path, number, in.Emit)
		}
		if err == nil && number%markEvery == 0 {
			err = mark()
		}
		if err != nil {
			return err
		}
	}
}

// changed says errReplaced where another file stands under the name by now, or less of this one than was read.
func (f *Follower) changed(file *os.File, read int64) error {
	ours, err := file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(f.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // between its removal and what comes in its place
	case err != nil:
		return err
	case !os.SameFile(ours, there):
		// What was written to the old one since the last look is read first.
		if ours.Size() > read {
			return nil
		}
		return errReplaced
	case ours.Size() < read:
		return errReplaced
	}
	return nil
}

// lines reads whole lines; what stands behind the last end of a line is half a line, and waits.
type lines struct {
	file io.Reader
	r    *bufio.Reader
	part []byte
	long bool
	at   int64 // behind the last whole line
	read int64
}

// next returns a line, valid until the next call, or io.EOF where there is no whole one yet. Of a line that is too long it returns the beginning.
func (l *lines) next() (line []byte, long bool, err error) {
	if l.at == l.read {
		l.part, l.long = l.part[:0], false
	}
	for {
		chunk, err := l.r.ReadSlice('\n')
		l.read += int64(len(chunk))
		if !l.long {
			l.part = append(l.part, chunk...)
		}
		if len(l.part) > MaxLineBytes {
			l.long, l.part = true, bytes.Clone(l.part[:1024])
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return nil, false, err
		default:
			l.at = l.read
			return l.part, l.long, nil
		}
	}
}

// place writes a cursor.
func place(file io.ReaderAt, at int64) string {
	n := min(at, beginBytes)
	return fmt.Sprintf("%d:%d:%x", at, n, beginning(file, n))
}

// resume returns where a cursor says to go on, if it is of this file; else its beginning.
func resume(file *os.File, cursor string) int64 {
	var at, n int64
	var sum uint64
	if _, err := fmt.Sscanf(cursor, "%d:%d:%x", &at, &n, &sum); err != nil || n < 0 || n > beginBytes || at < n {
		return 0
	}
	if info, err := file.Stat(); err != nil || info.Size() < at || beginning(file, n) != sum {
		return 0
	}
	return at
}

// beginning tells files apart by their first bytes.
func beginning(file io.ReaderAt, n int64) uint64 {
	h := fnv.New64a()
	_, _ = io.Copy(h, io.NewSectionReader(file, 0, n)) // what cannot be read is another beginning
	return h.Sum64()
}
