package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/config"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	maxPoints    = 5000
	maxIncidents = 500
)

// Times outside these years are mistakes.
var (
	firstTime = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// steps are those that are chosen where none is asked for.
var steps = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// stepFor is the finest step that cuts a span into no more than n points.
func stepFor(span time.Duration, n int) time.Duration {
	for _, step := range steps {
		if span <= time.Duration(n)*step {
			return step
		}
	}
	return steps[len(steps)-1]
}

// params reads query parameters; the first fault stays.
type params struct {
	values url.Values
	fault  error
}

// readParams refuses parameters that are not known, where JSON is asked for: a mistyped name would otherwise go unnoticed.
func readParams(r *http.Request, known ...string) *params {
	p := &params{values: r.URL.Query()}
	for name := range p.values {
		if !slices.Contains(known, name) && strings.HasPrefix(r.URL.Path, "/v1/") {
			if len(known) == 0 {
				p.fail("There is no parameter %q here.", clip(name))
				continue
			}
			p.fail("There is no parameter %q. Did you mean %q?", clip(name), config.Nearest(name, known))
		}
	}
	return p
}

func (p *params) fail(format string, args ...any) {
	if p.fault == nil {
		p.fault = badRequest(format, args...)
	}
}

// time is zero where the parameter is missing.
func (p *params) time(name string) time.Time {
	text := p.values.Get(name)
	if text == "" {
		return time.Time{}
	}
	// A plus sign in an address means a space.
	text = strings.ReplaceAll(text, " ", "+")
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			if t.Before(firstTime) || !t.Before(lastTime) {
				p.fail("%s %q is outside the years 1990 to 2099.", name, clip(text))
			}
			return t.UTC()
		}
	}
	p.fail("%s %q is not a time. Write it as 2010-12-22T16:00:00Z.", name, clip(text))
	return time.Time{}
}

// step is zero where the parameter is missing.
func (p *params) step() time.Duration {
	text := p.values.Get("step")
	if text == "" {
		return 0
	}
	step, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		step = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || step < time.Minute || step > 24*time.Hour || step%time.Minute != 0 {
		p.fail("step %q is not a whole number of minutes from 1m to 1d. Write it as 1m, 15m, 1h or 1d.", clip(text))
		return 0
	}
	return step
}

func (p *params) number(name string, standard, least, most int) int {
	text := p.values.Get(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		p.fail("%s %q is not a number from %d to %d.", name, clip(text), least, most)
		return standard
	}
	return n
}

// states reads a comma-separated list.
func (p *params) states() []outcryv1.Incident_State {
	var out []outcryv1.Incident_State
	for text := range strings.SplitSeq(p.values.Get("state"), ",") {
		if text == "" {
			continue
		}
		if text == "open" {
			out = append(out, outcryv1.Incident_STATE_SUSPECTED, outcryv1.Incident_STATE_CONFIRMED, outcryv1.Incident_STATE_RECOVERING)
			continue
		}
		state, ok := outcryv1.Incident_State_value["STATE_"+strings.ToUpper(text)]
		if !ok || state == 0 || text != strings.ToLower(text) {
			p.fail("state %q is none of suspected, confirmed, recovering, resolved, dismissed and open (the first three).", clip(text))
			return nil
		}
		out = append(out, outcryv1.Incident_State(state))
	}
	return out
}

// position reads a cursor of a moment and an id; given is false where there is none.
func (p *params) position() (us int64, id string, given bool) {
	text := p.values.Get("cursor")
	if text == "" {
		return 0, "", false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	at, id, found := strings.Cut(string(decoded), " ")
	us, numberErr := strconv.ParseInt(at, 10, 64)
	if err != nil || !found || numberErr != nil || len(id) > 200 {
		p.fail(badCursor)
		return 0, "", false
	}
	return us, id, true
}

// cursor reads what nextCursor wrote.
func (p *params) cursor() *store.IncidentKey {
	if us, id, given := p.position(); given {
		return &store.IncidentKey{DetectedAtUS: us, ID: id}
	}
	return nil
}

func nextCursor(i *outcryv1.Incident) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", i.GetDetectedAtUs(), i.GetId()))
}

// words reads a comma-separated list.
func (p *params) words(name string) []string {
	var out []string
	for word := range strings.SplitSeq(p.values.Get(name), ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}

const badCursor = "cursor is not one that an earlier answer gave as next_cursor. Leave it out to begin anew."

// offset reads what offsetCursor wrote.
func (p *params) offset() int {
	text := p.values.Get("cursor")
	if text == "" {
		return 0
	}
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	n, numberErr := strconv.Atoi(string(decoded))
	if err != nil || numberErr != nil || n < 0 || n > 1_000_000 {
		p.fail(badCursor)
	}
	return n
}

func offsetCursor(n int) string { return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(n))) }

// evidenceCursor reads what evidenceCursor wrote.
func (p *params) evidenceCursor() *store.EvidenceKey {
	us, id, given := p.position()
	if !given {
		return nil
	}
	mention, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		p.fail(badCursor)
		return nil
	}
	return &store.EvidenceKey{TimeUS: us, ID: mention}
}

func evidenceCursor(e *outcryv1.Evidence) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d", e.GetTimeUs(), e.GetMentionId()))
}
