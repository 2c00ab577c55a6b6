package plugins

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// performer is a worker at work: it stands between the slots of a
// gearclient.Worker and the author's handlers, and keeps the contract with the
// manager.
type performer struct {
	def      *definition
	worker   *gearclient.Worker
	events   *eventQueue
	log      *logHandler
	records  *jobrecord.File // nil: none are kept
	suspects *suspectList
	company  *company
	hands    *hands
	gone     <-chan struct{} // closed when the manager is gone
	exit     func()          // ends the process with a job in hand, in a moment

	mu       sync.Mutex // held to change assigned
	assigned atomic.Pointer[assignment]

	runs     atomic.Int64 // reserved or taken
	taken    atomic.Int64 // given to a slot
	over     atomic.Int64 // answered or given back
	done     atomic.Uint64
	failed   atomic.Uint64
	stuck    atomic.Int64 // slots with a handler that does not return
	exiting  atomic.Bool  // exit has been called
	inHand   atomic.Int64 // handlers that run
	began    time.Time
	lifetime *time.Timer

	retiring sync.Once
	rest     *rest // nil: a worker that retires leaves by itself
}

// newPerformer prepares the work that req describes.
func newPerformer(d *definition, req *workerpb.RunRequest, gone <-chan struct{}, exit func()) (*performer, error) {
	a, err := newAssignment(d, req)
	if err != nil {
		return nil, err
	}
	p := &performer{
		def: d, events: newEventQueue(), gone: gone, exit: exit, company: newCompany(),
		suspects: newSuspectList(req.GetSuspects()), hands: newHands(), began: time.Now(),
	}
	p.log = &logHandler{events: p.events, level: new(slog.LevelVar)}
	p.log.level.Set(level(a.verbosity))
	p.assigned.Store(a)
	if path := req.GetRecordFile(); path != "" {
		if p.records, err = jobrecord.Open(path); err != nil {
			return nil, err
		}
	}
	if p.worker, err = gearclient.NewWorker(p.workerConfig(a, req.GetHold())); err != nil {
		p.close()
		return nil, err
	}
	if req.GetRests() {
		p.rest = newRest(p)
	}
	p.lifetime = time.AfterFunc(time.Hour, func() { p.retire("max_lifetime", "") })
	p.setLifetime(a.limits)
	return p, nil
}

// defaultMaxData is what a limit of 0 stands for in the contract.
const defaultMaxData = 64 << 20

// maxResult is the largest result in bytes.
func maxResult(l *workerpb.Limits) int64 {
	if limit := l.GetMaxData(); limit > 0 {
		return int64(limit) //nolint:gosec // a configured size
	}
	return defaultMaxData
}

// workerConfig is what the slots run with.
func (p *performer) workerConfig(a *assignment, hold workerpb.Hold) gearclient.WorkerConfig {
	return gearclient.WorkerConfig{
		Servers:   a.addresses,
		Functions: a.offered(),
		Handler:   p.perform,
		Slots:     a.want,
		ClientID:  func(n int) string { return p.assigned.Load().slot(n).GetClientId() },
		Hold:      holdOf(hold),
		MaxData:   maxResult(a.limits),
		Reserve:   p.reserve,
		Release:   func(int) { p.runs.Add(-1) },
		Events: gearclient.WorkerEvents{
			Ready:       p.ready,
			Lost:        p.lost,
			Busy:        func(n int) { p.events.put(busyEvent(n)) },
			Idle:        func(n int) { p.events.put(idleEvent(n)) },
			Done:        p.jobDone,
			Rested:      func(n int) { p.rest.slotRested(n) },
			Left:        p.slotLeft,
			Undelivered: p.undelivered,
		},
	}
}

// holdOf translates a hold of the contract.
func holdOf(h workerpb.Hold) gearclient.Hold {
	switch h {
	case workerpb.Hold_HOLD_REGISTERED:
		return gearclient.HoldRegistered
	case workerpb.Hold_HOLD_CONNECTED:
		return gearclient.HoldConnected
	case workerpb.Hold_HOLD_NONE:
	}
	return gearclient.HoldNone
}

// run performs jobs until every slot has left, and says so.
func (p *performer) run(ctx context.Context) {
	stop := make(chan struct{})
	watch := sync.WaitGroup{}
	watch.Go(func() {
		select {
		case <-p.gone:
			p.retire("manager gone", "")
		case <-stop:
		}
	})
	_ = p.worker.Run(ctx) // ctx does not end
	close(stop)
	watch.Wait()
	p.lifetime.Stop()
	p.rest.end()
	p.def.runClose(func(err error) { slog.New(p.log).Error("worker did not close cleanly", "error", err) })
	p.events.put(leftEvent(p.done.Load(), p.failed.Load()))
	p.events.close()
	p.close()
}

// close frees what newPerformer took.
func (p *performer) close() {
	if p.records != nil {
		_ = p.records.Close() // nothing is lost: the file is shared memory
	}
}

// retire makes the worker leave, or rest, when its jobs in hand are done, for the
// first reason that is given. One that rests leaves for any further reason after
// which workers do not.
func (p *performer) retire(reason, detail string) {
	p.retiring.Do(func() { p.events.put(retiringEvent(reason, detail)) })
	if p.rest != nil && restsAfter(reason) {
		p.rest.begin()
		return
	}
	p.worker.Drain()
}

