package manager

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
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
	LastLines() []string
	Release()
	Kill() error
	Go(ctx context.Context, hold workerpb.Hold, slots uint32) error
	Set(ctx context.Context, settings *workerpb.Settings) error
	Pause(ctx context.Context, functions ...string) error
	Resume(ctx context.Context, functions ...string) error
	Drain(ctx context.Context, reason string) error
	Suspect(ctx context.Context, suspects *workerpb.Suspects) error
	Ping(ctx context.Context) error
}

// poolConfig is what a pool works with.
type poolConfig struct {
	host string // name of this machine, for client ids
	// newRecords makes a table of so many job records.
	newRecords func(n int) (*recordTable, error)
	// delay is when the first worker of the n-th place is started, seen from the
	// start of the pool.
	delay func(n int) time.Duration

	// retake has the pool of that name changed to what the disk holds by now; nil where
	// every start takes that anyway. It blocks until that is done.
	retake func(ctx context.Context, pool string)
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

	now       atomic.Pointer[PoolPlan] // of edition, for everyone
	edition   *edition                 // what workers are started from
	trial     *trial                   // what they are to be replaced by, while that is tried; usually nil
	old       []*edition               // that some worker has still
	fault     string                   // why what was wanted is not what runs; empty if it is
	functions functionTable
	records   *recordTable
	before    []*recordTable // that some worker has still
	past      counters       // of tables that are no more

	places   []*place
	removed  []*place // that are no more, with workers that leave
	laid     time.Time
	bench    *place // of the standby; it is none of the plan's
	stopping bool
	leaves   bool // it is not in the plan any more, and ends when its workers have

	goes       atomic.Bool     // it is to leave, or does
	registered chan struct{}   // closed when a slot is registered with a job server
	wanted     poolChange      // as it was changed last
	waiting    []chan struct{} // closed when no worker is being told anything
	hurry      int             // how often it was told to hurry; see hurryGrace
	pending    int             // deaths whose jobs are being told
	retry      retry
	pingAt     time.Time
}

// place is one of the workers that the plan wants, and what it has in the way of
// slots. One worker has it after another.
type place struct {
	slots     int
	worker    *worker   // nil: none; one is started when it may be
	leaving   []*worker // those that retire while worker is their successor
	starts    int
	notBefore time.Time
	lastExit  string
	// before is the worker that had it before, why it went, and since when.
	before, why string
	since       time.Time
}

// newPool makes a pool whose workers are started from an edition. The caller closes its
// records when it has ended.
func newPool(cfg poolConfig, first *edition) (*pool, error) {
	plan := first.assigned.plan
	records, err := cfg.newRecords(recordsFor(plan))
	if err != nil {
		return nil, err
	}
	p := &pool{
		cfg: cfg, inbox: make(chan func(), 64), done: make(chan struct{}),
		edition: first, records: records, bench: &place{slots: plan.Concurrency}, registered: make(chan struct{}),
		wanted: poolChange{plan: plan, maxData: first.assigned.maxData},
	}
	p.learn(first.assigned)
	started := time.Now()
	for _, slots := range sizes(plan) {
		p.places = append(p.places, &place{slots: slots, notBefore: started.Add(cfg.delay(len(p.places)))})
	}
	p.pingAt = nextPing(started)
	return p, nil
}

// isLeaving tells whether the pool is not in the plan any more. It may be called from any
// goroutine.
func (p *pool) isLeaving() bool { return p.goes.Load() }

// plan is what the pool runs. It may be called from any goroutine; the plan never
// changes.
func (p *pool) plan() *PoolPlan { return p.now.Load() }

// run is the pool's loop. It ends when the pool was told to stop and nothing is
// left of it, and closes its editions. ctx is the end of everything that outlives the loop's patience: it
// ends starts and calls, not the loop.
func (p *pool) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !p.over() {
		p.guard(func() {
			p.fill(ctx)
			p.roll(ctx)
			p.handOver(ctx)
			p.letRemovedGo(ctx)
			p.sync(ctx)
			p.answerWaiting()
		})
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
	for _, e := range p.editions() {
		p.helpers.Go(e.close)
	}
	close(p.done)
	p.helpers.Wait()
}

// guard calls f. A panic of its is reported and ends nothing else: the fleet has to
// outlive mistakes made here.
func (p *pool) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			p.cfg.emit(InternalError{Where: "pool " + p.plan().Name, Panic: fmt.Sprint(v), Stack: string(debug.Stack())})
		}
	}()
	f()
}

