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
)

func TestAnswerAndGrabLeaveTogether(t *testing.T) {
	t.Parallel()
	asleep := make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs,
		assigns("H:t:1", "abc"), completes("H:t:1", "cba"),
		assigns("H:t:2", ""), completes("H:t:2", ""),
		assigns("H:t:3", "a\x00b\x00"), completes("H:t:3", "\x00b\x00a"),
		geartest.Send(wire.JobAssign, "H:t:4", "reverse", "old"), completes("H:t:4", "dlo"),
		geartest.Send(wire.JobAssignAll, "H:t:5", "reverse", "u", "reducer", "all"), completes("H:t:5", "lla"),
		fallsAsleep(), geartest.Signal(asleep),
		grabs, noJob, leaves, // before it leaves
	)...))
	startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}})
	testutil.Receive(t, "sleep", asleep)
}

func TestRegistrationOrderAndName(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.Conn(script(
		geartest.Expect(wire.SetClientID, "web1/3"), registers("c", "b", "a"), rests(),
	)...))
	ready := make(chan string, 1)
	startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()}, Functions: []string{"a", "b", "a", "c"},
		ClientID: func(slot int) string { return fmt.Sprintf("web1/%d", slot+3) },
		Events:   gearclient.WorkerEvents{Ready: func(_ int, server string, _ bool) { ready <- server }},
	})
	if got := testutil.Receive(t, "ready", ready); got != s.Addr() {
		t.Errorf("ready with %q", got)
	}
	testutil.WaitFor(t, "a connection", func() bool { return s.Conns() == 1 })
}

// TestOneGrabAtATime leaves a GRAB_JOB unanswered and wakes the worker again
// and again.
func TestOneGrabAtATime(t *testing.T) {
	t.Parallel()
	quiet, over := make(chan struct{}), make(chan struct{})
	s := geartest.Start(t, workerConn(
		grabs, wakes, wakes, geartest.Send(wire.OptionRes, "exceptions"), wakes,
		geartest.ExpectSilence(quiet),
		noJob, sleeps, wakes, grabs, wakes, noJob, sleeps, geartest.Signal(over), rests(),
	))
	startWorker(t, gearclient.WorkerConfig{Servers: []string{s.Addr()}})
	timer := time.AfterFunc(300*time.Millisecond, func() { close(quiet) })
	defer timer.Stop()
	testutil.Receive(t, "sleep", over)
}

func TestJobOverTheCapIsAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, workload, result, want string }{
		{"workload", strings.Repeat("x", 1001), "", "1001 bytes.*1000"},
		{"workload of several reads", strings.Repeat("x", 1<<20), "", "1048576 bytes.*1000"},
		{"result", "abc", strings.Repeat("y", 1001), "result of 1001 bytes.*1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := geartest.Start(t, workerConn(script(
				grabs, assigns("H:t:1", c.workload),
				geartest.ExpectFunc(wire.WorkException, func(p wire.Packet) error {
					before, after, _ := strings.Cut(c.want, ".*")
					if text := string(p.Arg(1)); string(p.Arg(0)) != "H:t:1" || !strings.Contains(text, before) || !strings.Contains(text, after) {
						return fmt.Errorf("exception %q", p)
					}
					return nil
				}),
				grabs, assigns("H:t:2", strings.Repeat("x", 1000)), completes("H:t:2", "fine"), noJob, rests(),
			)...))
			var calls, done atomic.Int32
			startWorker(t, gearclient.WorkerConfig{
				Servers: []string{s.Addr()}, MaxData: 1000,
				Handler: func(_ context.Context, job *gearclient.Job) gearclient.Result {
					calls.Add(1)
					if job.Handle() == "H:t:1" {
						return gearclient.Result{Data: []byte(c.result)}
					}
					return gearclient.Result{Data: []byte("fine")}
				},
				Events: gearclient.WorkerEvents{Done: func(*gearclient.Job, gearclient.Result, error) { done.Add(1) }},
			})
			testutil.WaitFor(t, "two jobs", func() bool { return done.Load() == 2 })
			if want := int32(1 + min(len(c.result), 1)); calls.Load() != want {
				t.Errorf("%d calls of the handler, want %d", calls.Load(), want)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("b", 100<<10)
	asleep := make(chan struct{})
	s := geartest.Start(t, workerConn(script(
		grabs,
		assigns("H:t:1", "fail"),
		geartest.ExpectInOneRead(geartest.Req(wire.WorkFail, "H:t:1"), geartest.Req(wire.GrabJobUniq)),
		assigns("H:t:2", "raise"),
		geartest.ExpectInOneRead(geartest.Req(wire.WorkException, "H:t:2", "no"), geartest.Req(wire.GrabJobUniq)),
		assigns("H:t:3", "news"),
		geartest.Expect(wire.WorkStatus, "H:t:3", "1", "4294967295"),
		geartest.Expect(wire.WorkData, "H:t:3", "part"),
		geartest.Expect(wire.WorkData, "H:t:3", big),
		geartest.Expect(wire.WorkWarning, "H:t:3", ""),
		geartest.Expect(wire.WorkComplete, "H:t:3", big), grabs,
		fallsAsleep(), geartest.Signal(asleep), grabs, noJob, leaves,
	)...))
	kept := make(chan *gearclient.Job, 1)
	startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Handler: func(_ context.Context, job *gearclient.Job) gearclient.Result {
			switch string(job.Workload()) {
			case "fail":
				return gearclient.Result{Outcome: gearclient.Failed, Data: []byte("not sent")}
			case "raise":
				return gearclient.Result{Outcome: gearclient.Raised, Data: []byte("no")}
			}
			if err := errors.Join(job.Status(1, 1<<32-1), job.Data([]byte("part")), job.Data([]byte(big)), job.Warning(nil)); err != nil {
				t.Error(err)
			}
			kept <- job
			return gearclient.Result{Data: []byte(big)}
		},
	})
	testutil.Receive(t, "sleep", asleep)
	job := <-kept
	if job.Handle() != "H:t:3" || job.Function() != "reverse" || job.Server() != s.Addr() || job.Slot() != 0 || job.Unique() != "" {
		t.Errorf("job %+v", job)
	}
	if err := job.Status(1, 1); !errors.Is(err, gearclient.ErrJobOver) {
		t.Errorf("news after the answer: %v", err)
	}
}

