-- +goose Up

CREATE TABLE IF NOT EXISTS source_silences
(
    source           LowCardinality(String)   COMMENT 'Network that delivered nothing.',
    since            DateTime('UTC')          COMMENT 'First minute of event time without a post.',
    until            Nullable(DateTime('UTC')) COMMENT 'First minute with a post again; NULL while the silence lasts.',
    usual_per_minute Float64                  COMMENT 'Posts a minute that were usual before it.',
    version          UInt64                   COMMENT 'The row with the highest version counts.'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source, since)
COMMENT 'When sources that had been heard fell silent: nothing is known then of services that are heard on them. Read it through sources_now and service_status.';

-- +goose Down
DROP TABLE IF EXISTS source_silences;
