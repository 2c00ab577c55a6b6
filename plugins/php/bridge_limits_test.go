package php_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func limited(l *workerpb.Limits) bridgeOption {
	return with(func(req *workerpb.RunRequest) { req.Limits = l })
}

// TestBridgeRetiresAfterItsRuns says so when it is given the last job, and asks for none
// behind it.
func TestBridgeRetiresAfterItsRuns(t *testing.T) {
	t.Parallel()
	gate, open := gateFile(t)
	before, last := newMoment(), newMoment()
	s := geartest.Start(t, speaks(
		registers("gate", "reverse"), asks, assigns("H:t:1", "reverse", "abc"), completes("H:t:1", "cba"),
		assigns("H:t:2", "reverse", "def"), completes("H:t:2", "fed"), before.steps(),
		assigns("H:t:3", "gate", gate), began("H:t:3"), last.steps(), completesAlone("H:t:3", "open"), closes,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "gate"), limited(&workerpb.Limits{MaxRuns: 3}))
	before.then(t, func() {
		b.sync(t)
		if got := taken[*workerpb.Event_Retiring](b); len(got) > 0 {
			t.Errorf("retiring before the last job: %v", got)
		}
	})
	last.then(t, func() {
		if got := await[*workerpb.Event_Retiring](t, b).Retiring.GetReason(); got != "max_runs" {
			t.Errorf("retires: %s", got)
		}
		open()
	})
	b.leaves(t, 3, 0)
	if got := taken[*workerpb.Event_Retiring](b); len(got) != 1 {
		t.Errorf("retiring was told %d times", len(got))
	}
}

// TestBridgeRunsCountWhatIsRefused counts answers without a job among its runs.
func TestBridgeRunsCountWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, speaks(
		registers("reverse"), asks, assigns("H:t:1", "unknown", "abc"), exceptsAlone(t, "H:t:1", "unknown"), closes,
	))
	b := startBridge(t, at(s.Addr()), limited(&workerpb.Limits{MaxRuns: 1}))
	await[*workerpb.Event_Retiring](t, b)
	b.leaves(t, 1, 1)
}

// TestBridgeGrowsOld retires asleep, in a job, and while a server owes it an answer.
func TestBridgeGrowsOld(t *testing.T) {
	t.Parallel()
	// The job that is longer than that life says "began" late, after it.
	life := limited(&workerpb.Limits{MaxLifetimeMs: 300})
	t.Run("asleep", func(t *testing.T) {
		t.Parallel()
		s := geartest.Start(t, speaks(registers("reverse"), idles, asks, noJob, closes))
		b := startBridge(t, at(s.Addr()), life)
		if got := await[*workerpb.Event_Retiring](t, b).Retiring.GetReason(); got != "max_lifetime" {
			t.Errorf("retires: %s", got)
		}
		b.leaves(t, 0, 0)
	})
	t.Run("in a job", func(t *testing.T) {
		t.Parallel()
		s := geartest.Start(t, speaks(
			registers("late"), asks, assigns("H:t:1", "late", "400"), completesAlone("H:t:1", "late"), closes,
		))
		b := startBridge(t, at(s.Addr()), performing("late"), life)
		await[*workerpb.Event_Retiring](t, b)
		b.leaves(t, 1, 0)
	})
	t.Run("asked", func(t *testing.T) {
		t.Parallel()
		retires := make(chan struct{})
		s := geartest.Start(t, speaks(
			registers("reverse"), asks, geartest.Wait(retires), assigns("H:t:1", "reverse", "abc"), completesAlone("H:t:1", "cba"), closes,
		))
		b := startBridge(t, at(s.Addr()), life)
		await[*workerpb.Event_Retiring](t, b)
		close(retires)
		b.leaves(t, 1, 0)
	})
}

// TestBridgeGrowsFat retires with the answer of the job that took the memory.
func TestBridgeGrowsFat(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, speaks(
		registers("memory"), asks, assigns("H:t:1", "memory", "1000"), completes("H:t:1", "1"),
		assigns("H:t:2", "memory", "90000000"), completesAlone("H:t:2", "2"), closes,
	))
	b := startBridge(t, at(s.Addr()), performing("memory"), set("memory_limit=-1"), limited(&workerpb.Limits{MaxMemory: 80 << 20}))
	if got := await[*workerpb.Event_Retiring](t, b).Retiring; got.GetReason() != "max_memory" || !contains(got.GetDetail(), "83886080") {
		t.Errorf("retires: %v", got)
	}
	b.leaves(t, 2, 0)
}

