package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"outcry.dev/pkg/store"
)

const (
	maxStreams = 1000 // connections that are kept open at once
	pollEvery  = 2 * time.Second
	heartbeat  = 15 * time.Second
	tailSteps  = 15 // steps of a series that a stream repeats, since late posts change them
)

// changes wakes whoever follows when rows have been written.
type changes struct {
	mu      sync.Mutex
	waiting int
	next    chan struct{} // closed at the next change
	version string
	ending  chan struct{} // closed when the server ends
}

func newChanges() *changes {
	return &changes{next: make(chan struct{}), ending: make(chan struct{})}
}

// enter counts a follower, if there is room.
func (c *changes) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting >= maxStreams {
		return false
	}
	c.waiting++
	return true
}

func (c *changes) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting--
}

func (c *changes) wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// watch looks for changes while anybody follows, until ctx ends.
func (a *API) watch(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c := a.changes
		c.mu.Lock()
		idle := c.waiting == 0
		c.mu.Unlock()
		if idle {
			continue
		}
		version, err := a.dataVersion.get(ctx, a.deps.Store)
		if err != nil {
			a.deps.Log.Debug("cannot look for changes", "error", err) // the next look may
			continue
		}
		c.mu.Lock()
		if version != c.version {
			c.version = version
			close(c.next)
			c.next = make(chan struct{})
		}
		c.mu.Unlock()
	}
}

// event is a server-sent event. An event of an id is sent again when its data change.
type event struct {
	id, kind string
	data     any
}

// follow sends what look finds, and again what has changed, until the reader goes.
func (a *API) follow(w http.ResponseWriter, r *http.Request, look func(context.Context) ([]event, error)) error {
	if !a.changes.enter() {
		w.Header().Set("Retry-After", "60")
		return &problem{Status: http.StatusServiceUnavailable, Detail: "Too many streams are open. Try again in a minute, or ask from time to time."}
	}
	defer a.changes.leave()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the connection stays
	sent := map[string][]byte{}
	begun := false
	for {
		next := a.changes.wait()
		ctx, cancel := context.WithTimeout(r.Context(), questionTimeout)
		events, err := look(ctx)
		cancel()
		if err != nil && !begun {
			return err
		}
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Accel-Buffering", "no")
			w.WriteHeader(http.StatusOK)
			fmt.Fprint(w, "retry: 5000\n\n")
		}
		_ = control.SetWriteDeadline(time.Now().Add(writePatience))
		for _, e := range events {
			data, err := json.Marshal(e.data)
			if err != nil {
				return fmt.Errorf("encode an event: %w", err)
			}
			if bytes.Equal(sent[e.id], data) {
				continue
			}
			sent[e.id] = data
			if _, err := fmt.Fprintf(w, "event: %s\nid: %s\ndata: %s\n\n", e.kind, e.id, data); err != nil {
				return errGone
			}
		}
		if err := control.Flush(); err != nil {
			return errGone
		}
		for waiting := true; waiting; {
			select {
			case <-r.Context().Done():
				return errGone
			case <-a.changes.ending:
				return errGone
			case <-next:
				waiting = false
			case <-time.After(heartbeat):
				_ = control.SetWriteDeadline(time.Now().Add(writePatience))
				if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil || control.Flush() != nil {
					return errGone
				}
			}
		}
	}
}

type incidentStreamQuery struct {
	Service string `query:"service" doc:"Catalog ids, with commas; without it, all services."`
}

func (a *API) incidentStream(w http.ResponseWriter, r *http.Request, p *params) error {
	filter, err := a.incidentsWanted(p)
	if err != nil {
		return err
	}
	filter.Limit = 100
	return a.follow(w, r, func(ctx context.Context) ([]event, error) {
		found, err := a.deps.Store.Incidents(ctx, filter)
		if err != nil {
			return nil, err
		}
		slices.Reverse(found)
		bodies, err := incidentsJSON(found)
		events := make([]event, len(bodies))
		for i, body := range bodies {
			events[i] = event{found[i].GetId(), "incident", body}
		}
		return events, err
	})
}

// stateJSON is a service on the board.
type stateJSON struct {
	ID       string `json:"id"`
	State    state  `json:"state"`
	People   int    `json:"people_last_hour"`
	Mentions int    `json:"mentions_last_hour"`
	Incident string `json:"incident,omitempty"`
}

type boardJSON struct {
	At     time.Time `json:"at"`
	Silent []string  `json:"silent_sources"`
}

func (a *API) servicesStream(w http.ResponseWriter, r *http.Request, _ *params) error {
	quiet := map[string]stateJSON{}
	return a.follow(w, r, func(ctx context.Context) ([]event, error) {
		o, err := a.overview(ctx, time.Time{})
		if err != nil {
			return nil, err
		}
		var events []event
		for i := range o.Services {
			s := &o.Services[i]
			now := stateJSON{s.ID, s.State, s.People, s.Mentions, s.Incident.GetId()}
			if before, known := quiet[s.ID]; known && before == now {
				continue
			}
			first := len(quiet) < len(o.Services)
			quiet[s.ID] = now
			if first && s.Mentions == 0 && s.State.rank() <= stateUnknown.rank() {
				continue // the page has it so
			}
			events = append(events, event{s.ID, "service", now})
		}
		silent := o.Silent
		if silent == nil {
			silent = []string{}
		}
		return append(events, event{"", "board", boardJSON{o.At, silent}}), nil
	})
}

type seriesStreamQuery struct {
	ID   string `path:"id" doc:"Catalog id of the service."`
	Step string `query:"step" doc:"Whole minutes from 1m to 1d; 1m where it is missing."`
}

type tailJSON struct {
	Service string      `json:"service"`
	Step    string      `json:"step"`
	Points  []pointJSON `json:"points" doc:"The last steps; those of the same times as before replace them."`
}

func (a *API) seriesStream(w http.ResponseWriter, r *http.Request, p *params) error {
	step := p.step()
	if step == 0 {
		step = time.Minute
	}
	if p.fault != nil {
		return p.fault
	}
	service, err := a.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	return a.follow(w, r, func(ctx context.Context) ([]event, error) {
		end, err := a.deps.Store.LatestTime(ctx, "")
		if err != nil || end.IsZero() {
			return nil, err
		}
		points, err := a.deps.Store.Series(ctx, service.ID, end.Add(-tailSteps*step), end, step)
		if err != nil {
			return nil, err
		}
		return []event{{service.ID, "points", newTail(service.ID, step, points)}}, nil
	})
}

func newTail(service string, step time.Duration, points []store.Point) tailJSON {
	tail := tailJSON{Service: service, Step: shortDuration(step), Points: []pointJSON{}}
	for i := range points {
		tail.Points = append(tail.Points, newPointJSON(&points[i]))
	}
	return tail
}
