package php_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func held(h workerpb.Hold) bridgeOption {
	return with(func(req *workerpb.RunRequest) { req.Hold = h })
}

// TestBridgeHolds connects, registers, and asks only when it may.
func TestBridgeHolds(t *testing.T) {
	t.Parallel()
	connected, registered := newMoment(), newMoment()
	goOn, quiet, asked := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := geartest.Start(t, speaks(
		geartest.Expect(wire.SetClientID, clientID), geartest.Expect(wire.EchoReq, echoed), geartest.Send(wire.EchoRes, echoed),
		wakes, connected.steps(),
		geartest.Expect(wire.CanDo, "upper"), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, echoed),
		wakes, registered.steps(), geartest.Send(wire.EchoRes, echoed), geartest.ExpectSilence(goOn), geartest.Signal(quiet), asks, noJob, sleeps, geartest.Signal(asked), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper"), held(workerpb.Hold_HOLD_CONNECTED))
	if await[*workerpb.Event_Ready](t, b).Ready.GetRegistered() {
		t.Error("it says that it is registered before it is")
	}
	connected.then(t, func() { b.tell(t, "go", &workerpb.GoRequest{Hold: workerpb.Hold_HOLD_REGISTERED}) })
	registered.then(t, func() {
		b.sync(t)
		if got := len(taken[*workerpb.Event_Ready](b)); got != 1 {
			t.Errorf("ready was told %d times before the server answered", got)
		}
	})
	if got := await[*workerpb.Event_Ready](t, b).Ready; !got.GetRegistered() || got.GetServer() != s.Addr() {
		t.Errorf("registered: %v", got)
	}
	close(goOn)
	testutil.Receive(t, "silence", quiet)
	b.tell(t, "go", &workerpb.GoRequest{})
	testutil.Receive(t, "the question", asked)
	b.drain(t)
	b.leaves(t, 0, 0)
}

// TestBridgeLeavesHeld has nothing to ask before it leaves.
func TestBridgeLeavesHeld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hold      workerpb.Hold
		functions []string
	}{
		"connected":  {workerpb.Hold_HOLD_CONNECTED, nil},
		"registered": {workerpb.Hold_HOLD_REGISTERED, []string{"reverse"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := geartest.Start(t, speaks(registers(c.functions...), closes))
			b := startBridge(t, at(s.Addr()), held(c.hold))
			await[*workerpb.Event_Ready](t, b)
			b.drain(t)
			b.leaves(t, 0, 0)
		})
	}
}

// TestBridgeGoesEarly is told to go before its server has answered the registration.
func TestBridgeGoesEarly(t *testing.T) {
	t.Parallel()
	registering, asked := newMoment(), make(chan struct{})
	s := geartest.Start(t, speaks(
		geartest.Expect(wire.SetClientID, clientID), geartest.Expect(wire.EchoReq, echoed), registering.steps(),
		geartest.Send(wire.EchoRes, echoed), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, echoed),
		asks, geartest.Signal(asked), rests,
	))
	b := startBridge(t, at(s.Addr()), held(workerpb.Hold_HOLD_CONNECTED))
	registering.then(t, func() {
		b.tell(t, "go", &workerpb.GoRequest{})
		b.sync(t)
	})
	testutil.Receive(t, "the question", asked)
}

