package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigCheckReportsEveryFaultAtOnce(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	file := `data_dri: x
log:
  level: chatty
kafka:
  brokers: [localhost, "b:9092"]
  partitions: none
clickhouse:
  address: db:9000
  database: "x; drop"
privacy: {author_key: short}
`
	if err := os.WriteFile("outcry.yaml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	got := call{
		args:    []string{"config", "check"},
		environ: []string{"OUTCRY_KAFKA_BROKER=x:1", "OUTCRY_CLICKHOUSE_LIBRARY=/lib.so", "OUTCRY_CLICKHOUSE_USERNAME="},
	}.run(t)
	want := `outcry: 9 faults:
  outcry.yaml:1: unknown key "data_dri"; the nearest known one is data_dir
  outcry.yaml:6: kafka.partitions is "none"; expected a whole number
  OUTCRY_KAFKA_BROKER: unknown variable; the nearest known one is OUTCRY_KAFKA_BROKERS
  outcry.yaml:3: log.level is "chatty"; expected debug, info, warn or error
  outcry.yaml:5: kafka.brokers: "localhost" is not host:port
  OUTCRY_CLICKHOUSE_LIBRARY: clickhouse.library is for the embedded server and address for another one; keep one of them
  outcry.yaml:9: clickhouse.database is "x; drop"; expected a name of letters, digits and underscores
  OUTCRY_CLICKHOUSE_USERNAME: clickhouse.username must not be empty
  outcry.yaml:10: privacy.author_key has 5 bytes; at least 16 keep authors unknown
`
	if diff := cmp.Diff(outcome{exitFailure, "", want}, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestConfigFileIsLookedForInTheUsualPlaces(t *testing.T) {
	home, here := t.TempDir(), t.TempDir()
	t.Chdir(here)
	put := func(path, dataDir string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("data_dir: "+dataDir+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string, environ []string, args ...string) {
		t.Helper()
		got := call{args: append([]string{"config", "print"}, args...), environ: environ}.run(t)
		if got.code != exitOK || !strings.Contains(got.stdout, "\ndata_dir: "+want+"\n") {
			t.Errorf("want data_dir %s: %+v", want, got)
		}
	}
	expect(".outcry", nil)
	put(filepath.Join(home, ".config", "outcry", "outcry.yaml"), "home")
	expect("home", []string{"HOME=" + home})
	put(filepath.Join(home, "xdg", "outcry", "outcry.yaml"), "xdg")
	expect("xdg", []string{"HOME=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, "xdg")})
	put("outcry.yaml", "here")
	expect("here", []string{"HOME=" + home})
	put("other.yaml", "other")
	expect("other", []string{"HOME=" + home}, "--config", "other.yaml")
	expect("variable", []string{"OUTCRY_DATA_DIR=variable"}, "--config", "other.yaml")
	expect(".outcry", []string{"OUTCRY_DATA_DIR=variable"}, "--defaults")

	if got := outcry(t, "--config", "absent.yaml", "config", "check"); got.code != exitFailure ||
		got.stderr != "outcry: the configuration file \"absent.yaml\" does not exist\n" {
		t.Errorf("%+v", got)
	}
}

func TestConfigPrintMasksSecretsAndCanBeRead(t *testing.T) {
	file := writeFile(t, "password", "hunter2-hunter2-hunter2\n")
	environ := []string{"OUTCRY_CLICKHOUSE_PASSWORD_FILE=" + file, "OUTCRY_PRIVACY_AUTHOR_KEY=correct-horse-battery"}
	got := call{args: []string{"config", "print"}, environ: environ}.run(t)
	if got.code != exitOK || strings.Contains(got.stdout, "hunter2") || strings.Contains(got.stdout, "correct-horse") {
		t.Errorf("%+v", got)
	}
	if strings.Count(got.stdout, "'***'") != 2 {
		t.Errorf("two secrets must be masked:\n%s", got.stdout)
	}

	defaults := outcry(t, "config", "print", "--defaults")
	again := outcry(t, "config", "print", "--config", writeFile(t, "outcry.yaml", defaults.stdout))
	if again != defaults {
		t.Errorf("the printed defaults do not read as themselves: %+v", again)
	}
}

func TestConfigReference(t *testing.T) {
	golden(t, "reference.md", outcry(t, "config", "print", "--reference").stdout)
}
