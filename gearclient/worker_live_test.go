package gearclient_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// settling calls Settle, and gives the channel on which it says what that returned.
func settling(ctx context.Context, w *runningWorker) <-chan error {
	settled := make(chan error, 1)
	go func() { settled <- w.Settle(ctx) }()
	return settled
}

func set(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// TestSettleAsleep returns when the last question has been answered and the function
// taken away.
func TestSettleAsleep(t *testing.T) {
	t.Parallel()
	asleep, asked, over := newStep(), newStep(), make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs, noJob, sleeps, asleep.steps(), grabs, asked.steps(), noJob,
		geartest.Expect(wire.CantDo, "reverse"), grabs, noJob, sleeps, geartest.Signal(over), rests(),
	)...))
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}})
	set(t, w.Settle(t.Context()))
	var settled <-chan error
	asleep.then(t, func() {
		set(t, w.SetFunctions(nil))
		settled = settling(t.Context(), w)
	})
	asked.then(t, func() {
		<-time.After(50 * time.Millisecond)
		wantNone(t, "settled with a GRAB_JOB out", settled)
	})
	set(t, testutil.Receive(t, "Settle", settled))
	testutil.Receive(t, "the script", over)
	set(t, w.Settle(t.Context()))
}

// TestSettleWithAJobInHand returns at once.
func TestSettleWithAJobInHand(t *testing.T) {
	t.Parallel()
	goOn, over := make(chan struct{}), make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs, assigns("H:t:1", "abc"),
		geartest.Expect(wire.WorkComplete, "H:t:1", "cba"), geartest.Expect(wire.CantDo, "reverse"),
		grabs, noJob, sleeps, geartest.Signal(over), rests(),
	)...))
	started := make(chan struct{})
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}, Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
		close(started)
		<-goOn
		return backwards(ctx, job)
	}})
	testutil.Receive(t, "the job", started)
	set(t, w.SetFunctions(nil))
	set(t, testutil.Receive(t, "Settle", settling(t.Context(), w)))
	close(goOn)
	testutil.Receive(t, "the script", over)
}

// TestSettleWaitsNoLongerThanItMay has a server that hangs.
func TestSettleWaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s := geartest.Start(t, workerConn(grabs, geartest.Signal(asked), geartest.NeverAnswer()))
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}, ServerTimeout: time.Minute})
	testutil.Receive(t, "the script", asked)
	set(t, w.SetFunctions(nil))
	why := errors.New("long enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	settled := settling(ctx, w)
	cancel(why)
	if err := testutil.Receive(t, "Settle", settled); !errors.Is(err, why) {
		t.Errorf("Settle: %v", err)
	}
	w.Drain()
	set(t, testutil.Receive(t, "Settle when the slot has left", settling(t.Context(), w)))
}

// TestNoJobOfAFunctionAfterSettle takes a function away and offers it again under
// load. No client may notice, for another worker stays.
func TestNoJobOfAFunctionAfterSettle(t *testing.T) {
	t.Parallel()
	onFragileServers(t, 1, func(t *testing.T, l *load, cfg gearclient.WorkerConfig) {
		t.Helper()
		startWorker(t, cfg)
		var begun atomic.Int64
		cfg.Slots = 3
		cfg.Handler = func(ctx context.Context, job *gearclient.Job) gearclient.Result {
			begun.Add(1)
			return l.handler(ctx, job)
		}
		w := startWorker(t, cfg)
		l.submit(t, 5, cfg.Servers...)
		for range 50 {
			set(t, w.SetFunctions([]string{"other"}))
			set(t, testutil.Receive(t, "Settle", settling(t.Context(), w)))
			<-time.After(5 * time.Millisecond) // a job that was assigned before is on its way to the handler
			before := begun.Load()
			<-time.After(5 * time.Millisecond)
			if n := begun.Load() - before; n > 0 {
				t.Errorf("%d jobs begun of a function that was taken away", n)
			}
			set(t, w.SetFunctions([]string{"reverse", "other"}))
			testutil.WaitFor(t, "jobs again", func() bool { return begun.Load() > before })
		}
	})
}

