package api

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/chart"
)

// annotation is a note of an embed as the composer asks for it: a moment, to the minute, and a text.
type annotation struct{ At, Text string }

// annotations reads those of a form, which has the moments and the texts apart, and those of an address, which has them together.
func annotations(values url.Values) []annotation {
	var out []annotation
	at, texts := values["note_at"], values["note_text"]
	for i := range min(len(at), len(texts), maxNotes) {
		if text := strings.TrimSpace(texts[i]); at[i] != "" && text != "" {
			out = append(out, annotation{at[i], text})
		}
	}
	for _, note := range values["note"] {
		if when, text, found := strings.Cut(strings.TrimSpace(note), " "); found {
			if t, err := time.Parse(time.RFC3339, when); err == nil {
				when = t.UTC().Format("2006-01-02T15:04")
			}
			out = append(out, annotation{strings.TrimSuffix(when, "Z"), text})
		}
	}
	return out
}

// composed is what a composer makes: the parameters of an embed.
type composed struct {
	Service *catalog.Service
	values  url.Values
	asked   timeRange
	Notes   []annotation
	Follows bool // the latest day, rather than a time
	width   int
}

// compose reads the form of the composer, and refuses what an embed would refuse.
func (a *API) compose(r *http.Request, form url.Values) (*composed, error) {
	c := &composed{values: url.Values{}, Notes: annotations(form), Follows: form.Get("range") == "latest"}
	for _, n := range c.Notes {
		at := n.At
		if !strings.HasSuffix(at, "Z") {
			at += "Z"
		}
		c.values.Add("note", at+" "+n.Text)
	}
	for _, name := range []string{"theme", "lang", "title", "height", "width"} {
		if v := strings.TrimSpace(form.Get(name)); v != "" && v != "auto" && (name != "lang" || v != "en") {
			c.values.Set(name, v)
		}
	}
	p := &params{values: url.Values{"from": form["from"], "to": form["to"], "step": form["step"]}}
	c.asked = p.timeRange()
	checked := &params{values: c.values}
	l := checked.look(720)
	if p.fault == nil {
		p.fault = checked.fault
	}
	if p.fault != nil {
		return nil, p.fault
	}
	c.width = l.options.Width
	var err error
	if c.Service, err = a.find(r.PathValue("id")); err != nil {
		return nil, err
	}
	step := c.asked.step
	if c.asked, err = a.choose(r.Context(), c.Service.ID, c.asked); err != nil {
		return nil, err
	}
	if !c.Follows {
		c.values.Set("from", c.asked.from.Format(time.RFC3339))
		c.values.Set("to", c.asked.to.Format(time.RFC3339))
	}
	if step != 0 {
		c.values.Set("step", shortDuration(step))
	}
	return c, nil
}

func (c *composed) query() string {
	return strings.NewReplacer("%3A", ":").Replace(c.values.Encode())
}

// code is one way to put a chart into an article.
type code struct{ ID, Name, What, Code string }

func (a *API) codes(r *http.Request, path, query, title, when, about string, width int) []code {
	if query != "" {
		query = "?" + query
	}
	origin, escaped := a.origin(r), template.HTMLEscapeString
	address, image := origin+path+query, origin+path+".png"+query
	return []code{
		{"script", "Script", "One line; the frame takes the height that it needs.", fmt.Sprintf(`<script src="%s/embed.js" data-chart="%s" data-width="%d" data-title="%s" async></script>`, escaped(origin), escaped(address), width, escaped(title))},
		{"frame", "Frame", "Without a script; the height is fixed.", frameCode(address, title, width, 520)},
		{"picture", "Picture", "For newsletters and old systems.", fmt.Sprintf(`<a href="%s"><img src="%s" alt="%s" width="%d" style="max-width:100%%;height:auto"></a>`, escaped(origin+about), escaped(image), escaped(title+when), width)},
	}
}

// composer is the page that makes the code of an embed.
func (a *API) composer(w http.ResponseWriter, r *http.Request) error {
	form := r.URL.Query()
	c, err := a.compose(r, form)
	if err != nil {
		return err
	}
	title := c.Service.Name + ": complaints in public posts"
	if t := c.values.Get("title"); t != "" {
		title = t
	}
	path, query, frozen := "/embed/services/"+url.PathEscape(c.Service.ID), c.query(), ""
	about, when := "/services/"+url.PathEscape(c.Service.ID), ""
	if !c.Follows {
		when = ", " + stamp(c.asked.from) + " to " + stamp(c.asked.to)
		about += "?from=" + c.asked.from.Format(time.RFC3339) + "&to=" + c.asked.to.Format(time.RFC3339)
	}
	if id := form.Get("frozen"); id != "" {
		f, err := a.deps.Store.Frozen(r.Context(), clip(id))
		if err != nil {
			return err
		}
		if f == nil || f.Service != c.Service.ID {
			return notFound("There is no frozen chart %q.", clip(id))
		}
		path, query, frozen = "/embed/frozen/"+f.ID, "", f.FrozenAt.Format("2 January 2006, 15:04 UTC")
	}
	preview := path
	if query != "" {
		preview += "?" + query
	}
	notes := c.Notes
	for len(notes) < min(maxNotes, len(c.Notes)+1) {
		notes = append(notes, annotation{})
	}
	return a.render(w, r, http.StatusOK, "composer.html", map[string]any{
		"Service": c.Service, "From": c.asked.from, "To": c.asked.to, "Step": form.Get("step"), "Follows": c.Follows, "Theme": form.Get("theme"), "Lang": form.Get("lang"),
		"Title": form.Get("title"), "Notes": notes, "MostNotes": maxNotes, "Height": form.Get("height"), "Width": form.Get("width"),
		"Preview": preview, "Query": query, "Languages": chart.Languages(), "Frozen": frozen, "Origin": a.origin(r), "NeedsKey": !callerOf(r).may(scopeAct),
		"Codes": a.codes(r, path, query, title, when, about, c.width),
	})
}

// freezeOnPage freezes what the composer shows.
func (a *API) freezeOnPage(w http.ResponseWriter, r *http.Request) error {
	r, err := a.authorized(w, r, scopeAct)
	if err != nil {
		return err
	}
	frozen, err := a.freezeNow(r, freezeBody{Service: r.PathValue("id"), Query: r.PostForm.Get("query")})
	if err != nil {
		return err
	}
	back := r.PostForm.Get("query")
	if _, err := url.ParseQuery(back); err != nil {
		return badRequest("query is not that of an address.")
	}
	http.Redirect(w, r, "/services/"+url.PathEscape(r.PathValue("id"))+"/embed?"+back+"&frozen="+frozen.ID+"#code", http.StatusSeeOther)
	return nil
}
