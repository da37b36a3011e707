package statuspage

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mmcdole/gofeed"

	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/normal"
)

var (
	// emphasized is how Statuspage's own feeds, and others like them, begin each update; the newest stands first.
	emphasized = regexp.MustCompile(`(?is)<(?:strong|b)>\s*([a-z ]{4,20}?)\s*:?\s*</(?:strong|b)>`)
	// stated is a state at the beginning of a text: "[RESOLVED] …", "Resolved: …", "Investigating - …".
	stated = regexp.MustCompile(`(?i)^\W{0,3}(resolved|investigating|identified|monitoring|update|fixed|scheduled|completed)\b\W`)
	// announced is maintenance, whatever its state.
	announced = regexp.MustCompile(`(?i)^\W{0,3}(scheduled|planned|upcoming)?\s*maintenance\b|^\W{0,3}(scheduled|planned)\b`)
	// normally is how some say that all is well.
	normally = regexp.MustCompile(`(?i)\b(operating normally|\[resolved\])`)
)

// isFeed tells by its first bytes what gofeed should read.
func isFeed(raw []byte) bool {
	head := strings.ToLower(string(raw[:min(len(raw), 1024)]))
	return strings.Contains(head, "<rss") || strings.Contains(head, "<feed") || strings.Contains(head, "<rdf:rdf")
}

// decodeFeed reads RSS or Atom. Each version of an entry is an update of its own.
func decodeFeed(raw []byte) (document, error) {
	if !isFeed(raw) {
		return document{}, errFormat
	}
	feed, err := gofeed.NewParser().Parse(bytes.NewReader(raw))
	if err != nil {
		return document{}, fmt.Errorf("not a feed: %w", err)
	}
	d := document{title: normal.Field(feed.Title)}
	for _, item := range feed.Items[:min(len(feed.Items), maxUpdates)] {
		if item == nil {
			continue
		}
		d.updates = append(d.updates, entry(item)...)
	}
	slices.SortStableFunc(d.updates, func(a, b update) int { return a.at.Compare(b.at) })
	return d, nil
}

// entry returns what an entry says now, and before it that it was published, where that was earlier.
func entry(item *gofeed.Item) []update {
	title, content := normal.Field(normal.HTML(item.Title)), item.Content
	if content == "" {
		content = item.Description
	}
	if announced.MatchString(title) {
		return nil
	}
	state := ""
	if m := emphasized.FindStringSubmatch(content); m != nil {
		state = m[1]
		// What was said before is an update of its own already. A date stands before each.
		marks := emphasized.FindAllStringIndex(content, 2)
		end := len(content)
		if len(marks) == 2 {
			end = marks[1][0]
			if p := strings.LastIndex(content[:end], "<p"); p > marks[0][1] {
				end = p
			}
		}
		content = content[marks[0][0]:end]
	}
	text := normal.HTML(content)
	if m := stated.FindStringSubmatch(text + " "); state == "" && m != nil {
		state = m[1]
	}
	if m := stated.FindStringSubmatch(title + " "); m != nil && state == "" {
		state = m[1]
	}
	notice, tell := noticeOf(state)
	switch {
	case normally.MatchString(title):
		notice = post.Recovered
	case !tell:
		return nil
	}
	u := update{text: normal.Text(join(title, text)), url: normal.URL(item.Link), notice: notice, about: title, open: notice == post.Problem}
	var published, updated time.Time
	if item.PublishedParsed != nil {
		published = *item.PublishedParsed
	}
	if item.UpdatedParsed != nil {
		updated = *item.UpdatedParsed
	}
	u.at = latest(published, updated)
	id := item.GUID
	if id == "" {
		id = item.Link
	}
	if id == "" {
		id = title
	}
	if u.text == "" || id == "" {
		return nil
	}
	version := strings.ToLower(strings.TrimSpace(state))
	if !u.at.IsZero() {
		version = u.at.UTC().Format(time.RFC3339)
	}
	u.id = shortID(shortID(id) + "/" + version)
	if published.IsZero() || updated.Sub(published) <= time.Second || notice == post.NoNotice || title == "" {
		return []update{u}
	}
	begin := u
	begin.id, begin.text, begin.at, begin.notice, begin.begin = shortID(shortID(id)+"/"+published.UTC().Format(time.RFC3339)), title, published, post.Problem, true
	return []update{begin, u}
}
