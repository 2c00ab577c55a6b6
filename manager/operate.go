package manager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	// ErrTooMany is the error where too many functions are scaled, paused or drained by hand.
	ErrTooMany = errors.New("too many functions are changed by hand, want the config to be changed")
	// ErrSlots is the error of a Scale to a number that is none.
	ErrSlots = fmt.Errorf("want 0 to %d slots", maxSlots)
)

// Restart replaces the workers of a function, or of the pool of that name, of all with an empty name: each when its successor is
// registered. They run what the disk holds by now. It returns how many are to be replaced and does not wait for them. The error is ErrNoPool or
// ErrNotRunning.
func (m *Manager) Restart(ctx context.Context, function string) (workers int, err error) {
	if function != "" && len(m.poolsFor(function)) == 0 {
		return 0, fmt.Errorf("restart %s: %w", function, m.orNotRunning(ErrNoPool))
	}
	_, err = m.reload(ctx, ReloadRequest{Code: true, Roll: true}, "restart", function)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", strings.TrimSpace("restart "+function), err)
	}
	for _, p := range m.running() {
		if (function == "" || p.isFor(function)) && !p.isLeaving() {
			workers += p.plan().Workers
		}
	}
	return workers, nil
}

// poolsFor are the pools of the plan that have a name, or perform the function of that name.
func (m *Manager) poolsFor(function string) (pools []*PoolPlan) {
	plan := m.now().plan
	if plan == nil {
		return nil
	}
	for i := range plan.Pools {
		if p := &plan.Pools[i]; p.isFor(function) {
			pools = append(pools, p)
		}
	}
	return pools
}

// isFor tells whether a pool has a name, or performs the function of that name.
func (p *PoolPlan) isFor(function string) bool {
	return p.Name == function || slices.ContainsFunc(p.Functions, func(f FunctionPlan) bool { return f.Name == function })
}

// orNotRunning is err, or ErrNotRunning where there is no fleet.
func (m *Manager) orNotRunning(err error) error {
	if m.now().plan == nil || m.isStopping() {
		return ErrNotRunning
	}
	return err
}

// Scale sets numbers of slots, all or none of them. They hold until the config changes, also for a manager started later. With 0 slots the workers
// leave. It does not wait for workers. The error names the function and wraps ErrNoPool, ErrShared, ErrSlots or ErrNotRunning.
func (m *Manager) Scale(ctx context.Context, scalings []Scaling) error {
	for _, s := range scalings {
		if err := m.mayScale(s); err != nil {
			return fmt.Errorf("scale %s: %w", s.Function, err)
		}
	}
	slots := map[string]int{}
	for _, s := range scalings {
		slots[s.Function] = s.Slots
	}
	err := m.byHand(ctx, ChangedByHand{Action: "scale", Names: slices.Sorted(maps.Keys(slots))}, func() bool { return m.controls.setScales(slots) })
	if err != nil {
		return fmt.Errorf("scale %s: %w", strings.Join(slices.Sorted(maps.Keys(slots)), ", "), err)
	}
	return nil
}

func (m *Manager) mayScale(s Scaling) error {
	pools := m.poolsFor(s.Function)
	switch {
	case s.Slots < 0 || s.Slots > maxSlots:
		return ErrSlots
	case len(pools) == 0:
		return m.orNotRunning(ErrNoPool)
	case !slices.ContainsFunc(pools, func(p *PoolPlan) bool { return p.Name == s.Function }):
		return ErrShared
	}
	return nil
}

// Pause has workers stay and take no jobs of a function, also those started later, until Resume. It blocks until all have been told. The error
// wraps ErrNoPool, ErrStandalone or ErrNotRunning.
func (m *Manager) Pause(ctx context.Context, function string) error {
	pools := m.poolsFor(function)
	if len(pools) == 0 {
		return fmt.Errorf("pause %s: %w", function, m.orNotRunning(ErrNoPool))
	}
	for _, p := range pools {
		if p.Kind == KindStandalone {
			return fmt.Errorf("pause %s: %w", function, ErrStandalone)
		}
	}
	if err := m.byHand(ctx, ChangedByHand{Action: "pause", Names: []string{function}}, func() bool { return m.controls.setPaused(function) }); err != nil {
		return fmt.Errorf("pause %s: %w", function, err)
	}
	return m.toldAll(ctx, function)
}

// Drain has the workers of a function leave when their jobs in hand are done, and starts none until Resume. In a shared pool the function is
// paused. It does not wait for workers. The error wraps ErrNoPool or ErrNotRunning.
func (m *Manager) Drain(ctx context.Context, function string) error {
	if len(m.poolsFor(function)) == 0 {
		return fmt.Errorf("drain %s: %w", function, m.orNotRunning(ErrNoPool))
	}
	if err := m.byHand(ctx, ChangedByHand{Action: "drain", Names: []string{function}}, func() bool { return m.controls.setDrained(function) }); err != nil {
		return fmt.Errorf("drain %s: %w", function, err)
	}
	return nil
}

// Resume ends Pause and Drain of a function. The error wraps ErrNoPool or ErrNotRunning.
func (m *Manager) Resume(ctx context.Context, function string) error {
	if len(m.poolsFor(function)) == 0 && !slices.Contains(m.paused(), function) {
		return fmt.Errorf("resume %s: %w", function, m.orNotRunning(ErrNoPool))
	}
	if err := m.byHand(ctx, ChangedByHand{Action: "resume", Names: []string{function}}, func() bool {
		m.controls.release(function)
		return true
	}); err != nil {
		return fmt.Errorf("resume %s: %w", function, err)
	}
	return m.toldAll(ctx, function)
}

// byHand changes what is set by hand, and then the fleet: config and programs are as they were found last.
func (m *Manager) byHand(ctx context.Context, told ChangedByHand, set func() bool) error {
	ctx, cancel := m.untilStop(ctx)
	defer cancel()
	if err := m.reloads.enter(ctx, m.stopping); err != nil {
		return notRunning(err)
	}
	defer m.reloads.leave()
	was := m.now()
	if was.plan == nil {
		return ErrNotRunning
	}
	if !set() {
		return ErrTooMany
	}
	f := m.keepServers(found{
		settings: was.settings, programs: was.programs, noted: was.noted, problems: was.reload.Problems, disk: was.disk,
	}, was)
	f.plan, _ = m.newPlan(f.settings, f.programs)
	m.hold(f.plan)
	changes, err := m.apply(ctx, f, nil)
	if err != nil {
		return notRunning(err)
	}
	m.note(f, len(changes) > 0)
	m.emit(told)
	return nil
}

// toldAll waits until the workers that perform a function know what they have been told.
func (m *Manager) toldAll(ctx context.Context, function string) error {
	for _, p := range m.running() {
		if !p.isFor(function) {
			continue
		}
		told, _ := ask(p, p.whenTold)
		select {
		case <-told: // or the pool has ended, and it is nil
		case <-p.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
