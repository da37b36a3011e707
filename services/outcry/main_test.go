package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v3"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outcome is what a person sees of a command.
type outcome struct {
	code           int
	stdout, stderr string
}

// call is one command line and what it finds.
type call struct {
	args    []string
	stdin   string
	environ []string
}

func (c call) run(t *testing.T) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(c.stdin), stdout: &stdout, stderr: &stderr, environ: c.environ}
	code := a.run(t.Context(), append([]string{"outcry"}, c.args...))
	return outcome{code, stdout.String(), stderr.String()}
}

// outcry runs a command line in this process, as main does.
func outcry(t *testing.T, args ...string) outcome {
	t.Helper()
	return call{args: args}.run(t)
}

// writeFile writes a file into a new folder and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\n(go test ./outcry -update writes the golden files)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s\n(go test ./outcry -update rewrites the golden files)", path, diff)
	}
}

// TestHelp holds what every command says of itself against the golden files, and to the form that all share.
func TestHelp(t *testing.T) {
	golden(t, "help/outcry.txt", outcry(t).stdout)
	known := map[string]bool{"outcry.txt": true}
	var visit func(path []string, c *cli.Command)
	visit = func(path []string, c *cli.Command) {
		for _, sub := range c.Commands {
			here := append(append([]string{}, path...), sub.Name)
			name := strings.Join(here, "-") + ".txt"
			known[name] = true
			got := outcry(t, append(here, "--help")...)
			if got.code != exitOK || got.stderr != "" {
				t.Errorf("%v --help: %+v", here, got)
			}
			if viaHelp := outcry(t, append([]string{"help"}, here...)...); viaHelp != got {
				t.Errorf("help %v differs from %v --help: %+v", here, here, viaHelp)
			}
			if strings.Contains(sub.Usage, "\n") || len(sub.Usage) > 90 || strings.HasSuffix(sub.Usage, ".") {
				t.Errorf("%v: the purpose must be one short line: %q", here, sub.Usage)
			}
			if name != "version.txt" && !strings.Contains(sub.Description, "\nExample") {
				t.Errorf("%v: no examples", here)
			}
			golden(t, "help/"+name, got.stdout)
			visit(here, sub)
		}
	}
	visit(nil, (&app{}).root())
	files, err := os.ReadDir("testdata/help")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[f.Name()] {
			t.Errorf("testdata/help/%s belongs to no command", f.Name())
		}
	}
}

func TestTeaches(t *testing.T) {
	bare := outcry(t)
	if bare.code != exitOK || bare.stderr != "" {
		t.Errorf("%+v", bare)
	}
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
		if got := outcry(t, args...); got != bare {
			t.Errorf("outcry %v differs from outcry: %+v", args, got)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string
	}{
		{"confg", `unknown command "confg"; the nearest known one is config` + "\nTry: outcry --help"},
		{"confg print --frmat x", `unknown command "confg"; the nearest known one is config` + "\nTry: outcry --help"},
		{"config chekc", `unknown command "chekc"; known are check, print` + "\nTry: outcry config --help"},
		{"help config prnt", `unknown command "prnt"; known are check, print` + "\nTry: outcry config --help"},
		{"config print --defalts", "unknown option --defalts; the nearest known one is --defaults\nTry: outcry config print --help"},
		{"version --confg x", "unknown option --confg; the nearest known one is --config\nTry: outcry version --help"},
		{"version --config", "option --config needs a value\nTry: outcry version --help"},
		{"version x", "unexpected argument \"x\": expected only options\nTry: outcry version --help"},
		{"config print --defaults=maybe", "option --defaults does not take \"maybe\"; expected true or false\nTry: outcry config print --help"},
		{"bench latancy", `unknown command "latancy"; known are latency, detect, classify, api, alerts` + "\nTry: outcry bench --help"},
		{"keys create", `unknown command "create"; known are add, list, revoke` + "\nTry: outcry keys --help"},
		{"keys add", "--name and --scope must be given\nTry: outcry keys add --help"},
		{"keys add --name x", "--scope must be given\nTry: outcry keys add --help"},
		{"keys add --name x --scope all", "scope \"all\" is none of read, evidence, act, admin\nTry: outcry keys add --help"},
		{"demo --seed x", "option --seed does not take \"x\"; expected a whole number that is not negative\nTry: outcry demo --help"},
		{"demo --seed 99999999999999999999", "option --seed does not take \"99999999999999999999\"; it is out of range\nTry: outcry demo --help"},
		{"demo --listen x", "--listen must be host:port, such as 127.0.0.1:8080 or :8080\nTry: outcry demo --help"},
		{"bench --posts x", "option --posts does not take \"x\"; expected a whole number\nTry: outcry bench --help"},
		{"bench api --rate 0", "--rate is 0; expected 1 to 100000\nTry: outcry bench api --help"},
		{"detect --budget x", "option --budget does not take \"x\"; expected a number\nTry: outcry detect --help"},
		{"detect --interval 5", "option --interval does not take \"5\"; expected a duration such as \"10s\", \"5m\" or \"1h30m\"\nTry: outcry detect --help"},
		{"detect --csv x --interval 0s", "--interval is 0s; expected 1s to 744h, such as 5m\nTry: outcry detect --help"},
		{"detect --csv x --interval -5m", "--interval is -5m0s; expected 1s to 744h, such as 5m\nTry: outcry detect --help"},
		{"catalog --zz", "unknown option --zz; the nearest known one is --help\nTry: outcry catalog --help"},
		{"classify --format xml x", "--format: unknown format \"xml\"; did you mean \"jsonl\"? Known are jetstream, jsonl, twitter-v1\nTry: outcry classify --help"},
		{"simulate --truth absent/x", "--truth is \"absent/x\", and absent is no folder\nTry: outcry simulate --help"},
		{"replay --keep main_test.go x", "--keep is \"main_test.go\", which is no folder\nTry: outcry replay --help"},
		{"backtest --json --markdown x", "--json and --markdown are two forms of one result; keep one\nTry: outcry backtest --help"},
		{"config check --log-level loud", "--log-level is \"loud\"; expected debug, info, warn or error\nTry: outcry config check --help"},
	} {
		got := outcry(t, strings.Fields(tt.line)...)
		if diff := cmp.Diff(outcome{exitUsage, "", "outcry: " + tt.want + "\n"}, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("outcry %s (-want +got)\n%s", tt.line, diff)
		}
	}
}

// TestListenIsFree: an address that is taken is told in the words of the option, before the engines start.
func TestListenIsFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	got := outcry(t, "demo", "--exit", "--listen", taken.Addr().String())
	if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, "outcry: --listen: ") || !strings.Contains(got.stderr, "choose another address") {
		t.Errorf("%+v", got)
	}
}

func TestInterruptedCommandSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	a := &app{stderr: &stderr}
	if code := a.exitCode(ctx, ctx.Err()); code != exitInterrupted || stderr.String() != "outcry: interrupted\n" {
		t.Errorf("%d %q", code, stderr.String())
	}
	stderr.Reset()
	if code := a.exitCode(t.Context(), context.Canceled); code != exitFailure {
		t.Errorf("a cancellation that nobody asked for is a failure, not %d", code)
	}
}

// readLines decodes a file of JSON lines.
func readLines[T any](t *testing.T, path string) []T {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var all []T
	d := json.NewDecoder(file)
	d.DisallowUnknownFields()
	for d.More() {
		var v T
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}
