package php_test

import (
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// resting makes a worker that rests when it retires.
func resting(l *workerpb.Limits) bridgeOption {
	return with(func(req *workerpb.RunRequest) { req.Limits, req.Rests = l, true })
}

// completesAtRest is an answer behind which nothing is asked for but an echo, which comes
// back.
func completesAtRest(handle, result string) []geartest.Step {
	return steps(
		geartest.ExpectInOneRead(geartest.Req(wire.WorkComplete, handle, result), geartest.Req(wire.EchoReq, echoed)),
		geartest.Send(wire.EchoRes, echoed),
	)
}

// silence is when a script hears nothing until the test says that it is over.
type silence struct{ enough, over chan struct{} }

func newSilence() silence { return silence{make(chan struct{}), make(chan struct{})} }

func (s silence) steps() []geartest.Step {
	return steps(geartest.ExpectSilence(s.enough), geartest.Signal(s.over))
}

func (s silence) end(t *testing.T) {
	t.Helper()
	close(s.enough)
	testutil.Receive(t, "silence", s.over)
}

// retires waits for the news, and that they come once.
func (b *bridge) retires(t *testing.T, reason string) {
	t.Helper()
	if len(taken[*workerpb.Event_Retiring](b)) == 0 {
		await[*workerpb.Event_Retiring](t, b)
	}
	if got := taken[*workerpb.Event_Retiring](b); len(got) != 1 || got[0].Retiring.GetReason() != reason {
		t.Errorf("retires: %v, want %s", got, reason)
	}
}

// restsFor waits until it rests for a reason, and looks whether it listens then.
func (b *bridge) restsFor(t *testing.T, reason string) {
	t.Helper()
	if ev := await[*workerpb.Event_Rested](t, b).Rested; ev.GetSlot() != 0 {
		t.Errorf("rested: %v", ev)
	}
	b.retires(t, reason)
	began := time.Now()
	for range 20 {
		b.sync(t)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20 pongs took %v", took)
	}
	if got := taken[*workerpb.Event_Left](b); len(got) > 0 {
		t.Error("it has left")
	}
}

// TestBridgeRests after its last run: it says nothing more to its server but what it is
// told to, whatever the manager says, and leaves when that says so.
func TestBridgeRests(t *testing.T) {
	t.Parallel()
	rested, quiet := newMoment(), newSilence()
	s := geartest.Start(t, speaks(
		registers("upper", "reverse"), asks, assigns("H:t:1", "reverse", "abc"), completes("H:t:1", "cba"),
		assigns("H:t:2", "reverse", "def"), completesAtRest("H:t:2", "fed"), wakes, rested.steps(),
		geartest.Expect(wire.CantDo, "upper"), geartest.Expect(wire.CanDo, "upper"), geartest.Expect(wire.CantDo, "reverse"), geartest.Expect(wire.CanDo, "reverse"),
		quiet.steps(), closes,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper"), resting(&workerpb.Limits{MaxRuns: 2}))
	rested.then(t, func() { b.restsFor(t, "max_runs") })
	b.tell(t, "set", &workerpb.Settings{Limits: &workerpb.Limits{MaxRuns: 100}}) // too late
	b.tell(t, "suspect", &workerpb.Suspects{Add: []*workerpb.SuspectJob{{Job: &workerpb.JobID{Server: s.Addr(), Handle: "H:t:3"}}}})
	b.tell(t, "go", &workerpb.GoRequest{})
	b.tell(t, "pause", &workerpb.FunctionNames{Names: []string{"upper"}})
	b.tell(t, "resume", &workerpb.FunctionNames{Names: []string{"upper"}})
	await[*workerpb.Event_Idle](t, b)
	b.sync(t)
	quiet.end(t)
	b.drain(t)
	b.leaves(t, 2, 0)
	if got := taken[*workerpb.Event_Rested](b); len(got) != 1 {
		t.Errorf("rested was told %d times", len(got))
	}
}

// TestBridgeKeepsToWhatItSaid has its limit raised between the news that it retires and the
// end of its last job.
func TestBridgeKeepsToWhatItSaid(t *testing.T) {
	t.Parallel()
	for name, stays := range map[string]bool{"rests": true, "leaves": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate, open := gateFile(t)
			last := newMoment()
			end := steps(completesAlone("H:t:1", "open"), closes)
			if stays {
				end = steps(completesAtRest("H:t:1", "open"), closes)
			}
			s := geartest.Start(t, speaks(registers("gate"), asks, assigns("H:t:1", "gate", gate), began("H:t:1"), last.steps(), end))
			b := startBridge(t, at(s.Addr()), performing("gate"), resting(&workerpb.Limits{MaxRuns: 1}),
				with(func(req *workerpb.RunRequest) { req.Rests = stays }))
			last.then(t, func() {
				b.retires(t, "max_runs")
				b.tell(t, "set", &workerpb.Settings{Limits: &workerpb.Limits{MaxRuns: 100}})
				open()
			})
			if stays {
				b.restsFor(t, "max_runs")
				b.drain(t)
			}
			b.leaves(t, 1, 0)
		})
	}
}

// TestBridgeRestsFromAnyState grows too old, or too fat, in whatever it does just then, and
// leaves the rest in both ways.
func TestBridgeRestsFromAnyState(t *testing.T) {
	t.Parallel()
	old := &workerpb.Limits{MaxLifetimeMs: 300}
	for name, c := range map[string]struct {
		script []geartest.Step
		limits *workerpb.Limits
		reason string
		jobs   uint64
	}{
		"asleep":       {steps(idles, asks, noJob), old, "max_lifetime", 0},
		"asleep, call": {steps(idles, asks, wakes, noJob), old, "max_lifetime", 0},
		"asleep, job": {
			steps(idles, asks, assigns("H:t:1", "reverse", "abc"), completesAtRest("H:t:1", "cba")), old, "max_lifetime", 1,
		},
		"in a job": {steps(asks, assigns("H:t:1", "late", "400"), completesAlone("H:t:1", "late")), old, "max_lifetime", 1},
		"too fat": {
			steps(asks, assigns("H:t:1", "memory", "90000000"), completesAtRest("H:t:1", "1")),
			&workerpb.Limits{MaxMemory: 80 << 20}, "max_memory", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, leave := range map[string]func(b *bridge){
				"drain": func(b *bridge) { b.drain(t) }, "end of the manager": func(b *bridge) { _ = b.conn.CloseWrite() },
			} {
				quiet := newSilence()
				s := geartest.Start(t, speaks(registers("memory", "late", "reverse"), c.script, quiet.steps(), closes))
				b := startBridge(t, at(s.Addr()), performing("reverse", "late", "memory"), set("memory_limit=-1"), resting(c.limits))
				b.restsFor(t, c.reason)
				quiet.end(t)
				leave(b)
				if way == "drain" {
					b.leaves(t, c.jobs, 0)
				} else {
					b.exits(t, 0)
				}
			}
		})
	}
}

