package gearclient

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// Worker takes jobs from job servers and performs them, with one goroutine for
// each slot. A slot has its own connection to every server, so a job that
// takes long holds up nobody else. Its methods are safe for concurrent use.
//
// A server that is down, slow or speaks nonsense costs the slot its connection
// to that server and nothing else; it tries again after 0.1 s to 5 s. While no
// server has work, a slot sleeps on all of them.
type Worker struct {
	cfg      WorkerConfig
	settings atomic.Pointer[settings]
	alone    atomic.Bool // there is one slot
	// round counts what may have made a reservation free: a slot that rests since
	// there was none asks again when it has changed.
	round atomic.Uint64

	mu       sync.Mutex
	slots    map[int]*slot // those that run
	want     int           // slots wanted
	draining bool
	running  context.Context //nolint:containedctx // of Run, for slots that SetSlots starts; nil before and after
	alive    int             // goroutines of slots
	ended    *sync.Cond      // of mu: alive has become less
	heeded   chan struct{}   // closed when a slot has heeded new settings, see Settle

	settling atomic.Int32 // calls of Settle that wait
}

// NewWorker checks the configuration. Nothing is started or connected before
// [Worker.Run].
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Worker{cfg: cfg, slots: map[int]*slot{}, want: cfg.Slots, heeded: make(chan struct{})}
	w.alone.Store(cfg.Slots == 1)
	w.ended = sync.NewCond(&w.mu)
	w.settings.Store(&settings{hold: cfg.Hold, maxData: cfg.MaxData})
	if err := w.SetServers(cfg.Servers); err != nil {
		return nil, err
	}
	if err := w.SetFunctions(cfg.Functions); err != nil {
		return nil, err
	}
	return w, nil
}

// Run performs jobs until every slot has left, after [Worker.Drain] or since
// Reserve said so, and returns nil. If ctx ends first, connections are closed
// at once, upon which the servers queue the jobs in hand again, and Run returns
// the cause of ctx as soon as the handlers have returned. It may be called
// once.
func (w *Worker) Run(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = ctx
	for n := range w.want {
		w.startSlot(n)
	}
	for w.alive > 0 {
		w.ended.Wait()
	}
	w.running = nil
	return context.Cause(ctx)
}

// Drain makes the worker take no more jobs: idle slots, resting ones too, leave their servers at
// once, busy ones when their job is done. It does not block; Run returns when
// all have left. It may be called again, and before Run.
func (w *Worker) Drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	for _, s := range w.slots {
		s.leave()
	}
}

// Go sets how far the slots may go: the first so many of them, or all if slots is
// 0; the others keep their hold. If all have the same then, slots that
// [Worker.SetSlots] adds have it too. A connected slot that is let register says so with
// Ready when the server has answered. Raising a hold again holds back slots as
// they come to their next GRAB_JOB, without taking registrations back. It does
// not block.
func (w *Worker) Go(hold Hold, slots int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.updateLocked(func(s *settings) {
		s.setHold(hold, slots)
		s.spread(w.want)
	})
}

// Rest makes every slot rest as soon as it has nothing in hand: it takes no more
// jobs and is not woken for one, but stays registered, also with servers that it
// connects to later. One that sleeps first asks each server that it sleeps on for
// a last job, since that one may have spent its wake-up for a job on it, and
// performs it. Rested says when a slot has come to rest. It does not block; a rest
// ends with [Worker.Resume] or [Worker.Drain].
func (w *Worker) Rest() {
	w.update(func(s *settings) { s.rest = true })
}

// Resume ends every rest, those that Reserve began too: each slot asks Reserve
// anew. It does not block.
func (w *Worker) Resume() {
	w.round.Add(1)
	w.update(func(s *settings) { s.rest = false })
}

