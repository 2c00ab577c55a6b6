package manager

import (
	"context"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/standalone"
)

// program is what the workers of a pool execute.
type program struct {
	path string
	args []string
	env  []string
}

// starter starts a worker and returns when it has said hello.
type starter func(context.Context, host.Launch) (process, error)

// program is what the workers of a pool execute, and how they are started; ok is
// false for those that cannot be run, see whyNot.
func (m *Manager) program(pp *PoolPlan) (prog program, start starter, ok bool) {
	switch pp.Kind {
	case KindPlugin:
		return program{path: pp.Program, env: m.env}, m.startWorker, true
	case KindExec:
		args := []string{ExecArg}
		if pp.KeepGroup {
			args = append(args, ExecKeepGroupArg)
		}
		return program{path: m.cfg.Self, args: args, env: m.env}, m.startWorker, true
	case KindPHP:
		php, err := m.php.get()
		if err != nil {
			return program{}, nil, false
		}
		path := pp.Program
		if path == "" { // several files
			path = m.php.where()
		}
		return program{path: path}, php.Start, true
	case KindStandalone:
		command := pp.Functions[0].Command
		h := standalone.New(standalone.Config{
			Supervisor: m.sup, Servers: m.servers, StartSeconds: pp.StartSeconds, StopSignal: pp.StopSignal,
		})
		start := func(ctx context.Context, launch host.Launch) (process, error) {
			w, err := h.Start(ctx, launch)
			if err != nil {
				return nil, err
			}
			return w, nil
		}
		return program{path: pp.Program, args: command[min(1, len(command)):], env: m.env}, start, true
	}
	return program{}, nil, false
}

// renew is what makes the workers of a kind take their code from the disk anew; nil
// where they always do. It is asked for once their program is known.
func (m *Manager) renew(kind Kind) func(context.Context) error {
	if kind != KindPHP {
		return nil
	}
	php, err := m.php.get()
	if err != nil {
		return nil
	}
	return php.Renew
}

// whyNot says why workers of a kind are not run; nil where this version does not.
func (m *Manager) whyNot(kind Kind) error {
	if kind == KindPHP {
		return m.php.fault()
	}
	return nil
}

func (m *Manager) startWorker(ctx context.Context, launch host.Launch) (process, error) {
	w, err := m.host.Start(ctx, launch)
	if err != nil {
		return nil, err
	}
	return w, nil
}
