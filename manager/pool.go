package manager

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// process is what a pool needs of a worker process; *host.Worker is one.
type process interface {
	PID() int
	Hello() *workerpb.Hello
	Events() <-chan *workerpb.Event
	Err() error
	Done() <-chan struct{}
	Exit() supervisor.Exit
	Tail() []string
	Release()
	Kill() error
	Drain(ctx context.Context, reason string) error
	Suspect(ctx context.Context, suspects *workerpb.Suspects) error
}

// poolConfig is what a pool works with.
type poolConfig struct {
	plan    *PoolPlan
	program program
	host    string   // name of this machine, for client ids
	servers []string // in the order of their numbers in job records
	// verbosity and maxData are told to the workers.
	verbosity int
	maxData   int64
	records   *recordTable
	// delay is when the first worker of the n-th place is started, seen from the
	// start of the pool.
	delay func(n int) time.Duration

	start starter
	// note is told each process that exists, so that a later manager knows it.
	note   func(worker string, grace time.Duration, proc *supervisor.Process)
	forget func(pid int)
	tell   func(ctx context.Context, function string, s *workerpb.Suspects, except process)
	gate   gate
	ledger *ledger
	reach  *servers
	emit   func(Event)
	random func() float64       // 0 ≤ x < 1
	clock  func() time.Duration // the clock of job records
}

// pool keeps the workers of one PoolPlan running. One goroutine, run, owns
// everything below inbox; others send it functions to call.
type pool struct {
	cfg     poolConfig
	inbox   chan func()
	done    chan struct{}  // closed when the loop has ended
	final   PoolStatus     // valid then
	helpers sync.WaitGroup // goroutines that start workers and speak to them

	places   []*place
	stopping bool
	hurry    int // how often it was told to hurry; see hurryGrace
	pending  int // deaths whose jobs are being told
	retry    retry
}

// place is a worker's place in its pool: its number and its slots, which one
// worker has after another.
type place struct {
	name      string // of its workers, "pool/number"
	first     int    // number of its first slot, from 1
	slots     int
	worker    *worker   // nil: none; one is started when it may be
	leaving   []*worker // those that retire while worker is their successor
	starts    int
	notBefore time.Time
	lastExit  string
}

// retry is what a pool knows of starts that failed. It is the pool's and not the
// place's, since all workers of a pool are alike.
type retry struct {
	failures int       // in a row
	at       time.Time // of the next try
	since    time.Time // the last failure; starts from before it say nothing new
}

func newPool(cfg poolConfig) *pool {
	p := &pool{cfg: cfg, inbox: make(chan func(), 64), done: make(chan struct{})}
	started := time.Now()
	for first := 1; first <= cfg.plan.Slots; first += cfg.plan.Concurrency {
		p.places = append(p.places, &place{
			name:      placeName(cfg.plan.Name, first),
			first:     first,
			slots:     min(cfg.plan.Concurrency, cfg.plan.Slots-first+1),
			notBefore: started.Add(cfg.delay(len(p.places))),
		})
	}
	return p
}

// run is the pool's loop. It ends when the pool was told to stop and nothing is
// left of it. ctx is the end of everything that outlives the loop's patience: it
// ends starts and calls, not the loop.
func (p *pool) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !p.over() {
		p.fill(ctx)
		if next := p.nextDeadline(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case f := <-p.inbox:
			p.guard(f)
		case <-timer.C:
		}
		p.guard(func() { p.tick(ctx, time.Now()) })
	}
	p.final = p.status()
	close(p.done)
	p.helpers.Wait()
}

// guard calls f. A panic of its is reported and ends nothing else: the fleet has to
// outlive mistakes made here.
func (p *pool) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			p.cfg.emit(InternalError{Where: "pool " + p.cfg.plan.Name, Panic: fmt.Sprint(v), Stack: string(debug.Stack())})
		}
	}()
	f()
}

// over tells whether the loop has nothing left to do.
func (p *pool) over() bool {
	return p.stopping && p.pending == 0 && len(p.workers()) == 0
}

