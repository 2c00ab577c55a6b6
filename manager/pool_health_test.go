package manager

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestSilentWorkerIsKilled(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.goDeaf()
		w.ready(true)
		pass(pingEvery + callTimeout)
		kills := seen[WorkerKilled](f)
		if len(kills) != 1 || kills[0].Worker != "resize/1" || kills[0].Reason != string(killUnresponsive) {
			t.Errorf("kills %+v", kills)
		}
		if f.worker("resize/1") == w {
			t.Error("it has no successor")
		}
	})
}

// A worker with a job in hand need not answer, also if it has got it just now.
func TestBusyWorkerNeedNotAnswer(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(1), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.goDeaf()
		w.ready(true)
		next, _ := ask(f.pool, func() time.Time { return f.pool.pingAt })
		pass(time.Until(next) + time.Second)
		w.begin("H:a:1")
		pass(5 * pingEvery)
		if kills := seen[WorkerKilled](f); len(kills) != 0 {
			t.Errorf("kills %+v", kills)
		}
	})
}

func TestStoppedWorkerIsKilled(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		one, two := f.worker("resize/1"), f.worker("resize/2")
		stop := func(w *fakeWorker, stopped bool) {
			ask(f.pool, func() bool { f.pool.stopped(w.pid, stopped); return true })
		}
		stop(one, true)
		stop(two, true)
		if s := f.status(); !s.Workers[0].Stopped {
			t.Errorf("status %+v", s.Workers[0])
		}
		pass(stoppedGrace - time.Second)
		stop(two, false)
		pass(time.Second)
		synctest.Wait()
		kills := seen[WorkerKilled](f)
		if len(kills) != 1 || kills[0].PID != one.pid || kills[0].Reason != string(killUnresponsive) {
			t.Errorf("kills %+v", kills)
		}
		if s, c := seen[WorkerStopped](f), seen[WorkerContinued](f); len(s) != 2 || len(c) != 1 || c[0].PID != two.pid {
			t.Errorf("events %+v, %+v", s, c)
		}
	})
}

// A job that stops its process before that can say that the job has begun has its
// timeout all the same.
func TestStoppedByAJobThatNobodySpokeOf(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.Functions[0].Timeout = 3 * time.Second
	runPool(t, plan, nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		f.record(w, 0).Begin(jobrecord.Job{Handle: "H:a:1", Hash: 7}, f.clock(), 10)
		ask(f.pool, func() bool { f.pool.stopped(w.pid, true); return true })
		pass(3*time.Second + overdueSlack)
		kills := seen[WorkerKilled](f)
		if len(kills) != 1 || kills[0].Reason != string(killTimeout) {
			t.Errorf("kills %+v", kills)
		}
	})
}

// The same of one that has not said hello: its start is given up.
func TestStoppedByItsJobBeforeHello(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.Functions[0].Timeout, plan.Functions[0].OnTimeout = 3*time.Second, config.Reissue
	runSlowPool(t, plan, func(f *fakeFleet) {
		w := f.worker("resize/1")
		f.record(w, 0).Begin(jobrecord.Job{Handle: "H:a:1", Hash: 7}, f.clock(), 10)
		ask(f.pool, func() bool {
			f.pool.workers()[0].pid = w.pid
			f.pool.stopped(w.pid, true)
			return true
		})
		pass(3*time.Second + overdueSlack)
		kills := seen[WorkerKilled](f)
		if len(kills) != 1 || kills[0].Reason != string(killTimeout) {
			t.Errorf("kills %+v", kills)
		}
		if s := seen[JobSuspected](f); len(s) != 1 || s[0].Attempts != 1 {
			t.Errorf("suspects %+v", s)
		}
		pass(time.Second)
		if next := f.worker("resize/1"); next == w {
			t.Error("it has no successor")
		}
		close(f.hello)
	})
}

func TestWorkerWithTooMuchMemoryIsKilled(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.MaxMemoryHard = 100 << 20
	runPool(t, plan, nil, func(f *fakeFleet) {
		grown := int64(0)
		f.memories = func(int) int64 { return grown }
		w := f.worker("resize/1")
		ask(f.pool, func() bool { grown = 200 << 20; return true })
		pass(time.Minute)
		if kills := seen[WorkerKilled](f); len(kills) != 0 {
			t.Errorf("an idle worker was looked at: %+v", kills)
		}
		w.begin("H:a:1")
		pass(memoryEvery)
		kills := seen[WorkerKilled](f)
		if len(kills) != 1 || kills[0].Reason != string(killMemory) {
			t.Errorf("kills %+v", kills)
		}
		suspects := f.worker("resize/1").request.GetSuspects()
		if len(suspects) != 1 || suspects[0].GetAttempts() != 1 {
			t.Errorf("suspects %v", suspects)
		}
	})
}

// What a standalone program has in hand is not known: it has all of its function's grace,
// also when it is told to leave before it counts as ready.
func TestStandaloneHasItsGrace(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.Kind = KindStandalone
	runPool(t, plan, nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.stayBusy()
		ask(f.pool, func() bool { f.pool.stop(f.t.Context()); return true })
		pass(time.Minute - time.Second)
		if kills := seen[WorkerKilled](f); len(kills) != 0 {
			t.Errorf("kills %+v", kills)
		}
		pass(time.Second)
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].Reason != string(killGrace) {
			t.Errorf("kills %+v", kills)
		}
	})
	runSlowPool(t, plan, func(f *fakeFleet) {
		ask(f.pool, func() bool { f.pool.stop(f.t.Context()); return true })
		pass(plan.StartSeconds - time.Millisecond)
		close(f.hello)
		pass(time.Second)
		if calls := f.calls("drain"); len(calls) != 1 {
			t.Errorf("calls %v, want the stop signal rather than a kill", calls)
		}
	})
}

// It has all of its function's grace too where it is too old, and no more.
func TestStandaloneThatDoesNotHearIsKilled(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.Kind = KindStandalone
	runPool(t, plan, nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.stayBusy()
		w.retire("max_lifetime")
		pass(time.Minute - time.Second)
		if kills := seen[WorkerKilled](f); len(kills) != 0 {
			t.Errorf("kills %+v", kills)
		}
		pass(2 * time.Second)
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].Worker != "resize/1" {
			t.Errorf("kills %+v", kills)
		}
	})
}

func TestStandaloneWithTooMuchMemoryIsKilled(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.Kind, plan.MaxMemoryHard = KindStandalone, 100<<20
	runPool(t, plan, nil, func(f *fakeFleet) {
		pass(time.Minute)
		ask(f.pool, func() bool {
			f.memories = func(pid int) int64 { return 200 << 20 * int64(1-(pid-1000)) }
			return true
		})
		pass(standaloneMemoryEvery)
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].Reason != string(killMemory) {
			t.Errorf("kills %+v", kills)
		}
	})
}

// A standalone worker that has become ready has started: it may end when it wants to.
func TestStandaloneThatEndsSoonHasStarted(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.Kind = KindStandalone
	runPool(t, plan, nil, func(f *fakeFleet) {
		for range 5 {
			f.worker("resize/1").end(supervisor.Exit{})
			pass(restartSpacing + time.Millisecond)
		}
		if s := f.status(); s.Failures != 0 || f.started() != 6 {
			t.Errorf("%d failures, %d starts", s.Failures, f.started())
		}
	})
}
