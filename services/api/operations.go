package api

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"outcry.dev/pkg/store"
)

// huma writes the description of the API from the types of what is read and written. Requests are answered by the handlers themselves, since
// they stream files, say what is wrong in words, and share the reading of parameters with the pages.

const stability = `Data of Outcry: complaints about services in public posts, and the incidents that follow from them.

Numbers are people who complain in public, not users affected. All times are event time in UTC. Addresses under /v1 and the fields of their answers stay; fields and
addresses may be added. Every list has files beside it (.csv, .parquet, .arrow, .jsonl), with .meta.json that says what each column is and how to cite it.`

// operations registers what is described.
type operations struct {
	api *API
	h   huma.API
}

func newOperations(a *API, mux *http.ServeMux) *operations {
	cfg := huma.DefaultConfig("Outcry", "1.0.0")
	cfg.Info.Description = stability
	cfg.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath, cfg.CreateHooks = "/v1/openapi", "", "", nil
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer", Description: "A key made by `outcry keys add`."}}
	return &operations{api: a, h: humago.New(mux, cfg)}
}

// operation says what a route is.
type operation struct {
	method, path, id, summary, tag string
	// media are the media types of answers that are no JSON.
	media []string
	// long answers are not bound by questionTimeout.
	long  bool
	scope scope
	// body is what is read, by media type.
	body map[string]reflect.Type
}

// anything is the answer of a route that streams.
type anything struct{}

// register describes a route by the types I of its parameters and O of its answer, and has it answered by f.
func register[I, O any](o *operations, op operation, f func(http.ResponseWriter, *http.Request, *params) error) {
	known := parameterNames(reflect.TypeFor[I]())
	handler := o.api.metrics.observe(o.api.admit(op.scope, o.api.answer(op.long, func(w http.ResponseWriter, r *http.Request) error {
		p := readParams(r, known...)
		if p.fault != nil {
			return p.fault
		}
		return f(w, r, p)
	}, writeProblem)))
	method := op.method
	if method == "" {
		method = http.MethodGet
	}
	content := map[string]*huma.MediaType{}
	if reflect.TypeFor[O]() != reflect.TypeFor[anything]() {
		schema := o.h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[O](), true, op.id)
		content["application/json"] = &huma.MediaType{Schema: schema}
	}
	for _, m := range op.media {
		content[m] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	problems := &huma.Response{Description: "What is wrong, and what to do", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: o.h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "problem")}}}
	description := huma.Operation{
		OperationID: op.id, Method: method, Path: op.path, Summary: op.summary, Tags: []string{op.tag},
		Responses:          map[string]*huma.Response{"200": {Description: "OK", Content: content}, "default": problems},
		SkipValidateParams: true, SkipValidateBody: true,
	}
	if op.scope != scopeNone {
		description.Security = []map[string][]string{{}, {"key": {string(op.scope)}}}
	}
	huma.Register(o.h, description, func(context.Context, *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			handler.ServeHTTP(w, r)
		}}, nil
	})
	item := o.h.OpenAPI().Paths[op.path]
	for _, described := range []*huma.Operation{item.Get, item.Post, item.Delete} {
		if described == nil || described.Method != method {
			continue
		}
		described.Parameters = parametersOf(reflect.TypeFor[I]())
		// huma adds errors of its own, which never come, and would read a body that it knows of.
		maps.DeleteFunc(described.Responses, func(status string, _ *huma.Response) bool { return status != "200" && status != "default" })
		if op.body != nil {
			described.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
			for media, t := range op.body {
				described.RequestBody.Content[media] = &huma.MediaType{Schema: o.h.OpenAPI().Components.Schemas.Schema(t, true, op.id)}
			}
		}
	}
}

// parametersOf describes what a route reads. huma leaves out the fields of embedded types that are not exported.
func parametersOf(t reflect.Type) []*huma.Param {
	var out []*huma.Param
	for _, f := range reflect.VisibleFields(t) {
		for _, in := range []string{"path", "query"} {
			if name := f.Tag.Get(in); name != "" {
				out = append(out, &huma.Param{Name: name, In: in, Description: f.Tag.Get("doc"), Required: in == "path" || f.Tag.Get("required") == "true", Schema: &huma.Schema{Type: huma.TypeString}})
			}
		}
	}
	return out
}

// parameterNames are those of the query.
func parameterNames(t reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("query"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// file is a list that is also given in other formats.
type file struct {
	export store.Export
	title  string
}

// files describes the files beside a list: for each format, and what their columns are.
func files[I any](o *operations, of operation, want func(*http.Request, *params) (file, error)) {
	for _, f := range store.Formats {
		register[I, anything](o, operation{path: of.path + "." + f.Suffix, id: of.id + "-" + f.Suffix, tag: "Files", long: true, scope: of.scope,
			summary: of.summary + ", as " + strings.ToUpper(f.Suffix), media: []string{f.MediaType}},
			func(w http.ResponseWriter, r *http.Request, p *params) error {
				what, err := want(r, p)
				if err != nil {
					return err
				}
				return o.api.writeFile(w, r, what, f)
			})
	}
	register[I, metadata](o, operation{path: of.path + ".meta.json", id: of.id + "-metadata", tag: "Files", scope: of.scope,
		summary: of.summary + ": what the columns are, and how to cite it"},
		func(w http.ResponseWriter, r *http.Request, p *params) error {
			what, err := want(r, p)
			if err != nil {
				return err
			}
			return o.api.writeMetadata(w, r, what)
		})
}

// accepted is the format of a file that the request prefers to JSON.
func accepted(r *http.Request) (store.Format, bool) {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch media {
		case "application/json", "*/*", "text/html":
			return store.Format{}, false
		}
		for _, f := range store.Formats {
			own, _, _ := strings.Cut(f.MediaType, ";")
			if media == own || media == "application/vnd.apache.arrow.stream" && f.Suffix == "arrow" {
				return f, true
			}
		}
	}
	return store.Format{}, false
}

// list describes a list as JSON, and the files beside it. Whoever accepts one of their media types gets that file at the list's address.
func list[I, O any](o *operations, op operation, want func(*http.Request, *params) (file, error), f func(http.ResponseWriter, *http.Request, *params) error) {
	for _, format := range store.Formats {
		op.media = append(op.media, format.MediaType)
	}
	op.long = true
	if op.scope == scopeNone {
		op.scope = scopeRead
	}
	for _, path := range []string{op.path, op.path + ".json"} {
		one := op
		if one.path = path; path != op.path {
			one.id, one.media, one.tag = op.id+"-json", nil, "Files"
		}
		register[I, O](o, one, func(w http.ResponseWriter, r *http.Request, p *params) error {
			w.Header().Add("Vary", "Accept")
			if format, found := accepted(r); found && path == op.path {
				what, err := want(r, p)
				if err != nil {
					return err
				}
				return o.api.writeFile(w, r, what, format)
			}
			return o.api.answerInTime(w, r, func(r *http.Request) error { return f(w, r, p) })
		})
	}
	files[I](o, op, want)
}
