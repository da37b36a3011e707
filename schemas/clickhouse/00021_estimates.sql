-- +goose Up

ALTER TABLE spike_windows
    ADD COLUMN IF NOT EXISTS standard_error Float64 COMMENT 'Standard error of observed, relative to it, where so many people came that they were estimated; 0 where they were counted one by one.' AFTER history_minutes;

-- +goose Down
ALTER TABLE spike_windows DROP COLUMN standard_error;
