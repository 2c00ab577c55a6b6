package manager

import (
	"context"
	"slices"

	"github.com/gearman-manager/gearman-manager/config"
)

// firstLook finds what is to be started, and tells what is wrong.
func (m *Manager) firstLook(ctx context.Context) found {
	f := m.lookWith(ctx, m.cfg.Settings, nil, lookAt{code: true})
	f.servers, f.disk = addresses(m.jobServers()), m.now().disk
	f.disk.sum = m.configSum(f.settings)
	if ctx.Err() == nil { // else they are of what could not be asked to its end
		for _, p := range f.problems {
			m.emit(ProblemFound{Problem: p})
		}
	}
	f.problems = slices.Concat(f.disk.warnings, f.problems)
	return f
}

// lookWith finds the programs and makes the plan of a config, whose php counts from now on.
func (m *Manager) lookWith(ctx context.Context, settings *config.Config, running []Program, how lookAt) found {
	f := found{settings: settings, servers: settings.Hosts()}
	m.php.use(settings)
	if m.cfg.Plan == nil {
		f.programs, f.problems = m.library.look(ctx, settings, running, how)
	}
	f.plan, f.noted = m.newPlan(settings, f.programs)
	f.problems = append(f.problems, f.noted...)
	if m.cfg.Plan == nil {
		f.problems = append(f.problems, CheckLimits(settings, f.plan)...)
	}
	return f
}

// newPlan makes the plan of a config and programs, or takes the one that was given.
func (m *Manager) newPlan(settings *config.Config, programs []Program) (*Plan, []config.Problem) {
	if m.cfg.Plan != nil {
		return &Plan{Pools: slices.Clone(m.cfg.Plan.Pools)}, nil
	}
	return NewPlan(settings, programs)
}

// look looks at the programs, with the config that was read or, if it was not or has
// errors, with the one that holds.
func (m *Manager) look(ctx context.Context, was fleetState, read *reading, how lookAt) found {
	disk := was.disk
	if read != nil {
		f := m.lookAnew(ctx, was, read, how)
		if !f.disk.refused {
			return f
		}
		disk = f.disk
	}
	f := m.lookWith(ctx, was.settings, was.programs, how)
	f.disk = disk
	if disk.refused {
		f.problems = slices.Concat(disk.refusal, f.problems)
	} else {
		f.problems = slices.Concat(disk.warnings, f.problems)
	}
	return m.keepServers(f, was)
}

// lookAnew looks at the programs with a config that was read. It is refused with errors of
// its own, and with those that only its plan shows.
func (m *Manager) lookAnew(ctx context.Context, was fleetState, read *reading, how lookAt) found {
	disk, settings := onDisk{settings: read.settings, sum: read.sum}, read.settings
	refuse := func(problems ...config.Problem) found {
		disk.refused, disk.refusal, disk.warnings = true, slices.Concat(read.problems, problems), was.disk.warnings
		return found{disk: disk}
	}
	if !read.good {
		return refuse()
	}
	disk.warnings = slices.Concat(read.problems, m.notApplied(settings))
	f := m.lookWith(ctx, settings, was.programs, how)
	if len(newErrors(was.noted, f.noted)) > 0 { // or is it the programs that have errors by now?
		before := m.lookWith(ctx, was.settings, was.programs, how)
		if fresh := newErrors(before.noted, f.noted); len(fresh) > 0 {
			return refuse(fresh...)
		}
		f = m.lookWith(ctx, settings, was.programs, how)
	}
	if m.cfg.Servers != nil {
		f = m.keepServers(f, was)
	} else if _, err := normalized(f.servers); err != nil {
		return refuse(problemAt(settings.Origin(config.GlobalSection, "host"), config.Error, err.Error()))
	}
	f.problems, f.disk = slices.Concat(disk.warnings, f.problems), disk
	return f
}

// reading is a config as it was read.
type reading struct {
	settings *config.Config // with errors, if it has any; as it was read before, if it could not be
	good     bool           // it has none
	problems []config.Problem
	sum      string // of its files; empty if that is not known
}

// read reads the config. It is for who has the turn to do so, which keeps it until the
// config is taken: what was read first is taken first.
func (m *Manager) read(ctx context.Context) *reading {
	was := m.now().disk.settings
	before := m.configSum(was)
	settings, problems := m.cfg.Reload(ctx)
	r := &reading{settings: settings, problems: problems, good: settings != nil && !config.HasErrors(problems)}
	if settings == nil {
		r.settings = was
	}
	if r.sum = m.configSum(r.settings); m.configSum(was) != before {
		r.sum = "" // what was read may be neither the one nor the other
	}
	return r
}

// keepServers has the fleet stay with its job servers.
func (m *Manager) keepServers(f found, was fleetState) found {
	f.servers = addresses(was.servers)
	return f
}
