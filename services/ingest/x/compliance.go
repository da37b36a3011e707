package x

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

const (
	// maxJob is how many ids are handed in at once, and are in memory meanwhile: some 20 MB with what is made of them.
	maxJob = 100_000
	// jobTime is how long a job may take.
	jobTime = time.Hour
	// maxResult bounds the answer of a job.
	maxResult = 64 << 20
	// tryAgain is how long after a job that failed, or whose process died, the next one is made, at the earliest.
	tryAgain = 15 * time.Minute
	// lookAgain is how long after nothing was held it is looked for again, which costs X nothing.
	lookAgain = time.Minute
)

// firstAsk is how long after ids were handed in a job is asked whether it is complete. It doubles with every try, up to mostAsk.
var firstAsk = time.Second

const mostAsk = 30 * time.Second

// job is what X says of one.
type job struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Upload   string `json:"upload_url"`
	Download string `json:"download_url"`
}

// followDeletes asks X which of the posts that are held are gone, for as long as ctx lasts.
func (s *Source) followDeletes(ctx context.Context, in *source.Session) error {
	for {
		s.mu.Lock()
		wait := min(time.Until(s.spent.Comply), s.cfg.ComplianceEvery) // it may have been planned with another setting
		s.mu.Unlock()
		if err := polite.Sleep(ctx, max(0, wait)); err != nil {
			return err
		}
		if err := s.comply(ctx, in); err != nil {
			return err
		}
	}
}

// complyIfDue does it once, where no stream is read.
func (s *Source) complyIfDue(ctx context.Context, in *source.Session) error {
	s.mu.Lock()
	due := time.Until(s.spent.Comply) <= 0
	s.mu.Unlock()
	if s.held == nil || s.cfg.ComplianceEvery == 0 || !due {
		return nil
	}
	return s.comply(ctx, in)
}

// plan says when X is asked next. That is part of the cursor, so whoever goes on knows it.
func (s *Source) plan(at time.Time, in *source.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent.Comply = at.UTC()
	return in.Emit(source.Event{Kind: source.Mark, Cursor: s.spent.cursor()})
}

// comply hands in the ids of all posts that are held, job after job, and withdraws what is gone. A job that fails is no reason to end the stream.
func (s *Source) comply(ctx context.Context, in *source.Session) error {
	began := time.Now()
	next := began.Add(lookAgain)
	for after := ""; ; {
		ids, err := s.held(ctx, SourceName, after, maxJob)
		if err == nil && len(ids) == 0 {
			return s.plan(next, in)
		}
		if err == nil {
			// Until all answers are there, the next round is near. Whoever dies meanwhile leaves that behind, and so does not ask at every start.
			if err := s.plan(began.Add(min(tryAgain, s.cfg.ComplianceEvery)), in); err != nil {
				return err
			}
			err = s.withdraw(ctx, ids, in)
		}
		var inner *emitError
		switch {
		case errors.As(err, &inner):
			return inner.err
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			next = time.Now().Add(min(tryAgain, s.cfg.ComplianceEvery))
			if in.Log != nil {
				in.Log.Warn("deleted posts could not be asked for; trying again later", "in", time.Until(next).Round(time.Second), "error", polite.Line(err.Error()))
			}
			return s.plan(next, in)
		}
		next, after = began.Add(s.cfg.ComplianceEvery), ids[len(ids)-1]
	}
}

// emitError tells the pipeline's faults from the network's.
type emitError struct{ err error }

func (e *emitError) Error() string { return e.err.Error() }

// withdraw is one job.
func (s *Source) withdraw(ctx context.Context, ids []string, in *source.Session) error {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
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
	for pause := firstAsk; made.Data.Status != "complete"; pause = min(2*pause, mostAsk) {
		if err := polite.Sleep(ctx, pause); err != nil {
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
	left := make(map[string]bool, len(ids))
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
		left[r.ID] = false
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
