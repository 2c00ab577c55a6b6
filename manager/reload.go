package manager

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
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
	refusal  []config.Problem // of the config on disk, if it is refused
	sum      string           // of the files of the config that was read last
	reload   ReloadStatus
}

// found is what a look at config and programs has found.
type found struct {
	settings *config.Config
	servers  []string
	programs []Program
	plan     *Plan
	noted    []config.Problem // of the plan
	problems []config.Problem // all of them
	refusal  []config.Problem // of the config on disk, if it is refused
	refused  bool
	sum      string // of the files of the config
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

// firstLook finds what is to be started, and tells what is wrong.
func (m *Manager) firstLook(ctx context.Context) found {
	f := found{settings: m.cfg.Settings, plan: m.cfg.Plan}
	if f.plan == nil {
		f = m.lookWith(ctx, f.settings, nil, lookAt{code: true})
	}
	f.servers, f.sum = addresses(m.jobServers()), m.configSum(f.settings)
	if ctx.Err() == nil { // else they are of what could not be asked to its end
		for _, p := range f.problems {
			m.emit(ProblemFound{Problem: p})
		}
	}
	return f
}

// lookWith finds the programs and makes the plan of a config.
func (m *Manager) lookWith(ctx context.Context, settings *config.Config, running []Program, how lookAt) found {
	f := found{settings: settings, servers: settings.Hosts()}
	f.programs, f.problems = m.library.look(ctx, settings, running, how)
	f.plan, f.noted = NewPlan(settings, f.programs)
	f.problems = append(f.problems, f.noted...)
	f.problems = append(f.problems, CheckLimits(settings, f.plan)...)
	return f
}

// begin starts the first pools.
func (m *Manager) begin(f found) error {
	m.endScale(f)
	m.hold(f.plan)
	started := FleetStarted{Dir: m.dir.path, Servers: f.servers}
	changes, err := m.apply(f, nil)
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
	ctx, cancel := m.untilStop(ctx)
	defer cancel()
	if err := m.reloads.enter(ctx, m.stopping); err != nil {
		return ReloadReport{}, notRunning(err)
	}
	defer m.reloads.leave()
	was := m.now()
	if was.plan == nil || m.library == nil {
		return ReloadReport{}, ErrNotRunning
	}
	f := m.look(ctx, was, req)
	if ctx.Err() != nil {
		return ReloadReport{}, notRunning(context.Cause(ctx))
	}
	if function != "" {
		f.onlyFor(function, was)
	}
	m.tellProblems(was, f)
	if !f.refused {
		m.endScale(f)
	}
	if f.settings != was.settings {
		m.events.levels.configured(f.settings.Verbose())
	}
	m.hold(f.plan)
	var roll func(*PoolPlan) bool
	if req.Roll {
		roll = func(p *PoolPlan) bool { return function == "" || p.isFor(function) }
	}
	changes, err := m.apply(f, roll)
	if err != nil {
		return ReloadReport{}, notRunning(err)
	}
	m.note(f, len(changes) > 0)
	if len(changes) > 0 || reason != rescanned {
		m.emit(Reloaded{Reason: reason, Changes: len(changes)})
	}
	return ReloadReport{Changes: changes, Problems: f.problems, Refused: f.refused}, nil
}

// onlyFor has programs that do not belong to a function, or to the pool of that name, stay
// as they were.
func (f *found) onlyFor(function string, was fleetState) {
	var chosen []string
	for i := range was.plan.Pools {
		if p := &was.plan.Pools[i]; p.isFor(function) {
			for _, of := range p.Functions {
				chosen = append(chosen, of.Program)
			}
		}
	}
	programs := slices.DeleteFunc(slices.Clone(f.programs), func(p Program) bool { return !slices.Contains(chosen, p.Path) })
	for _, p := range was.programs {
		if !slices.Contains(chosen, p.Path) {
			programs = append(programs, p)
		}
	}
	f.programs = programs
	f.plan, f.noted = NewPlan(f.settings, f.programs)
}

// notRunning makes the error of a manager that stops one that says so.
func notRunning(err error) error {
	if errors.Is(err, errStopping) {
		return ErrNotRunning
	}
	return err
}

// look reads the config again if that is asked for, and looks at the programs. A config
// with errors changes nothing.
func (m *Manager) look(ctx context.Context, was fleetState, req ReloadRequest) found {
	how := lookAt{code: req.Code, settled: true, again: req.Code && req.Roll}
	sum, refusal, refused := was.sum, was.refusal, was.reload.Refused // as long as it is not read again
	if req.Config && m.cfg.Reload != nil {
		sum = m.configSum(was.settings)
		f := m.lookAnew(ctx, was, how)
		if !f.refused {
			f.sum = m.configSum(f.settings)
			return f
		}
		refusal, refused = f.refusal, true
	}
	f := m.lookWith(ctx, was.settings, was.programs, how)
	f.sum, f.refusal, f.refused = sum, refusal, refused
	f.problems = append(slices.Clone(refusal), f.problems...)
	return m.keepServers(f, was)
}

// lookAnew reads the config again, and looks at the programs with it. It is refused with
// errors of its own, and with those that only its plan shows.
func (m *Manager) lookAnew(ctx context.Context, was fleetState, how lookAt) found {
	settings, problems := m.cfg.Reload(ctx)
	if settings == nil || config.HasErrors(problems) {
		return found{refused: true, refusal: problems}
	}
	f := m.lookWith(ctx, settings, was.programs, how)
	f.problems = slices.Concat(problems, m.notApplied(settings), f.problems)
	if fresh := newErrors(was.noted, f.noted); len(fresh) > 0 {
		return found{refused: true, refusal: append(problems, fresh...)}
	}
	if m.cfg.Servers != nil {
		return m.keepServers(f, was)
	}
	if _, err := normalized(f.servers); err != nil {
		origin := settings.Origin(config.GlobalSection, "host")
		return found{refused: true, refusal: append(problems, problemAt(origin, config.Error, err.Error()))}
	}
	return f
}

func problemAt(o config.Origin, severity config.Severity, message string) config.Problem {
	return config.Problem{
		File: o.File, Line: o.Line, Section: o.Section, Key: o.Key, Flag: o.Flag, Severity: severity, Message: message,
	}
}

// notApplied are warnings about what has changed and takes effect at the next start only.
func (m *Manager) notApplied(settings *config.Config) (problems []config.Problem) {
	first := m.cfg.Settings
	for key, changed := range map[string]bool{
		"runtime_dir":       first.RuntimeDir() != settings.RuntimeDir(),
		"state_dir":         first.StateDir() != settings.StateDir(),
		"control_socket":    first.ControlSocket() != settings.ControlSocket(),
		"control_owner":     first.ControlOwner() != settings.ControlOwner(),
		"control_group":     first.ControlGroup() != settings.ControlGroup(),
		"php":               first.PHP() != settings.PHP(),
		"php_args":          !slices.Equal(first.PHPArgs(), settings.PHPArgs()),
		"php_preload":       first.PHPPreload() != settings.PHPPreload(),
		"start_concurrency": first.StartConcurrency() != settings.StartConcurrency(),
	} {
		if changed {
			problems = append(problems, problemAt(settings.Origin(config.GlobalSection, key), config.Warning,
				"the new value takes effect when the manager is started again"))
		}
	}
	slices.SortFunc(problems, func(a, b config.Problem) int { return strings.Compare(a.Key, b.Key) })
	return problems
}

// keepServers has the fleet stay with its job servers.
func (m *Manager) keepServers(f found, was fleetState) found {
	f.servers = nil
	for _, s := range was.servers {
		f.servers = append(f.servers, s.address)
	}
	return f
}

// newErrors are the errors of a plan that the one before did not have, on whatever lines.
func newErrors(was, now []config.Problem) (fresh []config.Problem) {
	for _, p := range now {
		known := slices.ContainsFunc(was, func(old config.Problem) bool {
			old.Line = p.Line
			return old == p
		})
		if p.Severity == config.Error && !known {
			fresh = append(fresh, p)
		}
	}
	return fresh
}

// tellProblems tells of problems that are new, and of those that are no more.
func (m *Manager) tellProblems(was fleetState, f found) {
	if f.refused && !(was.reload.Refused && slices.Equal(was.refusal, f.refusal)) {
		m.emit(ConfigRefused{Problems: f.refusal})
		was.reload.Problems = append(slices.Clone(was.reload.Problems), f.refusal...)
	}
	for _, p := range newProblems(was.reload.Problems, f.problems) {
		m.emit(ProblemFound{Problem: p})
	}
	for _, p := range newProblems(f.problems, was.reload.Problems) {
		if p.Severity == config.Error && !slices.Contains(was.refusal, p) {
			m.emit(ProblemGone{Problem: p})
		}
	}
	if was.reload.Refused && !f.refused {
		m.emit(ConfigAccepted{})
	}
}

// newProblems are those that were not there before.
func newProblems(was, now []config.Problem) (fresh []config.Problem) {
	for _, p := range now {
		if !slices.Contains(was, p) {
			fresh = append(fresh, p)
		}
	}
	return fresh
}

// note remembers what a look has found, once it is applied.
func (m *Manager) note(f found, changed bool) {
	m.mu.Lock()
	m.state.settings, m.state.programs, m.state.plan, m.state.noted = f.settings, f.programs, f.plan, f.noted
	m.state.reload.Problems, m.state.reload.Refused = f.problems, f.refused
	m.state.refusal, m.state.sum = f.refusal, f.sum
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
	if names := m.controls.belong(f.sum); len(names) > 0 {
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
