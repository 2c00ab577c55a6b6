package php_test

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// waysToLeave are a drain and the end of the manager, which hears nothing any more. gone
// waits for the end of php.
func waysToLeave(t *testing.T, test func(t *testing.T, leave func(*bridge), gone func(b *bridge, jobs uint64))) {
	t.Helper()
	t.Run("drain", func(t *testing.T) {
		t.Parallel()
		test(t, func(b *bridge) { b.drain(t) }, func(b *bridge, jobs uint64) { b.leaves(t, jobs, 0) })
	})
	t.Run("end of the manager", func(t *testing.T) {
		t.Parallel()
		test(t, func(b *bridge) { _ = b.conn.CloseWrite() }, func(b *bridge, _ uint64) { b.exits(t, 0) })
	})
}

// TestBridgeLeavesAsleep asks once more, since it may have been woken for a job.
func TestBridgeLeavesAsleep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after []geartest.Step
		jobs  uint64
	}{
		"no job":    {steps(asks, noJob, closes), 0},
		"job":       {steps(asks, assigns("H:t:1", "reverse", "abc"), completesAlone("H:t:1", "cba"), closes), 1},
		"late call": {steps(asks, wakes, noJob, closes), 0},
		"end":       {steps(asks, geartest.Close()), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waysToLeave(t, func(t *testing.T, leave func(*bridge), gone func(*bridge, uint64)) {
				t.Helper()
				asleep := newMoment()
				s := geartest.Start(t, speaks(registers("reverse"), idles, asleep.steps(), c.after))
				b := startBridge(t, at(s.Addr()))
				asleep.then(t, func() { leave(b) })
				gone(b, c.jobs)
			})
		})
	}
}

// TestBridgeLeavesAsked waits for the answer, and performs the job that comes.
func TestBridgeLeavesAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after []geartest.Step
		jobs  uint64
	}{
		"no job":  {steps(noJob, closes), 0},
		"job":     {steps(assigns("H:t:1", "reverse", "abc"), completesAlone("H:t:1", "cba"), closes), 1},
		"end":     {steps(geartest.Close()), 0},
		"silence": {steps(closes), 0}, // for 5 s
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waysToLeave(t, func(t *testing.T, leave func(*bridge), gone func(*bridge, uint64)) {
				t.Helper()
				asked, told := newMoment(), make(chan struct{})
				s := geartest.Start(t, speaks(registers("reverse"), asks, asked.steps(), geartest.ExpectSilence(told), c.after))
				b := startBridge(t, at(s.Addr()))
				close(asked.goOn)
				testutil.Receive(t, "the question", asked.came)
				leave(b)
				close(told)
				gone(b, c.jobs)
			})
		})
	}
}

// TestBridgeLeavesAfterItsJob is told in the middle of a job: that is finished and
// answered, and no other asked for.
func TestBridgeLeavesAfterItsJob(t *testing.T) {
	t.Parallel()
	waysToLeave(t, func(t *testing.T, leave func(*bridge), gone func(*bridge, uint64)) {
		t.Helper()
		gate, open := gateFile(t)
		inJob := newMoment()
		s := geartest.Start(t, speaks(
			registers("gate"), asks, assigns("H:t:1", "gate", gate), began("H:t:1"), inJob.steps(), completesAlone("H:t:1", "open"), closes,
		))
		b := startBridge(t, at(s.Addr()), performing("gate"))
		inJob.then(t, func() {
			leave(b)
			open()
		})
		gone(b, 1)
	})
}

// TestBridgeLeavesSeveral is asleep at two servers, one of which has a job, and asked
// a third, which is slow.
func TestBridgeLeavesSeveral(t *testing.T) {
	t.Parallel()
	first, second := newMoment(), newMoment()
	over := make(chan struct{})
	a := geartest.Start(t, speaks(registers("reverse"), idles, first.steps(), asks, geartest.Wait(over), noJob, closes))
	b := geartest.Start(t, speaks(
		registers("reverse"), idles, second.steps(), asks, assigns("H:b:1", "reverse", "abc"),
		completesAlone("H:b:1", "cba"), closes, geartest.Signal(over),
	))
	w := startBridge(t, at(a.Addr(), b.Addr()))
	testutil.Receive(t, "the first server", first.came)
	testutil.Receive(t, "the second server", second.came)
	w.drain(t)
	close(first.goOn)
	close(second.goOn)
	w.leaves(t, 1, 0)
}

// TestBridgeLeavesServersInAnyState drains before there is a connection that could be
// left in order.
func TestBridgeLeavesServersInAnyState(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]func(t *testing.T) string{
		"nobody listens": func(t *testing.T) string { t.Helper(); return testutil.FreeAddr(t) },
		"connecting":     fullServer,
		"registering": func(t *testing.T) string {
			t.Helper()
			return geartest.Start(t, geartest.EveryConn(rests)).Addr()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBridge(t, at(addr(t)))
			b.sync(t)
			b.drain(t)
			b.leaves(t, 0, 0)
		})
	}
}

// fullServer listens with a queue that is full, so that connections to it hang.
func fullServer(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return addr
}

