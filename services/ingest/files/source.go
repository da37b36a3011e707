package files

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"outcry.dev/services/ingest/source"
)

// Source reads several files as one stream in event time. Each file is read in its own order; among files, the earliest post comes first.
type Source struct {
	Names  []string
	Decode Decode
	// Now is the time beyond which posts lie in the future.
	Now time.Time
	// Open opens a file by name; nil is the package's Open.
	Open func(name string) (io.ReadCloser, error)
}

// lookahead is how many events of a file are read before they are wanted.
const lookahead = 1024

// Name is one for all files: those that are read to their end have no cursor.
func (s *Source) Name() string { return "files" }

// Run reads all files to their end. A file that cannot be opened is an error before anything is read.
func (s *Source) Run(ctx context.Context, in *source.Session) error {
	emit := in.Emit
	open := s.Open
	if open == nil {
		open = Open
	}
	files := make([]io.ReadCloser, len(s.Names))
	defer func() {
		for _, f := range files {
			if f != nil {
				_ = f.Close() // it was only read
			}
		}
	}()
	for i, name := range s.Names {
		f, err := open(name)
		if err != nil {
			return fmt.Errorf("open posts: %w", err)
		}
		files[i] = f
	}
	if len(files) == 1 {
		return Read(ctx, s.Names[0], files[0], s.Decode, s.Now, emit)
	}
	return s.merge(ctx, files, emit)
}

// merge hands out the earliest of the next events of all files.
func (s *Source) merge(ctx context.Context, files []io.ReadCloser, emit source.Emit) error {
	g, ctx := errgroup.WithContext(ctx)
	streams := make([]chan source.Event, len(files))
	for i, f := range files {
		streams[i] = make(chan source.Event, lookahead)
		g.Go(func() error {
			defer close(streams[i])
			return Read(ctx, s.Names[i], f, s.Decode, s.Now, func(e source.Event) error {
				if e.Fault != nil {
					fault := *e.Fault
					fault.Raw = append([]byte(nil), fault.Raw...) // valid until we return, and read later
					e.Fault = &fault
				}
				select {
				case streams[i] <- e:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	}
	g.Go(func() error {
		heads := make([]*source.Event, len(streams))
		next := func(i int) {
			heads[i] = nil
			if e, ok := <-streams[i]; ok {
				heads[i] = &e
			}
		}
		for i := range streams {
			next(i)
		}
		for {
			first := -1
			for i, h := range heads {
				// What has no time is handed on at once.
				if h != nil && (first < 0 || h.Post.CreatedAt.Before(heads[first].Post.CreatedAt)) {
					first = i
				}
			}
			if first < 0 {
				return ctx.Err()
			}
			if err := emit(*heads[first]); err != nil {
				return err
			}
			next(first)
		}
	})
	return g.Wait()
}
