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

// look reads the config again if that is asked for, and looks at the programs. A config
// with errors changes nothing.
func (m *Manager) look(ctx context.Context, was fleetState, req ReloadRequest) found {
	how := lookAt{code: req.Code, settled: true, again: req.Code && req.Roll}
	disk := was.disk
	if req.Config && m.cfg.Reload != nil {
		f := m.lookAnew(ctx, was, how)
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

// lookAnew reads the config again, and looks at the programs with it. It is refused with
// errors of its own, and with those that only its plan shows.
func (m *Manager) lookAnew(ctx context.Context, was fleetState, how lookAt) found {
	disk, settings := m.read(ctx, was)
	if disk.refused {
		return found{disk: disk}
	}
	refuse := func(problems ...config.Problem) found {
		disk.refused, disk.refusal, disk.warnings = true, append(disk.warnings, problems...), was.disk.warnings
		return found{disk: disk}
	}
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

// read reads the config. Without errors of its own, what is returned holds it as if it
// were taken.
func (m *Manager) read(ctx context.Context, was fleetState) (onDisk, *config.Config) {
	before := m.configSum(was.disk.settings)
	settings, problems := m.cfg.Reload(ctx)
	disk := onDisk{settings: settings}
	if settings == nil {
		disk.settings = was.disk.settings
	}
	if disk.sum = m.configSum(disk.settings); m.configSum(was.disk.settings) != before {
		disk.sum = "" // what was read may be neither the one nor the other
	}
	if settings == nil || config.HasErrors(problems) {
		disk.refused, disk.refusal, disk.warnings = true, problems, was.disk.warnings
	} else {
		disk.warnings = slices.Concat(problems, m.notApplied(settings))
	}
	return disk, settings
}

// keepServers has the fleet stay with its job servers.
func (m *Manager) keepServers(f found, was fleetState) found {
	f.servers = addresses(was.servers)
	return f
}
