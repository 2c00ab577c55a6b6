package php_test

import (
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestBridgeIsEndedBeforeItsFirstJob by worker code: that is no retirement, which has a
// successor at once however often it happens, but an end that nobody planned.
func TestBridgeIsEndedBeforeItsFirstJob(t *testing.T) {
	t.Parallel()
	asleep := make(chan struct{})
	s := geartest.Start(t, speaks(registers("reverse"), idles, geartest.Signal(asleep), closes))
	b := startBridge(t, at(s.Addr()), with(func(req *workerpb.RunRequest) {
		req.Functions[0].Source.File = dataFile(t, "ends_idle.php")
	}))
	<-asleep
	if err := b.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	b.exits(t, 3)
	if got := await[*workerpb.Event_Log](t, b).Log; got.GetLevel() != 8 {
		t.Errorf("logged: %v", got)
	}
	for line := range b.lines {
		if ev := b.keep(t, line); ev.GetRetiring() != nil || ev.GetLeft() != nil {
			t.Errorf("said %v", ev)
		}
	}
}

// TestBridgeKillsItselfWithoutPosix, where it can only exit: it says no more than where
// it is killed, and the job is queued again.
func TestBridgeKillsItselfWithoutPosix(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{}) // longer than a step may take
	s := geartest.Start(t, speaks(
		registers("endless"), asks, assigns("H:t:1", "endless", ""), began("H:t:1"), rests, geartest.Signal(waiting),
	))
	b := startBridge(t, at(s.Addr()), bounded("endless", 1000, workerpb.OnTimeout_ON_TIMEOUT_REISSUE), set("disable_functions=posix_kill"))
	testutil.Receive(t, "the end of the connection", waiting)
	b.exits(t, 255)
	for line := range b.lines {
		if ev := b.keep(t, line); ev.GetRetiring() != nil || ev.GetLeft() != nil {
			t.Errorf("said %v", ev)
		}
	}
}
