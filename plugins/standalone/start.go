package standalone

import (
	"context"
	"fmt"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// Start starts a worker and returns when it has lived for Config.StartSeconds. The
// worker lives on when ctx ends; if that happens before it is ready, it is killed.
// After an error nothing of it is left.
//
// All of launch is used except Argv0: some programs know by the name that they were
// called by where their libraries are, or what they are. Started and then Request
// are called as soon as the process exists. Of what Request gives, the names of the
// functions and the limits of age and memory count; the program itself is told
// nothing of it.
//
// Errors: *supervisor.StartError if there is nothing that could be executed,
// *StartError, which holds a *host.ExitError, and what ended ctx.
func (h *Host) Start(ctx context.Context, launch host.Launch) (*Worker, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start %s: %w", launch.Name, context.Cause(ctx))
	}
	w, err := h.execute(&launch)
	if err != nil {
		return nil, err
	}
	go w.follow()
	if launch.Started != nil {
		launch.Started(w.proc)
	}
	req := &workerpb.RunRequest{}
	if launch.Request != nil {
		req = launch.Request()
	}
	w.hello = hello(w.PID(), req)
	if err := w.settle(ctx); err != nil {
		_ = w.Kill() // else it has ended
		<-w.done
		return nil, err
	}
	w.limit(req.GetLimits())
	return w, nil
}

// execute starts the process.
func (h *Host) execute(launch *host.Launch) (*Worker, error) {
	out, err := openOutputs(launch)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", launch.Name, err)
	}
	proc, err := h.cfg.Supervisor.Start(supervisor.Spec{
		Name:      launch.Name,
		Path:      launch.Path,
		Args:      launch.Args,
		Env:       h.environment(launch.Env, launch.Name),
		Dir:       launch.Dir,
		Stdout:    out.stdout.Writer(),
		Stderr:    out.stderr.Writer(),
		Pdeathsig: h.cfg.StopSignal,
		KeepGroup: launch.KeepGroup,
		Limits:    launch.Limits,
	})
	if err != nil {
		out.close()
		return nil, err // it names everything
	}
	out.release()
	return &Worker{
		host: h, name: launch.Name, path: launch.Path, proc: proc, out: out,
		events: make(chan *workerpb.Event, mostEvents), ended: make(chan struct{}), done: make(chan struct{}),
	}, nil
}

// settle waits until the process has lived long enough.
func (w *Worker) settle(ctx context.Context) error {
	want := w.host.cfg.StartSeconds
	timer := time.NewTimer(time.Until(w.proc.Started().Add(want)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.proc.Done():
	case <-ctx.Done():
		return fmt.Errorf("start %s: %w", w.name, context.Cause(ctx))
	}
	select {
	case <-w.proc.Done():
	default:
		return nil
	}
	<-w.done // all that it printed has been read
	exit := w.proc.Exit()
	return &StartError{
		Name: w.name, Lived: exit.At.Sub(w.proc.Started()), Want: want,
		Err: &host.ExitError{Path: w.path, Exit: exit, Tail: w.out.tail()},
	}
}

// hello is what a worker that spoke the contract would say first.
func hello(pid int, req *workerpb.RunRequest) *workerpb.Hello {
	d := &workerpb.Description{Contract: plugins.ContractVersion}
	for _, f := range req.GetFunctions() {
		d.Functions = append(d.Functions, f.GetName())
	}
	return &workerpb.Hello{Pid: uint32(pid), Description: d} //nolint:gosec // a process id
}
