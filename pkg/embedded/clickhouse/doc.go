// Package clickhouse is the ClickHouse that answers when nobody has named another.
package clickhouse
