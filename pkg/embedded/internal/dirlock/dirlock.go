// Package dirlock keeps two engines from opening the same data folder, which neither of them checks by itself and which
// would corrupt it. The lock belongs to the process, so it goes with it, however it ends; the file stays and means nothing.
package dirlock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock" // one call for Linux, macOS and Windows, and a wait that a context ends
)

// FileName is the lock's file in the folder it guards.
const FileName = "outcry.lock"

// ErrHeld means that another process, or another engine in this one, holds the folder.
var ErrHeld = errors.New("in use by another running outcry")

// Lock is a held lock.
type Lock struct{ file *flock.Flock }

// grace is how long a process that was killed may take to be gone: the kernel takes its memory apart before it lets go of its files.
const grace = 2 * time.Second

// Acquire makes dir if it is not there and locks it. The error is ErrHeld if the folder is taken and is not given free in a moment.
func Acquire(dir string) (*Lock, error) {
	file, err := open(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	switch _, err := file.TryLockContext(ctx, 50*time.Millisecond); {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("data folder %s is %w: stop that one, or choose another folder", dir, ErrHeld)
	case err != nil:
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	return &Lock{file}, nil
}

// Wait is Acquire, but waits until the folder is free or ctx ends.
func Wait(ctx context.Context, dir string) (*Lock, error) {
	file, err := open(dir)
	if err != nil {
		return nil, err
	}
	if _, err := file.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for the lock of %s: %w", dir, err)
	}
	return &Lock{file}, nil
}

// AwaitFree waits until nobody holds a lock on the file at path, or ctx ends. A file that is not there is free. It is for a lock that
// an engine takes by itself, and which it may still hold for a moment after the process that started it was killed.
func AwaitFree(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	file := flock.New(path)
	if _, err := file.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("wait for the lock of %s: %w", path, err)
	}
	return file.Close()
}

func open(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	return flock.New(filepath.Join(dir, FileName)), nil
}

// Release gives the folder free.
func (l *Lock) Release() error { return l.file.Close() }
