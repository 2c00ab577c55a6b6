package gearclient_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// echoes is the echo after a registration.
func echoes() []geartest.Step {
	return []geartest.Step{geartest.Expect(wire.EchoReq, geartest.Any), geartest.Send(wire.EchoRes, "ready?")}
}

// resting makes a worker tell the channel when a slot has come to rest.
func resting(cfg *gearclient.WorkerConfig) <-chan int {
	rested := make(chan int, 100)
	cfg.Events.Rested = func(slot int) { rested <- slot }
	return rested
}

// wantNone fails the test if something came.
func wantNone[T any](t *testing.T, what string, ch <-chan T) {
	t.Helper()
	select {
	case got := <-ch:
		t.Errorf("%s: %v", what, got)
	default:
	}
}

func TestRestWithAJobInHand(t *testing.T) {
	t.Parallel()
	idle, over := newStep(), make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs, assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"), wakes, silence(), idle.steps(),
		grabs, assigns("H:t:2", "abc"), completes("H:t:2", "cba"), noJob, sleeps, geartest.Signal(over), rests(),
	)...))
	started, goOn := make(chan struct{}, 2), make(chan struct{}, 2)
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}, Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
		started <- struct{}{}
		<-goOn
		return backwards(ctx, job)
	}}
	rested := resting(&cfg)
	w := startWorker(t, cfg)
	testutil.Receive(t, "the job", started)
	w.Rest()
	w.Rest()
	wantNone(t, "rested with a job in hand", rested)
	goOn <- struct{}{}
	testutil.Receive(t, "the rest", rested)
	goOn <- struct{}{}
	idle.then(t, w.Resume)
	testutil.Receive(t, "the script", over)
	wantNone(t, "rested again", rested)
	w.Rest()
	testutil.Receive(t, "the second rest", rested)
}

// TestRestAsleep asks a last time for jobs, since the worker may have been woken
// for one.
func TestRestAsleep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after []geartest.Step
		left  int64
	}{
		"no job":          {[]geartest.Step{grabs, noJob}, 5},
		"late noop":       {[]geartest.Step{grabs, wakes, noJob}, 5},
		"woken for a job": {[]geartest.Step{wakes, grabs, assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba")}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asleep, quiet := newStep(), make(chan struct{})
			s := geartest.Start(t, workerConn(script(
				grabs, noJob, sleeps, asleep.steps(), c.after, wakes, silence(), geartest.Signal(quiet), leaves,
			)...))
			cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}}
			runs := limit(&cfg, 5)
			rested := resting(&cfg)
			w := startWorker(t, cfg)
			asleep.then(t, w.Rest)
			testutil.Receive(t, "the rest", rested)
			if n := runs.left.Load(); n != c.left {
				t.Errorf("%d reservations left, want %d", n, c.left)
			}
			testutil.Receive(t, "the script", quiet)
			wantNone(t, "rested again", rested)
		})
	}
}

// TestRestsOnEveryServer sleeps on one server and waits for the other, which
// takes its time.
func TestRestsOnEveryServer(t *testing.T) {
	t.Parallel()
	asleep, slow := newStep(), newStep()
	quiet, alsoQuiet := make(chan struct{}), make(chan struct{})
	a := geartest.Start(t, workerConn(script(
		grabs, noJob, sleeps, asleep.steps(), grabs, noJob, silence(), geartest.Signal(alsoQuiet), leaves,
	)...))
	b := geartest.Start(t, workerConn(script(grabs, slow.steps(), noJob, silence(), geartest.Signal(quiet), leaves)...))
	cfg := gearclient.WorkerConfig{Servers: []string{a.Addr(), b.Addr()}}
	rested := resting(&cfg)
	w := startWorker(t, cfg)
	testutil.Receive(t, "the slow server", slow.reached)
	asleep.then(t, w.Rest)
	slow.then(t, func() {
		<-time.After(400 * time.Millisecond) // it waits no longer for this one alone
		wantNone(t, "rested with a GRAB_JOB out", rested)
	})
	testutil.Receive(t, "the rest", rested)
	testutil.Receive(t, "the script", quiet)
	testutil.Receive(t, "the other script", alsoQuiet)
}

// runs hands out a number of reservations.
type runs struct {
	left atomic.Int64
}

func (r *runs) reserve(int) gearclient.Decision {
	if r.left.Add(-1) < 0 {
		r.left.Add(1)
		return gearclient.Rest
	}
	return gearclient.Grab
}

func (r *runs) release(int) { r.left.Add(1) }

// limit makes a worker rest after n jobs.
func limit(cfg *gearclient.WorkerConfig, n int64) *runs {
	r := &runs{}
	r.left.Store(n)
	cfg.Reserve, cfg.Release = r.reserve, r.release
	return r
}

