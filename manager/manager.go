package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// ExecArg is the argument that makes this project's own binary a worker that
// starts an executable for each job.
const ExecArg = "worker-exec"

// ExecKeepGroupArg is an argument after it that spares what an executable leaves
// running when its job is over.
const ExecKeepGroupArg = "keep-group"

// ErrStarted is the error of a second Start.
var ErrStarted = errors.New("manager was started before")

// ErrNothingToRun is the error of a Start that found no worker that it can run.
// What is missing or broken has been told in events.
var ErrNothingToRun = errors.New("there is nothing to run")

// Config says what a Manager works with.
type Config struct {
	// Settings is the config file. Required.
	Settings *config.Config
	// Reload reads the config again, with the same command line. If it is nil, Settings hold for good.
	Reload func(context.Context) (*config.Config, []config.Problem)
	// Servers are the job servers, as host:port. Those of Settings if nil.
	Servers []string
	// Plan is what to run. If it is nil, Start looks for the programs and makes one.
	Plan *Plan
	// Self is the path of this project's binary, which executables are run with.
	// That of this process if empty.
	Self string
	// Env is the environment of the workers. That of this process if nil, without
	// what its service manager meant for it alone.
	Env []string
	// Hostname begins the client ids that job servers show. The machine's name if
	// empty.
	Hostname string
	// StartConcurrency is how many workers are started at a time. What Settings says
	// if zero, and two for each processor if that is zero too.
	StartConcurrency int
	// KeepState has suspect jobs survive a restart also where Settings names no
	// state directory: a usual one is chosen. Without it, nothing is kept then.
	KeepState bool
	// Logger gets a line for each event.
	Logger zerolog.Logger
	// OnEvent is given each event too. It is called from many goroutines, must
	// return soon, and must not call the manager. May be nil.
	OnEvent func(Event)
}

// Manager runs a fleet of workers. Its methods may be called from any goroutine.
// There is one at a time in a process.
//
// One goroutine owns each pool: which workers it has, in which state, and when it
// looks at them next. Everything that happens to a worker reaches it in order:
//
//	one for each worker                      one for each pool
//	start ─► hello ─► events ─► exit  ──►  fill, decide, tell, kill  ──►  Event ─► log
//	                                          │ sleeps until the next moment at
//	                                          ▼ which something may be due
//	                               ledger of suspect jobs, servers that are lost,
//	                               gate for starts: shared by the pools
//
// It never waits for a worker: starting one and calling one is done by goroutines
// that end with the call. A manager whose workers are idle does not wake up.
//
// A place in a pool has one worker after another. The successor of a worker that
// retires is started when it says so; that of one that crashed with a job in hand,
// or after a while without, at once, though not twice in 100 ms. Exits before a
// worker was ready, or soon after, count as failed starts of the whole pool: it
// waits longer each time, and after the second one place tries for all.
//
// What a dead worker had in hand stands in its job records. The job is charged, all
// workers that perform its function are told, and only then is the record free for
// another worker.
type Manager struct {
	cfg     Config
	env     []string
	servers []string
	sup     *supervisor.Supervisor
	dir     *runDir
	roster  *roster
	host    *host.Host
	php     *interpreter
	ledger  *ledger
	reach   *servers
	events  *stream
	keeper  *keeper // nil before Start, and if no state is kept; guarded by mu

	background sync.WaitGroup // pool loops, and those that deal with leftovers

	mu       sync.Mutex
	started  bool
	plan     *Plan
	pools    []*pool // of those that run
	cancel   context.CancelFunc
	stopping chan struct{} // closed when Stop was called
	stopped  chan struct{} // closed when it is over
	stopErr  error         // valid then
	hurried  int
}

// New prepares a manager: it becomes the parent of all that its workers leave
// behind, and makes its runtime directory. No worker is started. A manager has to
// be stopped.
func New(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg: cfg, env: workerEnv(cfg.Env), ledger: newLedger(maxSuspects),
		events:   newStream(cfg.Logger, cfg.OnEvent, pastEvents),
		stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	for _, h := range cfg.Servers {
		address, err := gearclient.NormalizeAddr(h)
		if err != nil {
			return nil, fmt.Errorf("create manager: %w", err)
		}
		if !slices.Contains(m.servers, address) {
			m.servers = append(m.servers, address)
		}
	}
	m.reach = newServers(m.servers, m.emit)
	m.php = &interpreter{name: cfg.Settings.PHP(), open: m.openPHP}
	if err := m.open(); err != nil {
		m.close()
		return nil, fmt.Errorf("create manager: %w", err)
	}
	return m, nil
}

func (c Config) withDefaults() (Config, error) {
	if c.Settings == nil {
		return c, errors.New("create manager: internal error: no settings")
	}
	if c.Servers == nil {
		c.Servers = c.Settings.Hosts()
	}
	var err error
	if c.Self == "" {
		if c.Self, err = os.Executable(); err != nil {
			return c, fmt.Errorf("create manager: find own binary: %w", err)
		}
	}
	if c.Hostname == "" {
		if c.Hostname, err = os.Hostname(); err != nil {
			return c, fmt.Errorf("create manager: find name of this machine: %w", err)
		}
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	return c, nil
}

// workerEnv drops what a service manager gave to this process alone: a worker that
// spoke to it in our name would confuse it.
func workerEnv(env []string) []string {
	own := []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		key, _, _ := strings.Cut(entry, "=")
		return slices.Contains(own, key)
	})
}

