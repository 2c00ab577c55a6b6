package manager

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

const (
	// standbyLead is how long before the first of its workers becomes too old a pool
	// starts a standby, where age is its only limit: ten times what a slow start
	// takes.
	standbyLead = 10 * time.Second
	// handOverPatience is how long a worker that retires waits for a successor that
	// runs to be registered with a server that it is registered with itself: one that
	// takes no new connections must not keep it.
	handOverPatience = time.Second
	// lastJobPatience is how long a worker that was let go counts as registered: one whose
	// last job takes longer must not keep others from being replaced. One that rests waits
	// as long for a successor where such workers leave no room for any.
	lastJobPatience = 100 * time.Millisecond
)

// Nobody is missed where a worker retires:
//
//	retiree   Retiring ─► rests when its jobs are done ───────────► Drain ─► Left
//	standby   connected ─────► Go: registered ─► Ready ─────────┘      ─► Go: takes jobs
//	pool      gives it the place                                starts a new standby
//
// Two sums hold at every moment. Slots that take jobs never exceed the plan: those
// of a retiree count until they rest. Slots that are registered never fall below it,
// since a retiree is let go only when its successor is registered wherever it is
// itself; and exceed it by one standby at most, for which others stay connected only.
// Workers that leave because of a fault, or have a long last job, are not counted.

// wantsStandby tells whether the pool is to have a standby now. While places are
// empty or their workers are being started these come first.
func (p *pool) wantsStandby(now time.Time) bool {
	return due(p.standbyAt(), now)
}

// standbyAt is when a standby is to be started; zero: not before something happens.
func (p *pool) standbyAt() time.Time {
	if !p.holds() {
		return time.Time{}
	}
	for _, pl := range p.places {
		if pl.worker == nil || pl.worker.state == StateStarting {
			return time.Time{}
		}
	}
	if p.always() {
		return p.bench.notBefore.Add(1) // the zero time would be never
	}
	var at time.Time
	for _, pl := range p.places {
		if old := pl.worker.diesAt; !old.IsZero() {
			sooner(&at, old.Add(-standbyLead))
		}
	}
	return at
}

// holds tells whether workers of the pool can be held back. A standalone worker
// takes jobs from its start on.
func (p *pool) holds() bool { return p.plan().Kind != KindStandalone }

// always tells whether a worker of the pool may retire at any moment.
func (p *pool) always() bool {
	runs := p.plan().MaxRuns > 0 && p.plan().Kind != KindExec // whose jobs are processes of their own
	return runs || p.plan().MaxMemory > 0
}

// promote gives a place to the standby, if there is one that stays.
func (p *pool) promote(ctx context.Context, pl *place) bool {
	if !p.mayPromote(pl) {
		return false
	}
	w := p.bench.worker
	p.bench.worker = nil
	p.bench.notBefore = time.Time{}
	if !enough(pl.why) {
		p.bench.notBefore = time.Now().Add(restartSpacing)
	}
	pl.worker, w.place = w, pl
	pl.starts++
	w.patience, w.waited = time.Time{}, false
	if w.proc != nil {
		w.state, _ = w.state.next(triggerSeat)
		p.fit(ctx, w)
	}
	p.cfg.emit(WorkerPromoted{Worker: w.name, PID: w.pid, Instead: pl.before, Reason: pl.why})
	return true
}

// mayPromote tells whether there is a standby for a place.
func (p *pool) mayPromote(pl *place) bool {
	w := p.bench.worker
	return !p.stopping && pl != p.bench && w != nil && w.state != StateDraining && w.killed == notKilled && w.size() >= pl.slots
}

// fit takes those slots from a worker that its place does not have.
func (p *pool) fit(ctx context.Context, w *worker) {
	if w.size() <= w.place.slots {
		return // sync gives it more
	}
	p.shrink(w, w.place.slots)
	list := p.slotList(w)
	p.inTurn(ctx, w, func(ctx context.Context) error {
		return w.proc.Set(ctx, &workerpb.Settings{Slots: list})
	})
}