func TestReserveSaysRest(t *testing.T) {
	t.Parallel()
	quiet, over := newStep(), make(chan struct{})
	s := geartest.Start(t,
		workerConn(script(
			grabs, assigns("H:t:1", "abc"), completes("H:t:1", "cba"),
			assigns("H:t:2", "abc"), geartest.Expect(wire.WorkComplete, "H:t:2", "cba"), wakes, silence(), quiet.steps(),
			grabs, assigns("H:t:3", "abc"), geartest.Expect(wire.WorkComplete, "H:t:3", "cba"), geartest.Close(),
		)...),
		// It comes back, registers, and rests on.
		workerConn(script(wakes, silence(), geartest.Signal(over), leaves)...),
	)
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}}
	left := limit(&cfg, 2)
	rested := resting(&cfg)
	w := startWorker(t, cfg)
	testutil.Receive(t, "the rest", rested)
	quiet.then(t, func() {
		left.left.Add(1)
		w.Resume()
	})
	testutil.Receive(t, "the second rest", rested)
	testutil.Receive(t, "the script", over)
	wantNone(t, "rested again", rested)
	if n := left.left.Load(); n != 0 {
		t.Errorf("%d reservations left", n)
	}
	w.Rest()
	testutil.Receive(t, "the third rest", rested)
	wantNone(t, "rested again", rested)
}

// TestLastJobWhileAsleepElsewhere asks the other server for what that may have woken
// the worker for, although nothing is left to reserve.
func TestLastJobWhileAsleepElsewhere(t *testing.T) {
	t.Parallel()
	asleep, elsewhere := newStep(), make(chan struct{})
	quiet, alsoQuiet := make(chan struct{}), make(chan struct{})
	a := geartest.Start(t, workerConn(script(
		grabs, noJob, sleeps, asleep.steps(),
		wakes, grabs, assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"), silence(),
		geartest.Signal(alsoQuiet), leaves,
	)...))
	b := geartest.Start(t, workerConn(script(
		grabs, noJob, sleeps, geartest.Signal(elsewhere), grabs, noJob, silence(), geartest.Signal(quiet), leaves,
	)...))
	cfg := gearclient.WorkerConfig{Servers: []string{a.Addr(), b.Addr()}}
	limit(&cfg, 1)
	rested := resting(&cfg)
	startWorker(t, cfg)
	testutil.Receive(t, "sleep on the other server", elsewhere)
	asleep.then(t, func() {})
	testutil.Receive(t, "the rest", rested)
	testutil.Receive(t, "the script", quiet)
	testutil.Receive(t, "the other script", alsoQuiet)
}

// TestOwnReservationComesBack has the only reservation on its way at a server that
// takes its time: the slot is told that there is none for another one, and goes on
// when it has it back.
func TestOwnReservationComesBack(t *testing.T) {
	t.Parallel()
	slow, a, b := newStep(), make(chan struct{}), make(chan struct{})
	first := geartest.Start(t, workerConn(script(grabs, slow.steps(), noJob, sleeps, geartest.Signal(a), rests())...))
	// Until the slot has waited long enough for the first one, and asked for another.
	second := geartest.Start(t, workerConn(script(silence(), silence(), silence(), geartest.Signal(slow.goOn), grabs, noJob, sleeps, geartest.Signal(b), rests())...))
	cfg := gearclient.WorkerConfig{Servers: []string{first.Addr(), second.Addr()}}
	runs := limit(&cfg, 1)
	cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		if addr == second.Addr() {
			<-slow.reached
		}
		return gearclient.DialTCP(ctx, addr)
	}
	rested := resting(&cfg)
	startWorker(t, cfg)
	testutil.Receive(t, "sleep on the first server", a)
	testutil.Receive(t, "sleep on the second server", b)
	wantNone(t, "rested with a reservation", rested)
	if n := runs.left.Load(); n != 0 {
		t.Errorf("%d reservations left", n)
	}
}

// TestLastReservationIsNotLost has the slot with the last reservation leave: the
// one that rests has to go on.
func TestLastReservationIsNotLost(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		cfg := gearclient.WorkerConfig{Servers: []string{s.addr}, Slots: 2}
		left := limit(&cfg, 1)
		first := make(chan struct{})
		cfg.Reserve = func(slot int) gearclient.Decision {
			if slot == 0 {
				testutil.Receive(t, "the other slot", first)
				return left.reserve(slot)
			}
			defer close(first)
			return left.reserve(slot)
		}
		rested := resting(&cfg)
		w := startWorker(t, cfg)
		if slot := testutil.Receive(t, "the rest", rested); slot != 0 {
			t.Fatalf("slot %d rests", slot)
		}
		w.SetSlots(1)
		testutil.WaitFor(t, "the other slot's end", func() bool { return w.Running() == 1 })
		newLoad().oneOf(t, s.addr)
		if slot := testutil.Receive(t, "the second rest", rested); slot != 0 || left.left.Load() != 0 {
			t.Errorf("slot %d rests, %d reservations left", slot, left.left.Load())
		}
	})
}

