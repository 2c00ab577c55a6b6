package php_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// watcher asks a server again and again how many workers perform reverse.
type watcher struct {
	admin         *gearclient.Admin
	least, counts atomic.Int64
}

func watch(t *testing.T, addr string) *watcher {
	t.Helper()
	w := &watcher{admin: jobtest.NewAdmin(t, addr)}
	w.least.Store(1 << 20)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if n := w.workers(ctx); n >= 0 {
					w.least.Store(min(w.least.Load(), int64(n)))
					w.counts.Add(1)
				}
			}
		}
	})
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	return w
}

// workers is how many there are, -1 if the server does not say.
func (w *watcher) workers(ctx context.Context) int {
	all, err := w.admin.Status(ctx)
	if err != nil {
		return -1
	}
	for _, f := range all {
		if f.Function == "reverse" {
			return f.Workers
		}
	}
	return 0
}

// TestBridgeIsReplacedWithoutADip has workers of 30 runs follow each other under load, as
// the manager makes them: each performs its 30, and the server always has one.
func TestBridgeIsReplacedWithoutADip(t *testing.T) {
	t.Parallel()
	g := testutil.StartGearmand(t, "--job-retries", "1", "--worker-wakeup", "1")
	const all, runs = 600, 30
	limits := resting(&workerpb.Limits{MaxRuns: runs})
	standby := func() *bridge {
		b := startBridge(t, at(g.Addr()), limits, held(workerpb.Hold_HOLD_CONNECTED))
		await[*workerpb.Event_Ready](t, b)
		return b
	}
	worker := startBridge(t, at(g.Addr()), limits)
	await[*workerpb.Event_Ready](t, worker)
	seen := watch(t, g.Addr())
	next := standby()
	if n := seen.workers(t.Context()); n != 1 {
		t.Errorf("%d workers with a standby that is connected only", n)
	}
	jobs, begins, slow := load(t.Context(), t, g.Addr(), all), time.Now(), false
	for range all/runs - 1 {
		await[*workerpb.Event_Retiring](t, worker)
		next.tell(t, "go", &workerpb.GoRequest{Hold: workerpb.Hold_HOLD_REGISTERED})
		if !await[*workerpb.Event_Ready](t, next).Ready.GetRegistered() {
			t.Error("the standby is not registered")
		}
		await[*workerpb.Event_Rested](t, worker)
		slow = slow || time.Since(begins) > 9*time.Second // it has rested long enough to leave by itself
		worker.drain(t)
		next.tell(t, "go", &workerpb.GoRequest{})
		begins = time.Now()
		worker.leaves(t, runs, 0)
		worker, next = next, standby()
	}
	if err := jobs.Wait(); err != nil {
		t.Error(err)
	}
	await[*workerpb.Event_Rested](t, worker)
	if n := seen.least.Load(); n != 1 && !slow || seen.counts.Load() < 10 {
		t.Errorf("at least %d workers, seen %d times", n, seen.counts.Load())
	}
	worker.drain(t)
	worker.leaves(t, runs, 0)
	next.drain(t)
	next.leaves(t, 0, 0)
}

// TestBridgeTakesNoCallToItsRest has workers grow old while jobs come one by one, and the
// server calls one sleeper for each: a call that one takes to its rest would leave the job to
// nobody, while another sleeps.
func TestBridgeTakesNoCallToItsRest(t *testing.T) {
	t.Parallel()
	g := testutil.StartGearmand(t, "--job-retries", "1", "--worker-wakeup", "1")
	other := startBridge(t, at(g.Addr()))
	await[*workerpb.Event_Ready](t, other)
	c := jobtest.NewClient(t, g.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	sent := 0
	wg.Go(func() {
		tick := time.NewTicker(500 * time.Microsecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; sent++ {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second) // half of what a sleeper may sleep
			if _, err := c.Do(ctx, gearclient.Request{Function: "reverse", Workload: []byte("abc")}); err != nil {
				t.Errorf("job %d: %v", sent, err)
			}
			cancel()
			<-tick.C
		}
	})
	done := uint64(0)
	for i := range 25 {
		b := startBridge(t, at(g.Addr()), resting(&workerpb.Limits{MaxLifetimeMs: uint64(20 + 3*i)}))
		b.restsFor(t, "max_lifetime")
		b.drain(t)
		done += await[*workerpb.Event_Left](t, b).Left.GetCounters().GetDone()
	}
	cancel()
	wg.Wait()
	other.drain(t)
	left := await[*workerpb.Event_Left](t, other).Left.GetCounters()
	if done == 0 || left.GetDone()+done != uint64(sent) || left.GetFailed() > 0 {
		t.Errorf("%d and %d jobs were done, %d sent, %d failed", done, left.GetDone(), sent, left.GetFailed())
	}
}
