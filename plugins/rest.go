package plugins

import (
	"sync"
	"sync/atomic"
	"time"
)

// restFor is how long a worker rests after its last job before it leaves although
// the manager has not asked it to.
const restFor = 10 * time.Second

// restsAfter reports whether a worker that retires for this reason could go on
// until it has been replaced. After any other it leaves at once.
func restsAfter(reason string) bool {
	switch reason {
	case "max_runs", "max_lifetime", "max_memory", "panic":
		return true
	}
	return false
}

// rest is how a worker ends that waits until the manager has replaced it: it takes
// no more jobs, but stays registered. A nil rest is one of a worker that leaves by
// itself.
type rest struct {
	slots   resting
	events  *eventQueue
	inHand  *atomic.Int64 // handlers that run
	waits   time.Duration
	resting atomic.Bool

	mu    sync.Mutex
	said  map[int]bool // slots of which the manager has heard that they rest
	leave *time.Timer
}

// resting is what a rest needs of a gearclient.Worker.
type resting interface {
	Rest()
	Resume()
	Drain()
}

// newRest prepares the rest of p, whose slots exist.
func newRest(p *performer) *rest {
	r := &rest{slots: p.worker, events: p.events, inHand: &p.inHand, waits: restFor, said: map[int]bool{}}
	r.leave = time.AfterFunc(time.Hour, r.over)
	r.leave.Stop()
	return r
}

// begin makes the slots rest when they have nothing in hand. It may be called
// again.
func (r *rest) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resting.CompareAndSwap(false, true) {
		r.slots.Rest()
		r.leave.Reset(r.waits)
	}
}

// resume makes slots that were told to rest since no runs were left ask again. A
// worker that has said that it retires does not go back on that.
func (r *rest) resume() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.resting.Load() {
		r.slots.Resume()
	}
}

// slotRested is told when a slot has come to rest, or has left. The manager hears
// of it once, and only after Retiring: before that, the slot may have to go on. It
// reports whether the manager has heard.
func (r *rest) slotRested(n int) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.resting.Load() {
		return false
	}
	if !r.said[n] {
		r.said[n] = true
		r.events.put(restedEvent(n))
	}
	return true
}

// jobDone is told when a job has been answered.
func (r *rest) jobDone() {
	if r != nil && r.resting.Load() {
		r.leave.Reset(r.waits)
	}
}

// over is called when the worker has rested for long. With a job in hand, that
// one's end counts.
func (r *rest) over() {
	if r.inHand.Load() == 0 {
		r.slots.Drain()
	}
}

// end stops the clock of a worker that has left.
func (r *rest) end() {
	if r != nil {
		r.leave.Stop()
	}
}
