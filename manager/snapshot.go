package manager

import (
	"cmp"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
)

// Snapshot is the fleet at one moment. It is a value of its own that never
// changes.
type Snapshot struct {
	At      time.Time
	Reload  ReloadStatus
	Servers []ServerStatus
	Pools   []PoolStatus // as in the plan
}

// ReloadStatus is what is known of changes of config and programs.
type ReloadStatus struct {
	At       time.Time        // of the last reload that changed something; zero: none did
	Problems []config.Problem // of config and programs as the disk holds them; with errors in the config the one before holds
	Refused  bool             // the config on disk has errors and does not hold
	Polling  string           // why changes are only looked for twice a minute; empty if they are told
}

// ServerStatus is a job server as the fleet sees it.
type ServerStatus struct {
	Address string
	Slots   int       // that are registered with it
	Lost    time.Time // since when no slot reaches it; zero otherwise
	Err     string    // why
}

// PoolStatus is a pool.
type PoolStatus struct {
	Name      string
	Shared    bool
	Kind      Kind
	Functions []string
	Slots     int    // planned
	Origin    string // where that number comes from, for people
	Scaled    bool   // it was scaled by hand
	Program   string // path; empty for a pool of several
	Version   string // that the program says it has
	Hash      string // of the code that new workers run
	Paused    []string
	Drained   []string // functions whose workers were told to leave by hand
	Outdated  int      // workers that run another code or other settings than new ones
	Fault     string   // why a change of the pool is not applied, or what the disk holds is not taken; empty if there is nothing
	Leaving   bool     // it is not in the plan any more
	Runs      bool     // false: workers of this kind are not run yet
	Workers   []WorkerStatus
	// JobsUnknown is set for standalone workers: Done, Failed and the jobs in hand are
	// not known of them.
	JobsUnknown bool
	Done        uint64 // jobs performed by all its workers, failed ones included
	Failed      uint64
	Failures    int       // starts that failed in a row
	NextTry     time.Time // when the next start may be, if they fail; zero with GaveUp
	GaveUp      bool      // none is, before the program changes or somebody says so
}

// WorkerStatus is a worker, or a place in the pool that waits for one. While a
// worker retires, its successor has the same name and another PID.
type WorkerStatus struct {
	first  int                 // number of its first slot
	memory func(pid int) int64 // what of it counts

	Name     string // "pool/number"
	PID      int    // 0: there is no process
	State    State
	Slots    int
	Ready    int // slots that are registered with a server
	Servers  int // servers that at least one slot is registered with
	Jobs     []JobInHand
	Since    time.Time // of its hello, or of the decision to start it
	Done     uint64    // jobs of this process, failed ones included
	Failed   uint64
	Restarts int    // how often the place got another worker
	LastExit string // how the one before ended; empty if there was none
	Retires  string // why it leaves, if it does
	Version  string // that its program says it has
	Hash     string // of its code
	Outdated bool   // it is to be replaced
	RSS      int64  // bytes of memory of its own; 0: not known
	Stopped  bool   // a signal has stopped it; it is killed unless it is continued
}

// Snapshot returns the fleet as it is now. It blocks for no longer than the pools
// take to look at themselves. The memory of workers is not in it.
func (m *Manager) Snapshot() Snapshot { return m.snapshot(false) }

// SnapshotWithMemory is Snapshot with the memory of workers, for which the kernel is
// asked for each: some ten microseconds a worker.
func (m *Manager) SnapshotWithMemory() Snapshot { return m.snapshot(true) }

func (m *Manager) snapshot(memory bool) Snapshot {
	m.mu.Lock()
	state, pools := m.state, m.pools
	m.mu.Unlock()
	s := Snapshot{At: time.Now(), Reload: state.reload, Servers: m.reach.status(addresses(state.servers))}
	s.Reload.Problems = slices.Clone(s.Reload.Problems)
	if state.plan == nil {
		return s
	}
	for i := range state.plan.Pools {
		plan := &state.plan.Pools[i]
		if p := poolOfKey(pools, plan.key()); p != nil {
			s.Pools = append(s.Pools, p.current(memory))
		} else {
			s.Pools = append(s.Pools, planned(plan))
		}
	}
	for _, p := range pools {
		if p.isLeaving() {
			s.Pools = append(s.Pools, p.current(memory))
		}
	}
	drained := m.controls.drained()
	for i := range s.Pools {
		p := &s.Pools[i]
		for _, f := range append([]string{p.Name}, p.Functions...) {
			if slices.Contains(drained, f) && !slices.Contains(p.Drained, f) {
				p.Drained = append(p.Drained, f)
			}
		}
		p.Paused = slices.DeleteFunc(slices.Clone(p.Paused), func(f string) bool { return slices.Contains(p.Drained, f) })
	}
	return s
}

