package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/config"
)

// problem is an error as RFC 9457 writes it. Detail says what to do.
type problem struct {
	Type   string `json:"type" doc:"about:blank: the status says what kind it is."`
	Title  string `json:"title" doc:"Name of the status."`
	Status int    `json:"status" doc:"Status of HTTP."`
	Detail string `json:"detail" doc:"What is wrong, and what to do."`
}

func (p *problem) Error() string { return p.Detail }

func badRequest(format string, args ...any) *problem {
	return &problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *problem {
	return &problem{Status: http.StatusNotFound, Detail: fmt.Sprintf(format, args...)}
}

func internal() *problem {
	return &problem{Status: http.StatusInternalServerError, Detail: "Something went wrong on our side. The log of the api says what."}
}

func writeProblem(w http.ResponseWriter, p *problem) {
	filled := *p
	filled.Type, filled.Title = "about:blank", http.StatusText(p.Status)
	body, err := json.Marshal(filled)
	if err != nil {
		panic(err) // strings and a number
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // whoever asked has gone
}

// find gives a service of the catalog, or a problem that names the nearest.
func (a *API) find(id string) (*catalog.Service, error) {
	if s, ok := a.deps.Catalog.ByID(id); ok {
		return s, nil
	}
	ids := make([]string, len(a.deps.Catalog.Services))
	for i, s := range a.deps.Catalog.Services {
		ids[i] = s.ID
	}
	if nearest := config.Nearest(id, ids); nearest != "" {
		return nil, notFound("No service is called %q. The nearest is %q; /v1/services lists all.", clip(id), nearest)
	}
	return nil, notFound("No service is called %q. /v1/services lists all.", clip(id))
}

// clip bounds what is repeated of a request.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
