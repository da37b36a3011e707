package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestACrowdIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		gate := turnstile{inside: make(chan struct{}, maxQuestions)}
		for range maxQuestions {
			if err := gate.enter(ctx); err != nil {
				t.Fatal(err)
			}
		}
		answers := make(chan error, maxWaiting)
		for range maxWaiting {
			go func() { answers <- gate.enter(ctx) }()
		}
		synctest.Wait()
		if err := gate.enter(ctx); !errors.Is(err, ErrBusy) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("one too many: %v", err)
		}
		gate.leave()
		if err := <-answers; err != nil {
			t.Errorf("one left, and nobody came in: %v", err)
		}
		if err := <-answers; !errors.Is(err, ErrBusy) { // the clock of the bubble goes on once all wait
			t.Errorf("after a long wait: %v", err)
		}
		for range maxWaiting - 2 {
			if err := <-answers; err != nil && !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
		}
		go func() { answers <- gate.enter(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("whoever goes: %v", err)
		}
	})
}