// TestBridgeRestsAsked waits for the answer of a server that it had asked when it retired:
// until that comes it does not say that it rests, but leaves when it is told to.
func TestBridgeRestsAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer []geartest.Step
		jobs   uint64
	}{
		"no job": {steps(noJob), 0},
		"job":    {steps(assigns("H:t:1", "reverse", "abc"), completesAtRest("H:t:1", "cba")), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := newMoment()
			s := geartest.Start(t, speaks(registers("reverse"), asks, asked.steps(), c.answer, closes))
			b := startBridge(t, at(s.Addr()), resting(&workerpb.Limits{MaxLifetimeMs: 300}))
			asked.then(t, func() {
				b.retires(t, "max_lifetime")
				b.sync(t)
				if got := taken[*workerpb.Event_Rested](b); len(got) > 0 {
					t.Error("it rests with a question open")
				}
			})
			b.restsFor(t, "max_lifetime")
			b.drain(t)
			b.leaves(t, c.jobs, 0)
		})
	}
	t.Run("drain", func(t *testing.T) {
		t.Parallel()
		waysToLeave(t, func(t *testing.T, leave func(*bridge), gone func(*bridge, uint64)) {
			t.Helper()
			asked, told := newMoment(), make(chan struct{})
			s := geartest.Start(t, speaks(
				registers("reverse"), idles, asks, asked.steps(), geartest.ExpectSilence(told),
				assigns("H:t:1", "reverse", "abc"), completesAlone("H:t:1", "cba"), closes,
			))
			b := startBridge(t, at(s.Addr()), resting(&workerpb.Limits{MaxLifetimeMs: 300}))
			asked.then(t, func() { b.retires(t, "max_lifetime") })
			leave(b)
			close(told)
			gone(b, 1)
			if got := taken[*workerpb.Event_Rested](b); len(got) > 0 {
				t.Error("it rested, and was told to leave")
			}
		})
	})
}

