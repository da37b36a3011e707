package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// owned is an engine of the test's own, which may kill it five times, and how to open a store on it.
func owned(t *testing.T) (*clickhouse.Server, func(database string, patience time.Duration) *store.Store) {
	t.Helper()
	engine, err := clickhouse.Start(t.Context(), clickhouse.Config{DataDir: t.TempDir()}, quiet)
	must(t, err)
	t.Cleanup(func() { engine.Close() })
	return engine, func(database string, patience time.Duration) *store.Store {
		s, err := store.Open(store.Config{Address: engine.Addr(), HTTPAddress: engine.HTTPAddr(), Username: engine.User(), Password: engine.Password(),
			Database: database, Patience: patience}, quiet)
		must(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	}
}

// death kills the engine, as soon as it lives, and waits until the process has gone.
func death(t *testing.T, engine *clickhouse.Server) {
	pid := engine.PID()
	for ; pid == 0; pid = engine.PID() {
		select {
		case <-engine.Done():
			t.Errorf("the engine is dead for good: %v", engine.Err())
			return
		case <-time.After(time.Millisecond):
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	for engine.PID() == pid {
		time.Sleep(time.Millisecond)
	}
}

// A question to an engine that has just died is answered by the next one, or refused at once where somebody waits.
func TestPatientQuestionsAreAskedAgain(t *testing.T) {
	engine, open := owned(t)
	patient, hasty := open("asked", 5*time.Minute), open("asked", 0)
	_, err := patient.Migrate(t.Context())
	must(t, err)
	at := clock(16, 0, 0)
	must(t, patient.InsertMentions(t.Context(), []store.Mention{mention(1, 1, at, outcryv1.Label_LABEL_OUTAGE), mention(2, 2, at, outcryv1.Label_LABEL_OUTAGE)}))
	count := func(s *store.Store) (n any, err error) {
		err = s.Query(t.Context(), "SELECT count() AS n FROM mentions", func([]string) error { return nil }, func(v []any) error { n = v[0]; return nil })
		return n, err
	}
	for _, ask := range []func(s *store.Store) (any, error){
		count,
		func(s *store.Store) (any, error) {
			incidents, err := s.Incidents(t.Context(), store.IncidentFilter{Limit: 10})
			return uint64(len(incidents)) + 2, err
		},
	} {
		death(t, engine)
		if _, err := ask(hasty); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("without an engine and patience: %v", err)
		}
		if n, err := ask(patient); err != nil || n != uint64(2) {
			t.Errorf("%v, %v; want 2", n, err)
		}
	}
	// What the engine refuses, it refuses again.
	if err := patient.Query(t.Context(), "SELECT nonsense", func([]string) error { return nil }, func([]any) error { return nil }); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("nonsense: %v", err)
	}
}

// Whenever the engine dies once, a database is made, filled, read and dropped all the same.
func TestOneDeathAtAnyMoment(t *testing.T) {
	engine, open := owned(t)
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	live := func(database string) {
		s := open(database, 5*time.Minute)
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Errorf("%s: %v", database, err)
			return
		}
		if again, err := s.Migrate(t.Context()); err != nil || len(again) > 0 {
			t.Errorf("%s: applied %v once more, %v", database, again, err)
		}
		if err := s.InsertMentions(t.Context(), []store.Mention{mention(1, 1, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)}); err != nil {
			t.Errorf("%s: %v", database, err)
		}
		for _, table := range []string{"mentions_current", "service_minute_counts"} {
			var n any
			err := s.Query(t.Context(), "SELECT count() AS n FROM "+table, func([]string) error { return nil }, func(v []any) error { n = v[0]; return nil })
			if err != nil || n != uint64(1) {
				t.Errorf("%s: %s has %v rows, %v; want 1", database, table, n, err)
			}
		}
		if err := s.DropDatabase(t.Context()); err != nil {
			t.Errorf("%s: %v", database, err)
		}
	}
	began := time.Now()
	live("undisturbed")
	whole := time.Since(began)
	for i := range 5 {
		var killed sync.WaitGroup
		after := time.Duration(random.Int64N(int64(whole)))
		killed.Go(func() {
			time.Sleep(after)
			death(t, engine)
		})
		live(fmt.Sprintf("disturbed_%d", i))
		killed.Wait()
	}
	s := open("default", 5*time.Minute)
	var left any
	must(t, s.Query(t.Context(), "SELECT count() AS n FROM system.databases WHERE name LIKE '%disturbed%'", func([]string) error { return nil }, func(v []any) error { left = v[0]; return nil }))
	if left != uint64(0) {
		t.Errorf("%v databases are left", left)
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
