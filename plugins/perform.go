package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

const (
	// crashNews is how long a worker waits for the manager to have told others
	// of a crash before the job goes back to the queue.
	crashNews = time.Second
	// returnSoon is how long a handler whose context has ended may take to
	// return and still count as one that heeds it.
	returnSoon = 50 * time.Millisecond
)

// errReissue is the end of a job that goes back to the queue.
var errReissue = errors.New("the job goes back to the queue")

// task is a job on its way through the performer.
type task struct {
	*gearclient.Job
	f    *workerpb.Function
	hash uint64
	job  *Job
}

// perform performs one job; it is the handler of the slots.
func (p *performer) perform(ctx context.Context, gj *gearclient.Job) gearclient.Result {
	a := p.assigned.Load()
	f := a.functions[gj.Function()]
	if f == nil {
		f = &workerpb.Function{Name: gj.Function()} // a server that invents jobs
	}
	t := &task{Job: gj, f: f, hash: jobrecord.Hash(gj.Function(), gj.Unique(), gj.Workload())}
	p.inHand.Add(1)
	defer p.inHand.Add(-1)
	recorded := recordOf(a, t)
	p.outlive(ctx, a, recorded)
	suspect := p.suspects.find(p.key(t))
	p.count(a, &p.taken)
	hand := p.take(gj, t.hash)
	if suspect.GetFail() {
		return raised(suspect.GetCause())
	}
	if !p.company.join(p.suspects.dangerous(p.key(t))) {
		return gearclient.Result{Outcome: gearclient.Abandoned}
	}
	defer p.company.leave()
	if hand.record != nil {
		hand.record.Begin(recorded, jobrecord.Now(), len(t.Workload()))
	}
	handler := p.def.handler(gj.Function())
	if handler == nil {
		return raised(fmt.Sprintf("this worker does not perform %q", gj.Function()))
	}
	t.job = &Job{
		function: gj.Function(), handle: gj.Handle(), unique: gj.Unique(), workload: gj.Workload(),
		command: f.GetCommand(), most: maxResult(a.limits), to: gj, log: p.log,
	}
	data, err := p.timed(ctx, handler, t, hand)
	return p.result(t, data, err)
}

// timed runs the handler, and notes for how long if somebody wants to know: its function
// has a limit beyond which a job is slow, or jobs are logged.
func (p *performer) timed(ctx context.Context, handler Handler, t *task, hand *hand) ([]byte, error) {
	if hand.limit = slow(t.f); hand.limit == 0 && !logsJobs(p.assigned.Load().verbosity) {
		return p.call(ctx, handler, t)
	}
	began := time.Now()
	defer func() { hand.took = time.Since(began) }()
	return p.call(ctx, handler, t)
}

// key is how the job is known among suspects.
func (p *performer) key(t *task) jobKey {
	return jobKey{p.serverName(t.Server()), text(t.Handle()), t.hash}
}

// recordOf is the job as records show it.
func recordOf(a *assignment, t *task) jobrecord.Job {
	return jobrecord.Job{
		Server:   uint16(a.servers[t.Server()].GetIndex()), //nolint:gosec // numbered by the manager from 0
		Function: uint16(t.f.GetIndex()),                   //nolint:gosec // as above
		Handle:   t.Handle(),
		Hash:     t.hash,
		Unique:   t.Unique(),
	}
}

// jobDone is told when the answer of a job is out.
func (p *performer) jobDone(job *gearclient.Job, r gearclient.Result, err error) {
	a := p.assigned.Load()
	took := p.account(job, r)
	p.count(a, &p.over)
	if logsJobs(a.verbosity) {
		p.logJob(job, r, took, err)
	}
	p.checkMemory(a)
	p.rest.jobDone()
}

// account counts a job that is over, and takes it out of its slot's hand. One that was
// given back is none. It returns for how long its handler ran, or 0 if that is not known.
func (p *performer) account(job *gearclient.Job, r gearclient.Result) time.Duration {
	hand := p.hands.of(job)
	if hand == nil || !hand.busy { // it was answered without the handler
		hand = p.take(job, jobrecord.Hash(job.Function(), job.Unique(), job.Workload()))
	}
	defer p.release(job)
	if r.Outcome == gearclient.Abandoned {
		if hand.record != nil {
			hand.record.Drop()
		}
		return hand.took
	}
	failed := r.Outcome != gearclient.Completed
	if hand.record != nil {
		hand.record.End(jobrecord.Now(), failed, len(r.Data))
	}
	p.done.Add(1)
	if failed {
		p.failed.Add(1)
	}
	p.tellSlow(job, hand, failed)
	return hand.took
}

