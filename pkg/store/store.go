package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/pressly/goose/v3"

	migrations "outcry.dev/schemas/clickhouse"
)

// Config says where ClickHouse is.
type Config struct {
	Address string // host:port of the native protocol
	// HTTPAddress is host:port of HTTP; empty: port 8123 of the host in Address. Files for analysts and their statements go that way.
	HTTPAddress string
	Database    string // empty: "default"
	Username    string // empty: "default"
	Password    string
	// Patience is for how long a question is asked again while ClickHouse cannot be reached, from the first time on. 0 is not at all, as fits
	// who has somebody waiting. Writers and migrations wait without it.
	Patience time.Duration
}

func (c Config) options() *clickhouse.Options {
	if c.Database == "" {
		c.Database = "default"
	}
	return &clickhouse.Options{
		Addr:        []string{c.Address},
		Auth:        clickhouse.Auth{Database: c.Database, Username: c.Username, Password: c.Password},
		DialTimeout: 5 * time.Second,
		// Posts of a replay can lie in many months.
		Settings:     clickhouse.Settings{"max_partitions_per_insert_block": 0},
		MaxOpenConns: 16,
		MaxIdleConns: 8,
		Compression:  &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
	}
}

// Store is a pool of connections to ClickHouse. Safe for concurrent use.
type Store struct {
	cfg  Config
	conn driver.Conn
	http *http.Client
	log  *slog.Logger

	questions turnstile // of readers who wait for an answer

	functionsMu sync.Mutex
	functions   map[string]bool // see pureFunctions
	// insertErrors counts inserts that failed, those that were tried again included.
	insertErrors atomic.Int64
}

// Open returns a Store; it connects when it is first used.
func Open(cfg Config, log *slog.Logger) (*Store, error) {
	conn, err := clickhouse.Open(cfg.options())
	if err != nil {
		return nil, fmt.Errorf("clickhouse at %s: %w", cfg.Address, err)
	}
	return &Store{cfg: cfg, conn: conn, http: newHTTPClient(), log: log, questions: turnstile{inside: make(chan struct{}, maxQuestions)}}, nil
}

// Close closes the connections.
func (s *Store) Close() error {
	s.http.CloseIdleConnections()
	return s.conn.Close()
}

// InsertErrors returns how many inserts have failed so far; one that is tried again counts each time.
func (s *Store) InsertErrors() int64 { return s.insertErrors.Load() }

// Ping asks the server for its version.
func (s *Store) Ping(ctx context.Context) (version string, err error) {
	if err := s.conn.QueryRow(ctx, "SELECT version()").Scan(&version); err != nil {
		return "", fmt.Errorf("clickhouse at %s: %w", s.cfg.Address, err)
	}
	return version, nil
}

// Migration is one migration file and whether it has been applied.
type Migration struct {
	Name    string
	Applied bool
}

const (
	// migratePatience is how long Migrate waits for a server that does not answer: one that starts beside us does within it.
	migratePatience = time.Minute
	// migrateWithin is how long the migrations themselves may take, on a server that is busy with other things.
	migrateWithin = 10 * time.Minute
)

// Migrate creates what is missing and returns the names of the migrations that it applied. Starting several processes at once is safe.
func (s *Store) Migrate(ctx context.Context) (applied []string, err error) {
	waiting, stop := context.WithTimeout(ctx, migratePatience)
	defer stop()
	if err := s.patiently(waiting, "migrate clickhouse at "+s.cfg.Address, func() error { return s.createDatabase(waiting) }); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, migrateWithin)
	defer cancel()
	err = s.patiently(ctx, "migrate clickhouse at "+s.cfg.Address, func() error {
		for tries := 1; ; tries++ {
			err := s.goose(ctx, func(p *goose.Provider) error {
				results, err := p.Up(ctx)
				var broken *goose.PartialError
				if errors.As(err, &broken) {
					results = broken.Applied
				}
				for _, r := range results {
					applied = append(applied, r.Source.Path)
				}
				return err
			})
			if !another(err) || tries == 20 || sleep(ctx, firstWait) != nil {
				return err
			}
		}
	})
	return applied, err
}

// another tells that a migration met the same one of another process: a view is being replaced under its name. A migration can be repeated.
func another(err error) bool {
	var exception *clickhouse.Exception
	return errors.As(err, &exception) && slices.Contains([]int32{57, 60, 517}, exception.Code) // is there, is not there, cannot be altered now
}

// Migrations returns all migrations in their order.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	var out []Migration
	err := s.goose(ctx, func(p *goose.Provider) error {
		status, err := p.Status(ctx)
		for _, m := range status {
			out = append(out, Migration{Name: m.Source.Path, Applied: m.State == goose.StateApplied})
		}
		return err
	})
	return out, err
}

