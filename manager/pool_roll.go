package manager

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// trialPatience is how long the first worker of an edition may take to be registered
// with a job server, once it runs. It takes a few milliseconds.
const trialPatience = 30 * time.Second

// trial is a new edition whose first worker has to show that it can be run. Until then
// workers that are missing are started from the old one.
//
//	old worker   takes jobs ─────────────────────────► Drain ─► Left
//	first new    start ─► connected ─► registered ──┘      ─► takes jobs ─► proven
//	pool         trial: begins                                              accepted: the others follow
//
// The trial is over when the first worker has got a job or lived for start_seconds. If it
// dies before, the edition is given up, and what it had taken the place of comes back.
type trial struct {
	edition *edition
	worker  *worker // nil: it is still to be started
	until   time.Time
}

// surplus is how many slots may be registered beyond the plan: those of successors, and
// what workers without a place have beyond what would be missed.
func (p *pool) surplus() int {
	most := 1
	for _, pl := range p.removed {
		if pl.worker != nil && !pl.worker.letGo {
			most = max(most, pl.worker.size())
		}
	}
	return p.plan().Concurrency*max(1, p.plan().ReloadBatch) + most - 1
}

// leaversOf is how many workers of a pool may leave at the same time while their
// successors wait for their last jobs: one in four, since each is a process.
func leaversOf(plan *PoolPlan) int { return max(1, plan.ReloadBatch, (plan.Workers+3)/4) }

// try has the workers replaced by those of another edition, once one of them has shown
// that it can be run. Where no worker runs there is nothing to lose.
func (p *pool) try(ctx context.Context, fresh *edition) {
	p.endTrial(ctx)
	p.fault = ""
	for _, pl := range p.places {
		if w := pl.worker; w != nil && p.isReplacing(w) && w.registeredSlots() == 0 {
			p.comeBack(ctx, w) // it may never be registered
		}
	}
	if p.works() {
		p.trial = &trial{edition: fresh}
		return
	}
	p.adopt(fresh)
	if p.retry.failures > 0 {
		p.forgetFailures(cmp.Or(p.retry.retaking, "it was changed"))
	}
}

// works tells whether there is something to lose: some worker runs and will live on, and
// has shown that it can be run or may yet, or one that is started soon would.
func (p *pool) works() bool {
	healthy := p.retry.failures == 0
	return len(p.places) > 0 && (p.edition.proven && healthy || slices.ContainsFunc(p.workers(), func(w *worker) bool {
		lives := !w.letGo && w.killed == notKilled && (w.state == StateReady || w.state == StateStandby)
		return lives && (w.proven || healthy && !p.outdated(w))
	}))
}

// adopt makes an edition the one that workers are started from.
func (p *pool) adopt(fresh *edition) {
	p.old = append(p.old, p.edition)
	p.edition = fresh
	p.learn(fresh.assigned)
	p.sweep()
}

// sweep gives up editions that no worker has any more.
func (p *pool) sweep() {
	p.old = slices.DeleteFunc(p.old, func(e *edition) bool {
		if slices.ContainsFunc(p.workers(), func(w *worker) bool { return w.edition == e }) {
			return false
		}
		p.helpers.Go(e.close)
		return true
	})
}

// outdated tells whether a worker was started from another edition than new ones are.
func (p *pool) outdated(w *worker) bool { return w.edition != p.edition }

// roll has outdated workers replaced, as many at a time as may be.
func (p *pool) roll(ctx context.Context) {
	if p.stopping || p.leaves {
		return
	}
	if p.trial != nil {
		p.goOnTrying(ctx)
	}
	if p.trial != nil || len(p.old) == 0 {
		return
	}
	if w := p.bench.worker; w != nil && p.outdated(w) {
		p.bench.worker = nil
		p.bench.leaving = append(p.bench.leaving, w)
		p.dismiss(ctx, w, retireReload)
	}
	for p.mayReplace(time.Now()) {
		if !p.replace(ctx, p.nextOutdated(), p.edition) {
			return
		}
	}
}

// goOnTrying starts the first worker of a trial, and looks how it does.
func (p *pool) goOnTrying(ctx context.Context) {
	now := time.Now()
	w := p.trial.worker
	switch {
	case len(p.places) == 0: // it goes on when there is to be a worker again
	case w == nil:
		if !p.works() {
			p.accept()
		} else if pl := p.trialPlace(); pl != nil && p.replace(ctx, pl, p.trial.edition) {
			p.trial.worker = pl.worker
		}
	case w.proc == nil:
	case p.isReplacing(w) || p.isMute(w):
		if p.trial.until.IsZero() {
			p.trial.until = now.Add(trialPatience)
		} else if !now.Before(p.trial.until) {
			p.reject(fmt.Errorf("its first worker was not registered with a job server within %v", trialPatience))
			p.comeBack(ctx, w)
		}
	case w.proven:
		p.accept()
	}
}

