-- +goose Up

ALTER TABLE mentions
    ADD COLUMN IF NOT EXISTS also Array(LowCardinality(String)) COMMENT 'Other services that the post names.' AFTER text_fingerprint,
    ADD COLUMN IF NOT EXISTS places Array(LowCardinality(String)) COMMENT 'Places that the text names: countries as ISO 3166-1 alpha-2 codes, cities behind them, such as us/austin.' AFTER also;

ALTER TABLE incidents
    ADD COLUMN IF NOT EXISTS reopened UInt32 COMMENT 'How often it came back after it had been resolved.' AFTER official_url,
    ADD COLUMN IF NOT EXISTS coordinated Bool COMMENT 'The reports come from few accounts, or are mostly copies: a campaign rather than an outage.' AFTER reopened,
    ADD COLUMN IF NOT EXISTS posts UInt64 COMMENT 'Outage posts since started_at, reposts and copied texts among them.' AFTER coordinated,
    ADD COLUMN IF NOT EXISTS copies UInt64 COMMENT 'Reposts and copied texts among the posts.' AFTER posts,
    ADD COLUMN IF NOT EXISTS named Map(LowCardinality(String), UInt64) COMMENT 'People by other service that they named in their reports.' AFTER copies,
    ADD COLUMN IF NOT EXISTS root_confidence Float64 COMMENT 'How sure root or consequences are, 0 to 1.' AFTER consequences,
    ADD COLUMN IF NOT EXISTS root_reasons Array(String) COMMENT 'Why, one sentence each.' AFTER root_confidence,
    ADD COLUMN IF NOT EXISTS `verdicts.id` Array(String) COMMENT 'What people said of it: ids of the words, in order.' AFTER named,
    ADD COLUMN IF NOT EXISTS `verdicts.kind` Array(LowCardinality(String)) COMMENT 'What people said of it: dismiss, confirm, acknowledge or note.' AFTER `verdicts.id`,
    ADD COLUMN IF NOT EXISTS `verdicts.who` Array(String) COMMENT 'What people said of it: who.' AFTER `verdicts.kind`,
    ADD COLUMN IF NOT EXISTS `verdicts.text` Array(String) COMMENT 'What people said of it: in their words.' AFTER `verdicts.who`,
    ADD COLUMN IF NOT EXISTS `verdicts.at` Array(DateTime64(6, 'UTC')) COMMENT 'What people said of it: when, by the wall clock.' AFTER `verdicts.text`;

ALTER TABLE incident_events
    ADD COLUMN IF NOT EXISTS verdict LowCardinality(String) COMMENT 'dismiss, confirm, acknowledge or note where a person made the change; empty elsewhere.' AFTER actor,
    ADD COLUMN IF NOT EXISTS note String COMMENT 'What the person said.' AFTER verdict,
    ADD COLUMN IF NOT EXISTS root String COMMENT 'Incident that probably caused this one, as of this change.' AFTER note,
    ADD COLUMN IF NOT EXISTS consequences Array(String) COMMENT 'Services carried along, as of this change.' AFTER root;

-- What a view with an asterisk shows was fixed when it was made.
CREATE OR REPLACE VIEW incidents_current AS
SELECT * EXCEPT version FROM incidents FINAL;

CREATE OR REPLACE VIEW mentions_current AS
SELECT service, time, id, label, score, symptom, model_version, source, post_id, author, text, lang, url, reply_to,
       repost_of, place, places, also, official_author, text_fingerprint, revision, counted_at, received_at
FROM mentions FINAL;

-- +goose Down

CREATE OR REPLACE VIEW mentions_current AS
SELECT service, time, id, label, score, symptom, model_version, source, post_id, author, text, lang, url, reply_to,
       repost_of, place, official_author, text_fingerprint, revision, counted_at, received_at
FROM mentions FINAL;

ALTER TABLE incident_events DROP COLUMN verdict, DROP COLUMN note, DROP COLUMN root, DROP COLUMN consequences;
ALTER TABLE incidents
    DROP COLUMN `verdicts.at`, DROP COLUMN `verdicts.text`, DROP COLUMN `verdicts.who`, DROP COLUMN `verdicts.kind`, DROP COLUMN `verdicts.id`,
    DROP COLUMN root_reasons, DROP COLUMN root_confidence, DROP COLUMN named, DROP COLUMN copies, DROP COLUMN posts,
    DROP COLUMN coordinated, DROP COLUMN reopened;
ALTER TABLE mentions DROP COLUMN places, DROP COLUMN also;

CREATE OR REPLACE VIEW incidents_current AS
SELECT * EXCEPT version FROM incidents FINAL;
