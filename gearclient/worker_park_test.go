package gearclient_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// afterwards scripts a connection that is not ready before the other server was
// asked for a job.
func afterwards(asked <-chan struct{}, steps ...geartest.Step) geartest.Script {
	return geartest.Conn(script(geartest.Wait(asked), registers("reverse"), steps)...)
}

// TestSlowServerIsPassedOver has one server that owes an answer and another
// that has work: the slot goes on, and runs the late job when it is free.
func TestSlowServerIsPassedOver(t *testing.T) {
	t.Parallel()
	asked, served, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := geartest.Start(t, workerConn(
		grabs, geartest.Signal(asked), geartest.ExpectSilence(served),
		assigns("H:slow:1", "abc"), geartest.Expect(wire.WorkComplete, "H:slow:1", "cba"),
		grabs, noJob, sleeps, geartest.Signal(over), rests(),
	))
	quick := geartest.Start(t, afterwards(asked,
		grabs, assigns("H:quick:1", "abc"), completes("H:quick:1", "cba"), noJob, sleeps, geartest.Signal(served), rests(),
	))
	startWorker(t, gearclient.WorkerConfig{Servers: []string{slow.Addr(), quick.Addr()}})
	testutil.Receive(t, "the late job", over)
}

// TestLateNoJobSleeps is the other late answer.
func TestLateNoJobSleeps(t *testing.T) {
	t.Parallel()
	asked, served, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := geartest.Start(t, workerConn(
		grabs, geartest.Signal(asked), geartest.ExpectSilence(served), wakes, noJob, sleeps, wakes, grabs, noJob, sleeps, geartest.Signal(over), rests(),
	))
	quick := geartest.Start(t, afterwards(asked, grabs, noJob, sleeps, geartest.Signal(served), rests()))
	startWorker(t, gearclient.WorkerConfig{Servers: []string{slow.Addr(), quick.Addr()}})
	testutil.Receive(t, "sleep", over)
}

// TestLateJobOfABusySlotIsSentBack closes the connection at once, for the job
// in hand may take long.
func TestLateJobOfABusySlotIsSentBack(t *testing.T) {
	t.Parallel()
	asked, busy, sentBack, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	again := make(chan struct{})
	slow := geartest.Start(t,
		workerConn(grabs, geartest.Signal(asked), geartest.ExpectSilence(busy), assigns("H:slow:1", "abc"), leaves, geartest.Signal(sentBack)),
		workerConn(geartest.Signal(again), rests()),
	)
	quick := geartest.Start(t, afterwards(asked,
		grabs, assigns("H:quick:1", "abc"),
		geartest.ExpectFunc(wire.WorkComplete, func(wire.Packet) error { return nil }), rests(),
	))
	startWorker(t, gearclient.WorkerConfig{
		Servers: []string{slow.Addr(), quick.Addr()},
		Handler: func(_ context.Context, job *gearclient.Job) gearclient.Result {
			if !strings.HasPrefix(job.Handle(), "H:quick") {
				t.Errorf("job %s was performed", job.Handle())
			}
			close(busy)
			<-goOn
			return gearclient.Result{}
		},
	})
	testutil.Receive(t, "the late job to go back", sentBack)
	close(goOn)
	testutil.Receive(t, "the next connection", again)
}

// TestSilentServerIsGivenUp closes a parked connection in the end.
func TestSilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	again := make(chan struct{})
	slow := geartest.Start(t, workerConn(grabs, leaves), workerConn(geartest.Signal(again), rests()))
	quick := geartest.Start(t, workerConn(rests()))
	startWorker(t, gearclient.WorkerConfig{Servers: []string{slow.Addr(), quick.Addr()}, ServerTimeout: time.Second})
	testutil.Receive(t, "the next connection", again)
}

// TestDrainWithParkedGrab leaves a server that owes an answer: it is waited
// for, and its job performed.
func TestDrainWithParkedGrab(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][]geartest.Step{
		"job":    script(assigns("H:slow:1", "abc"), geartest.Expect(wire.WorkComplete, "H:slow:1", "cba"), leaves),
		"no job": script(noJob, leaves),
		"end":    script(geartest.Close()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asleep, asked, drained := newStep(), make(chan struct{}), make(chan struct{})
			slow := geartest.Start(t, workerConn(script(grabs, geartest.Signal(asked), geartest.Wait(drained), silence(), c)...))
			quick := geartest.Start(t, afterwards(asked, script(grabs, noJob, sleeps, asleep.steps(), grabs, noJob, leaves)...))
			w := startWorker(t, gearclient.WorkerConfig{Servers: []string{slow.Addr(), quick.Addr()}})
			asleep.then(t, w.Drain)
			close(drained)
			_ = testutil.Receive(t, "the end", w.ended)
		})
	}
}

// TestTurnsAreShared has two servers that never run out of jobs.
func TestTurnsAreShared(t *testing.T) {
	t.Parallel()
	endless := func() geartest.Script {
		return geartest.EveryConn(script(registers("reverse"), geartest.Loop(geartest.Answer(func(p wire.Packet) []wire.Packet {
			if p.Type == wire.GrabJobUniq {
				return []wire.Packet{geartest.Res(wire.JobAssignUniq, "H:t:1", "reverse", "", "abc")}
			}
			return nil
		})))...)
	}
	a, b := geartest.Start(t, endless()), geartest.Start(t, endless())
	jobs := make(chan string, 4096)
	w := startWorker(t, gearclient.WorkerConfig{
		Servers: []string{a.Addr(), b.Addr()},
		Handler: func(_ context.Context, job *gearclient.Job) gearclient.Result {
			select {
			case jobs <- job.Server():
			default:
			}
			return gearclient.Result{}
		},
	})
	testutil.WaitFor(t, "jobs", func() bool { return len(jobs) == cap(jobs) })
	w.Drain()
	_ = testutil.Receive(t, "the end", w.ended)
	close(jobs)
	count := map[string]int{}
	for server := range jobs {
		count[server]++
	}
	// On a machine that is very busy a server may count as slow now and then.
	if n := count[a.Addr()]; n < cap(jobs)/20 || n > cap(jobs)*19/20 {
		t.Errorf("%d of %d jobs of one of two servers", n, cap(jobs))
	}
}
