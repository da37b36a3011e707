package aggregator

import (
	"context"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// A batch may be told again, and divided otherwise: a classifier that died before it committed does not know how far its clock was, and takes
// a late post at the beginning for a step of its own. So what was told of the batch before is taken back from source_minutes.

// outdated reports whether a Progress is of one who has lost the partition, does not know it yet, and is slower than who has it now.
func (pos *position) outdated(r *outcryv1.Progress) bool {
	return r.GetClaimedAtUs() < pos.ClaimedAtUS && r.GetFirstOffset() < pos.Next
}

// again reports whether a Progress begins to tell a batch again. The first versions did not say where their batches begin.
func (pos *position) again(r *outcryv1.Progress) bool {
	return r.GetClaimedAtUs() != 0 && !pos.outdated(r) && r.GetBatchOffset() == pos.Batch && r.GetFirstOffset() == pos.Batch && pos.Next > pos.Batch
}

// counts reports whether the owner of this partition writes what a Progress counts: it goes to every partition, and one of them writes it.
func (o *owner) counts(r *outcryv1.Progress) bool {
	return int(r.GetPostsPartition())%o.stage.partitions == o.number
}

// count keeps the denominators of a Progress for the next flush.
func (o *owner) count(r *outcryv1.Progress) {
	if !o.counts(r) || o.state.position(r).outdated(r) {
		return
	}
	for _, c := range r.GetSources() {
		o.sources = append(o.sources, store.NewSourceMinute(c, r, o.version()))
	}
}

// takeBack makes void what was told of the batch that a Progress begins to tell again.
func (o *owner) takeBack(ctx context.Context, r *outcryv1.Progress) error {
	pos := o.state.position(r)
	if !o.counts(r) || !pos.again(r) {
		return nil
	}
	if len(o.sources) > 0 {
		if err := o.flush(ctx); err != nil {
			return err
		}
	}
	counted, err := o.stage.deps.Store.Counted(ctx, r.GetPostsPartition(), pos.Batch, pos.Next)
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
