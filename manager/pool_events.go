package manager

import (
	"context"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// heard is called with each event of a worker, in order.
func (p *pool) heard(ctx context.Context, w *worker, event *workerpb.Event) {
	switch e := event.GetEvent().(type) {
	case *workerpb.Event_Ready:
		p.slotReady(w, e.Ready)
	case *workerpb.Event_Lost:
		p.slotLost(w, e.Lost)
	case *workerpb.Event_Busy:
		p.slotBusy(w, e.Busy)
	case *workerpb.Event_Idle:
		if s := w.slot(e.Idle.GetSlot()); s != nil {
			s.busy = false
			p.planWatch(w, time.Now())
		}
	case *workerpb.Event_Retiring:
		p.retiring(ctx, w, e.Retiring)
	case *workerpb.Event_Rested:
		p.slotRested(w, e.Rested)
	case *workerpb.Event_Left:
		p.hasLeft(w)
	case *workerpb.Event_Log:
		p.cfg.emit(WorkerLogged{Worker: w.name, PID: w.pid, Log: e.Log})
	case *workerpb.Event_SlowJob:
		job := e.SlowJob.GetJob()
		p.cfg.emit(JobSlow{
			Worker: w.name, PID: w.pid, Function: e.SlowJob.GetFunction(), Server: job.GetServer(), Handle: job.GetHandle(), Unique: job.GetUnique(),
			Took:     time.Duration(e.SlowJob.GetTookMs()) * time.Millisecond, //nolint:gosec // a time that has passed
			Workload: int64(e.SlowJob.GetWorkloadBytes()),                     //nolint:gosec // a size
			Failed:   e.SlowJob.GetFailed(),
		})
	case *workerpb.Event_JobCrashed:
		p.jobCrashed(ctx, w, e.JobCrashed)
	case *workerpb.Event_Undelivered:
		job := e.Undelivered.GetJob()
		p.cfg.emit(JobUndelivered{
			Worker: w.name, PID: w.pid, Function: e.Undelivered.GetFunction(),
			Server: job.GetServer(), Handle: job.GetHandle(), Err: e.Undelivered.GetError(),
		})
	}
}

// slot returns what is known of a slot, or nil if the worker has none of that
// number.
func (w *worker) slot(n uint32) *slotState {
	if int(n) >= len(w.slots) {
		return nil
	}
	return &w.slots[n]
}

func (p *pool) slotReady(w *worker, e *workerpb.Ready) {
	s := w.slot(e.GetSlot())
	if s == nil || int(e.GetSlot()) >= w.used || !w.isToldOf(e.GetServer()) {
		return // it is being taken from the worker, or the server is
	}
	registered, connected := s.connected[e.GetServer()]
	if s.connected == nil {
		s.connected = map[string]bool{}
	}
	if !connected {
		p.cfg.reach.connect(e.GetServer())
	}
	s.connected[e.GetServer()] = registered || e.GetRegistered()
	if registered || !e.GetRegistered() {
		return
	}
	select {
	case <-p.registered:
	default:
		close(p.registered)
	}
	p.cfg.emit(SlotConnected{Worker: w.name, PID: w.pid, Slot: w.first + int(e.GetSlot()), Server: e.GetServer()})
}

// isToldOf tells whether a server is among those of the worker. Those of a standalone
// worker are not known here.
func (w *worker) isToldOf(address string) bool {
	return len(w.servers) == 0 || slices.ContainsFunc(w.servers, func(s jobServer) bool { return s.address == address })
}

func (p *pool) slotLost(w *worker, e *workerpb.Lost) {
	s := w.slot(e.GetSlot())
	if s == nil {
		return
	}
	_, was := s.connected[e.GetServer()]
	delete(s.connected, e.GetServer())
	p.cfg.reach.lose(e.GetServer(), e.GetError(), was)
	p.cfg.emit(SlotLost{
		Worker: w.name, PID: w.pid, Slot: w.first + int(e.GetSlot()), Server: e.GetServer(), Err: e.GetError(),
	})
}

func (p *pool) slotBusy(w *worker, e *workerpb.Busy) {
	s := w.slot(e.GetSlot())
	if s == nil {
		return
	}
	s.busy = true
	p.proven(w)
	p.planWatch(w, time.Now())
}

// retiring is called when a worker has decided to leave. Its successor need not
// wait for its last job.
func (p *pool) retiring(ctx context.Context, w *worker, e *workerpb.Retiring) {
	state, ok := w.state.next(triggerDrain)
	if !ok {
		return // it answers our own drain
	}
	w.state, w.retired, w.rolls = state, e.GetReason(), false
	p.cfg.emit(WorkerRetiring{Worker: w.name, PID: w.pid, Reason: e.GetReason(), Detail: e.GetDetail()})
	if hasGrace(e.GetReason()) {
		w.drained = time.Now()
		w.checkAt = w.drained.Add(idleGrace)
	}
	w.rests = !hasGrace(e.GetReason())
	if enough(e.GetReason()) {
		p.proven(w)
	} else {
		w.place.notBefore = w.launched.Add(restartSpacing)
	}
	if !p.stopping {
		p.vacate(w, e.GetReason())
		w.place.leaving = append(w.place.leaving, w)
		p.loseRolling(ctx, w.place)
	}
}

// slotRested is called when a slot takes no more jobs and has none in hand.
func (p *pool) slotRested(w *worker, e *workerpb.Rested) {
	s := w.slot(e.GetSlot())
	if s == nil {
		return
	}
	s.busy, s.rested = false, true
	if !w.letGo && w.restsAll() {
		w.patience, w.waited = time.Now().Add(lastJobPatience), false
	}
	if w.letGo && w.restsAll() && w.drained.IsZero() {
		w.drained = time.Now()
		w.checkAt = w.drained.Add(idleGrace)
	}
}

// hasGrace tells whether the jobs in hand of a worker that retires for that reason
// have only their grace, and it leaves as soon as they are done. Where it retires
// because it has done enough they have as long as any job, and it rests then.
func hasGrace(reason string) bool { return !enough(reason) && reason != "panic" }

// enough tells whether a worker retires because it has done enough: its successors may
// follow each other without a pause.
func enough(reason string) bool {
	switch reason {
	case "max_runs", "max_lifetime", "max_memory":
		return true
	default:
		return false
	}
}

// hasLeft is called when a worker has left every server.
func (p *pool) hasLeft(w *worker) {
	w.left = true
	w.release(time.Now())
}

// silent is called when no event of a worker can come any more. Its process is
// about to end; if its connection broke otherwise, it finishes what it does as if
// the manager had died.
func (p *pool) silent(w *worker) {
	if w.left {
		return
	}
	now := time.Now()
	w.drained = now // its jobs in hand have their grace
	w.checkAt = now.Add(idleGrace)
	w.proc.Release()
}

// release lets the process of a worker that has left end.
func (w *worker) release(now time.Time) {
	w.leftAt = now
	w.checkAt = now.Add(releaseGrace)
	w.watchAt = time.Time{}
	w.proc.Release()
}
