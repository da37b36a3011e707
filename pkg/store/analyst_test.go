package store_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// analysed is an engine that knows the readers of the database analysed.
func analysed(t *testing.T) *store.Store {
	t.Helper()
	cfg := clickhouse.Config{DataDir: t.TempDir(), Password: "of the tests"}
	for _, r := range store.ReadersOf("analysed", cfg.Password) {
		cfg.Users = append(cfg.Users, clickhouse.User{Name: r.Name, Password: r.Password, Settings: r.Settings, Grants: r.Grants})
	}
	engine, err := clickhouse.Start(t.Context(), cfg, quiet)
	must(t, err)
	t.Cleanup(func() { engine.Close() })
	s, err := store.Open(store.Config{Address: engine.Addr(), HTTPAddress: engine.HTTPAddr(), Username: engine.User(), Password: engine.Password(), Database: "analysed"}, quiet)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	_, err = s.Migrate(t.Context())
	must(t, err)
	x := mention(2, 2, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)
	x.Mention.Source = "x"
	must(t, s.InsertMentions(t.Context(), []store.Mention{mention(1, 1, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE), x}))
	return s
}

func TestAnalysts(t *testing.T) {
	s := analysed(t)
	csv, _ := store.FormatOf("csv")
	ask := func(sql string) (string, error) {
		answer, err := s.Ask(t.Context(), sql, csv)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(answer)
		return string(body), errors.Join(err, answer.Close())
	}
	for sql, want := range map[string]string{
		"SELECT 1 + 1 AS two":          "2",
		"SELECT count() FROM evidence": "2",
		"WITH 'outage' AS l, e AS (SELECT * FROM analysed.evidence WHERE label = l) SELECT count(), max(length(text)) > 0 FROM e": "2,1",
		"SELECT text FROM evidence WHERE source = 'x'":                                         `""`,
		"SELECT sumIf(people, label = 'outage') FROM service_minute_counts":                    "2",
		"SELECT uniqExactMergeIf(people, NOT repost) OVER () FROM service_minute_sets LIMIT 1": "2",
		"SELECT arrayMap(x -> x * 2, [1, 2]) AS a, CASE WHEN 1 THEN 'y' ELSE 'n' END, '2010-12-22'::Date + INTERVAL 1 DAY, toStartOfHour(now()) > '2010-01-01', formatReadableSize(1)":              "y",
		"SELECT people FROM service_series(service = 'skype', from_unix = 1293033600, to_unix = 1293033660, step_seconds = 60)":                                                                     "2",
		"SELECT a.service FROM evidence AS a INNER JOIN catalog_current AS b ON a.service = b.service UNION ALL SELECT 'none' -- a remark":                                                          "none",
		"SELECT relation FROM documentation WHERE column = 'lead_seconds'":                                                                                                                          "incidents_current",
		"SELECT countIf(position(relation, '_to_') > 0 OR relation = 'service_days'), count() > 0 FROM documentation":                                                                               "\n0,1",
		"SELECT service, row_number() OVER (PARTITION BY service ORDER BY time) AS n FROM evidence WHERE service IN (SELECT service FROM service_minute_counts) ORDER BY n DESC LIMIT 1 BY service": "2",
	} {
		if got, err := ask(sql); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v; want %q", sql, got, err, want)
		}
	}
	for _, view := range store.PublicViews() {
		if view == "service_series" {
			continue
		}
		if _, err := ask("SELECT * FROM " + view); err != nil {
			t.Errorf("%s: %v", view, err)
		}
	}
	schema, err := s.PublicSchema(t.Context())
	must(t, err)
	for _, view := range schema {
		if len(view.Columns) == 0 {
			t.Errorf("view %s has no columns", view.Name)
		}
		for _, c := range view.Columns {
			if c.Comment == "" {
				t.Errorf("column %s of %s has no comment", c.Name, view.Name)
			}
		}
	}
}

// Whatever is tried, an analyst reads the views and nothing else, and takes no more than is allowed.
func TestAnalystsReachNothingElse(t *testing.T) {
	s := analysed(t)
	csv, _ := store.FormatOf("csv")
	for _, sql := range strings.Split(strings.TrimSpace(attacks), "\n") {
		answer, err := s.Ask(t.Context(), sql, csv)
		if err == nil {
			body, _ := io.ReadAll(answer)
			answer.Close()
			t.Errorf("%s gives %.200q", sql, body)
		} else if !errors.Is(err, store.ErrRefused) {
			t.Errorf("%s: %v", sql, err)
		}
		// Whoever has the command reads tables too, and otherwise no more.
		if strings.HasSuffix(sql, "FROM mentions") {
			continue
		}
		if err := s.Analyse(t.Context(), sql, func([]string) error { return nil }, func([]any) error { return nil }); err == nil {
			t.Errorf("the command answers %s", sql)
		}
	}
	// Names that the tree cannot hold on one line, and too much of everything.
	for _, sql := range []string{
		"SELECT 1 AS `a\nb`", "SELECT `file\n`('/etc/passwd')", "SELECT " + strings.Repeat("1+", 4000) + "1", "SELECT " + strings.Repeat("(", 500) + "1" + strings.Repeat(")", 500),
		"", " ", "-- nothing", strings.Repeat("SELECT 1 ", 20_000),
		"SELECT length(arrayJoin(range(1000000000)))", "SELECT number FROM (SELECT arrayJoin(range(10000000)) AS number)",
		"WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r) SELECT count() FROM r",
	} {
		if answer, err := s.Ask(t.Context(), sql, csv); err == nil {
			body, err := io.ReadAll(answer)
			answer.Close()
			if err == nil && !strings.Contains(string(body), "Exception") {
				t.Errorf("%.60q gives %d bytes", sql, len(body))
			}
		}
	}
	var rows string
	must(t, s.Analyse(t.Context(), "SELECT count() AS n FROM mentions", func([]string) error { return nil }, func(v []any) error { rows = fmt.Sprint(v...); return nil }))
	if rows != "2" {
		t.Errorf("%s mentions after the attacks", rows)
	}
}

