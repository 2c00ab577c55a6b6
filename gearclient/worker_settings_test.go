package gearclient_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// silence expects nothing for a while.
func silence() []geartest.Step {
	over := make(chan struct{})
	return []geartest.Step{
		geartest.Do(func() { time.AfterFunc(150*time.Millisecond, func() { close(over) }) }),
		geartest.ExpectSilence(over),
	}
}

// step is a point in a script: the script comes to it, then waits for the test
// to have done something.
type step struct{ reached, goOn chan struct{} }

func newStep() step { return step{make(chan struct{}), make(chan struct{})} }

func (s step) steps() []geartest.Step {
	return []geartest.Step{geartest.Signal(s.reached), geartest.Wait(s.goOn)}
}

// then waits for the script, acts, and lets it go on.
func (s step) then(t *testing.T, act func()) {
	t.Helper()
	testutil.Receive(t, "the script", s.reached)
	act()
	close(s.goOn)
}

func TestHoldLevels(t *testing.T) {
	t.Parallel()
	connected, registered, over := newStep(), newStep(), make(chan struct{})
	s := geartest.Start(t, geartest.Conn(script(
		geartest.Expect(wire.EchoReq, geartest.Any), geartest.Send(wire.EchoRes, "ready?"),
		silence(), connected.steps(),
		geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, geartest.Any), geartest.Send(wire.EchoRes, "ready?"),
		wakes, silence(), registered.steps(),
		grabs, assigns("H:t:1", "abc"), completes("H:t:1", "cba"), noJob, sleeps, geartest.Signal(over), rests(),
	)...))
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}, Hold: gearclient.HoldConnected})
	connected.then(t, func() { w.Go(gearclient.HoldRegistered, 0) })
	registered.then(t, func() { w.Go(gearclient.HoldNone, 0) })
	testutil.Receive(t, "the script", over)
}

// TestHoldAgain holds a worker that sleeps: it fetches the job that it may have
// been woken for, and then neither sleeps nor asks.
func TestHoldAgain(t *testing.T) {
	t.Parallel()
	asleep, over := newStep(), make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs, noJob, sleeps, asleep.steps(),
		grabs, assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"),
		wakes, silence(), geartest.Signal(over), leaves,
	)...))
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}})
	asleep.then(t, func() { w.Go(gearclient.HoldRegistered, 0) })
	testutil.Receive(t, "the script", over)
}

// TestFunctionsChangeWhileAsleep asks for jobs once before CANT_DO.
func TestFunctionsChangeWhileAsleep(t *testing.T) {
	t.Parallel()
	asleep, over := newStep(), make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs, noJob, sleeps, asleep.steps(),
		grabs, wakes, noJob, geartest.Expect(wire.CantDo, "reverse"), geartest.Expect(wire.CanDo, "b"), geartest.Expect(wire.CanDo, "a"),
		grabs, noJob, sleeps, geartest.Signal(over), rests(),
	)...))
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}})
	asleep.then(t, func() {
		if err := w.SetFunctions([]string{"a", "b"}); err != nil {
			t.Error(err)
		}
	})
	testutil.Receive(t, "the script", over)
}

// TestFunctionsChangeWithAJobInHand never takes a function away before the
// answer is out: the server would queue the job again.
func TestFunctionsChangeWithAJobInHand(t *testing.T) {
	t.Parallel()
	over, started, changed, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs, assigns("H:t:1", "abc"), geartest.ExpectSilence(changed), silence(), geartest.Signal(goOn),
		geartest.Expect(wire.WorkComplete, "H:t:1", "cba"), geartest.Expect(wire.CantDo, "reverse"),
		grabs, noJob, sleeps, geartest.Signal(over), rests(),
	)...))
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}, Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
		close(started)
		<-goOn
		return backwards(ctx, job)
	}})
	testutil.Receive(t, "the job", started)
	if err := w.SetFunctions(nil); err != nil {
		t.Error(err)
	}
	close(changed)
	testutil.Receive(t, "the script", over)
}

