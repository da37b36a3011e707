package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Query runs one statement of Outcry's own that reads, and hands on its columns, then each row. Statements that write are refused by the
// server. Where ClickHouse is away, it is tried again as long as Config.Patience has it and no row was handed on; then the error is
// ErrUnavailable. For those of other people see Analyse and Ask.
func (s *Store) Query(ctx context.Context, sql string, header func(columns []string) error, row func(values []any) error) error {
	var refused error // by the caller
	named, begun := false, false
	err := s.askAgain(ctx, "query", &begun, func() error {
		return query(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"readonly": 2})), s.conn, sql,
			func(columns []string) error {
				if !named {
					named, refused = true, header(columns)
				}
				begun = refused != nil
				return refused
			},
			func(values []any) error { begun, refused = true, row(values); return refused })
	})
	if err != nil && refused == nil && ctx.Err() == nil && away(err) {
		return fmt.Errorf("%w at %s: %w", ErrUnavailable, s.cfg.Address, err)
	}
	return err
}

// query runs one statement and hands on its columns, then each row.
func query(ctx context.Context, conn driver.Conn, sql string, header func(columns []string) error, row func(values []any) error) error {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	types := rows.ColumnTypes()
	if err := header(rows.Columns()); err != nil {
		return errors.Join(err, rows.Close())
	}
	for rows.Next() {
		cells, values := make([]any, len(types)), make([]any, len(types))
		for i, t := range types {
			cells[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(cells...); err != nil {
			return errors.Join(fmt.Errorf("query: %w", err), rows.Close())
		}
		for i, c := range cells {
			values[i] = reflect.ValueOf(c).Elem().Interface()
		}
		if err := row(values); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return nil
}
