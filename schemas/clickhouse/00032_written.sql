-- +goose Up

-- A listener that died and a recording that ended look the same in event time. They differ in how long after their minute the rows were written.
ALTER TABLE source_minutes
    ADD COLUMN IF NOT EXISTS written_at DateTime('UTC') COMMENT 'When the row was written, by the clock of the aggregator; 1970 in rows from before this column.' AFTER unreadable;

-- +goose Down
ALTER TABLE source_minutes DROP COLUMN IF EXISTS written_at;
