package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/keyfile"
	"outcry.dev/pkg/store"
	"outcry.dev/pkg/topics"
	"outcry.dev/services/ingest/files"
)

// engines are Kafka and ClickHouse, embedded or elsewhere, with topics and tables in place.
type engines struct {
	bus   *bus.Bus
	store *store.Store
	kafka bus.Config
	click store.Config
	// server is the embedded ClickHouse, or nil.
	server *clickhouse.Server
	closed []func() error
}

// startEngines starts the engines that the configuration does not name, and makes topics and tables. The caller closes them.
func (a *app) startEngines(ctx context.Context, cfg Config, log *slog.Logger) (_ *engines, err error) {
	e := &engines{kafka: kafkaConfig(cfg)}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	if len(cfg.Kafka.Brokers) == 0 {
		b, err := broker.Start(broker.Config{DataDir: filepath.Join(cfg.DataDir, "kafka")}, log)
		if err != nil {
			return nil, err
		}
		e.closed = append(e.closed, b.Close)
		e.kafka.Brokers = b.Addrs()
		remove, err := announceBroker(cfg, b.Addrs()[0])
		if err != nil {
			return nil, err
		}
		e.closed = append(e.closed, remove)
	}
	e.click = clickhouseConfig(cfg)
	if cfg.ClickHouse.Address == "" {
		if err := e.startClickHouse(ctx, cfg, a.stderr, log); err != nil {
			return nil, err
		}
	}
	return e, e.open(ctx, cfg, log)
}

// connectEngines uses engines that run elsewhere.
func connectEngines(ctx context.Context, cfg Config, log *slog.Logger) (*engines, error) {
	var faults []error
	if len(cfg.Kafka.Brokers) == 0 {
		faults = append(faults, errors.New("kafka.brokers is empty: a stage by itself needs brokers; set OUTCRY_KAFKA_BROKERS, start some with `outcry engines`, or run everything with `outcry up`"))
	}
	if cfg.ClickHouse.Address == "" {
		faults = append(faults, errors.New("clickhouse.address is empty: a stage by itself needs a server; set OUTCRY_CLICKHOUSE_ADDRESS, start one with `outcry engines`, or run everything with `outcry up`"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	e := &engines{kafka: kafkaConfig(cfg), click: clickhouseConfig(cfg)}
	if err := e.open(ctx, cfg, log); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// open makes topics and tables where they are missing.
func (e *engines) open(ctx context.Context, cfg Config, log *slog.Logger) error {
	e.bus = bus.New(e.kafka, log)
	e.closed = append(e.closed, func() error { e.bus.Close(); return nil })
	if err := e.bus.EnsureTopics(ctx, topics.All(cfg.Kafka.Partitions)...); err != nil {
		return err
	}
	var err error
	if e.store, err = store.Open(e.click, log); err != nil {
		return err
	}
	e.closed = append(e.closed, e.store.Close)
	_, err = e.store.Migrate(ctx)
	return err
}

// close ends the engines in the reverse order of their start.
func (e *engines) close() error {
	var faults []error
	for i := len(e.closed) - 1; i >= 0; i-- {
		faults = append(faults, e.closed[i]())
	}
	e.closed = nil
	return errors.Join(faults...)
}

// loadCatalog returns the services listened for.
func loadCatalog(cfg Config) (*catalog.Catalog, error) { return catalog.Load(cfg.Catalog.Files...) }

// authorKey returns the key of the author hashes: the configured one, or one that is made once and kept in the data folder.
func authorKey(cfg Config) ([]byte, error) {
	if key := cfg.Privacy.AuthorKey.Reveal(); key != "" {
		return []byte(key), nil
	}
	key, err := keyfile.Get(filepath.Join(cfg.DataDir, "author.key"))
	if err != nil {
		return nil, fmt.Errorf("author key: %w", err)
	}
	return key, nil
}

// patience is for how long a command by itself, behind which nobody waits in a browser, asks a ClickHouse that has died and is started again.
const patience = time.Minute

// openStore opens the configured ClickHouse, or starts the embedded one on its data, which may die once. The caller calls end.
func (a *app) openStore(ctx context.Context, cfg Config, log *slog.Logger) (st *store.Store, end func(), err error) {
	return a.openStoreFor(ctx, cfg, patience, log)
}

// openStoreFor is openStore with another patience for the embedded ClickHouse.
func (a *app) openStoreFor(ctx context.Context, cfg Config, patience time.Duration, log *slog.Logger) (st *store.Store, end func(), err error) {
	e := &engines{click: clickhouseConfig(cfg)}
	if cfg.ClickHouse.Address == "" {
		e.click.Patience = patience
		if err := e.startClickHouse(ctx, cfg, a.stderr, log); err != nil {
			return nil, nil, err
		}
	}
	if e.store, err = store.Open(e.click, log); err != nil {
		return nil, nil, errors.Join(err, e.close())
	}
	e.closed = append(e.closed, e.store.Close)
	return e.store, func() { a.closing(e) }, nil
}

// startClickHouse starts the embedded server.
func (e *engines) startClickHouse(ctx context.Context, cfg Config, progress io.Writer, log *slog.Logger) error {
	server := clickhouse.DefaultConfig()
	server.DataDir = filepath.Join(cfg.DataDir, "clickhouse")
	server.Library = cfg.ClickHouse.Library
	server.Progress = progress
	server.Password = rand.Text()
	for _, r := range store.ReadersOf(cfg.ClickHouse.Database, server.Password) {
		server.Users = append(server.Users, clickhouse.User{Name: r.Name, Password: r.Password, Settings: r.Settings, Grants: r.Grants})
	}
	s, err := clickhouse.Start(ctx, server, log)
	if err != nil {
		return err
	}
	e.server = s
	e.closed = append(e.closed, s.Close)
	e.click.Address, e.click.HTTPAddress, e.click.Username, e.click.Password = s.Addr(), s.HTTPAddr(), s.User(), s.Password()
	return nil
}

func clickhouseConfig(cfg Config) store.Config {
	return store.Config{Address: cfg.ClickHouse.Address, HTTPAddress: cfg.ClickHouse.HTTPAddress, Database: cfg.ClickHouse.Database, Username: cfg.ClickHouse.Username,
		Password: cfg.ClickHouse.Password.Reveal()}
}

// files is the source that reads posts from files.
func (a *app) files(ctx context.Context, names []string, decode files.Decode) *files.Source {
	return &files.Source{Names: names, Decode: decode, Now: time.Now(),
		Open: func(name string) (io.ReadCloser, error) { return a.open(ctx, name) }}
}

func joined(addresses []string) string { return strings.Join(addresses, ",") }

func kafkaConfig(cfg Config) bus.Config {
	return bus.Config{Brokers: cfg.Kafka.Brokers, Prefix: cfg.Kafka.Prefix, SessionTimeout: cfg.Kafka.SessionTimeout, Security: cfg.Kafka.Security}
}
