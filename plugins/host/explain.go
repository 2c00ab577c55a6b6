package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// settle is for how long a process whose connection broke is given to end by
// itself, so that its own status is reported and not the kill. The connection
// breaks a moment before the process is reaped.
const settle = 500 * time.Millisecond

// explain ends a process whose start did not succeed and says why: err is what
// was noticed, ctx what the start was bound to, which allowed for after, and what
// names what was waited for.
func (p *process) explain(ctx context.Context, err error, after time.Duration, what string) error {
	if p.proc == nil { // nothing was started
		if p.dir != "" {
			_ = os.RemoveAll(p.dir)
			return p.launch.ofOriginal(err)
		}
		return fmt.Errorf("start %s: %w", p.launch.Name, err)
	}
	exited := p.endsByItself(err)
	p.abort()
	<-p.done
	if p.first.seen {
		if err := checkHandshake(p.launch.program(), p.first.text); err != nil {
			return err
		}
	}
	var (
		version *VersionError
		limit   *supervisor.LimitError
	)
	switch {
	case errors.As(err, &limit):
		return &supervisor.StartError{Name: p.launch.Name, Path: p.launch.program(), Reason: limit.Error(), Err: limit}
	case errors.As(err, &version):
		return err
	case errors.Is(context.Cause(ctx), errSlow):
		return &TimeoutError{Path: p.launch.program(), After: after, What: what, Line: p.noHandshake(), Tail: p.tail()}
	case ctx.Err() != nil:
		return fmt.Errorf("start %s: %w", p.launch.Name, context.Cause(ctx))
	case exited:
		return &ExitError{Path: p.launch.program(), Exit: p.proc.Exit(), Tail: p.tail()}
	default:
		return &RefusedError{Path: p.launch.program(), Reason: status.Convert(err).Message(), Tail: p.tail()}
	}
}

// ofOriginal gives an error of the supervisor, which names everything, the name of the
// original where a copy could not be started.
func (l *Launch) ofOriginal(err error) error {
	start, ok := errors.AsType[*supervisor.StartError](err)
	if !ok || l.Program == "" || l.Program == l.Path {
		return err
	}
	return &supervisor.StartError{
		Name: start.Name, Path: l.Program, Reason: fmt.Sprintf("its private copy %s: %s", l.Path, start.Reason), Err: start.Err,
	}
}

// endsByItself tells whether the process has ended, or does so soon, without
// being killed. It waits only where err says that the connection broke.
func (p *process) endsByItself(err error) bool {
	wait := time.Duration(0)
	if status.Code(err) == codes.Unavailable {
		wait = settle
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.proc.Done():
		return true
	default:
	}
	select {
	case <-p.proc.Done():
		return true
	case <-timer.C:
		return false
	}
}

// noHandshake is the first line that the program printed, if it is no handshake.
func (p *process) noHandshake() string {
	if _, _, ok := parseHandshake(p.first.text); ok {
		return ""
	}
	return quote.Line(p.first.text)
}
