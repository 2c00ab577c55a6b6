package manager

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// unstartable is how workers are prepared that cannot be started.
func unstartable(*fakeWorker) error { return errNoStart }

// mute prepares workers that say hello, and never register.
func mute(w *fakeWorker) error {
	w.stayMute()
	return nil
}

// talking prepares workers that register.
func talking(w *fakeWorker) error {
	w.events <- readyEvent()
	return nil
}

// Code that runs is not given up for other code because it has not run for long.
func TestCodeThatIsNewItselfIsNotGivenUp(t *testing.T) {
	t.Parallel()
	plan := onePlan(2)
	plan.StartSeconds = 5 * time.Second
	runPool(t, plan, talking, func(f *fakeFleet) {
		before := f.ready()
		f.roll("bad", unstartable)
		pass(10 * time.Minute)
		if got := f.ready(); !slices.Equal(got, before) {
			t.Errorf("workers %v, want %v", got, before)
		}
		if s := f.status(); s.Fault == "" || s.Hash == "bad" || s.Failures != 0 || s.GaveUp {
			t.Errorf("status %+v", s)
		}
	})
}

// Where code that runs does not prove itself either, the other is taken.
func TestCodeThatDiesWhileAnotherIsTriedIsGivenUp(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.StartSeconds = 5 * time.Second
	starts := 0
	once := func(w *fakeWorker) error {
		if starts++; starts > 1 {
			return errNoStart
		}
		return talking(w)
	}
	runPool(t, plan, once, func(f *fakeFleet) {
		f.changeTo(func(p *PoolPlan) { p.Hash = "slow" }, func(ctx context.Context, launch host.Launch) (process, error) {
			select {
			case <-time.After(time.Second):
				return f.startAs(ctx, launch, talking)
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		})
		f.worker("resize/1").end(supervisor.Exit{Code: 255})
		pass(time.Minute)
		if s := f.status(); s.Fault != "" || s.Hash != "slow" || s.Failures != 0 || len(f.ready()) != 1 {
			t.Errorf("status %+v", s)
		}
	})
}

// Code whose trial was ended by another change may die still: that is nothing that speaks
// against what ran before it.
func TestDeathOfCodeThatWasGivenUp(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.StartSeconds = 5 * time.Second
	runPool(t, plan, talking, func(f *fakeFleet) {
		pass(time.Minute)
		f.roll("dying", talking)
		pass(time.Second)
		s := f.status()
		if len(s.Workers) != 1 || s.Workers[0].Hash != "dying" {
			t.Fatalf("workers %+v", s.Workers)
		}
		f.changeTo(func(p *PoolPlan) { p.Hash = "hangs" }, func(ctx context.Context, _ host.Launch) (process, error) {
			select {
			case <-time.After(time.Minute):
				return nil, errHang
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		})
		f.worker(s.Workers[0].Name).end(supervisor.Exit{Code: 255})
		pass(10 * time.Minute)
		s = f.status()
		if len(s.Workers) != 1 || s.Workers[0].Hash != "" || s.Workers[0].State != StateReady || s.Failures != 0 || s.Fault == "" || s.GaveUp {
			t.Errorf("status %+v", s)
		}
	})
}

// A worker on trial leaves jobs to others until it has taken the place of one.
func TestWorkerOnTrialTakesNoRoom(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(1), talking, func(f *fakeFleet) {
		pass(time.Minute)
		f.roll("mute", mute)
		pass(time.Second)
		f.change(func(p *PoolPlan) { p.Slots = 2 }, false)
		pass(time.Second)
		takes := map[string]bool{}
		for _, w := range f.workersNow() {
			w.mu.Lock()
			takes[w.name] = w.takes()
			w.mu.Unlock()
		}
		if len(takes) != 3 || !takes["resize/1"] || takes["resize/2"] || !takes["resize/3"] {
			t.Errorf("workers that take jobs: %v", takes)
		}
		pass(time.Minute)
		if s := f.status(); s.Fault == "" || len(f.ready()) != 2 || s.Hash == "mute" {
			t.Errorf("status %+v", s)
		}
	})
}

// A worker that was a standby may have more records than slots: there are enough for a
// successor of another nevertheless.
func TestTrialBesideWorkersWithManyRecords(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 5, 9} {
		plan := onePlan(slots)
		plan.Concurrency, plan.MaxRuns, plan.Workers = 4, 1000, (slots+3)/4
		need := plan.Concurrency * (plan.Workers + 2)
		if got := recordsFor(&plan); got < need {
			t.Errorf("%d slots of %d: %d records, want at least %d", slots, plan.Concurrency, got, need)
		}
	}
	runPool(t, onePlan(4), talking, func(f *fakeFleet) {
		f.change(func(p *PoolPlan) { p.Slots, p.Concurrency = 5, 4 }, false)
		if got, want := f.pool.records.file.Len(), 4*4; got < want {
			t.Errorf("%d records, want at least %d", got, want)
		}
	})
}

// A worker that retires need not wait for the one on trial: its successor works until that
// takes over.
func TestRetireeIsCoveredByOneThatIsReplaced(t *testing.T) {
	t.Parallel()
	at := func(rolls, letGo bool, servers ...string) *worker {
		connected := map[string]bool{}
		for _, s := range servers {
			connected[s] = true
		}
		return &worker{rolls: rolls, letGo: letGo, used: 1, slots: []slotState{{connected: connected}}}
	}
	retiree := at(false, false, "a:1")
	for _, c := range []struct {
		later *worker
		want  bool
	}{
		{at(true, false, "a:1", "b:1"), true}, {at(true, false, "b:1"), false}, {at(true, true, "a:1"), false},
	} {
		if got := coveredBy([]*worker{c.later}, retiree); got != c.want {
			t.Errorf("covered: %v by %+v", got, c.later)
		}
	}
}
