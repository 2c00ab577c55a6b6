package manager

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// gateHeld is for how long a start holds its place at most: a worker that loads
// data for a minute before it says hello does not need the processor that the
// limit is about, and must not keep other pools from starting.
const gateHeld = 3 * time.Second

// gate lets through a limited number of starts at a time.
type gate chan struct{}

// newGate makes a gate for n at a time, by default two for each processor.
func newGate(n int) gate {
	if n <= 0 {
		n = 2 * runtime.GOMAXPROCS(0)
	}
	return make(gate, n)
}

// enter waits for a place, or for the end of ctx. The place is given back by
// leave, which may be called again, or after gateHeld.
func (g gate) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	release := sync.OnceFunc(func() { <-g })
	timer := time.AfterFunc(gateHeld, release)
	return func() {
		timer.Stop()
		release()
	}, nil
}