// slotList puts the slots of a worker into the words of the contract.
func (p *pool) slotList(w *worker) *workerpb.SlotList {
	return &workerpb.SlotList{Slots: requestSlots(p.cfg.host, p.plan().Name, w.first, w.records[:w.size()])}
}

// size is how many slots the worker has to use. It may have more records.
func (w *worker) size() int { return w.used }

// handOver tells workers how far they may go by now, and lets those go that have
// been replaced.
func (p *pool) handOver(ctx context.Context) {
	if p.stopping || !p.handingOver() {
		return
	}
	sums := p.sums()
	for _, w := range p.held(workerpb.Hold_HOLD_REGISTERED) {
		p.release(ctx, w, &sums)
	}
	for _, w := range p.held(workerpb.Hold_HOLD_CONNECTED) {
		if sums.registered+w.size() > p.plan().Slots+p.surplus() {
			break
		}
		sums.registered += w.size()
		if sums.taking+w.size() > p.plan().Slots || !p.release(ctx, w, &sums) { // those of its slots that may not take jobs yet are to be registered too
			w.hold = workerpb.Hold_HOLD_REGISTERED
			p.tellHold(ctx, w, w.hold, w.size())
		}
	}
	p.letGo(ctx)
}

// handingOver tells whether some worker is held, or waits to be let go. Usually none
// is.
func (p *pool) handingOver() bool {
	for _, pl := range p.places {
		if len(pl.leaving) > 0 || pl.worker != nil && pl.worker.open < pl.worker.size() {
			return true
		}
	}
	return len(p.bench.leaving) > 0
}

// held returns the workers with a place that are held back so far, or a part of whose
// slots is, and that can be told otherwise now.
func (p *pool) held(hold workerpb.Hold) (held []*worker) {
	for _, pl := range p.places {
		w := pl.worker
		if w == nil || w.proc == nil || w.telling() || w.open >= w.size() {
			continue
		}
		if (w.hold == workerpb.Hold_HOLD_CONNECTED) == (hold == workerpb.Hold_HOLD_CONNECTED) {
			held = append(held, w)
		}
	}
	return held
}

// slotSums are those slots that are registered, or have been told to be, and those
// that may take jobs or have one.
type slotSums struct{ registered, taking int }

func (p *pool) sums() (sums slotSums) {
	for _, w := range p.workers() {
		if w.left || w.hold == workerpb.Hold_HOLD_CONNECTED {
			continue
		}
		sums.taking += w.taking()
		if w.state != StateDraining || w.rests && (!w.letGo || !w.waited) {
			sums.registered += w.size()
		}
	}
	return sums
}

// taking counts the slots that may take jobs, or whose last job has not ended, also where
// they were taken from the worker. One that leaves because something is wrong with it takes
// none, and is not waited for.
func (w *worker) taking() (n int) {
	from := 0
	switch {
	case w.state != StateDraining:
		n, from = w.open, w.used
	case !w.rests:
		return 0
	}
	for _, s := range w.slots[from:] {
		if !s.rested {
			n++
		}
	}
	return n
}

// release lets as many slots of a worker take jobs as there is room for, and tells
// whether there was any. What there is belongs to the one that it has not replaced yet.
func (p *pool) release(ctx context.Context, w *worker, sums *slotSums) bool {
	more := min(p.plan().Slots-sums.taking, w.size()-w.open)
	if more <= 0 || p.isReplacing(w) {
		return false
	}
	sums.taking += more
	w.hold, w.open = workerpb.Hold_HOLD_NONE, w.open+more
	p.tellHold(ctx, w, w.hold, w.open)
	return true
}

// tellHold tells a worker how far its first n slots may go.
func (p *pool) tellHold(ctx context.Context, w *worker, hold workerpb.Hold, n int) {
	w.patience, w.waited = time.Now().Add(handOverPatience), false
	w.partly = n < w.size()
	slots := uint32(n) //nolint:gosec // a number of slots
	if n == w.size() {
		slots = 0
	}
	p.inTurn(ctx, w, func(ctx context.Context) error { return w.proc.Go(ctx, hold, slots) })
}

