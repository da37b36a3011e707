package aggregator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Each post is counted once, whoever tells of it how often.
func TestDenominatorsOfWhatIsToldAgain(t *testing.T) {
	type counts map[int64]int64 // posts by minute
	// What a claim tells of [first, next) in a batch.
	tell := func(claim, batch, first, next int64, posts counts) *outcryv1.Progress {
		p := &outcryv1.Progress{ClaimedAtUs: claim, BatchOffset: batch, FirstOffset: first, NextOffset: next}
		for minute, n := range posts {
			p.Sources = append(p.Sources, &outcryv1.SourceCount{Source: "twitter", Minute: minute, Posts: n})
		}
		return p
	}
	committed := tell(1, 100, 100, 110, counts{7: 10})
	whole := tell(1, 110, 110, 130, counts{7: 1, 8: 19}) // a late post at its beginning
	rest := tell(1, 110, 130, 140, counts{8: 10})
	// As another tells it, who does not know that the first post is late.
	late, others := tell(2, 110, 110, 111, counts{7: 1}), tell(2, 110, 111, 130, counts{8: 19})
	long := tell(2, 110, 130, 150, counts{8: 20})
	short, beyond := tell(2, 110, 130, 135, counts{8: 5}), tell(2, 135, 135, 150, counts{8: 15})
	cases := []struct {
		name string
		told []*outcryv1.Progress
		want counts
	}{
		{"once", []*outcryv1.Progress{committed, whole, rest}, counts{7: 11, 8: 29}},
		{"the batch is longer", []*outcryv1.Progress{committed, whole, rest, late, others, long}, counts{7: 11, 8: 39}},
		{"the batch is shorter", []*outcryv1.Progress{committed, whole, rest, late, others, short, beyond}, counts{7: 11, 8: 39}},
		{"cut off in the first", []*outcryv1.Progress{committed, whole, late, others, long}, counts{7: 11, 8: 39}},
		{"cut off twice", []*outcryv1.Progress{committed, whole, rest, late, tell(3, 110, 110, 150, counts{7: 1, 8: 39})}, counts{7: 11, 8: 39}},
		{"written twice", []*outcryv1.Progress{committed, whole, rest, whole, rest}, counts{7: 11, 8: 29}},
		{"one that lost it, afterwards", []*outcryv1.Progress{committed, late, others, short, beyond, whole, rest}, counts{7: 11, 8: 39}},
		{"one that lost it, amid the other", []*outcryv1.Progress{committed, late, whole, others, rest, long}, counts{7: 11, 8: 39}},
		{"a version that does not say where batches begin", []*outcryv1.Progress{tell(0, 0, 0, 110, counts{7: 10}), tell(0, 0, 110, 120, counts{7: 10}),
			tell(0, 0, 0, 110, counts{7: 10}), tell(5, 120, 120, 130, counts{7: 10})}, counts{7: 30}},
	}
	log := [][]*outcryv1.MentionRecord{nil}
	want := map[string]counts{}
	for i, c := range cases {
		want[c.name] = c.want
		for _, p := range c.told {
			p := &outcryv1.Progress{PostsPartition: int32(i), PostsPartitions: int32(len(cases)), ClaimedAtUs: p.GetClaimedAtUs(),
				BatchOffset: p.GetBatchOffset(), FirstOffset: p.GetFirstOffset(), NextOffset: p.GetNextOffset(), Sources: p.GetSources()}
			log[0] = append(log[0], &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: p}})
		}
	}
	brokers := startBroker(t)
	for name, pieces := range map[string]int{"all at once": 1, "one by one, by ever other owners": len(log[0])} {
		s := newSite(t, brokers, fmt.Sprintf("denominators_%d", rand.Uint64()), 1)
		for piece := range pieces {
			s.writePiece(log, piece, pieces)
			stop := s.owner("one")
			n := (piece + 1) * len(log[0]) / pieces
			eventually(t, "it is counted", func() bool { return s.caughtUp([][]*outcryv1.MentionRecord{log[0][:n]}) })
			stop()
		}
		got := map[string]counts{}
		for i, c := range cases {
			got[c.name] = counts{}
			for _, row := range s.rows(fmt.Sprintf(`SELECT concat(toString(toUnixTimestamp(minute) DIV 60), ' ', toString(sum(posts)))
				FROM source_minutes FINAL WHERE posts_partition = %d GROUP BY minute HAVING sum(posts) > 0`, i)) {
				var minute, n int64
				if _, err := fmt.Sscan(row, &minute, &n); err != nil {
					t.Fatal(row, err)
				}
				got[c.name][minute] = n
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s: posts by minute (-want +got):\n%s", name, diff)
		}
	}
}

// What is told again is no more that is heard; what a topic that was made anew tells is, though its offsets begin again.
func TestHeardOnce(t *testing.T) {
	p := newTestPartition()
	heard := func() (n int64) {
		for _, of := range p.sources.state.Arrivals {
			n += of["twitter"]
		}
		return n
	}
	for _, c := range []struct {
		name                      string
		claim, batch, first, next int64
		want                      int64
	}{
		{"a batch", 1, 1000, 1000, 1500, 500},
		{"the rest of it", 1, 1000, 1500, 2000, 1000},
		{"told again by another", 2, 1000, 1000, 1600, 1000},
		{"by who had it", 1, 1000, 1500, 2000, 1000},
		{"the next batch", 2, 2000, 2000, 2100, 1100},
		{"of the topic made anew", 3, 0, 0, 10, 1110},
		{"the same again", 4, 0, 0, 10, 1110},
		{"and what follows", 4, 10, 10, 20, 1120},
	} {
		p.passed(&outcryv1.Progress{PostsPartitions: 1, ClaimedAtUs: c.claim, BatchOffset: c.batch, FirstOffset: c.first, NextOffset: c.next, WatermarkUs: start,
			Sources: []*outcryv1.SourceCount{{Source: "twitter", Minute: start / minute, Posts: c.next - c.first}}})
		if got := heard(); got != c.want {
			t.Errorf("%s: %d posts heard, want %d", c.name, got, c.want)
		}
	}
}
