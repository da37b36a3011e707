-- +goose Up

-- An operator takes a word back, or its account goes: which incidents show it, long after they are over?
ALTER TABLE incidents ADD COLUMN IF NOT EXISTS official_mention UInt64 COMMENT 'Id of the mention that the official word is from; 0 without one.' AFTER official_url;

-- Of incidents from before. Where texts were withdrawn meanwhile, or have expired, there is nothing to be found any more.
INSERT INTO incidents
SELECT i.* REPLACE (w.id AS official_mention)
FROM incidents AS i FINAL
ANY INNER JOIN (SELECT service, time, text, url, id FROM mentions FINAL WHERE label IN ('official', 'outage')) AS w
ON i.service = w.service AND i.official_at = w.time AND i.official_text = w.text AND i.official_url = w.url
WHERE i.official_mention = 0;

CREATE OR REPLACE VIEW incidents_current
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT * EXCEPT (version, `verdicts.who`, `verdicts.text`) FROM incidents FINAL;

-- +goose Down
ALTER TABLE incidents DROP COLUMN IF EXISTS official_mention;

CREATE OR REPLACE VIEW incidents_current
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT * EXCEPT (version, `verdicts.who`, `verdicts.text`) FROM incidents FINAL;
