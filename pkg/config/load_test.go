package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type kafka struct {
	Brokers    []string      `koanf:"brokers" doc:"Addresses of brokers; empty: the embedded one."`
	Partitions int           `koanf:"partitions" doc:"Partitions of each topic, 1 to 64."`
	MaxWait    time.Duration `koanf:"max_wait" doc:"Longest time a batch waits."`
	TLS        struct {
		Verify bool   `koanf:"verify" doc:"Check certificates."`
		Key    Secret `koanf:"key" doc:"Private key."`
	} `koanf:"tls" doc:"Transport security."`
}

func (k kafka) Validate() error {
	var faults []error
	if k.Partitions < 1 || k.Partitions > 64 {
		faults = append(faults, fmt.Errorf("partitions must be between 1 and 64, not %d", k.Partitions))
	}
	if k.MaxWait < 0 {
		faults = append(faults, errors.New("max_wait must not be negative"))
	}
	return errors.Join(faults...)
}

type sample struct {
	DataDir   string            `koanf:"data_dir" doc:"Where data is kept."`
	Threshold float64           `koanf:"threshold" doc:"From 0 to 1 | both included."`
	Labels    map[string]string `koanf:"labels"`
	Kafka     kafka             `koanf:"kafka" doc:"The message bus."`
	internal  int
	Ignored   chan int
}

func (s *sample) Validate() error {
	if s.DataDir == "" {
		return errors.New("data_dir must not be empty")
	}
	if s.Threshold > 1 && s.Kafka.Partitions > 8 {
		return errors.New("these two do not go together")
	}
	return nil
}

func defaults() *sample {
	s := &sample{DataDir: "outcry-data", Threshold: 0.5, internal: 7}
	s.Kafka = kafka{Brokers: []string{"a:9092", "b:9092", "c:9092"}, Partitions: 4, MaxWait: 90 * time.Minute}
	return s
}

