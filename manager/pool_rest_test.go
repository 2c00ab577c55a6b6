package manager

import (
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// worksOn makes workers have a job that outlasts what they are told.
func (f *fakeFleet) worksOn(names ...string) {
	f.t.Helper()
	for _, name := range names {
		w := f.worker(name)
		w.stayBusy()
		w.ready(true)
		w.begin("H:a:1")
	}
	synctest.Wait()
}

// retires makes workers rest.
func (f *fakeFleet) retires(names ...string) {
	f.t.Helper()
	for _, name := range names {
		w := f.worker(name)
		w.ready(true)
		w.retire("max_runs")
		w.rest(0)
	}
	synctest.Wait()
}

func (f *fakeFleet) wantCall(want string) {
	f.t.Helper()
	if calls := f.calls("go", "drain"); !slices.Contains(calls, want) {
		f.t.Errorf("calls %q, want %q", calls, want)
	}
}

// A worker whose last job takes an hour does not keep the others from being replaced.
func TestLongLastJobHoldsUpNobody(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(3), nil, func(f *fakeFleet) {
		f.worksOn("resize/1")
		f.worker("resize/1").retire("max_runs") // resize/4 gets its place
		pass(2 * time.Second)
		f.retires("resize/2") // and resize/5 that of this one
		f.wantCall("go resize/4 HOLD_NONE 0")
		f.wantCall("go resize/5 HOLD_REGISTERED 0")
		f.wantCall("drain resize/2 max_runs")
		f.retires("resize/3")
		f.wantCall("go resize/5 HOLD_NONE 0")
		f.wantCall("drain resize/3 max_runs")
		f.worker("resize/1").leave()
	})
}

// Neither do workers that leave because something is wrong with them.
func TestFaultsHoldUpNobody(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(3), nil, func(f *fakeFleet) {
		f.worksOn("resize/1", "resize/2")
		f.worker("resize/1").retire("signal")
		f.worker("resize/2").retire("signal")
		pass(restartSpacing)
		f.wantCall("go resize/4 HOLD_NONE 0")
		f.wantCall("go resize/5 HOLD_NONE 0")
		f.worker("resize/1").leave()
		f.worker("resize/2").leave()
	})
}

// A worker that rests leaves where no successor can be started beside it: two others
// have successors, and long jobs.
func TestNoRoomForASuccessor(t *testing.T) {
	t.Parallel()
	runPool(t, limitedPlan(3), nil, func(f *fakeFleet) {
		f.worksOn("resize/1", "resize/2")
		f.worker("resize/1").retire("max_runs")
		f.worker("resize/2").retire("max_runs")
		synctest.Wait()
		f.retires("resize/3")
		if calls := f.calls("drain resize/3"); len(calls) > 0 {
			t.Errorf("calls %q", calls)
		}
		pass(lastJobPatience)
		f.wantCall("drain resize/3 max_runs")
		pass(time.Second)
		if s := f.states(); s[StateReady] != 3 || s[StateDraining] != 2 {
			t.Errorf("states %v", s)
		}
		f.worker("resize/1").leave()
		f.worker("resize/2").leave()
	})
}

// Where all retire together, they wait for each other's successors to have started,
// however long that takes: none is let go without one.
func TestAllRetireTogether(t *testing.T) {
	t.Parallel()
	plan := limitedPlan(4)
	plan.MaxRuns = 0 // no standby, so that all successors are started now
	runSlowPool(t, plan, func(f *fakeFleet) {
		close(f.hello)
		synctest.Wait()
		f.mu.Lock()
		f.hello = make(chan struct{}) // starts take long from now on
		hello := f.hello
		f.mu.Unlock()
		for _, name := range []string{"resize/1", "resize/2", "resize/3", "resize/4"} {
			f.retires(name)
		}
		pass(5 * time.Second)
		if calls := f.calls("drain"); len(calls) > 0 {
			t.Errorf("calls %q", calls)
		}
		close(hello)
		pass(5 * time.Second)
		if s := f.states(); s[StateReady] != 4 || len(s) != 1 {
			t.Errorf("states %v", s)
		}
	})
}

// What a place had in the way of jobs goes to a successor that waits; the next worker
// of that place takes none beside it.
func TestCrashBesideALongLastJob(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		f.worksOn("resize/1", "resize/2")
		f.worker("resize/1").retire("max_runs")
		pass(time.Millisecond)
		f.worker("resize/3").ready(true)
		f.worker("resize/2").crash(syscall.SIGSEGV)
		synctest.Wait()
		f.wantCall("go resize/3 HOLD_NONE 0")
		pass(restartSpacing)
		next := f.worker("resize/2")
		if hold := next.request.GetHold(); hold != workerpb.Hold_HOLD_CONNECTED {
			t.Errorf("hold %v", hold)
		}
		if calls := f.calls("go resize/2 HOLD_NONE"); len(calls) > 0 {
			t.Errorf("calls %q while two have jobs", calls)
		}
		f.worker("resize/1").leave()
		synctest.Wait()
		f.wantCall("go resize/2 HOLD_NONE 0")
	})
}
