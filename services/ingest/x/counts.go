package x

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// estimate asks how many posts the next rule matches, and tells what all of them cost, as far as that is known.
func (s *Source) estimate(ctx context.Context, in *source.Session) error {
	if len(s.rules) == 0 {
		return nil
	}
	if err := s.pay(in, 1); err != nil {
		return err
	}
	perDay, err := s.volume(ctx, s.rules[s.next])
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		in.Status.Note("how many posts the rules match is not known: " + polite.Line(err.Error()))
		return nil // the stream is worth more than what it costs is worth knowing
	}
	s.volumes[s.next] = perDay + 1
	s.next = (s.next + 1) % len(s.rules)
	known, posts := int64(0), int64(0)
	for _, v := range s.volumes {
		if v > 0 {
			known++
			posts += v - 1
		}
	}
	posts = posts * int64(len(s.rules)) / known
	note := fmt.Sprintf("the rules match about %d posts a day, which cost $%.2f", posts, float64(posts)*s.cfg.PostCost)
	if int(known) < len(s.rules) {
		note += fmt.Sprintf(" (%d of %d rules were asked for)", known, len(s.rules))
	}
	if left := s.left(time.Now()); posts > 0 && left < posts*31 {
		days := math.Floor(10*float64(max(0, left))/float64(posts)) / 10
		note += fmt.Sprintf("; what is left of spend_limit lasts %g days", days)
		if in.Log != nil && days < 1 {
			in.Log.Warn("the spend limit of the month will be reached within a day", "posts_a_day", posts, "posts_left", left)
		}
	}
	in.Status.Note(note)
	return nil
}

// volume asks how many posts a query matched in the last day. It costs as much as a post.
func (s *Source) volume(ctx context.Context, query string) (int64, error) {
	var a struct {
		Data []struct {
			Tweets int64 `json:"tweet_count"`
			Posts  int64 `json:"post_count"`
		} `json:"data"`
	}
	q := url.Values{"query": {query}, "granularity": {"hour"}, "start_time": {time.Now().Add(-24 * time.Hour).UTC().Format(time.RFC3339)}}
	err := s.call(ctx, http.MethodGet, "/2/tweets/counts/recent?"+q.Encode(), nil, &a)
	n := int64(0)
	for _, d := range a.Data {
		n += max(d.Tweets, d.Posts)
	}
	return n, err
}
