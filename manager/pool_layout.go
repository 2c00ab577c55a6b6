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

// recordsFor is how many job records a pool needs: for its workers, of which one that was a
// standby has some for more slots than its place, for a standby and one that is started
// meanwhile, and for those that leave while their successors work.
func recordsFor(plan *PoolPlan) int {
	need := plan.Concurrency * (len(sizes(plan)) + 2 + leaversOf(plan))
	return max(need, min(2*need, smallTable))
}

// lay gives the pool the places that its plan wants. Workers that have none any more leave
// as soon as enough others are registered.
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
		if wanted[i] < pl.slots {
			p.laid = time.Now()
		}
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
	}
	p.laid = time.Now()
	p.letRemovedGo(ctx)
}

// letRemovedGo dismisses the workers that have no place any more, but not those that are
// registered where slots would be missed: others are to be registered first.
func (p *pool) letRemovedGo(ctx context.Context) {
	if len(p.removed) == 0 || p.stopping || p.leaves {
		return
	}
	registered := p.lastingSlots(nil)
	for _, pl := range p.removed {
		for _, w := range append(slices.Clone(pl.leaving), pl.worker) {
			if w == nil || w.letGo || w.left {
				continue
			}
			if n := w.registeredSlots(); n == 0 || registered-n >= p.plan().Slots || !p.isBeingLaid(time.Now()) {
				registered -= n
				p.dismiss(ctx, w, retireScaled)
			}
		}
	}
}

// isBeingLaid tells whether slots that are too many are given up only when they are not
// missed.
func (p *pool) isBeingLaid(now time.Time) bool { return now.Before(p.laid.Add(takeOverPatience)) }

// lastingSlots counts the slots that are registered with a job server and will be; but for
// one worker. Of the workers of a place one stays.
func (p *pool) lastingSlots(but *worker) (n int) {
	for pl := range p.allPlaces() {
		most := 0
		for _, w := range append(slices.Clone(pl.leaving), pl.worker) {
			if w != nil && w != but && !w.letGo && !w.left {
				most = max(most, w.registeredSlots())
			}
		}
		n += most
	}
	return n
}

// registeredSlots counts the slots that are registered with a job server.
func (w *worker) registeredSlots() (n int) {
	for _, s := range w.slots[:w.used] {
		for _, registered := range s.connected {
			if registered {
				n++
				break
			}
		}
	}
	return n
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
	need, have := recordsFor(p.plan()), p.records.file.Len()
	if have-p.taken(p.removed)-p.excess() < p.plan().Concurrency*(len(p.places)+2) {
		larger, err := p.cfg.newRecords(max(need, 2*have))
		if err != nil {
			p.cfg.emit(InternalError{Where: "pool " + p.plan().Name, Panic: err.Error()})
			return
		}
		p.before = append(p.before, p.records)
		p.records = larger
	}
}

// taken counts the job records that workers of places have in the present table.
func (p *pool) taken(places []*place) (n int) {
	for _, w := range p.workers() {
		if w.table == p.records && slices.Contains(places, w.place) {
			n += len(w.records)
		}
	}
	return n
}

// excess counts those that workers had for more slots than any has by now.
func (p *pool) excess() (n int) {
	for _, w := range p.workers() {
		if w.table == p.records && !slices.Contains(p.removed, w.place) {
			n += max(0, len(w.records)-p.plan().Concurrency)
		}
	}
	return n
}

// spare is how many slots more the pool may have workers for: beside the plan's there may
// be two successors, apart from what leaves because the pool was changed.
func (p *pool) spare() int {
	spare := p.plan().Slots + 2*p.plan().Concurrency
	for _, w := range p.workers() {
		if !w.rolls && w.retired != retireReload && !slices.Contains(p.removed, w.place) {
			spare -= w.size()
		}
	}
	return min(spare, len(p.records.free))
}

// free gives back the records of a worker that has ended, and what nobody has any more.
func (p *pool) free(w *worker) {
	w.table.give(w.records)
	w.records = nil // another may have them, or nobody
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

// shrink leaves a worker so many slots. Jobs that the others have in hand end, and those of
// them rest then that might have any.
func (p *pool) shrink(w *worker, slots int) {
	open, used := w.open, w.used
	w.used = slots
	w.open = min(w.open, w.used)
	for i := w.used; i < used; i++ {
		p.disconnect(&w.slots[i])
		w.slots[i].rested = w.slots[i].rested || i >= open
	}
}

// disconnect forgets what a slot is connected to.
func (p *pool) disconnect(s *slotState) {
	for server := range s.connected {
		p.cfg.reach.leave(server)
	}
	s.connected = nil
}

// grow gives a worker as many slots, if there are records.
func (p *pool) grow(w *worker, slots int) bool {
	if missing := slots - len(w.records); missing > 0 {
		more, ok := w.table.take(missing)
		if !ok {
			return false
		}
		w.base = w.base.plus(w.table.count(more))
		w.records = append(slices.Clone(w.records), more...)
		w.slots = append(slices.Clone(w.slots), make([]slotState, missing)...)
	}
	for i := w.used; i < slots; i++ { // they may have been used before
		w.slots[i].rested = false
		p.disconnect(&w.slots[i])
	}
	if w.open == w.used && !w.partly {
		w.open = slots // else handOver tells it
	}
	w.used = slots
	return true
}