// open makes what close gives back.
func (m *Manager) open() (err error) {
	if m.dir, err = makeRunDir(m.cfg.Settings.RuntimeDir()); err != nil {
		return err
	}
	if m.roster, err = newRoster(m.dir.path); err != nil {
		return err
	}
	m.sup, err = supervisor.New(supervisor.Config{
		Subreaper: true, OnOrphan: func(e supervisor.Exit) { m.emit(OrphanReaped{Exit: e}) },
		// The reaper must not wait for a pool; the goroutine ends with the call.
		OnStopped: func(p *supervisor.Process, _ bool) { go m.noteStopped(p) },
	})
	if err != nil {
		return err
	}
	m.host, err = host.New(host.Config{Supervisor: m.sup, Dir: m.dir.path})
	if err != nil {
		_ = m.sup.Stop(context.Background()) //nolint:forbidigo // it has started nothing, and ends at once
	}
	return err
}

// close gives back what open made. The supervisor is stopped by Stop.
func (m *Manager) close() {
	m.reach.close()
	m.closeState()
	if m.roster != nil {
		_ = m.roster.close() // it is removed
	}
	if m.dir != nil {
		_ = m.dir.remove() // what cannot be removed is a dead manager's to the next
	}
}

// emit tells of an event.
func (m *Manager) emit(e Event) { m.events.emit(e) }

// Describer returns what asks plugins for their functions. It works until the
// manager is stopped.
func (m *Manager) Describer() Describer { return describer{host: m.host, env: m.env} }

// Inspector returns what finds PHP files that cannot be run. It works until the
// manager is stopped.
func (m *Manager) Inspector() Inspector { return m.php }

// Dir is the runtime directory of this manager. It is removed by Stop.
func (m *Manager) Dir() string { return m.dir.path }

// MakePlan looks for the programs and plans the fleet. It blocks while plugins are
// asked what they perform and PHP files are loaded to find those that are broken.
// Nothing else is started.
func (m *Manager) MakePlan(ctx context.Context) (*Plan, []config.Problem) {
	programs, problems := Scan(ctx, m.cfg.Settings, m.Describer(), m.Inspector())
	plan, more := NewPlan(m.cfg.Settings, programs)
	problems = append(problems, more...)
	return plan, append(problems, CheckLimits(m.cfg.Settings, plan)...)
}

// Start starts the fleet and returns when all pools have begun to. It does not
// wait for workers to be ready; events and Snapshot tell that. The fleet lives on
// when ctx ends, which ends only Start itself. Problems of single programs are
// events; if none is left to run, the error is [ErrNothingToRun]. After an error
// the manager still has to be stopped.
func (m *Manager) Start(ctx context.Context) error {
	m.mu.Lock()
	again := m.started
	m.started = true
	m.mu.Unlock()
	if again {
		return ErrStarted
	}
	if err := m.openState(); err != nil {
		return fmt.Errorf("start manager: %w", err)
	}
	plan := m.cfg.Plan
	if plan == nil {
		var problems []config.Problem
		plan, problems = m.MakePlan(ctx)
		if ctx.Err() != nil {
			problems = nil // of what could not be asked to its end
		}
		for _, p := range problems {
			m.emit(ProblemFound{Problem: p})
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start manager: %w", context.Cause(ctx))
	}
	return m.startFleet(context.WithoutCancel(ctx), plan)
}

// startFleet starts the pools of a plan, unless the manager was stopped meanwhile.
func (m *Manager) startFleet(ctx context.Context, plan *Plan) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.stopping:
		return fmt.Errorf("start manager: %w", errStopping)
	default:
	}
	ctx, m.cancel = context.WithCancel(ctx)
	m.plan = plan
	for _, dead := range m.dir.deadRunDirs() {
		m.background.Go(func() { leftovers(ctx, dead, m.emit) })
	}
	pools, err := m.makePools(plan)
	if err != nil {
		return fmt.Errorf("start manager: %w", err)
	}
	if len(pools) == 0 {
		return m.nothingToRun()
	}
	m.pools = pools
	started := FleetStarted{Dir: m.dir.path, Pools: len(m.pools), Servers: m.servers}
	for _, p := range m.pools {
		started.Workers += len(p.places)
		started.Slots += p.cfg.plan.Slots
	}
	m.emit(started)
	for _, p := range m.pools {
		m.background.Go(func() { p.run(ctx) })
	}
	return nil
}

// nothingToRun is the error of a fleet without workers. A php that is missing may be
// the whole reason.
func (m *Manager) nothingToRun() error {
	if err := m.php.fault(); err != nil {
		return fmt.Errorf("%w: %w", ErrNothingToRun, err)
	}
	return ErrNothingToRun
}

