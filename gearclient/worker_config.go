package gearclient

import (
	"errors"
	"fmt"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// Hold says how far a worker's slots may go.
type Hold int

// The holds, from none to the strictest.
const (
	// HoldNone lets the slots take jobs.
	HoldNone Hold = iota
	// HoldRegistered registers the functions, so that the slot counts in the
	// server's status, but takes no job and is never woken for one.
	HoldRegistered
	// HoldConnected connects only.
	HoldConnected
)

// Decision is the answer of [WorkerConfig.Reserve].
type Decision int

// The decisions before a GRAB_JOB.
const (
	// Grab lets the slot ask for a job.
	Grab Decision = iota
	// Leave makes the slot leave its servers for good.
	Leave
	// Rest makes the slot rest as [Worker.Rest] does, until there may be a
	// reservation for it: it asks again when another slot has released one, and
	// after [Worker.Resume].
	Rest
)

// WorkerConfig configures a [Worker]. Servers, Functions and Handler are
// needed; every other field has a use when zero.
type WorkerConfig struct {
	// Servers are the addresses of the job servers, see [NormalizeAddr]. Every
	// slot serves all of them in turn.
	Servers []string
	// Functions are the functions to register, the one with the highest
	// priority first. (They are sent in reverse, since gearmand up to 1.1
	// serves the last one registered first; later ones treat all alike.)
	Functions []string
	// Handler performs the jobs.
	Handler Handler
	// Slots is the number of jobs performed at the same time, each with its
	// own connection to every server. 0 means 1.
	Slots int
	// ClientID gives the name by which a slot (from 0) is known in the
	// servers' list of workers; nil: none.
	ClientID func(slot int) string
	// Hold is how far the slots may go until [Worker.Go].
	Hold Hold
	// MaxData is the largest workload and the largest result in bytes; 0 means
	// 64 MiB. A job over it is answered with an exception that names both
	// sizes.
	MaxData int64
	// Reserve is asked before a GRAB_JOB, on the slot's goroutine; nil always
	// grabs. Each Grab is followed by a job or by one Release. While a slot
	// sleeps it keeps one reservation, so that it can take the job that wakes
	// it: left to lie, that job would wait until somebody polls. So as long as
	// not all of a number of reservations have become jobs, some slot listens,
	// although the others may rest. For the same reason a slot that leaves or
	// rests while it sleeps on several servers may perform more jobs than it has
	// reservations, at most one for each server but one.
	Reserve func(slot int) Decision
	// Release takes back a reservation that brought no job. Nil is allowed.
	Release func(slot int)
	// PollInterval is how often a sleeping slot asks for jobs although it was
	// not woken, against wake-ups that got lost; 0 means 60 s.
	PollInterval time.Duration
	// ServerTimeout is how long a server may owe an answer before its
	// connection is closed; 0 means 30 s.
	ServerTimeout time.Duration
	// Dial connects to a server; nil means [DialTCP].
	Dial DialFunc
	// Events tell what happens; each may be nil.
	Events WorkerEvents
}

// WorkerEvents are called as things happen, on the goroutine of the slot that
// they concern, which waits for them: they must not block for long.
type WorkerEvents struct {
	// Ready: the slot is connected to the server, which has answered, and has
	// registered its functions before unless it is under HoldConnected. If that
	// hold is lowered, Ready comes again when the server has answered after the
	// registration, and so counts the slot in its status.
	Ready func(slot int, server string, registered bool)
	// Lost: the slot lost the server or could not reach it. It tries again, and
	// says no more until the reason is another one.
	Lost func(slot int, server string, err error)
	// Busy: the slot has its first job after it was idle.
	Busy func(slot int)
	// Idle: the slot has waited for 100 ms.
	Idle func(slot int)
	// Done: a job has ended and its answer was written, or err says why not.
	// It is also called for jobs that were answered without the handler, such
	// as one that is too large.
	Done func(job *Job, r Result, err error)
	// Rested: the slot has come to rest after [Worker.Rest], or since Reserve said
	// so: it has nothing in hand, asks for nothing, and sleeps nowhere. It is called
	// once for each time that either of them began.
	Rested func(slot int)
	// Left: the slot has left every server and performs no more jobs.
	Left func(slot int)
	// Undelivered: the server did not take a job's answer, or may not have.
	Undelivered func(job *Job, err error)
}

const (
	defaultPoll          = 60 * time.Second
	defaultServerTimeout = 30 * time.Second
	// idleAfter is how long a slot waits before it says that it is idle:
	// long enough that a slot under load says nothing.
	idleAfter = 100 * time.Millisecond
	// parkAfter is how long a slot with several servers waits for one of them
	// before it goes on with the others.
	parkAfter = 250 * time.Millisecond
	// turnJobs and turnTime bound a turn at one server while another one has
	// work. Turning after every job costs a quarter of the throughput, since
	// answer and GRAB_JOB then leave in two writes.
	turnJobs = 8
	turnTime = 20 * time.Millisecond
	// leaveTimeout is how long a slot that leaves waits for a server: for an
	// answer, and then until it has closed its side.
	leaveTimeout = 5 * time.Second
)

// withDefaults returns the configuration with its zero fields filled in and
// its addresses normalized, or says what is wrong with it.
func (c WorkerConfig) withDefaults() (WorkerConfig, error) {
	if c.Handler == nil {
		return c, errors.New("worker config: Handler is nil")
	}
	if c.Slots < 0 || c.Hold < HoldNone || c.Hold > HoldConnected {
		return c, fmt.Errorf("worker config: Slots %d, Hold %d: out of range", c.Slots, c.Hold)
	}
	c.Slots = max(c.Slots, 1)
	if c.MaxData <= 0 {
		c.MaxData = wire.DefaultMaxData
	}
	if c.PollInterval <= 0 {
		c.PollInterval = defaultPoll
	}
	if c.ServerTimeout <= 0 {
		c.ServerTimeout = defaultServerTimeout
	}
	if c.Dial == nil {
		c.Dial = DialTCP
	}
	if c.Reserve == nil {
		c.Reserve = func(int) Decision { return Grab }
	}
	if c.Release == nil {
		c.Release = func(int) {}
	}
	if c.ClientID == nil {
		c.ClientID = func(int) string { return "" }
	}
	c.Events = c.Events.withDefaults()
	return c, nil
}

// withDefaults makes every event callable.
func (e WorkerEvents) withDefaults() WorkerEvents {
	if e.Ready == nil {
		e.Ready = func(int, string, bool) {}
	}
	if e.Lost == nil {
		e.Lost = func(int, string, error) {}
	}
	if e.Busy == nil {
		e.Busy = func(int) {}
	}
	if e.Idle == nil {
		e.Idle = func(int) {}
	}
	if e.Done == nil {
		e.Done = func(*Job, Result, error) {}
	}
	if e.Rested == nil {
		e.Rested = func(int) {}
	}
	if e.Left == nil {
		e.Left = func(int) {}
	}
	if e.Undelivered == nil {
		e.Undelivered = func(*Job, error) {}
	}
	return e
}
