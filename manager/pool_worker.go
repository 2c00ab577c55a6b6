package manager

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// callTimeout is how long a worker may take to answer a call before it counts as
// unresponsive. It answers from a goroutine that does nothing else.
const callTimeout = 10 * time.Second

// worker is one child process, from the decision to start it to its end. It
// belongs to the loop of its pool.
type worker struct {
	place    *place
	edition  *edition
	told     *assignment  // what it has been told, with the number of slots below
	servers  []jobServer  // that it has been told last
	table    *recordTable // of its records
	movesAt  time.Time    // when it is looked whether it may leave servers; zero: not by itself
	moved    time.Time    // when it was told of servers beside those that it is to leave; zero: it was not
	rolls    bool         // it works until its successor can take over
	first    int          // number of its first slot, from 1
	name     string       // "pool/number"
	state    State
	proc     process // nil until it has said hello
	pid      int     // 0 until the process exists
	records  []int   // of its slots
	base     counters
	slots    []slotState // of its records; those from used on were taken from it
	used     int
	launched time.Time // when it was decided to start it
	ready    time.Time // hello; zero before
	abandon  context.CancelCauseFunc
	heard    printer
	diesAt   time.Time // when it is too old; zero: never, or not known yet
	lifetime time.Duration
	asked    bool     // it was told to run, and may work before its hello is heard
	offers   []string // functions, in the order in which it was told them
	known    uint64   // version of the suspects that its run request held

	proven   bool
	provenAt time.Time // when it is, if nothing happens before; zero afterwards

	hold     workerpb.Hold                 // how far it was told that it may go
	open     int                           // how many of its slots may take jobs
	partly   bool                          // not all slots had the same hold when it was told last
	calls    []func(context.Context) error // that have to arrive in order; the first is being made
	patience time.Time                     // when others wait no more for it to be registered; zero: it is over, or has not begun
	waited   bool                          // it is over

	retired string    // why it leaves as planned
	rests   bool      // it has decided so itself, and stays registered until it is let go
	letGo   bool      // it has been told to leave
	drained time.Time // since when its grace runs; zero: it has none
	left    bool      // it has left every server, or its connection is over
	leftAt  time.Time
	hurried time.Time // when the manager was first told to hurry
	checkAt time.Time // when its leaving is looked at
	watchAt time.Time // when its jobs in hand are looked at
	killed  killReason
	// stoppedUntil is when a worker is killed that a signal has stopped; zero: none
	// has.
	stoppedUntil time.Time
}

// printer is what is known of a worker while it prints, by goroutines other than the
// loop.
type printer struct {
	pid   atomic.Int64 // 0: not known yet
	hello atomic.Bool
}

// slotState is what a worker has told of one of its slots.
type slotState struct {
	busy      bool
	rested    bool            // of a worker that retires: it has no job in hand and takes none
	connected map[string]bool // by server; true if it is registered there
	// charged is the job that was charged last, as the slot's record counts jobs
	// begun. That job is not charged again when the worker dies.
	charged uint64
}

// workerName is the name of a worker, and what its slots are known by.
func workerName(pool string, first int) string { return fmt.Sprintf("%s/%d", pool, first) }

// launch starts the next worker of a place, which is held back if it is a standby, or
// another may have what the place had in the way of jobs.
func (p *pool) launch(ctx context.Context, pl *place, from *edition, records []int) {
	now := time.Now()
	starting, cancel := context.WithCancelCause(ctx)
	first := p.number(p.numbers())
	w := &worker{
		place: pl, first: first, name: workerName(p.plan().Name, first), state: StateStarting, lifetime: p.lifetime(),
		records: records, base: p.records.count(records), launched: now, slots: make([]slotState, pl.slots), abandon: cancel,
		used: pl.slots, edition: from, told: from.assigned, servers: from.assigned.servers, table: p.records,
	}
	w.open = w.size()
	if p.holds() && (pl == p.bench || p.handingOver() || p.sums().taking+w.size() > p.plan().Slots) {
		w.hold, w.open = workerpb.Hold_HOLD_CONNECTED, 0
	}
	pl.worker = w
	if pl != p.bench {
		pl.starts++
	}
	command := p.command(w)
	p.helpers.Go(func() {
		defer cancel(nil)
		p.follow(ctx, starting, w, command)
	})
}

// lifetime is the age at which a worker is to retire, with its random part.
func (p *pool) lifetime() time.Duration {
	most := p.plan().MaxLifetime
	if most <= 0 {
		return 0
	}
	return most + time.Duration(p.cfg.random()*float64(p.plan().RestartSplay))
}

