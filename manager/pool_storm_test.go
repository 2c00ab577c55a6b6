package manager

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// In a long random life in which starts fail, workers crash, retire for every reason
// and stop answering, never more slots take jobs than are planned; in the end the pool
// is as planned, or it ends when it is stopped.
func TestStormKeepsThePlan(t *testing.T) {
	t.Parallel()
	slots := limitedPlan(7)
	slots.Concurrency, slots.Workers = 3, 3
	aged := onePlan(5)
	aged.MaxLifetime = 30 * time.Second
	for name, plan := range map[string]PoolPlan{"slots": slots, "runs": limitedPlan(4), "age": aged} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("%s %d", name, seed), func(t *testing.T) {
				t.Parallel()
				s := &storm{plan: plan, lives: map[*fakeWorker]*stormLife{}}
				s.random = rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test
				runPool(t, plan, s.prepare, func(f *fakeFleet) {
					s.f = f
					s.blow()
					if seed%4 == 0 {
						s.stop()
						return
					}
					s.settle()
					s.wantPlan()
				})
			})
		}
	}
}

// storm plays the workers of a pool.
type storm struct {
	f     *fakeFleet
	plan  PoolPlan
	lives map[*fakeWorker]*stormLife

	mu     sync.Mutex
	random *rand.Rand
	calm   bool // starts do not fail any more
}

// stormLife is what became of a worker.
type stormLife struct {
	retired, faulty bool
	busy, rested    map[int]bool // by slot
}

func (s *storm) n(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

func (s *storm) prepare(*fakeWorker) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.calm && s.random.IntN(12) == 0 {
		return errNoStart
	}
	return nil
}

// alive returns the workers that live, in the order of their starts, and takes in
// those that are new.
func (s *storm) alive() (alive []*fakeWorker) {
	synctest.Wait()
	s.f.mu.Lock()
	all := slices.Clone(s.f.workers)
	s.f.mu.Unlock()
	for _, w := range all {
		if s.lives[w] == nil {
			s.lives[w] = &stormLife{busy: map[int]bool{}, rested: map[int]bool{}}
			w.mu.Lock()
			w.busy = true // it leaves when this test says so
			w.mu.Unlock()
			w.ready(w.request.GetHold() != workerpb.Hold_HOLD_CONNECTED)
		}
		if !w.ended() {
			alive = append(alive, w)
		}
	}
	synctest.Wait()
	return alive
}

func (w *fakeWorker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func (w *fakeWorker) isDrained() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drained
}

// size is how many slots it has been left.
func (w *fakeWorker) size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left > 0 {
		return w.left
	}
	return len(w.request.GetSlots())
}

// mayTake is how many slots may take jobs.
func (w *fakeWorker) mayTake() int {
	size := w.size()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.takes():
		return 0
	case w.first > 0:
		return int(w.first)
	default:
		return size
	}
}

// blow has many things happen.
func (s *storm) blow() {
	for range 300 {
		if alive := s.alive(); len(alive) > 0 {
			s.happen(alive[s.n(len(alive))])
		}
		s.check()
		if s.n(4) == 0 {
			pass(time.Duration(s.n(300)) * time.Millisecond)
		}
	}
}

// happen has something happen to a worker.
func (s *storm) happen(w *fakeWorker) {
	life := s.lives[w]
	switch k := s.n(40); {
	case k < 2:
		w.crash(syscall.SIGSEGV)
	case k == 2:
		w.goDeaf()
	case k == 3 && !life.retired:
		s.retire(w, []string{"signal", "timeout", "panic", "max_lifetime"}[s.n(4)])
	case k < 16 && !life.retired && w.mayTake() > 0:
		if slot := s.n(w.mayTake()); !life.busy[slot] {
			life.busy[slot] = true
			w.beginIn(slot, fmt.Sprintf("H:a:%d", s.n(1_000_000)))
		}
	case k < 24 && !life.retired && len(life.busy) > 0:
		s.retire(w, "max_runs")
	case k < 36:
		s.finishOne(w)
	}
	synctest.Wait()
	if life.retired && len(life.busy) == 0 && (w.isDrained() || life.faulty) && !w.ended() {
		w.leave()
	}
}

func (s *storm) retire(w *fakeWorker, reason string) {
	s.lives[w].retired, s.lives[w].faulty = true, hasGrace(reason)
	w.retire(reason)
	synctest.Wait()
	s.rest(w)
}

func (s *storm) finishOne(w *fakeWorker) {
	for slot := range w.size() {
		if s.lives[w].busy[slot] {
			delete(s.lives[w].busy, slot)
			s.f.record(w, slot).End(s.f.clock(), false, 1)
			break
		}
	}
	s.rest(w)
}

// rest says which slots of a worker that retires have nothing in hand.
func (s *storm) rest(w *fakeWorker) {
	life := s.lives[w]
	for slot := range w.size() {
		if life.retired && !life.busy[slot] && !life.rested[slot] && !w.ended() {
			life.rested[slot] = true
			w.rest(slot)
		}
	}
}

// check counts the slots that take jobs or have one. Those of workers that leave
// because of a fault do not count.
func (s *storm) check() {
	taking := s.taking()
	if taking > s.plan.Slots {
		s.f.t.Errorf("%d slots take jobs, want at most %d", taking, s.plan.Slots)
	}
}

func (s *storm) taking() (taking int) {
	for _, w := range s.alive() {
		switch life := s.lives[w]; {
		case life.faulty:
		case life.retired:
			taking += len(life.busy)
		default:
			taking += w.mayTake()
		}
	}
	return taking
}

// settle has all that retire end.
func (s *storm) settle() {
	s.mu.Lock()
	s.calm = true
	s.mu.Unlock()
	for round := range 150 {
		for _, w := range s.alive() {
			for range w.size() {
				s.finishOne(w)
			}
			synctest.Wait()
			// One that rests leaves by itself in the end.
			if s.lives[w].retired && !w.ended() && (w.isDrained() || round%20 == 19) {
				w.leave()
			}
		}
		pass(500 * time.Millisecond)
	}
	pass(time.Minute)
}

func (s *storm) wantPlan() {
	ready, open := 0, 0
	ask(s.f.pool, func() bool {
		for _, pl := range s.f.pool.places {
			if w := pl.worker; w != nil && w.state == StateReady && !w.telling() && len(pl.leaving) == 0 {
				ready++
				open += w.open
			}
		}
		return true
	})
	standby := s.f.states()[StateStandby]
	if ready != s.plan.Workers || open != s.plan.Slots || s.plan.MaxRuns > 0 && standby != 1 {
		s.f.t.Errorf("%d workers are ready with %d slots and %d stand by, want those of %+v", ready, open, standby, s.plan)
	}
	if taking := s.taking(); taking != s.plan.Slots {
		s.f.t.Errorf("%d slots take jobs, want %d", taking, s.plan.Slots)
	}
	if faults := seen[InternalError](s.f); len(faults) > 0 {
		s.f.t.Error(faults)
	}
}

// stop looks that the pool ends when its grace is over at the latest.
func (s *storm) stop() {
	ask(s.f.pool, func() bool { s.f.pool.stop(s.f.t.Context()); return true })
	pass(s.plan.Functions[0].Grace + idleGrace + callTimeout)
	select {
	case <-s.f.pool.done:
	default:
		s.f.t.Errorf("the pool has not ended: %v", s.f.states())
	}
}
