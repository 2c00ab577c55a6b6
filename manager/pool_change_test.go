package manager

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// change changes the pool as a reload does.
func (f *fakeFleet) change(change func(*PoolPlan), roll bool) {
	var code starter
	if roll {
		code = f.start
	}
	f.changeTo(change, code)
}

// roll has the workers replaced by those of other code, which prepare is called with.
func (f *fakeFleet) roll(hash string, prepare func(*fakeWorker) error) {
	f.changeTo(func(p *PoolPlan) { p.Hash = hash }, func(ctx context.Context, launch host.Launch) (process, error) {
		return f.startAs(ctx, launch, prepare)
	})
}

// changeTo changes the pool. Code is nil where the workers need not be replaced.
func (f *fakeFleet) changeTo(change func(*PoolPlan), code starter) {
	plan := *f.pool.plan()
	change(&plan)
	plan.Workers = (plan.Slots + plan.Concurrency - 1) / max(plan.Concurrency, 1)
	c := poolChange{plan: &plan, servers: f.pool.edition.assigned.servers}
	if code != nil {
		c.fresh = f.edition(&plan, c.servers)
		c.fresh.start, c.fresh.why = code, []string{"new code"}
	}
	ask(f.pool, func() bool { f.pool.change(f.t.Context(), c); return true })
	synctest.Wait()
}

// ready are the pids of the workers that are ready.
func (f *fakeFleet) ready() (pids []int) {
	for _, w := range f.status().Workers {
		if w.State == StateReady && w.PID > 0 {
			pids = append(pids, w.PID)
		}
	}
	slices.Sort(pids)
	return pids
}

func TestCountIsChangedByTheDifference(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		pass(time.Minute)
		first := f.ready()
		f.change(func(p *PoolPlan) { p.Slots = 6 }, false)
		if got := f.ready(); len(got) != 6 || !slices.Equal(got[:2], first) {
			t.Errorf("workers %v, want 6 with %v", got, first)
		}
		f.worker("resize/1").begin("H:a:1")
		f.worker("resize/1").stayBusy()
		synctest.Wait()
		f.change(func(p *PoolPlan) { p.Slots = 1 }, false)
		if got := f.ready(); len(got) != 1 || got[0] != f.worker("resize/1").pid {
			t.Errorf("workers %v, want the busy one", got)
		}
		if s := f.status(); s.Slots != 1 || len(s.Workers) != 1 {
			t.Errorf("status %+v", s)
		}
		for _, e := range seen[WorkerExited](f) {
			if e.Class() != ExitPlanned || !e.Final {
				t.Errorf("exit %+v", e)
			}
		}
		f.change(func(p *PoolPlan) { p.Slots = 0 }, false)
		f.worker("resize/1").finish()
		f.worker("resize/1").leave()
		pass(time.Minute)
		if s := f.status(); len(s.Workers) != 0 {
			t.Errorf("status %+v", s)
		}
		f.change(func(p *PoolPlan) { p.Slots = 3 }, false)
		if got := f.ready(); len(got) != 3 {
			t.Errorf("workers %v", got)
		}
	})
}

// A pool that outgrows its job records gets larger ones; jobs in hand are known from both.
func TestPoolOutgrowsItsRecords(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(60), nil, func(f *fakeFleet) {
		f.change(func(p *PoolPlan) { p.Slots = 200 }, false)
		if got := f.ready(); len(got) != 200 {
			t.Fatalf("%d workers", len(got))
		}
		tables := map[string]bool{}
		for _, w := range f.workers {
			tables[w.request.GetRecordFile()] = true
		}
		if len(tables) != 2 {
			t.Errorf("tables %v", tables)
		}
		f.worker("resize/1").crash(syscall.SIGSEGV)
		pass(time.Second)
		f.change(func(p *PoolPlan) { p.Slots = 1 }, false)
		pass(time.Second)
		if s := f.status(); len(s.Workers) != 1 {
			t.Errorf("%d workers", len(s.Workers))
		}
	})
}

func TestRollWithoutADip(t *testing.T) {
	t.Parallel()
	registered := func(w *fakeWorker) error {
		e := readyEvent()
		e.GetReady().Registered = w.request.GetHold() == workerpb.Hold_HOLD_NONE
		w.events <- e
		return nil
	}
	runPool(t, onePlan(4), registered, func(f *fakeFleet) {
		pass(time.Minute)
		before := f.ready()
		f.change(func(p *PoolPlan) { p.Hash = "new" }, true)
		if s := f.status(); s.Fault != "" || s.Hash != "" {
			t.Errorf("status during the trial: %+v", s)
		}
		if got := f.ready(); len(got) != 4 || len(intersection(got, before)) != 3 {
			t.Errorf("during the trial: %v of %v", got, before)
		}
		pass(time.Minute)
		if got := f.ready(); len(got) != 4 || len(intersection(got, before)) != 0 {
			t.Errorf("after it: %v of %v", got, before)
		}
		if s := f.status(); s.Hash != "new" || s.Outdated != 0 {
			t.Errorf("status %+v", s)
		}
		if e := seen[PoolRolls](f); len(e) != 1 || e[0].Workers != 3 {
			t.Errorf("events %+v", e)
		}
		f.holdsOrder(t)
		if !slices.Contains(f.said(), "close ") { // the edition that is replaced
			t.Errorf("said %q", f.said())
		}
	})
}

