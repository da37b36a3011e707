-- +goose Up

-- The questions most asked, as views. "Now" is the event time up to which the tables know anything, so that a recording answers like a live stream.

CREATE VIEW IF NOT EXISTS sources_now
(
    source                          LowCardinality(String) COMMENT 'Network that the posts come from.',
    last_minute                     DateTime('UTC') COMMENT 'Latest minute of event time in which it was heard.',
    posts_last_hour                 UInt64 COMMENT 'Posts read in the last hour.',
    silent_since                    Nullable(DateTime('UTC')) COMMENT 'First minute of the silence under way; NULL while it is heard.',
    usual_per_minute_before_silence Nullable(Float64) COMMENT 'Posts a minute that were usual before the silence.',
    silent                          Bool COMMENT 'It delivers nothing though it used to.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT m.source AS source, m.last_minute AS last_minute, m.posts_last_hour AS posts_last_hour,
       s.latest AS silent_since, s.usual AS usual_per_minute_before_silence, s.latest IS NOT NULL AS silent
FROM
(
    SELECT source, max(minute) AS last_minute,
           sumIf(posts, minute > (SELECT max(minute) FROM source_minutes) - INTERVAL 1 HOUR) AS posts_last_hour
    FROM source_minute_counts WHERE posts > 0 GROUP BY source
) AS m
LEFT JOIN
(
    SELECT source, toNullable(max(since)) AS latest, toNullable(argMax(usual_per_minute, since)) AS usual
    FROM source_silences FINAL WHERE until IS NULL GROUP BY source
) AS s ON s.source = m.source
COMMENT 'What is heard of each source: silent is not quiet.';

CREATE VIEW IF NOT EXISTS service_status
(
    service      LowCardinality(String) COMMENT 'Catalog id of the service.',
    name         String COMMENT 'Name to show.',
    category     LowCardinality(String) COMMENT 'Kind of service.',
    status       String COMMENT 'ok, unknown, suspected, confirmed or recovering.',
    incident     String COMMENT 'Id of the open incident; empty where there is none.',
    people       UInt64 COMMENT 'Distinct people of the open incident.',
    silent_share Float64 COMMENT 'Part of the posts of the last seven days about it that came from sources which are silent now.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH (SELECT max(minute) FROM source_minutes) AS now,
     (SELECT groupArray(source) FROM source_silences FINAL WHERE until IS NULL) AS silent,
     (SELECT uniqExact(source) FROM source_minutes) AS sources
SELECT c.service AS service, c.name AS name, c.category AS category,
       multiIf(i.stands != '', i.stands,
               v.all_posts > 0 AND 2 * v.silent_posts > v.all_posts, 'unknown',
               v.all_posts = 0 AND length(silent) >= sources, 'unknown',
               'ok') AS status,
       i.latest AS incident, i.so_many AS people,
       if(v.all_posts > 0, v.silent_posts / v.all_posts, 0) AS silent_share
FROM (SELECT service, name, category FROM catalog FINAL) AS c
LEFT JOIN
(
    SELECT service, sum(posts) AS all_posts, sumIf(posts, has(silent, source)) AS silent_posts
    FROM service_minute_counts WHERE minute > now - INTERVAL 7 DAY GROUP BY service
) AS v ON v.service = c.service
LEFT JOIN
(
    SELECT service, argMax(id, detected_at) AS latest, toString(argMax(state, detected_at)) AS stands, argMax(people, detected_at) AS so_many
    FROM incidents FINAL WHERE state IN ('suspected', 'confirmed', 'recovering') GROUP BY service
) AS i ON i.service = c.service
COMMENT 'Each service of the catalog: ok, unknown where the sources on which it is heard are silent, or the state of its open incident.';

CREATE VIEW IF NOT EXISTS top_services_now
(
    service          LowCardinality(String) COMMENT 'Catalog id of the service.',
    people           UInt64 COMMENT 'Distinct people with an outage mention in the last 15 minutes, reposts left out.',
    expected         Float64 COMMENT 'People that the baseline expects in 15 minutes.',
    mentions         UInt64 COMMENT 'Mentions of any label in the last 15 minutes.',
    people_last_hour UInt64 COMMENT 'Distinct people with an outage mention in the last hour, reposts left out.',
    incident         String COMMENT 'Id of the open incident; empty where there is none.',
    state            String COMMENT 'State of the open incident; empty where there is none.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH (SELECT max(minute) FROM source_minutes) AS now
SELECT s.service AS service, s.lately AS people, w.usual AS expected, s.mentions AS mentions,
       s.people_hour AS people_last_hour, i.latest AS incident, i.stands AS state
FROM
(
    SELECT service,
           uniqExactMergeIf(people, label = 'outage' AND NOT repost AND minute > now - INTERVAL 15 MINUTE) AS lately,
           uniqExactMergeIf(posts, minute > now - INTERVAL 15 MINUTE) AS mentions,
           uniqExactMergeIf(people, label = 'outage' AND NOT repost) AS people_hour
    FROM service_minutes WHERE minute > now - INTERVAL 1 HOUR GROUP BY service
) AS s
LEFT JOIN
(
    SELECT service, 15 * avg(expected) AS usual
    FROM spike_windows FINAL WHERE window_seconds = 60 AND window_end > now - INTERVAL 1 HOUR GROUP BY service
) AS w ON w.service = s.service
LEFT JOIN
(
    SELECT service, argMax(id, detected_at) AS latest, toString(argMax(state, detected_at)) AS stands
    FROM incidents FINAL WHERE state IN ('suspected', 'confirmed', 'recovering') GROUP BY service
) AS i ON i.service = s.service
ORDER BY people DESC, service
COMMENT 'Who is complained about in the last 15 minutes, most people first.';

CREATE VIEW IF NOT EXISTS incident_timeline
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

CREATE VIEW IF NOT EXISTS lead_times
(
    service             LowCardinality(String) COMMENT 'Catalog id of the service.',
    incidents           UInt64 COMMENT 'Confirmed incidents.',
    with_official_word  UInt64 COMMENT 'Those of which the operator spoke.',
    first               UInt64 COMMENT 'Those that Outcry had before the operator spoke.',
    second              UInt64 COMMENT 'Those that the operator spoke of first.',
    median_lead_minutes Nullable(Float64) COMMENT 'Median of official word minus detection, in minutes.',
    least_lead_minutes  Nullable(Float64) COMMENT 'Least of them.',
    most_lead_minutes   Nullable(Float64) COMMENT 'Most of them.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT service, count() AS incidents, countIf(official_at IS NOT NULL) AS with_official_word,
       countIf(lead_seconds > 0) AS first, countIf(lead_seconds <= 0) AS second,
       quantileExactIf(0.5)(lead_seconds / 60, official_at IS NOT NULL) AS median_lead_minutes,
       minIf(lead_seconds / 60, official_at IS NOT NULL) AS least_lead_minutes,
       maxIf(lead_seconds / 60, official_at IS NOT NULL) AS most_lead_minutes
FROM incidents FINAL
WHERE confirmed_at IS NOT NULL AND state != 'dismissed' AND root = ''
GROUP BY service
ORDER BY with_official_word DESC, median_lead_minutes DESC, service
COMMENT 'League table of how far Outcry was ahead of each vendor, over confirmed incidents that others did not cause.';

CREATE VIEW IF NOT EXISTS weekly_false_alarms
(
    week                      Date COMMENT 'Monday of the week, by detection.',
    incidents                 UInt64 COMMENT 'Incidents detected.',
    dismissed                 UInt64 COMMENT 'Dismissed by people: false alarms.',
    confirmed_by_people       UInt64 COMMENT 'Confirmed by people.',
    acknowledged_by_operators UInt64 COMMENT 'Those of which the operator spoke.',
    never_confirmed           UInt64 COMMENT 'Resolved without ever being confirmed.',
    coordinated               UInt64 COMMENT 'Bursts by few accounts or of the same words.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT toMonday(detected_at) AS week, count() AS incidents,
       countIf(state = 'dismissed') AS dismissed,
       countIf(has(`verdicts.kind`, 'confirm') AND state != 'dismissed') AS confirmed_by_people,
       countIf(official_at IS NOT NULL AND state != 'dismissed') AS acknowledged_by_operators,
       countIf(confirmed_at IS NULL AND state = 'resolved') AS never_confirmed,
       countIf(coordinated) AS coordinated
FROM incidents FINAL
GROUP BY week
ORDER BY week
COMMENT 'What became of the incidents of each week, by what people and operators said.';

CREATE VIEW IF NOT EXISTS complaint_rates
(
    service          LowCardinality(String) COMMENT 'Catalog id of the service.',
    hour             DateTime('UTC') COMMENT 'Start of the hour of event time.',
    people           UInt64 COMMENT 'Distinct people with an outage mention, reposts left out.',
    complaints       UInt64 COMMENT 'Outage mentions, reposts left out.',
    mentions         UInt64 COMMENT 'Mentions of any label, reposts left out.',
    read             UInt64 COMMENT 'Posts read of all sources, whatever they are about.',
    per_mention      Float64 COMMENT 'Complaints for each mention, 0 to 1.',
    per_million_read Float64 COMMENT 'Complaints for each million posts read.'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT c.service AS service, c.hour AS hour, c.complainers AS people, c.complaints AS complaints, c.mentions AS mentions, r.read AS read,
       if(c.mentions > 0, c.complaints / c.mentions, 0) AS per_mention,
       if(r.read > 0, 1e6 * c.complaints / r.read, 0) AS per_million_read
FROM
(
    SELECT service, toStartOfHour(minute) AS hour,
           uniqExactMergeIf(people, label = 'outage' AND NOT repost) AS complainers,
           uniqExactMergeIf(posts, label = 'outage' AND NOT repost) AS complaints,
           uniqExactMergeIf(posts, NOT repost) AS mentions
    FROM service_minutes GROUP BY service, hour
) AS c
LEFT JOIN (SELECT toStartOfHour(minute) AS hour, sum(posts) AS read FROM source_minute_counts GROUP BY hour) AS r ON r.hour = c.hour
COMMENT 'Complaints by service and hour, and their part of all mentions and of all that was read.';

-- +goose Down
DROP VIEW IF EXISTS complaint_rates;
DROP VIEW IF EXISTS weekly_false_alarms;
DROP VIEW IF EXISTS lead_times;
DROP VIEW IF EXISTS incident_timeline;
DROP VIEW IF EXISTS top_services_now;
DROP VIEW IF EXISTS service_status;
DROP VIEW IF EXISTS sources_now;