// isMute tells whether a worker is registered with no job server though it reaches one, or
// others are.
func (p *pool) isMute(w *worker) bool {
	return p.holds() && w.registeredSlots() == 0 && (w.reachesServer() || p.lastingSlots(nil) > 0)
}

// accept ends a trial that has gone well.
func (p *pool) accept() {
	t := p.trial
	p.trial = nil
	p.fault = ""
	p.adopt(t.edition)
	if p.retry.gaveUp || p.retry.failures > 0 {
		p.forgetFailures("it was changed")
	}
	p.cfg.emit(PoolRolls{Pool: p.plan().Name, Why: t.edition.why, Workers: p.countOutdated()})
}

// reject ends a trial that has not.
func (p *pool) reject(err error) {
	t := p.trial
	p.trial = nil
	p.fault = err.Error()
	p.old = append(p.old, t.edition)
	p.cfg.emit(PoolRollFailed{Pool: p.plan().Name, Why: t.edition.why, Err: err})
}

// failedTrial tells whether a worker that could not be started, or ended before it had
// shown that it can be run, was on trial, which ends with it.
func (p *pool) failedTrial(w *worker, err error) bool {
	if p.trial == nil || p.trial.worker != w || w.proven || p.stopping || isOurs(w.retired) {
		return false
	}
	if tail := lastWords(w); tail != "" {
		err = fmt.Errorf("%w; it printed: %s", err, tail)
	}
	p.reject(err)
	return true
}

// lastWords is the last line of a worker's standard error, if it had said hello.
func lastWords(w *worker) string {
	if w.proc == nil {
		return ""
	}
	tail := w.proc.Tail()
	if len(tail) == 0 {
		return ""
	}
	return tail[len(tail)-1]
}

// untried is called when a worker has ended: one on trial that ended otherwise than by
// failing is tried again, and a place whose successor has ended goes back to the worker
// that has not been replaced yet.
func (p *pool) untried(w *worker) {
	if p.trial != nil && p.trial.worker == w {
		p.trial.worker, p.trial.until = nil, time.Time{}
	}
	if pl := w.place; pl.worker == nil {
		p.reinstate(pl)
	}
	p.sweep()
}

// endTrial gives up a trial because something else is to be tried.
func (p *pool) endTrial(ctx context.Context) {
	t := p.trial
	if t == nil {
		return
	}
	p.trial = nil
	p.old = append(p.old, t.edition)
	if t.worker != nil && p.isReplacing(t.worker) {
		p.comeBack(ctx, t.worker)
	}
	p.sweep()
}

// comeBack dismisses a worker in favour of the one that it has not replaced yet.
func (p *pool) comeBack(ctx context.Context, w *worker) {
	pl := w.place
	if pl.worker != w {
		return // it has left the place
	}
	pl.worker = nil
	pl.leaving = append(pl.leaving, w)
	p.reinstate(pl)
	p.dismiss(ctx, w, retireReload)
}

// loseRolling is called when a worker that was to be replaced does not work until then: its
// place does not wait for one on trial that may never be registered.
func (p *pool) loseRolling(ctx context.Context, pl *place) {
	if t := p.trial; t != nil && t.worker != nil && t.worker == pl.worker && t.worker.registeredSlots() == 0 && !p.isReplacing(t.worker) {
		p.comeBack(ctx, t.worker)
	}
}

// reinstate gives a place back to the worker that was to be replaced, if it still works.
func (p *pool) reinstate(pl *place) {
	for i, w := range pl.leaving {
		if w.rolls && w.state == StateReady && w.killed == notKilled && !w.left {
			pl.leaving = slices.Delete(slices.Clone(pl.leaving), i, i+1)
			pl.worker, w.rolls = w, false
			return
		}
	}
}

// isReplacing tells whether a worker has to show that it can take over yet.
func (p *pool) isReplacing(w *worker) bool {
	return w.place.worker == w && slices.ContainsFunc(w.place.leaving, func(old *worker) bool { return old.rolls })
}

