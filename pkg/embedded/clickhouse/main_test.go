package clickhouse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// parentName is argv[0] of a process that starts an engine and waits to be killed.
const parentName = "parent-of-an-engine"

func TestMain(m *testing.M) {
	RunIfChild()
	if os.Args[0] == parentName {
		beParent(os.Args[1])
		return
	}
	goleak.VerifyTestMain(m)
}

// quiet discards the log.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// bounded ends a test that hangs; nothing depends on how long it is. The first test may fetch the library,
// whose unpacking takes minutes under the race detector on a busy machine.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Progress = os.Stderr
	s, err := Start(bounded(t), cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// query runs one query over HTTP.
func query(ctx context.Context, addr, user, password, sql string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/", strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(user, password)
	request.Close = true // a kept connection would be a goroutine at the end
	client := http.Client{Transport: &http.Transport{}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d: %s", response.StatusCode, bytes.TrimSpace(body))
	}
	return strings.TrimSpace(string(body)), nil
}

func (s *Server) must(t *testing.T, sql string) string {
	t.Helper()
	answer, err := query(bounded(t), s.HTTPAddr(), s.User(), s.Password(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

// eventually waits for something that other processes bring about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for ctx := bounded(t); !is(); time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("never: %s", what)
		}
	}
}
