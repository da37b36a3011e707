-- +goose Up

-- An incident that came back after it had been resolved, or while it was recovering, says so in its timeline.
CREATE OR REPLACE VIEW incident_timeline
(
    incident String COMMENT 'Id of the incident.',
    service  LowCardinality(String) COMMENT 'Catalog id of the service.',
    at       DateTime64(6, 'UTC') COMMENT 'Event time.',
    what     String COMMENT 'started, official, a state, reopened, worse again, caused by, carried along, update, dismiss, confirm, acknowledge or note.',
    people   UInt64 COMMENT 'Distinct people so far.',
    actor    String COMMENT 'outcry, or the person who acted; empty for what happened by itself.',
    detail   String COMMENT 'In words.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT incident, service, at, what, people, actor, detail
FROM
(
    SELECT id AS incident, service, started_at AS at, 'started' AS what, toUInt64(0) AS people, '' AS actor,
           concat('first unusual minute; ', toString(round(expected_per_minute, 2)), ' people a minute were expected') AS detail
    FROM incidents FINAL
    UNION ALL
    SELECT id, service, assumeNotNull(official_at), 'official', 0, '', if(official_text = '', official_url, official_text)
    FROM incidents FINAL WHERE official_at IS NOT NULL
    UNION ALL
    SELECT incident, service, at,
           multiIf(verdict != '', toString(verdict),
                   before = 'resolved' AND state IN ('suspected', 'confirmed'), 'reopened',
                   before = 'recovering' AND state IN ('suspected', 'confirmed'), 'worse again',
                   state != before OR revision = 1, toString(state), root != root_before, 'caused by',
                   consequences != consequences_before, 'carried along', 'update'),
           people, actor,
           multiIf(verdict != '', note, root != root_before, root, consequences != consequences_before, arrayStringConcat(consequences, ', '), explanation)
    FROM
    (
        SELECT incident, service, at, revision, state, people, actor, verdict, note, root, consequences, explanation,
               lagInFrame(state, 1, state) OVER w AS before,
               lagInFrame(root, 1, '') OVER w AS root_before,
               lagInFrame(consequences, 1, []) OVER w AS consequences_before
        FROM incident_events FINAL
        WINDOW w AS (PARTITION BY incident ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    )
)
ORDER BY incident, at
COMMENT 'What happened in each incident, in order: its start, every change, the official word, what people said, what caused it.';

-- +goose Down

CREATE OR REPLACE VIEW incident_timeline
(
    incident String COMMENT 'Id of the incident.',
    service  LowCardinality(String) COMMENT 'Catalog id of the service.',
    at       DateTime64(6, 'UTC') COMMENT 'Event time.',
    what     String COMMENT 'started, official, a state, caused by, carried along, update, dismiss, confirm, acknowledge or note.',
    people   UInt64 COMMENT 'Distinct people so far.',
    actor    String COMMENT 'outcry, or the person who acted; empty for what happened by itself.',
    detail   String COMMENT 'In words.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT incident, service, at, what, people, actor, detail
FROM
(
    SELECT id AS incident, service, started_at AS at, 'started' AS what, toUInt64(0) AS people, '' AS actor,
           concat('first unusual minute; ', toString(round(expected_per_minute, 2)), ' people a minute were expected') AS detail
    FROM incidents FINAL
    UNION ALL
    SELECT id, service, assumeNotNull(official_at), 'official', 0, '', if(official_text = '', official_url, official_text)
    FROM incidents FINAL WHERE official_at IS NOT NULL
    UNION ALL
    SELECT incident, service, at,
           multiIf(verdict != '', toString(verdict), state != before OR revision = 1, toString(state), root != root_before, 'caused by',
                   consequences != consequences_before, 'carried along', 'update'),
           people, actor,
           multiIf(verdict != '', note, root != root_before, root, consequences != consequences_before, arrayStringConcat(consequences, ', '), explanation)
    FROM
    (
        SELECT incident, service, at, revision, state, people, actor, verdict, note, root, consequences, explanation,
               lagInFrame(state, 1, state) OVER w AS before,
               lagInFrame(root, 1, '') OVER w AS root_before,
               lagInFrame(consequences, 1, []) OVER w AS consequences_before
        FROM incident_events FINAL
        WINDOW w AS (PARTITION BY incident ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    )
)
ORDER BY incident, at
COMMENT 'What happened in each incident, in order: its start, every change, the official word, what people said, what caused it.';
