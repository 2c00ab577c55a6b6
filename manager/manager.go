package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/watch"
	"github.com/gearman-manager/gearman-manager/plugins/host"
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
	// Problems are what is wrong with Settings, and has been told: Snapshot shows it.
	Problems []config.Problem
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
	cfg      Config
	env      []string
	sup      *supervisor.Supervisor
	dir      *runDir
	roster   *roster
	host     *host.Host
	php      *interpreter
	ledger   *ledger
	reach    *servers
	events   *stream
	gate     gate
	ownSelf  bool         // Config.Self is another binary than that of this process
	tables   atomic.Int64 // of job records so far
	controls *controls
	keeper   *keeper // nil before Start, and if no state is kept; guarded by mu

	background sync.WaitGroup // pool loops, those that deal with leftovers, and the one that watches files

	readings turn               // of who reads the config
	reloads  turn               // of who changes the fleet
	library  *library           // of who has that turn
	watcher  *watch.Watcher     // of files; nil: none is wanted yet; of who has that turn
	removals []*removal         // that wait for those that take over, of who has that turn
	notRun   map[poolKey]string // why pools are not run, of who has that turn

	mu       sync.Mutex
	started  bool
	state    fleetState
	pools    []*pool                     // of those that run; never changed, but replaced
	inFleet  func(func(context.Context)) // calls with the context of the fleet, which ends when it has stopped; nil before Start
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
	ownSelf := cfg.Self != ""
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg: cfg, ownSelf: ownSelf, env: workerEnv(cfg.Env), ledger: newLedger(maxSuspects),
		events:   newStream(cfg.Logger, cfg.OnEvent, pastEvents),
		stopping: make(chan struct{}), stopped: make(chan struct{}), reloads: newTurn(), readings: newTurn(),
	}
	hosts := cfg.Servers
	if hosts == nil {
		hosts = cfg.Settings.Hosts()
	}
	servers, err := normalized(hosts)
	if err != nil {
		return nil, fmt.Errorf("create manager: %w", err)
	}
	m.reach = newServers(m.emit)
	m.gate, m.controls = gateOf(cfg, cfg.Settings), newControls()
	m.state = fleetState{
		settings: cfg.Settings, servers: m.reach.want(servers), disk: onDisk{settings: cfg.Settings, warnings: slices.Clone(cfg.Problems)},
	}
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

// normalized are the addresses of job servers as host:port, none twice.
func normalized(hosts []string) (servers []string, err error) {
	for _, h := range hosts {
		address, err := gearclient.NormalizeAddr(h)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(servers, address) {
			servers = append(servers, address)
		}
	}
	return servers, nil
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

// Supervisor is what starts and reaps the processes of the fleet, for reading a config in
// PHP while it runs: there is one in a process. It is the manager's to stop.
func (m *Manager) Supervisor() *supervisor.Supervisor { return m.sup }

// Plan is a copy of what the fleet is to be, with what was scaled by hand; nil before
// Start.
func (m *Manager) Plan() *Plan {
	plan := m.now().plan
	if plan == nil {
		return nil
	}
	return &Plan{Pools: slices.Clone(plan.Pools)}
}

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
	if err := m.startFleet(ctx); err != nil {
		return fmt.Errorf("start manager: %w", err)
	}
	return nil
}

// startFleet starts the pools of the first plan, unless the manager was stopped
// meanwhile.
func (m *Manager) startFleet(ctx context.Context) error {
	looking, cancel := m.untilStop(ctx)
	defer cancel()
	if err := m.reloads.enter(looking, m.stopping); err != nil {
		return err
	}
	defer m.reloads.leave()
	m.library = newLibrary(m.openStore(), m.Describer(), m.Inspector(), m.emit)
	found := m.firstLook(looking)
	if looking.Err() != nil {
		return context.Cause(looking)
	}
	m.mu.Lock()
	stopping := m.isStopping()
	if !stopping {
		fleet, cancel := context.WithCancel(context.WithoutCancel(ctx))
		m.cancel = cancel
		m.inFleet = func(f func(context.Context)) { f(fleet) }
	}
	m.mu.Unlock()
	if stopping {
		return errStopping
	}
	m.inFleet(func(ctx context.Context) {
		for _, dead := range m.dir.deadRunDirs() {
			m.background.Go(func() { leftovers(ctx, dead, m.emit) })
		}
	})
	return m.begin(looking, found)
}

// untilStop ends with ctx, or when Stop is called.
func (m *Manager) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-m.stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// isStopping tells whether Stop was called.
func (m *Manager) isStopping() bool {
	select {
	case <-m.stopping:
		return true
	default:
		return false
	}
}

// nothingToRun is the error of a fleet without workers. A php that is missing may be
// the whole reason.
func (m *Manager) nothingToRun() error {
	if err := m.php.fault(); err != nil {
		return fmt.Errorf("%w: %w", ErrNothingToRun, err)
	}
	return ErrNothingToRun
}

// noteProcess writes a process into the roster for as long as it lives.
func (m *Manager) noteProcess(worker string, grace time.Duration, proc *supervisor.Process) {
	// An error costs only what a manager after this one knows.
	_ = m.roster.add(rosterEntry{pid: proc.PID(), start: proc.StartTime(), grace: grace, name: worker})
}

// noteStopped tells the pools that a process has been stopped or continued. It is one
// worker's of one of them, or none's. They look which it is themselves, since news that
// follow each other closely may come in any order.
func (m *Manager) noteStopped(proc *supervisor.Process) {
	pools := m.running()
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
	pools := m.running()
	known, tried := false, false
	for _, p := range pools {
		if !p.isFor(function) {
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
	pools := m.running()
	for _, p := range pools {
		if lines, _ := ask(p, func() []string { return p.lastLines(worker) }); lines != nil {
			return lines
		}
	}
	return nil
}