// TestBridgeLosesItsServerInAJob performs the job to its end, tells that its result was
// not delivered, and comes back.
func TestBridgeLosesItsServerInAJob(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]geartest.Step{"close": geartest.Close(), "reset": geartest.Reset()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate, open := gateFile(t)
			inJob, asleep := newMoment(), newMoment()
			s := geartest.Start(t,
				speaks(
					registers("reverse", "gate"), asks, assigns("H:t:0", "reverse", "abc"), completes("H:t:0", "cba"),
					assigns("H:t:1", "gate", gate), began("H:t:1"), end, inJob.steps(),
				),
				speaks(registers("reverse", "gate"), idles, asleep.steps(), asks, noJob, closes),
			)
			b := startBridge(t, at(s.Addr()), performing("gate", "reverse"))
			inJob.then(t, open)
			u := await[*workerpb.Event_Undelivered](t, b).Undelivered
			if u.GetJob().GetServer() != s.Addr() || u.GetJob().GetHandle() != "H:t:1" || u.GetFunction() != "gate" ||
				u.GetJob().GetHash() != jobrecord.Hash("gate", "u", []byte(gate)) {
				t.Errorf("undelivered: %v", u)
			}
			await[*workerpb.Event_Lost](t, b)
			asleep.then(t, func() { b.drain(t) })
			b.leaves(t, 2, 0)
			if got := taken[*workerpb.Event_Undelivered](b); len(got) != 1 {
				t.Errorf("undelivered: %v", got)
			}
		})
	}
}

// TestBridgeTellsOfAnAnswerThatMayBeLost has the server go right behind an answer, when it
// may not have read it; and later, when it has.
func TestBridgeTellsOfAnAnswerThatMayBeLost(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t,
		speaks(registers("reverse"), asks, assigns("H:t:1", "reverse", "abc"), completes("H:t:1", "cba"), geartest.Close()),
		speaks(registers("reverse"), asks, assigns("H:t:2", "reverse", "abc"), completes("H:t:2", "cba"), noJob, sleeps, geartest.Close()),
		speaks(registers("reverse"), rests),
	)
	b := startBridge(t, at(s.Addr()))
	for range 3 {
		await[*workerpb.Event_Ready](t, b)
	}
	told := taken[*workerpb.Event_Undelivered](b)
	if len(told) != 1 || told[0].Undelivered.GetJob().GetHandle() != "H:t:1" ||
		told[0].Undelivered.GetJob().GetHash() != jobrecord.Hash("reverse", "u", []byte("abc")) {
		t.Errorf("told: %v", told)
	}
}

// TestBridgeNoticesWhileItWrites has the server go while the worker's result is on its way.
func TestBridgeNoticesWhileItWrites(t *testing.T) {
	t.Parallel()
	again := make(chan struct{})
	s := geartest.Start(t,
		speaks(registers("sized"), asks, assigns("H:t:1", "sized", "20000000"), geartest.ExpectBytes([]byte("\x00REQ")), geartest.Reset()),
		speaks(registers("sized"), asks, geartest.Signal(again), rests),
	)
	b := startBridge(t, at(s.Addr()), performing("sized"))
	if u := await[*workerpb.Event_Undelivered](t, b).Undelivered; u.GetJob().GetHandle() != "H:t:1" {
		t.Errorf("undelivered: %v", u)
	}
	testutil.Receive(t, "the next connection", again)
}

// TestBridgeNeverTakesAFunctionBackInAJob pauses and changes functions in the middle of
// a job and of a question: servers hear of it when that is over.
func TestBridgeNeverTakesAFunctionBackInAJob(t *testing.T) {
	t.Parallel()
	gate, open := gateFile(t)
	inJob, asked, asleep := newMoment(), newMoment(), newMoment()
	told := make(chan struct{})
	s := geartest.Start(t, speaks(
		registers("reverse", "gate"), asks, assigns("H:t:1", "gate", gate), began("H:t:1"), inJob.steps(),
		completesAlone("H:t:1", "open"), geartest.Expect(wire.CantDo, "gate"), asks,
		asked.steps(), geartest.ExpectSilence(told), assigns("H:t:2", "reverse", "abc"),
		completesAlone("H:t:2", "cba"), geartest.Expect(wire.CantDo, "reverse"), geartest.Expect(wire.CanDo, "gate"),
		asks, noJob, sleeps, asleep.steps(), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("gate", "reverse"))
	inJob.then(t, func() {
		b.tell(t, "pause", &workerpb.FunctionNames{Names: []string{"gate"}})
		open()
	})
	testutil.Receive(t, "the question", asked.came)
	b.tell(t, "resume", &workerpb.FunctionNames{Names: []string{"gate"}})
	b.tell(t, "pause", &workerpb.FunctionNames{Names: []string{"reverse"}})
	b.sync(t)
	close(asked.goOn)
	close(told)
	asleep.then(t, func() { b.drain(t) })
	b.leaves(t, 2, 0)
}

// TestBridgeStopsWithoutManagerInAQuestion is the end of a worker whose manager has died
// without a word: it must not wait for the server for ever.
func TestBridgeStopsWithoutManagerInAQuestion(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s := geartest.Start(t, speaks(registers("reverse"), asks, geartest.Signal(asked), closes))
	b := startBridge(t, at(s.Addr()))
	testutil.Receive(t, "the question", asked)
	_ = b.conn.Close()
	b.exits(t, 0)
	if cpu := b.state.SystemTime() + b.state.UserTime(); cpu.Seconds() > 3 {
		t.Errorf("it took %v of CPU to wait for 5 s", cpu)
	}
	if strings.Contains(b.stderr.String(), "Warning") {
		t.Error(b.stderr.String())
	}
}