// TestBridgeIsDrainedInItsLastJob does not rest at all.
func TestBridgeIsDrainedInItsLastJob(t *testing.T) {
	t.Parallel()
	waysToLeave(t, func(t *testing.T, leave func(*bridge), gone func(*bridge, uint64)) {
		t.Helper()
		gate, open := gateFile(t)
		last := newMoment()
		s := geartest.Start(t, speaks(
			registers("gate"), asks, assigns("H:t:1", "gate", gate), began("H:t:1"), last.steps(), completesAlone("H:t:1", "open"), closes,
		))
		b := startBridge(t, at(s.Addr()), performing("gate"), resting(&workerpb.Limits{MaxRuns: 1}))
		last.then(t, func() {
			b.retires(t, "max_runs")
			leave(b)
			open()
		})
		gone(b, 1)
		if got := taken[*workerpb.Event_Rested](b); len(got) > 0 {
			t.Error("it rested, and was told to leave")
		}
	})
}

// TestBridgeRestsAtSeveral performs what the server has for it that may have woken it, and
// says once that it rests.
func TestBridgeRestsAtSeveral(t *testing.T) {
	t.Parallel()
	first := newMoment()
	a := geartest.Start(t, speaks(
		registers("reverse"), idles, first.steps(), asks, assigns("H:a:1", "reverse", "abc"), completesAtRest("H:a:1", "cba"), closes,
	))
	asleep := make(chan struct{})
	b := geartest.Start(t, speaks(
		registers("reverse"), idles, geartest.Signal(asleep), geartest.Wait(first.came), wakes, asks, assigns("H:b:1", "reverse", "def"),
		completesAtRest("H:b:1", "fed"), closes,
	))
	w := startBridge(t, at(a.Addr(), b.Addr()), resting(&workerpb.Limits{MaxRuns: 1}))
	testutil.Receive(t, "sleep at the second server", asleep)
	close(first.goOn)
	w.restsFor(t, "max_runs")
	w.drain(t)
	w.leaves(t, 2, 0)
	if got := taken[*workerpb.Event_Rested](w); len(got) != 1 {
		t.Errorf("rested was told %d times", len(got))
	}
}

// TestBridgeRegistersAgainAtRest when its server comes back.
func TestBridgeRegistersAgainAtRest(t *testing.T) {
	t.Parallel()
	answer := geartest.ExpectInOneRead(geartest.Req(wire.WorkComplete, "H:t:1", "cba"), geartest.Req(wire.EchoReq, echoed))
	for name, c := range map[string]struct {
		end         []geartest.Step
		undelivered int
	}{
		"after the echo":  {steps(answer, geartest.Send(wire.EchoRes, echoed)), 0},
		"before the echo": {steps(answer), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rested, quiet := newMoment(), newSilence()
			s := geartest.Start(t,
				speaks(registers("reverse"), asks, assigns("H:t:1", "reverse", "abc"), c.end, rested.steps(), geartest.Close()),
				speaks(registers("reverse"), quiet.steps(), closes),
			)
			b := startBridge(t, at(s.Addr()), resting(&workerpb.Limits{MaxRuns: 1}))
			await[*workerpb.Event_Ready](t, b)
			rested.then(t, func() { b.restsFor(t, "max_runs") })
			await[*workerpb.Event_Lost](t, b)
			if !await[*workerpb.Event_Ready](t, b).Ready.GetRegistered() {
				t.Error("it is not registered again")
			}
			b.sync(t)
			quiet.end(t)
			b.drain(t)
			b.leaves(t, 1, 0)
			told := taken[*workerpb.Event_Undelivered](b)
			if len(told) != c.undelivered || len(told) == 1 && told[0].Undelivered.GetJob().GetUnique() != "u" {
				t.Errorf("undelivered: %v, want %d", told, c.undelivered)
			}
		})
	}
}

