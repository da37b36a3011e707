package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func unmigrated(t *testing.T, database string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{Address: server.Addr(), Username: server.User(), Password: server.Password(), Database: database}, quiet)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestMigrateIsDoneOnce(t *testing.T) {
	s := unmigrated(t, fresh("migrated `twice`"))
	before, err := s.Migrations(t.Context())
	must(t, err)
	applied, err := s.Migrate(t.Context())
	must(t, err)
	if len(applied) == 0 || len(applied) != len(before) {
		t.Errorf("applied %v of %v", applied, before)
	}
	if again, err := s.Migrate(t.Context()); err != nil || len(again) > 0 {
		t.Errorf("applied %v once more (%v)", again, err)
	}
	after, err := s.Migrations(t.Context())
	must(t, err)
	for i, m := range after {
		if !m.Applied || before[i].Applied || m.Name != before[i].Name {
			t.Errorf("migration %v before, %v after", before[i], m)
		}
	}
}

// Several processes that start at once all find the tables.
func TestMigrateAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	database := fresh("migrated_at_once")
	for range 4 {
		s := unmigrated(t, database)
		wg.Go(func() {
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
				return
			}
			if err := s.InsertMentions(t.Context(), []store.Mention{mention(1, 1, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := unmigrated(t, database)
	if got := rows(t, s, "SELECT people, posts FROM service_minute_counts"); len(got) != 1 || got[0] != "1 1" {
		t.Errorf("people and posts: %v, want one row, 1 and 1", got)
	}
	if all, err := s.Migrations(t.Context()); err != nil || slices.ContainsFunc(all, func(m store.Migration) bool { return !m.Applied }) {
		t.Errorf("migrations %v, %v", all, err)
	}
}

// While ClickHouse is dead, inserts and reads of the stages wait; once it is back, nothing is missing and nothing is there twice.
func TestInsertsWaitForClickHouse(t *testing.T) {
	// An engine of its own: one that dies six times within minutes is given up, and others need the shared one.
	engine, err := clickhouse.Start(t.Context(), clickhouse.Config{DataDir: t.TempDir()}, quiet)
	must(t, err)
	t.Cleanup(func() { engine.Close() })
	s, err := store.Open(store.Config{Address: engine.Addr(), Username: engine.User(), Password: engine.Password()}, quiet)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	_, err = s.Migrate(t.Context())
	must(t, err)
	const inserts, each = 40, 50
	done := make(chan error, 1)
	progress := make(chan int, inserts)
	go func() {
		defer close(progress)
		for i := range inserts {
			var list []store.Mention
			for k := range uint64(each) {
				list = append(list, mention(uint64(i)*each+k, uint64(i)*each+k, clock(16, i%60, 0), outcryv1.Label_LABEL_OUTAGE))
			}
			if err := s.InsertMentions(t.Context(), list); err != nil {
				done <- err
				return
			}
			progress <- i
		}
		done <- nil
	}()
	for i := range progress {
		if i == 5 || i == 20 {
			if pid := engine.PID(); pid != 0 { // it may still be away from the last time
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
		}
	}
	must(t, <-done)
	if _, err := s.States(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if got := rows(t, s, "SELECT count() FROM mentions_current"); got[0] != fmt.Sprint(inserts*each) {
		t.Errorf("%s mentions, want %d", got[0], inserts*each)
	}
	if got := rows(t, s, "SELECT toString(uniqExactMerge(posts)) FROM service_minutes"); got[0] != fmt.Sprint(inserts*each) {
		t.Errorf("%s posts are counted, want %d", got[0], inserts*each)
	}
}

// Waiting ends with the context, and the error says for what it waited.
func TestWaitingEndsWithTheContext(t *testing.T) {
	s, err := store.Open(store.Config{Address: "127.0.0.1:1"}, quiet)
	must(t, err)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = s.InsertMentions(ctx, []store.Mention{mention(1, 1, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)})
	if err == nil || ctx.Err() == nil {
		t.Errorf("insert returned %v before its context ended", err)
	}
	if _, err := s.Ping(t.Context()); err == nil {
		t.Error("a server that is not there answers")
	}
}

func TestRefusedStatementIsNotTriedAgain(t *testing.T) {
	s := unmigrated(t, fresh("not_migrated"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.InsertMentions(ctx, []store.Mention{mention(1, 1, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)}); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an insert without tables: %v, want an error at once", err)
	}
}