// follow starts a worker and tells the loop, in order, all that it hears of it
// until its end. The start is given up when starting ends. It does not touch what
// belongs to the loop.
func (p *pool) follow(ctx, starting context.Context, w *worker, command host.Launch) {
	proc, err := p.start(starting, w.edition, command)
	w.heard.hello.Store(err == nil)
	if err != nil {
		given := errors.Is(context.Cause(starting), errStopping)
		p.post(func() { p.notStarted(ctx, w, err, given) })
		return
	}
	p.post(func() { p.started(ctx, w, proc) })
	for ev := range proc.Events() {
		p.post(func() { p.heard(ctx, w, ev) })
	}
	p.post(func() { p.silent(w) })
	<-proc.Done()
	p.post(func() { p.exited(ctx, w) })
}

// start waits for its turn, then starts the process.
func (p *pool) start(ctx context.Context, from *edition, command host.Launch) (process, error) {
	leave, err := p.cfg.gate.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if !p.holds() { // it is being waited for and needs nothing
		exists := command.Started
		command.Started = func(proc *supervisor.Process) {
			leave()
			exists(proc)
		}
	}
	return from.start(ctx, command)
}

// command is what the host is to start. What it calls reads only what does not
// change.
func (p *pool) command(w *worker) host.Launch {
	name, hold, first, told, records := w.name, w.hold, w.first, w.told, w.records
	program, plan := w.edition.program, w.told.plan
	return host.Launch{
		Name:    name,
		Path:    program.path,
		Program: program.source,
		Argv0:   "gearman-manager: " + name,
		Args:    program.args,
		Env:     program.env,
		Limits:  plan.Limits, KeepGroup: plan.KeepGroup,
		Request: func() *workerpb.RunRequest {
			suspects, version := p.cfg.ledger.of(plan.Functions)
			request := runRequest(plan, runFacts{
				worker: name, host: p.cfg.host, first: first, servers: told.servers, numbers: told.numbers,
				records: records, recordFile: w.table.file.Path(), verbosity: told.verbosity,
				maxData: told.maxData, lifetime: w.lifetime, suspects: suspects, random: p.cfg.random,
				rests: true, hold: hold, paused: told.pausedOf(),
			})
			offers := namesOf(request.GetFunctions())
			p.post(func() { w.asked, w.known, w.offers = true, version, offers })
			return request
		},
		Output: func(stream, line string) {
			p.cfg.emit(WorkerPrinted{
				Worker: name, PID: int(w.heard.pid.Load()), Stream: stream, Line: line, Starting: !w.heard.hello.Load(),
			})
		},
		Dropped: func(stream string, lines int) {
			p.cfg.emit(LinesDropped{Worker: name, PID: int(w.heard.pid.Load()), Stream: stream, Lines: lines})
		},
		Started: func(proc *supervisor.Process) {
			p.cfg.note(name, p.longestGrace(), proc)
			p.cfg.emit(WorkerStarted{Worker: name, PID: proc.PID(), Program: program.shown()})
			w.heard.pid.Store(int64(proc.PID()))
			p.post(func() { w.pid = proc.PID() })
		},
	}
}

// started is called when the worker has said hello.
func (p *pool) started(ctx context.Context, w *worker, proc process) {
	now := time.Now()
	w.proc, w.pid, w.ready = proc, proc.PID(), now
	w.provenAt = now.Add(p.proves())
	w.patience = now.Add(handOverPatience)
	if w.lifetime > 0 {
		w.diesAt = now.Add(w.lifetime)
	}
	p.planWatch(w, now)
	if w.killed != notKilled { // the news of its hello was on its way
		p.killProcess(w)
	}
	leaves := w.state == StateDraining // stop came while it was being started
	w.state, _ = w.state.next(triggerHello)
	if w.place == p.bench {
		p.cfg.emit(StandbyReady{Worker: w.name, PID: w.pid, Took: now.Sub(w.launched)})
	} else {
		w.state, _ = w.state.next(triggerSeat)
		p.fit(ctx, w)
		p.cfg.emit(WorkerReady{
			Worker: w.name, PID: w.pid, Version: proc.Hello().GetDescription().GetVersion(), Took: now.Sub(w.launched),
		})
	}
	if leaves {
		w.checkAt = now.Add(idleGrace)
		p.callDrain(ctx, w, w.retired)
		return
	}
	if news := p.cfg.ledger.since(w.known, w.told.plan.Functions); news != nil {
		p.helpers.Go(func() { p.callSuspect(ctx, proc, news) })
	}
}