const attacks = `
SELECT verdicts.who FROM incidents_current
SELECT arrayJoin(verdicts.text) FROM incidents_current
SELECT * FROM url('http://127.0.0.1:1/x', CSV, 'a String')
SELECT * FROM file('/etc/passwd', LineAsString)
SELECT file('/etc/passwd')
SELECT FILE('/etc/passwd')
SELECT arrayMap(x -> file(x), ['/etc/passwd'])
SELECT * APPLY(file) FROM (SELECT '/etc/passwd' AS a)
WITH file('/etc/passwd') AS secret SELECT secret
SELECT * FROM numbers(3)
SELECT * FROM generateRandom('a UInt8') LIMIT 1
SELECT * FROM values('a UInt8', 1)
SELECT * FROM view(SELECT 1)
SELECT * FROM merge('analysed', '.*')
SELECT * FROM remote('127.0.0.1', analysed.mentions)
SELECT * FROM cluster('default', system.one)
SELECT * FROM s3('http://127.0.0.1/b/y', 'CSV')
SELECT * FROM mysql('127.0.0.1:1', 'b', 'c', 'd', 'e')
SELECT * FROM postgresql('127.0.0.1:1', 'b', 'c', 'd', 'e')
SELECT * FROM sqlite('/tmp/x.db', 't')
SELECT * FROM executable('ls', CSV, 'a String')
SELECT * FROM input('a UInt8')
SELECT * FROM null('a UInt8')
SELECT * FROM dictionary('x')
SELECT * FROM loop(evidence) LIMIT 1
SELECT * FROM mergeTreeIndex('analysed', 'mentions')
SELECT * FROM system.one
SELECT * FROM system.tables
SELECT * FROM SYSTEM.tables
SELECT * FROM system.users
SELECT * FROM system.settings
SELECT * FROM system.functions
SELECT * FROM information_schema.tables
SELECT * FROM INFORMATION_SCHEMA.COLUMNS
SELECT 1 WHERE 'x' IN system.tables
SELECT 1 WHERE (SELECT count() FROM system.tables) > 0
SELECT * FROM mentions
SELECT 1 FROM mentions
SELECT * FROM aggregator_state
SELECT * FROM api_keys
SELECT * FROM frozen_charts
SELECT * FROM goose_db_version
SELECT 1 WHERE 1 IN (SELECT id FROM analysed.api_keys)
SELECT 1 WHERE ('x', 'y') IN api_keys
SELECT * FROM evidence AS e JOIN api_keys AS k ON 1 = 1
SELECT * FROM default.x
SELECT dictGet('x', 'y', 1)
SELECT joinGet('x', 'y', 1)
SELECT hostName()
SELECT version(), uptime(), tcpPort()
SELECT currentUser()
SELECT getSetting('max_memory_usage')
SELECT getServerSetting('max_server_memory_usage')
SELECT sleep(3)
SELECT sleepEachRow(1)
SELECT addressToSymbol(1)
SELECT logTrace('x')
SELECT catboostEvaluate('/etc/passwd', 1)
SELECT aiGenerate('x')
SELECT hasColumnInTable('analysed', 'mentions', 'text')
SELECT 1 INTO OUTFILE '/tmp/x.txt'
SELECT 1 FORMAT CSV
SELECT 1 SETTINGS max_execution_time = 100
SELECT 1 SETTINGS readonly = 0
SELECT * FROM evidence SETTINGS max_rows_to_read = 0
SELECT 1; SELECT 2
SELECT 1; DROP VIEW evidence
SET max_execution_time = 100
INSERT INTO FUNCTION file('/tmp/x.csv') SELECT 1
INSERT INTO mentions (service) VALUES ('x')
CREATE TEMPORARY TABLE x (a UInt8) ENGINE = Memory
CREATE TABLE x (a UInt8) ENGINE = Memory
CREATE FUNCTION f AS x -> x
CREATE USER x
DROP VIEW evidence
ALTER TABLE mentions DELETE WHERE 1
DELETE FROM evidence WHERE 1
TRUNCATE TABLE mentions
GRANT SELECT ON *.* TO outcry_public
SYSTEM SHUTDOWN
SYSTEM STOP LISTEN HTTP
KILL QUERY WHERE 1
SHOW TABLES
SHOW GRANTS
SHOW CREATE TABLE evidence
DESCRIBE evidence
EXISTS TABLE mentions
EXPLAIN SELECT 1
EXPLAIN AST SELECT 1
EXPLAIN ESTIMATE SELECT 1
optimize = 1 SELECT 1
graph = 1 SELECT 1
BACKUP TABLE evidence TO File('/tmp/b')
EXECUTE AS outcry SELECT 1
USE system
ATTACH TABLE x
CHECK TABLE mentions
WATCH evidence
SELECT {x:String}
SELECT * FROM {x:Identifier}
`
