package statuspage

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/post"
)

// update is one thing that a page says.
type update struct {
	id     string // within the page
	text   string
	at     time.Time // zero where the page does not say
	edited time.Time // zero where it was not
	url    string
	notice post.Notice
	begin  bool   // made up of the time at which an entry was published; what was read then says more
	open   bool   // of an incident that is not over
	about  string // names of components, and the incident's: what tells the services of a shared page apart
}

// document is what a page says at one moment.
type document struct {
	title     string
	updates   []update // oldest first where the page has an order
	indicator string   // none, minor, major, critical; empty where the page does not say
	summary   update   // the indicator in words
}

// digest changes when what is said changes.
func (u *update) digest() uint64 {
	h := fnv.New64a()
	h.Write([]byte(u.text))
	h.Write([]byte{byte(u.notice)})
	return h.Sum64()
}

// noticeOf says what a status of an incident means. Maintenance, and what is written when all is long over, is nothing to tell.
func noticeOf(status string) (notice post.Notice, tell bool) {
	switch strings.ToLower(strings.TrimSpace(status)) {
	case "investigating", "identified", "monitoring", "update", "detected", "acknowledged", "open", "ongoing", "active":
		return post.Problem, true
	case "resolved", "fixed", "closed", "recovered", "operational":
		return post.Recovered, true
	case "scheduled", "in_progress", "in progress", "verifying", "completed", "maintenance", "postmortem":
		return post.NoNotice, false
	}
	return post.NoNotice, true
}

// join puts a title before a text that does not begin with it.
func join(title, text string) string {
	switch {
	case title == "" || strings.HasPrefix(text, title):
		return text
	case text == "":
		return title
	}
	return title + ": " + text
}

// shortID keeps ids of any length within what an id may have.
func shortID(id string) string {
	if len(id) <= 200 {
		return id
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	return "h" + strconv.FormatUint(h.Sum64(), 36)
}

func latest(times ...time.Time) time.Time {
	var out time.Time
	for _, t := range times {
		if t.After(out) {
			out = t
		}
	}
	return out
}

func first(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
