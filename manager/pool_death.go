package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// exited is called when a worker's process has ended and all its events have been
// heard.
func (p *pool) exited(ctx context.Context, w *worker) {
	now := time.Now()
	jobs := p.inHand(w)
	count := w.table.count(w.records).minus(w.base)
	w.state, _ = w.state.next(triggerExit)
	p.vacate(w, cmp.Or(w.retired, "crash"))
	p.cfg.forget(w.pid)
	for i := range w.slots {
		p.disconnect(&w.slots[i])
	}
	switch {
	case p.failedTrial(w, errors.New(howEnded(w))):
	case failedStart(exitFacts{
		ready: true, planned: w.retired != "", killed: w.killed, hadJob: count.begun > 0, jobs: len(jobs), uptime: now.Sub(w.ready),
		least: p.proves(),
	}):
		p.failed(w, now)
	default:
		p.proven(w)
	}
	p.untried(w)
	p.loseRolling(ctx, w.place)
	if w.retired == "" {
		w.place.notBefore = w.launched.Add(restartSpacing)
	}
	exit := p.report(w, jobs, count, now)
	p.giveUp(now, errors.New(exit))
	cause := fmt.Sprintf("worker %s %s", w.name, exit)
	p.settle(ctx, charges(hands(jobs), w.killed, w.retired, cause), func() { p.free(w) })
}

// howEnded says how a worker has ended that was to live on.
func howEnded(w *worker) string {
	switch {
	case w.killed != notKilled:
		return fmt.Sprintf("its first worker was killed: %s", w.killed)
	case w.retired != "":
		return fmt.Sprintf("its first worker left at once: %s", w.retired)
	default:
		return w.proc.Exit().String()
	}
}

// settle accounts for the jobs of a worker that is dead, if any are charged, and
// then frees its records.
func (p *pool) settle(ctx context.Context, blamed []charge, free func()) {
	if len(blamed) == 0 {
		free()
		return
	}
	p.account(ctx, blamed, nil, false, free)
}

// report tells of an exit and returns it in words.
func (p *pool) report(w *worker, jobs []recordedJob, count counters, now time.Time) string {
	e := WorkerExited{
		Worker: w.name, PID: w.pid, Exit: w.proc.Exit(), Uptime: now.Sub(w.ready),
		Done: count.done, Failed: count.failed, Retired: w.retired, Killed: string(w.killed),
		CountsUnknown: !p.holds(), ReplacedBy: p.successor(w), Final: p.stopping || p.leaves || p.exhausted() || slices.Contains(p.removed, w.place),
	}
	e.OOM = e.Exit.OOM
	if w.left && e.Retired == "" {
		e.Retired = "it left"
	}
	if !e.Final && e.ReplacedBy == "" {
		e.Wait = max(0, p.startAt(w.place).Sub(now))
	}
	for _, j := range jobs {
		e.InHand = append(e.InHand, j.status(w))
	}
	if e.Crashed() {
		e.Tail = w.proc.Tail()
	}
	if err := w.proc.Err(); err != nil && !w.left && e.Exit.Success() {
		e.Stream = err.Error()
	}
	w.place.lastExit = e.Exit.String()
	p.cfg.emit(e)
	return e.Exit.String()
}

// successor is the name of the worker that has the place of another, or will have it
// at once.
func (p *pool) successor(w *worker) string {
	switch {
	case w.place.worker != nil:
		return w.place.worker.name
	case p.mayPromote(w.place):
		return p.bench.worker.name
	default:
		return ""
	}
}

func (j recordedJob) status(w *worker) JobInHand {
	return JobInHand{
		Function: j.function.Name, Server: j.job.server, Handle: j.job.handle,
		Slot: w.first + j.slot, Since: j.age,
	}
}

// account charges jobs and tells every worker that performs their functions. The
// one that has them, if it lives, is left out, or told last. When all know, then is
// called by the loop.
func (p *pool) account(ctx context.Context, blamed []charge, holder process, last bool, then func()) {
	byFunction := news{}
	for _, c := range blamed {
		s, forgotten := p.cfg.ledger.charge(c)
		p.cfg.emit(JobSuspected{
			Worker: c.worker, Function: c.function.Name, Server: c.job.server, Handle: c.job.handle,
			Attempts: int(s.GetAttempts()), Fail: s.GetFail(), Cause: s.GetCause(),
		})
		of := byFunction.of(c.function.Name)
		of.Add = append(of.Add, s)
		for _, f := range forgotten { // else a worker's list would grow for as long as it lives
			of := byFunction.of(f.function)
			of.Remove = append(of.Remove, f.key.id())
		}
	}
	p.pending++
	p.helpers.Go(func() {
		for function, s := range byFunction {
			p.cfg.tell(ctx, function, s, holder)
			if last {
				p.callSuspect(ctx, holder, s)
			}
		}
		p.post(func() {
			p.pending--
			if then != nil {
				then()
			}
		})
	})
}

// news is what workers have to know, by the function that they perform.
type news map[string]*workerpb.Suspects

func (n news) of(function string) *workerpb.Suspects {
	s := n[function]
	if s == nil {
		s = &workerpb.Suspects{}
		n[function] = s
	}
	return s
}

// audience are the workers that can be told something; except is left out.
func (p *pool) audience(except process) []process {
	var procs []process
	for _, w := range p.workers() {
		if w.proc != nil && w.proc != except && !w.left {
			procs = append(procs, w.proc)
		}
	}
	return procs
}

// isFor tells whether the pool has a name, or performs the function of that name. It may
// be called from any goroutine.
func (p *pool) isFor(name string) bool { return p.plan().Name == name || p.performs(name) }

// performs tells whether the pool performs a function. It may be called from any
// goroutine.
func (p *pool) performs(function string) bool {
	for _, f := range p.plan().Functions {
		if f.Name == function {
			return true
		}
	}
	return false
}
