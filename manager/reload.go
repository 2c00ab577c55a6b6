package manager

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/content"
)

// fleetState is what the fleet is to be, as the last reload has found it. It is guarded by
// the manager's mu; what it points to never changes.
type fleetState struct {
	settings *config.Config
	servers  []jobServer
	programs []Program
	plan     *Plan            // nil before Start
	noted    []config.Problem // of the plan alone, which is to say of the config
	disk     onDisk
	reload   ReloadStatus
}

// onDisk is the config as the disk holds it, which need not be the one that the fleet has.
type onDisk struct {
	settings *config.Config   // as it was read last, errors and all: which files it is made of
	sum      string           // of these files as they were read; empty if that is not known
	refused  bool             // it does not hold
	refusal  []config.Problem // what is wrong with it then
	warnings []config.Problem // about the config that holds, apart from its programs and plan
}

// found is what a look at config and programs has found.
type found struct {
	settings *config.Config
	servers  []string
	programs []Program
	plan     *Plan
	noted    []config.Problem // of the plan
	problems []config.Problem // all of them
	disk     onDisk
}

// now returns the state of the fleet.
func (m *Manager) now() fleetState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// running are the pools that run.
func (m *Manager) running() []*pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pools
}

// jobServers are the servers that the fleet is to be connected to.
func (m *Manager) jobServers() []jobServer { return m.now().servers }

// programsName is the directory for private copies of plugins.
const programsName = "programs"

// openStore makes the store of private copies: in the state directory, so that a copy
// survives a restart, or in the runtime directory. Without one, plugins run in place.
func (m *Manager) openStore() *content.Store {
	dirs := []string{filepath.Join(m.dir.path, programsName)}
	m.mu.Lock()
	if m.keeper != nil {
		dirs = append([]string{filepath.Join(m.keeper.dir.path, programsName)}, dirs...)
	}
	m.mu.Unlock()
	var errs []error
	for _, dir := range dirs {
		store, err := content.OpenStore(dir)
		if err == nil {
			return store
		}
		errs = append(errs, err)
	}
	m.emit(RunInPlace{Err: errors.Join(errs...)})
	return nil
}

// begin starts the first pools.
func (m *Manager) begin(ctx context.Context, f found) error {
	m.endScale(f)
	m.hold(f.plan)
	started := FleetStarted{Dir: m.dir.path, Servers: f.servers}
	changes, err := m.apply(ctx, f, nil)
	if err != nil {
		return err
	}
	for _, p := range m.running() {
		if p.plan().Workers > 0 {
			started.Pools++
			started.Workers += p.plan().Workers
			started.Slots += p.plan().Slots
		}
	}
	if len(m.running()) == 0 {
		return m.nothingToRun()
	}
	m.note(f, len(changes) > 0)
	m.emit(started)
	return nil
}

// Reload applies what has changed: it blocks until everything that can fail was tried and
// the changes have begun, not until the last worker is replaced. Reloads are done one
// after another. The error is ErrNotRunning or what ended ctx; what is wrong with config
// or programs is in the report.
func (m *Manager) Reload(ctx context.Context, req ReloadRequest) (ReloadReport, error) {
	return m.reload(ctx, req, "asked for", "")
}

// reload is Reload for a reason. If a function is named, only the pools that perform it
// are rolled, and only their changed code is taken.
func (m *Manager) reload(ctx context.Context, req ReloadRequest, reason, function string) (ReloadReport, error) {
	if m.now().plan == nil {
		return ReloadReport{}, ErrNotRunning
	}
	ctx, cancel := m.untilStop(ctx)
	defer cancel()
	var read *reading
	if req.Config && m.cfg.Reload != nil { // which may take long, and nobody else has to wait for it
		if err := m.readings.enter(ctx, m.stopping); err != nil {
			return ReloadReport{}, notRunning(err)
		}
		defer m.readings.leave()
		read = m.read(ctx)
	}
	if err := m.reloads.enter(ctx, m.stopping); err != nil {
		return ReloadReport{}, notRunning(err)
	}
	defer m.reloads.leave()
	was := m.now()
	f := m.look(ctx, was, read, lookAt{code: req.Code, settled: true, again: req.Code && req.Roll})
	if ctx.Err() != nil {
		return ReloadReport{}, notRunning(context.Cause(ctx))
	}
	if function != "" && m.cfg.Plan == nil {
		f.onlyFor(function, was)
	}
	m.tellProblems(was, f)
	m.learn(was, f)
	m.hold(f.plan)
	var roll func(*PoolPlan) bool
	if req.Roll {
		roll = func(p *PoolPlan) bool { return function == "" || p.isFor(function) }
	}
	changes, err := m.apply(ctx, f, roll)
	if err != nil {
		return ReloadReport{}, notRunning(err)
	}
	m.note(f, len(changes) > 0)
	if len(changes) > 0 || reason != rescanned {
		m.emit(Reloaded{Reason: reason, Changes: len(changes)})
	}
	return ReloadReport{Changes: changes, Problems: slices.Clone(f.problems), Refused: f.disk.refused}, nil
}

