package manager

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// limitedPlan is a pool whose workers retire after a number of jobs.
func limitedPlan(slots int) PoolPlan {
	plan := onePlan(slots)
	plan.MaxRuns = 100
	return plan
}

// calls returns what workers were told, beginning with one of the words.
func (f *fakeFleet) calls(words ...string) (calls []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.lines {
		for _, word := range words {
			if len(line) > len(word) && line[:len(word)] == word {
				calls = append(calls, line)
			}
		}
	}
	return calls
}

func (f *fakeFleet) wantCalls(want ...string) {
	f.t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, f.calls("go", "drain", "set")); diff != "" {
		f.t.Error(diff)
	}
}

func TestStandbyWaits(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(4), nil, func(f *fakeFleet) {
		w := f.worker("resize/5")
		if w.request.GetHold() != workerpb.Hold_HOLD_CONNECTED || !w.request.GetRests() {
			t.Errorf("the standby was told hold %v, rests %v", w.request.GetHold(), w.request.GetRests())
		}
		if hold := f.worker("resize/4").request.GetHold(); hold != workerpb.Hold_HOLD_NONE {
			t.Errorf("a worker was told hold %v", hold)
		}
		if diff := cmp.Diff(map[State]int{StateReady: 4, StateStandby: 1}, f.states()); diff != "" {
			t.Error(diff)
		}
		if ready := seen[StandbyReady](f); len(ready) != 1 || ready[0].Worker != "resize/5" {
			t.Errorf("events %v", ready)
		}
	})
}

func TestNoStandbyBeforeAllRun(t *testing.T) {
	t.Parallel()
	runSlowPool(t, limitedPlan(3), func(f *fakeFleet) {
		if n := f.started(); n != 3 {
			t.Errorf("%d starts, want those of the plan only", n)
		}
		close(f.hello)
		synctest.Wait()
		if n := f.started(); n != 4 {
			t.Errorf("%d starts, want a standby too", n)
		}
	})
}

func TestRetireeIsReplaced(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(2), nil, func(f *fakeFleet) {
		w, standby := f.worker("resize/1"), f.worker("resize/3")
		w.ready(true)
		standby.ready(false)
		standby.stayMute()
		w.stayBusy()
		w.begin("H:a:1")
		w.retire("max_runs")
		// It may register, but not take jobs: the retiree has one.
		f.wantCalls("go resize/3 HOLD_REGISTERED 0")
		standby.ready(true)
		f.wantCalls("go resize/3 HOLD_REGISTERED 0", "drain resize/1 max_runs")
		if n := f.started(); n != 4 {
			t.Errorf("%d starts, want the next standby", n)
		}
		w.finish()
		w.rest(0)
		f.wantCalls("go resize/3 HOLD_REGISTERED 0", "drain resize/1 max_runs", "go resize/3 HOLD_NONE 0")
		w.leave()
		synctest.Wait()
		if diff := cmp.Diff(map[State]int{StateReady: 2, StateStandby: 1}, f.states()); diff != "" {
			t.Error(diff)
		}
		exits := seen[WorkerExited](f)
		if len(exits) != 1 || exits[0].Crashed() || exits[0].Retired != "max_runs" {
			t.Errorf("exits %+v", exits)
		}
		// The place of resize/1 is resize/3's now, and its number free for the next.
		f.worker("resize/2").crash(syscall.SIGSEGV)
		synctest.Wait()
		f.worker("resize/1")
	})
}

func TestRestedRetireeIsReplaced(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(1), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.ready(true)
		synctest.Wait()
		w.retire("max_runs")
		w.rest(0)
		synctest.Wait()
		for _, want := range []string{"drain resize/1 max_runs", "go resize/2 HOLD_NONE 0"} {
			if calls := f.calls("go", "drain"); !slices.Contains(calls, want) {
				t.Errorf("calls %v, want %s", calls, want)
			}
		}
	})
}

