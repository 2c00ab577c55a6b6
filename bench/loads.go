package main

import (
	"context"
	"errors"
	"sync"
)

// connections is how many connections the load comes from: one for each of
// gearmand's I/O threads, which get connections in turn. A worker whose client
// is on the same thread does nearly twice as many jobs as one whose client is
// not, so a load on one connection would measure luck.
const connections = 4

// loads is a load that comes from several connections.
type loads []*load

// run is load.run: inFlight jobs at any time over all connections, or one
// after the other in turn if there are fewer jobs than connections.
func (ls loads) run(ctx context.Context, inFlight int) error {
	if inFlight < len(ls) {
		return ls.inTurn(ctx, inFlight)
	}
	errs := make([]error, len(ls))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	for i, l := range ls {
		share := inFlight / len(ls)
		if i < inFlight%len(ls) {
			share++
		}
		running.Go(func() {
			if errs[i] = l.run(ctx, share); errs[i] != nil {
				stop() // the others end, too
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// inTurn has each connection do inFlight jobs, again and again.
func (ls loads) inTurn(ctx context.Context, inFlight int) error {
	for i := 0; ctx.Err() == nil; i++ {
		if err := ls[i%len(ls)].round(inFlight); err != nil {
			return err
		}
	}
	return nil
}

// jobs is the number of jobs done.
func (ls loads) jobs() (n uint64) {
	for _, l := range ls {
		n += l.done.Load()
	}
	return n
}