func (s *Store) goose(ctx context.Context, f func(*goose.Provider) error) error {
	if err := s.createDatabase(ctx); err != nil {
		return err
	}
	db := clickhouse.OpenDB(s.cfg.options())
	provider, err := goose.NewProvider(goose.DialectClickHouse, db, migrations.Migrations, goose.WithDisableGlobalRegistry(true),
		goose.WithAllowOutofOrder(true)) // numbers are given out in ranges: a lower one can come later
	if err != nil {
		return errors.Join(fmt.Errorf("read migrations: %w", err), db.Close())
	}
	if err := f(provider); err != nil {
		return errors.Join(err, provider.Close())
	}
	return provider.Close()
}

// DropDatabase removes the database with everything in it, as whoever made it for a while does in the end.
func (s *Store) DropDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, migratePatience)
	defer cancel()
	return s.exec(ctx, "drop database "+s.cfg.Database, "DROP DATABASE IF EXISTS "+quoted(s.cfg.Database))
}

func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// createDatabase makes the database, through the one that every server has.
func (s *Store) createDatabase(ctx context.Context) error {
	options := s.cfg.options()
	name := options.Auth.Database
	options.Auth.Database = "default"
	db := clickhouse.OpenDB(options)
	_, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS `"+strings.ReplaceAll(name, "`", "``")+"`")
	if err != nil {
		err = fmt.Errorf("create database %s: %w", name, err)
	}
	return errors.Join(err, db.Close())
}

const (
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
)

// insert sends rows as one batch, again and again while ClickHouse is away, until ctx ends.
func insert[R any](ctx context.Context, s *Store, into string, rows []R, appendRow func(driver.Batch, *R) error) error {
	if len(rows) == 0 {
		return nil
	}
	table, _, _ := strings.Cut(into, " ")
	return s.patiently(ctx, fmt.Sprintf("insert %d rows into %s", len(rows), table), func() error {
		err := insertOnce(ctx, s, into, rows, appendRow)
		if err != nil {
			s.insertErrors.Add(1)
		}
		return err
	})
}

func insertOnce[R any](ctx context.Context, s *Store, into string, rows []R, appendRow func(driver.Batch, *R) error) error {
	batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO "+into)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := appendRow(batch, &rows[i]); err != nil {
			return errors.Join(fmt.Errorf("%w: row %d: %w", errUnfit, i, err), batch.Abort())
		}
	}
	return batch.Send()
}

// exec runs a statement, again and again while ClickHouse is away, until ctx ends.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) error {
	return s.patiently(ctx, what, func() error { return s.conn.Exec(ctx, query, args...) })
}

// query calls scan for each row, and starts again from reset while ClickHouse is away, until ctx ends.
func (s *Store) query(ctx context.Context, what string, reset func(), scan func(driver.Rows) error, query string, args ...any) error {
	return s.patiently(ctx, what, func() error {
		reset()
		return s.queryOnce(ctx, scan, query, args...)
	})
}

// patiently does something again and again while ClickHouse is away, until ctx ends.
func (s *Store) patiently(ctx context.Context, what string, f func() error) error {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := f()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("%s: %w", what, err)
		if ctx.Err() != nil || !away(err) {
			return err
		}
		s.log.Warn("clickhouse is away; trying again", "address", s.cfg.Address, "in", wait, "error", err)
		if sleep(ctx, wait) != nil {
			return err
		}
	}
}

// askAgain asks something again while ClickHouse cannot be reached, as long as the Store is patient. begun tells that part of an answer has
// been handed on: it cannot be taken back.
func (s *Store) askAgain(ctx context.Context, what string, begun *bool, f func() error) error {
	var since time.Time
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := f()
		if err == nil || *begun || ctx.Err() != nil || !unreached(err) {
			return err
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since)+wait > s.cfg.Patience {
			return err
		}
		s.log.Warn("clickhouse is away; asking again", "address", s.cfg.Address, "in", wait, "error", fmt.Errorf("%s: %w", what, err))
		if sleep(ctx, wait) != nil {
			return err
		}
	}
}

func (s *Store) queryOnce(ctx context.Context, scan func(driver.Rows) error, query string, args ...any) error {
	rows, err := s.conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// errUnfit is a row that no waiting makes fit its table.
var errUnfit = errors.New("a row does not fit the table")

// away tells that the server could not be reached or had no room for the moment, from a statement that it refuses.
func away(err error) bool {
	if errors.Is(err, errUnfit) {
		return false
	}
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		switch exception.Code {
		case 159, 202, 209, 210, 241, 242, 252, 319, 999, 1000, 439, 394, 236: // time-outs, too many queries or parts, memory, shutting down
			return true
		}
		return false
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, clickhouse.ErrBatchInvalid)
}

// unreached tells that no answer came, not even a refusal.
func unreached(err error) bool {
	var exception *clickhouse.Exception
	return away(err) && !errors.As(err, &exception)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