// over tells whether the loop has nothing left to do.
func (p *pool) over() bool {
	return (p.stopping || p.leaves) && p.pending == 0 && len(p.workers()) == 0
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

// workers returns all workers that have not exited, the standby last.
func (p *pool) workers() []*worker {
	var all []*worker
	for pl := range p.allPlaces() {
		all = append(all, pl.leaving...)
		if pl.worker != nil {
			all = append(all, pl.worker)
		}
	}
	return all
}

// allPlaces are the places of the plan, those that are no more, and the standby's.
func (p *pool) allPlaces() iter.Seq[*place] {
	return func(yield func(*place) bool) {
		for _, places := range [][]*place{p.places, p.removed, {p.bench}} {
			for _, pl := range places {
				if !yield(pl) {
					return
				}
			}
		}
	}
}

// fill starts workers for places that have none and may have one now, and a standby
// if there is to be one.
func (p *pool) fill(ctx context.Context) {
	if p.stopping || p.leaves {
		return
	}
	now := time.Now()
	for _, pl := range p.vacant() {
		if !p.promote(ctx, pl) {
			p.tryLaunch(ctx, pl, now)
		}
	}
	if p.bench.worker == nil && p.wantsStandby(now) {
		p.tryLaunch(ctx, p.bench, now)
	}
}

// vacant returns the places without a worker, the one first that has waited longest:
// there may not be records for all, while one retires after another.
func (p *pool) vacant() (vacant []*place) {
	for _, pl := range p.places {
		if pl.worker == nil {
			vacant = append(vacant, pl)
		}
	}
	slices.SortStableFunc(vacant, func(a, b *place) int { return a.since.Compare(b.since) })
	return vacant
}

func (p *pool) tryLaunch(ctx context.Context, pl *place, now time.Time) {
	if p.retry.gaveUp || now.Before(p.startAt(pl)) || p.probing() {
		return
	}
	if p.spare() < pl.slots {
		return
	}
	if records, ok := p.records.take(pl.slots); ok {
		p.launch(ctx, pl, p.edition, records)
	}
}

// number returns the lowest number of a first slot that no worker has, and that is
// not among taken. Workers have numbers as their first slots would have if each had
// as many slots as any.
func (p *pool) number(taken map[int]bool) int {
	for first := 1; ; first += p.plan().Concurrency {
		if !taken[first] {
			return first
		}
	}
}

// numbers are those that workers have.
func (p *pool) numbers() map[int]bool {
	taken := map[int]bool{}
	for _, w := range p.workers() {
		taken[w.first] = true
	}
	return taken
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
		p.drain(ctx, w, retireStop)
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

// sooner makes next the earlier of two moments; zero is none.
func sooner(next *time.Time, t time.Time) {
	if !t.IsZero() && (next.IsZero() || t.Before(*next)) {
		*next = t
	}
}

// nextDeadline is when tick, fill or handOver has something to do, or zero if they
// have not before something else happens.
func (p *pool) nextDeadline() time.Time {
	var next time.Time
	if !p.stopping && !p.leaves {
		p.nextStart(&next)
		p.nextRoll(&next)
		sooner(&next, p.pingAt)
	}
	for _, w := range p.workers() {
		sooner(&next, w.checkAt)
		sooner(&next, w.watchAt)
		sooner(&next, w.stoppedUntil)
		sooner(&next, w.patience)
		sooner(&next, w.movesAt)
		if p.retry.failures > 0 {
			sooner(&next, w.provenAt)
		}
	}
	return next
}

// nextStart finds the moment of the next start, as far as it is known.
func (p *pool) nextStart(next *time.Time) {
	sooner(next, p.retry.lookAt)
	if p.retry.gaveUp || p.probing() {
		return
	}
	room := p.spare()
	for _, pl := range p.places {
		if pl.worker == nil && room >= pl.slots {
			sooner(next, p.startAt(pl))
		}
	}
	if p.bench.worker == nil && room >= p.bench.slots {
		if at := p.standbyAt(); !at.IsZero() {
			sooner(next, later(at, p.startAt(p.bench)))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
		if due(w.patience, now) {
			w.patience, w.waited = time.Time{}, true
		}
		if due(w.stoppedUntil, now) {
			p.stoppedTooLong(w)
		}
		if due(w.movesAt, now) {
			w.movesAt = time.Time{} // sync looks at it
		}
	}
	if due(p.pingAt, now) {
		p.pingAt = nextPing(now)
		p.ping(ctx)
	}
	if due(p.retry.lookAt, now) {
		p.lookAgain(now)
	}
	if p.retry.again != "" {
		p.startAnew(ctx)
	}
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
