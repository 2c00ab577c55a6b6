package manager

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

const (
	// overdueSlack is how long a job may be over its timeout before its worker is
	// killed. A worker that can deals with it at the timeout itself, and gives its
	// code 50 ms to stop.
	overdueSlack = 200 * time.Millisecond
	// overdueEnd is how long a job may be over its timeout whose worker has said that it
	// deals with it. It is for one that does not: to end takes it a tenth of a second.
	overdueEnd = 2 * time.Second
	// crashNews is how long a job stays untouched that the worker has said to have
	// crashed, while all workers are told of it.
	crashNews = 2 * time.Second
	// idleGrace is how long an idle worker may take to leave: a server that does not
	// answer its last call is given up after a while.
	idleGrace = 5 * time.Second
	// helloGrace is how long a worker that was told to run, and then to leave, may
	// take to say hello. It may have a job by then; if not, it is given up.
	helloGrace = 500 * time.Millisecond
	// memoryEvery is how often the memory of a busy worker is looked at that has a hard
	// limit.
	memoryEvery = 250 * time.Millisecond
	// standaloneMemoryEvery is the same for one of which it is not known whether it is
	// busy.
	standaloneMemoryEvery = time.Second
	// releaseGrace is how long a worker that has left may take to end.
	releaseGrace = 5 * time.Second
)

// hurryGrace is the grace that is left when the manager was told to hurry so many
// times; ok is false if it was not.
func hurryGrace(level int) (grace time.Duration, ok bool) {
	switch {
	case level <= 0:
		return 0, false
	case level < 4:
		return time.Second, true
	default:
		return 0, true
	}
}

// planWatch decides when a worker is looked at: when the first of its jobs in hand may
// be over its timeout, or its memory over the limit. There is nothing to look at while
// it is idle, or if there are no such limits.
func (p *pool) planWatch(w *worker, now time.Time) {
	w.watchAt = time.Time{}
	if w.killed != notKilled || w.left {
		return
	}
	next, ok := p.shortestTimeout()
	limited := p.plan().MaxMemoryHard > 0 && p.plan().Kind != KindExec // whose jobs have memory of their own
	if !p.holds() {                                                    // which jobs it has is not known
		if limited {
			w.watchAt = now.Add(standaloneMemoryEvery)
		}
		return
	}
	if !ok && !limited || !slices.ContainsFunc(w.slots, func(s slotState) bool { return s.busy }) {
		return
	}
	if !ok {
		w.watchAt = now.Add(memoryEvery)
		return
	}
	for _, j := range p.inHand(w) {
		if limit := j.function.Timeout; limit > 0 {
			next = min(next, limit-j.age)
		}
	}
	w.watchAt = now.Add(max(next, 0) + overdueSlack)
	if most := now.Add(memoryEvery); limited && w.watchAt.After(most) {
		w.watchAt = most
	}
}

// tooLarge kills a worker that has more memory than it may.
func (p *pool) tooLarge(w *worker) bool {
	limit := p.plan().MaxMemoryHard
	if limit <= 0 || p.plan().Kind == KindExec || w.proc == nil {
		return false
	}
	memory := w.edition.memory(w.pid)
	if memory <= limit {
		return false
	}
	p.kill(w, killMemory, fmt.Sprintf("it has %d bytes of memory, max_memory_hard is %d", memory, limit))
	return true
}

func (p *pool) shortestTimeout() (shortest time.Duration, ok bool) {
	for _, f := range p.plan().Functions {
		if f.Timeout > 0 && (!ok || f.Timeout < shortest) {
			shortest, ok = f.Timeout, true
		}
	}
	return shortest, ok
}

// longestGrace is the longest that a job of the pool may go on when its worker has
// to leave.
func (p *pool) longestGrace() (longest time.Duration) {
	for _, f := range p.plan().Functions {
		longest = max(longest, f.Grace)
	}
	return longest
}

// shortestGrace is the shortest.
func (p *pool) shortestGrace() time.Duration {
	shortest := p.longestGrace()
	for _, f := range p.plan().Functions {
		shortest = min(shortest, f.Grace)
	}
	return shortest
}

// recordedJob is a job that a record shows.
type recordedJob struct {
	handJob
	slot  int           // in its worker, from 0
	start time.Duration // when it began, on the clock of job records
	age   time.Duration // how long it has been running
	begun uint64        // number of the job among those of its record
}

func hands(jobs []recordedJob) []handJob {
	hand := make([]handJob, 0, len(jobs))
	for _, j := range jobs {
		hand = append(hand, j.handJob)
	}
	return hand
}

// inHand reads the records of a worker. One that was left half written has no job
// in hand: it is written before the handler runs, and after the answer is out.
func (p *pool) inHand(w *worker) []recordedJob {
	var jobs []recordedJob
	for slot, record := range w.records {
		s := w.table.read(record)
		if s.Torn || !s.Busy {
			continue
		}
		server, known := p.cfg.reach.address(int(s.Server))
		function, performed := p.functions.at(int(s.Function), s.Start)
		if !known || !performed {
			continue
		}
		j := recordedJob{slot: slot, start: s.Start, age: p.cfg.clock() - s.Start}
		j.unique = s.Unique
		j.job = jobKey{server: server, handle: s.Handle, hash: s.Hash}
		j.worker = w.name
		j.function = function
		j.overdue = j.function.Timeout > 0 && j.age >= j.function.Timeout
		j.begun = s.Begun
		j.charged = s.Begun == w.slots[slot].charged
		jobs = append(jobs, j)
	}
	return jobs
}