// current is the pool's status now, or as it was at its end.
func (p *pool) current(memory bool) PoolStatus {
	st, ok := ask(p, p.status)
	if !ok {
		st = p.final // which others may be given too
		st.Functions, st.Drained, st.Workers = slices.Clone(st.Functions), slices.Clone(st.Drained), slices.Clone(st.Workers)
		return st
	}
	for i := range st.Workers {
		if w := &st.Workers[i]; memory && w.PID > 0 {
			w.RSS = w.memory(w.PID)
		}
	}
	return st
}

// status describes the pool. It is called by the loop.
func (p *pool) status() PoolStatus {
	s := planned(p.plan())
	s.Runs, s.Leaving, s.Fault = true, p.leaves || p.isLeaving(), cmp.Or(p.fault, s.Fault)
	s.Paused, s.Outdated = p.edition.assigned.pausedOf(), p.countOutdated()
	total := p.totals()
	s.Done, s.Failed, s.Failures = total.done, total.failed, p.retry.failures
	if p.retry.failures > 0 && !p.retry.gaveUp {
		s.NextTry = p.retry.at
	}
	s.GaveUp = p.retry.gaveUp
	taken := p.numbers()
	for pl := range p.allPlaces() {
		for _, w := range pl.leaving {
			s.Workers = append(s.Workers, p.workerStatus(w))
		}
		switch {
		case pl.worker != nil:
			s.Workers = append(s.Workers, p.workerStatus(pl.worker))
		case !p.stopping && slices.Contains(p.places, pl):
			s.Workers = append(s.Workers, p.vacancy(pl, taken))
		}
	}
	slices.SortStableFunc(s.Workers, func(a, b WorkerStatus) int { return cmp.Compare(a.first, b.first) })
	return s
}

// vacancy describes a place without a worker, under a name that its next one may
// have.
func (p *pool) vacancy(pl *place, taken map[int]bool) WorkerStatus {
	first := p.number(taken)
	taken[first] = true
	state := StateBackoff
	if p.retry.gaveUp {
		state = StateFailed
	}
	return pl.status(workerName(p.plan().Name, first), first, state)
}

// lastLines returns what a worker printed last.
func (p *pool) lastLines(worker string) []string {
	for _, w := range p.workers() {
		if w.name == worker && w.proc != nil {
			return w.proc.LastLines()
		}
	}
	return nil
}

// planned is the status of a pool that has not begun.
func planned(plan *PoolPlan) PoolStatus {
	s := PoolStatus{
		Name: plan.Name, Shared: plan.Shared, Kind: plan.Kind, Slots: plan.Slots, JobsUnknown: plan.Kind == KindStandalone,
		Origin: plan.Origin, Scaled: plan.Scaled, Program: plan.Program, Version: plan.Version, Hash: plan.Hash,
		Fault: plan.Fault,
	}
	for _, f := range plan.Functions {
		s.Functions = append(s.Functions, f.Name)
	}
	return s
}

func (pl *place) status(name string, first int, state State) WorkerStatus {
	return WorkerStatus{
		Name: name, first: first, State: state, Slots: pl.slots, Restarts: max(0, pl.starts-1), LastExit: pl.lastExit,
	}
}

func (p *pool) workerStatus(w *worker) WorkerStatus {
	s := w.place.status(w.name, w.first, w.state)
	s.Slots, s.Stopped = w.size(), !w.stoppedUntil.IsZero()
	s.Version, s.Hash = w.told.plan.Version, w.told.plan.Hash
	s.Outdated, s.memory = p.outdated(w) && !w.letGo, w.edition.memory
	s.PID, s.Retires, s.Since = w.pid, w.retired, w.launched
	if !w.ready.IsZero() {
		s.Since = w.ready
	}
	servers := map[string]bool{}
	for _, slot := range w.slots[:w.used] {
		ready := false
		for server, registered := range slot.connected {
			if registered {
				ready, servers[server] = true, true
			}
		}
		if ready {
			s.Ready++
		}
	}
	s.Servers = len(servers)
	if !p.holds() && w.state == StateReady {
		s.Ready = s.Slots // as far as can be known
	}
	for _, j := range p.inHand(w) {
		s.Jobs = append(s.Jobs, j.status(w))
	}
	count := w.table.count(w.records).minus(w.base)
	s.Done, s.Failed = count.done, count.failed
	return s
}
