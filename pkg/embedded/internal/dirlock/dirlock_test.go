package dirlock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func TestSecondAcquireIsRefusedUntilRelease(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	first, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(dir); !errors.Is(err, ErrHeld) {
		t.Fatalf("second lock of a held folder: %v, want ErrHeld", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Acquire(dir)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	held, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Wait(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Fatalf("wait with an ended context: %v", err)
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	lock, err := Wait(t.Context(), dir)
	if err != nil {
		t.Fatalf("wait for a free folder: %v", err)
	}
	_ = lock.Release()
}

func TestAwaitFree(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := AwaitFree(t.Context(), path); err != nil {
		t.Fatalf("a file that is not there: %v", err)
	}
	held, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := AwaitFree(ended, path); !errors.Is(err, context.Canceled) {
		t.Fatalf("a held lock: %v", err)
	}
	waited := make(chan error)
	go func() { waited <- AwaitFree(t.Context(), path) }()
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Fatalf("a released lock: %v", err)
	}
	if again, err := Acquire(dir); err != nil {
		t.Fatalf("it kept the lock: %v", err)
	} else {
		_ = again.Release()
	}
}
