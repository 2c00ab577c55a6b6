package manager

import (
	"context"
	"sync"
)

// turn is for what is done by one goroutine at a time, and not at all once it is closed.
type turn struct {
	taken chan struct{}
	over  chan struct{}
	once  *sync.Once
}

func newTurn() turn {
	return turn{taken: make(chan struct{}, 1), over: make(chan struct{}), once: &sync.Once{}}
}

// enter waits for the turn, which leave gives back. The error is errStopping, when or
// after stop is closed, or what ended ctx.
func (t turn) enter(ctx context.Context, stop <-chan struct{}) error {
	select {
	case <-stop:
		return errStopping
	default:
	}
	select {
	case t.taken <- struct{}{}:
		return nil
	case <-stop:
		return errStopping
	case <-t.over:
		return errStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) leave() { <-t.taken }

// close waits for who has the turn and gives it to nobody any more.
func (t turn) close() {
	t.once.Do(func() { close(t.over) })
	t.taken <- struct{}{}
}