// holdsOrder checks that each worker left after its successor was told to register.
func (f *fakeFleet) holdsOrder(t *testing.T) {
	t.Helper()
	registered := 0
	for _, line := range f.said() {
		switch {
		case strings.Contains(line, "HOLD_REGISTERED"):
			registered++
		case strings.HasPrefix(line, "drain "):
			if registered--; registered < 0 {
				t.Errorf("a worker left before another was registered: %q", f.said())
			}
		}
	}
}

func (f *fakeFleet) said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lines)
}

func intersection(a, b []int) (both []int) {
	for _, n := range a {
		if slices.Contains(b, n) {
			both = append(both, n)
		}
	}
	return both
}

func TestRollOfCodeThatDoesNotStart(t *testing.T) {
	t.Parallel()
	broken := false
	prepare := func(*fakeWorker) error {
		if broken {
			return errNoStart
		}
		return nil
	}
	runPool(t, onePlan(3), prepare, func(f *fakeFleet) {
		pass(time.Minute)
		before := f.ready()
		ask(f.pool, func() bool { broken = true; return true })
		f.change(func(p *PoolPlan) { p.Hash = "bad" }, true)
		pass(10 * time.Minute)
		if got := f.ready(); !slices.Equal(got, before) {
			t.Errorf("workers %v, want %v", got, before)
		}
		if s := f.status(); s.Fault == "" || s.Hash == "bad" || s.Failures != 0 {
			t.Errorf("status %+v", s)
		}
		if e := seen[PoolRollFailed](f); len(e) != 1 || !errors.Is(e[0].Err, errNoStart) {
			t.Errorf("events %+v", e)
		}
		ask(f.pool, func() bool { broken = false; return true })
		f.worker("resize/1").crash(syscall.SIGKILL) // comes back from what ran
		pass(time.Second)
		if s := f.status(); len(f.ready()) != 3 || s.Outdated != 0 || s.Fault == "" {
			t.Errorf("status %+v", s)
		}
		f.change(func(p *PoolPlan) { p.Hash = "good" }, true)
		pass(time.Minute)
		if s := f.status(); s.Fault != "" || s.Hash != "good" || len(intersection(f.ready(), before)) != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

// New code may start, register, and die a moment later.
func TestRollOfCodeThatDiesSoon(t *testing.T) {
	t.Parallel()
	plan := onePlan(1)
	plan.StartSeconds = 5 * time.Second
	runPool(t, plan, nil, func(f *fakeFleet) {
		pass(time.Minute)
		f.change(func(p *PoolPlan) { p.Hash = "bad" }, true)
		pass(time.Second)
		s := f.status()
		if len(s.Workers) != 1 || s.Workers[0].Hash != "bad" {
			t.Fatalf("workers %+v", s.Workers)
		}
		f.worker(s.Workers[0].Name).end(supervisor.Exit{Code: 255})
		pass(time.Minute)
		s = f.status()
		if len(s.Workers) != 1 || s.Workers[0].Hash != "" || s.Workers[0].State != StateReady || !strings.Contains(s.Fault, "last words") {
			t.Errorf("status %+v", s)
		}
	})
}

// The first new worker is not registered: the old ones have the server to themselves.
func TestRollOfCodeThatStaysMute(t *testing.T) {
	t.Parallel()
	mute := false
	prepare := func(w *fakeWorker) error {
		if mute {
			w.stayMute()
		} else {
			w.events <- readyEvent()
		}
		return nil
	}
	runPool(t, onePlan(2), prepare, func(f *fakeFleet) {
		pass(time.Minute)
		before := f.ready()
		ask(f.pool, func() bool { mute = true; return true })
		f.change(func(p *PoolPlan) { p.Hash = "mute" }, true)
		pass(trialPatience / 2)
		if len(seen[WorkerExited](f)) != 0 {
			t.Error("an old worker left")
		}
		pass(trialPatience)
		if got := f.ready(); !slices.Equal(got, before) {
			t.Errorf("workers %v, want %v", got, before)
		}
		if s := f.status(); s.Fault == "" {
			t.Errorf("status %+v", s)
		}
	})
}

// A change during a trial ends it, and the next one begins.
func TestRollAfterRoll(t *testing.T) {
	t.Parallel()
	runSlowPool(t, onePlan(2), func(f *fakeFleet) {
		close(f.hello)
		pass(time.Minute)
		f.mu.Lock()
		f.hello = make(chan struct{})
		f.mu.Unlock()
		f.change(func(p *PoolPlan) { p.Hash = "second" }, true)
		f.change(func(p *PoolPlan) { p.Hash = "third" }, true)
		f.change(func(p *PoolPlan) { p.Slots = 3 }, false)
		close(f.hello)
		pass(time.Minute)
		s := f.status()
		if s.Hash != "third" || s.Outdated != 0 || len(f.ready()) != 3 {
			t.Errorf("status %+v", s)
		}
	})
}

// Workers with long jobs do not keep the others from being replaced, and nobody waits for
// more of them than one in four.
func TestRollBesideLongJobs(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(8), nil, func(f *fakeFleet) {
		pass(time.Minute)
		old := f.workersNow()
		for _, w := range old[:4] {
			w.stayBusy()
			w.begin("H:a:1")
		}
		synctest.Wait()
		f.change(func(p *PoolPlan) { p.Hash = "new" }, true)
		pass(time.Minute)
		s := f.status()
		fresh := 0
		for _, w := range s.Workers {
			if w.Hash == "new" {
				fresh++
			}
		}
		if fresh != 6 || len(s.Workers) != 10 { // four idle ones, two whose jobs go on
			t.Errorf("%d new of %d workers: %+v", fresh, len(s.Workers), s.Workers)
		}
		for _, w := range old[:4] {
			w.finish()
			if w.wasDrained() {
				w.leave()
			}
			w.clear(&w.busy)
		}
		pass(time.Minute)
		if s := f.status(); s.Outdated != 0 || len(s.Workers) != 8 {
			t.Errorf("status %+v", s)
		}
	})
}

// Limits are told to workers that run, and paused functions.
func TestChangeIsToldToWorkers(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		pass(time.Minute)
		before := f.ready()
		f.change(func(p *PoolPlan) {
			p.MaxRuns = 7
			p.Functions = slices.Clone(p.Functions)
			p.Functions[0].Timeout = time.Second
		}, false)
		for _, w := range f.workersNow()[:2] {
			if set := w.settings(); set.GetLimits().GetMaxRuns() != 7 || set.GetFunctions().GetFunctions()[0].GetTimeoutMs() != 1000 {
				t.Errorf("%s was told %v", w.name, set)
			}
		}
		ask(f.pool, func() bool {
			c := poolChange{plan: f.pool.plan(), servers: f.pool.edition.assigned.servers, paused: []string{"resize"}}
			f.pool.change(t.Context(), c)
			return true
		})
		synctest.Wait()
		if got := f.ready(); !slices.Equal(got, before) {
			t.Errorf("workers %v, want %v", got, before)
		}
		if !slices.Contains(f.said(), "pause resize/1 [resize]") || !slices.Contains(f.said(), "pause resize/2 [resize]") {
			t.Errorf("said %q", f.said())
		}
	})
}

