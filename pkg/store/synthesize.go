package store

import (
	"context"
	"fmt"
	"time"
)

// Synthesize fills an empty database with counts of services by the minute over whole days that end at to: as many rows as life would
// write, and the same ones for the same arguments. It is for measuring.
func (s *Store) Synthesize(ctx context.Context, services []string, days int, to time.Time) error {
	const dayMinutes = 24 * 60
	end := to.UTC().Truncate(24 * time.Hour)
	for d := range days { // a day at a time, so that memory stays small
		start := end.Add(-time.Duration(days-d) * 24 * time.Hour)
		rows := len(services) * dayMinutes
		for what, query := range map[string]string{
			"counts": fmt.Sprintf(`INSERT INTO service_minutes
				SELECT ?[1 + intDiv(number, %[1]d)], toDateTime(%[2]d + 60 * (number %% %[1]d), 'UTC'), 'outage', 'synthetic', 'en', 'general', false,
					arrayReduce('uniqExactState', arrayMap(i -> cityHash64(number, %[2]d, i), range(toUInt64(cityHash64(number, %[2]d) %% 4)))),
					arrayReduce('uniqExactState', arrayMap(i -> cityHash64(number, %[2]d, i), range(toUInt64(cityHash64(number, %[2]d) %% 4))))
				FROM numbers(%[3]d)`, dayMinutes, start.Unix(), rows),
			"windows": fmt.Sprintf(`INSERT INTO spike_windows (service, window_end, window_seconds, observed, expected, lower, upper, threshold, score, alarm, history_minutes, version)
				SELECT ?[1 + intDiv(number, %[1]d)], toDateTime(%[2]d + 60 * (1 + number %% %[1]d), 'UTC'), 60, cityHash64(number, %[2]d) %% 4, 1.5, 0, 4, 9, 0.3, false, 10000, 1
				FROM numbers(%[3]d)`, dayMinutes, start.Unix(), rows),
			"sources": fmt.Sprintf(`INSERT INTO source_minutes (source, minute, posts_partition, first_offset, posts, deletes, unreadable, version)
				SELECT 'synthetic', toDateTime(%[2]d + 60 * number, 'UTC'), 0, %[2]d + number, 5000, 0, 0, 1 FROM numbers(%[1]d)`, dayMinutes, start.Unix()),
		} {
			var args []any
			if what != "sources" {
				args = append(args, services)
			}
			if err := s.exec(ctx, "write synthetic "+what, query, args...); err != nil {
				return err
			}
		}
	}
	return nil
}
