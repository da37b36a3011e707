package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Format is one in which ClickHouse itself writes an answer.
type Format struct {
	// Suffix of an address that asks for it, without the dot.
	Suffix    string
	MediaType string
	// name in ClickHouse.
	name string
}

// Formats in which ClickHouse writes what analysts ask for.
var Formats = []Format{
	{"csv", "text/csv; charset=utf-8", "CSVWithNames"},
	{"parquet", "application/vnd.apache.parquet", "Parquet"},
	{"arrow", "application/vnd.apache.arrow.file", "Arrow"},
	{"jsonl", "application/x-ndjson", "JSONEachRow"},
}

// FormatOf finds a format by its suffix.
func FormatOf(suffix string) (Format, bool) {
	for _, f := range Formats {
		if f.Suffix == suffix {
			return f, true
		}
	}
	return Format{}, false
}

// ErrRefused says that ClickHouse understood a statement and will not run it: it is wrong, too much, or not allowed.
var ErrRefused = errors.New("the statement is refused")

// maxMessage bounds what is read of an error.
const maxMessage = 4 << 10

// httpAddress is where ClickHouse speaks HTTP: as configured, or on the usual port of the host that speaks the native protocol.
func (c Config) httpAddress() string {
	if c.HTTPAddress != "" {
		return c.HTTPAddress
	}
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return c.Address
	}
	return net.JoinHostPort(host, "8123")
}

func (s *Store) database() string { return cmp.Or(s.cfg.Database, "default") }

// login is who asks.
type login struct{ name, password string }

// stream asks over HTTP and hands on the answer as ClickHouse writes it, while it writes it. The caller closes it. params are the values of
// {name:Type} in the statement.
func (s *Store) stream(ctx context.Context, who login, format string, params map[string]string, query string) (io.ReadCloser, error) {
	values := url.Values{"database": {s.database()}, "default_format": {format}}
	if who == s.self() { // readers have it in their settings, and may set nothing
		values.Set("date_time_output_format", "iso")
	}
	for name, value := range params {
		values.Set("param_"+name, tsvEscape(value))
	}
	address := url.URL{Scheme: "http", Host: s.cfg.httpAddress(), Path: "/", RawQuery: values.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), strings.NewReader(query))
	if err != nil {
		return nil, fmt.Errorf("ask clickhouse over HTTP: %w", err)
	}
	request.SetBasicAuth(who.name, who.password)
	response, err := s.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w over HTTP at %s: %w", ErrUnavailable, s.cfg.httpAddress(), err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	message, err := io.ReadAll(io.LimitReader(response.Body, maxMessage))
	err = errors.Join(err, response.Body.Close())
	if err != nil {
		return nil, fmt.Errorf("%w over HTTP: %w", ErrUnavailable, err)
	}
	if bytes.Contains(message, []byte("MEMORY_LIMIT_EXCEEDED")) || response.StatusCode < 500 || response.Header.Get("X-ClickHouse-Exception-Code") != "" {
		return nil, fmt.Errorf("%w: %s", ErrRefused, plainMessage(string(message)))
	}
	return nil, fmt.Errorf("%w over HTTP: %s: %s", ErrUnavailable, response.Status, plainMessage(string(message)))
}

// plainMessage leaves out what a server says of itself.
func plainMessage(message string) string {
	message = strings.TrimSpace(message)
	if i := strings.LastIndex(message, " (version "); i > 0 {
		message = message[:i]
	}
	_, rest, found := strings.Cut(message, "DB::Exception: ")
	if found {
		message = rest
	}
	return message
}

// tsvEscape writes a parameter as ClickHouse reads it.
func tsvEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`).Replace(s)
}

func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: time.Minute}}
}

// decodeRows reads JSONEachRow.
func decodeRows[R any](answer io.ReadCloser) (out []R, err error) {
	defer func() { err = errors.Join(err, answer.Close()) }()
	decoder := json.NewDecoder(answer)
	for decoder.More() {
		var r R
		if err := decoder.Decode(&r); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