// A worker that rests is told to leave when the manager stops.
func TestRestedRetireeIsStopped(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(1), nil, func(f *fakeFleet) {
		w, standby := f.worker("resize/1"), f.worker("resize/2")
		standby.stayMute()
		w.ready(true)
		w.retire("max_runs")
		w.rest(0)
		synctest.Wait()
		ask(f.pool, func() bool { f.pool.stop(f.t.Context()); return true })
		synctest.Wait()
		if calls := f.calls("drain resize/1"); len(calls) != 1 {
			t.Errorf("calls %v", calls)
		}
	})
}

func TestRetireeStaysUntilItsSuccessorIsRegistered(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(1), nil, func(f *fakeFleet) {
		w, standby := f.worker("resize/1"), f.worker("resize/2")
		standby.stayMute()
		w.ready(true)
		w.retire("max_runs")
		w.rest(0)
		pass(handOverPatience - time.Millisecond)
		if calls := f.calls("drain"); len(calls) > 0 {
			t.Errorf("calls %v", calls)
		}
		pass(time.Millisecond) // a server that takes no new connections keeps nobody
		if calls := f.calls("drain"); len(calls) != 1 {
			t.Errorf("calls %v", calls)
		}
	})
}

// A standby that cannot be told to take jobs is no worker.
func TestStandbyThatRefusesIsKilled(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(1), nil, func(f *fakeFleet) {
		standby := f.worker("resize/2")
		standby.mu.Lock()
		standby.refuses = errors.New("no room for the message")
		standby.mu.Unlock()
		f.worker("resize/1").crash(syscall.SIGSEGV)
		pass(time.Second)
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].PID != standby.pid {
			t.Errorf("kills %+v", kills)
		}
		if diff := cmp.Diff(map[State]int{StateReady: 1, StateStandby: 1}, f.states()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCrashTakesTheStandby(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(2), nil, func(f *fakeFleet) {
		f.worker("resize/2").begin("H:a:1")
		pass(time.Second)
		f.worker("resize/2").crash(syscall.SIGSEGV)
		f.wantCalls("go resize/3 HOLD_NONE 0")
		promoted := seen[WorkerPromoted](f)
		want := []WorkerPromoted{{Worker: "resize/3", PID: promoted[0].PID, Instead: "resize/2", Reason: "crash"}}
		if diff := cmp.Diff(want, promoted); diff != "" {
			t.Error(diff)
		}
		pass(restartSpacing + time.Millisecond)
		if diff := cmp.Diff(map[State]int{StateReady: 2, StateStandby: 1}, f.states()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOnlyOneStandbyRegistersBeyondThePlan(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(3), nil, func(f *fakeFleet) {
		one, two := f.worker("resize/1"), f.worker("resize/2")
		for _, w := range []*fakeWorker{one, two} {
			w.stayBusy()
			w.ready(true)
			w.begin("H:a:1")
			w.retire("max_runs")
			synctest.Wait()
		}
		want := []string{"go resize/4 HOLD_REGISTERED 0", "drain resize/1 max_runs"}
		if diff := cmp.Diff(want, f.calls("go", "drain")); diff != "" {
			t.Error(diff)
		}
		// resize/5 waits, since both retirees are registered still.
		two.finish()
		two.rest(0)
		synctest.Wait()
		want = append(want, "go resize/4 HOLD_NONE 0")
		if diff := cmp.Diff(want, f.calls("go", "drain")); diff != "" {
			t.Error(diff)
		}
		one.finish()
		one.leave()
		synctest.Wait()
		want = append(want, "go resize/5 HOLD_NONE 0", "drain resize/2 max_runs")
		if diff := cmp.Diff(want, f.calls("go", "drain")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAgeAloneNeedsAStandbyOnlyInTime(t *testing.T) {
	t.Parallel()
	plan := onePlan(2)
	plan.MaxLifetime = time.Hour
	runPool(t, plan, nil, func(f *fakeFleet) {
		pass(time.Hour - standbyLead - time.Second)
		if n := f.started(); n != 2 {
			t.Errorf("%d starts, want no standby yet", n)
		}
		pass(time.Second)
		if diff := cmp.Diff(map[State]int{StateReady: 2, StateStandby: 1}, f.states()); diff != "" {
			t.Error(diff)
		}
	})
}

// A pool without a limit has no standby; its successor is held back all the same.
func TestPanickedWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(1), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.ready(true)
		w.retire("panic")
		pass(restartSpacing + time.Millisecond) // a job that panics each time must not make us fork in a loop
		next := f.worker("resize/2")
		if next.request.GetHold() != workerpb.Hold_HOLD_CONNECTED {
			t.Errorf("hold %v", next.request.GetHold())
		}
		f.wantCalls("go resize/2 HOLD_REGISTERED 0", "drain resize/1 panic", "go resize/2 HOLD_NONE 0")
		if diff := cmp.Diff(map[State]int{StateReady: 1}, f.states()); diff != "" {
			t.Error(diff)
		}
	})
}

// With several slots those of the successor follow as those of the retiree rest.
func TestSlotsFollowOneByOne(t *testing.T) {
	t.Parallel()
	plan := limitedPlan(6)
	plan.Concurrency, plan.Workers = 4, 2
	runPool(t, plan, nil, func(f *fakeFleet) {
		w := f.worker("resize/5") // of two slots
		w.stayBusy()
		w.ready(true)
		w.beginIn(0, "H:a:1")
		w.beginIn(1, "H:a:2")
		w.retire("max_runs")
		f.wantCalls("set resize/9 2 slots", "go resize/9 HOLD_REGISTERED 0", "drain resize/5 max_runs")
		w.rest(1)
		f.wantCalls("set resize/9 2 slots", "go resize/9 HOLD_REGISTERED 0", "drain resize/5 max_runs", "go resize/9 HOLD_NONE 1")
		w.rest(0)
		f.wantCalls("set resize/9 2 slots", "go resize/9 HOLD_REGISTERED 0", "drain resize/5 max_runs",
			"go resize/9 HOLD_NONE 1", "go resize/9 HOLD_NONE 0")
		w.leave()
	})
}

func TestStandbyIsReplacedToo(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(1), nil, func(f *fakeFleet) {
		pass(2 * time.Second)
		f.worker("resize/2").retire("max_lifetime")
		pass(restartSpacing + time.Millisecond)
		f.wantCalls("drain resize/2 max_lifetime")
		f.worker("resize/2").crash(syscall.SIGKILL)
		pass(restartSpacing + time.Millisecond)
		if diff := cmp.Diff(map[State]int{StateReady: 1, StateStandby: 1}, f.states()); diff != "" {
			t.Error(diff)
		}
	})
}

// A retiree that cannot be replaced does not look as if it performed its function.
func TestRetireeLeavesWhereNothingStarts(t *testing.T) {
	t.Parallel()
	prepare := func(w *fakeWorker) error {
		if w.name != "resize/1" {
			return errNoStart
		}
		return nil
	}
	runPool(t, limitedPlan(1), prepare, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.ready(true)
		w.retire("max_runs")
		w.rest(0)
		f.wantCalls("drain resize/1 max_runs")
	})
}

// Where one worker retires after another, each is replaced in its turn.
func TestNobodyWaitsForever(t *testing.T) {
	t.Parallel()
	plan := limitedPlan(4)
	plan.MaxRuns = 1
	runPool(t, plan, nil, func(f *fakeFleet) {
		live := newLiveFleet(f)
		for range 60 {
			for w, s := range live.known {
				w.mu.Lock()
				told := w.takes()
				w.mu.Unlock()
				if told && !s.retired {
					s.retired, s.rested = true, true
					w.retire("max_runs")
					w.rest(0)
				}
			}
			live.look()
			pass(time.Millisecond)
			for w, s := range live.known {
				w.mu.Lock()
				drained := w.drained
				w.mu.Unlock()
				if drained && !s.over {
					s.over = true
					w.leave()
				}
			}
			live.look()
			for w, s := range live.known {
				if s.rested && !s.over {
					if s.waits++; s.waits > 4 {
						t.Fatalf("%s has rested for %d rounds", w.name, s.waits)
					}
				}
			}
		}
	})
}

// What is told to whom, at every step of a long random life: never more slots take
// jobs than are planned, and never fewer are registered while nobody dies.
func TestHandOversKeepThePlan(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
			runPool(t, limitedPlan(4), nil, func(f *fakeFleet) {
				live := newLiveFleet(f)
				for range 200 {
					live.step(random)
					live.check(seed)
				}
				live.settle()
				if diff := cmp.Diff(map[State]int{StateReady: 4, StateStandby: 1}, f.states()); diff != "" {
					t.Errorf("seed %d, in the end: %s", seed, diff)
				}
				if live.check(seed); live.taking() != 4 {
					t.Errorf("seed %d: %d slots take jobs in the end", seed, live.taking())
				}
			})
		})
	}
}

