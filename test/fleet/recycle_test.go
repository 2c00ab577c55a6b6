package fleet

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// load keeps so many jobs in flight until n are done, and counts them by what they
// answer: the process that performed them.
func (f *fleet) load(function, workload string, n, inFlight int) (byPID map[string]int, took time.Duration) {
	f.tb.Helper()
	byPID = map[string]int{}
	var (
		mu   sync.Mutex
		next atomic.Int64
		done sync.WaitGroup
	)
	ctx := f.ctx()
	began := time.Now()
	for range inFlight {
		client := jobtest.NewClient(f.tb, f.server.Addr())
		done.Go(func() {
			for next.Add(1) <= int64(n) {
				pid, err := client.Do(ctx, gearclient.Request{Function: function, Workload: []byte(workload)})
				if err != nil {
					f.tb.Errorf("%s: %v", function, err)
					return
				}
				mu.Lock()
				byPID[string(pid)]++
				mu.Unlock()
			}
		})
	}
	done.Wait()
	return byPID, time.Since(began)
}

// watchRegistered notes, every few milliseconds until stop is called, how many workers
// the server knows for a function.
func (f *fleet) watchRegistered(function string) (stop func() (fewest, most, looks int)) {
	admin := jobtest.NewAdmin(f.tb, f.server.Addr())
	var (
		fewest, most, looks = 1 << 30, 0, 0
		end                 = make(chan struct{})
		over                sync.WaitGroup
	)
	ctx := f.ctx()
	over.Go(func() {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for {
			list, err := admin.Status(ctx)
			if err != nil {
				f.tb.Errorf("ask gearmand for its status: %v", err)
				return
			}
			for _, s := range list {
				if s.Function == function {
					fewest, most = min(fewest, s.Workers), max(most, s.Workers)
				}
			}
			looks++
			select {
			case <-end:
				return
			case <-ticker.C:
			}
		}
	})
	return func() (int, int, int) {
		close(end)
		over.Wait()
		return fewest, most, looks
	}
}

// Under constant load each worker performs exactly its number of jobs, none fails, and
// the job server never knows fewer workers than are planned.
func TestRecycledWithoutADip(t *testing.T) {
	jobs := 20_000
	if testing.Short() {
		jobs = 2_000
	}
	f := newFleet(t)
	f.start(`
[GearmanManager]
host = SERVER
worker_dir = PLUGINS
include = sleep
max_runs_per_worker = 100
[sleep]
dedicated_count = 4
dedicated_only = 1
`)
	f.waitRegistered(map[string]int{"sleep": 4})
	stop := f.watchRegistered("sleep")
	byPID, took := f.load("sleep", "2", jobs, 50)
	fewest, most, looks := stop()
	t.Logf("%d jobs in %v by %d workers; between %d and %d workers were registered in %d looks", jobs, took, len(byPID), fewest, most, looks)
	if fewest < 4 || most > 5 {
		t.Errorf("between %d and %d workers were registered, want 4 and 5", fewest, most)
	}
	f.wantExact(byPID, 100, 4)
}

// wantExact looks that all workers but those that live have done exactly n jobs.
func (f *fleet) wantExact(byPID map[string]int, n, alive int) {
	f.tb.Helper()
	fewer := 0
	for pid, done := range byPID {
		switch {
		case done > n:
			f.tb.Errorf("worker %s has done %d jobs, want %d", pid, done, n)
		case done < n:
			fewer++
		}
	}
	if fewer > alive {
		f.tb.Errorf("%d workers have done fewer than %d jobs, want no more than the %d that live", fewer, n, alive)
	}
}

// One worker that does one job after another worker: as fast as programs start.
func TestOneJobEach(t *testing.T) {
	f := newFleet(t)
	f.start(`
[GearmanManager]
host = SERVER
worker_dir = PLUGINS
include = sleep
max_runs_per_worker = 1
[sleep]
dedicated_count = 1
dedicated_only = 1
`)
	f.waitRegistered(map[string]int{"sleep": 1})
	stop := f.watchRegistered("sleep")
	byPID, took := f.load("sleep", "0", 200, 10)
	fewest, most, _ := stop()
	t.Logf("200 jobs in %v: %.0f a second; between %d and %d registered", took, 200/took.Seconds(), fewest, most)
	if fewest < 1 || most > 2 {
		t.Errorf("between %d and %d workers were registered, want 1 and 2", fewest, most)
	}
	f.wantExact(byPID, 1, 1)
	if len(byPID) != 200 {
		t.Errorf("%d workers for 200 jobs", len(byPID))
	}
	// Ten times slower than any machine that this was measured on.
	if took > 30*time.Second {
		t.Errorf("200 jobs took %v", took)
	}
	testutil.WaitFor(t, "the manager to have a worker and a standby", func() bool { return len(f.workers()) == 2 })
}
