-- +goose Up

CREATE VIEW IF NOT EXISTS mentions_current AS
SELECT service, time, id, label, score, symptom, model_version, source, post_id, author, text, lang, url, reply_to,
       repost_of, place, official_author, text_fingerprint, revision, counted_at, received_at
FROM mentions FINAL;

CREATE VIEW IF NOT EXISTS service_minute_counts AS
SELECT service, minute, label, source, language, symptom, repost,
       uniqExactMerge(people) AS people,
       uniqExactMerge(posts)  AS posts
FROM service_minutes
GROUP BY service, minute, label, source, language, symptom, repost;

CREATE VIEW IF NOT EXISTS source_minute_counts AS
SELECT source, minute, sum(posts) AS posts, sum(deletes) AS deletes, sum(unreadable) AS unreadable
FROM source_minutes FINAL
GROUP BY source, minute;

CREATE VIEW IF NOT EXISTS incidents_current AS
SELECT * EXCEPT version FROM incidents FINAL;

CREATE VIEW IF NOT EXISTS catalog_current AS
SELECT * EXCEPT version FROM catalog FINAL;

-- +goose Down
DROP VIEW IF EXISTS catalog_current;
DROP VIEW IF EXISTS incidents_current;
DROP VIEW IF EXISTS source_minute_counts;
DROP VIEW IF EXISTS service_minute_counts;
DROP VIEW IF EXISTS mentions_current;