// still returns those of the jobs that are in hand yet, as their records show when
// they are read again. The kernel lets a record that is written in one call be seen
// in parts for a moment: a new job with the beginning of the one before it would
// look late.
func (p *pool) still(w *worker, jobs []recordedJob) []recordedJob {
	return slices.DeleteFunc(jobs, func(j recordedJob) bool {
		if w.records == nil { // it has ended
			return true
		}
		s := w.table.read(w.records[j.slot])
		return s.Torn || !s.Busy || s.Begun != j.begun || s.Start != j.start
	})
}

// watch kills a worker one of whose jobs is over its timeout by more than a worker
// that lives would let it be. All others are told of the job before: once the process
// is dead, its server gives the job to another faster than they could be.
func (p *pool) watch(ctx context.Context, w *worker, now time.Time) {
	if p.tooLarge(w) {
		return
	}
	late, wait := p.late(w)
	if late = p.still(w, late); len(late) == 0 {
		p.planWatch(w, now)
		if wait > 0 {
			w.watchAt = now.Add(wait)
		}
		return
	}
	if w.retired == retireTimeout && p.endsByItself(w, late) {
		w.watchAt = now.Add(overdueSlack)
		return
	}
	w.watchAt = time.Time{}
	var marked []charge
	for _, j := range late {
		if !j.charged {
			w.slots[j.slot].charged = j.begun
			marked = append(marked, overdueCharge(j.handJob))
		}
	}
	if len(marked) == 0 {
		p.killLate(w, late)
		return
	}
	w.watchAt = now.Add(crashNews) // it does not live on because another worker does not listen
	p.account(ctx, marked, w.proc, false, func() { p.killLate(w, late) })
}

// endsByItself tells whether a worker that has noticed that its job is late is given
// time: while jobs beside the late one are not done, which have their grace, see
// checkLeaving, and then for as long as a busy machine takes to end a process.
func (p *pool) endsByItself(w *worker, late []recordedJob) bool {
	over := late[0].age - late[0].function.Timeout
	return over < overdueEnd || slices.ContainsFunc(p.inHand(w), func(j recordedJob) bool { return !j.overdue })
}

// killLate kills a worker because of its late jobs, unless it has ended them while
// others were told of them. What it has in hand by then is innocent.
func (p *pool) killLate(w *worker, late []recordedJob) {
	if late = p.still(w, late); len(late) == 0 {
		p.planWatch(w, time.Now())
		return
	}
	detail := fmt.Sprintf("job %s of %s is over its timeout of %v", late[0].job.handle, late[0].function.Name, late[0].function.Timeout)
	p.kill(w, killTimeout, detail)
}

// late returns the jobs for which a worker is killed. Those that it has reported
// as crashed are with it until everyone has been told of them, for wait.
func (p *pool) late(w *worker) (late []recordedJob, wait time.Duration) {
	for _, j := range p.inHand(w) {
		over := j.age - j.function.Timeout
		switch {
		case j.function.Timeout <= 0 || over < overdueSlack:
		case j.charged && over < crashNews:
			wait = crashNews - over
		default:
			late = append(late, j)
		}
	}
	return late, wait
}

// checkLeaving kills a worker whose grace is over, or plans the next look.
func (p *pool) checkLeaving(w *worker, now time.Time) {
	w.checkAt = time.Time{}
	switch {
	case w.killed != notKilled:
		return
	case w.proc != nil:
	case p.hurry == 0 && (len(p.inHand(w)) > 0 || !p.holds() && now.Before(w.launched.Add(p.plan().StartSeconds+idleGrace))):
		w.checkAt = now.Add(helloGrace) // it is told to leave when its start is over, since it may have a job
		return
	default:
		w.abandon(errStopping)
		return
	}
	if grace, ok := hurryGrace(p.hurry); ok {
		p.killAfter(w, now, w.hurried, grace, "the manager was told to hurry")
		return
	}
	if w.left {
		p.killAfter(w, now, w.leftAt, releaseGrace, "it left and did not end")
		return
	}
	if w.drained.IsZero() {
		return
	}
	grace, why := idleGrace, "it did not leave"
	if !p.holds() { // which jobs it has is not known
		grace, why = p.longestGrace(), fmt.Sprintf("it did not leave within the grace of %v", p.longestGrace())
	}
	for _, j := range p.inHand(w) {
		if j.function.Grace >= grace || why == "it did not leave" {
			grace = j.function.Grace
			why = fmt.Sprintf("job %s of %s was not done within the grace of %v", j.job.handle, j.function.Name, grace)
		}
	}
	p.killAfter(w, now, w.drained, grace, why)
}

func (p *pool) killAfter(w *worker, now, since time.Time, grace time.Duration, why string) {
	if at := since.Add(grace); now.Before(at) {
		w.checkAt = at
		return
	}
	reason := killGrace
	if p.hurry > 0 {
		reason = killStop
	}
	p.kill(w, reason, why)
}

// jobCrashed is called when the executable that performed a job died, or a job
// goes back to the queue because of its timeout. The worker waits until it is told
// of it, after all others.
func (p *pool) jobCrashed(ctx context.Context, w *worker, e *workerpb.JobCrashed) {
	function, performed := p.functions.named(e.GetFunction())
	slot := w.slot(e.GetSlot())
	if !performed || slot == nil {
		return
	}
	begun := w.table.read(w.records[e.GetSlot()]).Begun
	if slot.charged == begun {
		return // watch was faster, and kills it
	}
	slot.charged = begun
	p.account(ctx, []charge{{
		job: keyOf(e.GetJob()), function: function, unique: e.GetJob().GetUnique(), worker: w.name,
		attempt: true, cause: e.GetCause(),
		fail: !e.GetTimeout() && function.OnCrash == config.Fail,
	}}, w.proc, true, nil)
}
