package standalone

import (
	"context"
	"errors"
	"syscall"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// Drain sends the stop signal to the process, never to its group, and lets it go on if
// it was stopped by SIGSTOP or the like: only then it gets the signal. The first Drain
// does so, later ones do nothing. The event Left says that the worker has gone.
// Errors are *host.CallError, around host.ErrEnded, what ended ctx before the call, or
// what the kernel said.
func (w *Worker) Drain(ctx context.Context, reason string) error {
	if ctx.Err() != nil {
		return w.callError("drain", context.Cause(ctx))
	}
	w.mu.Lock()
	w.retire("drain", reason)
	w.mu.Unlock()
	return w.callError("drain", w.stop())
}

// stop sends the stop signal, once.
func (w *Worker) stop() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return host.ErrEnded
	}
	if w.stopped {
		return nil
	}
	if err := w.proc.Signal(w.host.cfg.StopSignal); err != nil {
		return endedError(err)
	}
	w.stopped = true
	_ = w.proc.Signal(syscall.SIGCONT) // it may have ended by now
	return nil
}

// endedError puts the error of a process that has ended as all workers do.
func endedError(err error) error {
	if errors.Is(err, supervisor.ErrExited) {
		return host.ErrEnded
	}
	return err
}

// Set makes the limits of age and memory take effect at once, if settings has limits.
// A worker that retires already is not kept. The verbosity is not the program's; for
// other settings the error is a *host.CallError around ErrFixed, though limits beside
// them are set.
func (w *Worker) Set(ctx context.Context, settings *workerpb.Settings) error {
	if err := w.lives(ctx); err != nil {
		return w.callError("set", err)
	}
	if limits := settings.GetLimits(); limits != nil {
		w.limit(limits)
	}
	if settings.GetServers() != nil || settings.GetFunctions() != nil || settings.GetSlots() != nil {
		return w.callError("set", ErrFixed)
	}
	return nil
}

// Go does nothing: a standalone worker takes jobs as soon as it runs, and cannot be
// held. Errors are those of Ping.
func (w *Worker) Go(ctx context.Context, _ workerpb.Hold, _ uint32) error {
	return w.callError("release", w.lives(ctx))
}

// Pause cannot be done: the error is a *host.CallError around errors.ErrUnsupported.
func (w *Worker) Pause(context.Context, ...string) error {
	return w.callError("pause", errors.ErrUnsupported)
}

// Resume cannot be done, as Pause.
func (w *Worker) Resume(context.Context, ...string) error {
	return w.callError("resume", errors.ErrUnsupported)
}

// Suspect does nothing: the program cannot be told of jobs. It is no error.
func (*Worker) Suspect(context.Context, *workerpb.Suspects) error { return nil }

// Ping tells whether the process lives, be it stuck or not: there is nobody in it who
// could answer. Errors are *host.CallError, around host.ErrEnded or what ended ctx
// before the call.
func (w *Worker) Ping(ctx context.Context) error { return w.callError("ping", w.lives(ctx)) }

func (w *Worker) lives(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-w.proc.Done():
		return host.ErrEnded
	default:
		return nil
	}
}

func (w *Worker) callError(name string, err error) error {
	if err == nil {
		return nil
	}
	return &host.CallError{Worker: w.name, Call: name, Err: err}
}
