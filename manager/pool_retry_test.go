package manager

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// brokenPlan is a pool whose program is a file, and cannot be started.
func brokenPlan(t *testing.T, retries int) (plan PoolPlan, program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "resize")
	write(t, program, "broken")
	plan = onePlan(3)
	plan.StartRetries = retries
	plan.Program = program
	plan.Functions[0].Program = program
	return plan, program
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestPoolFails(t *testing.T) {
	t.Parallel()
	plan, program := brokenPlan(t, 4)
	var works atomic.Bool
	prepare := func(*fakeWorker) error {
		if !works.Load() {
			return errNoStart
		}
		return nil
	}
	runPool(t, plan, prepare, func(f *fakeFleet) {
		pass(time.Hour)
		if failed := seen[PoolFailed](f); len(failed) != 1 || failed[0].Pool != "resize" || failed[0].Failures != 5 {
			t.Fatalf("events %+v", failed)
		}
		tries := f.tried()
		if s := f.states(); s[StateFailed] != 3 {
			t.Errorf("states %v", s)
		}
		if s := f.status(); !s.GaveUp || !s.NextTry.IsZero() {
			t.Errorf("gave up %v, next try %v; want no try", s.GaveUp, s.NextTry)
		}
		works.Store(true)
		write(t, program, "mended")
		pass(lookEvery)
		if retried := seen[PoolRetried](f); len(retried) != 1 {
			t.Errorf("events %+v", retried)
		}
		if s := f.states(); s[StateReady] != 3 || f.tried() != tries+3 {
			t.Errorf("states %v after %d tries", s, f.tried()-tries)
		}
	})
}

func TestFailedPoolIsTriedByHand(t *testing.T) {
	t.Parallel()
	plan, _ := brokenPlan(t, 1)
	runPool(t, plan, func(*fakeWorker) error { return errNoStart }, func(f *fakeFleet) {
		pass(time.Minute)
		tries, renewed := f.tried(), 0
		ask(f.pool, func() bool {
			f.pool.cfg.retake = func(context.Context, string) { renewed += 10*(f.tried()-tries) + 1 }
			return true
		})
		again, _ := ask(f.pool, func() bool { return f.pool.tryAgain("somebody said so") })
		synctest.Wait()
		if !again || f.tried() != tries+3 {
			t.Errorf("%d tries", f.tried()-tries)
		}
		if renewed != 1 {
			t.Errorf("the code was renewed %d times, or after a start", renewed)
		}
		pass(time.Minute)
		if failed := seen[PoolFailed](f); len(failed) != 2 {
			t.Errorf("events %+v", failed)
		}
	})
}

// Without a number of retries a pool is never given up.
func TestPoolNeverFails(t *testing.T) {
	t.Parallel()
	plan, _ := brokenPlan(t, 0)
	runPool(t, plan, func(*fakeWorker) error { return errNoStart }, func(f *fakeFleet) {
		pass(24 * time.Hour)
		if failed := seen[PoolFailed](f); len(failed) != 0 || f.tried() < 24*60*2-10 {
			t.Errorf("%d tries, events %v", f.tried(), failed)
		}
	})
}

// A job that kills its worker says nothing of the program.
func TestBadJobsDoNotFailAPool(t *testing.T) {
	t.Parallel()
	plan, _ := brokenPlan(t, 1)
	runPool(t, plan, nil, func(f *fakeFleet) {
		for range 20 {
			for _, name := range []string{"resize/1", "resize/2", "resize/3"} {
				w := f.worker(name)
				w.begin("H:a:1")
				synctest.Wait()
				w.crash(syscall.SIGSEGV)
			}
			pass(restartSpacing)
		}
		if s := f.status(); s.GaveUp || s.Failures != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

// A standby that cannot be started fails the pool as well, and leaves those that
// work alone.
func TestStandbyThatFails(t *testing.T) {
	t.Parallel()
	plan, _ := brokenPlan(t, 2)
	plan.MaxRuns = 10
	prepare := func(w *fakeWorker) error {
		if !slices.Contains([]string{"resize/1", "resize/2", "resize/3"}, w.name) {
			return errNoStart
		}
		return nil
	}
	runPool(t, plan, prepare, func(f *fakeFleet) {
		pass(time.Minute)
		if failed := seen[PoolFailed](f); len(failed) != 1 {
			t.Errorf("events %+v", failed)
		}
		if s := f.states(); s[StateReady] != 3 || len(s) != 1 {
			t.Errorf("states %v", s)
		}
	})
}
