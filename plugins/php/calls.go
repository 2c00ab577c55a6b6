package php

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// Go lowers the hold that Run began with. Like all calls but Ping it waits for no
// answer: when it returns, the worker finds it in its socket before it asks for
// another job. Errors are *host.CallError, around host.ErrEnded, ErrBacklog or what
// ended ctx.
func (w *Worker) Go(ctx context.Context, hold workerpb.Hold, slots uint32) error {
	return w.call(ctx, "release", "go", &workerpb.GoRequest{Hold: hold, Slots: slots})
}

// Set replaces the fields that settings holds.
func (w *Worker) Set(ctx context.Context, settings *workerpb.Settings) error {
	return w.call(ctx, "set", "set", settings)
}

// Pause takes functions from the job servers; a job in hand goes on.
func (w *Worker) Pause(ctx context.Context, functions ...string) error {
	return w.call(ctx, "pause", "pause", &workerpb.FunctionNames{Names: functions})
}

// Resume offers paused functions again.
func (w *Worker) Resume(ctx context.Context, functions ...string) error {
	return w.call(ctx, "resume", "resume", &workerpb.FunctionNames{Names: functions})
}

// Suspect tells the worker of jobs that were in hand when a worker died. It knows
// them before it performs another job.
func (w *Worker) Suspect(ctx context.Context, suspects *workerpb.Suspects) error {
	return w.call(ctx, "tell suspects to", "suspect", suspects)
}

// Drain makes the worker take no more jobs, finish the one in hand and leave; the
// event Left says that it is over.
func (w *Worker) Drain(ctx context.Context, reason string) error {
	return w.call(ctx, "drain", "drain", &workerpb.DrainRequest{Reason: reason})
}

// Ping returns when the worker has answered: at once if it waits for jobs, after its
// job if it performs one. It blocks until then, or until ctx ends.
func (w *Worker) Ping(ctx context.Context) error {
	number, pong := w.expectPong()
	defer w.forgetPong(number)
	line, err := encode("ping", number)
	if err == nil {
		err = w.send(ctx, line)
	}
	if err == nil {
		select {
		case <-pong:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-w.ended:
			err = host.ErrEnded
		case <-w.p.proc.Done():
			err = host.ErrEnded
		}
	}
	return w.callError("ping", err)
}

func (w *Worker) expectPong() (number uint64, pong <-chan struct{}) {
	ch := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pings++
	w.pongs[w.pings] = ch
	return w.pings, ch
}

func (w *Worker) forgetPong(number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pongs, number)
}

// answered is called for each pong. One that nobody waits for any more is late.
func (w *Worker) answered(number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch, ok := w.pongs[number]; ok {
		delete(w.pongs, number)
		close(ch)
	}
}

func (w *Worker) call(ctx context.Context, name, key string, msg proto.Message) error {
	line, err := encodeProto(key, msg)
	if err == nil {
		err = w.send(ctx, line)
	}
	return w.callError(name, err)
}

func (w *Worker) callError(name string, err error) error {
	if err == nil {
		return nil
	}
	return &host.CallError{Worker: w.Name(), Call: name, Err: err}
}

func (w *Worker) send(ctx context.Context, line []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-w.p.proc.Done():
		return host.ErrEnded
	case <-w.ended: // it has left, or its connection broke
		return host.ErrEnded
	default:
	}
	err := w.p.conn.send(line)
	if err != nil && !errors.Is(err, ErrBacklog) {
		return host.ErrEnded
	}
	return err
}
