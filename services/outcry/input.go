package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"outcry.dev/services/ingest/files"
)

// open opens a file, "-" for standard input, and undoes gzip and bzip2.
func (a *app) open(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == "-" {
		r, err := files.Decompress(&interruptible{ctx: ctx, r: a.stdin})
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return io.NopCloser(r), nil
	}
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist", name)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// interruptible ends a read when ctx ends, though nothing has come: a read from a terminal or a pipe cannot be called back.
// The goroutine that reads is left behind then, and ends with the input or the process.
type interruptible struct {
	ctx context.Context
	r   io.Reader
	buf []byte
}

func (i *interruptible) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	if len(i.buf) < len(p) {
		i.buf = make([]byte, len(p))
	}
	done := make(chan result, 1)
	buf := i.buf[:len(p)] // not p, which the caller uses again after an interruption
	go func() {
		n, err := i.r.Read(buf)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	case <-i.ctx.Done():
		i.buf = nil
		return 0, i.ctx.Err()
	}
}
