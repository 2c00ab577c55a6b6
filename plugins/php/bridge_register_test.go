package php_test

import (
	"slices"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestBridgeRegisters looks at every packet of a quiet life.
func TestBridgeRegisters(t *testing.T) {
	t.Parallel()
	asleep := newMoment()
	s := geartest.Start(t, speaks(
		// The server serves what it has heard last first.
		geartest.ExpectInOneRead(
			geartest.Req(wire.SetClientID, clientID), geartest.Req(wire.CanDo, "same"), geartest.Req(wire.CanDo, "upper"),
			geartest.Req(wire.CanDo, "reverse"), geartest.Req(wire.EchoReq, echoed),
		),
		geartest.Send(wire.EchoRes, echoed),
		asks, noJob, sleeps, asleep.steps(), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper", "same"))
	if got := b.hello.GetDescription(); len(got.GetFunctions()) != 3 || got.GetFunctions()[0] != "reverse" || got.GetContract() != 1 {
		t.Errorf("hello: %v", got)
	}
	if got := await[*workerpb.Event_Ready](t, b).Ready.GetServer(); got != s.Addr() {
		t.Errorf("ready at %s, want %s", got, s.Addr())
	}
	asleep.then(t, func() { b.drain(t) })
	b.leaves(t, 0, 0)
}

// TestBridgeServes has two jobs, each answered in one write with the next question.
func TestBridgeServes(t *testing.T) {
	t.Parallel()
	asleep := newMoment()
	s := geartest.Start(t, speaks(
		registers("upper", "reverse"), asks,
		assigns("H:t:1", "reverse", "abc"), completes("H:t:1", "cba"),
		assigns("H:t:2", "upper", "a\x00b"), completes("H:t:2", "A\x00B"),
		assigns("H:t:3", "reverse", ""), completes("H:t:3", ""),
		geartest.Send(wire.JobAssign, "H:t:4", "reverse", "x\x00y"), completes("H:t:4", "y\x00x"),
		noJob, sleeps, asleep.steps(), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper"))
	await[*workerpb.Event_Busy](t, b)
	await[*workerpb.Event_Idle](t, b)
	asleep.then(t, func() { b.drain(t) })
	b.leaves(t, 4, 0)
	if got := taken[*workerpb.Event_Busy](b); len(got) != 1 {
		t.Errorf("busy %d times", len(got))
	}
}

// TestBridgeSurvivesFragments sends packets byte by byte, and several at once.
func TestBridgeSurvivesFragments(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := geartest.Start(t, speaks(
		geartest.Expect(wire.SetClientID, clientID), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, echoed),
		geartest.SendBytewise(wire.EchoRes, echoed),
		asks, geartest.SendBytewise(wire.JobAssignUniq, "H:t:1", "reverse", "u", "abc"), completes("H:t:1", "cba"),
		geartest.SendTogether(
			geartest.Res(wire.Noop), geartest.Res(wire.Error, "code", "text"), geartest.Res(wire.OptionRes, "exceptions"),
			geartest.Res(wire.EchoRes, "what"), geartest.Res(wire.Noop), geartest.Res(wire.JobAssignUniq, "H:t:2", "reverse", "u", "def"),
			geartest.Res(wire.Noop),
		), completes("H:t:2", "fed"),
		geartest.SendTogether(geartest.Res(wire.Noop), geartest.Res(wire.NoJob), geartest.Res(wire.Noop)), sleeps,
		asks, geartest.SendBytewise(wire.NoJob), sleeps, geartest.SendBytewise(wire.Noop), asks, geartest.Signal(over), rests,
	))
	b := startBridge(t, at(s.Addr()))
	testutil.Receive(t, "the script", over)
	b.sync(t)
	if lost := taken[*workerpb.Event_Lost](b); len(lost) > 0 {
		t.Errorf("lost: %v", lost)
	}
}

// TestBridgeLosesAndReturns has servers that break the protocol, each in its own
// way: the connection is closed and another one made.
func TestBridgeLosesAndReturns(t *testing.T) {
	t.Parallel()
	huge := []byte{0, 'R', 'E', 'S', 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff}
	for name, c := range map[string]struct {
		steps []geartest.Step
		error string
	}{
		"no Gearman": {steps(
			geartest.Expect(wire.SetClientID, clientID), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, echoed),
			geartest.SendRaw([]byte("HTTP/1.0 400 Bad Request\r\n\r\n")), closes,
		), "no Gearman job server"},
		"a few bytes of something": {steps(registers("reverse"), asks, geartest.SendRaw([]byte("ERR\n")), closes), "no packet"},
		"garbage":                  {steps(registers("reverse"), asks, geartest.SendRaw([]byte("\x00RESgarbagegarbage")), closes), "packet of type"},
		"request":                  {steps(registers("reverse"), asks, geartest.SendRaw([]byte("\x00REQ\x00\x00\x00\x06\x00\x00\x00\x00")), closes), "no packet"},
		"unknown type":             {steps(registers("reverse"), asks, geartest.SendRaw([]byte("\x00RES\x00\x00\x00\x63\x00\x00\x00\x00")), closes), "packet of type 99"},
		"unknown type, huge":       {steps(registers("reverse"), asks, geartest.SendRaw([]byte("\x00RES\x00\x00\x00\x63\xff\x00\x00\x00")), closes), "packet of"},
		"another type":             {steps(registers("reverse"), asks, geartest.Send(wire.JobCreated, "H:t:1"), closes), "packet of type 8"},
		"job unasked, asleep":      {steps(registers("reverse"), idles, assigns("H:t:1", "reverse", "x"), closes), "nobody asked"},
		"no job, asleep":           {steps(registers("reverse"), idles, noJob, closes), "nobody asked"},
		"job before the echo": {steps(
			geartest.Expect(wire.SetClientID, clientID), geartest.Expect(wire.CanDo, "reverse"), geartest.Expect(wire.EchoReq, echoed),
			assigns("H:t:1", "reverse", "x"), closes,
		), "nobody asked"},
		"job without head":   {steps(registers("reverse"), asks, geartest.SendRaw([]byte("\x00RES\x00\x00\x00\x1f\x00\x00\x00\x03abc")), closes), "without head"},
		"job without handle": {steps(registers("reverse"), asks, geartest.SendRaw([]byte("\x00RES\x00\x00\x00\x1f\x00\x00\x00\x06\x00abc\x00\x00")), closes), "without head"},
		"huge":               {steps(registers("reverse"), asks, geartest.SendRaw(huge), closes), "4294967307 bytes"},
		"close":              {steps(registers("reverse"), asks, geartest.Close()), "closed"},
		"close asleep":       {steps(registers("reverse"), idles, geartest.Close()), "closed"},
		"reset":              {steps(registers("reverse"), idles, geartest.Reset()), "closed"},
		"half a packet":      {steps(registers("reverse"), asks, geartest.SendPart(7, wire.NoJob), geartest.Close()), "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asleep := newMoment()
			s := geartest.Start(t, speaks(c.steps), speaks(
				registers("reverse"), asks, assigns("H:t:9", "reverse", "xyz"), completes("H:t:9", "zyx"), noJob, sleeps, asleep.steps(), asks, noJob, closes,
			))
			b := startBridge(t, at(s.Addr()))
			lost := await[*workerpb.Event_Lost](t, b).Lost
			if lost.GetServer() != s.Addr() || !contains(lost.GetError(), c.error) {
				t.Errorf("lost %s: %s, want %s", lost.GetServer(), lost.GetError(), c.error)
			}
			await[*workerpb.Event_Ready](t, b)
			asleep.then(t, func() { b.drain(t) })
			b.leaves(t, 1, 0)
		})
	}
}

// TestBridgeTellsAnErrorOnce tries again and again, and says something when the error is
// another one.
func TestBridgeTellsAnErrorOnce(t *testing.T) {
	t.Parallel()
	hangsUp := geartest.Conn(geartest.Expect(wire.SetClientID, clientID), geartest.Close())
	babbles := geartest.Conn(geartest.Expect(wire.SetClientID, clientID), geartest.SendRaw([]byte("SSH-2.0\r\n")), rests)
	s := geartest.Start(t,
		hangsUp, hangsUp, hangsUp, babbles, babbles, hangsUp,
		speaks(registers("reverse"), idles, geartest.Close()), speaks(registers("reverse"), idles, geartest.Close()),
		speaks(registers("reverse"), rests),
	)
	b := startBridge(t, at(s.Addr()))
	for range 3 {
		await[*workerpb.Event_Ready](t, b)
	}
	var told []string
	for _, l := range taken[*workerpb.Event_Lost](b) {
		told = append(told, l.Lost.GetError())
	}
	const closed = "the server closed the connection"
	if want := []string{closed, "what listens there is no Gearman job server", closed, closed, closed}; !slices.Equal(told, want) {
		t.Errorf("told:\n%q\nwant\n%q", told, want)
	}
}

// TestBridgeWaitsForAServer has nobody listen at first, then a server, then nobody.
func TestBridgeWaitsForAServer(t *testing.T) {
	t.Parallel()
	addr := testutil.FreeAddr(t)
	b := startBridge(t, at("localhost:"+portOf(t, addr)))
	if lost := await[*workerpb.Event_Lost](t, b).Lost; !contains(lost.GetError(), "refused") {
		t.Errorf("lost: %s", lost.GetError())
	}
	g := testutil.StartGearmandAt(t, portOf(t, addr))
	await[*workerpb.Event_Ready](t, b)
	if got := len(taken[*workerpb.Event_Lost](b)); got != 1 {
		t.Errorf("told %d times that nobody listens", got)
	}
	g.Kill()
	await[*workerpb.Event_Lost](t, b)
	b.drain(t)
	b.leaves(t, 0, 0)
}
