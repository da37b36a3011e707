-- +goose Up

CREATE TABLE IF NOT EXISTS alert_deliveries
(
    time        DateTime64(3, 'UTC')   COMMENT 'Wall-clock time at which the request began.' CODEC(Delta, ZSTD(1)),
    incident    String                 COMMENT 'Id of the incident.',
    service     LowCardinality(String) COMMENT 'Catalog id of the service.',
    revision    UInt64                 COMMENT 'Revision of the incident that was delivered; 0 where the receiver got alerts.',
    channel     LowCardinality(String) COMMENT 'webhook: a change in Outcry''s own form; page: an alert, by Alertmanager''s engine.',
    receiver    LowCardinality(String) COMMENT 'Name of the receiver in alertmanager.yml; host of the address for a webhook.',
    integration LowCardinality(String) COMMENT 'Kind of the receiver and its number, such as slack[0]; webhook for webhooks.',
    delivery    String                 COMMENT 'The webhook-id of the request; the same for each attempt at a change. Empty for alerts.',
    attempt     UInt32                 COMMENT 'Number of the attempt in this process, from 1; 0 for alerts.',
    firing      Bool                   COMMENT 'Whether it told of something that goes on, not of its end.',
    result      LowCardinality(String) COMMENT 'ok: taken. retry: failed, will be sent again. refused: the receiver will not have it. given_up: failed for too long. disabled: the receiver has gone (410), nothing was sent.',
    took_ms     UInt32                 COMMENT 'Milliseconds until the answer.',
    error       String                 COMMENT 'What went wrong, in a line.' CODEC(ZSTD(1)),
    test        Bool                   COMMENT 'A test, by outcry alerts test or by hand.'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (service, incident, time)
TTL toDateTime(time) + INTERVAL 90 DAY DELETE
COMMENT 'Every attempt to tell somebody of an incident. After a crash a row can stand twice, or be missing for requests of the last second.';

-- +goose Down
DROP TABLE IF EXISTS alert_deliveries;
