-- +goose Up

-- What has become of each day of each service. Most of what a series by the minute costs is uniting sets, again and again, for days in which
-- nothing is written any more. So a day that was quiet for long enough is worked out once, and kept as one small row. Whatever is written into
-- a day later puts an empty row above that one, by its version, and the day is read from the tables again until it is worked out anew. The views
-- below see every insert, so a day without any row is one into which nothing was ever written.
CREATE TABLE IF NOT EXISTS service_days
(
    service LowCardinality(String) COMMENT 'Catalog id of the service.',
    day     Date                   COMMENT 'Day of event time, in UTC.',
    minutes String                 COMMENT 'The minutes of the day as pkg/store packs them; empty where something was written since, so that they are to be read from the tables.',
    version UInt64                 COMMENT 'The row with the highest version counts: twice the microseconds since 1970 by the clock of the server, and one more where minutes is empty.'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (service, day)
SETTINGS index_granularity = 16
COMMENT 'Days of services by the minute, worked out once nothing is written into them. For the api, not for analysis: it follows from service_minute_totals and spike_windows.';

CREATE MATERIALIZED VIEW IF NOT EXISTS service_minutes_to_days TO service_days AS
SELECT service, toDate(minute) AS day, '' AS minutes, toUInt64(2 * toUnixTimestamp64Micro(now64(6)) + 1) AS version
FROM service_minutes
GROUP BY service, day;

-- A window counts for the days in which it begins and ends; none is longer than an hour.
CREATE MATERIALIZED VIEW IF NOT EXISTS spike_windows_to_days TO service_days AS
SELECT service, arrayJoin([toDate(window_end - window_seconds), toDate(window_end - 1)]) AS day, '' AS minutes,
    toUInt64(2 * toUnixTimestamp64Micro(now64(6)) + 1) AS version
FROM spike_windows
GROUP BY service, day;

-- What was written before: names and days alone, which takes seconds for years. The days themselves are worked out by the api, some at a time.
INSERT INTO service_days SELECT service, toDate(minute) AS day, '', 1 FROM service_minutes GROUP BY service, day;

INSERT INTO service_days
SELECT service, arrayJoin([toDate(window_end - window_seconds), toDate(window_end - 1)]) AS day, '', 1 FROM spike_windows GROUP BY service, day;

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
    'frozen_charts', 'api_keys', 'api_audit')
    AND c.table NOT LIKE '.%'
ORDER BY relation, c.position
COMMENT 'What every column is.';

DROP VIEW IF EXISTS spike_windows_to_days;
DROP VIEW IF EXISTS service_minutes_to_days;
DROP TABLE IF EXISTS service_days;