// reserve is asked before a GRAB_JOB.
func (p *performer) reserve(slot int) gearclient.Decision {
	if p.hands.refuses(slot, p.recordIndex(slot)) {
		return gearclient.Rest
	}
	limit := p.maxRuns(p.assigned.Load())
	if n := p.runs.Add(1); limit > 0 && n > limit {
		p.runs.Add(-1)
		if p.rest != nil {
			return gearclient.Rest
		}
		return gearclient.Leave
	}
	return gearclient.Grab
}

// maxRuns is how many jobs the worker performs before it retires; 0: no limit.
func (p *performer) maxRuns(a *assignment) int64 {
	if p.def.any != nil {
		return 0 // each of its jobs has a process of its own, which recycling would not renew
	}
	return int64(a.limits.GetMaxRuns()) //nolint:gosec // a configured count
}

// count counts a job, and makes the worker retire with its last one. Taken jobs
// are counted so that the manager hears of it in time, answered ones for those
// that never get to a handler.
func (p *performer) count(a *assignment, jobs *atomic.Int64) {
	n, limit := jobs.Add(1), p.maxRuns(a)
	if limit > 0 && n >= limit {
		p.retire("max_runs", fmt.Sprintf("%d jobs", limit))
	}
}

// setLifetime sets the timer of the worker's age.
func (p *performer) setLifetime(l *workerpb.Limits) {
	if ms := l.GetMaxLifetimeMs(); ms > 0 {
		limit := time.Duration(ms) * time.Millisecond //nolint:gosec // a configured duration
		p.lifetime.Reset(max(0, limit-time.Since(p.began)))
		return
	}
	p.lifetime.Stop()
}

// setLimits makes new limits take effect: on slots that rest since all runs were
// reserved, and on a worker that is over the new ones already, which retires at once.
func (p *performer) setLimits(a *assignment) {
	p.worker.SetMaxData(maxResult(a.limits))
	p.setLifetime(a.limits)
	p.checkMemory(a)
	if limit := p.maxRuns(a); limit > 0 && max(p.taken.Load(), p.over.Load()) >= limit {
		p.retire("max_runs", fmt.Sprintf("%d jobs", limit))
		return
	}
	p.resume()
}

// checkMemory makes the worker retire if it has become too large.
func (p *performer) checkMemory(a *assignment) {
	if limit := a.limits.GetMaxMemory(); limit > 0 {
		if rss := residentBytes(); rss > limit {
			p.retire("max_memory", fmt.Sprintf("%d bytes resident, limit %d", rss, limit))
		}
	}
}

// resume makes slots ask again that were told to rest.
func (p *performer) resume() {
	if p.rest == nil {
		p.worker.Resume()
		return
	}
	p.rest.resume()
}

// set replaces settings, all of them or, after an error, none. What is not among them
// is not touched, so that nothing is sent for it.
func (p *performer) set(s *workerpb.Settings) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, err := p.assigned.Load().with(p.def, s)
	if err != nil {
		return err
	}
	p.log.level.Set(level(next.verbosity))
	p.assigned.Store(next)
	if s.GetFunctions() != nil {
		p.offer(next)
	}
	if s.GetServers() != nil {
		if err := p.worker.SetServers(next.addresses); err != nil {
			return fmt.Errorf("set: %w", err) // cannot be: with has looked at them
		}
	}
	if s.GetSlots() != nil {
		p.worker.SetSlots(next.want)
	}
	if s.GetLimits() != nil {
		p.setLimits(next)
		p.worker.SetSlots(next.want) // those that have left since all runs were reserved come back
	}
	return nil
}

// pauseWait is for how long Pause waits until idle slots have told their servers. They
// take two round trips; a server that hangs is not waited for.
const pauseWait = time.Second

// pause takes functions from the servers or offers them again. It waits for the former
// as Pause promises.
func (p *performer) pause(ctx context.Context, names []string, paused bool) {
	p.mu.Lock()
	next := p.assigned.Load().pausing(names, paused)
	p.assigned.Store(next)
	p.offer(next)
	p.mu.Unlock()
	if paused {
		ctx, cancel := context.WithTimeout(ctx, pauseWait)
		defer cancel()
		_ = p.worker.Settle(ctx) // what it has not waited for happens all the same
	}
}

// offer makes the slots register what is not paused. The caller holds mu.
func (p *performer) offer(a *assignment) {
	if err := p.worker.SetFunctions(a.offered()); err != nil {
		slog.New(p.log).Error("functions were not changed", "error", err) // cannot be: they were looked at
	}
}

// slotLeft is told when a slot has left. One of a worker that rests is missed from
// then on as if it had come to rest, and so is one that is no longer wanted.
func (p *performer) slotLeft(slot int) {
	if !p.rest.slotRested(slot) && slot >= p.assigned.Load().want {
		p.events.put(restedEvent(slot))
	}
	p.endIfStuck(p.stuck.Load())
}

// jam waits in a slot whose handler does not return. The process ends as soon
// as only such slots are left; if that has begun, jam does not return, although
// the handler may: the job goes back to the queue with the process.
func (p *performer) jam(ended <-chan ending) {
	p.company.jam()
	p.endIfStuck(p.stuck.Add(1))
	<-ended
	p.stuck.Add(-1)
	if p.exiting.Load() {
		select {}
	}
}

// endIfStuck ends the process once only slots are left whose handlers do not
// return.
func (p *performer) endIfStuck(stuck int64) {
	if stuck > 0 && int64(p.worker.Running()) <= stuck && p.exiting.CompareAndSwap(false, true) {
		p.exit()
	}
}