// logJob logs a job that is over.
func (p *performer) logJob(job *gearclient.Job, r gearclient.Result, took time.Duration, err error) {
	log := p.log.forJob(job.Function(), job.Handle())
	switch {
	case err != nil:
		log.Warn("job was not answered", "error", err)
	case r.Outcome == gearclient.Completed:
		log.Info("job done", "bytes_in", len(job.Workload()), "bytes_out", len(r.Data), "took_ms", milliseconds(took))
	case r.Outcome == gearclient.Raised:
		log.Info("job failed", "error", string(r.Data[:min(len(r.Data), 256)]), "took_ms", milliseconds(took))
	default:
		log.Info("job given back")
	}
}

// milliseconds puts a duration as logs have it, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// call runs the handler, within the function's timeout if it has one.
func (p *performer) call(ctx context.Context, h Handler, t *task) ([]byte, error) {
	limit := timeout(t.f)
	if limit == 0 {
		return safely(ctx, h, t.job)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan ending, 1)
	go func() { // ends with the handler; if that does not return, the process ends soon
		data, err := safely(ctx, h, t.job)
		ended <- ending{data, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case e := <-ended:
		return e.data, e.err
	case <-timer.C:
	}
	select {
	case e := <-ended: // just in time
		return e.data, e.err
	default:
	}
	over := &TimeoutError{limit}
	cancel(over)
	return nil, p.overran(t, over, ended)
}

// ending is what a handler returned.
type ending struct {
	data []byte
	err  error
}

// overran deals with a job that is over its timeout: what runs it has to be
// gone before the job can run again.
func (p *performer) overran(t *task, over *TimeoutError, ended <-chan ending) error {
	reissue := t.f.GetOnTimeout() == workerpb.OnTimeout_ON_TIMEOUT_REISSUE
	if p.def.any == nil {
		p.retire("timeout", fmt.Sprintf("%s %s %v", t.Function(), t.Handle(), over))
		if !reissue {
			return over
		}
	}
	timer := time.NewTimer(returnSoon)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		p.retire("timeout", fmt.Sprintf("%s %s %v", t.Function(), t.Handle(), over))
		if reissue {
			return p.jammed(t, over, ended)
		}
	}
	if reissue {
		return p.crashed(t, over.Error(), true)
	}
	return over
}

// jammed gives a job back whose handler does not return: the manager is told first,
// since the server gives the job to another at once when the process has ended. A job
// that is not to run again is answered instead.
func (p *performer) jammed(t *task, over *TimeoutError, ended <-chan ending) error {
	err := p.crashed(t, over.Error(), true)
	if errors.Is(err, errReissue) {
		p.jam(ended)
	}
	return err
}

// result turns a handler's end into the answer.
func (p *performer) result(t *task, data []byte, err error) gearclient.Result {
	if err == nil {
		return gearclient.Result{Data: data}
	}
	if crash, ok := errors.AsType[*CrashError](err); ok {
		err = crash
		if t.f.GetOnCrash() == workerpb.OnCrash_ON_CRASH_REISSUE {
			err = p.crashed(t, crash.Cause, false)
		}
	}
	if panicked, ok := errors.AsType[*panicError](err); ok {
		t.job.Logger().Error("handler panicked", "error", panicked, "stack", string(panicked.stack))
		p.retire("panic", panicked.Error())
	}
	if errors.Is(err, errReissue) {
		return gearclient.Result{Outcome: gearclient.Abandoned}
	}
	return raised(err.Error())
}

// crashed tells the manager that what performed the job died, and waits until
// it has counted and told every worker, so that the news is there before the
// job. It returns what becomes of the job.
func (p *performer) crashed(t *task, cause string, timedOut bool) error {
	news := p.suspects.news(p.key(t))
	p.events.put(&workerpb.Event{Event: &workerpb.Event_JobCrashed{JobCrashed: &workerpb.JobCrashed{
		Slot: number(t.Slot()), Job: p.jobID(t.Job, t.hash), Function: text(t.Function()), Cause: text(cause), Timeout: timedOut,
	}}})
	timer := time.NewTimer(crashNews)
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
		p.suspects.forget(p.key(t))
	case <-p.gone:
	}
	if s := p.suspects.find(p.key(t)); s.GetFail() {
		return errors.New(s.GetCause())
	}
	return errReissue
}

// raised is a job answered with an exception.
func raised(text string) gearclient.Result {
	return gearclient.Result{Outcome: gearclient.Raised, Data: []byte(text)}
}

// safely calls the handler and makes a panic an error.
func safely(ctx context.Context, h Handler, job *Job) (data []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			data, err = nil, &panicError{v, debug.Stack()}
		}
	}()
	return h(ctx, job)
}

// residentBytes is the process's resident set, or 0 if the system does not
// say.
func residentBytes() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize()) //nolint:gosec // a page size
}