// post has the loop call f. It waits while the loop is behind, and does nothing
// when the loop has ended.
func (p *pool) post(f func()) {
	select {
	case p.inbox <- f:
	case <-p.done:
	}
}

// ask has the loop call f and waits for the result; ok is false when the loop has
// ended.
func ask[T any](p *pool, f func() T) (result T, ok bool) {
	reply := make(chan T, 1)
	p.post(func() { reply <- f() })
	select {
	case result = <-reply:
		return result, true
	case <-p.done:
	}
	select { // it may have been the loop's last act
	case result = <-reply:
		return result, true
	default:
		return result, false
	}
}

// workers returns all workers that have not exited.
func (p *pool) workers() []*worker {
	var all []*worker
	for _, pl := range p.places {
		all = append(all, pl.leaving...)
		if pl.worker != nil {
			all = append(all, pl.worker)
		}
	}
	return all
}

// fill starts workers for places that have none and may have one now.
func (p *pool) fill(ctx context.Context) {
	if p.stopping {
		return
	}
	now := time.Now()
	for _, pl := range p.places {
		if pl.worker != nil || now.Before(p.startAt(pl)) || p.probing() {
			continue
		}
		if records, ok := p.cfg.records.take(pl.slots); ok {
			p.launch(ctx, pl, records)
		}
	}
}

// startAt is the earliest moment at which an empty place may get a worker.
func (p *pool) startAt(pl *place) time.Time {
	at := pl.notBefore
	if p.retry.failures > 0 && p.retry.at.After(at) {
		at = p.retry.at
	}
	return at
}

// probing tells whether starts have failed again and again, and one worker is
// trying just now: the others wait for what becomes of it.
func (p *pool) probing() bool {
	if p.retry.failures < 2 {
		return false
	}
	for _, w := range p.workers() {
		if !w.proven && w.launched.After(p.retry.since) {
			return true
		}
	}
	return false
}

// failed notes a start that failed and returns when the next one may be. Of many
// workers that fail at the same time only the first counts.
func (p *pool) failed(w *worker, now time.Time) {
	if !w.launched.After(p.retry.since) {
		return
	}
	p.retry.failures++
	p.retry.since = now
	p.retry.at = now.Add(backoffDelay(p.retry.failures, p.cfg.random()))
}

// proven notes that a worker works.
func (p *pool) proven(w *worker) {
	if w.proven {
		return
	}
	w.proven, w.provenAt = true, time.Time{}
	if w.launched.After(p.retry.since) {
		p.retry.failures = 0
	}
}

// errStopping ends starts when the pool stops.
var errStopping = errors.New("the manager stops")

// stop makes all workers leave: those that start are given up, idle ones leave at
// once, busy ones when their jobs are done or their grace is over.
func (p *pool) stop(ctx context.Context) {
	if p.stopping {
		return
	}
	p.stopping = true
	for _, w := range p.workers() {
		p.drain(ctx, w, "stop")
	}
}

// hurryUp shortens the grace of the workers of a pool that stops; see hurryGrace.
func (p *pool) hurryUp(level int) {
	now := time.Now()
	p.hurry = level
	for _, w := range p.workers() {
		if w.hurried.IsZero() {
			w.hurried = now
		}
		w.checkAt = now
	}
}

// nextDeadline is when tick has something to do, or zero if it has not before
// something else happens.
func (p *pool) nextDeadline() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	waiting := !p.stopping && !p.probing()
	for _, pl := range p.places {
		if pl.worker == nil && waiting && len(p.cfg.records.free) >= pl.slots {
			sooner(p.startAt(pl))
		}
	}
	for _, w := range p.workers() {
		sooner(w.checkAt)
		sooner(w.watchAt)
		if p.retry.failures > 0 {
			sooner(w.provenAt)
		}
	}
	return next
}

// tick does what is due.
func (p *pool) tick(ctx context.Context, now time.Time) {
	for _, w := range p.workers() {
		if due(w.provenAt, now) {
			p.proven(w)
		}
		if due(w.watchAt, now) {
			p.watch(ctx, w, now)
		}
		if due(w.checkAt, now) {
			p.checkLeaving(w, now)
		}
	}
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
