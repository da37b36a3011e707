package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/chart"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// embedParameters are how a chart is embedded; docs/embeds.md says what each is.
var embedParameters = []string{"from", "to", "step", "width", "height", "theme", "lang", "title", "note"}

const (
	maxTitle = 120
	maxNotes = 5
)

// look is how a chart is to be drawn.
type look struct {
	options chart.Options
	title   string
	notes   []chart.Mark
	lang    string
}

func (p *params) look(standard int) look {
	l := look{title: strings.TrimSpace(p.values.Get("title")), lang: p.values.Get("lang")}
	l.options = chart.Options{Width: p.number("width", standard, 320, 2000), PlotHeight: p.number("height", 0, 80, 1200), Language: l.lang, Theme: p.values.Get("theme"), Standalone: true}
	if len([]rune(l.title)) > maxTitle {
		p.fail("title has more than %d characters.", maxTitle)
	}
	if l.lang != "" && !chart.KnownLanguage(l.lang) {
		p.fail("lang %q is none of %s.", clip(l.lang), strings.Join(chart.Languages(), ", "))
	}
	switch l.options.Theme {
	case "", "auto", "light", "dark":
	default:
		p.fail("theme %q is none of light, dark and auto.", clip(l.options.Theme))
	}
	if len(p.values["note"]) > maxNotes {
		p.fail("there are more than %d notes.", maxNotes)
	}
	for _, note := range p.values["note"] {
		if strings.TrimSpace(note) == "" {
			continue
		}
		when, text, _ := strings.Cut(strings.TrimSpace(note), " ")
		at, err := time.Parse(time.RFC3339, when)
		if err != nil {
			at, err = time.Parse("2006-01-02T15:04Z07:00", when)
		}
		if err != nil || text == "" || len([]rune(text)) > 60 {
			p.fail("note %q is not a time and a text of at most 60 characters, such as 2010-12-22T16:30:00Z servers restarted.", clip(note))
			continue
		}
		l.notes = append(l.notes, chart.Mark{Time: at.UTC(), Kind: chart.Remark, Label: text})
	}
	return l
}

// picture is a chart with all that is said beside it.
type picture struct {
	Service   string            `json:"service"`
	Name      string            `json:"name"`
	Chart     chart.Chart       `json:"chart"`
	Incidents map[string]string `json:"incidents"` // those shown, and the root that each had
}

func (a *API) picture(ctx context.Context, service *catalog.Service, asked timeRange, l look) (*picture, error) {
	s, err := a.stretch(ctx, service, asked)
	if err != nil {
		return nil, err
	}
	p := &picture{Service: service.ID, Name: service.Name, Chart: s.chart(), Incidents: map[string]string{}}
	if l.title != "" {
		p.Chart.Title = l.title
	}
	for _, i := range s.Incidents {
		if i.GetState() == outcryv1.Incident_STATE_DISMISSED {
			continue
		}
		p.Incidents[i.GetId()] = i.GetRoot()
		if note := a.rootNote(i.GetRoot()); note != "" && len(p.Chart.Notes) < 2 {
			p.Chart.Notes = append(p.Chart.Notes, note)
		}
	}
	p.Chart.Marks = append(p.Chart.Marks, l.notes...)
	return p, nil
}

// rootNote says of what an incident is probably a consequence.
func (a *API) rootNote(root string) string {
	if root == "" {
		return ""
	}
	id := root
	if n := strings.LastIndex(root, "-"); n > 0 {
		id = root[:n]
	}
	return "Likely a consequence of " + a.name(id) + "."
}

