package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrStopped is the error of a Start after Stop.
var ErrStopped = errors.New("supervisor is stopped")

// ErrRunning is the error of New while another Supervisor runs in this process:
// two reapers would take each other's children.
var ErrRunning = errors.New("another supervisor runs in this process")

//nolint:gochecknoglobals // the children of a process exist once, and so does who waits for them
var running atomic.Bool

// Config says how a Supervisor is set up. The zero value is a usable one.
type Config struct {
	// Subreaper makes this process the parent of all descendants whose own parents
	// die, until Stop. Otherwise they go to init.
	Subreaper bool
	// Starters is how many programs may be on their way from fork to exec at the
	// same time; 1 if zero. Each costs a thread. One starts 1,600 programs a second
	// where the processors are free; where they are not, or there are more than two,
	// several are faster. But a program that this process has just written can be
	// refused as "being written" if there are several: a child on its way to
	// exec still holds the file.
	Starters int
	// OnOrphan is called for each child that has ended and that nobody started
	// here. It is called by the reaper: it must return soon, and wait for no
	// process. May be nil.
	OnOrphan func(Exit)
	// OnStopped is called when a process that was started or adopted here has been
	// stopped, and when it has been continued, see [Process.Stopped]; not for one that
	// ends. It may be called before Start or Adopt has returned the process. It is
	// called by the reaper: it must return soon, and wait for no process. May be nil.
	OnStopped func(p *Process, stopped bool)
}

// Supervisor starts processes and waits for them. There is one at a time in a
// process. Its methods may be called from any goroutine.
type Supervisor struct {
	cfg     Config
	null    *os.File
	reaper  *reaper
	starter *starter
	absorb  *absorber

	starterDone, reaperDone chan struct{}
	release                 sync.Once

	forking sync.RWMutex // held for reading by the starter until a child is recorded

	mu  sync.Mutex
	reg registry
}

// New begins to wait for the children of this process. The supervisor has to be
// stopped.
//
// A child inherits which signals are ignored, though not which are handled. New
// therefore makes this process catch, and drop, those of the usual signals that it
// ignores: for itself that is the same, and its children get the default. A
// signal.Ignore after New is inherited.
func New(cfg Config) (*Supervisor, error) { return newSupervisor(cfg, findOOMKills()) }

func newSupervisor(cfg Config, oom *oomKills) (*Supervisor, error) {
	if !running.CompareAndSwap(false, true) {
		return nil, ErrRunning
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		running.Store(false)
		return nil, fmt.Errorf("create supervisor: %w", err)
	}
	if err := setSubreaper(cfg.Subreaper, true); err != nil {
		_ = null.Close()
		running.Store(false)
		return nil, fmt.Errorf("create supervisor: become subreaper: %w", err)
	}
	s := &Supervisor{
		cfg: cfg, null: null,
		reg:         registry{procs: make(map[int]*Process), pending: make(pending)},
		starterDone: make(chan struct{}), reaperDone: make(chan struct{}),
	}
	s.run(oom)
	return s, nil
}

func (s *Supervisor) run(oom *oomKills) {
	s.absorb = absorbIgnored()
	s.reaper = &reaper{
		sup: s, sigchld: make(chan os.Signal, 1), settled: make(chan struct{}, 1),
		quit: make(chan struct{}), onOrphan: s.cfg.OnOrphan, oom: oom,
	}
	s.starter = &starter{sup: s, requests: make(chan *request), quit: make(chan struct{})}
	signal.Notify(s.reaper.sigchld, unix.SIGCHLD) //nolint:forbidigo // SIGCHLD is meant for the reaper
	go func() { defer close(s.reaperDone); s.reaper.run() }()
	var starters sync.WaitGroup
	for range max(1, s.cfg.Starters) {
		starters.Go(s.starter.run)
	}
	go func() { defer close(s.starterDone); starters.Wait() }()
}

func setSubreaper(wanted, on bool) error {
	if !wanted {
		return nil
	}
	var arg uintptr
	if on {
		arg = 1
	}
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, arg, 0, 0, 0)
}

// Start executes a program. It returns when the program runs, or with a
// *StartError that says which one could not be executed and why. A program whose
// limits cannot be set is killed, and the error wraps a *LimitError. Start blocks for
// no longer than fork and exec take, and for starts before it. After Stop the error
// wraps ErrStopped.
func (s *Supervisor) Start(spec Spec) (*Process, error) {
	if err := spec.check(); err != nil {
		return nil, &StartError{Name: spec.name(), Path: spec.Path, Reason: err.Error(), Err: err}
	}
	p, err := s.starter.start(&spec)
	if errors.Is(err, ErrStopped) {
		return nil, fmt.Errorf("start %s: %w", spec.name(), err)
	}
	if err != nil {
		return nil, newStartError(&spec, err)
	}
	return p, nil
}

// awaitStarts waits until the children of the starts in progress are recorded.
func (s *Supervisor) awaitStarts() {
	s.forking.Lock()
	s.forking.Unlock() //nolint:staticcheck // there is nothing to do but to have waited
}

// Processes returns what was started or adopted and has not ended, oldest first.
func (s *Supervisor) Processes() []*Process {
	s.mu.Lock()
	all := make([]*Process, 0, len(s.reg.procs))
	for _, p := range s.reg.procs {
		all = append(all, p)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *Process) int { return a.started.Compare(b.started) })
	return all
}
