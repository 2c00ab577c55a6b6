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

// apply makes the fleet what a plan says: everything that can fail, and for which ctx is
// the end, is done before anything that lives is touched. roll tells which pools are
// rolled though nothing has changed; nil: none is.
func (m *Manager) apply(ctx context.Context, f found, roll func(*PoolPlan) bool) ([]PoolChange, error) {
	a := &applying{manager: m, found: f, roll: roll, notRun: map[poolKey]string{}}
	a.changeServers()
	a.assembly = &assembly{manager: m, servers: a.servers, maxData: f.settings.MaxJobSize()}
	err := a.prepare(ctx)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		a.abandon()
		return nil, err
	}
	m.inFleet(a.carryOut)
	return a.changes, nil
}

// applying is one apply.
type applying struct {
	manager  *Manager
	found    found
	roll     func(*PoolPlan) bool
	servers  []jobServer
	moved    bool // servers are others
	assembly *assembly
	changes  []PoolChange
	notRun   map[poolKey]string // why

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
	a.servers = m.jobServers()
	if err != nil || len(wanted) == 0 || slices.Equal(wanted, addresses(a.servers)) {
		return
	}
	a.moved = true
	a.servers = m.reach.want(wanted)
}

// abandon gives up what was prepared.
func (a *applying) abandon() {
	m := a.manager
	if a.moved {
		m.reach.want(addresses(m.jobServers()))
	}
	for _, p := range a.added {
		p.edition.close()
		p.records.remove()
	}
	for _, c := range a.changed {
		if c.change.fresh != nil {
			c.change.fresh.close()
		}
	}
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

// add makes a pool that there was not. The first pools fail together, later ones each for
// itself.
func (a *applying) add(ctx context.Context, next *PoolPlan, before int) error {
	m := a.manager
	if len(next.Functions) == 0 {
		return nil
	}
	first, err := a.assembly.edition(next)
	if err != nil {
		a.notAdded(next, err)
		return nil
	}
	_ = a.assembly.warm(ctx, next) // its workers tell what is wrong, and are tried again
	first.assigned = &assignment{
		plan: next, numbers: number(nil, next), servers: a.servers, verbosity: m.verbosity(next),
		maxData: first.maxData, paused: m.paused(),
	}
	splay := a.found.settings.InitialSpawnSplay()
	p, err := newPool(poolConfig{
		host: m.cfg.Hostname, newRecords: m.newRecords,
		delay:  func(n int) time.Duration { return time.Duration(before+n) * splay },
		retake: m.retaker(next.Kind), note: m.noteProcess, forget: m.roster.drop, tell: m.tell,
		gate: m.gate, ledger: m.ledger, reach: m.reach, emit: m.emit,
		random: rand.Float64, clock: jobrecord.Now,
	}, first)
	if err != nil {
		first.close()
		if m.now().plan == nil {
			return err
		}
		a.notAdded(next, err)
		return nil
	}
	a.added = append(a.added, p)
	a.tell(next.Name, fmt.Sprintf("new, %s", inSlots(next.Slots)))
	return nil
}

// notAdded tells of a pool that cannot be run, once for each reason.
func (a *applying) notAdded(next *PoolPlan, err error) {
	a.notRun[next.key()] = err.Error()
	if a.manager.notRun[next.key()] != err.Error() {
		a.manager.emit(PoolNotRun{Pool: next.Name, Kind: next.Kind, Slots: next.Slots, Err: err})
	}
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

// asRun is what a pool was changed to last, and what its workers are started from.
type asRun struct {
	wish
	from *edition
}

func (p *pool) asRun() asRun { return asRun{wish: p.wants(), from: p.edition} }

// change plans what becomes of a pool that runs.
func (a *applying) change(ctx context.Context, p *pool, next *PoolPlan) {
	m := a.manager
	was, ok := ask(p, p.asRun)
	if !ok {
		return // it has ended
	}
	c := poolChange{
		plan: next, servers: a.servers, verbosity: m.verbosity(next), maxData: a.assembly.maxData, paused: m.paused(),
	}
	what := changesOf(was.plan, next)
	more := a.notTold(was, next) // which is no business of its plan
	reasons := append(rollReasons(was.plan, next), more...)
	what = append(what, more...)
	asked := a.roll != nil && a.roll(next)
	if len(reasons) == 0 && asked {
		reasons = []string{"restart"}
	}
	switch {
	case len(reasons) == 0:
	case !asked && was.fault && a.runsAlready(p, was, next):
		c.settle = true
	default:
		if a.renew(ctx, next, reasons, &c) {
			what = append(what, "workers are replaced one after another")
		}
	}
	if len(what) > 0 {
		a.tell(next.Name, what...)
	}
	a.changed = append(a.changed, plannedChange{p, c})
}

// notTold are changes beside the plan that workers which run cannot be told of.
func (a *applying) notTold(was asRun, next *PoolPlan) (what []string) {
	if a.moved && next.Kind == KindStandalone {
		what = append(what, "job servers")
	}
	if a.assembly.maxData != was.maxData {
		what = append(what, "max_job_size")
	}
	return what
}

// runsAlready tells whether what workers are started from is what is wanted, so that a
// trial of something else, or its failure, may be forgotten.
func (a *applying) runsAlready(p *pool, was asRun, next *PoolPlan) bool {
	return len(rollReasons(p.plan(), next)) == 0 && was.from.maxData == a.assembly.maxData &&
		(next.Kind != KindStandalone || slices.Equal(was.from.servers, addresses(a.servers)))
}

// renew makes what workers are to be replaced by, and tells whether it can.
func (a *applying) renew(ctx context.Context, next *PoolPlan, reasons []string, c *poolChange) bool {
	fresh, err := a.assembly.edition(next)
	if err == nil {
		if err = a.assembly.warm(ctx, next); err != nil {
			fresh.close()
		}
	}
	if err != nil {
		c.fault = err.Error()
		if ctx.Err() == nil {
			a.manager.emit(PoolRollFailed{Pool: next.Name, Why: reasons, Err: err})
		}
		return false
	}
	fresh.why = reasons
	c.fresh = fresh
	return true
}

// carryOut does what was planned: what is new comes before what goes.
func (a *applying) carryOut(ctx context.Context) {
	m := a.manager
	a.say()
	m.notRun = a.notRun
	m.mu.Lock()
	m.state.servers = a.servers
	m.pools = append(slices.Clone(m.pools), a.added...)
	pools := m.pools
	m.mu.Unlock()
	for _, p := range a.added {
		m.background.Go(func() {
			p.run(ctx)
			m.ended(p)
		})
	}
	for _, c := range a.changed {
		_, ok := ask(c.pool, func() bool {
			c.pool.change(ctx, c.change)
			return true
		})
		if !ok && c.change.fresh != nil {
			c.change.fresh.close()
		}
	}
	a.remove(ctx)
	for _, p := range pools {
		if p.isLeaving() {
			a.remind(ctx, p)
		}
	}
}

// say tells what is done, unless it is the beginning.
func (a *applying) say() {
	m := a.manager
	if m.now().plan == nil {
		return
	}
	if a.moved {
		added, removed := difference(addresses(a.servers), addresses(m.jobServers()))
		m.emit(ServersChanged{Added: added, Removed: removed})
	}
	for _, c := range a.changes {
		m.emit(PoolChanged(c))
	}
}

// gateOf is the gate for the starts of a config.
func gateOf(cfg Config, settings *config.Config) gate {
	return newGate(cmp.Or(cfg.StartConcurrency, settings.StartConcurrency()))
}