// TestBridgeAnswersWhatIsTooLarge tells both sizes, and goes on on the same connection.
func TestBridgeAnswersWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	asleep := newMoment()
	huge := strings.Repeat("h", 3_000_000)
	head := wire.HeaderSize + len("H:t:1") + 1 + len("same") + 1 + len("u") + 1
	s := geartest.Start(t, speaks(
		registers("sized", "same"), asks,
		assigns("H:t:1", "same", huge), excepts(t, "H:t:1", "3000000", "limit of 1000"),
		assigns("H:t:2", "same", strings.Repeat("x", 1001)), excepts(t, "H:t:2", "1001", "limit of 1000"),
		assigns("H:t:3", "same", strings.Repeat("x", 1000)), completes("H:t:3", strings.Repeat("x", 1000)),
		assigns("H:t:4", "sized", "1001"), excepts(t, "H:t:4", "result of 1001", "limit of 1000"),
		assigns("H:t:5", "sized", "1000"), completes("H:t:5", strings.Repeat("x", 1000)),
		// Its end comes alone, and is shorter than a packet's head; or its head comes in parts.
		geartest.SendPart(head+len(huge)-5, wire.JobAssignUniq, "H:t:6", "same", "u", huge), geartest.SendRest(),
		excepts(t, "H:t:6", "3000000"),
		geartest.SendPart(20, wire.JobAssignUniq, "H:t:7", "same", "u", huge), geartest.SendRest(), excepts(t, "H:t:7", "3000000"),
		noJob, sleeps, asleep.steps(), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("same", "sized"), limited(&workerpb.Limits{MaxData: 1000}))
	asleep.then(t, func() { b.drain(t) })
	b.leaves(t, 7, 5)
	if lost := taken[*workerpb.Event_Lost](b); len(lost) > 0 {
		t.Errorf("lost: %v", lost)
	}
}

// TestBridgeFindsTheEndOfWhatIsTooLarge has the last bytes of a job that is too large
// come when everything else has been read.
func TestBridgeFindsTheEndOfWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("h", 100_000)
	sent := newMoment()
	over := make(chan struct{})
	head := wire.HeaderSize + len("H:t:1") + 1 + len("reverse") + 1 + len("u") + 1
	s := geartest.Start(t, speaks(
		registers("reverse"), asks, geartest.SendPart(head+len(body)-5, wire.JobAssignUniq, "H:t:1", "reverse", "u", body),
		sent.steps(), geartest.SendRest(), excepts(t, "H:t:1", "100000"), geartest.Signal(over), rests,
	))
	b := startBridge(t, at(s.Addr()), limited(&workerpb.Limits{MaxData: 1000}))
	sent.then(t, func() {
		for range 5 {
			b.sync(t) // it reads each server once for each message
		}
	})
	testutil.Receive(t, "the answer", over)
}

// TestBridgeKnowsItsMemory answers a job that PHP's memory_limit has no room for: ended
// by PHP it would be given to the next worker, and so on.
func TestBridgeKnowsItsMemory(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := geartest.Start(t, speaks(
		registers("same"), asks, assigns("H:t:1", "same", strings.Repeat("h", 20<<20)), excepts(t, "H:t:1", "20971520", "memory_limit"),
		assigns("H:t:2", "same", strings.Repeat("h", 6<<20)),
		geartest.ExpectFunc(wire.WorkComplete, func(p wire.Packet) error {
			if len(p.Arg(1)) != 6<<20 {
				t.Errorf("%d bytes", len(p.Arg(1)))
			}
			return nil
		}), asks, geartest.Signal(over), rests,
	))
	startBridge(t, at(s.Addr()), performing("same"), set("memory_limit=32M"))
	testutil.Receive(t, "the answers", over)
}

// TestBridgeCarriesLargeJobs moves 20 MiB in and out, in whatever parts they come.
func TestBridgeCarriesLargeJobs(t *testing.T) {
	t.Parallel()
	g := testutil.StartGearmand(t)
	b := startBridge(t, at(g.Addr()), performing("same", "sized"))
	await[*workerpb.Event_Ready](t, b)
	c := jobtest.NewClient(t, g.Addr())
	const size = 20 << 20
	in := []byte(strings.Repeat("0123456789abcdef", size/16))
	out, err := c.Do(t.Context(), gearclient.Request{Function: "same", Workload: in})
	if err != nil || string(out) != string(in) {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	out, err = c.Do(t.Context(), gearclient.Request{Function: "sized", Workload: []byte(strconv.Itoa(size))})
	if err != nil || len(out) != size {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	b.drain(t)
	b.leaves(t, 2, 0)
}