// TestHoldIsLowered says Ready when the server knows the functions.
func TestHoldIsLowered(t *testing.T) {
	t.Parallel()
	connected, declared, quiet := newStep(), newStep(), make(chan struct{})
	s := geartest.Start(t, geartest.Conn(script(
		echoes(), connected.steps(), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, geartest.Any),
		declared.steps(), geartest.Send(wire.EchoRes, "ready?"), silence(), geartest.Signal(quiet), leaves,
	)...))
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}, Hold: gearclient.HoldConnected}
	ready := make(chan bool, 10)
	cfg.Events.Ready = func(_ int, _ string, registered bool) { ready <- registered }
	rested := resting(&cfg)
	w := startWorker(t, cfg)
	connected.then(t, func() {
		if testutil.Receive(t, "ready", ready) {
			t.Error("registered under HoldConnected")
		}
		w.Rest() // which changes nothing about its hold
		testutil.Receive(t, "the rest", rested)
		w.Go(gearclient.HoldRegistered, 0)
	})
	declared.then(t, func() { wantNone(t, "ready before the answer", ready) })
	if !testutil.Receive(t, "ready again", ready) {
		t.Error("ready without a registration")
	}
	w.Go(gearclient.HoldConnected, 0)
	w.Go(gearclient.HoldNone, 0)
	testutil.Receive(t, "the script", quiet)
	wantNone(t, "ready once more", ready)
}

// TestHoldIsLoweredAtOnce lets a worker take jobs that is only connected: the
// answer to its echo comes before that to its GRAB_JOB.
func TestHoldIsLoweredAtOnce(t *testing.T) {
	t.Parallel()
	connected, over := newStep(), make(chan struct{})
	s := geartest.Start(t, geartest.Conn(script(
		echoes(), connected.steps(),
		geartest.Expect(wire.CanDo, "reverse"), echoes(), grabs, noJob, sleeps, geartest.Signal(over), rests(),
	)...))
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}, Hold: gearclient.HoldConnected}
	ready := make(chan bool, 10)
	cfg.Events.Ready = func(_ int, _ string, registered bool) { ready <- registered }
	w := startWorker(t, cfg)
	connected.then(t, func() {
		testutil.Receive(t, "ready", ready)
		w.Go(gearclient.HoldNone, 1)
	})
	testutil.Receive(t, "the script", over)
	if !testutil.Receive(t, "ready again", ready) {
		t.Error("ready without a registration")
	}
}

// TestRegistrationIsNotAnswered gives the server up.
func TestRegistrationIsNotAnswered(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t,
		geartest.Conn(script(
			echoes(), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, geartest.Any), geartest.ExpectClose(),
		)...),
		workerConn(leaves),
	)
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}, Hold: gearclient.HoldConnected, ServerTimeout: 200 * time.Millisecond}
	ready, lost := make(chan bool, 10), make(chan error, 10)
	cfg.Events.Ready = func(_ int, _ string, registered bool) { ready <- registered }
	cfg.Events.Lost = func(_ int, _ string, err error) { lost <- err }
	w := startWorker(t, cfg)
	testutil.Receive(t, "ready", ready)
	w.Go(gearclient.HoldRegistered, 0)
	err := testutil.Receive(t, "the loss", lost)
	if silence, ok := errors.AsType[*gearclient.SilenceError](err); !ok || silence.Server != s.Addr() {
		t.Errorf("lost: %v", err)
	}
	if !testutil.Receive(t, "ready again", ready) {
		t.Error("came back without a registration")
	}
}

// TestGoForSomeSlots counts the jobs that run at the same time.
func TestGoForSomeSlots(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, s realServer) {
		t.Helper()
		var inHand atomic.Int32
		goOn := make(chan struct{})
		release := sync.OnceFunc(func() { close(goOn) })
		ready := make(chan bool, 100)
		cfg := gearclient.WorkerConfig{
			Servers: []string{s.addr}, Slots: 4, Hold: gearclient.HoldConnected,
			Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
				inHand.Add(1)
				<-goOn
				return backwards(ctx, job)
			},
		}
		cfg.Events.Ready = func(_ int, _ string, registered bool) { ready <- registered }
		w := startWorker(t, cfg)
		l := newLoad()
		for range 6 {
			l.clients.Go(func() { l.oneOf(t, s.addr) })
		}
		defer l.clients.Wait()
		defer release()
		receive(t, ready, false, 4)
		w.Go(gearclient.HoldRegistered, 0)
		receive(t, ready, true, 4)
		for _, step := range []struct{ slots, jobs int32 }{{0, 0}, {1, 1}, {3, 3}, {2, 3}, {4, 4}} {
			if step.slots > 0 {
				w.Go(gearclient.HoldNone, int(step.slots))
			}
			testutil.WaitFor(t, "jobs in hand", func() bool { return inHand.Load() >= step.jobs })
			<-time.After(50 * time.Millisecond)
			if n := inHand.Load(); n != step.jobs {
				t.Errorf("%d jobs in hand after Go for %d slots, want %d", n, step.slots, step.jobs)
			}
		}
		release()
		testutil.WaitFor(t, "all jobs", func() bool { return l.jobs.Load() == 6 })
	})
}

// receive receives n times the same.
func receive(t *testing.T, ch <-chan bool, want bool, n int) {
	t.Helper()
	for range n {
		if got := testutil.Receive(t, "ready", ch); got != want {
			t.Errorf("ready, registered %t, want %t", got, want)
		}
	}
}
