package manager

import (
	"context"
	"errors"

	"github.com/gearman-manager/gearman-manager/config"
)

// ReloadRequest says what a Reload looks at.
type ReloadRequest struct {
	// Config is set to read the config again.
	Config bool
	// Code is set to take programs that have changed. New ones, and those that are gone, are taken in any case.
	Code bool
	// Roll is set to replace all workers, also where nothing has changed.
	Roll bool
}

// ReloadReport says what a Reload has begun.
type ReloadReport struct {
	// Changes are what is changed, by pool; none if nothing is.
	Changes []PoolChange
	// Problems are those of the config and the programs. A program with an error is left as it runs.
	Problems []config.Problem
	// Refused is set where the config has errors: it does not hold, and the one before does.
	Refused bool
}

// PoolChange is what a reload does to one pool.
type PoolChange struct {
	Pool string
	// What says it for people: "new, 2 slots", "count 2 → 6", "new code 3f2a… → 9b10…, workers are replaced", "removed".
	What []string
}

// Scaling is a number of slots for the dedicated workers of a function, or for the shared pool of that name.
type Scaling struct {
	Function string
	Slots    int
}

// Errors of what operators ask for.
var (
	// ErrNotRunning is the error of a manager that has not started yet, or stops.
	ErrNotRunning = errors.New("the fleet does not run")
	// ErrStandalone is the error of a Pause of a function whose program takes its jobs by itself.
	ErrStandalone = errors.New("a standalone program takes its jobs by itself and cannot be paused, want it drained")
	// ErrShared is the error of a Scale of a function that only a shared pool performs.
	ErrShared = errors.New("only the shared pool performs the function, want that to be scaled, or a dedicated_count for the function")
)

// errNotYet is for the moment.
var errNotYet = errors.New("not implemented")

// Reload applies what has changed: it blocks until everything that can fail was tried and the changes have begun, not until the last worker
// is replaced. Reloads are done one after another. The error is ErrNotRunning or what ended ctx; what is wrong with config or programs is in the
// report.
func (m *Manager) Reload(context.Context, ReloadRequest) (ReloadReport, error) {
	return ReloadReport{}, errNotYet
}

// Restart replaces the workers of a function, or of the pool of that name, of all with an empty name: each when its successor is registered. It
// returns how many are to be replaced and does not wait for them. The error is ErrNoPool or ErrNotRunning.
func (m *Manager) Restart(context.Context, string) (workers int, err error) { return 0, errNotYet }

// Scale sets numbers of slots, all or none of them. They hold until the config changes, also for a manager started later. With 0 slots the workers
// leave. It does not wait for workers. The error names the function and wraps ErrNoPool, ErrShared or ErrNotRunning.
func (m *Manager) Scale(context.Context, []Scaling) error { return errNotYet }

// Pause has workers stay and take no jobs of a function, also those started later, until Resume. It blocks until all have been told. The error
// wraps ErrNoPool, ErrStandalone or ErrNotRunning.
func (m *Manager) Pause(context.Context, string) error { return errNotYet }

// Drain has the workers of a function leave when their jobs in hand are done, and starts none until Resume. In a shared pool the function is
// paused. It does not wait for workers. The error wraps ErrNoPool or ErrNotRunning.
func (m *Manager) Drain(context.Context, string) error { return errNotYet }

// Resume ends Pause and Drain of a function. The error wraps ErrNoPool or ErrNotRunning.
func (m *Manager) Resume(context.Context, string) error { return errNotYet }
