package detect

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

const (
	// leastIntake is how many posts an hour must usually bring before their number says anything.
	leastIntake = 200
	// crowded: when the people who complain of a service, times this, outnumber the posts of the hour, the posts are about the service,
	// and their number says nothing of how much is listened to.
	crowded = 20

	quartersDay  = 24 * 4
	quartersWeek = 7 * quartersDay
	// mostAhead bounds the quarters that wait to be closed.
	mostAhead = 4096
	// mostPosts bounds a count.
	mostPosts = 1 << 40
)

// Intake learns how many posts are usually read at a time of the day, whatever they are about, and tells how many are read now, relative
// to that: the denominator of every service. It is counted in quarters of an hour. What is usual is the median of the latest seven days
// at that time, so that a day on which a source was silent, or loud, does not move it. It is not safe for concurrent use.
type Intake struct {
	begun bool
	at    int64               // end of the latest closed quarter, seconds since 1970
	past  [quartersWeek]int64 // posts and 1 by quarter, in turn; 0 where nothing is known
	open  map[int64]int64     // posts by the beginning of their quarter

	// Of the latest four quarters; they follow from the rest.
	posts, usual int64
}

// NewIntake returns an intake that knows nothing.
func NewIntake() *Intake { return &Intake{open: map[int64]int64{}} }

// Add counts posts of a minute (counted from 1970). Those of a quarter that is closed are left out.
func (i *Intake) Add(minute, posts int64) {
	begin := floor(minute*60, quarter)
	if posts <= 0 || i.begun && begin < i.at {
		return
	}
	if _, known := i.open[begin]; known || len(i.open) < mostAhead {
		i.open[begin] = min(i.open[begin]+posts, mostPosts)
	}
}

// Advance closes the quarters that end at or before a time: every post of them has been added.
func (i *Intake) Advance(at time.Time) {
	end := floor(at.Unix(), quarter)
	if !i.begun {
		first := end
		for begin := range i.open {
			first = min(first, begin)
		}
		if first+quarter > end {
			return
		}
		i.begun, i.at = true, first+quarter // the first quarter is not whole
		delete(i.open, first)
	}
	if i.at >= end {
		return
	}
	if skipped := end - quartersWeek*quarter; skipped > i.at { // a week of nothing says all
		i.at = skipped
		for begin := range i.open {
			if begin < i.at {
				delete(i.open, begin)
			}
		}
	}
	for ; i.at < end; i.at += quarter {
		i.past[slot(i.at)] = i.open[i.at] + 1
		delete(i.open, i.at)
	}
	i.latest()
}

// latest works out the latest four quarters.
func (i *Intake) latest() {
	i.posts, i.usual = 0, 0
	for k := int64(1); k <= 4; k++ {
		begin := i.at - k*quarter
		var days []int64
		for day := int64(1); day < quartersWeek/quartersDay; day++ {
			if n := i.past[slot(begin-day*quartersDay*quarter)]; n > 0 {
				days = append(days, n-1)
			}
		}
		if len(days) == 0 {
			i.usual = 0
			return
		}
		slices.Sort(days)
		i.posts += i.past[slot(begin)] - 1
		i.usual += days[len(days)/2]
	}
}

// slot is where a quarter that begins at a time is kept.
func slot(begin int64) int64 {
	n := floor(begin, quarter) / quarter
	return n - floor(n, quartersWeek)
}

// Relative returns how much has been read in the latest four complete quarters, 1 for what is usual at that time of the day, given how many
// people complained of the service in the latest hour. It is less than 0 where the number of posts says nothing: in the first day,
// where fewer than 200 posts an hour are usual, and where the posts are mostly about the service, as in a stream that follows one name.
func (i *Intake) Relative(people int) float64 {
	if i.usual < leastIntake || people > 0 && int64(people)*crowded > i.posts {
		return -1
	}
	return float64(i.posts) / float64(i.usual)
}

// intakeVersion is the first byte of an encoded intake.
const intakeVersion = 1

// MarshalBinary encodes the exact state.
func (i *Intake) MarshalBinary() ([]byte, error) {
	b := []byte{intakeVersion, 0}
	if i.begun {
		b[1] = 1
	}
	b = binary.AppendVarint(b, i.at)
	for _, n := range i.past {
		b = binary.AppendVarint(b, n)
	}
	begins := make([]int64, 0, len(i.open))
	for begin := range i.open {
		begins = append(begins, begin)
	}
	slices.Sort(begins)
	b = binary.AppendVarint(b, int64(len(begins)))
	for _, begin := range begins {
		b = binary.AppendVarint(binary.AppendVarint(b, begin), i.open[begin])
	}
	return b, nil
}

// UnmarshalBinary restores a state that MarshalBinary encoded. After an error the intake is unchanged.
func (i *Intake) UnmarshalBinary(b []byte) error {
	if len(b) < 2 || b[0] != intakeVersion || b[1] > 1 {
		return errors.New("decode intake: unknown version; rebuild the state from the history")
	}
	r, sane := NewIntake(), true
	r.begun = b[1] == 1
	b = b[2:]
	get := func(least, most int64) int64 {
		n, size := binary.Varint(b)
		if size <= 0 || n < least || n > most {
			sane = false
			return 0
		}
		b = b[size:]
		return n
	}
	const latest = 1 << 40 // seconds
	r.at = get(0, latest)
	for k := range r.past {
		r.past[k] = get(0, mostPosts+1)
	}
	for n := get(0, mostAhead); n > 0 && sane; n-- {
		begin := get(0, latest)
		r.open[begin] = get(0, mostPosts)
	}
	if !sane || len(b) > 0 || r.at%quarter != 0 {
		return errors.New("decode intake: it is cut short, or a number is out of its range")
	}
	if r.begun {
		r.latest()
	}
	*i = *r
	return nil
}
