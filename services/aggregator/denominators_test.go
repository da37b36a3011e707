package aggregator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Each post is counted once, whoever tells of it how often.
func TestDenominatorsOfWhatIsToldAgain(t *testing.T) {
	s, partition := newSite(t, startBroker(t), fmt.Sprintf("denominators_%d", rand.Uint64()), 1), int32(0)
	// Posts by minute of [first, next), told by a claim in a batch.
	tell := func(claim, batch, first, next int64, posts map[int64]int64) *outcryv1.Progress {
		p := &outcryv1.Progress{PostsPartitions: 1, ClaimedAtUs: claim, BatchOffset: batch, FirstOffset: first, NextOffset: next}
		for minute, n := range posts {
			p.Sources = append(p.Sources, &outcryv1.SourceCount{Source: "twitter", Minute: minute, Posts: n})
		}
		return p
	}
	committed := tell(1, 100, 100, 110, map[int64]int64{7: 10})
	whole := tell(1, 110, 110, 130, map[int64]int64{7: 1, 8: 19}) // a late post at its beginning
	rest := tell(1, 110, 130, 140, map[int64]int64{8: 10})
	// As another tells it, who does not know that the first post is late.
	late, others := tell(2, 110, 110, 111, map[int64]int64{7: 1}), tell(2, 110, 111, 130, map[int64]int64{8: 19})
	long := tell(2, 110, 130, 150, map[int64]int64{8: 20})
	short, beyond := tell(2, 110, 130, 135, map[int64]int64{8: 5}), tell(2, 135, 135, 150, map[int64]int64{8: 15})
	for name, c := range map[string]struct {
		told []*outcryv1.Progress
		want []string
	}{
		"once":                             {[]*outcryv1.Progress{committed, whole, rest}, []string{"7:11", "8:29"}},
		"the batch is longer":              {[]*outcryv1.Progress{committed, whole, rest, late, others, long}, []string{"7:11", "8:39"}},
		"the batch is shorter":             {[]*outcryv1.Progress{committed, whole, rest, late, others, short, beyond}, []string{"7:11", "8:39"}},
		"cut off in the first":             {[]*outcryv1.Progress{committed, whole, late, others, long}, []string{"7:11", "8:39"}},
		"cut off twice":                    {[]*outcryv1.Progress{committed, whole, rest, late, tell(3, 110, 110, 150, map[int64]int64{7: 1, 8: 39})}, []string{"7:11", "8:39"}},
		"written twice":                    {[]*outcryv1.Progress{committed, whole, rest, whole, rest}, []string{"7:11", "8:29"}},
		"one that lost it, afterwards":     {[]*outcryv1.Progress{committed, late, others, short, beyond, whole, rest}, []string{"7:11", "8:39"}},
		"one that lost it, amid the other": {[]*outcryv1.Progress{committed, late, whole, others, rest, long}, []string{"7:11", "8:39"}},
		"one that lost it is ahead":        {[]*outcryv1.Progress{committed, late, others, whole, rest, long}, []string{"7:11", "8:39"}},
		"of a version without batches": {[]*outcryv1.Progress{tell(0, 0, 100, 110, map[int64]int64{7: 10}), tell(0, 0, 110, 120, map[int64]int64{7: 10}),
			tell(0, 0, 110, 120, map[int64]int64{7: 10}), tell(5, 120, 120, 130, map[int64]int64{7: 10})}, []string{"7:30"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, flushes := range []bool{true, false} {
				partition++
				p := newTestPartition()
				var rows []store.SourceMinute
				for i, r := range c.told {
					r.PostsPartition = partition
					rows = append(rows, p.toldBy(partition).take(r, uint64(i+1))...)
					if !flushes {
						continue
					}
					s.insertDenominators(rows)
					rows = rows[:0]
					p = handedOver(t, p)
				}
				s.insertDenominators(rows)
				got := s.rows(fmt.Sprintf(`SELECT concat(toString(toUnixTimestamp(minute) DIV 60), ':', toString(sum(posts))) FROM source_minutes FINAL
					WHERE posts_partition = %d GROUP BY minute HAVING sum(posts) > 0 ORDER BY minute`, partition))
				if diff := gocmp.Diff(c.want, got); diff != "" {
					t.Errorf("posts by minute, flushed one by one: %v (-want +got):\n%s", flushes, diff)
				}
			}
		})
	}
}

func (s *site) insertDenominators(rows []store.SourceMinute) {
	s.t.Helper()
	if err := s.store.InsertSourceMinutes(s.t.Context(), rows); err != nil {
		s.t.Fatal(err)
	}
}

// handedOver is what the next owner of a partition knows.
func handedOver(t *testing.T, p *partition) *partition {
	t.Helper()
	state, err := p.marshalState()
	if err != nil {
		t.Fatal(err)
	}
	next := newTestPartition()
	if err := next.unmarshalRow(store.State{State: state}); err != nil {
		t.Fatal(err)
	}
	return next
}
