package manager

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// sizes are the slots of the places that a plan wants.
func sizes(plan *PoolPlan) (sizes []int) {
	for left := plan.Slots; left > 0; left -= plan.Concurrency {
		sizes = append(sizes, min(plan.Concurrency, left))
	}
	return sizes
}

// smallTable is how many job records a pool has at least, so that it can grow a little
// without a new table. That is how many a PHP worker looks at for each job.
const smallTable = 64

// recordsFor is how many job records a pool needs: for its slots, for a standby and one
// that is started meanwhile, and for those that leave while their successors work.
func recordsFor(plan *PoolPlan) int {
	need := plan.Slots + plan.Concurrency*(2+leaversOf(plan))
	return max(need, min(2*need, smallTable))
}

// lay gives the pool the places that its plan wants. Workers that have none any more leave.
func (p *pool) lay(ctx context.Context) {
	plan := p.plan()
	p.bench.slots = plan.Concurrency
	wanted := sizes(plan)
	if surplus := len(p.places) - len(wanted); surplus > 0 {
		p.removePlaces(ctx, surplus)
	}
	for len(p.places) < len(wanted) {
		p.places = append(p.places, &place{notBefore: time.Now()})
	}
	bySize := slices.Clone(p.places)
	slices.SortStableFunc(bySize, func(a, b *place) int { return cmp.Compare(b.slots, a.slots) })
	for i, pl := range bySize { // wanted is in falling order
		pl.slots = wanted[i]
	}
	p.layBench(ctx)
	p.makeRecords()
}

// layBench lets a standby go that is too small by now, or not wanted any more.
func (p *pool) layBench(ctx context.Context) {
	w := p.bench.worker
	if w == nil || w.size() >= p.bench.slots && (p.always() || p.wantsStandby(time.Now())) {
		return
	}
	p.bench.worker = nil
	p.bench.leaving = append(p.bench.leaving, w)
	p.dismiss(ctx, w, retireReload)
}

// removePlaces takes away those places whose workers are missed least.
func (p *pool) removePlaces(ctx context.Context, n int) {
	order := slices.Clone(p.places)
	slices.SortStableFunc(order, func(a, b *place) int { return cmp.Compare(p.worth(a), p.worth(b)) })
	for _, pl := range order[:n] {
		p.places = slices.DeleteFunc(p.places, func(other *place) bool { return other == pl })
		p.removed = append(p.removed, pl)
		for _, w := range append(slices.Clone(pl.leaving), pl.worker) {
			if w != nil {
				p.dismiss(ctx, w, "scaled down")
			}
		}
	}
}

// worth orders places: those without a worker come first, then those whose worker is
// being started, has other code than new ones, is idle, has a young job.
func (p *pool) worth(pl *place) float64 {
	switch w := pl.worker; {
	case w == nil:
		return 0
	case w.proc == nil:
		return 1
	case p.outdated(w):
		return 2
	default:
		worth := 3.0
		for _, j := range p.inHand(w) {
			worth = max(worth, 4+j.age.Seconds())
		}
		return worth
	}
}

// makeRecords makes a larger table of job records where the plan has outgrown the one
// that there is. Workers that run keep theirs. Without the larger one the pool has as
// many workers as it has records for.
func (p *pool) makeRecords() {
	need := recordsFor(p.plan())
	if have := p.records.file.Len(); have < p.plan().Slots+2*p.plan().Concurrency {
		larger, err := p.cfg.newRecords(max(need, 2*have))
		if err != nil {
			p.cfg.emit(InternalError{Where: "pool " + p.plan().Name, Panic: err.Error()})
			return
		}
		p.before = append(p.before, p.records)
		p.records = larger
	}
}

// spare is how many slots more the pool may have workers for: beside the plan's there may
// be two successors, apart from what leaves because the pool was changed.
func (p *pool) spare() int {
	spare := p.plan().Slots + 2*p.plan().Concurrency
	for _, t := range append(p.before, p.records) {
		spare -= t.file.Len() - len(t.free)
	}
	for _, w := range p.workers() {
		if w.retired == retireReload || slices.Contains(p.removed, w.place) {
			spare += len(w.records)
		}
	}
	return min(spare, len(p.records.free))
}

// free gives back the records of a worker that has ended, and what nobody has any more.
func (p *pool) free(w *worker) {
	w.table.give(w.records)
	p.removed = slices.DeleteFunc(p.removed, func(pl *place) bool { return pl.worker == nil && len(pl.leaving) == 0 })
	p.before = slices.DeleteFunc(p.before, func(t *recordTable) bool {
		if len(t.free) < t.file.Len() {
			return false
		}
		p.past = p.past.plus(t.count(t.all()))
		t.remove()
		return true
	})
}

// closeRecords unmaps the records of a pool that has ended. Their files go with the
// runtime directory.
func (p *pool) closeRecords() {
	for _, t := range append(p.before, p.records) {
		_ = t.close() // shared memory: nothing is lost
	}
}

// totals counts the jobs of all workers that the pool ever had.
func (p *pool) totals() counters {
	total := p.past.plus(p.records.count(p.records.all()))
	for _, t := range p.before {
		total = total.plus(t.count(t.all()))
	}
	return total
}

// shrink takes those slots from a worker that its place does not have. Jobs that they
// have in hand end.
func (p *pool) shrink(w *worker) {
	w.used = w.place.slots
	w.open = min(w.open, w.used)
	for i := w.used; i < len(w.slots); i++ {
		for server := range w.slots[i].connected {
			p.cfg.reach.leave(server)
		}
		w.slots[i].connected = nil
	}
}

// grow gives a worker as many slots as its place has, as far as there are records.
func (p *pool) grow(w *worker) bool {
	if missing := w.place.slots - len(w.records); missing > 0 {
		more, ok := w.table.take(missing)
		if !ok {
			return false
		}
		w.base = w.base.plus(w.table.count(more))
		w.records = append(slices.Clone(w.records), more...)
		w.slots = append(slices.Clone(w.slots), make([]slotState, missing)...)
	}
	for i := w.used; i < w.place.slots; i++ { // they may have been used before
		w.slots[i].rested, w.slots[i].connected = false, nil
	}
	if w.open == w.used {
		w.open = w.place.slots
	}
	w.used = w.place.slots
	return true
}
