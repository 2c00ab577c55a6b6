package manager

import "time"

// StandbyReady says that a warm standby of a pool has started. It takes jobs when it
// is promoted.
type StandbyReady struct {
	Worker string
	PID    int
	Took   time.Duration // since its start
}

// WorkerPromoted says that a standby has begun to take the place of a worker.
type WorkerPromoted struct {
	Worker  string // the standby
	PID     int
	Instead string // the worker that it replaces
	Reason  string // why that one goes: what it retires for, or "crash"
}

// PoolFailed says that a pool is given up: too many starts in a row have failed. It
// is tried again when its program changes, or when somebody asks for it; see
// [PoolRetried].
type PoolFailed struct {
	Pool     string
	Failures int   // in a row
	Err      error // of the last one
}

// PoolRetried says that a pool that had failed is tried again.
type PoolRetried struct {
	Pool   string
	Reason string // what for, such as "program changed" or "asked for"
}

// WorkerStopped says that a signal has stopped a worker: it exists and does nothing.
// It is killed unless it is continued in time.
type WorkerStopped struct {
	Worker string
	PID    int
	Grace  time.Duration // until it is killed; stoppedGrace if zero
}

// stoppedGrace is how long a worker that was stopped by a signal may stay so.
const stoppedGrace = 10 * time.Second

// WorkerContinued says that a worker that was stopped goes on.
type WorkerContinued struct {
	Worker string
	PID    int
}

// LinesDropped says that a worker prints faster than its lines can be logged: that
// many were dropped, so that it need not wait.
type LinesDropped struct {
	Worker string
	PID    int
	Stream string // host.Stdout or host.Stderr
	Lines  int    // since the last event of this kind
}

// Lagged stands in a [Subscription] for events that its reader was too slow for. It is
// not logged when it happens: it concerns one reader.
type Lagged struct{ Missed int }
