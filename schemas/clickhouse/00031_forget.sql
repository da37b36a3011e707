-- +goose Up

-- A withdrawn text is replaced by a row without it, and the row from before goes when the two parts are merged. ClickHouse merges when it sees fit: large parts
-- could wait until they expire. Parts that are older than twelve hours are merged whatever their size, so that a text is gone within a day.
ALTER TABLE mentions MODIFY SETTING min_age_to_force_merge_seconds = 43200;
ALTER TABLE aggregator_state MODIFY SETTING min_age_to_force_merge_seconds = 43200;

-- +goose Down
ALTER TABLE aggregator_state RESET SETTING min_age_to_force_merge_seconds;
ALTER TABLE mentions RESET SETTING min_age_to_force_merge_seconds;
