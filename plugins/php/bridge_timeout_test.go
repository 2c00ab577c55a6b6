package php_test

import (
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// bounded makes a worker of one function that may take so long.
func bounded(name string, milliseconds uint64, then workerpb.OnTimeout) bridgeOption {
	return with(func(req *workerpb.RunRequest) {
		req.Functions = jobs(name)
		req.Functions[0].TimeoutMs = milliseconds
		req.Functions[0].OnTimeout = then
	})
}

// TestBridgeEndsALongJob answers it at its timeout, and leaves.
func TestBridgeEndsALongJob(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, speaks(
		registers("endless"), asks, assigns("H:t:1", "endless", ""), began("H:t:1"), exceptsAlone(t, "H:t:1", "timed out after 0.7s"), closes,
	))
	b := startBridge(t, at(s.Addr()), bounded("endless", 700, workerpb.OnTimeout_ON_TIMEOUT_FAIL))
	if got := await[*workerpb.Event_Retiring](t, b).Retiring.GetReason(); got != "timeout" {
		t.Errorf("retires: %s", got)
	}
	b.leaves(t, 1, 1)
}

// TestBridgeInTime leaves nothing behind of the timeout of a job that was in time.
func TestBridgeInTime(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := geartest.Start(t, speaks(
		registers("late"), asks, assigns("H:t:1", "late", "10"), completes("H:t:1", "late"),
		assigns("H:t:2", "late", "700"), completes("H:t:2", "late"),
		assigns("H:t:3", "late", "700"), completes("H:t:3", "late"), geartest.Signal(over), rests,
	))
	startBridge(t, at(s.Addr()), bounded("late", 2000, workerpb.OnTimeout_ON_TIMEOUT_FAIL))
	testutil.Receive(t, "the answers", over)
}

// TestBridgeHearsAJobThatYields sends what a job returns that has caught its timeout.
func TestBridgeHearsAJobThatYields(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := geartest.Start(t, speaks(
		registers("yields"), asks, assigns("H:t:1", "yields", ""), completes("H:t:1", "as far as it came"),
		assigns("H:t:2", "yields", ""), completes("H:t:2", "as far as it came"), geartest.Signal(over), rests,
	))
	startBridge(t, at(s.Addr()), bounded("yields", 500, workerpb.OnTimeout_ON_TIMEOUT_FAIL))
	testutil.Receive(t, "the answers", over)
}

// TestBridgeKillsItself ends a worker whose job goes on whatever is thrown at it, though
// no manager does it: it says nothing more, and the job is queued again.
func TestBridgeKillsItself(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		function string
		then     workerpb.OnTimeout
		packets  []geartest.Step
	}{
		"stubborn": {"stubborn", workerpb.OnTimeout_ON_TIMEOUT_FAIL, steps(geartest.Expect(wire.WorkWarning, "H:t:1", "timed out after 1s"))},
		"reissue":  {"endless", workerpb.OnTimeout_ON_TIMEOUT_REISSUE, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waiting := make(chan struct{}) // longer than a step may take
			s := geartest.Start(t, speaks(
				registers(c.function), asks, assigns("H:t:1", c.function, ""), began("H:t:1"), c.packets, rests, geartest.Signal(waiting),
			))
			b := startBridge(t, at(s.Addr()), bounded(c.function, 1000, c.then))
			testutil.Receive(t, "the end of the connection", waiting)
			b.exits(t, -1) // by a signal
		})
	}
}

// TestBridgeEndsAJobBetweenPackets has the timeout come while a job sends more than the
// connection takes: no packet is cut.
func TestBridgeEndsAJobBetweenPackets(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s := geartest.Start(t, speaks(
		registers("talks"), asks, assigns("H:t:1", "talks", ""),
		geartest.ExpectFunc(wire.WorkData, func(wire.Packet) error { return nil }),
		geartest.Loop(geartest.Answer(func(p wire.Packet) []wire.Packet {
			if p.Type == wire.WorkException {
				close(ended)
			} else if p.Type != wire.WorkData || len(p.Arg(1)) != 3000000 {
				t.Errorf("got %v", p.Type)
			}
			return nil
		})),
	))
	b := startBridge(t, at(s.Addr()), bounded("talks", 1000, workerpb.OnTimeout_ON_TIMEOUT_FAIL))
	testutil.Receive(t, "the exception", ended)
	b.leaves(t, 1, 1)
}

// TestBridgeWithoutAlarms leaves timeouts to the manager where PHP has no alarms.
func TestBridgeWithoutAlarms(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s := geartest.Start(t, speaks(
		registers("late"), asks, assigns("H:t:1", "late", "1300"), completes("H:t:1", "late"), geartest.Signal(over), rests,
	))
	startBridge(t, at(s.Addr()), bounded("late", 500, workerpb.OnTimeout_ON_TIMEOUT_FAIL), set("disable_functions=pcntl_alarm,socket_import_stream"))
	testutil.Receive(t, "the answer", over)
}
