package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestWriteYAML(t *testing.T) {
	s := defaults()
	s.Kafka.TLS.Key = "hunter2"
	var b strings.Builder
	if err := WriteYAML(&b, s, "OUTCRY_"); err != nil {
		t.Fatal(err)
	}
	want := `# Where data is kept. (OUTCRY_DATA_DIR)
data_dir: outcry-data
# From 0 to 1 | both included. (OUTCRY_THRESHOLD)
threshold: 0.5
# (OUTCRY_LABELS)
labels: {}
# The message bus.
kafka:
  # Addresses of brokers; empty: the embedded one. (OUTCRY_KAFKA_BROKERS)
  brokers:
    - a:9092
    - b:9092
    - c:9092
  # Partitions of each topic, 1 to 64. (OUTCRY_KAFKA_PARTITIONS)
  partitions: 4
  # Longest time a batch waits. (OUTCRY_KAFKA_MAX_WAIT)
  max_wait: 1h30m
  # Transport security.
  tls:
    # Check certificates. (OUTCRY_KAFKA_TLS_VERIFY)
    verify: false
    # Private key. (OUTCRY_KAFKA_TLS_KEY)
    key: '***'
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWriteReference(t *testing.T) {
	var b strings.Builder
	if err := WriteReference(&b, defaults(), "OUTCRY_"); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| `threshold` | `OUTCRY_THRESHOLD` | number | `0.5` | From 0 to 1 \\| both included. |\n",
		"| `kafka.brokers` | `OUTCRY_KAFKA_BROKERS` | list | `a:9092,b:9092,c:9092` | Addresses of brokers; empty: the embedded one. |\n",
		"| `kafka.tls.key` | `OUTCRY_KAFKA_TLS_KEY` | secret |  | Private key. |\n",
	} {
		if !strings.Contains(b.String(), row) {
			t.Errorf("%q is not in\n%s", row, b.String())
		}
	}
}

// TestSecretIsNeverShown tries every way in which a value is usually printed.
func TestSecretIsNeverShown(t *testing.T) {
	const text = "hunter2"
	v := struct{ Password Secret }{text}
	var out bytes.Buffer
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d", "t", "c", "e", "5s", "U"} {
		fmt.Fprintf(&out, "%"+verb+" %"+verb+" %"+verb+"\n", v.Password, v, &v)
	}
	fmt.Fprintln(&out, v, v.Password, fmt.Errorf("bad %v", v.Password))
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "secret", v.Password, "struct", v, "pointer", &v.Password)
	}
	data, err := json.Marshal([]any{v.Password, v})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(data)
	if data, err = yaml.Marshal(v); err != nil {
		t.Fatal(err)
	}
	out.Write(data)
	hexed := fmt.Sprintf("%x", text)
	for _, leak := range []string{text, hexed, strings.ToUpper(hexed), "104 117"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q leaked in\n%s", leak, out.String())
		}
	}
	if v.Password.Reveal() != text || Secret("").String() != "" {
		t.Error("Reveal must return the text, and an empty secret must look empty")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"kafka.brokers", "kafka.partitions", "clickhouse.address", "data_dir", "api"}
	for name, want := range map[string]string{
		"kafka.broker": "kafka.brokers", "brokers": "kafka.brokers", "Adress": "clickhouse.address", "datadir": "data_dir", "apis": "api",
		"click_house.address": "clickhouse.address", "kafka.x": "kafka.brokers", "kafka.address": "clickhouse.address", "kafka.": "kafka.brokers", strings.Repeat("x", 1e6): "data_dir",
	} {
		if got := Nearest(name, known); got != want && len(name) < 100 {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("%q", got)
	}
}
