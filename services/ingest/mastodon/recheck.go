package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"outcry.dev/services/ingest/polite"
)

const (
	maxNames = 20 // posts a request, as Mastodon has it from 4.3 on
	// turn is how many stored posts are gone through between two cursors.
	turn = 200
	// reserve is how many requests of a period are left to timelines and to whoever else uses the token; servers mostly allow 300 in five minutes.
	reserve = 100
	// tries is how often posts are asked for that the server does not answer for, before they are left to the next round.
	tries = 5
	// few is how many posts of a turn may be refused for another reason than that they are gone.
	few = 3
)

// between is the pause between two requests: a third of what servers mostly allow. A variable for tests alone.
var between = 3 * time.Second

// ownPost is where Mastodon, and what is like it, has its own posts: their uri ends in the id under which it gives them. A boost's is an activity.
var ownPost = regexp.MustCompile(`^/(?:ap/)?users/[^/]+/statuses/([0-9A-Za-z]{1,40})(?:/activity)?$`)

// ownID returns the id that the server has for a post of its own; empty for posts of others, which it may cease to have although they are there.
func (i *instance) ownID(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host != i.host || u.RawQuery != "" {
		return ""
	}
	m := ownPost.FindStringSubmatch(u.EscapedPath())
	if m == nil {
		return ""
	}
	return m[1]
}

// polled asks a server for posts, at its pace.
type polled struct {
	*instance
	single bool // it gives one post a request
	pause  time.Duration
}

func (p *polled) ask(ctx context.Context, path string, query url.Values, v any) error {
	if err := polite.Sleep(ctx, max(between, p.pause)); err != nil {
		return err
	}
	header, err := p.get(ctx, path, query, v)
	p.pause = pause(header, time.Now())
	return err
}

// pause is how long to wait where little is left of what the server allows in a period.
func pause(h http.Header, now time.Time) time.Duration {
	if left, err := strconv.ParseFloat(h.Get("X-RateLimit-Remaining"), 64); err != nil || left >= reserve {
		return 0
	}
	h.Set("X-RateLimit-Remaining", "0")
	return polite.RetryAfter(h, now)
}

// missing returns those of some ids for which the server does not answer with a post when it is asked for several.
func (p *polled) missing(ctx context.Context, ids []string) ([]string, error) {
	if p.single {
		return ids, nil
	}
	var list []struct {
		ID string `json:"id"`
	}
	err := p.ask(ctx, "/api/v1/statuses", url.Values{"id[]": ids}, &list)
	var code *polite.StatusError
	if errors.As(err, &code) && slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity, http.StatusNotImplemented}, code.Code) {
		p.single = true
		return ids, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		for _, s := range list {
			if s.ID == id {
				return true
			}
		}
		return false
	}), nil
}

// gone reports whether the server says of a post that it is not there. Any other refusal is an error, and so is a page that says so in place of the API.
func (p *polled) gone(ctx context.Context, id string) (bool, error) {
	err := p.ask(ctx, "/api/v1/statuses/"+id, nil, nil)
	var code *polite.StatusError
	if !errors.As(err, &code) || code.Code != http.StatusNotFound && code.Code != http.StatusGone {
		return false, err
	}
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(code.Text), &said) != nil || said.Error == "" {
		return false, err
	}
	return true, nil
}

// shows makes sure that the server gives a post of its own that is there, by the id in its uri: else its word that another is gone is worth nothing.
func (p *polled) shows(ctx context.Context) error {
	var list []struct {
		URI string `json:"uri"`
	}
	if err := p.ask(ctx, "/api/v1/timelines/public", url.Values{"local": {"true"}, "limit": {"5"}}, &list); err != nil {
		return err
	}
	for _, s := range list[:min(len(list), 5)] {
		id := p.ownID(s.URI)
		if id == "" {
			continue
		}
		if gone, err := p.gone(ctx, id); err != nil || !gone {
			return err
		}
	}
	return errors.New("it does not give the newest posts of its own by their ids, so what it does not give need not be gone")
}

// goneOf returns those of some uris that the server says are gone; those of other servers are not asked for.
func (p *polled) goneOf(ctx context.Context, uris []string) (gone []string, err error) {
	of := map[string][]string{}
	var own []string
	failed := 0
	for _, uri := range uris {
		if id := p.ownID(uri); id != "" {
			if of[id] == nil {
				own = append(own, id)
			}
			of[id] = append(of[id], uri)
		}
	}
	for ids := range slices.Chunk(own, maxNames) {
		missing, err := p.missing(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, id := range missing {
			is, err := p.gone(ctx, id)
			var code *polite.StatusError
			if errors.As(err, &code) && code.Code != http.StatusTooManyRequests && failed < few {
				failed++ // one that the server cannot give for ever must not keep the others
				continue
			}
			if err != nil {
				return nil, err
			}
			if is {
				gone = append(gone, of[id]...)
			}
		}
	}
	if len(gone) > 0 {
		err = p.shows(ctx)
	}
	return gone, err
}

// followDeletes goes through the stored posts of the server, round after round, and withdraws what is gone, until ctx ends or Emit fails. What the
// server does not answer is no reason to end the stream.
func (r *run) followDeletes(ctx context.Context) error {
	back, failed := polite.NewBackoff(polite.DefaultRules()), 0
	for {
		r.stored.Begin()
		uris := r.stored.Next(ctx, turn, r.session.Log)
		gone, err := r.polled.goneOf(ctx, uris)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := between
		if err != nil {
			failed++
			wait = back.Next(err, 0)
			if r.session.Log != nil {
				r.session.Log.Warn("deleted posts could not be asked for; trying again later", "in", wait.Round(time.Second), "error", polite.Line(err.Error()))
			}
		}
		switch {
		case err == nil:
			back, failed = polite.NewBackoff(polite.DefaultRules()), 0
			if err := r.withdraw(uris, gone); err != nil {
				return err
			}
		case failed >= tries:
			failed = 0
			if err := r.withdraw(uris, nil); err != nil {
				return err
			}
		}
		if err := polite.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// withdraw tells which of the posts that were asked for are gone, and how far the round has come.
func (r *run) withdraw(asked, gone []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, uri := range gone {
		if _, told := r.heard.deleted.Get(uri); told {
			continue
		}
		if err := r.gone(uri, time.Now()); err != nil {
			return fmt.Errorf("withdraw a post: %w", err)
		}
	}
	before := r.at.Checked
	r.stored.Asked(asked)
	if r.at.Checked = r.stored.At(); r.at.Checked == before {
		return nil
	}
	return r.mark()
}
