package chart

import "slices"

// maxLanes bounds the height that labels take above the plot; a mark without a label keeps its line.
const maxLanes = 6

// placedMark is a mark with its line at x and its label, where there is room, in a lane above the plot; lane 0 is the lowest.
type placedMark struct {
	Mark
	x        float64
	from, to float64 // of the label
	before   bool    // the label stands left of the line
	dated    bool    // the label says the day too
	lane     int     // -1: no label
}

func (m *placedMark) text() string {
	format := "15:04 "
	if m.dated {
		format = "2 Jan 15:04 "
	}
	return m.Time.UTC().Format(format) + m.Label
}

// placeMarks finds lanes in which no label meets another and no line crosses one. Marks are in the order of time.
//
// Labels right of their lines never meet the lines of later marks if earlier ones stand higher, and labels left of their lines if later
// ones do. So the marks are parted into a first group with labels on the right and a last group with labels on the left, and the largest
// first group is taken with which all labels fit, or as many as can.
func placeMarks(marks []placedMark, left, right float64) (placed []placedMark, lanes int) {
	split := len(marks)
	for i := range marks {
		if marks[i].x+marks[i].length() > right {
			split = i
			break
		}
	}
	best := -1
	for ; split >= 0; split-- {
		attempt, used, labels := placeSplit(marks, split, left, right)
		if labels > best {
			placed, lanes, best = attempt, used, labels
		}
		if labels == len(marks) {
			break
		}
	}
	return placed, lanes
}

const labelGap = 5 // pixels between a line and its label

func (m *placedMark) length() float64 { return labelGap + charWidth*letterCount(m.text()) }

func placeSplit(marks []placedMark, split int, left, right float64) (placed []placedMark, lanes, labels int) {
	placed = slices.Clone(marks)
	var done []*placedMark
	place := func(m *placedMark) {
		m.lane = -1
		if m.from >= left && m.to <= right {
			for lane := range maxLanes {
				if !slices.ContainsFunc(done, func(o *placedMark) bool { return m.conflicts(lane, o) }) {
					m.lane = lane
					labels++
					lanes = max(lanes, lane+1)
					break
				}
			}
		}
		done = append(done, m)
	}
	for i := split; i < len(placed); i++ {
		m := &placed[i]
		m.before, m.from, m.to = true, m.x-m.length(), m.x-labelGap
		place(m)
	}
	for i := split - 1; i >= 0; i-- {
		m := &placed[i]
		m.from, m.to = m.x+labelGap, m.x+m.length()
		place(m)
	}
	return placed, lanes, labels
}

// conflicts tells whether m in a lane would touch a placed mark.
func (m *placedMark) conflicts(lane int, o *placedMark) bool {
	const room = 3
	if o.lane < 0 {
		return false
	}
	crosses := func(x, from, to float64) bool { return x > from-room && x < to+room }
	switch {
	case lane == o.lane:
		return m.from < o.to+2*room && o.from < m.to+2*room
	case lane > o.lane:
		return crosses(m.x, o.from, o.to)
	default:
		return crosses(o.x, m.from, m.to)
	}
}
