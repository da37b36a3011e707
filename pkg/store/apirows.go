package store

import (
	"context"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Key is a key of the api, without the key itself.
type Key struct {
	ID, Hash, Name string
	Scopes         []string
	CreatedAt      time.Time
	Revoked        bool
}

// PutKey makes a key, or changes the one with its id.
func (s *Store) PutKey(ctx context.Context, k Key, now time.Time) error {
	return insert(ctx, s, "api_keys (id, hash, name, scopes, created_at, revoked, version)", []Key{k}, func(b driver.Batch, k *Key) error {
		return b.Append(k.ID, k.Hash, k.Name, k.Scopes, k.CreatedAt.UTC(), k.Revoked, uint64(now.UnixNano()))
	})
}

// Keys returns all keys, revoked ones too, in the order of their ids.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	var out []Key
	err := s.ask(ctx, "read the keys", func(rows driver.Rows) error {
		var k Key
		err := rows.Scan(&k.ID, &k.Hash, &k.Name, &k.Scopes, &k.CreatedAt, &k.Revoked)
		k.CreatedAt = k.CreatedAt.UTC()
		out = append(out, k)
		return err
	}, "SELECT id, hash, name, scopes, created_at, revoked FROM api_keys FINAL ORDER BY id")
	return out, err
}

// AuditEntry is something that somebody did.
type AuditEntry struct {
	At                              time.Time
	Actor, Action, Subject, Address string
}

// Audit writes down what somebody did.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	return insert(ctx, s, "api_audit (at, actor, action, subject, address)", []AuditEntry{e}, func(b driver.Batch, e *AuditEntry) error {
		return b.Append(e.At.UTC(), e.Actor, e.Action, e.Subject, e.Address)
	})
}

// AuditLog returns the last entries, the latest first.
func (s *Store) AuditLog(ctx context.Context, limit int) ([]AuditEntry, error) {
	var out []AuditEntry
	err := s.ask(ctx, "read the audit log", func(rows driver.Rows) error {
		var e AuditEntry
		err := rows.Scan(&e.At, &e.Actor, &e.Action, &e.Subject, &e.Address)
		e.At = e.At.UTC()
		out = append(out, e)
		return err
	}, "SELECT at, actor, action, subject, address FROM api_audit ORDER BY at DESC LIMIT ?", limit)
	return out, err
}

// FrozenChart is a chart that stays as it is.
type FrozenChart struct {
	ID, Service, ModelVersion, DataVersion string
	// Incidents that it shows, and the root that each had then.
	Incidents map[string]string
	Chart     []byte // JSON
	FrozenAt  time.Time
}

// Freeze keeps a chart. The same chart again changes nothing that a reader sees.
func (s *Store) Freeze(ctx context.Context, f FrozenChart) error {
	return insert(ctx, s, "frozen_charts (id, service, model_version, data_version, incidents, chart, frozen_at)", []FrozenChart{f},
		func(b driver.Batch, f *FrozenChart) error {
			return b.Append(f.ID, f.Service, f.ModelVersion, f.DataVersion, f.Incidents, string(f.Chart), f.FrozenAt.UTC())
		})
}

// Frozen returns a frozen chart, or nil where there is none of that id. Of several freezings the first one counts.
func (s *Store) Frozen(ctx context.Context, id string) (*FrozenChart, error) {
	var out *FrozenChart
	err := s.ask(ctx, "read a frozen chart", func(rows driver.Rows) error {
		var f FrozenChart
		var chart string
		err := rows.Scan(&f.ID, &f.Service, &f.ModelVersion, &f.DataVersion, &f.Incidents, &chart, &f.FrozenAt)
		f.Chart, f.FrozenAt = []byte(chart), f.FrozenAt.UTC()
		out = &f
		return err
	}, `SELECT id, service, model_version, data_version, incidents, chart, frozen_at FROM frozen_charts WHERE id = ? ORDER BY frozen_at LIMIT 1`, id)
	return out, err
}

// ModelVersions are the versions of the model behind the mentions of a service in [from, to), with commas.
func (s *Store) ModelVersions(ctx context.Context, service string, from, to time.Time) (string, error) {
	var versions []string
	err := s.ask(ctx, "read the versions of the model", func(rows driver.Rows) error { return rows.Scan(&versions) },
		"SELECT arraySort(groupUniqArray(10)(toString(model_version))) FROM mentions WHERE service = ? AND toStartOfMinute(time) >= ? AND time < ?",
		service, from.UTC().Truncate(time.Minute), to.UTC())
	return strings.Join(versions, ", "), err
}
