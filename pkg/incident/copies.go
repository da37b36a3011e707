package incident

import outcryv1 "outcry.dev/schemas/outcry/v1"

// copies remembers which texts were posted in this hour of event time and the one before.
// Hours, not a sliding window, so that a memory refilled from the start of an hour is the same as one that was never lost.
type copies struct {
	hour          int64
	current, past map[uint64]struct{}
}

const (
	hourMicros = int64(3600e6)
	// maxTexts bounds the memory of one hour; texts beyond it are taken as new.
	maxTexts = 50_000
)

// seen reports whether the text was posted before, and remembers it. Texts too short to be copies have no fingerprint.
func (c *copies) seen(x *outcryv1.Mention) bool {
	if x.TextFingerprint == 0 {
		return false
	}
	if hour := x.TimeUs / hourMicros; hour > c.hour || c.current == nil {
		c.past = nil
		if hour == c.hour+1 {
			c.past = c.current
		}
		c.hour, c.current = hour, map[uint64]struct{}{}
	}
	_, now := c.current[x.TextFingerprint]
	_, before := c.past[x.TextFingerprint]
	if !now && len(c.current) < maxTexts {
		c.current[x.TextFingerprint] = struct{}{}
	}
	return now || before
}