// notStarted is called when a worker could not be started, or its start was given
// up. One that died just after it was told to run may have had a job by then.
func (p *pool) notStarted(ctx context.Context, w *worker, err error, given bool) {
	jobs := hands(p.inHand(w))
	w.state, _ = w.state.next(triggerExit)
	p.vacate(w, "failed start")
	p.cfg.forget(w.pid)
	free := func() { p.free(w) }
	if given || p.stopping || p.leaves {
		p.untried(w)
		free()
		return
	}
	tried := p.failedTrial(w, err)
	p.untried(w)
	if len(jobs) == 0 && !tried {
		p.failed(w, time.Now())
	}
	w.place.lastExit = err.Error()
	p.cfg.emit(StartFailed{
		Worker: w.name, PID: w.pid, Err: err, Failures: p.retry.failures, Wait: max(0, time.Until(p.startAt(w.place))),
		Final: p.exhausted(),
	})
	p.giveUp(time.Now(), err)
	p.settle(ctx, charges(jobs, w.killed, "", err.Error()), free)
}

// vacate takes a worker from its place, for a reason that its successor is told
// with.
func (p *pool) vacate(w *worker, reason string) {
	if w.place.worker == w {
		w.place.worker = nil
		w.place.before, w.place.why, w.place.since = w.name, reason, time.Now()
		return
	}
	for i, other := range w.place.leaving {
		if other == w {
			w.place.leaving = append(w.place.leaving[:i:i], w.place.leaving[i+1:]...)
			return
		}
	}
}

// drain tells a worker to leave, if it does not already.
func (p *pool) drain(ctx context.Context, w *worker, reason string) {
	w.rolls = false
	state, ok := w.state.next(triggerDrain)
	if ok {
		w.state, w.retired = state, reason
	}
	if w.drained.IsZero() && !w.left {
		w.drained = time.Now()
		w.checkAt = w.drained.Add(min(idleGrace, p.shortestGrace())) // what it has in hand is seen then
	}
	switch {
	case w.proc == nil && w.asked:
		w.checkAt = time.Now().Add(helloGrace)
	case w.proc == nil:
		w.abandon(errStopping)
	case ok, w.rests && !w.letGo:
		w.letGo = true
		p.callDrain(ctx, w, reason)
	}
}

func (p *pool) callDrain(ctx context.Context, w *worker, reason string) {
	p.call(ctx, w, func(ctx context.Context) error { return w.proc.Drain(ctx, reason) })
}

// call makes a call of a worker without waiting for its answer. A worker that gives
// none is killed.
func (p *pool) call(ctx context.Context, w *worker, call func(context.Context) error) {
	proc := w.proc // which does not change any more
	p.helpers.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		p.answered(proc, call(ctx))
	})
}

// callSuspect tells one worker of suspects. It blocks until it knows them.
func (p *pool) callSuspect(ctx context.Context, proc process, s *workerpb.Suspects) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	p.answered(proc, proc.Suspect(ctx, s))
}

// answered kills a worker that did not answer a call. One that has ended, or that
// answered with an error, is none of those.
func (p *pool) answered(proc process, err error) {
	if !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	p.post(func() {
		for _, w := range p.workers() {
			if w.proc == proc {
				p.kill(w, killUnresponsive, err.Error())
			}
		}
	})
}

// kill kills a worker, for the first reason that is given. One that has not said hello
// may have a job, and be stuck in it: its start is given up.
func (p *pool) kill(w *worker, reason killReason, detail string) {
	if w.killed != notKilled || w.state == StateExited {
		return
	}
	w.killed = reason
	w.watchAt, w.checkAt, w.stoppedUntil = time.Time{}, time.Time{}, time.Time{}
	p.cfg.emit(WorkerKilled{Worker: w.name, PID: w.pid, Reason: string(reason), Detail: detail})
	if w.proc == nil {
		w.abandon(fmt.Errorf("it was killed: %s", detail))
		return
	}
	p.killProcess(w)
}

func (p *pool) killProcess(w *worker) {
	if err := w.proc.Kill(); err != nil {
		reason := w.killed
		w.killed = notKilled // it is tried again, should it be asked for again
		p.cfg.emit(WorkerKilled{Worker: w.name, PID: w.pid, Reason: string(reason), Detail: err.Error()})
	}
}
