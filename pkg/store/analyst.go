package store

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Reader is a user of ClickHouse who reads some relations and can do nothing else.
type Reader struct {
	// Name and Password of the user. The password follows from that of Outcry's own user, so that all processes know it and nobody stores it.
	Name, Password string
	// Settings bound what a statement may take.
	Settings map[string]string
	// Grants are what follows GRANT, without TO.
	Grants []string

	relations []string
}

// Readers are who the statements of others run as.
const (
	// Public reads the views for analysts: whoever reaches the api may be it.
	Public = "outcry_public"
	// Analyst also reads the tables behind them: whoever runs the command is it.
	Analyst = "outcry_analyst"
)

// PublicViews are what Public reads.
func PublicViews() []string {
	return []string{"catalog_current", "complaint_rates", "documentation", "evidence", "incident_changes", "incidents_current",
		"lead_times", "service_minute_counts", "service_minute_place_sets", "service_minute_sets", "service_series", "service_status", "source_minute_counts",
		"sources_now", "spike_windows_current", "top_services_now", "weekly_false_alarms"}
}

// analystTables are what Analyst reads besides: incident_timeline among them, since it holds the names and notes of people.
func analystTables() []string {
	return []string{"incident_timeline", "source_silences", "catalog", "incident_events", "incidents", "mentions", "mentions_current", "service_minutes", "service_minute_places", "service_minute_totals", "source_minutes", "spike_windows"}
}

// limits of one statement. They are the server's: a reader cannot change them.
func limits(seconds, rows, memory, result, atOnce string) map[string]string {
	return map[string]string{
		"readonly": "1", "allow_ddl": "0", "date_time_output_format": "iso", "allow_introspection_functions": "0",
		"max_execution_time": seconds, "timeout_overflow_mode": "throw", "timeout_before_checking_execution_speed": "0",
		"max_rows_to_read": rows, "max_bytes_to_read": "20000000000", "read_overflow_mode": "throw",
		"max_memory_usage": memory, "max_memory_usage_for_user": memory, "max_bytes_before_external_group_by": "0", "max_bytes_before_external_sort": "0",
		"max_result_rows": result, "max_result_bytes": "200000000", "result_overflow_mode": "throw",
		"max_concurrent_queries_for_user": atOnce, "max_threads": "2",
		"max_query_size": "65536", "max_ast_elements": "5000", "max_ast_depth": "200", "max_subquery_depth": "20",
	}
}

// ReadersOf returns the readers of a database; password is that of Outcry's own user.
func ReadersOf(database, password string) []Reader {
	reader := func(name string, relations []string, settings map[string]string) Reader {
		mac := hmac.New(sha256.New, []byte(password))
		fmt.Fprintf(mac, "reader %s of %s", name, database)
		r := Reader{Name: name, Password: hex.EncodeToString(mac.Sum(nil)), Settings: settings, relations: relations}
		for _, relation := range relations {
			r.Grants = append(r.Grants, "SELECT ON "+quoted(database)+"."+relation)
		}
		return r
	}
	return []Reader{
		reader(Public, PublicViews(), limits("10", "100000000", "1000000000", "1000000", "4")),
		reader(Analyst, slices.Concat(PublicViews(), analystTables()), limits("300", "10000000000", "1500000000", "0", "8")),
	}
}

func (s *Store) reader(name string) Reader {
	for _, r := range ReadersOf(s.database(), s.cfg.Password) {
		if r.Name == name {
			return r
		}
	}
	panic("store: no reader " + name) // the constants above are all
}

// EnsureReader makes a reader where the server does not know it yet. An embedded server has it in its settings; elsewhere Outcry's own
// user needs the right to make users.
func (s *Store) EnsureReader(ctx context.Context, name string) error {
	r := s.reader(name)
	answer, err := s.stream(ctx, login{r.Name, r.Password}, "TSVRaw", nil, "SHOW GRANTS")
	if err == nil {
		granted, err := io.ReadAll(io.LimitReader(answer, 1<<20))
		if err := errors.Join(err, answer.Close()); err != nil {
			return fmt.Errorf("%w over HTTP: %w", ErrUnavailable, err)
		}
		if !slices.ContainsFunc(r.relations, func(relation string) bool {
			return !strings.Contains(string(granted), "."+relation+" TO ")
		}) {
			return nil
		}
	}
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	var settings []string
	for _, name := range slices.Sorted(maps.Keys(r.Settings)) {
		settings = append(settings, name+" = '"+r.Settings[name]+"'")
	}
	statements := []string{
		"CREATE USER IF NOT EXISTS " + r.Name,
		"ALTER USER " + r.Name + " IDENTIFIED WITH sha256_password BY '" + r.Password + "' SETTINGS " + strings.Join(settings, ", "),
	}
	for _, grant := range r.Grants {
		statements = append(statements, "GRANT "+grant+" TO "+r.Name)
	}
	for _, statement := range statements {
		if err := s.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the user %s, who runs the statements of analysts: %w: grant Outcry's own user access management", r.Name, err)
		}
	}
	return nil
}