// corrections are what has changed of the incidents that a frozen chart shows.
func (a *API) corrections(ctx context.Context, f *store.FrozenChart) ([]string, error) {
	var out []string
	for id, root := range f.Incidents {
		found, err := a.deps.Store.Incidents(ctx, store.IncidentFilter{ID: id, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		switch i := found[0]; {
		case i.GetState() == outcryv1.Incident_STATE_DISMISSED:
			out = append(out, fmt.Sprintf("Correction, %s: this incident has since been dismissed.", micros(i.GetDecidedAtUs()).Format("2 January 2006")))
		case i.GetRoot() != root && i.GetRoot() != "":
			out = append(out, "Correction: since then it has been attributed to "+strings.TrimSuffix(strings.TrimPrefix(a.rootNote(i.GetRoot()), "Likely a consequence of "), ".")+".")
		case i.GetRoot() != root:
			out = append(out, "Correction: since then it is no longer attributed to another service.")
		}
	}
	return out, nil
}

// embedPage is what the page of an embed shows.
type embedPage struct {
	*picture
	Light, Dark     template.HTML // the same chart, or one of them alone
	Lang            string
	Address         string // of the page of the service
	Self            string // of this embed
	Image           string
	OEmbed          string
	Frozen          *store.FrozenChart
	Citation        citation
	Unit            string
	Rows            []chart.Point // empty where there are too many
	File            string        // of the numbers
	StepName, Theme string
}

// embed serves a chart as a page to be framed, as SVG, as PNG or as data.
func (a *API) embed(kind string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		return a.cached(w, r, time.Now(), func(ctx context.Context) (*kept, error) {
			p := readEmbedParams(r)
			asked, l := p.timeRange(), p.look(embedWidth(kind))
			if p.fault != nil {
				return nil, p.fault
			}
			service, err := a.find(r.PathValue("id"))
			if err != nil {
				return nil, err
			}
			pic, err := a.picture(ctx, service, asked, l)
			if err != nil {
				return nil, err
			}
			page := a.embedPage(r, pic, l)
			return a.draw(kind, page, l, "public, max-age=60", time.Minute)
		})
	}
}

func embedWidth(kind string) int {
	if kind == "png" {
		return 600 // twice that in pixels, as Open Graph wants
	}
	return 720
}

func readEmbedParams(r *http.Request) *params {
	p := &params{values: r.URL.Query()}
	for name := range p.values {
		if !slices.Contains(embedParameters, name) {
			p.fail("There is no parameter %q. An embed has %s.", clip(name), strings.Join(embedParameters, ", "))
		}
	}
	return p
}

func (a *API) embedPage(r *http.Request, pic *picture, l look) *embedPage {
	origin := a.origin(r)
	path := strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, ".svg"), ".png")
	query := ""
	if r.URL.RawQuery != "" {
		query = "?" + r.URL.Query().Encode()
	}
	self := origin + path + query
	page := &embedPage{picture: pic, Lang: l.lang, Address: origin + "/services/" + url.PathEscape(pic.Service) + "?from=" + pic.Chart.From.Format(time.RFC3339) + "&to=" + pic.Chart.To.Format(time.RFC3339),
		Self: self, Image: origin + path + ".png" + query, OEmbed: origin + "/oembed?url=" + url.QueryEscape(self), Unit: chart.Unit(pic.Chart.Step),
		StepName: shortDuration(pic.Chart.Step), Theme: l.options.Theme}
	if page.Rows = pic.Chart.Points; len(page.Rows) > pageRows {
		page.Rows, page.File = nil, fmt.Sprintf("%s/v1/services/%s/series.csv?from=%s&to=%s&step=%s", origin, url.PathEscape(pic.Service), pic.Chart.From.Format(time.RFC3339),
			pic.Chart.To.Format(time.RFC3339), page.StepName)
	}
	if page.Lang == "" {
		page.Lang = "en"
	}
	page.Citation = a.cite(r, "complaints about "+pic.Name+", "+stamp(pic.Chart.From)+" to "+stamp(pic.Chart.To), path+query)
	return page
}

// framedPolicy is the content security policy of what any page may frame.
const framedPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *"

// embedPages are pages without a head.
var embedPages = template.Must(pages.Clone())

