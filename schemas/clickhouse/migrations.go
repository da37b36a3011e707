// Package clickhouse holds the ClickHouse migrations: the public interface that analysts query.
// It must never hold a query of a stage; those belong to pkg/store.
package clickhouse

import "embed"

// Migrations are goose files in the order of their numbers.
//
//go:embed *.sql
var Migrations embed.FS
