package store

import (
	"context"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Delivery is one row of alert_deliveries: an attempt to tell somebody of an incident.
type Delivery struct {
	Time        time.Time
	Incident    string
	Service     string
	Revision    uint64
	Channel     string
	Receiver    string
	Integration string
	Delivery    string
	Attempt     uint32
	Firing      bool
	Result      string
	Took        time.Duration
	Error       string
	Test        bool
}

// InsertDeliveries writes attempts.
func (s *Store) InsertDeliveries(ctx context.Context, rows []Delivery) error {
	return insert(ctx, s, "alert_deliveries", rows, func(b driver.Batch, d *Delivery) error {
		return b.Append(d.Time.UTC(), d.Incident, d.Service, d.Revision, d.Channel, d.Receiver, d.Integration, d.Delivery, d.Attempt, d.Firing, d.Result,
			uint32(min(d.Took.Milliseconds(), 1<<31)), d.Error, d.Test)
	})
}

// DeliveryFilter chooses deliveries; what is not set does not restrict.
type DeliveryFilter struct {
	// Subject is an incident or a service.
	Subject string
	// Failed leaves out what was taken.
	Failed bool
	Since  time.Time
	// Limit is the most that is returned, at least 1.
	Limit int
}

// Deliveries returns attempts, the latest first.
func (s *Store) Deliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, error) {
	where, args := []string{"1"}, []any(nil)
	if f.Subject != "" {
		where, args = append(where, "(incident = ? OR service = ?)"), append(args, f.Subject, f.Subject)
	}
	if f.Failed {
		where = append(where, "result != 'ok'")
	}
	if !f.Since.IsZero() {
		where, args = append(where, "time >= fromUnixTimestamp64Milli(?, 'UTC')"), append(args, f.Since.UnixMilli())
	}
	var out []Delivery
	err := s.ask(ctx, "read the delivery log", func(rows driver.Rows) error {
		var d Delivery
		var took uint32
		err := rows.Scan(&d.Time, &d.Incident, &d.Service, &d.Revision, &d.Channel, &d.Receiver, &d.Integration, &d.Delivery, &d.Attempt, &d.Firing,
			&d.Result, &took, &d.Error, &d.Test)
		d.Took = time.Duration(took) * time.Millisecond
		out = append(out, d)
		return err
	}, `SELECT time, incident, service, revision, channel, receiver, integration, delivery, attempt, firing, result, took_ms, error, test
		FROM alert_deliveries
		WHERE `+strings.Join(where, " AND ")+`
		ORDER BY time DESC
		LIMIT ?`, append(args, max(1, f.Limit))...)
	return out, err
}
