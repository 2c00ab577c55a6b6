package manager

import (
	"context"
	"slices"
	"time"
)

// takeOverPatience is how long a pool that is not in the plan any more works on until a
// standalone program that performs its functions is ready: when it is registered, nobody
// knows.
const takeOverPatience = 10 * time.Second

// removal is a pool that is not in the plan any more, and works on until those that
// perform its functions from now on can: its kind has changed, or a function has moved.
type removal struct {
	pool   *pool
	takers []*pool
	cancel context.CancelFunc // lets it wait no more
}

// remove lets the pools go that are not in the plan any more.
func (a *applying) remove(ctx context.Context) {
	m := a.manager
	for _, p := range a.removed {
		p.goes.Store(true)
		waiting, cancel := context.WithCancel(ctx)
		r := &removal{pool: p, takers: a.takers(p), cancel: cancel}
		m.removals = append(m.removals, r)
		m.background.Go(func() {
			defer cancel()
			for _, other := range r.takers {
				m.awaitTaker(waiting, other)
			}
			p.post(func() { p.leave(ctx) })
		})
	}
	m.removals = slices.DeleteFunc(m.removals, func(r *removal) bool {
		none := !slices.ContainsFunc(r.takers, func(p *pool) bool { return p.plan().Workers > 0 })
		if none { // are to take over any more: there is nothing to wait for
			r.cancel()
		}
		return none || isOver(r.pool.done)
	})
}

func isOver(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// takers are the new pools that perform functions of one that goes.
func (a *applying) takers(p *pool) (takers []*pool) {
	for _, other := range a.added {
		if slices.ContainsFunc(other.plan().Functions, func(f FunctionPlan) bool { return p.performs(f.Name) }) && other.plan().Workers > 0 {
			takers = append(takers, other)
		}
	}
	return takers
}

// awaitTaker waits until a pool has a worker that is registered with a job server. One
// whose workers cannot be started never has, and what it was to replace goes on.
func (m *Manager) awaitTaker(ctx context.Context, taker *pool) {
	if taker.plan().Kind == KindStandalone {
		patience, cancel := context.WithTimeout(ctx, takeOverPatience)
		defer cancel()
		ctx = patience
	}
	select {
	case <-taker.registered:
	case <-taker.done:
	case <-m.stopping:
	case <-ctx.Done():
	}
}

// remind has a pool that is to go heed what holds for all while it works on.
func (a *applying) remind(ctx context.Context, p *pool) {
	m := a.manager
	_, _ = ask(p, func() bool {
		c := p.wanted
		c.servers, c.paused, c.verbosity = a.servers, m.paused(), m.verbosity(c.plan)
		c.settle, c.fault = false, ""
		p.change(ctx, c)
		return true
	})
}

// ended gives up what a pool that was removed has left.
func (m *Manager) ended(p *pool) {
	if !p.isLeaving() {
		return
	}
	m.mu.Lock()
	m.pools = slices.DeleteFunc(slices.Clone(m.pools), func(other *pool) bool { return other == p })
	m.mu.Unlock()
	for _, e := range p.editions() {
		e.close()
	}
	for _, t := range append(p.before, p.records) {
		t.remove()
	}
}
