package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
	"github.com/gearman-manager/gearman-manager/plugins/standalone"
)

// program is what the workers of a pool execute.
type program struct {
	path   string
	source string // of which path is a private copy; empty if it is none
	name   string // what path is for people; empty if it says so itself
	args   []string
	env    []string
}

// shown is the path of the program for people.
func (p program) shown() string {
	return cmp.Or(p.source, p.name, p.path)
}

// ownBinary leads a process that is being started to the binary that its parent runs,
// whatever has taken the place of that on disk: workers of executables are of the
// manager's own version, during an upgrade too.
const ownBinary = "/proc/self/exe"

// starter starts a worker and returns when it has said hello.
type starter func(context.Context, host.Launch) (process, error)

// assembly makes editions for one reload: its PHP workers have one php in common that
// they are forked from.
type assembly struct {
	manager *Manager
	servers []jobServer
	maxData int64

	mu    sync.Mutex
	php   phpGeneration // nil: none was needed yet
	users int           // editions that are not closed
}

// edition makes an edition for a plan, of what the disk holds. The error is that of an
// interpreter that cannot be used; nothing has to be closed then.
func (a *assembly) edition(plan *PoolPlan) (*edition, error) {
	m := a.manager
	e := &edition{memory: memoryOf(plan.Kind), close: func() {}, start: m.startWorker, servers: addresses(a.servers), maxData: a.maxData}
	switch plan.Kind {
	case KindPlugin:
		e.program = program{path: plan.Program, env: m.env}
		if plan.Run != "" {
			e.program.path, e.program.source = plan.Run, plan.Program
		}
	case KindExec:
		e.program = program{path: ownBinary, name: m.cfg.Self, args: []string{ExecArg}, env: m.env}
		if m.ownSelf {
			e.program.path = m.cfg.Self
		}
		if plan.KeepGroup {
			e.program.args = append(e.program.args, ExecKeepGroupArg)
		}
	case KindPHP:
		return e, a.forPHP(e, plan)
	case KindStandalone:
		command := plan.Functions[0].Command
		e.program = program{path: plan.Program, args: command[min(1, len(command)):], env: m.env}
		e.start = startStandalone(standalone.New(standalone.Config{
			Supervisor: m.sup, Servers: addresses(a.servers), StartSeconds: plan.StartSeconds, StopSignal: plan.StopSignal,
		}))
	}
	return e, nil
}

// forPHP has the workers of an edition forked from the php of this reload.
func (a *assembly) forPHP(e *edition, plan *PoolPlan) error {
	h, err := a.manager.php.get()
	if err != nil {
		return err
	}
	a.mu.Lock()
	if a.php == nil {
		a.php = h.Generation()
	}
	a.users++
	gen := a.php
	a.mu.Unlock()
	e.start = gen.Start
	e.close = sync.OnceFunc(a.leave)
	e.program.path = plan.Program
	if e.program.path == "" { // several files
		e.program.path = a.manager.php.where()
	}
	return nil
}

// warm has the workers of a plan, whose edition was made before, run what the disk holds
// now. Of a file that cannot be loaded the worker tells that cannot load it. The error is
// that of a php that cannot be used.
func (a *assembly) warm(ctx context.Context, plan *PoolPlan) error {
	a.mu.Lock()
	gen := a.php
	a.mu.Unlock()
	if plan.Kind != KindPHP || gen == nil {
		return nil
	}
	err := gen.Warm(ctx, phpFilesOf(plan))
	if _, ok := errors.AsType[*php.WarmError](err); ok || err == nil {
		return nil
	}
	return fmt.Errorf("load PHP files: %w", err)
}

// leave is called for each edition that is closed.
func (a *assembly) leave() {
	a.mu.Lock()
	a.users--
	gen := a.php
	over := a.users == 0
	if over {
		a.php = nil
	}
	a.mu.Unlock()
	if over {
		_ = gen.Close() // a process less: there is nothing to be done about an error
	}
}

// phpFilesOf are the files that the workers of a plan load.
func phpFilesOf(plan *PoolPlan) (files []PHPFile) {
	for _, f := range plan.Functions {
		files = append(files, PHPFile{Function: f.Name, Path: f.Program, Symbol: f.Symbol, Pear: f.Pear})
	}
	return files
}

func startStandalone(h *standalone.Host) starter {
	return func(ctx context.Context, launch host.Launch) (process, error) {
		w, err := h.Start(ctx, launch)
		if err != nil {
			return nil, err
		}
		return w, nil
	}
}

// retaker has a pool whose workers could not be started take its code from the disk. Those
// of other kinds do so at each start.
func (m *Manager) retaker(kind Kind) func(context.Context, string) {
	if kind != KindPHP && kind != KindPlugin {
		return nil
	}
	return func(ctx context.Context, pool string) {
		_, _ = m.reload(ctx, ReloadRequest{Code: true, Roll: true}, "retry", pool) // it stops
	}
}

func (m *Manager) startWorker(ctx context.Context, launch host.Launch) (process, error) {
	w, err := m.host.Start(ctx, launch)
	if err != nil {
		return nil, err
	}
	return w, nil
}
