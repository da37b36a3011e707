-- +goose Up

-- When an account is withdrawn, the texts of all its posts have to be found.
ALTER TABLE mentions ADD INDEX IF NOT EXISTS author_index author TYPE bloom_filter(0.01) GRANULARITY 4;
ALTER TABLE mentions MATERIALIZE INDEX author_index;

-- +goose Down
ALTER TABLE mentions DROP INDEX IF EXISTS author_index;
