package gearclient_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// onFragileServers runs a test against servers that show what a worker does
// wrong: they make one attempt at a job, and wake one sleeper for it. The config
// is that of a worker of n such servers, which performs what l submits.
func onFragileServers(t *testing.T, n int, test func(t *testing.T, l *load, cfg gearclient.WorkerConfig)) {
	t.Helper()
	for name, start := range map[string]func(*testing.T) string{
		"embedded": func(t *testing.T) string {
			t.Helper()
			return jobtest.StartJobServer(t, jobserver.Config{JobRetries: 1, WorkerWakeup: 1}).Addr()
		},
		"gearmand": func(t *testing.T) string {
			t.Helper()
			return testutil.StartGearmand(t, "-j", "1", "-w", "1").Addr()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLoad()
			cfg := gearclient.WorkerConfig{Functions: []string{"reverse"}, Handler: l.handler, PollInterval: time.Hour}
			for range n {
				cfg.Servers = append(cfg.Servers, start(t))
			}
			test(t, l, cfg)
			l.end(t)
		})
	}
}

// drains is how often the tests drain a worker.
func drains() int {
	if testing.Short() {
		return 100
	}
	return 1000
}

// load submits jobs from several clients until stopped, and notes failures and
// how often each job ran.
type load struct {
	mu      sync.Mutex
	runs    map[string]int
	clients sync.WaitGroup
	jobs    atomic.Int64
	failed  atomic.Int64
	slowest atomic.Int64 // nanoseconds
	stop    chan struct{}

	stopOnce sync.Once
}

func newLoad() *load { return &load{runs: map[string]int{}, stop: make(chan struct{})} }

// handler counts, and takes a little while for some jobs.
func (l *load) handler(ctx context.Context, job *gearclient.Job) gearclient.Result {
	l.mu.Lock()
	l.runs[string(job.Workload())]++
	l.mu.Unlock()
	if rand.IntN(10) == 0 {
		select {
		case <-time.After(time.Duration(rand.IntN(2000)) * time.Microsecond):
		case <-ctx.Done():
		}
	}
	return gearclient.Result{Data: job.Workload()}
}

// submit starts clients, each with one job at a time, of which every third is
// followed by a pause, so that workers fall asleep between.
func (l *load) submit(t *testing.T, clients int, servers ...string) {
	t.Helper()
	for n := range clients {
		c := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: servers})
		l.clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				l.one(t, c, fmt.Sprintf("%d/%d", n, i))
				if i%3 == 0 {
					<-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond)
				}
			}
		})
	}
}

func (l *load) one(t *testing.T, c *gearclient.Client, workload string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
	defer cancel()
	began := time.Now()
	got, err := c.Do(ctx, gearclient.Request{Function: "reverse", Workload: []byte(workload)})
	l.jobs.Add(1)
	if err != nil || string(got) != workload {
		l.failed.Add(1)
		t.Errorf("job %s: %q, %v", workload, got, err)
	}
	if took := int64(time.Since(began)); took > l.slowest.Load() {
		l.slowest.Store(took)
	}
}

// oneOf submits a job to a server and waits for it.
func (l *load) oneOf(t *testing.T, server string) {
	t.Helper()
	l.one(t, jobtest.NewClient(t, server), "abcba")
}

// stopSubmitting stops the clients when their jobs are done.
func (l *load) stopSubmitting() {
	l.stopOnce.Do(func() { close(l.stop) })
	l.clients.Wait()
}

// end stops the clients and checks that every job ran once.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stopSubmitting()
	l.mu.Lock()
	defer l.mu.Unlock()
	twice := 0
	for _, n := range l.runs {
		if n != 1 {
			twice++
		}
	}
	t.Logf("%d jobs, %d failed, %d ran more than once, the slowest took %v",
		l.jobs.Load(), l.failed.Load(), twice, time.Duration(l.slowest.Load()))
	if twice > 0 || len(l.runs) != int(l.jobs.Load()) {
		t.Errorf("%d jobs ran more than once, %d of %d ran", twice, len(l.runs), l.jobs.Load())
	}
}

// TestDrainsUnderLoad drains a thousand workers, one after the other at random
// moments, on a server that gives up a job whose worker left, and wakes one
// sleeper a job. Two others stay, so that there always is somebody to take a
// job. No client may see a failure, and no job may run twice.
func TestDrainsUnderLoad(t *testing.T) {
	t.Parallel()
	onFragileServers(t, 1, func(t *testing.T, l *load, cfg gearclient.WorkerConfig) {
		t.Helper()
		stay := cfg
		stay.Slots = 2
		startWorker(t, stay)
		l.submit(t, 4, cfg.Servers...)
		var leaving sync.WaitGroup
		for range 4 {
			leaving.Go(func() {
				for range drains() / 4 {
					comeAndGo(t, cfg)
				}
			})
		}
		leaving.Wait()
	})
}

