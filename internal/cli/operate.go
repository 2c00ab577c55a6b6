package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// request asks a manager for something.
type request func(ctx context.Context, std *streams, client *control.Client) error

// do finds the manager and asks it, until a signal. The error of the request is made
// one of the command.
func (r *reach) do(ctx context.Context, std *streams, ask request) error {
	ctx, stop := untilSignal(ctx, std.signals, true)
	defer stop()
	client, err := r.connect(ctx, std)
	if err == nil {
		err = ask(ctx, std, client)
		if err != nil && ctx.Err() == nil {
			err = r.answered(err)
		}
	}
	return silentOr(ctx, err)
}

// silentOr is the error of a request, or the signal that has ended it; an error about
// which nothing is to be said comes first.
func silentOr(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*exitError](err); ok && e.err == nil {
		return err
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// oneFunction is the only argument of a command that wants one.
func oneFunction(args []string) (string, error) {
	if len(args) != 1 || args[0] == "" {
		return "", &usageError{problem: fmt.Sprintf("want the name of one function, got %d", len(args))}
	}
	return args[0], nil
}

// anyFunction is the only argument of a command that may have one, or empty.
func anyFunction(args []string) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	return oneFunction(args)
}
