package manager

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// Event is something that happened in the fleet. The types of this package are all
// there are; each knows its line in the log.
type Event interface {
	// Name is the kind of event, in words that do not change: "worker_exited".
	Name() string
	// About says what the event is about.
	About() About
	log(zerolog.Logger)
}

// ProblemFound is something wrong with the config or a program, found at start.
type ProblemFound struct{ Problem config.Problem }

// FleetStarted says that the manager has begun to start its workers.
type FleetStarted struct {
	Dir     string // runtime directory
	Pools   int
	Workers int
	Slots   int
	Servers []string
}

// PoolNotRun says that workers are planned but not run.
type PoolNotRun struct {
	Pool  string
	Kind  Kind
	Slots int
	Err   error // why; nil if this version does not run workers of that kind
}

// PHPFound says which interpreter runs the PHP workers.
type PHPFound struct {
	Path    string
	Version string
	Fork    bool // workers are forked; otherwise each is a php of its own
	Opcache bool // the code of their files is shared by all
}

// PHPPrinted is a line that the process printed from which PHP workers are forked,
// or what there is to say of it, such as that it was replaced.
type PHPPrinted struct {
	Stream string // host.Stdout or host.Stderr
	Line   string
}

// PHPSlow says that the loading of worker files takes long, and goes on.
type PHPSlow struct {
	Worker string        // that loads them; empty when they are looked at before the fleet starts
	Path   string        // of the file that is being loaded; empty if a worker loads several
	After  time.Duration // for how long so far
	Limit  time.Duration // after which it is given up
}

// WorkerStarted says that a process exists. It is ready when WorkerReady says so.
type WorkerStarted struct {
	Worker string
	PID    int
	// Program is what it executes: a plugin, this project's own binary for
	// executables, a PHP file, or the interpreter where it loads several.
	Program string
}

// WorkerReady says that a worker runs and connects to the job servers.
type WorkerReady struct {
	Worker  string
	PID     int
	Version string        // that the program says it has
	Took    time.Duration // since its start
}

// StartFailed says that a worker could not be started, or ended before it was ready.
type StartFailed struct {
	Worker   string
	PID      int // 0 if there was no process, or it is not known
	Err      error
	Failures int           // in a row
	Wait     time.Duration // until the next try
	Final    bool          // there is no next try, see PoolFailed
}

// WorkerRetiring says that a worker has begun to leave as planned.
type WorkerRetiring struct {
	Worker string
	PID    int
	Reason string
	Detail string
}

// WorkerKilled says that the manager kills a worker.
type WorkerKilled struct {
	Worker string
	PID    int
	Reason string // "timeout", "grace", "unresponsive" or "stop"
	Detail string
}

// WorkerExited says that a process has ended that was ready before. It says all that
// is known of its end; Class tells planned ends from others.
type WorkerExited struct {
	Worker  string
	PID     int
	Exit    supervisor.Exit
	Uptime  time.Duration
	Done    uint64 // jobs, failed ones included
	Failed  uint64
	Retired string // why it left as planned; empty for a crash
	Killed  string // why the manager killed it, if it did
	Stream  string // what broke the connection to it, if anything did before its end
	InHand  []JobInHand
	Tail    []string      // the last lines of its standard error; of a crash only
	Wait    time.Duration // until its successor is started, as far as is known
	// OOM tells that the kernel killed it because memory was short.
	OOM bool
	// RSS is the most memory that it had, in bytes, as far as is known; Exit.MaxRSS
	// counts what it shared with the manager at its start.
	RSS int64
	// CountsUnknown tells that Done and Failed are not known: the program takes its
	// jobs by itself.
	CountsUnknown bool
	// ReplacedBy is the worker that has its place already; empty if there is none, or
	// it has the same name.
	ReplacedBy string
	// Final tells that no worker is started in its place: the fleet stops, or its
	// pool has failed.
	Final bool
}

// The classes of exits.
const (
	// ExitPlanned: it retired, was told to leave, or left by itself.
	ExitPlanned = "planned"
	// ExitCrash: it ended in any other way.
	ExitCrash = "crash"
	// ExitKilled: the manager killed it; [WorkerKilled] has told why.
	ExitKilled = "killed"
)

// Class tells which kind of end it was: ExitPlanned, ExitCrash or ExitKilled. A
// worker that the manager killed while it left was killed.
func (e WorkerExited) Class() string {
	switch {
	case e.Killed != "":
		return ExitKilled
	case e.Retired != "":
		return ExitPlanned
	default:
		return ExitCrash
	}
}

// Crashed tells whether the worker ended other than planned, and not because the
// manager killed it.
func (e WorkerExited) Crashed() bool { return e.Class() == ExitCrash }

// JobInHand is a job that a slot performs.
type JobInHand struct {
	Function string
	Server   string
	Handle   string
	Slot     int           // number of the slot in its pool, from 1
	Since    time.Duration // for how long
}

// JobSuspected says that a job was in hand when its worker, or the executable that
// performed it, died, or it was over its timeout.
type JobSuspected struct {
	Worker   string // that had it in hand
	PID      int
	Function string
	Server   string
	Handle   string
	Attempts int
	Fail     bool // it is not run again
	Cause    string
}

// JobUndelivered says that a job was performed and its answer did not reach the server,
// which runs it again.
type JobUndelivered struct {
	Worker   string
	PID      int
	Function string
	Server   string
	Handle   string
	Err      string
}

// ServerLost says that no worker is connected to a job server any more, or it could not be
// reached from the start. It is said once.
type ServerLost struct {
	Server string
	Err    string
}

// ServerStillLost reminds of it, once a minute.
type ServerStillLost struct {
	Server string
	Err    string
	Since  time.Duration
}

// ServerReached says that a job server that was lost is back.
type ServerReached struct {
	Server string
	After  time.Duration
}

// SlotConnected says that a slot is registered with a server, the first of its pool or a
// further one.
type SlotConnected struct {
	Worker string
	PID    int
	Slot   int
	Server string
}

// SlotLost says that a slot has lost a server. See ServerLost for when all have.
type SlotLost struct {
	Worker string
	PID    int
	Slot   int
	Server string
	Err    string
}

// WorkerLogged says that the code of a worker logged something.
type WorkerLogged struct {
	Worker string
	PID    int
	Log    *workerpb.Log
}

// WorkerPrinted is a line of a worker's standard output or error.
type WorkerPrinted struct {
	Worker string
	PID    int
	Stream string // host.Stdout or host.Stderr
	Line   string
	// Starting tells that the worker is not ready yet. What ends its start is said
	// by [StartFailed].
	Starting bool
}

// LeftoverFound says that a worker of a manager that died still lives. It leaves when its
// job is done.
type LeftoverFound struct {
	Worker string
	PID    int
	Grace  time.Duration
}

// LeftoverEnded says that it has ended, by itself or because it was killed.
type LeftoverEnded struct {
	Worker string
	PID    int
	Killed bool
	Err    error // it could not be killed
}

// OrphanReaped says that a descendant of a worker outlived its parent, came to the manager
// and has ended.
type OrphanReaped struct{ Exit supervisor.Exit }

// FleetStopping says that the manager drains all its workers.
type FleetStopping struct {
	Workers int
	Hurry   int // how often it was told to hurry
}

// FleetStopped says that no worker is left.
type FleetStopped struct{ Took time.Duration }

// InternalError says that a mistake in the manager's own code was caught. What it
// was about is left out; everything else goes on.
type InternalError struct {
	Where string // pool or worker
	Panic string
	Stack string
}
