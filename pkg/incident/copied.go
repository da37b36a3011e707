package incident

import (
	"fmt"
	"math/bits"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	// fewPosts is the number of outage posts below which nobody can tell a campaign.
	fewPosts = 20
	// perAccount is the number of outage posts of an account, on the average, and hour, on the average, from which on few accounts make a
	// burst. Most people in a real outage write once.
	perAccount = 2.5
	// copiedShare is the part of copied texts among all that are no reposts from which on a burst is a campaign, whoever posts it.
	copiedShare = 0.8
)

// copyPost is a repost or a copied text.
type copyPost struct {
	at     int64
	author uint64
	repost bool
}

func copyOf(x *outcryv1.Mention) copyPost {
	return copyPost{at: x.TimeUs, author: author(x), repost: x.RepostOf != ""}
}

// withinHour is an account in an hour of event time: in an outage that lasts all day people come back without being a campaign.
func withinHour(author uint64, at int64) uint64 { return author ^ mix(uint64(at/hourMicros)) }

// copied counts the outage posts of an incident, those that repeat others, and the accounts behind all of them. Reposts and copies count
// nobody, but they tell a campaign from an outage.
type copied struct {
	firsts, texts, reposts int64
	accounts               sample
}

func newCopied(limit int) copied { return copied{accounts: sample{limit: limit}} }

func (c *copied) first(x *outcryv1.Mention) {
	c.firsts++
	c.accounts.add(withinHour(author(x), x.TimeUs))
}

func (c *copied) again(p copyPost) {
	if p.repost {
		c.reposts++
	} else {
		c.texts++
	}
	c.accounts.add(withinHour(p.author, p.at))
}

func (c *copied) posts() int64  { return c.firsts + c.texts + c.reposts }
func (c *copied) copies() int64 { return c.texts + c.reposts }

// coordinated reports whether the posts are a campaign's: many by few accounts, or nearly all the same words.
func (c *copied) coordinated() bool {
	written := c.firsts + c.texts
	return c.posts() >= fewPosts && float64(c.posts()) >= perAccount*float64(c.accounts.count()) ||
		written >= fewPosts && float64(c.texts) >= copiedShare*float64(written)
}

func (c *copied) String() string {
	return fmt.Sprintf("%d posts by %d accounts, hour by hour, %d of them reposts and %d copied texts", c.posts(), c.accounts.count(), c.reposts, c.texts)
}

// sample counts distinct authors as people does.
type sample struct {
	limit, zeros int
	kept         map[uint64]struct{}
}

func (s *sample) add(author uint64) {
	key := mix(author)
	if bits.LeadingZeros64(key) < s.zeros {
		return
	}
	if s.kept == nil {
		s.kept = map[uint64]struct{}{}
	}
	s.kept[key] = struct{}{}
	for len(s.kept) > s.limit {
		s.zeros++
		for k := range s.kept {
			if bits.LeadingZeros64(k) < s.zeros {
				delete(s.kept, k)
			}
		}
	}
}

func (s *sample) count() int64 { return int64(len(s.kept)) << s.zeros }