// liveFleet plays the workers of a pool.
type liveFleet struct {
	f     *fakeFleet
	known map[*fakeWorker]*life
}

type life struct {
	retired, rested, over bool
	waits                 int // rounds of rest
}

func newLiveFleet(f *fakeFleet) *liveFleet {
	l := &liveFleet{f: f, known: map[*fakeWorker]*life{}}
	l.look()
	return l
}

// look takes in workers that are new.
func (l *liveFleet) look() {
	synctest.Wait()
	l.f.mu.Lock()
	workers := slices.Clone(l.f.workers)
	l.f.mu.Unlock()
	for _, w := range workers {
		if l.known[w] == nil {
			l.known[w] = &life{}
			w.mu.Lock()
			w.busy = true // it leaves when this test says so
			w.mu.Unlock()
			w.ready(w.request.GetHold() != workerpb.Hold_HOLD_CONNECTED)
		}
	}
	synctest.Wait()
}

// step has one worker go on.
func (l *liveFleet) step(random *rand.Rand) {
	var list []*fakeWorker
	l.f.mu.Lock()
	workers := slices.Clone(l.f.workers)
	l.f.mu.Unlock()
	for _, w := range workers {
		if s := l.known[w]; s != nil && !s.over {
			list = append(list, w)
		}
	}
	w := list[random.IntN(len(list))]
	s := l.known[w]
	w.mu.Lock()
	told, drained := w.takes(), w.drained
	w.mu.Unlock()
	switch {
	case told && !s.retired:
		s.retired = true
		w.begin("H:a:1")
		w.retire("max_runs")
	case s.retired && !s.rested:
		s.rested = true
		w.finish()
		w.rest(0)
	case s.rested && drained:
		s.over = true
		w.leave()
	}
	l.look()
	if random.IntN(4) == 0 {
		pass(time.Duration(random.IntN(300)) * time.Millisecond)
		l.look()
	}
}

