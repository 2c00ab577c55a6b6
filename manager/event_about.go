package manager

import (
	"strings"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// About says what an event is about. What does not apply, or is not known, is empty.
type About struct {
	Pool     string
	Worker   string // "pool/number"
	PID      int
	Function string // with Server and Handle, a job
	Server   string // host:port
	Handle   string
	Reason   string // why it happened; for people, unless the event says more
}

// poolOf is the pool of a worker: what stands before the last slash of its name,
// since names of functions may have slashes.
func poolOf(worker string) string {
	i := strings.LastIndexByte(worker, '/')
	return worker[:max(i, 0)]
}

// aboutWorker is what an event about a worker begins with.
func aboutWorker(name string, pid int) About {
	return About{Pool: poolOf(name), Worker: name, PID: pid}
}

// because adds a reason.
func (a About) because(reason string) About {
	a.Reason = reason
	return a
}

// at adds a job, or a server alone.
func (a About) at(function, server, handle string) About {
	a.Function, a.Server, a.Handle = function, server, handle
	return a
}

// errorText is the text of an error that may be nil.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// who adds to a line which pool, worker and process it is about.
func who(e Event) func(*zerolog.Event) {
	return func(line *zerolog.Event) {
		a := e.About()
		text(line, logging.FieldPool, a.Pool)
		text(line, logging.FieldWorker, a.Worker)
		if a.PID > 0 {
			line.Int(logging.FieldPID, a.PID)
		}
	}
}

// About says what it is about.
func (e ProblemFound) About() About { return About{Reason: e.Problem.Message} }

// About says what it is about.
func (FleetStarted) About() About { return About{} }

// About says what it is about.
func (e PoolNotRun) About() About { return About{Pool: e.Pool, Reason: errorText(e.Err)} }

// About says what it is about.
func (PHPFound) About() About { return About{} }

// About says what it is about.
func (PHPPrinted) About() About { return About{} }

// About says what it is about.
func (e PHPSlow) About() About { return aboutWorker(e.Worker, 0) }

// About says what it is about.
func (e WorkerStarted) About() About { return aboutWorker(e.Worker, e.PID) }

// About says what it is about.
func (e WorkerReady) About() About { return aboutWorker(e.Worker, e.PID) }

// About says what it is about.
func (e StartFailed) About() About { return aboutWorker(e.Worker, e.PID).because(errorText(e.Err)) }

// About says what it is about.
func (e WorkerRetiring) About() About { return aboutWorker(e.Worker, e.PID).because(e.Reason) }

// About says what it is about.
func (e WorkerKilled) About() About { return aboutWorker(e.Worker, e.PID).because(e.Reason) }

// About says what it is about.
func (e WorkerExited) About() About { return aboutWorker(e.Worker, e.PID).because(e.reason()) }

// About says what it is about.
func (e JobSuspected) About() About {
	return aboutWorker(e.Worker, e.PID).at(e.Function, e.Server, e.Handle).because(e.Cause)
}

// About says what it is about.
func (e JobUndelivered) About() About {
	return aboutWorker(e.Worker, e.PID).at(e.Function, e.Server, e.Handle).because(e.Err)
}

// About says what it is about.
func (e ServerLost) About() About { return About{Server: e.Server, Reason: e.Err} }

// About says what it is about.
func (e ServerStillLost) About() About { return About{Server: e.Server, Reason: e.Err} }

// About says what it is about.
func (e ServerReached) About() About { return About{Server: e.Server} }

// About says what it is about.
func (e SlotConnected) About() About { return aboutWorker(e.Worker, e.PID).at("", e.Server, "") }

// About says what it is about.
func (e SlotLost) About() About {
	return aboutWorker(e.Worker, e.PID).at("", e.Server, "").because(e.Err)
}

// About says what it is about.
func (e WorkerLogged) About() About {
	return aboutWorker(e.Worker, e.PID).at(e.Log.GetFunction(), "", e.Log.GetHandle())
}

// About says what it is about.
func (e WorkerPrinted) About() About { return aboutWorker(e.Worker, e.PID) }

// About says what it is about.
func (e LeftoverFound) About() About { return aboutWorker(e.Worker, e.PID) }

// About says what it is about.
func (e LeftoverEnded) About() About { return aboutWorker(e.Worker, e.PID).because(errorText(e.Err)) }

// About says what it is about.
func (e OrphanReaped) About() About { return About{PID: e.Exit.PID, Reason: e.Exit.String()} }

// About says what it is about.
func (FleetStopping) About() About { return About{} }

// About says what it is about.
func (FleetStopped) About() About { return About{} }

// About says what it is about.
func (e InternalError) About() About {
	pool, ok := strings.CutPrefix(e.Where, "pool ")
	if !ok {
		pool = ""
	}
	return About{Pool: pool, Reason: e.Panic}
}

// About says what it is about.
func (e StandbyReady) About() About { return aboutWorker(e.Worker, e.PID) }

// About says what it is about.
func (e WorkerPromoted) About() About { return aboutWorker(e.Worker, e.PID).because(e.Reason) }

// About says what it is about.
func (e PoolFailed) About() About { return About{Pool: e.Pool, Reason: errorText(e.Err)} }

// About says what it is about.
func (e PoolRetried) About() About { return About{Pool: e.Pool, Reason: e.Reason} }

// About says what it is about.
func (e WorkerStopped) About() About { return aboutWorker(e.Worker, e.PID) }

// About says what it is about.
func (e WorkerContinued) About() About { return aboutWorker(e.Worker, e.PID) }

// About says what it is about.
func (e LinesDropped) About() About { return aboutWorker(e.Worker, e.PID) }

// About says what it is about.
func (Lagged) About() About { return About{} }
