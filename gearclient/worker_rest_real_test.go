package gearclient_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// workersOf is how many connections offer the function, as the server's status
// says.
func workersOf(t *testing.T, a *gearclient.Admin, function string) int {
	t.Helper()
	list, err := a.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if f.Function == function {
			return f.Workers
		}
	}
	return 0
}

// TestLimitIsExact has four slots share a limit, with more jobs queued than that
// or with clients that send the next one when they have the answer.
func TestLimitIsExact(t *testing.T) {
	t.Parallel()
	for _, queued := range []int{0, 150} {
		t.Run(fmt.Sprintf("%d queued", queued), func(t *testing.T) {
			t.Parallel()
			onFragileServers(t, 1, func(t *testing.T, l *load, cfg gearclient.WorkerConfig) {
				t.Helper()
				addr := cfg.Servers[0]
				c := jobtest.NewClient(t, addr)
				for i := range queued {
					if _, err := c.Background(t.Context(), gearclient.Request{Function: "reverse", Workload: fmt.Appendf(nil, "q%d", i)}); err != nil {
						t.Fatal(err)
					}
				}
				l.jobs.Add(int64(queued))
				l.submit(t, 8, addr)
				a := jobtest.NewAdmin(t, addr)
				for range 3 {
					wantExactly(t, a, cfg, 100)
				}
				startWorker(t, cfg)
				l.stopSubmitting()
				testutil.WaitFor(t, "the queue's end", func() bool {
					l.mu.Lock()
					defer l.mu.Unlock()
					return len(l.runs) >= int(l.jobs.Load())
				})
			})
		})
	}
}

// wantExactly runs a worker of four slots under a limit: it performs so many jobs,
// and is registered until it is drained.
func wantExactly(t *testing.T, a *gearclient.Admin, cfg gearclient.WorkerConfig, n int64) {
	t.Helper()
	var done atomic.Int64
	cfg.Slots = 4
	cfg.Events.Done = func(*gearclient.Job, gearclient.Result, error) { done.Add(1) }
	limit(&cfg, n)
	rested := resting(&cfg)
	w := startWorker(t, cfg)
	slots := map[int]bool{}
	for len(slots) < 4 { // one may have to go on with a reservation that another one gave back
		slots[testutil.Receive(t, "the rest", rested)] = true
	}
	testutil.WaitFor(t, "all jobs", func() bool { return done.Load() >= n })
	<-time.After(20 * time.Millisecond)
	if got := workersOf(t, a, "reverse"); got != 4 {
		t.Errorf("%d workers are registered while they rest, want 4", got)
	}
	w.Drain()
	_ = testutil.Receive(t, "the end", w.ended)
	if got := done.Load(); got != n {
		t.Errorf("%d jobs, want %d", got, n)
	}
}

// TestRestsOfSleepers lets a worker rest at the moment when a job is submitted,
// with one other asleep: whom the server woke takes the job, now.
func TestRestsOfSleepers(t *testing.T) {
	t.Parallel()
	onFragileServers(t, 1, func(t *testing.T, l *load, cfg gearclient.WorkerConfig) {
		t.Helper()
		c := jobtest.NewClient(t, cfg.Servers[0])
		rested := resting(&cfg)
		one, other := startReady(t, cfg), startReady(t, cfg)
		for i := range drains() / 4 {
			<-time.After(time.Millisecond) // they fall asleep
			l.clients.Go(func() {
				<-time.After(time.Duration(rand.IntN(400)) * time.Microsecond)
				l.one(t, c, fmt.Sprint(i))
			})
			<-time.After(time.Duration(rand.IntN(800)) * time.Microsecond)
			one.w.Rest()
			l.clients.Wait()
			testutil.Receive(t, "the rest", rested)
			one.w.Resume()
			one, other = other, one
			if t.Failed() {
				break
			}
		}
		one.drain(t)
		other.drain(t)
		if slowest := time.Duration(l.slowest.Load()); slowest > 5*time.Second {
			t.Errorf("a job took %v", slowest)
		}
	})
}

// TestHandover replaces a worker again and again as a manager does: the successor
// registers while the other one rests. All the time one at least is registered, at
// most one takes jobs, and no client notices.
func TestHandover(t *testing.T) {
	t.Parallel()
	onFragileServers(t, 1, func(t *testing.T, l *load, cfg gearclient.WorkerConfig) {
		t.Helper()
		h := &handover{load: l, cfg: cfg}
		a := jobtest.NewAdmin(t, cfg.Servers[0])
		w := h.start(t, gearclient.HoldNone)
		receive(t, w.ready, true, 1)
		l.submit(t, 4, cfg.Servers...)
		watched := watchWorkers(t, a, 1, 2)
		for range 40 {
			w = h.replace(t, w)
		}
		watched()
		startWorker(t, cfg) // performs what comes after the last limit
		l.stopSubmitting()
		w.Drain()
		_ = testutil.Receive(t, "the end", w.ended)
	})
}

// handover is a pool of one worker.
type handover struct {
	load   *load
	cfg    gearclient.WorkerConfig
	inHand atomic.Int32
}

// successor is a worker that takes over.
type successor struct {
	*runningWorker

	ready  chan bool
	rested <-chan int
}

// start starts a worker that rests after 20 jobs.
func (h *handover) start(t *testing.T, hold gearclient.Hold) successor {
	t.Helper()
	s := successor{ready: make(chan bool, 10)}
	cfg := h.cfg
	cfg.Hold = hold
	cfg.Events.Ready = func(_ int, _ string, registered bool) { s.ready <- registered }
	cfg.Handler = func(ctx context.Context, job *gearclient.Job) gearclient.Result {
		if n := h.inHand.Add(1); n > 1 {
			t.Errorf("%d jobs in hand", n)
		}
		defer h.inHand.Add(-1)
		return h.load.handler(ctx, job)
	}
	limit(&cfg, 20)
	s.rested = resting(&cfg)
	s.runningWorker = startWorker(t, cfg)
	return s
}

// replace waits until w rests, and puts another one in its place.
func (h *handover) replace(t *testing.T, w successor) successor {
	t.Helper()
	next := h.start(t, gearclient.HoldConnected)
	receive(t, next.ready, false, 1)
	testutil.Receive(t, "the rest", w.rested)
	next.Go(gearclient.HoldRegistered, 0)
	receive(t, next.ready, true, 1)
	w.Drain()
	next.Go(gearclient.HoldNone, 0)
	_ = testutil.Receive(t, "the end", w.ended)
	return next
}

// watchWorkers polls the status until the function that it returns is called, which
// waits for the end of it: so many workers are to offer "reverse", at each moment.
func watchWorkers(t *testing.T, a *gearclient.Admin, least, most int) (end func()) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			list, err := a.Status(context.Background())
			i := slices.IndexFunc(list, func(f gearclient.FunctionStatus) bool { return f.Function == "reverse" })
			if err != nil || i < 0 || list[i].Workers < least || list[i].Workers > most {
				t.Errorf("status: %v, %v, want %d to %d workers", list, err, least, most)
				return
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}
