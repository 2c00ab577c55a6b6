package manager

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// LogLevels says how much is logged, in numbers of -v.
type LogLevels struct {
	Verbosity int // of the fleet
	// Functions are functions and pools that have a verbosity of their own.
	Functions map[string]int
}

// levels is what of the fleet's events is logged. Its methods may be called from any
// goroutine.
type levels struct {
	changing sync.Mutex
	set      atomic.Pointer[levelsSet] // nil: as the logger has it
}

// levelsSet is what was set at one time. It never changes.
type levelsSet struct {
	config    *int // of a config that was read again; nil: as the logger has it
	fleet     *int // by hand; nil: as the config has it
	functions map[string]int
}

// current is what is set.
func (l *levels) current() levelsSet {
	if s := l.set.Load(); s != nil {
		return *s
	}
	return levelsSet{}
}

// change sets the verbosity of a function or pool, of the fleet with an empty name.
// Below 0 it takes away what was set.
func (l *levels) change(function string, verbosity int) {
	l.changing.Lock()
	defer l.changing.Unlock()
	next := l.current()
	switch {
	case function == "" && verbosity < 0:
		next.fleet = nil
	case function == "":
		next.fleet = &verbosity
	default:
		next.functions = maps.Clone(next.functions)
		if next.functions == nil {
			next.functions = map[string]int{}
		}
		next.functions[function] = verbosity
		if verbosity < 0 {
			delete(next.functions, function)
		}
	}
	l.store(next)
}

// configured sets the verbosity that a config has which was read again.
func (l *levels) configured(verbosity int) {
	l.changing.Lock()
	defer l.changing.Unlock()
	next := l.current()
	next.config = &verbosity
	l.store(next)
}

func (l *levels) store(next levelsSet) {
	if next.config == nil && next.fleet == nil && len(next.functions) == 0 {
		l.set.Store(nil)
		return
	}
	l.set.Store(&next)
}

// logger is the one for an event: the verbosity of its function counts, then that of its
// pool, then that of the fleet.
func (l *levels) logger(log zerolog.Logger, e Event) zerolog.Logger {
	set := l.set.Load()
	if set == nil {
		return log
	}
	if len(set.functions) > 0 {
		about := e.About()
		for _, name := range []string{about.Function, about.Pool} {
			if verbosity, ok := set.functions[name]; ok {
				return log.Level(logging.Level(verbosity))
			}
		}
	}
	if verbosity := cmp.Or(set.fleet, set.config); verbosity != nil {
		return log.Level(logging.Level(*verbosity))
	}
	return log
}

// ofFleet is the verbosity of the fleet, where it was started with one.
func (s levelsSet) ofFleet(started int) int {
	return *cmp.Or(s.fleet, s.config, &started)
}

// of is the verbosity that the workers of a pool have to have, where the fleet was
// started with one: what is set for the pool, or enough for all of its functions.
func (s levelsSet) of(pool *PoolPlan, started int) int {
	if verbosity, ok := s.functions[pool.Name]; ok {
		return verbosity
	}
	most := s.ofFleet(started)
	for _, f := range pool.Functions {
		if verbosity, ok := s.functions[f.Name]; ok {
			most = max(most, verbosity)
		}
	}
	return most
}

// VerbosityError says that a verbosity is none.
type VerbosityError struct{ Verbosity int }

// Error says what is wanted.
func (e *VerbosityError) Error() string {
	return fmt.Sprintf("verbosity %d: want 0 to %d, or -1 for what it would be", e.Verbosity, logging.MaxVerbosity)
}

// SetLogLevel sets how much is logged of a function, or of the pool of that name, and
// what its workers are asked to say; with an empty name, of the fleet. The verbosity is
// 0 to 5, as many as -v are given; -1 takes away what was set. It holds until the
// manager stops; workers are told soon. The error is a *VerbosityError or
// wraps ErrNoPool.
func (m *Manager) SetLogLevel(ctx context.Context, function string, verbosity int) error {
	if verbosity < -1 || verbosity > logging.MaxVerbosity {
		return fmt.Errorf("set log level: %w", &VerbosityError{verbosity})
	}
	if function != "" && verbosity >= 0 && !m.knows(function) {
		return fmt.Errorf("set log level of %s: %w", function, ErrNoPool)
	}
	m.events.levels.change(function, verbosity)
	m.tellVerbosity(ctx, function)
	return nil
}

// LogLevels returns how much is logged.
func (m *Manager) LogLevels() LogLevels {
	set := m.events.levels.current()
	return LogLevels{Verbosity: set.ofFleet(m.cfg.Settings.Verbose()), Functions: maps.Clone(set.functions)}
}

// verbosity is what the workers of a pool are told.
func (m *Manager) verbosity(pool *PoolPlan) int {
	return m.events.levels.current().of(pool, m.cfg.Settings.Verbose())
}

// knows tells whether a pool has the name, or performs the function.
func (m *Manager) knows(function string) bool {
	return slices.ContainsFunc(m.Snapshot().Pools, func(p PoolStatus) bool {
		return p.Name == function || slices.Contains(p.Functions, function)
	})
}

// tellVerbosity tells the workers of the pools that a change for a function is about.
func (m *Manager) tellVerbosity(_ context.Context, function string) {
	for _, p := range m.running() {
		if function == "" || p.isFor(function) {
			verbosity := m.verbosity(p.plan())
			p.post(func() { p.setVerbosity(verbosity) })
		}
	}
}
