package aggregator

import (
	"context"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// told is how far a partition of posts.v1 is told in source_minutes. A batch may be told again, and divided otherwise: a classifier that
// died before it committed does not know how far its clock was, and takes a late post at the beginning for a step of its own.
type told struct {
	ClaimedAtUS int64 `json:"claimed_at_us"` // of whom we listen to
	Batch       int64 `json:"batch"`         // offset at which its batch began
	Next        int64 `json:"next"`          // offset behind what it told
}

// outdated reports whether a Progress is of one who has lost the partition, does not know it yet, and is slower than who has it now.
func (t *told) outdated(r *outcryv1.Progress) bool {
	return r.GetClaimedAtUs() < t.ClaimedAtUS && r.GetFirstOffset() < t.Next
}

// again reports whether a Progress begins to tell a batch again. The first versions did not say where their batches begin.
func (t *told) again(r *outcryv1.Progress) bool {
	return r.GetClaimedAtUs() != 0 && !t.outdated(r) && r.GetBatchOffset() == t.Batch && r.GetFirstOffset() == t.Batch && t.Next > t.Batch
}

func (t *told) take(r *outcryv1.Progress) {
	t.ClaimedAtUS, t.Batch, t.Next = r.GetClaimedAtUs(), r.GetBatchOffset(), r.GetNextOffset()
}

// toldBy returns how far a partition of posts.v1 is told by this partition, nil where another one does.
func (o *owner) toldBy(r *outcryv1.Progress) *told {
	if int(r.GetPostsPartition())%o.stage.partitions != o.number {
		return nil
	}
	t := o.state.told[r.GetPostsPartition()]
	if t == nil {
		t = &told{}
		o.state.told[r.GetPostsPartition()] = t
	}
	return t
}

// count keeps what a Progress counts for the next flush. Progress goes to every partition; one of them writes the denominators.
func (o *owner) count(r *outcryv1.Progress) {
	t := o.toldBy(r)
	if t == nil || t.outdated(r) {
		return
	}
	t.take(r)
	for _, c := range r.GetSources() {
		o.sources = append(o.sources, store.NewSourceMinute(c, r, o.version()))
	}
}

// takeBack makes void what was told of the batch that a Progress begins to tell again.
func (o *owner) takeBack(ctx context.Context, r *outcryv1.Progress) error {
	t := o.toldBy(r)
	if t == nil || !t.again(r) {
		return nil
	}
	if len(o.sources) > 0 {
		if err := o.flush(ctx); err != nil {
			return err
		}
	}
	counted, err := o.stage.deps.Store.Counted(ctx, r.GetPostsPartition(), t.Batch, t.Next)
	if err != nil {
		return err
	}
	for _, p := range counted {
		for _, c := range p.GetSources() {
			o.sources = append(o.sources, store.NewSourceMinute(c, p, o.version()))
		}
	}
	return nil
}