// TestBridgePauses asks once more before it takes a function back, as it may have been
// woken for a job of it; and asks again when it has it back.
func TestBridgePauses(t *testing.T) {
	t.Parallel()
	asleep, paused, resumed := newMoment(), newMoment(), newMoment()
	s := geartest.Start(t, speaks(
		registers("upper", "reverse"), idles, asleep.steps(),
		asks, noJob, geartest.Expect(wire.CantDo, "reverse"), sleeps, paused.steps(),
		asks, noJob, geartest.Expect(wire.CanDo, "reverse"), sleeps, resumed.steps(), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper"))
	names := &workerpb.FunctionNames{Names: []string{"reverse", "unknown"}}
	asleep.then(t, func() { b.tell(t, "pause", names) })
	paused.then(t, func() { b.tell(t, "resume", names) })
	resumed.then(t, func() { b.drain(t) })
	b.leaves(t, 0, 0)
}

// TestBridgeKeepsAPauseOverAReconnect registers what is not paused.
func TestBridgeKeepsAPauseOverAReconnect(t *testing.T) {
	t.Parallel()
	asleep, over := newMoment(), make(chan struct{})
	s := geartest.Start(t,
		speaks(registers("upper", "reverse"), idles, asleep.steps(), asks, noJob, geartest.Expect(wire.CantDo, "upper"), sleeps, geartest.Reset()),
		speaks(registers("reverse"), asks, geartest.Signal(over), rests),
	)
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper"))
	asleep.then(t, func() { b.tell(t, "pause", &workerpb.FunctionNames{Names: []string{"upper"}}) })
	testutil.Receive(t, "the question", over)
}

// TestBridgeIsSet changes functions, limits and verbosity while it works.
func TestBridgeIsSet(t *testing.T) {
	t.Parallel()
	asleep, changed := newMoment(), newMoment()
	s := geartest.Start(t, speaks(
		registers("reverse"), asks, assigns("H:t:1", "reverse", "abc"), completes("H:t:1", "cba"), noJob, sleeps, asleep.steps(),
		asks, noJob, geartest.Expect(wire.CantDo, "reverse"), geartest.Expect(wire.CanDo, "upper"), sleeps, changed.steps(),
		wakes, asks, assigns("H:t:2", "upper", "abcdef"), excepts(t, "H:t:2", "limit of 5"),
		assigns("H:t:3", "upper", "abc"), completes("H:t:3", "ABC"),
		assigns("H:t:4", "upper", "abc"), completesAlone("H:t:4", "ABC"), closes,
	))
	b := startBridge(t, at(s.Addr()))
	asleep.then(t, func() {
		b.tell(t, "set", &workerpb.Settings{
			Functions: &workerpb.FunctionList{Functions: jobs("upper")},
			Limits:    &workerpb.Limits{MaxData: 5, MaxRuns: 4},
			Verbosity: proto.Uint32(3),
		})
	})
	changed.then(t, func() { b.sync(t) })
	b.leaves(t, 4, 1)
	done := 0
	for _, l := range taken[*workerpb.Event_Log](b) {
		if l.Log.GetMessage() == "job done" {
			done++
		}
	}
	if done != 2 { // the first one was not logged
		t.Errorf("%d jobs in the log, want 2", done)
	}
}

// suspect is a job of the function same.
func suspect(server, handle, workload string, fail bool) *workerpb.SuspectJob {
	return &workerpb.SuspectJob{
		Job:      &workerpb.JobID{Server: server, Handle: handle, Hash: jobrecord.Hash("same", "u", []byte(workload))},
		Attempts: 3, Fail: fail, Cause: "it killed three workers",
	}
}

// TestBridgeKnowsSuspects answers those that are to fail without performing them: those
// that it was started with, and those of which the line was in its socket when the job
// came. One that only looks like it, or was taken off the list, is performed.
func TestBridgeKnowsSuspects(t *testing.T) {
	t.Parallel()
	asked, removed := newMoment(), newMoment()
	var addr string
	s := geartest.Start(t, speaks(
		registers("same"), asks,
		assigns("H:t:1", "same", "bad"), excepts(t, "H:t:1", "it killed three workers"),
		assigns("H:t:1", "same", "good"), completes("H:t:1", "good"), // after a restart of the server
		assigns("H:t:2", "same", "bad"), completes("H:t:2", "bad"),
		assigns("H:t:3", "same", "another try"), completes("H:t:3", "another try"),
		asked.steps(), assigns("H:t:4", "same", "bad"), excepts(t, "H:t:4", "it killed three workers"),
		removed.steps(), assigns("H:t:4", "same", "bad"), completes("H:t:4", "bad"),
		noJob, sleeps, rests,
	))
	addr = s.Addr()
	b := startBridge(t, at(addr), performing("same"), with(func(req *workerpb.RunRequest) {
		req.Suspects = []*workerpb.SuspectJob{suspect(addr, "H:t:1", "bad", true), suspect(addr, "H:t:3", "another try", false)}
	}))
	asked.then(t, func() {
		b.tell(t, "suspect", &workerpb.Suspects{Add: []*workerpb.SuspectJob{suspect(addr, "H:t:4", "bad", true)}})
	})
	removed.then(t, func() {
		b.tell(t, "suspect", &workerpb.Suspects{Remove: []*workerpb.JobID{suspect(addr, "H:t:4", "bad", true).GetJob()}})
	})
	await[*workerpb.Event_Idle](t, b)
	b.sync(t)
}

// TestBridgeHearsOfASuspectInAJob is told of it while it performs another.
func TestBridgeHearsOfASuspectInAJob(t *testing.T) {
	t.Parallel()
	gate, open := gateFile(t)
	inJob, over := newMoment(), make(chan struct{})
	s := geartest.Start(t, speaks(
		registers("gate", "same"), asks, assigns("H:t:1", "gate", gate), began("H:t:1"), inJob.steps(), completes("H:t:1", "open"),
		assigns("H:t:2", "same", "bad"), excepts(t, "H:t:2", "it killed three workers"), geartest.Signal(over), rests,
	))
	b := startBridge(t, at(s.Addr()), performing("same", "gate"))
	inJob.then(t, func() {
		b.tell(t, "suspect", &workerpb.Suspects{Add: []*workerpb.SuspectJob{suspect(s.Addr(), "H:t:2", "bad", true)}})
		open()
	})
	testutil.Receive(t, "the answer", over)
}

// TestBridgeHearsLinesInParts reads a line however it comes, and several at once; what it
// does not understand it passes over.
func TestBridgeHearsLinesInParts(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.EveryConn(steps(registers("reverse"), idles, rests)...))
	b := startBridge(t, at(s.Addr()))
	b.write(t, `{"pi`)
	b.write(t, `ng":5}`+"\n"+`}{`+"\n\n"+`[1]`+"\n"+`null`+"\n"+`{"coffee":true}`+"\n"+`{"ping":9223372036854775807}`+"\n"+`{"pi`)
	b.write(t, `ng":6}`+"\n")
	for _, want := range []uint64{5, 9223372036854775807, 6} {
		got := pong(t, b)
		if got != want {
			t.Errorf("pong %d, want %d", got, want)
		}
	}
}

// pong is the next one.
func pong(t *testing.T, b *bridge) uint64 {
	t.Helper()
	for {
		line := testutil.Receive(t, "a pong", b.lines)
		if line.pong != nil {
			return *line.pong
		}
		b.keep(t, line)
	}
}
