package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"outcry.dev/pkg/store"
)

const maxSQL = 64 << 10

// sqlBody is what POST /v1/sql reads; a body of plain text is the statement itself.
type sqlBody struct {
	SQL    string `json:"sql" doc:"One SELECT over the views that /v1/schema lists."`
	Format string `json:"format,omitempty" enum:"jsonl,csv,parquet,arrow" doc:"Format of the answer; the Accept header says the same."`
}

type sqlInput struct {
	Format string `query:"format" doc:"jsonl, csv, parquet or arrow; the Accept header says the same."`
}

func (a *API) sql(w http.ResponseWriter, r *http.Request, p *params) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSQL))
	if err != nil {
		var tooLong *http.MaxBytesError
		if !errors.As(err, &tooLong) {
			return fmt.Errorf("read the statement: %w", err)
		}
		return badRequest("The statement has more than %d bytes.", maxSQL)
	}
	ask := sqlBody{SQL: string(body)}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		ask = sqlBody{}
		if err := json.Unmarshal(body, &ask); err != nil {
			return badRequest(`The body is not JSON such as {"sql": "SELECT …", "format": "csv"}.`)
		}
	}
	if format := p.values.Get("format"); format != "" {
		ask.Format = format
	}
	format, ok := accepted(r)
	if !ok {
		format, _ = store.FormatOf("jsonl")
	}
	if ask.Format != "" {
		if format, ok = store.FormatOf(ask.Format); !ok {
			return badRequest("format %q is none of jsonl, csv, parquet and arrow.", clip(ask.Format))
		}
	}
	if strings.TrimSpace(ask.SQL) == "" {
		return badRequest("There is no statement. Send one SELECT over the views that /v1/schema lists.")
	}
	select {
	case a.statements <- struct{}{}:
		defer func() { <-a.statements }()
	default:
		w.Header().Set("Retry-After", "5")
		return &problem{Status: http.StatusTooManyRequests, Detail: "Other statements are being answered. Try again in some seconds."}
	}
	answer, err := a.deps.Store.Ask(r.Context(), strings.TrimRight(strings.TrimSpace(ask.SQL), "; \t\r\n"), format)
	if errors.Is(err, store.ErrRefused) {
		_, why, _ := strings.Cut(err.Error(), store.ErrRefused.Error()+": ")
		return badRequest("The statement is refused: %s", why)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return a.pour(w, answer, format.MediaType)
}

type schemaJSON struct {
	Views []viewJSON `json:"views" doc:"What POST /v1/sql may read."`
}

type viewJSON struct {
	Name    string         `json:"name"`
	Columns []store.Column `json:"columns"`
}

func (a *API) schema(w http.ResponseWriter, r *http.Request, _ *params) error {
	views, err := a.deps.Store.PublicSchema(r.Context())
	if err != nil {
		return err
	}
	var out schemaJSON
	for _, v := range views {
		out.Views = append(out.Views, viewJSON{v.Name, v.Columns})
	}
	return a.writeJSON(w, r, out)
}
