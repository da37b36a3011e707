package x

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// heard is a post that was handed on.
type heard struct {
	id string
	at time.Time
}

const (
	// heldFor is how long evidence stays, unless told otherwise: what is older has nothing that could be withdrawn.
	heldFor = 30 * 24 * time.Hour
	// maxHeard is how many posts are asked for; at $0.005 each, that many cost $1,000.
	maxHeard = 200_000
	// jobTime is how long a job may take.
	jobTime = time.Hour
	// maxResult bounds the answer of a job.
	maxResult = 64 << 20
)

// askEvery is how often a job is asked whether it is complete.
var askEvery = 30 * time.Second

// remember keeps a post's id. With mu held.
func (s *Source) remember(id string, now time.Time) {
	old := 0
	for old < len(s.heard) && now.Sub(s.heard[old].at) > heldFor {
		old++
	}
	if len(s.heard)-old >= maxHeard { // many at once: what follows has to move
		old += maxHeard / 10
	}
	s.heard = append(slices.Delete(s.heard, 0, old), heard{id, now})
}

// job is what X says of one.
type job struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Upload   string `json:"upload_url"`
	Download string `json:"download_url"`
}

// comply hands in the ids of what was heard, and withdraws what is gone. A job that fails is no reason to end the stream: the next one asks for the same.
func (s *Source) comply(ctx context.Context, in *source.Session) error {
	s.mu.Lock()
	ids := make([]string, 0, len(s.heard))
	for _, h := range s.heard {
		ids = append(ids, h.id)
	}
	s.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	err := s.withdraw(ctx, ids, in)
	var inner *emitError
	switch {
	case errors.As(err, &inner):
		return inner.err
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case err != nil && in.Log != nil:
		in.Log.Warn("deleted posts could not be asked for; trying again later", "in", s.cfg.ComplianceEvery, "error", polite.Line(err.Error()))
	}
	return nil
}

// emitError tells the pipeline's faults from the network's.
type emitError struct{ err error }

func (e *emitError) Error() string { return e.err.Error() }

func (s *Source) withdraw(ctx context.Context, ids []string, in *source.Session) error {
	var made struct {
		Data job `json:"data"`
	}
	if err := s.call(ctx, http.MethodPost, "/2/compliance/jobs", map[string]string{"type": "tweets", "name": s.cfg.Tag}, &made); err != nil {
		return fmt.Errorf("make a compliance job: %w", err)
	}
	id := made.Data.ID
	if id == "" || url.PathEscape(id) != id {
		return errors.New("the server made a compliance job without an id")
	}
	body, err := s.elsewhere(ctx, http.MethodPut, made.Data.Upload, strings.NewReader(strings.Join(ids, "\n")+"\n"))
	if err != nil {
		return fmt.Errorf("hand in ids: %w", err)
	}
	_ = body.Close() // nothing of it is read
	for made.Data.Status != "complete" {
		if err := polite.Sleep(ctx, askEvery); err != nil {
			return err
		}
		if err := s.call(ctx, http.MethodGet, "/2/compliance/jobs/"+id, nil, &made); err != nil {
			return fmt.Errorf("ask for a compliance job: %w", err)
		}
		if made.Data.Status == "failed" || made.Data.Status == "expired" {
			return fmt.Errorf("the compliance job has %s", made.Data.Status)
		}
	}
	if body, err = s.elsewhere(ctx, http.MethodGet, made.Data.Download, nil); err != nil {
		return fmt.Errorf("fetch the answer of a compliance job: %w", err)
	}
	defer func() { _ = body.Close() }()
	return s.gone(polite.NewLines(io.MultiReader(io.LimitReader(body, maxResult), strings.NewReader("\n")), 64<<10), ids, in)
}

// gone withdraws what a job's answer names, of what was handed in: one object a line.
func (s *Source) gone(lines *polite.Lines, ids []string, in *source.Session) error {
	left, removed := make(map[string]bool, len(ids)), map[string]bool{}
	for _, id := range ids {
		left[id] = true
	}
	for {
		line, err := lines.Next()
		var long *polite.LongLineError
		switch {
		case errors.As(err, &long):
			continue
		case errors.Is(err, io.EOF):
			s.mu.Lock()
			defer s.mu.Unlock()
			s.heard = slices.DeleteFunc(s.heard, func(h heard) bool { return removed[h.id] })
			return nil
		case err != nil:
			return fmt.Errorf("read the answer of a compliance job: %w", err)
		}
		var r struct {
			ID     string `json:"id"`
			Action string `json:"action"`
			Reason string `json:"reason"`
		}
		// Of a post whose place was taken back, the place alone must go; what is stored of it is a country's or a city's name, and expires with the rest.
		if json.Unmarshal(line, &r) != nil || r.Action != "delete" || r.Reason == "scrub_geo" || !left[r.ID] {
			continue
		}
		left[r.ID], removed[r.ID] = false, true
		s.mu.Lock()
		err = in.Emit(source.Event{Kind: source.Delete, Post: post.Post{Source: SourceName, ID: r.ID, CreatedAt: time.Now()}})
		s.mu.Unlock()
		if err != nil {
			return &emitError{err}
		}
	}
}

// elsewhere does a request to where X keeps files, which must not see the token.
func (s *Source) elsewhere(ctx context.Context, method, address string, body io.Reader) (io.ReadCloser, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || strings.HasPrefix(s.base, "https://")) {
		return nil, errors.New("the server names no address that begins with https://")
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, errors.New("the server names an address that is none")
	}
	if body != nil {
		req.Header.Set("Content-Type", "text/plain")
	}
	resp, err := s.client.Do(req) //nolint:bodyclose // Check closes it, or the caller
	if err != nil {
		var u *url.Error // it holds the address, by which anybody could fetch the file
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, err
	}
	if err := polite.Check(resp, time.Now()); err != nil {
		return nil, err
	}
	return polite.Body(resp.Body, time.Minute), nil
}