// TestFunctionsChangeWithGrabOutstanding waits for the answer first.
func TestFunctionsChangeWithGrabOutstanding(t *testing.T) {
	t.Parallel()
	asked, over := newStep(), make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs, asked.steps(), silence(),
		assigns("H:t:1", "abc"), geartest.Expect(wire.WorkComplete, "H:t:1", "cba"), geartest.Expect(wire.CanDo, "b"),
		grabs, noJob, sleeps, geartest.Signal(over), rests(),
	)...))
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}})
	asked.then(t, func() {
		if err := w.SetFunctions([]string{"b", "reverse"}); err != nil {
			t.Error(err)
		}
	})
	testutil.Receive(t, "the script", over)
}

// TestRegistersAnewAfterReconnect sends what is wanted then.
func TestRegistersAnewAfterReconnect(t *testing.T) {
	t.Parallel()
	asleep, over := newStep(), make(chan struct{})
	s := geartest.Start(t,
		workerConn(script(grabs, noJob, sleeps, asleep.steps(), geartest.Close())...),
		geartest.Conn(script(registers("b", "a"), grabs, geartest.Signal(over), noJob, rests())...),
	)
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}})
	testutil.Receive(t, "the script", asleep.reached)
	// The change and the close may arrive in any order; the GRAB_JOB that the
	// change causes goes into a closed connection.
	if err := w.SetFunctions([]string{"a", "b"}); err != nil {
		t.Error(err)
	}
	close(asleep.goOn)
	testutil.Receive(t, "the script", over)
}

func TestServersChange(t *testing.T) {
	t.Parallel()
	asleep, over := newStep(), make(chan struct{})
	a := geartest.Start(t, workerConn(script(grabs, noJob, sleeps, asleep.steps(), grabs, noJob, leaves)...))
	b := geartest.Start(t, workerConn(grabs, noJob, sleeps, geartest.Signal(over), rests()))
	w := startWorker(t, gearclient.WorkerConfig{Servers: []string{a.Addr()}})
	asleep.then(t, func() {
		if err := w.SetServers([]string{b.Addr(), " " + b.Addr()}); err != nil {
			t.Error(err)
		}
		if err := w.SetServers([]string{"a b"}); err == nil {
			t.Error("no error for an address that is none")
		}
	})
	testutil.Receive(t, "the script", over)
	testutil.Receive(t, "the other script", a.Done())
}

func TestSlotsChange(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	var ready, left atomic.Int32
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.addr}, Slots: 2,
		Events: gearclient.WorkerEvents{
			Ready: func(int, string, bool) { ready.Add(1) }, Left: func(int) { left.Add(1) },
		},
	})
	is := func(n int32) func() bool {
		return func() bool { return ready.Load()-left.Load() == n && w.Running() == int(n) }
	}
	testutil.WaitFor(t, "2 slots", is(2))
	w.SetSlots(5)
	testutil.WaitFor(t, "5 slots", is(5))
	w.SetSlots(1)
	testutil.WaitFor(t, "1 slot", is(1))
	w.SetSlots(0)
	w.SetSlots(3) // the last one may not have left yet, and comes back
	testutil.WaitFor(t, "3 slots, or the end", func() bool { return is(3)() || len(w.ended) > 0 })
}

// TestSlotsChangeAtAnyMoment is about Run, which has to end once, after all.
func TestSlotsChangeAtAnyMoment(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t)
	for range 20 {
		w := startWorker(t, gearclient.WorkerConfig{Servers: []string{s.addr}, Slots: 2})
		for n := range 6 {
			w.SetSlots(n % 3)
			w.Go(gearclient.Hold(n%2), n%3)
		}
		w.Drain()
		_ = testutil.Receive(t, "the end", w.ended)
		w.SetSlots(4) // too late
		if n := w.Running(); n != 0 {
			t.Errorf("%d slots after the end", n)
		}
	}
}

func TestPollsWhileAsleep(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := geartest.Start(t, workerConn(
		grabs, noJob, sleeps, grabs, wakes, noJob, sleeps, grabs, assigns("H:t:1", "abc"), completes("H:t:1", "cba"),
		noJob, geartest.Signal(over), rests(),
	))
	idle, busy := make(chan struct{}, 1), make(chan struct{}, 1)
	startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()}, PollInterval: 100 * time.Millisecond,
		Events: gearclient.WorkerEvents{
			Busy: func(int) { busy <- struct{}{} },
			Idle: func(int) { idle <- struct{}{} },
		},
	})
	testutil.Receive(t, "busy", busy)
	testutil.Receive(t, "the script", over)
	testutil.Receive(t, "idle", idle)
}