// TestAbandonedJob closes the connection without an answer and comes back.
func TestAbandonedJob(t *testing.T) {
	t.Parallel()
	again := make(chan struct{})
	s := geartest.Start(t,
		workerConn(grabs, assigns("H:t:1", "x"), leaves),
		workerConn(grabs, geartest.Signal(again), noJob, rests()),
	)
	startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Handler: func(context.Context, *gearclient.Job) gearclient.Result {
			return gearclient.Result{Outcome: gearclient.Abandoned}
		},
	})
	testutil.Receive(t, "the next connection", again)
}

// undelivered collects what a worker says about answers that got lost.
func undelivered(cfg *gearclient.WorkerConfig) <-chan string {
	ch := make(chan string, 10)
	cfg.Events.Undelivered = func(job *gearclient.Job, err error) { ch <- job.Handle() + " " + err.Error() }
	return ch
}

func TestRefusedAnswerIsTold(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	refuses := geartest.Send(wire.Error, "JOB_NOT_FOUND", "Job given in work result not found")
	s := geartest.Start(t, workerConn(
		grabs, assigns("H:t:1", "x"), completes("H:t:1", "x"),
		refuses,
		assigns("H:t:2", "x"), completes("H:t:2", "x"), noJob, refuses, // too late to be about H:t:2
		sleeps, wakes, grabs, noJob, sleeps, geartest.Signal(over), rests(),
	))
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}}
	lost := undelivered(&cfg)
	startWorker(t, cfg)
	if got := testutil.Receive(t, "news", lost); !strings.HasPrefix(got, "H:t:1 ") || !strings.Contains(got, "JOB_NOT_FOUND") {
		t.Errorf("undelivered: %s", got)
	}
	testutil.Receive(t, "sleep", over)
	if len(lost) > 0 {
		t.Errorf("undelivered too: %s", <-lost)
	}
}

// TestRefusedAnswerWhileLeaving has no GRAB_JOB behind the answer.
func TestRefusedAnswerWhileLeaving(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, workerConn(
		grabs, assigns("H:t:1", "x"), geartest.Expect(wire.WorkComplete, "H:t:1", "x"),
		geartest.Send(wire.Error, "JOB_NOT_FOUND", "gone"), leaves,
	))
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}}
	lost := undelivered(&cfg)
	var w *runningWorker
	started := make(chan struct{})
	cfg.Handler = func(ctx context.Context, job *gearclient.Job) gearclient.Result {
		<-started
		w.Drain()
		return backwards(ctx, job)
	}
	w = startWorker(t, cfg)
	close(started)
	if got := testutil.Receive(t, "news", lost); !strings.Contains(got, "JOB_NOT_FOUND") {
		t.Errorf("undelivered: %s", got)
	}
}

func TestBrokenConnectionAfterAnAnswerIsTold(t *testing.T) {
	t.Parallel()
	again := make(chan struct{})
	s := geartest.Start(t,
		workerConn(grabs, assigns("H:t:1", "x"), completes("H:t:1", "x"), geartest.Reset()),
		workerConn(geartest.Signal(again), rests()),
	)
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}}
	lost := undelivered(&cfg)
	startWorker(t, cfg)
	if got := testutil.Receive(t, "news", lost); !strings.HasPrefix(got, "H:t:1 ") {
		t.Errorf("undelivered: %s", got)
	}
	testutil.Receive(t, "the next connection", again)
}

