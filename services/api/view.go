package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/store"
)

// view is what the charts of a page show. The address of the page holds all of it.
type view struct {
	path     string           // of the page
	own      *catalog.Service // whose page it is; nil where services are explored
	services []*catalog.Service
	timeRange
	by   string // one of store.Breakdowns; empty for the whole
	rate bool   // people for 1,000 mentions, instead of people
}

// readView reads an address. What was typed to be added and is not found is said in notice.
func (a *API) readView(r *http.Request, own *catalog.Service) (v view, notice string, err error) {
	p := &params{values: r.URL.Query()}
	v = view{path: r.URL.Path, own: own, timeRange: p.timeRange(), by: p.values.Get("by"), rate: p.values.Get("measure") == "rate"}
	if m := p.values.Get("measure"); m != "" && m != "people" && m != "rate" {
		p.fail("measure %q is neither people nor rate.", clip(m))
	}
	if v.by != "" && !slices.Contains(store.Breakdowns(), v.by) {
		p.fail("by %q is none of %s.", clip(v.by), strings.Join(store.Breakdowns(), ", "))
	}
	if p.fault != nil {
		return v, "", p.fault
	}
	if own != nil {
		v.services = append(v.services, own)
	}
	for _, id := range splitAll(p.values[v.others()]) {
		service, err := a.find(id)
		if err != nil {
			return v, "", err
		}
		v.add(service)
	}
	for _, name := range splitAll(p.values["add"]) {
		service := a.named(name)
		switch {
		case service == nil:
			_, err := a.find(strings.ToLower(name)) // which names the nearest
			notice = strings.TrimSuffix(err.Error(), "; /v1/services lists all.")
		case len(v.services) >= maxCompared:
			notice = fmt.Sprintf("More than %d services cannot be told apart in one chart.", maxCompared)
		default:
			v.add(service)
		}
	}
	if len(v.services) > maxCompared {
		return v, "", badRequest("More than %d services cannot be told apart in one chart.", maxCompared)
	}
	return v, notice, nil
}

// others is the parameter of the services that are not the page's own.
func (v *view) others() string {
	if v.own != nil {
		return "with"
	}
	return "service"
}

func (v *view) add(s *catalog.Service) {
	if !slices.Contains(v.services, s) {
		v.services = append(v.services, s)
	}
}

// named finds a service by what a person types: its id, its name, or the beginning of a single one.
func (a *API) named(text string) *catalog.Service {
	if s, ok := a.deps.Catalog.ByID(strings.ToLower(text)); ok {
		return s
	}
	var begins []*catalog.Service
	for i := range a.deps.Catalog.Services {
		s := &a.deps.Catalog.Services[i]
		if strings.EqualFold(s.Name, text) {
			return s
		}
		if strings.HasPrefix(strings.ToLower(s.Name), strings.ToLower(text)) {
			begins = append(begins, s)
		}
	}
	if len(begins) == 1 {
		return begins[0]
	}
	return nil
}

func splitAll(values []string) []string {
	var out []string
	for _, value := range values {
		for word := range strings.SplitSeq(value, ",") {
			if word = strings.TrimSpace(word); word != "" {
				out = append(out, word)
			}
		}
	}
	return out
}

// Address is where the view is.
func (v view) Address() string {
	values := url.Values{}
	var ids []string
	for _, s := range v.services {
		if s != v.own {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) > 0 {
		values.Set(v.others(), strings.Join(ids, ","))
	}
	if !v.from.IsZero() {
		values.Set("from", v.from.Format("2006-01-02T15:04Z"))
	}
	if !v.to.IsZero() {
		values.Set("to", v.to.Format("2006-01-02T15:04Z"))
	}
	if v.step != 0 {
		values.Set("step", shortDuration(v.step))
	}
	if v.by != "" {
		values.Set("by", v.by)
	}
	if v.rate {
		values.Set("measure", "rate")
	}
	if len(values) == 0 {
		return v.path
	}
	// Colons and commas need no escape in a query, and addresses are read by people.
	return v.path + "?" + strings.NewReplacer("%3A", ":", "%2C", ",").Replace(values.Encode())
}

// between is the same view of another time. A step that was asked for stays where the length does.
func (v view) between(from, to time.Time) view {
	if to.Sub(from) != v.to.Sub(v.from) {
		v.step = 0
	}
	v.from, v.to = from, to
	return v
}

func (v view) without(s *catalog.Service) view {
	v.services = slices.DeleteFunc(slices.Clone(v.services), func(o *catalog.Service) bool { return o == s })
	return v
}

// coarse makes a step longer that would cut the range into more than a page shows.
func (r timeRange) coarse() timeRange {
	length := r.to.Sub(r.from)
	if r.step != 0 && !r.from.IsZero() && !r.to.IsZero() && length > pagePoints*r.step {
		r.step = stepFor(length, pagePoints)
	}
	return r
}

// namesOf joins names: Skype, Viber and Kik.
func namesOf(services []*catalog.Service) string {
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