// inTurn makes one of the calls that have to arrive in the order in which they are
// made.
func (p *pool) inTurn(ctx context.Context, w *worker, call func(context.Context) error) {
	w.calls = append(w.calls, call)
	if len(w.calls) == 1 {
		p.nextInTurn(ctx, w)
	}
}

// nextInTurn makes the first of these calls, and then the others.
func (p *pool) nextInTurn(ctx context.Context, w *worker) {
	call := w.calls[0]
	p.call(ctx, w, func(timed context.Context) error {
		err := call(timed)
		p.post(func() {
			if w.calls = w.calls[1:]; len(w.calls) > 0 {
				p.nextInTurn(ctx, w)
			}
			if err != nil && !errors.Is(err, host.ErrEnded) { // it would be held for ever
				p.kill(w, killUnresponsive, err.Error())
			}
		})
		return err
	})
}

// telling tells whether a call is being made, or waits for its turn.
func (w *worker) telling() bool { return len(w.calls) > 0 }

// letGo drains the workers that rest and have been replaced, and those that cannot
// be: their functions are not performed, and are not to look as if they were.
func (p *pool) letGo(ctx context.Context) {
	for _, pl := range append(p.places, p.bench) {
		for i, w := range pl.leaving {
			switch {
			case w.rolls && p.takesOver(pl.worker, w):
				p.dismiss(ctx, w, retireReload)
			case w.rests && !w.letGo && (pl == p.bench || p.replaced(w, pl.worker) || coveredBy(pl.leaving[i+1:], w)):
				p.drainRested(ctx, w)
			}
		}
	}
}

// replaced tells whether a successor has taken over from a worker, or none will
// soon.
func (p *pool) replaced(w, successor *worker) bool {
	switch {
	case successor == nil && w.waited && w.restsAll() && p.spare() < w.place.slots && p.longLastJob():
		return true // else it would rest until workers with long jobs end
	case successor == nil || successor.proc == nil:
		return p.retry.failures > 0
	case !p.holds():
		return true
	case successor.waited && successor.hold != workerpb.Hold_HOLD_CONNECTED: // it may register, and cannot
		return true
	}
	return covers(successor, w)
}

// covers tells whether a worker is registered wherever another is connected.
func covers(successor, w *worker) bool {
	for i := range w.slots[:w.used] {
		for server := range w.slots[i].connected {
			if i >= successor.size() || !successor.slots[i].connected[server] {
				return false
			}
		}
	}
	return true
}

// coveredBy tells whether a worker is not missed because of one that came after it, is to
// leave too, and is registered still.
func coveredBy(later []*worker, w *worker) bool {
	return slices.ContainsFunc(later, func(other *worker) bool {
		return (other.rests || other.rolls) && !other.letGo && !other.left && covers(other, w)
	})
}

// longLastJob tells whether a worker that was let go is still there because of its last
// job, and with it what a successor of another would need.
func (p *pool) longLastJob() bool {
	return slices.ContainsFunc(p.workers(), func(w *worker) bool {
		return w.rests && w.letGo && w.waited && !w.left && !w.restsAll()
	})
}

// drainRested tells a worker to leave that has decided to and rests until then. Its
// last job may take as long as any.
func (p *pool) drainRested(ctx context.Context, w *worker) {
	w.letGo = true
	w.patience, w.waited = time.Now().Add(lastJobPatience), false
	if w.restsAll() || !p.holds() { // of a standalone one it is not known whether it does
		w.drained = time.Now()
		w.checkAt = w.drained.Add(idleGrace)
	}
	p.callDrain(ctx, w, w.retired)
}

// restsAll tells whether no slot has a job in hand any more.
func (w *worker) restsAll() bool {
	for _, s := range w.slots[:w.used] {
		if !s.rested {
			return false
		}
	}
	return true
}
