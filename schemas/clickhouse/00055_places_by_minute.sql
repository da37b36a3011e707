-- +goose Up

-- Complaints by the places that their posts name. Sets, as in service_minutes, so that what is delivered twice unites to the same number; and
-- like those they stay when texts expire. Most posts name no place, and some name two, so places do not add up to the whole.
CREATE TABLE IF NOT EXISTS service_minute_places
(
    service LowCardinality(String)                COMMENT 'Catalog id of the service.',
    minute  DateTime('UTC')                       COMMENT 'Start of the minute of event time.',
    place   LowCardinality(String)                COMMENT 'Place that the post names: a country as ISO 3166-1 alpha-2 code, or a city behind it, such as us/austin. Who names a city is not counted to its country.',
    people  AggregateFunction(uniqExact, UInt64)  COMMENT 'Distinct authors of outage mentions, reposts left out; uniqExactMerge(people) counts them over any rows.',
    posts   AggregateFunction(uniqExact, UInt64)  COMMENT 'Distinct outage mentions, reposts left out; uniqExactMerge(posts) counts them.'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (service, minute, place)
COMMENT 'Complaints by service, minute and place named. Posts that name none are in no row.';

CREATE MATERIALIZED VIEW IF NOT EXISTS mentions_to_service_minute_places TO service_minute_places AS
SELECT service, toStartOfMinute(toDateTime(time, 'UTC')) AS minute, named AS place, uniqExactState(author) AS people, uniqExactState(id) AS posts
FROM mentions
ARRAY JOIN places AS named
WHERE label = 'outage' AND repost_of = ''
GROUP BY service, minute, place;

-- What was counted before and has not expired. A minute that the view wrote meanwhile unites with itself.
INSERT INTO service_minute_places
SELECT service, toStartOfMinute(toDateTime(time, 'UTC')) AS minute, named AS place, uniqExactState(author), uniqExactState(id)
FROM mentions FINAL
ARRAY JOIN places AS named
WHERE label = 'outage' AND repost_of = ''
GROUP BY service, minute, place;

CREATE VIEW IF NOT EXISTS service_minute_place_sets
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT service, minute, place, people, posts
FROM service_minute_places;

CREATE OR REPLACE VIEW documentation
(
    relation      String COMMENT 'Table or view.',
    column        String COMMENT 'Column of it.',
    type          String COMMENT 'Type of the column in ClickHouse.',
    comment       String COMMENT 'What the column is.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT c.table AS relation, c.name AS column, c.type AS type,
    if(c.comment != '', c.comment, max(c.comment) OVER (PARTITION BY replaceRegexpOne(c.table, 's?(_current|_counts|_sets)?$', ''), c.name)) AS comment
FROM system.columns AS c
WHERE c.database = currentDatabase() AND c.table NOT IN ('goose_db_version', 'aggregator_state', 'mentions_to_service_minutes', 'service_minutes_to_totals',
    'service_minutes_to_days', 'spike_windows_to_days', 'service_days', 'mentions_to_service_minute_places', 'frozen_charts', 'api_keys', 'api_audit')
    AND c.table NOT LIKE '.%'
ORDER BY relation, c.position
COMMENT 'What every column is.';

-- +goose Down
CREATE OR REPLACE VIEW documentation
(
    relation      String COMMENT 'Table or view.',
    column        String COMMENT 'Column of it.',
    type          String COMMENT 'Type of the column in ClickHouse.',
    comment       String COMMENT 'What the column is.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT c.table AS relation, c.name AS column, c.type AS type,
    if(c.comment != '', c.comment, max(c.comment) OVER (PARTITION BY replaceRegexpOne(c.table, 's?(_current|_counts|_sets)?$', ''), c.name)) AS comment
FROM system.columns AS c
WHERE c.database = currentDatabase() AND c.table NOT IN ('goose_db_version', 'aggregator_state', 'mentions_to_service_minutes', 'service_minutes_to_totals',
    'service_minutes_to_days', 'spike_windows_to_days', 'service_days', 'frozen_charts', 'api_keys', 'api_audit')
    AND c.table NOT LIKE '.%'
ORDER BY relation, c.position
COMMENT 'What every column is.';

DROP VIEW IF EXISTS service_minute_place_sets;
DROP VIEW IF EXISTS mentions_to_service_minute_places;
DROP TABLE IF EXISTS service_minute_places;
