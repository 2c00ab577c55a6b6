package supervisor_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// changes is what OnStopped was called with, by process.
type changes struct {
	mu  sync.Mutex
	all map[int][]bool
}

func (c *changes) add(p *supervisor.Process, stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[p.PID()] = append(c.all[p.PID()], stopped)
}

func (c *changes) of(pid int) []bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]bool(nil), c.all[pid]...)
}

func mustSignal(t *testing.T, p *supervisor.Process, sig syscall.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func awaitChanges(t *testing.T, p *supervisor.Process, want ...bool) {
	t.Helper()
	testutil.WaitFor(t, fmt.Sprintf("changes %v of %s", want, p.Name()), func() bool {
		return reflect.DeepEqual(stops.of(p.PID()), want)
	})
	if last := want[len(want)-1]; p.Stopped() != last {
		t.Errorf("Stopped says %v after %v", p.Stopped(), want)
	}
}

func TestAStoppedProcessIsTold(t *testing.T) {
	t.Parallel()
	p, _ := startReady(t, child("block"))
	if p.Stopped() {
		t.Error("stopped from the start")
	}
	mustSignal(t, p, syscall.SIGSTOP)
	awaitChanges(t, p, true)
	mustSignal(t, p, syscall.SIGCONT)
	awaitChanges(t, p, true, false)
	mustSignal(t, p, syscall.SIGSTOP)
	awaitChanges(t, p, true, false, true)
	_ = p.Kill()
	if e := wait(t, p); e.Signal != syscall.SIGKILL {
		t.Error(e)
	}
	if p.Stopped() {
		t.Error("stopped after its end")
	}
	if got := stops.of(p.PID()); len(got) != 3 {
		t.Errorf("its end was told as %v", got)
	}
}

func TestAProcessThatStopsItself(t *testing.T) {
	t.Parallel()
	spec := sh("kill -STOP $$; exit 7")
	p := start(t, spec)
	awaitChanges(t, p, true)
	mustSignal(t, p, syscall.SIGCONT)
	if e := wait(t, p); e.Code != 7 {
		t.Error(e)
	}
}

// The statuses of many that end beside many that are stopped are exact.
func TestStopsDisturbNoExits(t *testing.T) {
	t.Parallel()
	var all []*supervisor.Process
	for i := range 60 {
		all = append(all, start(t, sh(fmt.Sprintf("kill -STOP $$; exit %d", i))))
	}
	for _, p := range all {
		testutil.WaitFor(t, "the stop of one of many", p.Stopped)
		mustSignal(t, p, syscall.SIGCONT)
	}
	for i, p := range all {
		if e := wait(t, p); e.Code != i {
			t.Errorf("exit %d: %v", i, e)
		}
	}
}

// A child that is stopped while its start is in progress, when its number is not
// known, is told as soon as it is.
func TestStoppedBeforeItIsKnown(t *testing.T) {
	t.Parallel()
	pid, record := shared.StartByHand(func() int {
		return spawn("block", &syscall.SysProcAttr{Setpgid: true})
	})
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	testutil.WaitFor(t, "the reaper to see a stranger", shared.SawStranger)
	p := record()
	awaitChanges(t, p, true)
	_ = p.Kill()
	wait(t, p)
}

func TestAdoptedWhenStopped(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	e := expect(t)
	pid := f.mustFork(t, "lives", 0)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	testutil.WaitFor(t, "the stop", func() bool { return stateOf(pid) == 'T' })
	p, err := e.Adopt(pid, supervisor.Adoption{Name: "stopped"})
	if err != nil {
		t.Fatal(err)
	}
	awaitChanges(t, p, true)
	_ = p.Kill()
	wait(t, p)
}

func TestAdoptedAndNotStopped(t *testing.T) {
	t.Parallel()
	f := newForker(t)
	p := adopted(t, f, "lives", 0)
	other, _ := startReady(t, child("block"))
	mustSignal(t, other, syscall.SIGSTOP)
	awaitChanges(t, other, true) // the reaper has looked at the other by then
	if got := stops.of(p.PID()); p.Stopped() || len(got) > 0 {
		t.Errorf("stopped: %v, told %v", p.Stopped(), got)
	}
	mustSignal(t, p, syscall.SIGSTOP)
	awaitChanges(t, p, true)
	mustSignal(t, p, syscall.SIGCONT)
	awaitChanges(t, p, true, false)
	_ = p.Kill()
	wait(t, p)
}

func stateOf(pid int) byte {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, found := strings.Cut(string(data), ") ")
	if err != nil || !found {
		return 0
	}
	return rest[0]
}

// What a debugger does to a process is no stop of it.
func TestADebuggedProcessIsNotStopped(t *testing.T) {
	t.Parallel()
	p, _ := startReady(t, child("block"))
	debugger, _ := startReady(t, child("debug", fmt.Sprint(p.PID())))
	if state := stateOf(p.PID()); state != 't' {
		t.Fatalf("the debugged process is in state %c", state)
	}
	// The reaper has looked again since.
	other, _ := startReady(t, child("block"))
	mustSignal(t, other, syscall.SIGSTOP)
	awaitChanges(t, other, true)
	if got := stops.of(p.PID()); p.Stopped() || len(got) > 0 {
		t.Errorf("the debugged process: %v, told %v", p.Stopped(), got)
	}
	_ = debugger.Kill()
	wait(t, debugger)
	mustSignal(t, p, syscall.SIGSTOP)
	awaitChanges(t, p, true)
}

// debug attaches to a process as a debugger does and lets it hang.
func debug(args []string) int {
	pid := number(args[0])
	if err := syscall.PtraceAttach(pid); err != nil {
		complain("attach: %v", err)
		return 1
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WALL, nil); err != nil || !status.Stopped() {
		complain("wait: %v, %v", status, err)
		return 1
	}
	ready()
	return forever()
}