// settle has all that retire end.
func (l *liveFleet) settle() {
	for again := true; again; {
		again = false
		for w, s := range l.known {
			if !s.retired || s.over {
				continue
			}
			again = true
			if !s.rested {
				s.rested = true
				w.finish()
				w.rest(0)
			}
			l.look()
			if w.mu.Lock(); w.drained {
				s.over = true
			}
			w.mu.Unlock()
			if s.over {
				w.leave()
			}
		}
		pass(time.Second)
		l.look()
	}
}

// taking counts the slots that may take jobs, or have one.
func (l *liveFleet) taking() (n int) {
	for w, s := range l.known {
		w.mu.Lock()
		if w.takes() && !s.rested {
			n++
		}
		w.mu.Unlock()
	}
	return n
}

// check counts what the job servers and the clients see.
func (l *liveFleet) check(seed uint64) {
	l.f.t.Helper()
	taking, registered, late := l.taking(), 0, 0
	for w, s := range l.known {
		w.mu.Lock()
		if !s.over && w.holds() != workerpb.Hold_HOLD_CONNECTED {
			registered++
			if w.drained && time.Since(w.let) >= lastJobPatience {
				late++
			}
		}
		w.mu.Unlock()
	}
	if taking > 4 || registered < 4 || registered-late > 5 {
		l.f.t.Errorf("seed %d: %d slots take jobs and %d are registered, want at most 4, and 4 or 5 beside %d with long last jobs", seed, taking, registered, late)
	}
}