// makePools makes the pools whose workers can be run.
func (m *Manager) makePools(plan *Plan) (pools []*pool, err error) {
	defer func() {
		if err != nil {
			closeRecords(pools)
		}
	}()
	g := newGate(cmp.Or(m.cfg.StartConcurrency, m.cfg.Settings.StartConcurrency()))
	splay := m.cfg.Settings.InitialSpawnSplay()
	before := 0 // workers of the pools before
	for i := range plan.Pools {
		pp := &plan.Pools[i]
		if pp.Workers == 0 {
			continue
		}
		prog, start, ok := m.program(pp)
		if !ok {
			m.emit(PoolNotRun{Pool: pp.Name, Kind: pp.Kind, Slots: pp.Slots, Err: m.whyNot(pp.Kind)})
			continue
		}
		// Two workers of each pool may have a successor beside them.
		path := filepath.Join(m.dir.path, fmt.Sprintf("records%d", i))
		records, err := newRecordTable(path, pp.Slots+2*pp.Concurrency)
		if err != nil {
			return pools, err
		}
		first := before
		before += pp.Workers
		pools = append(pools, newPool(poolConfig{
			plan: pp, program: prog, host: m.cfg.Hostname, servers: m.servers, records: records,
			verbosity: m.cfg.Settings.Verbose(), maxData: m.cfg.Settings.MaxJobSize(),
			delay: func(n int) time.Duration { return time.Duration(first+n) * splay },
			start: start, renew: m.renew(pp.Kind), note: m.note, forget: m.roster.drop, tell: m.tell,
			gate: g, ledger: m.ledger, reach: m.reach, emit: m.emit,
			random: rand.Float64, clock: jobrecord.Now, memory: memoryOf(pp.Kind),
		}))
	}
	return pools, nil
}

// closeRecords unmaps the records of pools that do not run, or no more. Their files
// go with the runtime directory.
func closeRecords(pools []*pool) {
	for _, p := range pools {
		_ = p.cfg.records.close() // shared memory: nothing is lost
	}
}

// note writes a process into the roster for as long as it lives.
func (m *Manager) note(worker string, grace time.Duration, proc *supervisor.Process) {
	// An error costs only what a manager after this one knows.
	_ = m.roster.add(rosterEntry{pid: proc.PID(), start: proc.StartTime(), grace: grace, name: worker})
}

// noteStopped tells the pools that a process has been stopped or continued. It is one
// worker's of one of them, or none's. They look which it is themselves, since news that
// follow each other closely may come in any order.
func (m *Manager) noteStopped(proc *supervisor.Process) {
	m.mu.Lock()
	pools := m.pools
	m.mu.Unlock()
	for _, p := range pools {
		p.post(func() { p.stopped(proc.PID(), proc.Stopped()) })
	}
}

// ErrNoPool is the error of a Retry of a function that nobody performs.
var ErrNoPool = errors.New("no pool performs the function")

// ErrNotFailing is the error of a Retry of a function whose workers start.
var ErrNotFailing = errors.New("no start of its workers has failed")

// Retry starts workers of a function, or of the pool of that name, at once where starts
// have failed, also in a pool that was given up. It does not wait for them. The error
// is ErrNoPool or ErrNotFailing.
func (m *Manager) Retry(function string) error {
	m.mu.Lock()
	pools := m.pools
	m.mu.Unlock()
	known, tried := false, false
	for _, p := range pools {
		if p.cfg.plan.Name != function && !p.performs(function) {
			continue
		}
		known = true
		again, _ := ask(p, func() bool { return p.tryAgain("asked for") })
		tried = tried || again
	}
	switch {
	case !known:
		return fmt.Errorf("try %s again: %w", function, ErrNoPool)
	case !tried:
		return fmt.Errorf("try %s again: %w", function, ErrNotFailing)
	}
	return nil
}

// LastLines returns the last lines that a worker has printed to either output, oldest
// first: of the live one of that name, nil if there is none. It blocks for no longer
// than the pools take to look.
func (m *Manager) LastLines(worker string) []string {
	m.mu.Lock()
	pools := m.pools
	m.mu.Unlock()
	for _, p := range pools {
		if lines, _ := ask(p, func() []string { return p.lastLines(worker) }); lines != nil {
			return lines
		}
	}
	return nil
}

// Snapshot returns the fleet as it is now. It blocks for no longer than the pools
// take to look at themselves.
func (m *Manager) Snapshot() Snapshot {
	m.mu.Lock()
	plan, pools := m.plan, m.pools
	m.mu.Unlock()
	s := Snapshot{At: time.Now(), Servers: m.reach.status(m.servers)}
	if plan == nil {
		return s
	}
	status := map[*PoolPlan]PoolStatus{}
	for _, p := range pools {
		if st, ok := ask(p, p.status); ok {
			status[p.cfg.plan] = st
		} else {
			status[p.cfg.plan] = p.final
		}
	}
	for i := range plan.Pools {
		st, ok := status[&plan.Pools[i]]
		if !ok {
			st = planned(&plan.Pools[i])
		}
		s.Pools = append(s.Pools, st)
	}
	return s
}
