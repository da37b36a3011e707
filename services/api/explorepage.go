package api

import (
	"net/http"
	"slices"
	"time"
)

// explore is the page of any services at any time.
func (a *API) explore(w http.ResponseWriter, r *http.Request) error {
	v, notice, err := a.readView(r, nil)
	if err != nil {
		return err
	}
	if notice == "" && r.URL.Query().Has("add") { // a form was sent: its address is long
		http.Redirect(w, r, v.Address(), http.StatusSeeOther)
		return nil
	}
	ctx := r.Context()
	p, err := a.panel(ctx, v, nil)
	if err != nil {
		return err
	}
	p.Notice = notice
	data := struct {
		*panel
		Title   string
		Suggest []suggestion
	}{panel: p, Title: "Explore"}
	if len(v.services) > 0 {
		data.Title = namesOf(v.services)
		if v.by != "" {
			data.Title += " by " + v.by
		}
	}
	o, err := a.overview(ctx, time.Time{})
	if err != nil {
		return err
	}
	for i := range o.Services {
		s := &o.Services[i]
		if len(data.Suggest) < 8 && !slices.Contains(v.services, s.Service) && (s.Mentions > 0 || len(v.services) == 0) {
			more := v
			more.services = append(slices.Clone(v.services), s.Service)
			data.Suggest = append(data.Suggest, suggestion{s.Name, more.Address()})
		}
	}
	return a.render(w, r, http.StatusOK, "explore.html", data)
}

// suggestion is a service that a view could take in.
type suggestion struct{ Name, Address string }
