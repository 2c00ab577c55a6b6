package host

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// CallError is for a call that a worker did not answer as it should.
type CallError struct {
	Worker string // "pool/number"
	Call   string // "drain", "pause", …
	Err    error  // ErrEnded, what ended the call's context, or the worker's own words
}

// Error names the worker and the call.
func (e *CallError) Error() string { return fmt.Sprintf("%s worker %s: %v", e.Call, e.Worker, e.Err) }

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

// Go lowers the hold that Run began with, for the first slots or, if that is 0, for
// all. Like all calls it blocks until the
// worker has answered or ctx has ended; errors are *CallError.
func (w *Worker) Go(ctx context.Context, hold workerpb.Hold, slots uint32) error {
	return call(ctx, w, "release", w.c.client.Go, &workerpb.GoRequest{Hold: hold, Slots: slots})
}

// Set replaces the fields that settings holds. When it returns, the next job that a
// slot asks for is asked for under them; jobs in hand end under the old ones, and
// servers that are new may not be connected yet.
func (w *Worker) Set(ctx context.Context, settings *workerpb.Settings) error {
	return call(ctx, w, "set", w.c.client.Set, settings)
}

// Pause takes functions from the job servers; jobs in hand go on. When it returns, a
// Go worker begins no job of theirs any more, but for one that a server has given it
// before; it waits for a second at most if a server hangs. Names that the worker does
// not have are kept for the case that Set brings them.
func (w *Worker) Pause(ctx context.Context, functions ...string) error {
	return call(ctx, w, "pause", w.c.client.Pause, &workerpb.FunctionNames{Names: functions})
}

// Resume offers paused functions again.
func (w *Worker) Resume(ctx context.Context, functions ...string) error {
	return call(ctx, w, "resume", w.c.client.Resume, &workerpb.FunctionNames{Names: functions})
}

// Suspect tells the worker of jobs that were in hand when a worker died. The
// worker knows them when it returns.
func (w *Worker) Suspect(ctx context.Context, suspects *workerpb.Suspects) error {
	return call(ctx, w, "tell suspects to", w.c.client.Suspect, suspects)
}

// Ping is answered by a worker whose control is not stuck: it takes the lock without
// which none of the other calls gets on.
func (w *Worker) Ping(ctx context.Context) error {
	return call(ctx, w, "ping", w.c.client.Ping, &workerpb.PingRequest{})
}

// Drain makes the worker take no more jobs, finish those in hand and leave. It
// returns when the worker has begun with it; the event Left says that it is over.
func (w *Worker) Drain(ctx context.Context, reason string) error {
	return call(ctx, w, "drain", w.c.client.Drain, &workerpb.DrainRequest{Reason: reason})
}

func call[Req, Rep any](ctx context.Context, w *Worker, name string,
	method func(context.Context, *Req, ...grpc.CallOption) (*Rep, error), req *Req,
) error {
	_, err := method(ctx, req)
	if err == nil {
		return nil
	}
	return &CallError{Worker: w.Name(), Call: name, Err: w.callCause(ctx, err)}
}

func (w *Worker) callCause(ctx context.Context, err error) error {
	select {
	case <-w.c.proc.Done():
		return ErrEnded
	case <-w.ended: // the connection broke, and the process goes with it
		return ErrEnded
	default:
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s := status.Convert(err)
	return fmt.Errorf("%s (%s)", s.Message(), s.Code())
}
