package gearclient_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// dialFunc dials, or refuses while refuse says so.
func dialFunc(refuse func() bool) gearclient.DialFunc {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		if refuse() {
			return nil, &gearclient.ConnectError{Addr: addr, Err: syscall.ECONNREFUSED}
		}
		return gearclient.DialTCP(ctx, addr)
	}
}

// drainedBy starts a worker against a script that says through the channel when
// to drain.
func drainedBy(t *testing.T, steps func(drain chan<- struct{}, drained <-chan struct{}) []geartest.Step) (jobs int) {
	t.Helper()
	drain, drained := make(chan struct{}), make(chan struct{})
	s := geartest.Start(t, workerConn(steps(drain, drained)...))
	var done atomic.Int32
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Events:  gearclient.WorkerEvents{Done: func(*gearclient.Job, gearclient.Result, error) { done.Add(1) }},
	})
	testutil.Receive(t, "the script", drain)
	w.Drain()
	w.Drain()
	close(drained)
	testutil.Receive(t, "the script's end", s.Done())
	if err := testutil.Receive(t, "the end", w.ended); err != nil {
		t.Errorf("Run: %v", err)
	}
	return int(done.Load())
}

func TestDrainAsleep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after []geartest.Step
		jobs  int
	}{
		"no job":    {script(grabs, noJob, leaves), 0},
		"noop":      {script(wakes, grabs, noJob, leaves), 0},
		"late noop": {script(grabs, wakes, noJob, leaves), 0},
		"woken for a job": {
			script(wakes, grabs, assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"), leaves), 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobs := drainedBy(t, func(drain chan<- struct{}, drained <-chan struct{}) []geartest.Step {
				return script(grabs, noJob, sleeps, geartest.Signal(drain), geartest.Wait(drained), c.after)
			})
			if jobs != c.jobs {
				t.Errorf("%d jobs, want %d", jobs, c.jobs)
			}
		})
	}
}

func TestDrainWithGrabOutstanding(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after []geartest.Step
		jobs  int
	}{
		"job":    {script(assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"), leaves), 1},
		"no job": {script(noJob, leaves), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobs := drainedBy(t, func(drain chan<- struct{}, _ <-chan struct{}) []geartest.Step {
				quiet := make(chan struct{})
				time.AfterFunc(300*time.Millisecond, func() { close(quiet) })
				return script(grabs, geartest.Signal(drain), geartest.ExpectSilence(quiet), c.after)
			})
			if jobs != c.jobs {
				t.Errorf("%d jobs, want %d", jobs, c.jobs)
			}
		})
	}
}

// TestDrainDoesNotWaitForever leaves a server that never answers.
func TestDrainDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	began := time.Now()
	drainedBy(t, func(drain chan<- struct{}, _ <-chan struct{}) []geartest.Step {
		return script(grabs, geartest.Signal(drain), geartest.NeverAnswer())
	})
	if took := time.Since(began); took < 4*time.Second || took > testutil.Patience {
		t.Errorf("left after %v, want about 5 s", took)
	}
}

func TestDrainWithAJobInHand(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, workerConn(grabs, assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"), leaves))
	started, goOn := make(chan struct{}), make(chan struct{})
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
			close(started)
			<-goOn
			return backwards(ctx, job)
		},
	})
	testutil.Receive(t, "the job", started)
	w.Drain()
	close(goOn)
	_ = testutil.Receive(t, "the end", w.ended)
}

func TestDrainBeforeRunAndWhileDown(t *testing.T) {
	t.Parallel()
	w, err := gearclient.NewWorker(gearclient.WorkerConfig{Servers: []string{"127.0.0.1:1"}, Functions: []string{"f"}, Handler: backwards})
	if err != nil {
		t.Fatal(err)
	}
	w.Drain()
	if err := w.Run(t.Context()); err != nil {
		t.Error(err)
	}
	lost := make(chan struct{}, 100)
	r := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{testutil.FreeAddr(t), testutil.FreeAddr(t)}, Slots: 3,
		Events: gearclient.WorkerEvents{Lost: func(int, string, error) { lost <- struct{}{} }},
	})
	testutil.Receive(t, "a try", lost)
	r.Drain()
	_ = testutil.Receive(t, "the end", r.ended)
}

