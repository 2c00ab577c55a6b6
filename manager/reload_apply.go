package manager

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
)

// takeOverPatience is how long a pool that is not in the plan any more works on until
// workers of another that performs its functions are registered: one whose kind has
// changed, or whose function has moved.
const takeOverPatience = 10 * time.Second

// apply makes the fleet what a plan says: everything that can fail is done before
// anything that lives is touched. roll tells which pools are rolled though nothing has
// changed; nil: none is.
func (m *Manager) apply(f found, roll func(*PoolPlan) bool) (changes []PoolChange, err error) {
	m.inFleet(func(ctx context.Context) {
		a := &applying{manager: m, found: f, roll: roll}
		a.changeServers()
		a.assembly = &assembly{manager: m, servers: a.servers}
		a.gate = m.gate
		if err = a.prepare(ctx); err == nil {
			a.carryOut(ctx)
		}
		changes = a.changes
	})
	return changes, err
}

// applying is one apply.
type applying struct {
	manager  *Manager
	found    found
	roll     func(*PoolPlan) bool
	servers  []jobServer
	moved    bool // servers are others
	assembly *assembly
	gate     gate
	changes  []PoolChange

	added   []*pool
	changed []plannedChange
	removed []*pool
}

type plannedChange struct {
	pool   *pool
	change poolChange
}

// changeServers finds whether the list of job servers is another.
func (a *applying) changeServers() {
	m := a.manager
	wanted, err := normalized(a.found.servers)
	was := m.jobServers()
	if err != nil || len(wanted) == 0 || slices.Equal(wanted, addresses(was)) {
		a.servers = was
		return
	}
	a.moved = true
	a.servers = m.reach.want(wanted)
	added, removed := difference(wanted, addresses(was))
	m.emit(ServersChanged{Added: added, Removed: removed})
	m.mu.Lock()
	m.state.servers = a.servers
	m.mu.Unlock()
}

// prepare does everything that can fail.
func (a *applying) prepare(ctx context.Context) error {
	m := a.manager
	pools := m.running()
	wanted := map[poolKey]bool{}
	before := 0 // workers of the pools before
	for i := range a.found.plan.Pools {
		next := &a.found.plan.Pools[i]
		wanted[next.key()] = true
		if p := poolOfKey(pools, next.key()); p != nil {
			a.change(ctx, p, next)
			continue
		}
		if err := a.add(ctx, next, before); err != nil {
			return err
		}
		before += next.Workers
	}
	for _, p := range pools {
		if !wanted[p.plan().key()] && !p.isLeaving() {
			a.removed = append(a.removed, p)
			a.tell(p.plan().Name, "removed")
		}
	}
	return nil
}

// poolOfKey finds the pool that runs under a key.
func poolOfKey(pools []*pool, key poolKey) *pool {
	for _, p := range pools {
		if p.plan().key() == key && !p.isLeaving() {
			return p
		}
	}
	return nil
}

func (a *applying) tell(pool string, what ...string) {
	a.changes = append(a.changes, PoolChange{Pool: pool, What: what})
}

// add makes a pool that there was not.
func (a *applying) add(ctx context.Context, next *PoolPlan, before int) error {
	m := a.manager
	if len(next.Functions) == 0 {
		return nil
	}
	first, err := a.assembly.edition(ctx, next)
	if err != nil {
		m.emit(PoolNotRun{Pool: next.Name, Kind: next.Kind, Slots: next.Slots, Err: m.whyNot(next.Kind)})
		return nil
	}
	first.assigned = &assignment{
		plan: next, numbers: number(nil, next), servers: a.servers, verbosity: m.verbosity(next),
		maxData: a.found.settings.MaxJobSize(), paused: m.paused(),
	}
	splay := a.found.settings.InitialSpawnSplay()
	p, err := newPool(poolConfig{
		host: m.cfg.Hostname, newRecords: m.newRecords,
		delay:  func(n int) time.Duration { return time.Duration(before+n) * splay },
		retake: m.retaker(next.Kind), note: m.noteProcess, forget: m.roster.drop, tell: m.tell,
		gate: a.gate, ledger: m.ledger, reach: m.reach, emit: m.emit,
		random: rand.Float64, clock: jobrecord.Now,
	}, first)
	if err != nil {
		first.close()
		return err
	}
	a.added = append(a.added, p)
	a.tell(next.Name, fmt.Sprintf("new, %s", inSlots(next.Slots)))
	return nil
}

