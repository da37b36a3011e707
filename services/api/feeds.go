package api

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/gorilla/feeds"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const feedLength = 50

// latest reads the incidents of a feed: of the service in the path, or of all.
func (a *API) latest(r *http.Request) (name string, incidents []*outcryv1.Incident, err error) {
	filter := store.IncidentFilter{Limit: feedLength}
	name = "all services"
	if id := r.PathValue("id"); id != "" {
		service, err := a.find(id)
		if err != nil {
			return "", nil, err
		}
		name, filter.Services = service.Name, []string{service.ID}
	}
	incidents, err = a.deps.Store.Incidents(r.Context(), filter)
	return name, incidents, err
}

// feed serves incidents as Atom or RSS.
func (a *API) feed(kind string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name, incidents, err := a.latest(r)
		if err != nil {
			return err
		}
		origin := a.origin(r)
		f := &feeds.Feed{Title: "Outages of " + name + ", as people say it in public", Link: &feeds.Link{Href: origin + "/"}, Author: &feeds.Author{Name: "Outcry"}, Id: origin + r.URL.Path}
		if id := r.PathValue("id"); id != "" {
			f.Link.Href = origin + "/services/" + url.PathEscape(id)
		}
		for _, i := range incidents {
			if i.GetState() == outcryv1.Incident_STATE_DISMISSED {
				continue
			}
			address := origin + "/incidents/" + url.PathEscape(i.GetId())
			f.Items = append(f.Items, &feeds.Item{Id: address, Link: &feeds.Link{Href: address}, Title: a.name(i.GetService()) + ": " + incidentWord(i), Description: template.HTMLEscapeString(i.GetExplanation()),
				Created: micros(i.GetDetectedAtUs()), Updated: micros(i.GetDecidedAtUs())})
			if f.Updated.Before(micros(i.GetDecidedAtUs())) {
				f.Updated = micros(i.GetDecidedAtUs())
			}
		}
		body, media := "", "application/atom+xml; charset=utf-8"
		if kind == "rss" {
			media = "application/rss+xml; charset=utf-8"
			body, err = f.ToRss()
		} else {
			body, err = f.ToAtom()
		}
		if err != nil {
			return fmt.Errorf("write a feed: %w", err)
		}
		w.Header().Set("Content-Type", media)
		w.Header().Set("Cache-Control", "public, max-age=60")
		tagged(w, r, []byte(body))
		return nil
	}
}

// calendar serves incidents as iCalendar.
func (a *API) calendar(w http.ResponseWriter, r *http.Request) error {
	name, incidents, err := a.latest(r)
	if err != nil {
		return err
	}
	c := ics.NewCalendar()
	c.SetProductId("-//Outcry//Incidents//EN")
	c.SetXWRCalName("Outages of " + name)
	for _, i := range incidents {
		if i.GetState() == outcryv1.Incident_STATE_DISMISSED {
			continue
		}
		e := c.AddEvent(i.GetId() + "@outcry")
		e.SetDtStampTime(micros(i.GetDecidedAtUs()))
		e.SetStartAt(micros(i.GetStartedAtUs()))
		end := i.GetResolvedAtUs()
		if end == 0 {
			end = max(i.GetDecidedAtUs(), i.GetStartedAtUs()+int64(time.Minute/time.Microsecond))
		}
		e.SetEndAt(micros(end))
		e.SetSummary(a.name(i.GetService()) + ": " + incidentWord(i))
		e.SetDescription(i.GetExplanation())
		e.SetURL(a.origin(r) + "/incidents/" + url.PathEscape(i.GetId()))
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=300")
	tagged(w, r, []byte(c.Serialize()))
	return nil
}

var badgeColors = map[state]string{stateOK: "#2c6e46", stateSuspected: "#8a5a00", stateRecovering: "#8a5a00", stateOutage: "#b3261e", stateUnknown: "#5c646d"}

// badge serves the state of a service as a small picture, for anybody's page.
func (a *API) badge(w http.ResponseWriter, r *http.Request) error {
	service, err := a.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	o, err := a.overview(r.Context(), time.Time{})
	if err != nil {
		return err
	}
	now := o.now(service.ID)
	name, word := template.HTMLEscapeString(clip(service.Name)), string(now.State)
	left, right := 14+7*len([]rune(clip(service.Name))), 14+7*len(word)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img" aria-label="%[2]s: %[3]s"><title>%[2]s: %[3]s</title>`+
		`<rect width="%[1]d" height="20" rx="3" fill="#3a4047"/><path d="M%[4]d 0h%[5]da3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-%[5]dz" fill="%[6]s"/>`+
		`<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"><text x="%[7]d" y="14">%[2]s</text><text x="%[8]d" y="14">%[3]s</text></g></svg>`,
		left+right, name, word, left, right-3, badgeColors[now.State], left/2, left+right/2)
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	tagged(w, r, b.Bytes())
	return nil
}

// states serves the state of every service in the text format of Prometheus.
func (a *API) states(w http.ResponseWriter, r *http.Request, _ *params) error {
	o, err := a.overview(r.Context(), time.Time{})
	if err != nil {
		return err
	}
	label := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var b bytes.Buffer
	b.WriteString("# HELP outcry_service_state State of a service: 1 for the one that it is in.\n# TYPE outcry_service_state gauge\n")
	for _, s := range o.Services {
		fmt.Fprintf(&b, "outcry_service_state{service=\"%s\",state=\"%s\"} 1\n", label.Replace(s.ID), s.State)
	}
	b.WriteString("# HELP outcry_service_people Distinct people complaining in the last hour.\n# TYPE outcry_service_people gauge\n")
	for _, s := range o.Services {
		fmt.Fprintf(&b, "outcry_service_people{service=\"%s\"} %d\n", label.Replace(s.ID), s.People)
	}
	b.WriteString("# HELP outcry_data_timestamp_seconds End of the data, in event time.\n# TYPE outcry_data_timestamp_seconds gauge\n")
	if !o.At.IsZero() {
		fmt.Fprintf(&b, "outcry_data_timestamp_seconds %d\n", o.At.Unix())
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=10")
	tagged(w, r, b.Bytes())
	return nil
}
