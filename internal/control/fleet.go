package control

import "context"

// Fleet is what requests are made of. Its methods are called from many goroutines. A
// *[NotFoundError] of any of them says that what it is about does not exist.
type Fleet interface {
	Reporter
	Jobs
	Operator
	Streamer
}

// Reporter describes the fleet.
type Reporter interface {
	// Manager says who it is.
	Manager() Manager
	// Status describes the fleet, or the part that is asked for.
	Status(q StatusQuery) (Status, error)
	// Why says what holds a function back.
	Why(ctx context.Context, function string) (Why, error)
	// LogLevels says how much is logged.
	LogLevels() LogLevels
}

// Jobs are those that are suspect.
type Jobs interface {
	// Quarantine lists them.
	Quarantine() []SuspectJob
	// Release releases the jobs of that handle, an empty server means any, and returns
	// how many there were.
	Release(ctx context.Context, server, handle string) (int, error)
	// ReleaseAll releases all jobs.
	ReleaseAll(ctx context.Context) int
}

// Operator changes the fleet. The context of its methods does not end when whoever asked
// goes away: what has been begun is done as a whole.
type Operator interface {
	// Retry starts the workers of a function now that wait because starts failed.
	Retry(function string) error
	// Reload applies what has changed.
	Reload(ctx context.Context, req ReloadRequest) (ReloadReport, error)
	// Restart replaces the workers of a function, of all with an empty one.
	Restart(ctx context.Context, function string) (int, error)
	// Scale sets numbers of slots, all or none of them.
	Scale(ctx context.Context, scalings []Scaling) error
	// Pause has workers take no jobs of a function.
	Pause(ctx context.Context, function string) error
	// Drain has the workers of a function leave.
	Drain(ctx context.Context, function string) error
	// Resume ends Pause and Drain.
	Resume(ctx context.Context, function string) error
	// SetLogLevel sets how much is logged of a function, of the fleet with an empty one.
	SetLogLevel(ctx context.Context, function string, verbosity int) error
	// Stop begins to stop, or hurries if it did before, and returns how often it was
	// told to hurry. It must not wait for the end.
	Stop() (hurry int, err error)
}

// Streamer tells what happens. Its methods call send until there is nothing more, the
// context ends or send returns an error, which they return. They must not keep the
// fleet waiting while send takes its time: what is too much for that is left out, and
// said.
type Streamer interface {
	// Events sends events.
	Events(ctx context.Context, q EventsQuery, send func(Event) error) error
	// Logs sends the last lines of workers, and those that follow.
	Logs(ctx context.Context, q LogsQuery, send func(LogLine) error) error
}

// NotFoundError says that what a request is about does not exist.
type NotFoundError struct{ Err error }

// Error is that of Err.
func (e *NotFoundError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *NotFoundError) Unwrap() error { return e.Err }