// TestBrokenServers shows each way in which a server can be useless: the
// connection is closed, and the next one is tried.
func TestBrokenServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []geartest.Step
		want  string
	}{
		"no Gearman":         {script(geartest.SendRaw([]byte("SSH-2.0-OpenSSH_9\r\n")), geartest.NeverAnswer()), "no Gearman job server"},
		"closes":             {script(geartest.Close()), "job server"},
		"silent":             {script(geartest.NeverAnswer()), "no answer"},
		"silent at GRAB_JOB": {script(registers("reverse"), grabs, leaves), "no answer"},
		"half a packet": {
			script(registers("reverse"), grabs, geartest.SendPart(20, wire.JobAssignUniq, "H:t:1", "reverse", "", "x"), leaves), "no answer",
		},
		"half a packet and an end": {
			script(registers("reverse"), grabs, geartest.SendPart(20, wire.JobAssignUniq, "H:t:1", "reverse", "", "x"), geartest.Close()), "unexpected EOF",
		},
		"half a packet while asleep": {
			script(registers("reverse"), grabs, noJob, sleeps, geartest.SendPart(7, wire.Noop), leaves), "no answer",
		},
		"half a body while asleep": {
			script(registers("reverse"), grabs, noJob, sleeps, geartest.SendPart(15, wire.EchoRes, "a body"), leaves), "no answer",
		},
		"wrong packet": {script(registers("reverse"), grabs, geartest.Send(wire.JobCreated, "H:t:1"), leaves), "JOB_CREATED in answer"},
		"wrong magic":  {script(registers("reverse"), grabs, geartest.SendRaw(make([]byte, 12)), leaves), "magic"},
		"job unasked while asleep": {
			script(registers("reverse"), grabs, noJob, sleeps, assigns("H:t:1", "x"), leaves), "not asked for",
		},
		"job before the echo": {
			script(geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, geartest.Any), assigns("H:t:1", "x"), leaves),
			"not asked for",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lost, again := make(chan error, 10), make(chan struct{})
			s := geartest.Start(t, geartest.Conn(c.steps...), workerConn(geartest.Signal(again), rests()))
			startWorker(t, gearclient.WorkerConfig{
				Servers: []string{s.Addr()}, ServerTimeout: 500 * time.Millisecond,
				Handler: func(context.Context, *gearclient.Job) gearclient.Result {
					t.Error("a job was performed")
					return gearclient.Result{}
				},
				Events: gearclient.WorkerEvents{Lost: func(_ int, _ string, err error) { lost <- err }},
			})
			if err := testutil.Receive(t, "the loss", lost); !strings.Contains(err.Error(), c.want) {
				t.Errorf("lost: %v, want %q", err, c.want)
			}
			testutil.Receive(t, "the next connection", again)
		})
	}
}

func TestLateAnswerIsTaken(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	s := geartest.Start(t, workerConn(
		grabs, geartest.Wait(late), geartest.SendPart(11, wire.JobAssignUniq, "H:t:1", "reverse", "", "abc"), geartest.SendRest(),
		completes("H:t:1", "cba"), geartest.SendBytewise(wire.NoJob), rests(),
	))
	done := make(chan struct{})
	startWorker(t, gearclient.WorkerConfig{
		Servers: []string{s.Addr()},
		Events:  gearclient.WorkerEvents{Done: func(*gearclient.Job, gearclient.Result, error) { close(done) }},
	})
	time.AfterFunc(400*time.Millisecond, func() { close(late) })
	testutil.Receive(t, "the job", done)
}

// TestLostIsToldOnce counts what is said about a server that stays down.
func TestLostIsToldOnce(t *testing.T) {
	t.Parallel()
	var dials, losses atomic.Int32
	refuse := true
	s := geartest.Start(t, workerConn(grabs, noJob, rests()))
	ready := make(chan struct{})
	cfg := gearclient.WorkerConfig{Servers: []string{s.Addr()}, Events: gearclient.WorkerEvents{
		Lost:  func(int, string, error) { losses.Add(1) },
		Ready: func(int, string, bool) { close(ready) },
	}}
	cfg.Dial = dialFunc(func() bool { refuse = dials.Add(1) < 5; return refuse })
	startWorker(t, cfg)
	testutil.Receive(t, "ready", ready)
	if dials.Load() != 5 || losses.Load() != 1 {
		t.Errorf("%d tries, told of %d times, want 5 and 1", dials.Load(), losses.Load())
	}
}