// write puts text into outcry.yaml in a new directory, which becomes the current one, so that messages name the file alone.
func write(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("outcry.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "outcry.yaml"
}

func TestLayers(t *testing.T) {
	file := write(t, `
data_dir: from-file
labels: {team: sre, "dotted.name": "x=y"}
kafka:
  brokers: [one:9092]
  partitions: 8
  tls:
    verify: true
`)
	if err := os.WriteFile("key.pem", []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := defaults()
	list := got.Kafka.Brokers
	err := Load(got, Options{File: file, Prefix: "OUTCRY_", Environ: []string{
		"PATH=/bin", "OUTCRY_KAFKA_PARTITIONS=16", "OUTCRY_KAFKA_MAX_WAIT=10s", "OUTCRY_KAFKA_TLS_KEY_FILE=key.pem", "OUTCRYING=no",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.DataDir = "from-file"
	want.Labels = map[string]string{"team": "sre", "dotted.name": "x=y"}
	want.Kafka.Brokers = []string{"one:9092"}
	want.Kafka.Partitions = 16
	want.Kafka.MaxWait = 10 * time.Second
	want.Kafka.TLS.Verify = true
	want.Kafka.TLS.Key = "hunter2"
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if list[0] != "a:9092" {
		t.Errorf("the default list was written over: %v", list)
	}
}

func TestEnvironmentValues(t *testing.T) {
	got := defaults()
	err := Load(got, Options{Prefix: "OUTCRY_", Environ: []string{
		"OUTCRY_KAFKA_BROKERS= x:1, y:2 ,", "OUTCRY_LABELS=a=1,b=2", "OUTCRY_THRESHOLD=0.75", "OUTCRY_KAFKA_TLS_VERIFY=true", "OUTCRY_DATA_DIR=a,b c",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"x:1", "y:2"}, got.Kafka.Brokers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, got.Labels); diff != "" {
		t.Error(diff)
	}
	if got.Threshold != 0.75 || !got.Kafka.TLS.Verify || got.DataDir != "a,b c" {
		t.Errorf("%+v", got)
	}
	if err := Load(got, Options{Prefix: "OUTCRY_", Environ: []string{"OUTCRY_KAFKA_BROKERS="}}); err != nil || len(got.Kafka.Brokers) != 0 {
		t.Errorf("an empty variable must give an empty list: %v, %v", got.Kafka.Brokers, err)
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name    string
		file    string
		environ []string
		want    string
	}{{
		name: "everything at once, each with its place",
		file: "data_dri: x\nkafka:\n  partitions: many\n  broker: [a]\n  max_wait: -5s\n  tls: yes\nthreshold: .nan\ndata_dir: ''\n",
		environ: []string{
			"OUTCRY_KAFKA_BROKER=a:1", "OUTCRY_KAFKA_TLS_VERIFY=maybe", "OUTCRY_KAFKA_TLS_KEY=a", "OUTCRY_KAFKA_TLS_KEY_FILE=absent",
			"OUTCRY_DATA_DIR_FILE=x",
		},
		want: `
outcry.yaml:1: unknown key "data_dri"; the nearest known one is data_dir
outcry.yaml:3: kafka.partitions is "many"; expected a whole number
outcry.yaml:4: unknown key "kafka.broker"; the nearest known one is kafka.brokers
outcry.yaml:6: kafka.tls is a section; expected keys below it
outcry.yaml:7: threshold is ".nan"; expected a number
OUTCRY_KAFKA_BROKER: unknown variable; the nearest known one is OUTCRY_KAFKA_BROKERS
OUTCRY_KAFKA_TLS_VERIFY: kafka.tls.verify is "maybe"; expected true or false
OUTCRY_KAFKA_TLS_KEY_FILE: read the secret: open absent: no such file or directory
OUTCRY_DATA_DIR_FILE: unknown variable; the nearest known one is OUTCRY_DATA_DIR
outcry.yaml:8: data_dir must not be empty
outcry.yaml:5: kafka.max_wait must not be negative`,
	}, {
		name:    "validation: every fault of every section, with the variable that set it",
		file:    "threshold: 2\n",
		environ: []string{"OUTCRY_KAFKA_PARTITIONS=99", "OUTCRY_KAFKA_MAX_WAIT=-1s"},
		want: `
these two do not go together
OUTCRY_KAFKA_PARTITIONS: kafka.partitions must be between 1 and 64, not 99
OUTCRY_KAFKA_MAX_WAIT: kafka.max_wait must not be negative`,
	}, {
		name: "a key below the wrong section is found by its last part",
		file: "partitions: 3\nkafak:\n  brokers: []\n",
		want: `
outcry.yaml:1: unknown key "partitions"; the nearest known one is kafka.partitions
outcry.yaml:2: unknown key "kafak"; the nearest known one is kafka`,
	}, {
		name: "a key twice",
		file: "data_dir: a\nkafka: {}\ndata_dir: b\n",
		want: `
outcry.yaml:3: "data_dir" stands here a second time; the first is in line 1`,
	}, {
		name: "shapes",
		file: "data_dir: [a]\nlabels: [a]\nkafka:\n  brokers: {a: b}\n  partitions:\n    x: 1\n  max_wait: 10\n",
		want: `
outcry.yaml:1: data_dir is not a single value; expected a text
outcry.yaml:2: labels is not a single value; expected names and values, or "name=value" joined by commas
outcry.yaml:4: kafka.brokers is not a single value; expected a list, or values joined by commas
outcry.yaml:6: kafka.partitions is not a single value; expected a whole number
outcry.yaml:7: kafka.max_wait is "10"; expected a duration such as "10s", "5m" or "1h30m"`,
	}, {
		name: "aliases are refused, wherever they stand",
		file: "data_dir: &d x\nlabels: {a: *d}\nkafka:\n  brokers: [*d]\n  tls:\n    key: *d\n    <<: *d\n",
		want: `
outcry.yaml:2: the alias *"d" is not read; write the value out
outcry.yaml:4: the alias *"d" is not read; write the value out
outcry.yaml:6: the alias *"d" is not read; write the value out
outcry.yaml:7: unknown key "kafka.tls.<<"; the nearest known one is kafka.tls.key`,
	}, {
		name:    "both forms of a secret",
		environ: []string{"OUTCRY_KAFKA_TLS_KEY=a", "OUTCRY_KAFKA_TLS_KEY_FILE=outcry.yaml"},
		want: `
OUTCRY_KAFKA_TLS_KEY and OUTCRY_KAFKA_TLS_KEY_FILE are both set; keep one`,
	}, {
		name: "a printed configuration's mask is no secret",
		file: "kafka:\n  tls:\n    key: '***'\n",
		want: `
outcry.yaml:3: kafka.tls.key is "***", the mask that hides it; write the secret itself`,
	}, {
		name: "not a mapping",
		file: "- a\n- b\n",
		want: `
outcry.yaml:1: expected keys and values, such as "data_dir: .outcry"`,
	}, {
		name: "not YAML",
		file: "data_dir: a\n\tkafka: b\n",
		want: `
outcry.yaml:2: not YAML: found a tab character that violates indentation`,
	}, {
		name: "two documents",
		file: "data_dir: a\n---\ndata_dir: b\n",
		want: `
outcry.yaml: holds more than one YAML document; one is read`,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Load(defaults(), Options{File: write(t, tt.file), Environ: tt.environ, Prefix: "OUTCRY_"})
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), fmt.Sprint(err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// What is typed after an option counts last, and its faults name the option, not the variable that could have set the key.
func TestChanges(t *testing.T) {
	got := defaults()
	if err := Load(got, Options{File: write(t, "kafka:\n  partitions: 8\n"), Environ: []string{"OUTCRY_KAFKA_PARTITIONS=16", "OUTCRY_KAFKA_TLS_KEY_FILE=outcry.yaml"}, Prefix: "OUTCRY_",
		Option: "--set", Changes: []string{"kafka.partitions=32", " kafka.max_wait=10s", "kafka.tls.key=hunter2", "kafka.brokers="}}); err != nil {
		t.Fatal(err)
	}
	if got.Kafka.Partitions != 32 || got.Kafka.MaxWait != 10*time.Second || got.Kafka.TLS.Key != "hunter2" || len(got.Kafka.Brokers) != 0 {
		t.Errorf("%+v", got.Kafka)
	}

	err := Load(defaults(), Options{Environ: []string{"OUTCRY_KAFKA_PARTITIONS=16"}, Prefix: "OUTCRY_", Option: "--set", Changes: []string{"kafka.partitions=99", "kafka.max_wait=soon", "kafka.xyz=1", "kafka=1",
		"kafka", "threshold", "=1", "", "data_dir=a", "data_dir=b"}})
	want := `--set: kafka.max_wait is "soon"; expected a duration such as "10s", "5m" or "1h30m"
--set: unknown key "kafka.xyz"; the nearest known one is kafka.brokers
--set: kafka is a section; expected one of its keys, such as kafka.brokers=…
--set: kafka is a section; expected one of its keys, such as kafka.brokers=…
--set has "threshold"; expected KEY=VALUE
--set has "=1"; expected KEY=VALUE
--set has ""; expected KEY=VALUE
--set: data_dir stands there twice; keep one
--set: kafka.partitions must be between 1 and 64, not 99`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	t.Chdir(t.TempDir())
	err := Load(defaults(), Options{File: "absent.yaml"})
	if err == nil || err.Error() != `the configuration file "absent.yaml" does not exist` {
		t.Errorf("%v", err)
	}
	if err := Load(defaults(), Options{File: "."}); err == nil {
		t.Error("a directory was read as a file")
	}
	if err := os.WriteFile("large.yaml", []byte(strings.Repeat("#", maxFileBytes+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Load(defaults(), Options{File: "large.yaml"}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("%v", err)
	}
}

func TestEmptyFileAndEmptySectionsKeepDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "kafka:\n", "kafka:\n  brokers:\n  tls: {}\ndata_dir:\n", "---\n"} {
		got := defaults()
		if err := Load(got, Options{File: write(t, text)}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(defaults(), got, cmp.AllowUnexported(sample{})); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
}

func TestStructsThatCannotBeConfiguredPanic(t *testing.T) {
	for name, dst := range map[string]any{
		"not a pointer": sample{},
		"nil":           (*sample)(nil),
		"channel": &struct {
			C chan int `koanf:"c"`
		}{},
		"same variable": &struct {
			A string `koanf:"a_b"`
			B struct {
				B string `koanf:"b"`
			} `koanf:"a"`
		}{},
		"capitals": &struct {
			C string `koanf:"Name"`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = Load(dst, Options{})
		})
	}
}

// FuzzYAML: whatever a file holds, loading ends, and what it accepts can be printed and read again to the same values.
func FuzzYAML(f *testing.F) {
	f.Add("data_dir: x\nkafka:\n  brokers: [a, b]\n  max_wait: 10s\nlabels: {a: b}\n")
	f.Add("a: &a [*a]\n")
	f.Add("kafka: {tls: {key: \"\\u0007\"}}\n? [x]\n: y\n")
	f.Add("data_dir: |\n  a\n  b: c\n# x\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		first := defaults()
		if Load(first, Options{File: path}) != nil {
			return
		}
		var printed strings.Builder
		if err := WriteYAML(&printed, first, "OUTCRY_"); err != nil {
			t.Fatal(err)
		}
		secret := first.Kafka.TLS.Key
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(printed.String(), "'***'", "")), 0o600); err != nil {
			t.Fatal(err)
		}
		second := defaults()
		if err := Load(second, Options{File: path}); err != nil {
			t.Fatalf("%v in\n%s", err, printed.String())
		}
		second.Kafka.TLS.Key = secret
		if fmt.Sprint(*first) != fmt.Sprint(*second) {
			t.Errorf("%+v\n%+v\n%s", *first, *second, printed.String())
		}
	})
}