func inSlots(n int) string {
	if n == 1 {
		return "1 slot"
	}
	return fmt.Sprintf("%d slots", n)
}

// newRecords makes a table of job records in a file of its own.
func (m *Manager) newRecords(n int) (*recordTable, error) {
	return newRecordTable(filepath.Join(m.dir.path, fmt.Sprintf("records%d", m.tables.Add(1))), n)
}

// change plans what becomes of a pool that runs.
func (a *applying) change(ctx context.Context, p *pool, next *PoolPlan) {
	m := a.manager
	was, _ := ask(p, p.wants)
	if was.plan == nil {
		return // it has ended
	}
	c := poolChange{
		plan: next, servers: a.servers, verbosity: m.verbosity(next), maxData: a.found.settings.MaxJobSize(), paused: m.paused(),
	}
	reasons := rollReasons(was.plan, next)
	what := changesOf(was.plan, next)
	if a.moved && next.Kind == KindStandalone {
		reasons = append(reasons, "job servers")
		what = append(what, "job servers")
	}
	if c.maxData != was.maxData {
		reasons = append(reasons, "max_job_size")
		what = append(what, "max_job_size")
	}
	if len(reasons) == 0 && a.roll != nil && a.roll(next) {
		reasons = append(reasons, "restart")
	}
	switch {
	case len(reasons) == 0:
	case !slices.Contains(reasons, "restart") && len(rollReasons(p.plan(), next)) == 0 && len(what) > 0 && was.fault:
		c.settle = true // what runs is what is wanted again
	default:
		var err error
		if c.fresh, err = a.assembly.edition(ctx, next); err != nil {
			m.emit(PoolRollFailed{Pool: next.Name, Why: reasons, Err: err})
			c.fault = err.Error()
		} else {
			c.fresh.why = reasons
			what = append(what, "workers are replaced one after another")
		}
	}
	if len(what) > 0 {
		a.tell(next.Name, what...)
	}
	a.changed = append(a.changed, plannedChange{p, c})
}

// carryOut does what was planned: what is new comes before what goes.
func (a *applying) carryOut(ctx context.Context) {
	m := a.manager
	first := m.now().plan == nil
	for _, c := range a.changes {
		if !first {
			m.emit(PoolChanged(c))
		}
	}
	m.mu.Lock()
	m.pools = append(slices.Clone(m.pools), a.added...)
	m.mu.Unlock()
	for _, p := range a.added {
		m.background.Go(func() {
			p.run(ctx)
			m.ended(p)
		})
	}
	for _, c := range a.changed {
		_, _ = ask(c.pool, func() bool {
			c.pool.change(ctx, c.change)
			return true
		})
	}
	for _, p := range a.removed {
		p.goes.Store(true)
		m.background.Go(func() { m.remove(ctx, p, a.takers(p)) })
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

// remove lets a pool go once those that take over from it have a worker that is
// registered with a job server.
func (m *Manager) remove(ctx context.Context, p *pool, takers []*pool) {
	patience, cancel := context.WithTimeout(ctx, takeOverPatience)
	defer cancel()
	for _, other := range takers {
		select {
		case <-other.registered:
		case <-other.done:
		case <-m.stopping:
		case <-patience.Done():
		}
	}
	p.post(func() { p.leave(ctx) })
}

// ended forgets a pool that was removed.
func (m *Manager) ended(p *pool) {
	if !p.isLeaving() {
		return
	}
	m.mu.Lock()
	m.pools = slices.DeleteFunc(slices.Clone(m.pools), func(other *pool) bool { return other == p })
	m.mu.Unlock()
	for _, t := range append(p.before, p.records) {
		t.remove()
	}
}

// gateOf is the gate for the starts of a config.
func gateOf(cfg Config, settings *config.Config) gate {
	return newGate(cmp.Or(cfg.StartConcurrency, settings.StartConcurrency()))
}