// SetFunctions replaces the functions, the one with the highest priority
// first; one that is given twice counts where it stands first. Each slot tells
// its servers when it has no job in hand, and before it asks for another one; one that
// sleeps first asks once more for jobs, since it may have been woken for one that
// nobody else would be woken for. It does not block: see [Worker.Settle]. A name that
// the protocol cannot carry is a [*RequestError], and changes nothing.
//
// What stays is left alone, with one exception: servers know functions in the order in
// which they were registered, so that one which has to come before another one that is
// added, or that comes to stand behind it otherwise, is taken away and registered again,
// in the same write, and no other beside it.
func (w *Worker) SetFunctions(functions []string) error {
	sent := make([]string, 0, len(functions))
	for _, f := range functions {
		switch {
		case f == "" || len(f) > wire.MaxFunction:
			return &RequestError{f, fmt.Sprintf("the name has %d bytes, want 1 to %d", len(f), wire.MaxFunction)}
		case strings.ContainsRune(f, 0):
			return &RequestError{f, "the name holds a NUL byte"}
		case !slices.Contains(sent, f):
			sent = append(sent, f)
		}
	}
	slices.Reverse(sent)
	w.update(func(s *settings) { s.functions = sent })
	return nil
}

// SetServers replaces the job servers. New ones are connected at once; old
// ones are left by each slot when it has no job in hand, as it leaves after Drain, but
// beside its work for the others: one that does not answer holds up nothing. A server
// that comes back while it is being left is connected anew. What stays is left alone.
// There are no events of a server that is left but Undelivered. One that is wanted again
// before a slot has come to leave it is kept, and Ready tells of it once more. It does
// not block. An address that cannot be one is an error, and changes nothing.
func (w *Worker) SetServers(servers []string) error {
	list := make([]string, 0, len(servers))
	for _, addr := range servers {
		full, err := NormalizeAddr(addr)
		if err != nil {
			return err
		}
		if !slices.Contains(list, full) {
			list = append(list, full)
		}
	}
	w.update(func(s *settings) { s.setServers(list) })
	return nil
}

// SetMaxData changes the largest workload and the largest result in bytes, see
// [WorkerConfig]; 0 means 64 MiB. It counts from each slot's next job on. It does not
// block.
func (w *Worker) SetMaxData(maxData int64) {
	if maxData <= 0 {
		maxData = wire.DefaultMaxData
	}
	w.update(func(s *settings) { s.maxData = maxData })
}

// SetSlots changes the number of slots. Those beyond n leave as after Drain; one that
// has a job in hand still when it is wanted again leaves, and comes back at once.
// It does not block.
func (w *Worker) SetSlots(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want = max(n, 0)
	w.alone.Store(n == 1)
	for number, s := range w.slots {
		if number >= w.want {
			s.leave()
		}
	}
	// Only now: one that leaves must not be let go before it knows.
	w.updateLocked(func(s *settings) { s.spread(w.want) })
	for number := range w.want {
		w.startSlot(number)
	}
}

// Running is the number of slots that have started and not left yet.
func (w *Worker) Running() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.slots)
}

// update replaces the settings and wakes every slot.
func (w *Worker) update(change func(*settings)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.updateLocked(change)
}

// updateLocked is update for a caller that holds mu.
func (w *Worker) updateLocked(change func(*settings)) {
	next := *w.settings.Load()
	change(&next)
	w.settings.Store(&next)
	for _, s := range w.slots {
		s.poke()
	}
}

// released is told that there are free reservations: slots that rest for want of
// one ask again.
func (w *Worker) released() {
	w.round.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.slots {
		s.poke()
	}
}

// startSlot starts slot n unless it runs or may not. The caller holds mu.
func (w *Worker) startSlot(n int) {
	if w.running == nil || w.draining || w.slots[n] != nil {
		return
	}
	s := newSlot(w, n)
	w.slots[n] = s
	w.alive++
	go w.runSlot(w.running, s)
}

// runSlot is the goroutine of a slot. One that left because it was not wanted
// and is wanted again by now is started anew.
func (w *Worker) runSlot(ctx context.Context, s *slot) {
	byChoice := s.run(ctx)
	w.mu.Lock()
	delete(w.slots, s.number)
	w.mu.Unlock()
	w.tellSettling()
	w.cfg.Events.Left(s.number)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !byChoice && s.number < w.want && ctx.Err() == nil {
		w.startSlot(s.number)
	}
	w.alive--
	w.ended.Broadcast()
}
