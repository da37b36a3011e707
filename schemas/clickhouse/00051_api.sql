-- +goose Up

CREATE TABLE IF NOT EXISTS api_keys
(
    id         String                COMMENT 'First characters of the key, by which it is named.',
    hash       FixedString(64)       COMMENT 'SHA-256 of the key in hexadecimal: keys themselves are stored nowhere.',
    name       String                COMMENT 'Who has it.',
    scopes     Array(LowCardinality(String)) COMMENT 'read, evidence, act or admin.',
    created_at DateTime('UTC')       COMMENT 'When it was made, by the wall clock.',
    revoked    Bool                  COMMENT 'It is valid no more.',
    version    UInt64                COMMENT 'The row with the highest version counts.'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
COMMENT 'Keys of the api.';

CREATE TABLE IF NOT EXISTS api_audit
(
    at      DateTime64(3, 'UTC') COMMENT 'When, by the wall clock.',
    actor   String               COMMENT 'Who did it: key and name, or the command.',
    action  LowCardinality(String) COMMENT 'What was done.',
    subject String               COMMENT 'To what.',
    address String               COMMENT 'Network address that the request came from; empty for the command.'
)
ENGINE = MergeTree
ORDER BY at
TTL toDateTime(at) + INTERVAL 2 YEAR
COMMENT 'What administrators and those who may act did through the api.';

CREATE TABLE IF NOT EXISTS frozen_charts
(
    id            String                COMMENT 'Hash of what the chart shows: the same chart has the same id.',
    service       LowCardinality(String) COMMENT 'Catalog id of the service.',
    model_version LowCardinality(String) COMMENT 'Version of the model behind the numbers.',
    data_version  String                COMMENT 'Version of the data when it was frozen.',
    incidents     Map(String, String)   COMMENT 'Incidents that the chart shows, with the root that each had then.',
    chart         String                COMMENT 'The chart as JSON: everything that is drawn, so that it is drawn the same for ever.' CODEC(ZSTD(3)),
    frozen_at     DateTime('UTC')       COMMENT 'When, by the wall clock.'
)
ENGINE = MergeTree
ORDER BY (id, frozen_at)
COMMENT 'Charts that articles show, as they were when they were frozen.';

-- +goose Down
DROP TABLE IF EXISTS frozen_charts;
DROP TABLE IF EXISTS api_audit;
DROP TABLE IF EXISTS api_keys;