// writeClosed says in a frame that the chart is not for everybody. Signing in is for a window of its own: that page cannot be framed, and a
// browser keeps its cookies from frames in other sites.
func (a *API) writeClosed(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if err := embedPages.ExecuteTemplate(&body, "closed.html", struct{ Address, Host string }{r.URL.RequestURI(), r.Host}); err != nil {
		a.deps.Log.Error("cannot write a page", "error", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", framedPolicy)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write(body.Bytes()) // whoever asked has gone
}

// draw makes the answer of a kind.
func (a *API) draw(kind string, page *embedPage, l look, cache string, fresh time.Duration) (*kept, error) {
	k := &kept{cache: cache, fresh: fresh, csp: "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors *"}
	switch kind {
	case "svg":
		k.media, k.body = "image/svg+xml", chart.SVG(page.Chart, l.options)
	case "png":
		body, err := chart.PNG(page.Chart, l.options)
		if err != nil {
			return nil, err
		}
		for _, script := range chart.Missing(page.Chart) {
			if _, said := a.fontless.LoadOrStore(script, true); !said {
				a.deps.Log.Warn("no font of this machine has the letters of a chart, so its PNG names their script instead", "script", script, "error", chart.FontFault())
			}
		}
		k.media, k.body = "image/png", body
	case "json":
		body, err := json.Marshal(page.picture)
		if err != nil {
			return nil, fmt.Errorf("encode a chart: %w", err)
		}
		k.media, k.body = "application/json", body
	default:
		l.options.Standalone, l.options.ID = false, "wide"
		page.Light = template.HTML(chart.SVG(page.Chart, l.options)) //nolint:gosec // the chart escapes what it is given
		l.options.Width, l.options.ID = narrow, "narrow"
		page.Dark = template.HTML(chart.SVG(page.Chart, l.options)) //nolint:gosec // likewise
		var body bytes.Buffer
		if err := embedPages.ExecuteTemplate(&body, "embed.html", page); err != nil {
			return nil, fmt.Errorf("write an embed: %w", err)
		}
		k.media, k.body, k.csp = "text/html; charset=utf-8", body.Bytes(), framedPolicy
	}
	return k, nil
}

// frozenJSON is a chart that stays.
type frozenJSON struct {
	ID           string    `json:"id"`
	Page         string    `json:"page" doc:"Address to frame."`
	SVG          string    `json:"svg"`
	PNG          string    `json:"png"`
	Data         string    `json:"data" doc:"What is drawn, as JSON."`
	ModelVersion string    `json:"model_version" doc:"Version of the model behind the numbers."`
	DataVersion  string    `json:"data_version" doc:"Version of the data."`
	FrozenAt     time.Time `json:"frozen_at"`
}

type freezeBody struct {
	Service string `json:"service" doc:"Catalog id."`
	Query   string `json:"query" doc:"Parameters as of an embed's address: from=…&to=…&title=…"`
}

// freeze keeps a chart as it is now.
func (a *API) freeze(w http.ResponseWriter, r *http.Request, _ *params) error {
	var body freezeBody
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	frozen, err := a.freezeNow(r, body)
	if err != nil {
		return err
	}
	return writePrivate(w, http.StatusOK, frozen)
}

func (a *API) freezeNow(r *http.Request, body freezeBody) (*frozenJSON, error) {
	values, err := url.ParseQuery(body.Query)
	if err != nil {
		return nil, badRequest("query is not that of an address.")
	}
	p := readEmbedParams(&http.Request{URL: &url.URL{RawQuery: values.Encode()}})
	asked, l := p.timeRange(), p.look(embedWidth(""))
	if p.fault != nil {
		return nil, p.fault
	}
	service, err := a.find(body.Service)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	pic, err := a.picture(ctx, service, asked, l)
	if err != nil {
		return nil, err
	}
	f := store.FrozenChart{Service: service.ID, Incidents: pic.Incidents, FrozenAt: time.Now().UTC().Truncate(time.Second)}
	if f.ModelVersion, err = a.deps.Store.ModelVersions(ctx, service.ID, pic.Chart.From, pic.Chart.To); err != nil {
		return nil, err
	}
	f.ModelVersion = strings.TrimPrefix(f.ModelVersion, ", ") // posts whose version nobody noted
	if f.DataVersion, err = a.dataVersion.get(ctx, a.deps.Store); err != nil {
		return nil, err
	}
	kept := frozenPicture{Picture: pic, Options: l.options}
	if f.Chart, err = json.Marshal(kept); err != nil {
		return nil, fmt.Errorf("encode a chart: %w", err)
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%s %s", f.ModelVersion, f.Chart))
	f.ID = strings.ToLower(base32.StdEncoding.EncodeToString(h[:15]))
	if earlier, err := a.deps.Store.Frozen(ctx, f.ID); err != nil {
		return nil, err
	} else if earlier != nil {
		f = *earlier
	} else {
		if err := a.audit(r, "freeze chart", f.ID+" of "+service.ID); err != nil {
			return nil, err
		}
		if err := a.deps.Store.Freeze(ctx, f); err != nil {
			return nil, err
		}
	}
	base := a.origin(r) + "/embed/frozen/" + f.ID
	return &frozenJSON{f.ID, base, base + ".svg", base + ".png", base + ".json", f.ModelVersion, f.DataVersion, f.FrozenAt}, nil
}

// frozenPicture is what is kept of a frozen chart.
type frozenPicture struct {
	Picture *picture      `json:"picture"`
	Options chart.Options `json:"options"`
}

// embedFrozen serves a frozen chart. The data never change; a correction of what was believed then is added, visibly, so pages and
// pictures may be kept for a while and data for ever.
func (a *API) embedFrozen(w http.ResponseWriter, r *http.Request) error {
	id, kind, _ := strings.Cut(r.PathValue("id"), ".")
	return a.cached(w, r, time.Now(), func(ctx context.Context) (*kept, error) {
		f, err := a.deps.Store.Frozen(ctx, clip(id))
		if err != nil {
			return nil, err
		}
		if f == nil || kind != "" && kind != "svg" && kind != "png" && kind != "json" {
			return nil, notFound("There is no frozen chart %q.", clip(r.PathValue("id")))
		}
		var kept frozenPicture
		if err := json.Unmarshal(f.Chart, &kept); err != nil {
			return nil, fmt.Errorf("read frozen chart %s: %w", f.ID, err)
		}
		l := look{options: kept.Options, lang: kept.Options.Language}
		if kind == "json" {
			return a.draw(kind, &embedPage{picture: kept.Picture}, l, "public, max-age=31536000, immutable", time.Hour)
		}
		corrections, err := a.corrections(ctx, f)
		if err != nil {
			return nil, err
		}
		kept.Picture.Chart.Notes = append(corrections, kept.Picture.Chart.Notes...)
		kept.Picture.Chart.Source += " Frozen " + f.FrozenAt.Format("2 January 2006")
		if f.ModelVersion != "" { // no post in it, or those of a rule alone
			kept.Picture.Chart.Source += ", model " + f.ModelVersion
		}
		kept.Picture.Chart.Source += "."
		page := a.embedPage(r, kept.Picture, l)
		if page.Frozen = f; page.File != "" {
			page.File = page.Self + ".json" // the numbers as they were
		}
		cache, fresh := "public, max-age=31536000, immutable", 5*time.Minute
		if len(corrections) > 0 {
			cache = "public, max-age=300"
		} else if len(f.Incidents) > 0 {
			// A correction has to reach those who have seen the chart.
			cache = "public, max-age=3600, stale-while-revalidate=86400"
		}
		return a.draw(kind, page, l, cache, fresh)
	})
}

// oembed tells sites that take links how to embed what they link to.
func (a *API) oembed(w http.ResponseWriter, r *http.Request) error {
	p := &params{values: r.URL.Query()}
	if f := p.values.Get("format"); f != "" && f != "json" {
		return &problem{Status: http.StatusNotImplemented, Detail: "Only format=json is given."}
	}
	width := p.number("maxwidth", 720, 100, 4000)
	height := p.number("maxheight", 520, 100, 4000)
	if p.fault != nil {
		return p.fault
	}
	target, err := url.Parse(p.values.Get("url"))
	if err != nil || target.Scheme+"://"+target.Host != a.origin(r) {
		return notFound("url is none of this site.")
	}
	id, found := strings.CutPrefix(target.Path, "/services/")
	if found {
		target.Path = "/embed/services/" + id
	} else if id, found = strings.CutPrefix(target.Path, "/embed/services/"); !found {
		if _, found = strings.CutPrefix(target.Path, "/embed/frozen/"); !found {
			return notFound("url is no chart of this site.")
		}
		id = ""
	}
	asked := target.Query()
	for name := range asked { // a page compares and splits, an embed does not
		if !slices.Contains(embedParameters, name) {
			asked.Del(name)
		}
	}
	target.RawQuery, target.Fragment = asked.Encode(), ""
	title := "Outcry"
	if id != "" {
		service, err := a.find(id)
		if err != nil {
			return err
		}
		title = service.Name + ": complaints in public posts"
	}
	width, height = min(width, 720), min(height, 520)
	return a.writeJSON(w, r, map[string]any{
		"version": "1.0", "type": "rich", "provider_name": "Outcry", "provider_url": a.origin(r) + "/", "title": title, "width": width, "height": height, "cache_age": 3600,
		"html": frameCode(target.String(), title, width, height),
	})
}

func frameCode(address, title string, width, height int) string {
	return fmt.Sprintf(`<iframe src="%s" title="%s" width="%d" height="%d" style="border:0;max-width:100%%" loading="lazy"></iframe>`,
		template.HTMLEscapeString(address), template.HTMLEscapeString(title), width, height)
}

var errNotKept = errors.New("not kept")

// kept is an answer that is kept in memory.
type kept struct {
	media, cache, csp, tag string
	body                   []byte
	fresh                  time.Duration
	until                  time.Time
	length                 string
}

const maxKeptBytes = 64 << 20

// cached answers from memory where it can.
func (a *API) cached(w http.ResponseWriter, r *http.Request, now time.Time, build func(context.Context) (*kept, error)) error {
	name := r.URL.Path + "?" + r.URL.RawQuery
	if a.cfg.PublicURL == "" {
		name = r.Host + " " + name // the answer names it
	}
	k := a.embeds.get(name, now)
	if k == nil {
		made, err := a.embeds.once(name, func() (*kept, error) { return build(r.Context()) })
		if err != nil {
			return err
		}
		made.until = now.Add(made.fresh)
		a.embeds.put(name, made)
		k = made
	}
	h := w.Header()
	h["Content-Type"] = []string{k.media}
	h["Cache-Control"] = []string{k.cache}
	h["Content-Security-Policy"] = []string{k.csp}
	h["Etag"] = []string{k.tag}
	h["Cross-Origin-Resource-Policy"] = []string{"cross-origin"}
	h["Access-Control-Allow-Origin"] = []string{"*"}
	h.Del("Cross-Origin-Opener-Policy")
	if matches(r, k.tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h["Content-Length"] = []string{k.length}
	_, _ = w.Write(k.body) // whoever asked has gone
	return nil
}

func (k *kept) seal() {
	h := sha256.Sum256(k.body)
	k.tag, k.length = fmt.Sprintf(`"%x"`, h[:12]), strconv.Itoa(len(k.body))
}