// learn takes over what a config says beside the plan.
func (m *Manager) learn(was fleetState, f found) {
	if !f.disk.refused {
		m.endScale(f)
	}
	if f.settings != was.settings {
		m.events.levels.configured(f.settings.Verbose())
	}
}

// onlyFor has programs that do not belong to a function, or to the pool of that name, stay
// as they were: chosen are those that the pools run by now, and what has come in their place.
func (f *found) onlyFor(function string, was fleetState) {
	named, functions := map[string]bool{}, map[string]bool{}
	for i := range was.plan.Pools {
		if p := &was.plan.Pools[i]; p.isFor(function) {
			for _, of := range p.Functions {
				functions[of.Name] = true
			}
		}
	}
	isChosen := func(p Program) bool {
		return named[p.place()] || slices.ContainsFunc(p.Functions, func(name string) bool { return functions[name] })
	}
	for _, p := range was.programs {
		if isChosen(p) {
			named[p.place()] = true
		}
	}
	kept := map[string]Program{}
	for _, p := range was.programs {
		if !isChosen(p) {
			kept[p.place()] = p
		}
	}
	var programs []Program
	taken := map[string]bool{}
	add := func(p Program) {
		delete(kept, p.place())
		p.Functions = slices.DeleteFunc(slices.Clone(p.Functions), func(name string) bool { return taken[name] })
		for _, name := range p.Functions {
			taken[name] = true
		}
		if len(p.Functions) > 0 {
			programs = append(programs, p)
		}
	}
	for _, p := range f.programs {
		if old, ok := kept[p.place()]; ok {
			add(old)
		} else if isChosen(p) {
			add(p)
		}
	}
	for _, p := range was.programs { // that are gone
		if _, ok := kept[p.place()]; ok {
			add(p)
		}
	}
	f.programs = programs
	f.plan, f.noted = NewPlan(f.settings, f.programs)
}

// place is what a program goes by, whatever lies there.
func (p *Program) place() string {
	if p.Origin.Key == "command" {
		return p.Origin.Section
	}
	return cmp.Or(p.Named, p.Path)
}

// notRunning makes the error of a manager that stops one that says so.
func notRunning(err error) error {
	if errors.Is(err, errStopping) {
		return ErrNotRunning
	}
	return err
}

// note remembers what a look has found, once it is applied.
func (m *Manager) note(f found, changed bool) {
	m.mu.Lock()
	m.state.settings, m.state.programs, m.state.plan, m.state.noted = f.settings, f.programs, f.plan, f.noted
	m.state.disk, m.state.reload.Problems, m.state.reload.Refused = f.disk, f.problems, f.disk.refused
	if changed {
		m.state.reload.At = time.Now()
	}
	m.mu.Unlock()
	plans := []*Plan{f.plan}
	for _, p := range m.running() {
		if used, ok := ask(p, p.plansInUse); ok {
			plans = append(plans, used)
		}
	}
	m.library.prune(plans...)
	m.watch()
}

// plansInUse are those of all editions of the pool.
func (p *pool) plansInUse() *Plan {
	plan := &Plan{}
	for _, e := range p.editions() {
		plan.Pools = append(plan.Pools, *e.assigned.plan)
	}
	return plan
}

// endScale ends what was scaled by hand under another config than this one.
func (m *Manager) endScale(f found) {
	if f.disk.sum == "" {
		return // it is read again, for it has changed meanwhile
	}
	if names := m.controls.belong(f.disk.sum); len(names) > 0 {
		m.emit(ScaleEnded{Functions: names})
	}
}

// hold changes a plan as operators have asked for by hand.
func (m *Manager) hold(plan *Plan) {
	plan.scale(m.controls.scales())
	drained := m.controls.drained()
	for i := range plan.Pools {
		p := &plan.Pools[i]
		if slices.Contains(drained, p.Name) || len(p.Functions) == 1 && slices.Contains(drained, p.Functions[0].Name) {
			p.Slots, p.Workers, p.Origin = 0, 0, "drained by hand"
		}
	}
}

// paused are the functions that workers are to take no jobs of.
func (m *Manager) paused() []string {
	paused := slices.Concat(m.controls.paused(), m.controls.drained())
	slices.Sort(paused)
	return slices.Compact(paused)
}
