package aggregator

import (
	"math"
	"testing"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// What a service is expected to be complained of follows how much is read: half of the usual posts, half of the complaints.
func TestExpectationsFollowWhatIsIngested(t *testing.T) {
	p := newTestPartition()
	const days = 4
	id, clock, read := uint64(1), start, int64(0)
	var expected []float64
	hour := func(postsAMinute int64) {
		for range 60 {
			read += postsAMinute
			p.passed(&outcryv1.Progress{PostsPartitions: 1, NextOffset: read, WatermarkUs: clock, Sources: []*outcryv1.SourceCount{{Source: "bluesky", Minute: clock / minute, Posts: postsAMinute}}})
			for range postsAMinute / 100 {
				p.add(outageMention(id, clock+30*second), int64(id))
				id++
			}
			clock += minute
			p.advance(p.passed(&outcryv1.Progress{PostsPartitions: 1, WatermarkUs: clock}), func(d decided) {
				if d.verdict.At.Minute() == 0 && d.verdict.At.Second() == 0 {
					expected = append(expected, d.verdict.Windows[3].Expected)
				}
			})
		}
	}
	for range days * 24 {
		hour(200)
	}
	full := expected[len(expected)-1]
	hour(100)
	hour(100)
	half := expected[len(expected)-1]
	if full < 100 || half/full < 0.45 || half/full > 0.6 {
		t.Errorf("%.1f people an hour are expected of all posts (120 is true), and %.1f of half of them", full, half)
	}
	// A new owner expects the same.
	state, err := p.marshalState()
	if err != nil {
		t.Fatal(err)
	}
	q := newTestPartition()
	if err := q.unmarshalRow(store.State{State: state}); err != nil {
		t.Fatal(err)
	}
	if a, b := p.intake.Relative(1), q.intake.Relative(1); a != b || math.Abs(a-0.5) > 0.05 {
		t.Errorf("%.3f of the usual is read; restored, %.3f", a, b)
	}
	// Posts that come later than their partition's watermark depend on who was waited for: they change nothing.
	before := p.intake.Relative(1)
	read += 1e6
	p.passed(&outcryv1.Progress{PostsPartitions: 1, NextOffset: read, WatermarkUs: clock, Sources: []*outcryv1.SourceCount{{Source: "bluesky", Minute: clock/minute - 20, Posts: 1e6}}})
	// So do posts that are told again.
	p.passed(&outcryv1.Progress{PostsPartitions: 1, FirstOffset: read - 1e6, NextOffset: read, WatermarkUs: clock, Sources: []*outcryv1.SourceCount{{Source: "bluesky", Minute: clock / minute, Posts: 1e6}}})
	hour(100)
	if after := p.intake.Relative(1); math.Abs(after-before) > 0.1 {
		t.Errorf("late posts moved the share of the usual from %.2f to %.2f", before, after)
	}
}
