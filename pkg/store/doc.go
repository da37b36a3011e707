// Package store reads and writes ClickHouse over its native protocol. It is the only importer of clickhouse-go and of goose.
// It must never decide anything: what is unusual, what is late and what an incident is, others say.
//
// What is not obvious:
//
//   - Every insert may be repeated. Tables replace rows of the same key by version or unite sets, so a repeated insert changes nothing.
//   - While ClickHouse is away, inserts wait and try again until their context ends; the stages' offsets wait with them.
//     Migrations and the dropping of a database do so for a time, and questions for Config.Patience.
package store