// Ask runs a statement of an analyst as Public and hands on the answer as ClickHouse writes it. The caller closes it. An error that wraps
// ErrRefused is the analyst's to mend and says how.
func (s *Store) Ask(ctx context.Context, sql string, f Format) (io.ReadCloser, error) {
	if err := s.EnsureReader(ctx, Public); err != nil {
		return nil, err
	}
	r := s.reader(Public)
	if err := s.inspect(ctx, r, sql); err != nil {
		return nil, err
	}
	return s.stream(ctx, login{r.Name, r.Password}, f.name, nil, sql)
}

// Analyse runs a statement of whoever has the command, as Analyst, and hands on its columns, then each row.
func (s *Store) Analyse(ctx context.Context, sql string, header func(columns []string) error, row func(values []any) error) error {
	if err := s.EnsureReader(ctx, Analyst); err != nil {
		return err
	}
	r := s.reader(Analyst)
	if err := s.inspect(ctx, r, sql); err != nil {
		return err
	}
	options := s.cfg.options()
	options.Auth.Username, options.Auth.Password = r.Name, r.Password
	options.Settings = nil // a reader may set none
	conn, err := clickhouse.Open(options)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return errors.Join(query(ctx, conn, sql, header, row), conn.Close())
}

// inspect has ClickHouse parse a statement, so that nothing can be read differently, and lets pass a SELECT over the reader's relations
// with functions that work on their arguments alone. The grants of the reader hold besides: this is for what ClickHouse grants everybody,
// such as some system tables, table functions and the function file.
func (s *Store) inspect(ctx context.Context, r Reader, sql string) error {
	functions, err := s.pureFunctions(ctx)
	if err != nil {
		return err
	}
	// As the reader: parsing needs no rights, and has none to lose.
	answer, err := s.stream(ctx, login{r.Name, r.Password}, "TSVRaw", nil, "EXPLAIN AST "+sql)
	if err != nil {
		return err
	}
	fault := inspectTree(answer, s.database(), r.relations, functions)
	if err := answer.Close(); err != nil && fault == nil {
		return fmt.Errorf("%w over HTTP: %w", ErrUnavailable, err)
	}
	return fault
}

var (
	nodePattern = regexp.MustCompile(`^( *)([A-Za-z]+)(?: (.*?))?(?: \(alias .*?\))?(?: \(children \d+\))?$`)
	// quiet are the nodes of a statement that name neither relations nor functions.
	quietNodes = []string{"SelectWithUnionQuery", "SelectIntersectExceptQuery", "ExpressionList", "SelectQuery", "WithElement", "Subquery",
		"Literal", "TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression", "TableJoin", "ArrayJoin", "OrderByElement",
		"WindowDefinition", "WindowListElement", "InterpolateElement", "Asterisk", "QualifiedAsterisk", "ColumnsTransformerList",
		"ColumnsExceptTransformer", "ColumnsRegexpMatcher", "ColumnsListMatcher", "QualifiedColumnsRegexpMatcher", "QualifiedColumnsListMatcher",
		"StorageOrderByElement", "SampleRatio"}
)