// TestBridgeStandbyGrowsOld says so, registers all the same if it is told to, and takes no
// job.
func TestBridgeStandbyGrowsOld(t *testing.T) {
	t.Parallel()
	quiet := newSilence()
	s := geartest.Start(t, speaks(
		registers(), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, echoed), geartest.Send(wire.EchoRes, echoed),
		quiet.steps(), closes,
	))
	b := startBridge(t, at(s.Addr()), held(workerpb.Hold_HOLD_CONNECTED), resting(&workerpb.Limits{MaxLifetimeMs: 300}))
	if await[*workerpb.Event_Ready](t, b).Ready.GetRegistered() {
		t.Error("it says that it is registered, and is connected only")
	}
	b.restsFor(t, "max_lifetime")
	b.tell(t, "go", &workerpb.GoRequest{Hold: workerpb.Hold_HOLD_REGISTERED})
	if !await[*workerpb.Event_Ready](t, b).Ready.GetRegistered() {
		t.Error("it is not registered")
	}
	b.tell(t, "go", &workerpb.GoRequest{})
	b.sync(t)
	quiet.end(t)
	b.drain(t)
	b.leaves(t, 0, 0)
}

// TestBridgeRestsWithoutServer though it is registered nowhere just now.
func TestBridgeRestsWithoutServer(t *testing.T) {
	t.Parallel()
	b := startBridge(t, at(testutil.FreeAddr(t)), resting(&workerpb.Limits{MaxLifetimeMs: 300}))
	b.restsFor(t, "max_lifetime")
	b.drain(t)
	b.leaves(t, 0, 0)
}

// TestBridgeDoesNotRestAfterATimeout as its job may have left anything behind.
func TestBridgeDoesNotRestAfterATimeout(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, speaks(
		registers("endless"), asks, assigns("H:t:1", "endless", ""), began("H:t:1"), exceptsAlone(t, "H:t:1", "timed out"), closes,
	))
	b := startBridge(t, at(s.Addr()), performing("endless"), resting(nil),
		with(func(req *workerpb.RunRequest) { req.Functions[0].TimeoutMs = 1000 }))
	b.retires(t, "timeout")
	b.leaves(t, 1, 1)
	if got := taken[*workerpb.Event_Rested](b); len(got) > 0 {
		t.Error("it rested")
	}
}

// TestBridgeStandbyLosesAMuteServer that does not answer to its registration.
func TestBridgeStandbyLosesAMuteServer(t *testing.T) {
	t.Parallel()
	quiet := newSilence()
	s := geartest.Start(t,
		speaks(registers(), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, echoed), rests),
		speaks(registers("reverse"), quiet.steps(), closes),
	)
	b := startBridge(t, at(s.Addr()), held(workerpb.Hold_HOLD_CONNECTED))
	await[*workerpb.Event_Ready](t, b)
	b.tell(t, "go", &workerpb.GoRequest{Hold: workerpb.Hold_HOLD_REGISTERED})
	if lost := await[*workerpb.Event_Lost](t, b).Lost; !contains(lost.GetError(), "no answer for 10 s") {
		t.Errorf("lost: %v", lost)
	}
	if !await[*workerpb.Event_Ready](t, b).Ready.GetRegistered() {
		t.Error("it is not registered")
	}
	quiet.end(t)
	b.drain(t)
	b.leaves(t, 0, 0)
}

// TestBridgeRestEnds by itself, 10 s after the last job, where the manager says nothing; and
// costs nothing until then.
func TestBridgeRestEnds(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, speaks(
		registers("reverse"), asks, assigns("H:t:1", "reverse", "abc"), completesAtRest("H:t:1", "cba"), rests,
	))
	// Its age is over, too, while it rests.
	b := startBridge(t, at(s.Addr()), resting(&workerpb.Limits{MaxRuns: 1, MaxLifetimeMs: 1000}))
	b.restsFor(t, "max_runs")
	began := time.Now()
	b.leaves(t, 1, 0)
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("it rested for %v only", took)
	}
	if cpu := b.state.SystemTime() + b.state.UserTime(); cpu > time.Second {
		t.Errorf("it took %v of CPU to rest for 10 s", cpu)
	}
}
