package aggregator

import (
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// told is what is written to source_minutes of a partition of posts.v1 and may be told again, otherwise divided: a classifier that died
// before it committed a batch does not know how far its clock was, and takes a late post at the beginning for a step of its own.
type told struct {
	ClaimedAtUS int64     `json:"claimed_at_us"` // of whom we listen to
	Batch       int64     `json:"batch"`         // offset at which its batch began
	Next        int64     `json:"next"`          // offset behind what it told
	Counts      []tallied `json:"counts,omitempty"`
}

// tallied is the key of a row of source_minutes.
type tallied struct {
	Source string `json:"source"`
	Minute int64  `json:"minute"`
	First  int64  `json:"first"`
}

// take returns the rows that a Progress makes: its own, and zeros in place of those that it makes void.
func (t *told) take(r *outcryv1.Progress, version uint64) (rows []store.SourceMinute) {
	if r.GetClaimedAtUs() < t.ClaimedAtUS && r.GetFirstOffset() < t.Next {
		return nil // it has lost the partition, does not know it yet, and another was faster
	}
	if r.GetBatchOffset() == t.Batch && r.GetFirstOffset() == t.Batch {
		for _, c := range t.Counts {
			rows = append(rows, store.NewSourceMinute(&outcryv1.SourceCount{Source: c.Source, Minute: c.Minute},
				&outcryv1.Progress{PostsPartition: r.GetPostsPartition(), FirstOffset: c.First}, version))
		}
	}
	if r.GetFirstOffset() == r.GetBatchOffset() {
		t.Counts = t.Counts[:0]
	}
	t.ClaimedAtUS, t.Batch, t.Next = r.GetClaimedAtUs(), r.GetBatchOffset(), r.GetNextOffset()
	for _, c := range r.GetSources() {
		rows = append(rows, store.NewSourceMinute(c, r, version))
		if t.ClaimedAtUS != 0 { // else it comes from a version that does not say where its batches begin
			t.Counts = append(t.Counts, tallied{c.GetSource(), c.GetMinute(), r.GetFirstOffset()})
		}
	}
	return rows
}

func (p *partition) toldBy(postsPartition int32) *told {
	t := p.told[postsPartition]
	if t == nil {
		t = &told{}
		p.told[postsPartition] = t
	}
	return t
}
