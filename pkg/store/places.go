package store

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Places returns the people who complained in [from, to) by the places that their posts name, those with most people first, at most limit.
// Names are ids of the gazetteer, such as us/austin. It reads the posts themselves, so what has expired is not counted.
func (s *Store) Places(ctx context.Context, service string, from, to time.Time, limit int) ([]Group, error) {
	var out []Group
	err := s.ask(ctx, "read the places of "+service, func(rows driver.Rows) error {
		var g Group
		var people, posts uint64
		err := rows.Scan(&g.Name, &people, &posts)
		g.People, g.Posts = int(people), int(posts)
		out = append(out, g)
		return err
	}, `SELECT toString(where_it_is) AS name, uniqExact(author) AS people, count() AS posts
		FROM mentions FINAL
		ARRAY JOIN places AS where_it_is
		WHERE service = ? AND toStartOfMinute(time) >= ? AND time >= ? AND time < ? AND label = 'outage' AND repost_of = ''
		GROUP BY name
		ORDER BY people DESC, name
		LIMIT ?`, service, from.UTC().Truncate(time.Minute), from.UTC(), to.UTC(), max(1, limit))
	return out, err
}