// trialPlace is the place whose worker the first of a new edition is to replace: one that
// is idle, if there is one.
func (p *pool) trialPlace() *place {
	var best *place
	for _, pl := range p.places {
		if w := pl.worker; w == nil || !p.replaceable(w) || w.open == 0 {
			continue // it may be being waited for
		}
		if best == nil || p.worth(pl) < p.worth(best) {
			best = pl
		}
	}
	return best
}

// nextOutdated is the place whose worker is to be replaced next.
func (p *pool) nextOutdated() *place {
	var best *place
	for _, pl := range p.places {
		if w := pl.worker; w == nil || !p.replaceable(w) || !p.outdated(w) {
			continue
		}
		if best == nil || p.busyFor(pl.worker) < p.busyFor(best.worker) {
			best = pl
		}
	}
	return best
}

// replaceable tells whether a worker is one that would live on otherwise.
func (p *pool) replaceable(w *worker) bool {
	return w.state == StateReady && w.killed == notKilled && w.proc != nil
}

// busyFor is how long the oldest job in hand has been running.
func (p *pool) busyFor(w *worker) (oldest time.Duration) {
	for _, j := range p.inHand(w) {
		oldest = max(oldest, j.age)
	}
	return oldest
}

// mayReplace tells whether a worker may be replaced now: some are still being, or have a
// last job, or starts fail.
func (p *pool) mayReplace(now time.Time) bool {
	if p.retry.gaveUp || p.probing() || p.startsWait(now) || p.nextOutdated() == nil {
		return false
	}
	replacing, leaving := p.replacing()
	return replacing < max(1, p.plan().ReloadBatch) && leaving < leaversOf(p.plan())
}

// replacing counts the workers that are being replaced, and those that leave otherwise.
func (p *pool) replacing() (replacing, leaving int) {
	for _, pl := range p.places {
		for _, w := range pl.leaving {
			if w.rolls {
				replacing++
			} else if !w.left {
				leaving++
			}
		}
	}
	return replacing, leaving
}

// enlarge replaces a worker by one that has as many slots as its place.
func (p *pool) enlarge(ctx context.Context, w *worker) {
	if replacing, _ := p.replacing(); replacing >= max(1, p.plan().ReloadBatch) || p.trial != nil || p.isReplacing(w) || !p.replaceable(w) {
		return
	}
	if !p.startsWait(time.Now()) && !p.retry.gaveUp && !p.probing() {
		p.replace(ctx, w.place, p.edition)
	}
}

// replace starts the successor of a worker that goes on until that can take over.
func (p *pool) replace(ctx context.Context, pl *place, by *edition) bool {
	records, ok := p.records.take(pl.slots)
	if !ok {
		return false
	}
	w := pl.worker
	w.rolls = true
	pl.worker = nil
	pl.leaving = append(pl.leaving, w)
	pl.before, pl.why, pl.since = w.name, retireReload, time.Now()
	p.launch(ctx, pl, by, records)
	return true
}

// takesOver tells whether a successor can do what a worker does that still works.
func (p *pool) takesOver(successor, w *worker) bool {
	switch {
	case successor == nil || successor.proc == nil || successor.state == StateDraining || successor.killed != notKilled:
		return false
	case !p.holds():
		return true
	case w.registeredSlots() > 0 && p.isBeingLaid(time.Now()) && p.lastingSlots(w) < p.plan().Slots:
		return false // others have to have some of its slots first
	}
	all, some := true, !w.reachesServer()
	for i := range w.slots[:w.used] {
		for server := range w.slots[i].connected {
			if i < successor.size() && successor.slots[i].connected[server] {
				some = true
			} else {
				all = false
			}
		}
	}
	return all && some && w.reachesServer() || some && successor.waited && successor.hold != workerpb.Hold_HOLD_CONNECTED
}

// nextRoll finds the moment at which a replacement that waits may begin, or a trial is over.
func (p *pool) nextRoll(next *time.Time) {
	if p.startsWait(time.Now()) {
		sooner(next, p.retry.at)
	}
	if p.isBeingLaid(time.Now()) {
		sooner(next, p.laid.Add(takeOverPatience))
	}
	if t := p.trial; t != nil && time.Now().Before(t.until) {
		sooner(next, t.until)
	}
}

// startsWait tells whether starts have failed, and the next one is to be later.
func (p *pool) startsWait(now time.Time) bool { return p.retry.failures > 0 && now.Before(p.retry.at) }

func (p *pool) countOutdated() int {
	n := 0
	for _, w := range p.workers() {
		if p.outdated(w) && !w.letGo {
			n++
		}
	}
	return n
}
