package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// pingEvery is how often each worker is asked whether it is still there. All pools
// do it at the same moment, so that an idle manager wakes up once a minute.
const pingEvery = time.Minute

// nextPing is the next moment at which workers are asked.
func nextPing(now time.Time) time.Time { return now.Add(pingEvery - now.Sub(now.Truncate(pingEvery))) }

// ping asks all workers whether they are still there. One with a job in hand may not
// answer; for it there are timeouts. Nor may one in PHP that has lost its servers, and
// waits for their names to be looked up.
func (p *pool) ping(ctx context.Context) {
	for _, w := range p.workers() {
		if w.proc == nil || w.left || w.killed != notKilled || len(p.inHand(w)) > 0 || !w.reachesServer() {
			continue
		}
		proc := w.proc
		p.helpers.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			if err := proc.Ping(ctx); errors.Is(err, context.DeadlineExceeded) {
				p.post(func() { p.silentOnPing(w, err) })
			}
		})
	}
}

// reachesServer tells whether a slot of the worker is connected to a server.
func (w *worker) reachesServer() bool {
	return slices.ContainsFunc(w.slots, func(s slotState) bool { return len(s.connected) > 0 })
}

// silentOnPing kills a worker that did not answer, unless it has got a job meanwhile.
func (p *pool) silentOnPing(w *worker, err error) {
	if len(p.inHand(w)) == 0 {
		p.kill(w, killUnresponsive, err.Error())
	}
}

// stopped is called when a signal has stopped the process of that number, or it has
// been continued.
func (p *pool) stopped(pid int, stopped bool) {
	for _, w := range p.workers() {
		switch {
		case w.pid != pid || w.killed != notKilled:
		case stopped:
			w.stoppedUntil = time.Now().Add(stoppedGrace)
			p.cfg.emit(WorkerStopped{Worker: w.name, PID: w.pid})
			p.trustRecords(w)
		case !w.stoppedUntil.IsZero():
			w.stoppedUntil = time.Time{}
			p.cfg.emit(WorkerContinued{Worker: w.name, PID: w.pid})
		}
	}
}

func (p *pool) stoppedTooLong(w *worker) {
	w.stoppedUntil = time.Time{}
	p.kill(w, killUnresponsive, fmt.Sprintf("a signal has stopped it, and none has continued it for %v", stoppedGrace))
}

// trustRecords notes as busy what the records of a worker say is: a job may have
// stopped its process before that could tell that the job has begun, and it has a
// timeout too.
func (p *pool) trustRecords(w *worker) {
	for _, j := range p.inHand(w) {
		w.slots[j.slot].busy = true
	}
	p.planWatch(w, time.Now())
}