// TestDrainsOfSleepers drains a thousand workers at the moment when a job is
// submitted, with one other asleep and nobody who could come upon a job that was
// left lying: whom the server woke has to take it along.
func TestDrainsOfSleepers(t *testing.T) {
	t.Parallel()
	onFragileServers(t, 1, func(t *testing.T, l *load, cfg gearclient.WorkerConfig) {
		t.Helper()
		c := jobtest.NewClient(t, cfg.Servers[0])
		stays := startReady(t, cfg)
		for i := range drains() {
			leaves := startReady(t, cfg)
			if rand.IntN(2) == 0 {
				stays, leaves = leaves, stays
			}
			<-time.After(time.Millisecond) // they fall asleep
			l.clients.Go(func() {
				<-time.After(time.Duration(rand.IntN(400)) * time.Microsecond)
				l.one(t, c, fmt.Sprint(i))
			})
			<-time.After(time.Duration(rand.IntN(800)) * time.Microsecond)
			leaves.drain(t)
			l.clients.Wait()
			if t.Failed() {
				break
			}
		}
		stays.drain(t)
	})
}

// readyWorker is a worker that runs until it is drained.
type readyWorker struct {
	w     *gearclient.Worker
	ended chan error
}

// startReady starts a worker and waits until it is registered.
func startReady(t *testing.T, cfg gearclient.WorkerConfig) readyWorker {
	t.Helper()
	ready := make(chan struct{})
	cfg.Events.Ready = func(int, string, bool) { close(ready) }
	cfg.Events.Undelivered = func(job *gearclient.Job, err error) { t.Errorf("answer of %s: %v", job.Handle(), err) }
	w, err := gearclient.NewWorker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := readyWorker{w, make(chan error, 1)}
	go func() { r.ended <- w.Run(context.Background()) }()
	testutil.Receive(t, "ready", ready)
	return r
}

func (r readyWorker) drain(t *testing.T) {
	t.Helper()
	r.w.Drain()
	if err := testutil.Receive(t, "the end", r.ended); err != nil {
		t.Error(err)
	}
}

// comeAndGo runs a worker for a moment.
func comeAndGo(t *testing.T, cfg gearclient.WorkerConfig) {
	t.Helper()
	r := startReady(t, cfg)
	<-time.After(time.Duration(rand.IntN(4000)) * time.Microsecond)
	r.drain(t)
}

// TestChangesUnderLoad pauses functions, holds, rests, and changes slots and servers
// all the time, which no client may notice either.
func TestChangesUnderLoad(t *testing.T) {
	t.Parallel()
	onFragileServers(t, 2, func(t *testing.T, l *load, cfg gearclient.WorkerConfig) {
		t.Helper()
		cfg.Functions = []string{"reverse", "other"}
		cfg.Slots = 2
		startWorker(t, cfg) // one that stays as it is
		l.submit(t, 3, cfg.Servers...)
		w := startWorker(t, cfg)
		for range 150 {
			change(t, w, cfg.Servers[0], cfg.Servers[1])
			<-time.After(time.Duration(rand.IntN(4000)) * time.Microsecond)
		}
		w.Drain()
		_ = testutil.Receive(t, "the end", w.ended)
	})
}

// change does something to a worker, but leaves it a slot.
func change(t *testing.T, w *runningWorker, a, b string) {
	t.Helper()
	var err error
	switch rand.IntN(10) {
	case 0:
		err = w.SetFunctions([]string{"other"})
	case 1:
		err = w.SetFunctions([]string{"reverse", "other"})
	case 2:
		w.Go(gearclient.Hold(rand.IntN(2)), rand.IntN(3))
	case 3:
		w.SetSlots(1 + rand.IntN(4))
	case 4:
		err = w.SetServers([]string{a})
	case 5:
		err = w.SetServers([]string{b, a})
	case 6:
		w.Rest()
	case 7:
		w.Resume()
	case 8:
		err = w.SetFunctions([]string{"other", "reverse", "third"})
	case 9:
		err = w.SetFunctions([]string{"third", "other"})
		ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
		defer cancel()
		err = errors.Join(err, w.Settle(ctx))
	}
	if err != nil {
		t.Error(err)
	}
}

// TestSeveralSlotsAndServers performs many jobs of two servers, one of which
// dies and comes back.
func TestSeveralSlotsAndServers(t *testing.T) {
	t.Parallel()
	a, b := startEmbedded(t), startEmbedded(t)
	l := newLoad()
	startWorker(t, gearclient.WorkerConfig{
		Servers: []string{a.addr, b.addr, testutil.FreeAddr(t)}, Handler: l.handler, Slots: 4, PollInterval: time.Hour,
	})
	l.submit(t, 6, a.addr, b.addr)
	testutil.WaitFor(t, "jobs", func() bool { return l.jobs.Load() > 3000 })
	l.end(t)
}

// BenchmarkWorker performs jobs of the embedded server, which has a few queued
// all the time.
func BenchmarkWorker(b *testing.B) {
	s := jobtest.StartJobServer(b, jobserver.Config{})
	c := jobtest.NewClient(b, s.Addr())
	for range b.N {
		if _, err := c.Background(context.Background(), gearclient.Request{Function: "reverse", Workload: []byte("12345678")}); err != nil {
			b.Fatal(err)
		}
	}
	done, over := 0, make(chan struct{})
	w, err := gearclient.NewWorker(gearclient.WorkerConfig{
		Servers: []string{s.Addr()}, Functions: []string{"reverse"}, Handler: backwards,
		Events: gearclient.WorkerEvents{Done: func(*gearclient.Job, gearclient.Result, error) {
			if done++; done == b.N {
				close(over)
			}
		}},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(context.Background()) }()
	<-over
	b.StopTimer()
	w.Drain()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
