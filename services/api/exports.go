package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"outcry.dev/pkg/store"
)

// exportTimeout bounds the writing of a file.
const exportTimeout = 10 * time.Minute

// metadata says what a file holds.
type metadata struct {
	Title    string         `json:"title" doc:"What the file is."`
	Address  string         `json:"address" doc:"Address of the file, with .csv; other suffixes give other formats."`
	Columns  []store.Column `json:"columns" doc:"The columns, in their order."`
	Caveat   string         `json:"caveat" doc:"What the numbers are not."`
	Citation citation       `json:"citation" doc:"How to cite it."`
}

type citation struct {
	Text    string    `json:"text" doc:"For a reference list."`
	BibTeX  string    `json:"bibtex" doc:"The same as BibTeX."`
	Address string    `json:"address" doc:"Address."`
	At      time.Time `json:"accessed_at" doc:"When it was read."`
}

const caveat = "People are distinct authors of public posts that complain, not users affected. They do not add up over time or over groups."

// cite says where something is from.
func (a *API) cite(r *http.Request, title, address string) citation {
	now := time.Now().UTC()
	whole := a.origin(r) + address
	return citation{
		Text: fmt.Sprintf("Outcry: %s. Public posts, counted by Outcry. %s, read on %s.", title, whole, now.Format("2 January 2006")),
		BibTeX: fmt.Sprintf("@misc{outcry, title = {%s}, author = {{Outcry}}, howpublished = {\\url{%s}}, year = {%d}, note = {read on %s}}",
			strings.NewReplacer("{", "", "}", "", `\`, "").Replace(title), whole, now.Year(), now.Format(time.DateOnly)),
		Address: whole, At: now.Truncate(time.Second),
	}
}

func (a *API) writeMetadata(w http.ResponseWriter, r *http.Request, what file) error {
	columns, err := a.deps.Store.Columns(r.Context(), what.export)
	if err != nil {
		return err
	}
	address := strings.TrimSuffix(r.URL.EscapedPath(), ".meta.json") + ".csv"
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.Query().Encode()
	}
	return a.writeJSON(w, r, metadata{what.title, a.origin(r) + address, columns, caveat, a.cite(r, what.title, address)})
}

// writeFile hands on what ClickHouse writes, as it writes it.
func (a *API) writeFile(w http.ResponseWriter, r *http.Request, what file, format store.Format) error {
	ctx, cancel := context.WithTimeout(r.Context(), exportTimeout)
	defer cancel()
	version, err := a.dataVersion.get(ctx, a.deps.Store)
	if err != nil {
		return err
	}
	h := fnv.New64a()
	fmt.Fprint(h, version, r.URL.RequestURI(), format.Suffix, what.title)
	tag := fmt.Sprintf(`W/"%016x"`, h.Sum64())
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "public, max-age=30")
	if matches(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	answer, err := a.deps.Store.Export(ctx, what.export, format)
	if err != nil {
		w.Header().Del("ETag")
		return err
	}
	name := strings.TrimSuffix(path.Base(r.URL.Path), "."+format.Suffix)
	if id := r.PathValue("id"); id != "" {
		name = id + "-" + name
	}
	about := url.URL{Path: strings.TrimSuffix(r.URL.Path, "."+format.Suffix) + ".meta.json", RawQuery: r.URL.Query().Encode()}
	w.Header().Set("Link", "<"+about.String()+`>; rel="describedby"; type="application/json"`)
	w.Header().Set("Content-Disposition", `attachment; filename="outcry-`+name+"."+format.Suffix+`"`)
	return a.pour(w, answer, format.MediaType)
}

// pour streams. What goes wrong on the way breaks the connection, so that half a file is not taken for a whole one.
func (a *API) pour(w http.ResponseWriter, answer io.ReadCloser, media string) error {
	w.Header().Set("Content-Type", media)
	control := http.NewResponseController(w)
	buffer := make([]byte, 64<<10)
	var sent int64
	for {
		n, err := answer.Read(buffer)
		if n > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(writePatience)) // not every writer has one
			if _, err := w.Write(buffer[:n]); err != nil {
				return errors.Join(errGone, answer.Close())
			}
			sent += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return answer.Close()
		}
		if err != nil {
			err = errors.Join(fmt.Errorf("%w: read the answer of clickhouse: %w", store.ErrUnavailable, err), answer.Close())
			if sent == 0 {
				return err
			}
			a.deps.Log.Warn("an answer broke off", "error", err)
			panic(http.ErrAbortHandler)
		}
	}
}

// writePatience is how long a reader may take for a piece.
const writePatience = 30 * time.Second

// errGone is whoever asked.
var errGone = errors.New("whoever asked has gone")

// matches tells whether the reader has what tag names.
func matches(r *http.Request, tag string) bool {
	bare := strings.TrimPrefix(tag, "W/")
	for candidate := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if c := strings.TrimSpace(candidate); c == "*" || strings.TrimPrefix(c, "W/") == bare {
			return true
		}
	}
	return false
}

// tagged writes a body with its ETag, or that the reader has it.
func tagged(w http.ResponseWriter, r *http.Request, body []byte) {
	h := sha256.Sum256(body) // processors have instructions for it: several times as fast as FNV
	tag := fmt.Sprintf(`"%x"`, h[:16])
	w.Header().Set("ETag", tag)
	if matches(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // whoever asked has gone
}

// dataVersion is asked for at most once a second.
type dataVersion struct {
	mu    sync.Mutex
	at    time.Time
	value string
}

func (d *dataVersion) get(ctx context.Context, s *store.Store) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.value != "" && time.Since(d.at) < time.Second {
		return d.value, nil
	}
	value, err := s.DataVersion(ctx)
	if err == nil {
		d.value, d.at = value, time.Now()
	}
	return value, err
}

// origin is where readers find this server: as configured, or as the request names it.
func (a *API) origin(r *http.Request) string {
	if a.cfg.PublicURL != "" {
		return strings.TrimSuffix(a.cfg.PublicURL, "/")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