// TestEndAtOnce ends the context of Run while a handler runs that heeds
// nothing: the connection is closed at once, and Run returns when it may.
func TestEndAtOnce(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	s := geartest.Start(t, workerConn(grabs, assigns("H:t:1", "abc"), leaves, geartest.Signal(closed)))
	started, goOn := make(chan struct{}), make(chan struct{})
	cfg := gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Handler: func(context.Context, *gearclient.Job) gearclient.Result {
			close(started)
			<-goOn
			return gearclient.Result{}
		},
	}
	lost := undelivered(&cfg)
	w := startWorker(t, cfg)
	testutil.Receive(t, "the job", started)
	why := errors.New("enough")
	w.stop(why)
	testutil.Receive(t, "the connection's end", closed)
	close(goOn)
	if err := testutil.Receive(t, "the end", w.ended); !errors.Is(err, why) {
		t.Errorf("Run: %v", err)
	}
	testutil.Receive(t, "news of the answer", lost)
}

// TestEndAtOnceWhileIdle ends workers that sleep, wait for an answer, connect.
func TestEndAtOnceWhileIdle(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]geartest.Step{
		"asleep":      script(registers("reverse"), grabs, noJob, sleeps),
		"grab":        script(registers("reverse"), grabs),
		"registering": script(geartest.Expect(wire.CanDo, "reverse")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			there := make(chan struct{})
			s := geartest.Start(t, geartest.Conn(script(steps, geartest.Signal(there), geartest.NeverAnswer())...))
			w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}})
			testutil.Receive(t, "the script", there)
			w.stop(nil)
			if err := testutil.Receive(t, "the end", w.ended); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

// TestReservations counts jobs against what was reserved.
func TestReservations(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, workerConn(
		grabs, noJob, sleeps, wakes, // one reservation, kept while asleep
		grabs, assigns("H:t:1", "a"), completes("H:t:1", "a"),
		assigns("H:t:2", "b"), completes("H:t:2", "b"),
		assigns("H:t:3", "c"), geartest.Expect(wire.WorkComplete, "H:t:3", "c"), leaves,
	))
	var left atomic.Int32
	left.Store(3)
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Reserve: func(int) gearclient.Decision {
			if left.Add(-1) < 0 {
				left.Add(1)
				return gearclient.Leave
			}
			return gearclient.Grab
		},
		Release: func(int) { left.Add(1) },
	})
	if err := testutil.Receive(t, "the end", w.ended); err != nil || left.Load() != 0 {
		t.Errorf("%v, %d reservations left over", err, left.Load())
	}
}

// TestReservationsComeBack drains workers in all states: what they reserved and
// did not use is given back.
func TestReservationsComeBack(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]geartest.Step{
		"asleep":  script(grabs, noJob, sleeps),
		"grab":    script(grabs),
		"job":     script(grabs, assigns("H:t:1", "a"), geartest.Expect(wire.WorkComplete, "H:t:1", "a")),
		"closing": script(grabs, geartest.Close()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			there := make(chan struct{})
			s := geartest.Start(t, workerConn(script(steps, geartest.Signal(there))...), geartest.EveryConn(geartest.NeverAnswer()))
			var reserved, done atomic.Int32
			w := startWorker(t, gearclient.WorkerConfig{
				Servers: []string{s.Addr()},
				Reserve: func(int) gearclient.Decision { reserved.Add(1); return gearclient.Grab },
				Release: func(int) { reserved.Add(-1) },
				Events:  gearclient.WorkerEvents{Done: func(*gearclient.Job, gearclient.Result, error) { done.Add(1) }},
			})
			testutil.Receive(t, "the script", there)
			w.Drain()
			_ = testutil.Receive(t, "the end", w.ended)
			if reserved.Load() != done.Load() {
				t.Errorf("%d reserved, %d done", reserved.Load(), done.Load())
			}
		})
	}
}
