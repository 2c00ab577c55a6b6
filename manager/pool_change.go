package manager

import (
	"context"
	"slices"
)

// poolChange is what a pool is to be from now on.
type poolChange struct {
	plan      *PoolPlan
	servers   []jobServer
	verbosity int
	maxData   int64
	paused    []string // functions, sorted
	// fresh is what the workers are to be replaced by; nil if they need not be.
	fresh *edition
	// settle is set where what runs is what is wanted: a trial that has not ended, or has
	// failed, is forgotten.
	settle bool
	// fault is why there is no fresh though it is wanted.
	fault string
}

// Why a worker leaves with which nothing is wrong.
const (
	retireReload  = "reload" // it is replaced by one that is started anew
	retireScaled  = "scaled down"
	retireRemoved = "removed" // with its pool
	retireStop    = "stop"
)

// isOurs tells whether it was not the worker that decided to leave.
func isOurs(reason string) bool {
	switch reason {
	case retireReload, retireScaled, retireRemoved, retireStop:
		return true
	default:
		return false
	}
}

// wish is what a pool was changed to last.
type wish struct {
	plan    *PoolPlan
	maxData int64
	fault   bool // or is being tried
}

func (p *pool) wants() wish {
	return wish{plan: p.wanted.plan, maxData: p.wanted.maxData, fault: p.fault != "" || p.trial != nil}
}

// change makes the pool what it is to be. Everything that a running worker can be told
// holds at once.
func (p *pool) change(ctx context.Context, c poolChange) {
	if p.stopping || p.leaves {
		if c.fresh != nil {
			p.helpers.Go(c.fresh.close)
		}
		return
	}
	for _, e := range p.editions() {
		s := e.assigned.with(c.plan, number(p.functions.numbers, c.plan))
		s.servers, s.verbosity, s.maxData, s.paused = c.servers, c.verbosity, c.maxData, c.paused
		e.assigned = s
	}
	p.functions.learn(c.plan, p.cfg.clock())
	p.learn(p.edition.assigned)
	if c.fresh != nil {
		c.fresh.assigned = &assignment{
			plan: c.plan, numbers: p.functions.numbers, servers: c.servers, verbosity: c.verbosity, maxData: c.maxData, paused: c.paused,
		}
		p.try(ctx, c.fresh)
	}
	if c.settle {
		p.endTrial(ctx)
		p.fault = ""
	}
	if c.fault != "" {
		p.fault = c.fault
	}
	c.fresh = nil
	p.wanted = c
	p.lay(ctx)
}

// learn makes settings those of the pool.
func (p *pool) learn(s *assignment) {
	p.functions.learn(s.plan, p.cfg.clock())
	p.now.Store(s.plan)
}

// editions are all that some worker has or may get.
func (p *pool) editions() []*edition {
	all := append(slices.Clone(p.old), p.edition)
	if p.trial != nil {
		all = append(all, p.trial.edition)
	}
	return all
}

// leave makes all workers leave when their jobs are done, and then the pool end.
func (p *pool) leave(ctx context.Context) {
	if p.stopping || p.leaves {
		return
	}
	p.leaves = true
	for _, w := range p.workers() {
		p.dismiss(ctx, w, retireRemoved)
	}
}

// dismiss tells a worker to leave that nothing is wrong with: its last job may take as
// long as any.
func (p *pool) dismiss(ctx context.Context, w *worker, reason string) {
	w.rolls = false
	if w.state == StateDraining && !w.rests && w.proc != nil {
		return // it leaves by itself, because of a fault
	}
	if w.proc == nil || w.letGo {
		if !w.letGo {
			p.drain(ctx, w, reason)
		}
		return
	}
	if state, ok := w.state.next(triggerDrain); ok {
		w.state, w.retired = state, reason
	}
	w.rests = true
	p.drainRested(ctx, w)
}
