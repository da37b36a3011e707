-- +goose Up

-- What a series by the minute reads: one row a minute with the sets united over label, source, language and symptom, in small granules, so
-- that a day of a service is one short stretch of the table. Sets stay sets: what is delivered twice or late unites to the same number.
CREATE TABLE IF NOT EXISTS service_minute_totals
(
    service LowCardinality(String)                COMMENT 'Catalog id of the service.',
    minute  DateTime('UTC')                       COMMENT 'Start of the minute of event time.',
    people  AggregateFunction(uniqExact, UInt64)  COMMENT 'Distinct authors of outage mentions, reposts left out; read with uniqExactMerge.',
    posts   AggregateFunction(uniqExact, UInt64)  COMMENT 'Distinct mentions of any label, reposts included; read with uniqExactMerge.'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (service, minute)
SETTINGS index_granularity = 1440
COMMENT 'People and posts by service and minute. It follows from service_minutes; read it through service_series.';

CREATE MATERIALIZED VIEW IF NOT EXISTS service_minutes_to_totals TO service_minute_totals AS
SELECT service, minute, uniqExactMergeStateIf(people, label = 'outage' AND NOT repost) AS people, uniqExactMergeState(posts) AS posts
FROM service_minutes
GROUP BY service, minute;

-- What was counted before. A minute that the view wrote meanwhile unites with itself.
INSERT INTO service_minute_totals
SELECT service, minute, uniqExactMergeStateIf(people, label = 'outage' AND NOT repost), uniqExactMergeState(posts)
FROM service_minutes
GROUP BY service, minute;

CREATE OR REPLACE VIEW service_series
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH
    {step_seconds:UInt32} AS step,
    intDiv({from_unix:Int64}, step) AS first,
    intDiv({to_unix:Int64} + step - 1, step) AS past
SELECT
    toDateTime(i * step, 'UTC') AS time,
    {service:String} AS service,
    c.people AS people,
    c.mentions AS mentions,
    r.ingested AS ingested,
    if(mentions > 0, 1000 * people / mentions, NULL) AS per_1000_mentions,
    if(e.minutes > 0, e.sum_expected * (step / 60 / e.minutes), NULL) AS expected,
    if(e.minutes > 0, greatest(0, expected - sqrt(e.below * (step / 60 / e.minutes))), NULL) AS lower,
    if(e.minutes > 0, expected + sqrt(e.above * (step / 60 / e.minutes)), NULL) AS upper
FROM (SELECT arrayJoin(range(assumeNotNull(toUInt64(first)), assumeNotNull(toUInt64(past)))) AS i) AS t
LEFT JOIN (
    SELECT toUInt64(intDiv(toUnixTimestamp(minute), step)) AS slot, uniqExactMerge(people) AS people, uniqExactMerge(posts) AS mentions
    FROM service_minute_totals
    WHERE service = {service:String} AND minute >= toDateTime(first * step, 'UTC') AND minute < toDateTime(past * step, 'UTC')
    GROUP BY slot) AS c ON c.slot = t.i
LEFT JOIN (
    SELECT toUInt64(intDiv(toUnixTimestamp(minute), step)) AS slot, sum(posts) AS ingested
    FROM source_minutes FINAL
    WHERE minute >= toDateTime(first * step, 'UTC') AND minute < toDateTime(past * step, 'UTC')
    GROUP BY slot) AS r ON r.slot = t.i
LEFT JOIN (
    SELECT toUInt64(intDiv(toUnixTimestamp(window_end) - 60, step)) AS slot, count() AS minutes, sum(expected) AS sum_expected,
        sum(pow(expected - lower, 2)) AS below, sum(pow(upper - expected, 2)) AS above
    FROM spike_windows FINAL
    WHERE service = {service:String} AND window_seconds = 60 AND window_end > toDateTime(first * step, 'UTC')
        AND window_end <= toDateTime(past * step, 'UTC') AND toSecond(window_end) = 0
    GROUP BY slot) AS e ON e.slot = t.i
ORDER BY time;

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

-- +goose Down
CREATE OR REPLACE VIEW service_series
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH
    {step_seconds:UInt32} AS step,
    intDiv({from_unix:Int64}, step) AS first,
    intDiv({to_unix:Int64} + step - 1, step) AS past
SELECT
    toDateTime(i * step, 'UTC') AS time,
    {service:String} AS service,
    c.people AS people,
    c.mentions AS mentions,
    r.ingested AS ingested,
    if(mentions > 0, 1000 * people / mentions, NULL) AS per_1000_mentions,
    if(e.minutes > 0, e.sum_expected * (step / 60 / e.minutes), NULL) AS expected,
    if(e.minutes > 0, greatest(0, expected - sqrt(e.below * (step / 60 / e.minutes))), NULL) AS lower,
    if(e.minutes > 0, expected + sqrt(e.above * (step / 60 / e.minutes)), NULL) AS upper
FROM (SELECT arrayJoin(range(assumeNotNull(toUInt64(first)), assumeNotNull(toUInt64(past)))) AS i) AS t
LEFT JOIN (
    SELECT toUInt64(intDiv(toUnixTimestamp(minute), step)) AS slot,
        uniqExactMergeIf(people, label = 'outage' AND NOT repost) AS people, uniqExactMerge(posts) AS mentions
    FROM service_minutes
    WHERE service = {service:String} AND minute >= toDateTime(first * step, 'UTC') AND minute < toDateTime(past * step, 'UTC')
    GROUP BY slot) AS c ON c.slot = t.i
LEFT JOIN (
    SELECT toUInt64(intDiv(toUnixTimestamp(minute), step)) AS slot, sum(posts) AS ingested
    FROM source_minutes FINAL
    WHERE minute >= toDateTime(first * step, 'UTC') AND minute < toDateTime(past * step, 'UTC')
    GROUP BY slot) AS r ON r.slot = t.i
LEFT JOIN (
    SELECT toUInt64(intDiv(toUnixTimestamp(window_end) - 60, step)) AS slot, count() AS minutes, sum(expected) AS sum_expected,
        sum(pow(expected - lower, 2)) AS below, sum(pow(upper - expected, 2)) AS above
    FROM spike_windows FINAL
    WHERE service = {service:String} AND window_seconds = 60 AND window_end > toDateTime(first * step, 'UTC')
        AND window_end <= toDateTime(past * step, 'UTC') AND toSecond(window_end) = 0
    GROUP BY slot) AS e ON e.slot = t.i
ORDER BY time;

DROP VIEW IF EXISTS service_minutes_to_totals;
DROP TABLE IF EXISTS service_minute_totals;
