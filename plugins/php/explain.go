package php

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// settle is for how long a process whose connection broke is given to end by itself,
// so that its own status is reported and not the kill. The connection breaks a
// moment before the process is reaped, or, on a machine with too much to do, some
// moments.
const settle = 2 * time.Second

// errEnded is for a process that has ended instead of going on.
var errEnded = errors.New("process has ended")

// explain ends a process whose start did not succeed and says why: err is what was
// noticed, ctx what the start was bound to, which allowed for after, and what names
// what was waited for.
func (p *process) explain(ctx context.Context, err error, after time.Duration, what string) error {
	slow, over := errors.Is(err, errSlow) || errors.Is(context.Cause(ctx), errSlow), context.Cause(ctx)
	exited := p.endsByItself(err) // which takes time
	p.end()
	var (
		start   *StartError
		refused refusal
		lost    *lostError
		bad     *ProtocolError
	)
	switch {
	case errors.As(err, &start): // the parent's
		return err
	case errors.As(err, &refused):
		return p.fault(&host.RefusedError{Path: p.path, Reason: string(refused), Tail: p.out.tail()})
	case errors.As(err, &lost) && lost.late:
		return p.fault(&host.TimeoutError{Path: p.path, After: lost.after, What: lost.what})
	case slow:
		return p.fault(&host.TimeoutError{Path: p.path, After: after, What: what, Tail: p.out.tail()})
	case over != nil:
		return named(p.name, over)
	case errors.Is(err, ErrClosed):
		return named(p.name, err)
	case exited:
		return p.fault(&host.ExitError{Path: p.path, Exit: p.proc.Exit(), Tail: p.out.tail()})
	case p.proc == nil && !errors.As(err, &lost) && !errors.As(err, &bad):
		return err // which names everything
	case broke(err):
		return p.fault(&host.RefusedError{Path: p.path, Reason: "it closed its connection", Tail: p.out.tail()})
	default:
		return p.fault(&host.RefusedError{Path: p.path, Reason: err.Error(), Tail: p.out.tail()})
	}
}

func (p *process) fault(err error) error { return &StartError{Name: p.name, Path: p.path, Err: err} }

// endsByItself tells whether the process has ended, or does so soon, without being
// killed. It waits only where err says that the connection broke.
func (p *process) endsByItself(err error) bool {
	if p.proc == nil {
		return false
	}
	select {
	case <-p.proc.Done():
		return true
	default:
	}
	if !broke(err) {
		return false
	}
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-p.proc.Done():
		return true
	case <-timer.C:
		return false
	}
}

// broke tells whether err is what the end of a process looks like from outside.
func broke(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, errFinished, os.ErrDeadlineExceeded} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
