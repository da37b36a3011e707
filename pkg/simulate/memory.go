package simulate

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"outcry.dev/pkg/post"
)

// remembered is a post that others may reply to or repost.
type remembered struct {
	id, handle, text, lang string
	source                 int
	mentions               []Mention
}

func (r *remembered) reportsOutage() bool {
	return len(r.mentions) > 0 && r.mentions[0].Label == "outage"
}

// memory keeps the latest posts of one kind.
type memory struct {
	posts [128]*remembered
	n     int
	hot   *remembered // what was reposted last: it tends to be reposted again
}

func (g *generator) remember(key string, r *remembered) {
	m := g.recent[key]
	if m == nil {
		m = &memory{}
		g.recent[key] = m
	}
	m.posts[m.n%len(m.posts)] = r
	m.n++
}

// recall gives a recent post, mostly one of the newest, or nil.
func (g *generator) recall(key string, rng *rand.Rand) *remembered {
	m := g.recent[key]
	if m == nil || m.n == 0 {
		return nil
	}
	u := rng.Float64()
	back := int(u * u * float64(min(m.n, len(m.posts))))
	return m.posts[(m.n-1-back)%len(m.posts)]
}

// repost writes a repost of something remembered. It does nothing when there is nothing to repost.
func (g *generator) repost(t time.Time, key string, a *author) (done bool, err error) {
	m := g.recent[key]
	original := g.recall(key, g.rng)
	if original == nil {
		return false, nil
	}
	if m.hot != nil && g.rng.Float64() < 0.5 {
		original = m.hot
	}
	if original.handle == a.handle {
		return false, nil
	}
	// Of an ordinary day's posts, isolated complaints do not go viral.
	if strings.HasPrefix(key, "outage/") || !original.reportsOutage() {
		m.hot = original
	}
	if original.source != a.source {
		a.source = original.source // one reposts where one has read it
	}
	l := line{text: "RT @" + original.handle + ": " + original.text, mentions: original.mentions}
	if g.scenario.Sources[a.source].Name == "bluesky" {
		l.text = original.text
	}
	if short := cut(l.text, g.writer.limit); short != l.text {
		l = line{text: short}
		for _, mention := range original.mentions {
			if containsName(short, g.world.byID[mention.Service]) {
				l.mentions = append(l.mentions, mention)
			}
		}
	}
	_, err = g.publish(t, a, l, original.lang, func(p *post.Post) { p.RepostOf = original.id })
	return true, err
}

// salutation is how a reply begins.
func (g *generator) salutation(to *remembered) string {
	if g.scenario.Sources[to.source].Name == "bluesky" {
		return ""
	}
	return "@" + to.handle + " "
}

// ids makes the ids of each network, unique and rising with time.
type ids struct {
	lastMilli int64
	sequence  int64
}

// snowflakeEpoch is where Twitter's ids of late 2010 and after count from, in Unix milliseconds.
const snowflakeEpoch = 1288834974657

var tidEncoding = base32.NewEncoding("234567abcdefghijklmnopqrstuvwxyz").WithPadding(base32.NoPadding)

func (n *ids) next(source string, t time.Time) string {
	milli := t.UnixMilli()
	if milli == n.lastMilli {
		n.sequence++
	} else {
		n.lastMilli, n.sequence = milli, 0
	}
	switch source {
	case "twitter":
		return strconv.FormatInt((milli-snowflakeEpoch)<<22|n.sequence, 10)
	case "bluesky":
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(milli)<<20|uint64(n.sequence))
		return "3" + tidEncoding.EncodeToString(b[:])
	default:
		return strconv.FormatInt(milli<<16|n.sequence, 10)
	}
}