// A server is left when another is reached.
func TestServersAreChangedOneAfterAnother(t *testing.T) {
	t.Parallel()
	prepare := func(w *fakeWorker) error {
		w.events <- readyEvent()
		return nil
	}
	runPool(t, onePlan(1), prepare, func(f *fakeFleet) {
		pass(time.Minute)
		ask(f.pool, func() bool {
			servers := f.pool.cfg.reach.want([]string{"127.0.0.1:4731"})
			f.pool.change(t.Context(), poolChange{plan: f.pool.plan(), servers: servers})
			return true
		})
		pass(serverPatience * 2)
		w := f.workersNow()[0]
		if got := w.settings().GetServers().GetServers(); len(got) != 2 || got[0].GetIndex() != 1 || got[1].GetIndex() != 0 {
			t.Errorf("told %v before it is reached", got)
		}
		e := readyEvent()
		e.GetReady().Server = "127.0.0.1:4731"
		w.events <- e
		synctest.Wait()
		if got := w.settings().GetServers().GetServers(); len(got) != 1 || got[0].GetIndex() != 1 {
			t.Errorf("told %v after it was reached", got)
		}
	})
}

// A server that is wanted no more is left at once, wherever it stood in the list.
func TestServersAreRemoved(t *testing.T) {
	t.Parallel()
	prepare := func(w *fakeWorker) error {
		w.events <- readyEvent()
		return nil
	}
	runPool(t, onePlan(1), prepare, func(f *fakeFleet) {
		change := func(list ...string) {
			ask(f.pool, func() bool {
				f.pool.change(t.Context(), poolChange{plan: f.pool.plan(), servers: f.pool.cfg.reach.want(list)})
				return true
			})
			synctest.Wait()
		}
		w := f.workersNow()[0]
		change("127.0.0.1:4730", "127.0.0.1:4731")
		if got := w.settings().GetServers().GetServers(); len(got) != 2 {
			t.Errorf("told %v", got)
		}
		change("127.0.0.1:4730")
		if got := w.settings().GetServers().GetServers(); len(got) != 1 || got[0].GetIndex() != 0 {
			t.Errorf("told %v after the last is to be left", got)
		}
	})
}
