// Package journal keeps records on disk, one after the other, so that what was appended is there after the process was killed.
//
// It exists because Alertmanager writes its notification log and its silences every quarter of an hour only: a process that is killed in
// between would page again. It must never know what a record means.
//
// A record is its length and its CRC-32C, four bytes each, and the bytes. A tail that was cut off by a kill is dropped when the file is opened.
package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// MaxRecord bounds a record, in bytes.
const MaxRecord = 64 << 20

const head = 8

var table = crc32.MakeTable(crc32.Castagnoli)

// Journal is an open file of records. Safe for concurrent use.
type Journal struct {
	path string
	mu   sync.Mutex
	file *os.File
	size int64
}

// Open reads the records of the file at path, which it makes where there is none, hands each to each, and returns the journal for more.
func Open(path string, each func(record []byte) error) (_ *Journal, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("journal %s: %w", path, err), f.Close())
		}
	}()
	size, err := read(bufio.NewReaderSize(f, 1<<16), each)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	if _, err := f.Seek(size, io.SeekStart); err != nil {
		return nil, err
	}
	return &Journal{path: path, file: f, size: size}, nil
}

// read returns how many bytes hold whole records.
func read(r io.Reader, each func([]byte) error) (size int64, err error) {
	var h [head]byte
	for {
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return size, ended(err)
		}
		n := binary.LittleEndian.Uint32(h[:4])
		if n > MaxRecord {
			return size, nil // no record: what follows is what a kill left
		}
		record := make([]byte, n)
		if _, err := io.ReadFull(r, record); err != nil {
			return size, ended(err)
		}
		if crc32.Checksum(record, table) != binary.LittleEndian.Uint32(h[4:]) {
			return size, nil
		}
		if err := each(record); err != nil {
			return size, err
		}
		size += head + int64(n)
	}
}

func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func frame(records [][]byte) ([]byte, error) {
	var out []byte
	for _, r := range records {
		if len(r) > MaxRecord {
			return nil, fmt.Errorf("a record of %d bytes is longer than %d", len(r), MaxRecord)
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(len(r)))
		out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(r, table))
		out = append(out, r...)
	}
	return out, nil
}

// Append returns once the records are on disk.
func (j *Journal) Append(records ...[]byte) error {
	if len(records) == 0 {
		return nil
	}
	b, err := frame(records)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	j.size += int64(len(b))
	return nil
}

// Size returns the length of the file in bytes.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Compact replaces the records up to a size that Size returned; those appended since stay behind the new ones. After a kill either the old
// ones are there or the new ones.
func (j *Journal) Compact(upTo int64, records ...[]byte) error {
	b, err := frame(records)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	since := make([]byte, j.size-upTo)
	if _, err := j.file.ReadAt(since, upTo); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("compact journal: %w", err)
	}
	b = append(b, since...)
	next := j.path + ".next"
	f, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("compact journal: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync())
	if err == nil {
		err = os.Rename(next, j.path)
	}
	if err != nil {
		return fmt.Errorf("compact journal: %w", errors.Join(err, f.Close()))
	}
	err = j.file.Close()
	j.file, j.size = f, int64(len(b))
	return err
}

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}
