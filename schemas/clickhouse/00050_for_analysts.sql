-- +goose Up

-- What analysts ask, as views that read with the rights of whoever made them: a user who may read these and nothing else needs no right
-- on a table. Posts of X are known by their ids alone, as its terms ask.

CREATE VIEW IF NOT EXISTS evidence
(
    service  LowCardinality(String) COMMENT 'Catalog id of the service that the post names.',
    time     DateTime64(6, 'UTC')   COMMENT 'Event time of the post.',
    label    LowCardinality(String) COMMENT 'What the post says of the service: outage, bug, complaint, recovered, official or other.',
    score    Float32                COMMENT 'Probability of the label, 0 to 1.',
    symptom  LowCardinality(String) COMMENT 'Function that fails or works again; empty for complaint and other.',
    source   LowCardinality(String) COMMENT 'Network that the post comes from.',
    post_id  String                 COMMENT 'Native id of the post within its source.',
    text     String                 COMMENT 'Text of the post; empty once it was withdrawn, and for posts of X, whose terms allow ids only.',
    url      String                 COMMENT 'Address of the post; empty where the network gives none.',
    language LowCardinality(String) COMMENT 'BCP 47 language as the network states it; empty where it does not.',
    place    LowCardinality(String) COMMENT 'Place as the network states it; empty where it does not.',
    repost   Bool                   COMMENT 'The post repeats another one.',
    official_author Bool            COMMENT 'The author is one of the official accounts of the service.',
    model_version LowCardinality(String) COMMENT 'Version of the model that decided.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT service, time, toString(label) AS label, score, symptom, source, post_id, if(source = 'x', '', text) AS text, url,
    lang AS language, place, repost_of != '' AS repost, official_author, model_version
FROM mentions FINAL
COMMENT 'One row for each service named in a post, for thirty days after the post was received.';

CREATE VIEW IF NOT EXISTS service_minute_sets
(
    service  LowCardinality(String) COMMENT 'Catalog id of the service.',
    minute   DateTime('UTC')        COMMENT 'Start of the minute of event time.',
    label    LowCardinality(String) COMMENT 'outage, bug, complaint, recovered, official or other.',
    source   LowCardinality(String) COMMENT 'Network that the posts come from.',
    language LowCardinality(String) COMMENT 'BCP 47 language as the network states it; empty where it does not.',
    symptom  LowCardinality(String) COMMENT 'Function that fails or works again; empty for complaint and other.',
    repost   Bool                   COMMENT 'Posts that repeat another post are counted apart.',
    people   AggregateFunction(uniqExact, UInt64) COMMENT 'Set of authors; uniqExactMerge(people) counts the distinct ones over any rows.',
    posts    AggregateFunction(uniqExact, UInt64) COMMENT 'Set of mentions; uniqExactMerge(posts) counts them.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT service, minute, label, source, language, symptom, repost, people, posts
FROM service_minutes
COMMENT 'The sets behind service_minute_counts, for people over longer times: people do not add up, sets unite.';

CREATE VIEW IF NOT EXISTS spike_windows_current
(
    service        LowCardinality(String) COMMENT 'Catalog id of the service.',
    window_end     DateTime('UTC')        COMMENT 'End of the window in event time, exclusive.',
    window_seconds UInt32                 COMMENT 'Length of the window: 60, 300, 900 or 3600.',
    observed       UInt64                 COMMENT 'Distinct people with an outage mention in the window, reposts left out.',
    expected       Float64                COMMENT 'People that the baseline expects in the window.',
    lower          Float64                COMMENT 'Lower end of the expected band (2.5 % quantile).',
    upper          Float64                COMMENT 'Upper end of the expected band (97.5 % quantile).',
    threshold      Float64                COMMENT 'People from which on the window is an alarm, after the false-alarm budget.',
    score          Float64                COMMENT 'Minus log10 of the probability of seeing this many people or more by chance.',
    alarm          Bool                   COMMENT 'The window alone justifies an alarm.',
    history_minutes UInt32                COMMENT 'Minutes of history behind the expectation.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT service, window_end, window_seconds, observed, expected, lower, upper, threshold, score, alarm, history_minutes
FROM spike_windows FINAL
COMMENT 'Observed and expected people per service and window: every full minute of a service that is talked about, and every alarm.';

CREATE VIEW IF NOT EXISTS incident_changes
(
    incident    String                 COMMENT 'Id of the incident.',
    service     LowCardinality(String) COMMENT 'Catalog id of the service.',
    revision    UInt64                 COMMENT 'Number of the change, from 1.',
    at          DateTime64(6, 'UTC')   COMMENT 'Event time of the change.',
    state       LowCardinality(String) COMMENT 'State after the change.',
    severity    LowCardinality(String) COMMENT 'Severity after the change.',
    people      UInt64                 COMMENT 'Distinct people so far.',
    explanation String                 COMMENT 'What was seen, what was expected, how unlikely.',
    actor       String                 COMMENT 'outcry, or the person who acted.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT incident, service, revision, at, toString(state) AS state, toString(severity) AS severity, people, explanation, actor
FROM incident_events FINAL
COMMENT 'Every change of every incident.';

-- The one definition of a series: JSON, files, charts and SQL all read it. Baselines are kept by minute. For a longer step the
-- expectations of its minutes are added and the half-widths of their bands are added as roots of sums of squares, as for independent
-- minutes; minutes without a baseline count as the mean of those with one.
CREATE VIEW IF NOT EXISTS service_series
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

CREATE VIEW IF NOT EXISTS documentation
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
WHERE c.database = currentDatabase() AND c.table NOT IN ('goose_db_version', 'aggregator_state', 'mentions_to_service_minutes', 'frozen_charts', 'api_keys', 'api_audit')
    AND c.table NOT LIKE '.%'
ORDER BY relation, c.position
COMMENT 'What every column is.';

ALTER TABLE service_minute_counts MODIFY DEFINER = CURRENT_USER SQL SECURITY DEFINER;
ALTER TABLE source_minute_counts MODIFY DEFINER = CURRENT_USER SQL SECURITY DEFINER;
ALTER TABLE incidents_current MODIFY DEFINER = CURRENT_USER SQL SECURITY DEFINER;
ALTER TABLE catalog_current MODIFY DEFINER = CURRENT_USER SQL SECURITY DEFINER;

-- +goose Down
DROP VIEW IF EXISTS documentation;
DROP VIEW IF EXISTS service_series;
DROP VIEW IF EXISTS incident_changes;
DROP VIEW IF EXISTS spike_windows_current;
DROP VIEW IF EXISTS service_minute_sets;
DROP VIEW IF EXISTS evidence;
