-- +goose Up

CREATE TABLE IF NOT EXISTS mentions
(
    service            LowCardinality(String)      COMMENT 'Catalog id of the service that the post names.',
    time               DateTime64(6, 'UTC')        COMMENT 'Event time: when the network received the post, else the clamped time that the client claims.' CODEC(Delta, ZSTD(1)),
    id                 UInt64                      COMMENT 'Deterministic hash of source, post id and service: one row a mention, however often it was delivered.',
    label              Enum8('outage' = 1, 'bug' = 2, 'complaint' = 3, 'recovered' = 4, 'official' = 5, 'other' = 6) COMMENT 'What the post says of the service.',
    score              Float32                     COMMENT 'Probability of the label, 0 to 1.',
    symptom            LowCardinality(String)      COMMENT 'Function that fails or works again; empty for complaint and other.',
    model_version      LowCardinality(String)      COMMENT 'Version of the model that decided.',
    source             LowCardinality(String)      COMMENT 'Network that the post comes from.',
    post_id            String                      COMMENT 'Native id of the post within its source.',
    author             UInt64                      COMMENT 'Keyed hash of source and author.',
    text               String                      COMMENT 'Text of the post; empty once the network or its author withdrew it.' CODEC(ZSTD(3)),
    lang               LowCardinality(String)      COMMENT 'BCP 47 language as the network states it; empty where it does not.',
    url                String                      COMMENT 'Address of the post.',
    reply_to           String                      COMMENT 'Native id of the post that this one answers.',
    repost_of          String                      COMMENT 'Native id of the post that this one repeats; not empty for reposts.',
    place              LowCardinality(String)      COMMENT 'Place as the network states it.',
    official_author    Bool                        COMMENT 'The author is one of the official accounts of the service.',
    text_fingerprint   UInt64                      COMMENT 'Hash of the text without links, handles, case and punctuation: equal for copied texts.',
    revision           Int64                       COMMENT 'Revision of the post: 0 for the first text, higher for edits.',
    counted_at         DateTime64(6, 'UTC')        COMMENT 'Event time from which the mention counts in decisions; 1970-01-01 where it came too late for any.' CODEC(Delta, ZSTD(1)),
    mentions_partition UInt16                      COMMENT 'Partition of mentions.v1 that delivered it.',
    mentions_offset    Int64                       COMMENT 'Offset of the first delivery in that partition.',
    received_at        DateTime('UTC') DEFAULT now() COMMENT 'Wall-clock time at which the row was written; rows expire by it.',
    version            UInt64                      COMMENT 'The row with the highest version counts.',
    INDEX post_id_index post_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (service, toStartOfMinute(time), id)
TTL received_at + INTERVAL 30 DAY DELETE
COMMENT 'Evidence: one row for each service named in a post. Read it through mentions_current.';

-- Distinct people and posts are kept as sets, because the union of sets does not change when a delivery is repeated.
CREATE TABLE IF NOT EXISTS service_minutes
(
    service  LowCardinality(String)             COMMENT 'Catalog id of the service.',
    minute   DateTime('UTC')                    COMMENT 'Start of the minute of event time.',
    label    LowCardinality(String)             COMMENT 'outage, bug, complaint, recovered, official or other.',
    source   LowCardinality(String)             COMMENT 'Network that the posts come from.',
    language LowCardinality(String)             COMMENT 'BCP 47 language as the network states it; empty where it does not.',
    symptom  LowCardinality(String)             COMMENT 'Function that fails or works again; empty for complaint and other.',
    repost   Bool                               COMMENT 'Posts that repeat another post are counted apart.',
    people   AggregateFunction(uniqExact, UInt64) COMMENT 'Distinct authors; read with uniqExactMerge.',
    posts    AggregateFunction(uniqExact, UInt64) COMMENT 'Distinct mentions; read with uniqExactMerge.'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (service, minute, label, source, language, symptom, repost)
COMMENT 'Counts by service and minute. They stay when texts expire. Read it through service_minute_counts.';

CREATE MATERIALIZED VIEW IF NOT EXISTS mentions_to_service_minutes TO service_minutes AS
SELECT
    service,
    toStartOfMinute(toDateTime(time, 'UTC')) AS minute,
    toString(label) AS label,
    source,
    lang AS language,
    symptom,
    repost_of != '' AS repost,
    uniqExactState(author) AS people,
    uniqExactState(id) AS posts
FROM mentions
GROUP BY service, minute, label, source, language, symptom, repost;

CREATE TABLE IF NOT EXISTS source_minutes
(
    source          LowCardinality(String)  COMMENT 'Network that the posts come from.',
    minute          DateTime('UTC')         COMMENT 'Start of the minute of event time.',
    posts_partition UInt16                  COMMENT 'Partition of posts.v1 that was counted.',
    first_offset    Int64                   COMMENT 'First offset of the counted stretch of that partition.',
    posts           UInt64                  COMMENT 'Posts read.',
    deletes         UInt64                  COMMENT 'Withdrawals read.',
    unreadable      UInt64                  COMMENT 'Records that went to dead.v1.',
    version         UInt64                  COMMENT 'The row with the highest version counts.'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(minute)
ORDER BY (source, minute, posts_partition, first_offset)
COMMENT 'What was ingested: the denominator. Read it through source_minute_counts.';

CREATE TABLE IF NOT EXISTS spike_windows
(
    service        LowCardinality(String) COMMENT 'Catalog id of the service.',
    window_end     DateTime('UTC')        COMMENT 'End of the window in event time, exclusive.' CODEC(Delta, ZSTD(1)),
    window_seconds UInt32                 COMMENT 'Length of the window: 60, 300, 900 or 3600.',
    observed       UInt64                 COMMENT 'Distinct people with an outage mention in the window, reposts left out.',
    expected       Float64                COMMENT 'People that the baseline expects in the window.',
    lower          Float64                COMMENT 'Lower end of the expected band (2.5 % quantile).',
    upper          Float64                COMMENT 'Upper end of the expected band (97.5 % quantile).',
    threshold      Float64                COMMENT 'People from which on the window is an alarm, after the false-alarm budget.',
    score          Float64                COMMENT 'Minus log10 of the probability of seeing this many people or more by chance.',
    alarm          Bool                   COMMENT 'The window alone justifies an alarm.',
    history_minutes UInt32                COMMENT 'Minutes of history behind the expectation.',
    version        UInt64                 COMMENT 'The row with the highest version counts.'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_end)
ORDER BY (service, window_seconds, window_end)
COMMENT 'Observed and expected people per service and window: every full minute of a service that is talked about, and every alarm.';

CREATE TABLE IF NOT EXISTS incidents
(
    id                  String                        COMMENT 'Service and minute of started_at.',
    service             LowCardinality(String)        COMMENT 'Catalog id of the service.',
    state               Enum8('suspected' = 1, 'confirmed' = 2, 'recovering' = 3, 'resolved' = 4, 'dismissed' = 5) COMMENT 'Where the incident stands.',
    severity            Enum8('minor' = 1, 'major' = 2, 'critical' = 3) COMMENT 'By the number of people and the excess over the expectation.',
    started_at          DateTime64(6, 'UTC')          COMMENT 'First unusual minute.',
    detected_at         DateTime64(6, 'UTC')          COMMENT 'When it became suspected.',
    confirmed_at        Nullable(DateTime64(6, 'UTC')) COMMENT 'When it became confirmed.',
    recovering_at       Nullable(DateTime64(6, 'UTC')) COMMENT 'When it last began to recover.',
    resolved_at         Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was over.',
    official_at         Nullable(DateTime64(6, 'UTC')) COMMENT 'First official word about it.',
    lead_seconds        Nullable(Float64)             COMMENT 'official_at minus detected_at, in seconds: positive where Outcry was first.',
    decided_at          DateTime64(6, 'UTC')          COMMENT 'Event time of the latest decision.',
    revision            UInt64                        COMMENT 'Number of changes so far.',
    people              UInt64                        COMMENT 'Distinct people with an outage mention since started_at.',
    peak_per_minute     UInt64                        COMMENT 'Highest number of distinct people in a minute.',
    expected_per_minute Float64                       COMMENT 'People a minute that the baseline expected at the start.',
    symptoms            Map(LowCardinality(String), UInt64) COMMENT 'People by symptom.',
    places              Map(String, UInt64)           COMMENT 'People by place.',
    languages           Map(LowCardinality(String), UInt64) COMMENT 'People by language.',
    sources             Map(LowCardinality(String), UInt64) COMMENT 'People by source.',
    root                String                        COMMENT 'Incident that probably caused this one; empty where it stands for itself.',
    consequences        Array(String)                 COMMENT 'Services carried along.',
    confidence          Float64                       COMMENT '0 to 1.',
    explanation         String                        COMMENT 'What was seen, what was expected, how unlikely.',
    evidence            Array(UInt64)                 COMMENT 'Ids of the mentions shown as evidence.',
    official_text       String                        COMMENT 'The official word.',
    official_url        String                        COMMENT 'Its address.',
    version             UInt64                        COMMENT 'The row with the highest version counts.'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (service, id)
COMMENT 'Latest state of each incident. Read it through incidents_current.';

CREATE TABLE IF NOT EXISTS incident_events
(
    incident    String                 COMMENT 'Id of the incident.',
    service     LowCardinality(String) COMMENT 'Catalog id of the service.',
    revision    UInt64                 COMMENT 'Number of the change, from 1.',
    at          DateTime64(6, 'UTC')   COMMENT 'Event time of the change.',
    state       Enum8('suspected' = 1, 'confirmed' = 2, 'recovering' = 3, 'resolved' = 4, 'dismissed' = 5) COMMENT 'State after the change.',
    severity    Enum8('minor' = 1, 'major' = 2, 'critical' = 3) COMMENT 'Severity after the change.',
    people      UInt64                 COMMENT 'Distinct people so far.',
    explanation String                 COMMENT 'What was seen, what was expected, how unlikely.',
    actor       String                 COMMENT 'outcry, or the person who acted.',
    version     UInt64                 COMMENT 'The row with the highest version counts.'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (incident, revision)
COMMENT 'Every change of every incident.';

CREATE TABLE IF NOT EXISTS catalog
(
    service     LowCardinality(String)  COMMENT 'Catalog id.',
    name        String                  COMMENT 'Name to show.',
    category    LowCardinality(String)  COMMENT 'Kind of service.',
    countries   Array(LowCardinality(String)) COMMENT 'ISO 3166-1 alpha-2 codes; empty for worldwide.',
    providers   Array(LowCardinality(String)) COMMENT 'Services that it depends on.',
    web         String                  COMMENT 'Address of the service.',
    status_page String                  COMMENT 'Address of its status page.',
    version     UInt64                  COMMENT 'The row with the highest version counts.'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY service
COMMENT 'Services that are listened for.';

-- One insert of one block is atomic, so the offset and the state that belongs to it cannot part.
CREATE TABLE IF NOT EXISTS aggregator_state
(
    mentions_partition UInt16  COMMENT 'Partition of mentions.v1.',
    service            String  COMMENT 'Service whose detector state this is; empty for the state of the partition itself.',
    next_offset        Int64   COMMENT 'First offset that is not in the state.',
    state              String  COMMENT 'State in the encoding of the aggregator.' CODEC(ZSTD(1)),
    version            UInt64  COMMENT 'Ownership epoch in the upper bits, flush in the lower: a superseded owner cannot overwrite its successor.'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (mentions_partition, service)
COMMENT 'Where each partition of mentions.v1 stands. For the aggregator, not for analysis.';

-- +goose Down
DROP TABLE IF EXISTS aggregator_state;
DROP TABLE IF EXISTS catalog;
DROP TABLE IF EXISTS incident_events;
DROP TABLE IF EXISTS incidents;
DROP TABLE IF EXISTS spike_windows;
DROP TABLE IF EXISTS source_minutes;
DROP VIEW IF EXISTS mentions_to_service_minutes;
DROP TABLE IF EXISTS service_minutes;
DROP TABLE IF EXISTS mentions;
