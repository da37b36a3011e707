-- +goose Up

-- Who acknowledged or dismissed an incident, and in which words, is for the team: the views that anybody may ask say only what was said.
CREATE OR REPLACE VIEW incidents_current
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT * EXCEPT (version, `verdicts.who`, `verdicts.text`) FROM incidents FINAL;

CREATE OR REPLACE VIEW incident_changes
(
    incident    String                 COMMENT 'Id of the incident.',
    service     LowCardinality(String) COMMENT 'Catalog id of the service.',
    revision    UInt64                 COMMENT 'Number of the change, from 1.',
    at          DateTime64(6, 'UTC')   COMMENT 'Event time of the change.',
    state       LowCardinality(String) COMMENT 'State after the change.',
    severity    LowCardinality(String) COMMENT 'Severity after the change.',
    people      UInt64                 COMMENT 'Distinct people so far.',
    explanation String                 COMMENT 'What was seen, what was expected, how unlikely.',
    actor       String                 COMMENT 'outcry, or "a person" where somebody acted; empty for what happened by itself.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT incident, service, revision, at, toString(state) AS state, toString(severity) AS severity, people, explanation,
    if(actor IN ('', 'outcry'), actor, 'a person') AS actor
FROM incident_events FINAL
COMMENT 'Every change of every incident.';

-- +goose Down

CREATE OR REPLACE VIEW incidents_current
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT * EXCEPT version FROM incidents FINAL;

CREATE OR REPLACE VIEW incident_changes
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT incident, service, revision, at, toString(state) AS state, toString(severity) AS severity, people, explanation, actor
FROM incident_events FINAL
COMMENT 'Every change of every incident.';