// TestWhatStaysIsRegisteredAllTheTime changes functions and servers around one that
// stays.
func TestWhatStaysIsRegisteredAllTheTime(t *testing.T) {
	t.Parallel()
	onFragileServers(t, 2, func(t *testing.T, l *load, cfg gearclient.WorkerConfig) {
		t.Helper()
		ready := make(chan bool, 1000)
		cfg.Slots = 2
		cfg.Events.Ready = func(_ int, server string, registered bool) {
			if server == cfg.Servers[0] {
				ready <- registered
			}
		}
		cfg.Events.Lost = func(_ int, server string, err error) { t.Errorf("lost %s: %v", server, err) }
		w := startWorker(t, cfg)
		receive(t, ready, true, 2)
		l.submit(t, 2, cfg.Servers[0])
		end := watchWorkers(t, jobtest.NewAdmin(t, cfg.Servers[0]), 2, 2)
		for i := range 100 {
			for _, functions := range [][]string{{"reverse"}, {"a", "reverse"}, {"b", "a", "reverse"}, {"b", "reverse"}} {
				set(t, w.SetFunctions(functions))
				set(t, w.SetServers(cfg.Servers[:1+i%2]))
				<-time.After(500 * time.Microsecond)
			}
		}
		end()
		wantNone(t, "connected anew", ready)
	})
}

// TestServerThatHangsIsLeft has the slots work for the other server meanwhile.
func TestServerThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	asleep := newStep()
	hangs := geartest.Start(t, workerConn(script(grabs, noJob, sleeps, asleep.steps(), grabs, geartest.NeverAnswer())...))
	s := startEmbedded(t)
	left := make(chan string, 10)
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{hangs.Addr(), s.addr},
		Events:  gearclient.WorkerEvents{Lost: func(_ int, server string, err error) { left <- fmt.Sprint(server, err) }},
	})
	began := time.Now()
	asleep.then(t, func() { set(t, w.SetServers([]string{s.addr})) })
	c := jobtest.NewClient(t, s.addr)
	jobs := 0
	for ; !isDone(hangs.Done()); jobs++ {
		sent := time.Now()
		if _, err := c.Do(t.Context(), gearclient.Request{Function: "reverse", Workload: []byte("abc")}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(sent); took > 3*time.Second {
			t.Errorf("job %d took %v while a server is left that hangs", jobs, took)
		}
		<-time.After(10 * time.Millisecond)
	}
	if took := time.Since(began); took > testutil.Patience || jobs < 10 {
		t.Errorf("left after %v and %d jobs, want about 5 s", took, jobs)
	}
	wantNone(t, "lost", left)
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// TestServerThatHasAJobIsLeft performs that one, beside its work for the other server.
func TestServerThatHasAJobIsLeft(t *testing.T) {
	t.Parallel()
	job := []geartest.Step{assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba")}
	for name, last := range map[string]func(elsewhere <-chan struct{}) []geartest.Step{
		"no job":          func(<-chan struct{}) []geartest.Step { return script(grabs, noJob) },
		"woken for a job": func(<-chan struct{}) []geartest.Step { return script(wakes, grabs, job) },
		"late answer": func(elsewhere <-chan struct{}) []geartest.Step {
			return script(grabs, geartest.Wait(elsewhere), job)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asleep, elsewhere := newStep(), make(chan struct{})
			a := geartest.Start(t, workerConn(script(grabs, noJob, sleeps, asleep.steps(), last(elsewhere), leaves)...))
			b := geartest.Start(t, workerConn(grabs, noJob, sleeps, geartest.Signal(elsewhere), rests()))
			cfg := gearclient.WorkerConfig{Servers: []string{a.Addr()}}
			lost := undelivered(&cfg)
			w := startWorker(t, cfg)
			asleep.then(t, func() { set(t, w.SetServers([]string{b.Addr()})) })
			testutil.Receive(t, "sleep on the other server", elsewhere)
			testutil.Receive(t, "the server that is left", a.Done())
			wantNone(t, "undelivered", lost)
		})
	}
}

// TestServerComesBack is connected anew while it is being left.
func TestServerComesBack(t *testing.T) {
	t.Parallel()
	asleep, asked, over := newStep(), newStep(), make(chan struct{})
	s := geartest.Start(t,
		workerConn(script(grabs, noJob, sleeps, asleep.steps(), grabs, asked.steps(), noJob, leaves)...),
		workerConn(grabs, noJob, sleeps, geartest.Signal(over), rests()),
	)
	ready := make(chan bool, 10)
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Events:  gearclient.WorkerEvents{Ready: func(_ int, _ string, registered bool) { ready <- registered }},
	})
	receive(t, ready, true, 1)
	asleep.then(t, func() { set(t, w.SetServers(nil)) })
	asked.then(t, func() { set(t, w.SetServers([]string{s.Addr()})) })
	testutil.Receive(t, "the script", over)
	receive(t, ready, true, 1)
}

