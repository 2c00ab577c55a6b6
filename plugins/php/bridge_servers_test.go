package php_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestBridgeTakesTurns has two servers that always have a job: none is served for longer
// than eight of them.
func TestBridgeTakesTurns(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		order []string
	)
	both := make(chan struct{})
	enough := make(chan struct{})
	server := func(name string) *geartest.Server {
		n := 0
		return geartest.Start(t, speaks(
			registers("reverse"), geartest.Wait(both),
			geartest.Loop(geartest.Answer(func(p wire.Packet) []wire.Packet {
				if p.Type != wire.GrabJobUniq {
					return nil
				}
				n++
				mu.Lock()
				defer mu.Unlock()
				if order = append(order, name); len(order) == 100 {
					close(enough)
				}
				return []wire.Packet{geartest.Res(wire.JobAssignUniq, fmt.Sprintf("H:%s:%d", name, n), "reverse", "", "abc")}
			})),
		))
	}
	b := startBridge(t, at(server("a").Addr(), server("b").Addr()))
	await[*workerpb.Event_Ready](t, b)
	close(both)
	testutil.Receive(t, "100 jobs", enough)
	b.drain(t)
	await[*workerpb.Event_Left](t, b)
	mu.Lock()
	defer mu.Unlock()
	run, longest, seen := 0, 0, map[string]int{}
	for i, name := range order[10:100] { // at first only one may be there
		if i > 0 && order[10+i-1] != name {
			run = 0
		}
		run++
		seen[name]++
		longest = max(longest, run)
	}
	if longest > 8 || seen["a"] < 20 || seen["b"] < 20 {
		t.Errorf("longest turn: %d jobs; jobs: %v; order: %v", longest, seen, order)
	}
}

// afterwards scripts a connection that is not ready before the other server was asked.
func afterwards(asked <-chan struct{}, parts ...any) geartest.Script {
	return speaks(geartest.Wait(asked), registers("reverse"), steps(parts...))
}

// TestBridgePassesASlowServerOver has one server that owes an answer while another has
// work: the worker goes on, and performs the late job when it is free.
func TestBridgePassesASlowServerOver(t *testing.T) {
	t.Parallel()
	asked, served, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := geartest.Start(t, speaks(
		registers("reverse"), asks, geartest.Signal(asked), geartest.ExpectSilence(served),
		assigns("H:slow:1", "reverse", "abc"), completes("H:slow:1", "cba"), noJob, sleeps, geartest.Signal(over), rests,
	))
	quick := geartest.Start(t, afterwards(asked,
		asks, assigns("H:quick:1", "reverse", "abc"), completes("H:quick:1", "cba"), noJob, sleeps, geartest.Signal(served), rests,
	))
	startBridge(t, at(slow.Addr(), quick.Addr()))
	testutil.Receive(t, "the late job", over)
}

// TestBridgeHearsALateNoJob is the other late answer.
func TestBridgeHearsALateNoJob(t *testing.T) {
	t.Parallel()
	asked, served, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := geartest.Start(t, speaks(
		registers("reverse"), asks, geartest.Signal(asked), geartest.ExpectSilence(served),
		wakes, noJob, sleeps, wakes, asks, noJob, sleeps, geartest.Signal(over), rests,
	))
	quick := geartest.Start(t, afterwards(asked, idles, geartest.Signal(served), rests))
	startBridge(t, at(slow.Addr(), quick.Addr()))
	testutil.Receive(t, "sleep", over)
}

// TestBridgeSendsALateJobBack has the late job come while another server is asked: that
// one's answer may be a job, too.
func TestBridgeSendsALateJobBack(t *testing.T) {
	t.Parallel()
	asked, quickAsked, sentBack, again := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := geartest.Start(t,
		speaks(registers("reverse"), asks, geartest.Signal(asked), geartest.Wait(quickAsked), assigns("H:slow:1", "reverse", "abc"), closes, geartest.Signal(sentBack)),
		speaks(registers("reverse"), geartest.Signal(again), rests),
	)
	quick := geartest.Start(t, afterwards(asked,
		asks, geartest.Signal(quickAsked), geartest.Wait(sentBack), assigns("H:quick:1", "reverse", "abc"),
		geartest.Expect(wire.WorkComplete, "H:quick:1", "cba"), rests,
	))
	b := startBridge(t, at(slow.Addr(), quick.Addr()))
	if lost := await[*workerpb.Event_Lost](t, b).Lost; lost.GetServer() != slow.Addr() || !contains(lost.GetError(), "late") {
		t.Errorf("lost: %v", lost)
	}
	testutil.Receive(t, "the next connection", again)
}

// TestBridgeServesTheServerThatLives has one of two servers not be there, and come later.
func TestBridgeServesTheServerThatLives(t *testing.T) {
	t.Parallel()
	addr := testutil.FreeAddr(t)
	lives := testutil.StartGearmand(t)
	b := startBridge(t, at(addr, lives.Addr()))
	await[*workerpb.Event_Lost](t, b)
	if len(taken[*workerpb.Event_Ready](b)) == 0 {
		await[*workerpb.Event_Ready](t, b)
	}
	c := jobtest.NewClient(t, lives.Addr())
	for range 20 {
		out, err := c.Do(t.Context(), gearclient.Request{Function: "reverse", Workload: []byte("abc")})
		if err != nil || string(out) != "cba" {
			t.Fatal(string(out), err)
		}
	}
	late := testutil.StartGearmandAt(t, portOf(t, addr))
	out, err := jobtest.NewClient(t, late.Addr()).Do(t.Context(), gearclient.Request{Function: "reverse", Workload: []byte("def")})
	if err != nil || string(out) != "fed" {
		t.Fatal(string(out), err)
	}
	lives.Kill()
	out, err = jobtest.NewClient(t, late.Addr()).Do(t.Context(), gearclient.Request{Function: "reverse", Workload: []byte("ghi")})
	if err != nil || string(out) != "ihg" {
		t.Fatal(string(out), err)
	}
	b.drain(t)
	b.leaves(t, 22, 0)
}

// TestBridgeChangesServers takes one away that is asleep and gives another; and gives the
// first one back before it is gone.
func TestBridgeChangesServers(t *testing.T) {
	t.Parallel()
	asleep, asked, back := newMoment(), newMoment(), newMoment()
	told := make(chan struct{})
	first := geartest.Start(t, speaks(
		registers("reverse"), idles, asleep.steps(), asked.steps(), asks, noJob, sleeps, back.steps(), asks, noJob, closes,
	))
	second := geartest.Start(t, speaks(registers("reverse"), idles, geartest.Signal(told), asks, noJob, closes))
	b := startBridge(t, at(first.Addr()))
	asleep.then(t, func() {
		b.tell(t, "set", &workerpb.Settings{Servers: &workerpb.ServerList{Servers: servers(second.Addr())}})
		b.sync(t)
	})
	testutil.Receive(t, "the other server", told)
	b.tell(t, "set", &workerpb.Settings{Servers: &workerpb.ServerList{Servers: servers(first.Addr(), second.Addr())}})
	for await[*workerpb.Event_Ready](t, b).Ready.GetServer() != first.Addr() { // told once more, though it is kept
	}
	close(asked.goOn)
	back.then(t, func() {
		b.tell(t, "set", &workerpb.Settings{Servers: &workerpb.ServerList{Servers: servers(first.Addr())}})
		b.drain(t)
	})
	b.leaves(t, 0, 0)
}