// inspectTree reads a statement's tree, one node a line, indented by depth.
func inspectTree(tree io.Reader, database string, relations []string, functions map[string]bool) error {
	lines := bufio.NewScanner(tree)
	lines.Buffer(nil, 1<<20)
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
	}
	var tables []string
	expression := -1 // depth of the TableExpression above
	n := 0
	for ; lines.Scan(); n++ {
		m := nodePattern.FindStringSubmatch(lines.Text())
		if m == nil {
			return refuse("it holds a name that is not understood; keep names to letters, digits and underscores")
		}
		depth, kind, name := len(m[1]), m[2], m[3]
		if n == 0 && kind != "SelectWithUnionQuery" && kind != "SelectIntersectExceptQuery" {
			return refuse("only SELECT is answered")
		}
		switch {
		case depth == 1 && kind != "ExpressionList":
			return refuse("a statement has neither FORMAT, SETTINGS nor INTO here; the request says in which format the answer is")
		case kind == "Function" && depth == expression+1:
			if name != "service_series" {
				return refuse("there is no table function %s here; ask the views: %s", clipped(name), strings.Join(relations, ", "))
			}
		case kind == "Function":
			if !pure(name, functions) {
				return refuse("the function %s is not among those that work on their arguments alone", clipped(name))
			}
		case kind == "TableIdentifier":
			tables = append(tables, name)
		case kind == "Identifier":
			first, _, _ := strings.Cut(strings.ToLower(name), ".")
			if first == "system" || first == "information_schema" {
				return refuse("there is no %s here; ask the views: %s", clipped(name), strings.Join(relations, ", "))
			}
		case !slices.Contains(quietNodes, kind):
			return refuse("%s is not understood here: a statement is a SELECT over views", clipped(kind))
		}
		if kind == "TableExpression" {
			expression = depth
		} else if depth <= expression {
			expression = -1
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w over HTTP: %w", ErrUnavailable, err)
	}
	if n == 0 {
		return refuse("it is empty")
	}
	for _, table := range tables {
		bare := table
		if of, name, found := strings.Cut(table, "."); found && of == database {
			bare = name
		}
		// What WITH names is here too. A table that is none of ours is refused by the grants.
		if strings.Contains(bare, ".") {
			return refuse("there is no %s here; ask the views: %s", clipped(table), strings.Join(relations, ", "))
		}
	}
	return nil
}

func clipped(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// combinators are endings that make other aggregate functions of one.
var combinators = []string{"If", "Array", "Map", "State", "Merge", "MergeState", "ForEach", "Distinct", "OrDefault", "OrNull", "Resample",
	"ArgMin", "ArgMax", "SimpleState"}

func pure(name string, functions map[string]bool) bool {
	if functions[name] || functions[strings.ToLower(name)] {
		return true
	}
	for _, ending := range combinators {
		if rest, found := strings.CutSuffix(name, ending); found && rest != "" && pure(rest, functions) {
			return true
		}
	}
	return false
}

// pureCategories are those of ClickHouse's own list that work on their arguments alone.
var pureCategories = []string{"Null", "String", "Tuple", "Distance", "Arrays", "Logical", "URL", "Hash", "Bit", "Map", "Bitmap", "Encoding", "JSON",
	"Rounding", "Dates and Times", "Financial", "Conditional", "Comparison", "String Splitting", "Type Conversion", "Time Window",
	"Random Number", "Arithmetic", "Mathematical", "IP Address", "String Search", "String Replacement", "Aggregate Functions", "UUID", "Geo"}

// pureOthers belong to none of those categories, and the syntax of SQL is made of some of them.
var pureOthers = []string{"bar", "transform", "identity", "materialize", "finalizeaggregation", "initializeaggregation", "runningaccumulate", "neighbor",
	"runningdifference", "byteSize", "totypename", "formatreadablesize", "formatreadablequantity", "formatreadabletimedelta",
	"formatreadabledecimalsize", "visiblewidth", "rownumberinallblocks", "defaultvalueoftypename", "ignore", "countdigits",
	"lambda", "cast", "_cast", "exists", "grouping", "arrayjoin", "minsamplesizeconversion", "minsamplesizecontinuous"}

// impure are in those categories all the same.
var impure = []string{"chdb", "aggthrow", "flamegraph", "servertimezone"}

// pureFunctions asks the server once which functions it has, and keeps those that read nothing but their arguments. Names that the server
// takes in any case are in lower case.
func (s *Store) pureFunctions(ctx context.Context) (map[string]bool, error) {
	s.functionsMu.Lock()
	defer s.functionsMu.Unlock()
	if s.functions != nil {
		return s.functions, nil
	}
	found := map[string]bool{}
	for _, name := range pureOthers {
		found[strings.ToLower(name)] = true
	}
	aliases := map[string]string{}
	err := s.ask(ctx, "read the list of functions", func(rows driver.Rows) error {
		var name, categories, target string
		if err := rows.Scan(&name, &categories, &target); err != nil {
			return err
		}
		if target != "" {
			aliases[name] = target
			return nil
		}
		for category := range strings.SplitSeq(categories, ",") {
			if slices.Contains(pureCategories, strings.TrimSpace(category)) && !slices.Contains(impure, strings.ToLower(name)) {
				found[name] = true
				found[strings.ToLower(name)] = true
			}
		}
		return nil
	}, "SELECT name, categories, alias_to FROM system.functions WHERE origin = 'System'")
	if err != nil {
		return nil, err
	}
	for name, target := range aliases {
		if found[target] {
			found[name] = true
			found[strings.ToLower(name)] = true
		}
	}
	s.functions = found
	return found, nil
}