// TestServerRefusesTheLastAnswer says so although the server is being left.
func TestServerRefusesTheLastAnswer(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s := geartest.Start(t, workerConn(
		grabs, assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"),
		geartest.Send(wire.Error, "JOB_NOT_FOUND", "Job given in work result not found"), leaves,
	))
	started := make(chan struct{})
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}, Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
		close(started)
		<-goOn
		return backwards(ctx, job)
	}}
	lost := undelivered(&cfg)
	w := startWorker(t, cfg)
	testutil.Receive(t, "the job", started)
	set(t, w.SetServers(nil))
	close(goOn)
	if err := testutil.Receive(t, "the refusal", lost); !strings.Contains(fmt.Sprint(err), "JOB_NOT_FOUND") {
		t.Errorf("undelivered: %v", err)
	}
	testutil.Receive(t, "the script", s.Done())
}

// TestMaxDataChanges is in force from the next job on, for workloads and results.
func TestMaxDataChanges(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.addr}, MaxData: 10})
	c := jobtest.NewClient(t, s.addr)
	do := func(n int) string {
		got, err := c.Do(t.Context(), gearclient.Request{Function: "reverse", Workload: []byte(strings.Repeat("x", n))})
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(len(got))
	}
	for _, step := range []struct {
		limit int64
		size  int
		want  string
	}{
		{10, 10, "10"}, {10, 11, "limit of 10"}, {20, 20, "20"}, {20, 21, "limit of 20"}, {5, 5, "5"}, {5, 6, "limit of 5"}, {0, 1000, "1000"},
	} {
		w.SetMaxData(step.limit)
		set(t, w.Settle(t.Context()))
		if got := do(step.size); !strings.Contains(got, step.want) {
			t.Errorf("%d bytes under a limit of %d: %s, want %s", step.size, step.limit, got, step.want)
		}
	}
}

// TestNewSlotsHoldAsTheOthers adds slots to a worker that is held, held in part and
// not held.
func TestNewSlotsHoldAsTheOthers(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	var inHand atomic.Int32
	goOn := make(chan struct{})
	ready := make(chan bool, 100)
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.addr}, Slots: 2, Hold: gearclient.HoldRegistered,
		Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
			inHand.Add(1)
			<-goOn
			return backwards(ctx, job)
		},
		Events: gearclient.WorkerEvents{Ready: func(_ int, _ string, registered bool) { ready <- registered }},
	})
	defer close(goOn)
	c := jobtest.NewClient(t, s.addr)
	for range 10 {
		if _, err := c.Background(t.Context(), gearclient.Request{Function: "reverse"}); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, ready, true, 2)
	want := func(jobs int32) {
		t.Helper()
		testutil.WaitFor(t, "jobs in hand", func() bool { return inHand.Load() >= jobs })
		<-time.After(50 * time.Millisecond)
		if n := inHand.Load(); n != jobs {
			t.Errorf("%d jobs in hand, want %d", n, jobs)
		}
	}
	w.SetSlots(3) // all held: the third too
	receive(t, ready, true, 1)
	want(0)
	w.Go(gearclient.HoldNone, 2)
	want(2)
	w.SetSlots(4) // the third is held, the fourth too
	receive(t, ready, true, 1)
	want(2)
	w.SetSlots(2) // none is held any more
	w.SetSlots(5)
	receive(t, ready, true, 3)
	want(5)
	w.Go(gearclient.HoldNone, 5)
	w.SetSlots(6)
	receive(t, ready, true, 1)
	want(6)
}

// TestServerIsWantedAgain tells of a server that a slot has kept, since it was left and
// wanted again while the slot had a job in hand.
func TestServerIsWantedAgain(t *testing.T) {
	t.Parallel()
	started, goOn, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := geartest.Start(t, workerConn(
		grabs, assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"),
		grabs, noJob, sleeps, geartest.Signal(over), rests(),
	))
	ready := make(chan bool, 10)
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
			close(started)
			<-goOn
			return backwards(ctx, job)
		},
		Events: gearclient.WorkerEvents{Ready: func(_ int, _ string, registered bool) { ready <- registered }},
	})
	testutil.Receive(t, "the job", started)
	receive(t, ready, true, 1)
	set(t, w.SetServers(nil))
	set(t, w.SetServers([]string{s.Addr()}))
	set(t, w.SetServers([]string{s.Addr()})) // stays: nothing is told
	close(goOn)
	testutil.Receive(t, "the script", over)
	receive(t, ready, true, 1)
	if n := len(ready); n != 0 {
		t.Errorf("told %d times more", n)
	}
}
