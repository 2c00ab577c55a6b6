package fleet

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// stormKind is a pool of a kind whose workers are replaced after some jobs.
type stormKind struct{ name, function, lines string }

func stormKinds() []stormKind {
	return []stormKind{
		{"plugin", "goturn", "worker_dir = STORMS\ninclude = goturn\n[goturn]\ndedicated_only = 1\n"},
		{"php", "phpturn", "worker_dir = PHP/storm\ninclude = phpturn\n[phpturn]\ndedicated_only = 1\n"},
	}
}

// states counts the workers of a pool by state, as status shows them.
func (f *stormFleet) states(pool string) map[string]int {
	f.tb.Helper()
	n := map[string]int{}
	for _, w := range f.poolStatus(pool).Workers {
		n[w.State]++
	}
	return n
}

// poolStatus is what status says of a pool.
func (f *stormFleet) poolStatus(name string) control.Pool {
	f.tb.Helper()
	for _, p := range f.fleetStatus().Pools {
		if p.Name == name {
			return p
		}
	}
	f.tb.Fatalf("status does not know the pool %s", name)
	return control.Pool{}
}

// waitAlive waits until so many workers are alive, and returns them.
func (f *stormFleet) waitAlive(n int) map[int]string {
	f.tb.Helper()
	var alive map[int]string
	testutil.WaitFor(f.tb, fmt.Sprintf("%d workers to be alive", n), func() bool {
		alive, _ = f.census()
		return len(alive) == n
	})
	return alive
}

// killManager kills the manager.
func (f *stormFleet) killManager() {
	f.tb.Helper()
	f.signal(syscall.SIGKILL)
	f.waitExit()
}

// wantAnswer looks that a job is answered by one of the workers.
func (f *stormFleet) wantAnswer(a <-chan answer, by map[int]string) {
	f.tb.Helper()
	r := testutil.Receive(f.tb, "an answer", a)
	pid, _ := strconv.Atoi(r.text)
	if r.err != nil || by[pid] == "" {
		f.tb.Errorf("answered %q, %v; want a process of %v", r.text, r.err, by)
	}
}

// TestManagerKilledBesideStandby kills the manager of workers and a standby, which has
// nothing to finish and goes with them.
func TestManagerKilledBesideStandby(t *testing.T) {
	t.Parallel()
	for _, k := range stormKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newStorm(t)
			f.startStorm(k.lines + "max_runs_per_worker = 100\ndedicated_count = 2\n")
			f.waitRegistered(map[string]int{k.function: 2})
			testutil.WaitFor(t, "a standby", func() bool { return f.states(k.function)["standby"] == 1 })
			alive := f.waitAlive(3)
			a := f.async(k.function, "- 1")
			f.waitRunning(k.function, 1)
			f.killManager()
			f.wantAnswer(a, alive)
			f.waitNoPHP()
		})
	}
}

// TestManagerKilledWhileResting kills the manager of a worker that has done its last job
// and stays registered for its successor, which is being started.
func TestManagerKilledWhileResting(t *testing.T) {
	t.Parallel()
	for _, k := range stormKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newStorm(t)
			f.startStorm(k.lines+"max_runs_per_worker = 1\ndedicated_count = 1\n", "STORM_INIT=3s")
			f.waitRegistered(map[string]int{k.function: 1})
			pid, err := f.do(k.function, "- 0")
			if err != nil {
				t.Fatal(err)
			}
			states := f.states(k.function)
			if old, _ := strconv.Atoi(pid); hasGone(old) || states["draining"] != 1 || f.registered(k.function) != 1 {
				t.Errorf("%v, %d registered; want a worker that stays registered", states, f.registered(k.function))
			}
			f.killManager()
			f.waitNoPHP()
			if n := f.registered(k.function); n != 0 {
				t.Errorf("%d workers are registered", n)
			}
		})
	}
}

// hasGone tells whether a process has ended.
func hasGone(pid int) bool {
	_, state, ok := readChild(pid)
	return !ok || state.dead()
}

// TestManagerKilledStopping kills the manager that waits for jobs in hand after
// SIGTERM: they are answered all the same.
func TestManagerKilledStopping(t *testing.T) {
	t.Parallel()
	for _, k := range stormKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newStorm(t)
			f.startStorm(k.lines + "max_runs_per_worker = 100\ndedicated_count = 3\n")
			f.waitRegistered(map[string]int{k.function: 3})
			alive := f.waitAlive(4)
			a := f.async(k.function, "- 2")
			f.waitRunning(k.function, 1)
			f.signal(syscall.SIGTERM)
			f.waitAlive(1)
			f.killManager()
			f.wantAnswer(a, alive)
			f.waitNoPHP()
		})
	}
}

// TestManagerKilledWithoutForker kills the process from which PHP workers are forked,
// and then the manager.
func TestManagerKilledWithoutForker(t *testing.T) {
	t.Parallel()
	f := newStorm(t)
	f.startStorm("worker_dir = PHP/storm\ninclude = phpstay\ndedicated_count = 2\n")
	f.waitRegistered(map[string]int{"phpstay": 2})
	alive := f.waitAlive(2)
	a := f.async("phpstay", "- 2")
	f.waitRunning("phpstay", 1)
	f.kill(f.phpParent())
	testutil.WaitFor(t, "the parent of PHP workers to be gone", func() bool { return f.phpParent() == 0 })
	f.killManager()
	f.wantAnswer(a, alive)
	f.waitNoPHP()
}

// TestManagerKilledBesideStandalone kills the manager of programs that are workers by
// themselves: the kernel tells them to leave, and they finish their jobs first.
func TestManagerKilledBesideStandalone(t *testing.T) {
	t.Parallel()
	f := newStorm(t)
	f.startStorm("include = alone\n[alone]\ncommand = STORM alone alone\nmode = standalone\ncount = 3\n")
	alive := f.waitAlive(3)
	f.waitRegistered(map[string]int{"alone": 3})
	a := f.async("alone", "- 2")
	f.waitRunning("alone", 1)
	f.killManager()
	testutil.WaitFor(t, "the idle ones to be gone", func() bool { return len(f.everybody()) == 1 })
	f.wantAnswer(a, alive)
	f.waitNoPHP()
}

// TestManagerKilledBesideStopped kills the manager beside a worker that a signal has
// stopped in a job. The kernel ends what is stopped and has lost its parent, with SIGHUP,
// unless the new parent is of the same session; continued, the worker finishes the job.
// Either way the client is answered, at the latest by the next fleet.
func TestManagerKilledBesideStopped(t *testing.T) {
	t.Parallel()
	for _, k := range stormKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newStorm(t)
			ini := k.lines + "dedicated_count = 1\n"
			f.startStorm(ini)
			f.waitRegistered(map[string]int{k.function: 1})
			alive := f.waitAlive(1)
			a := f.async(k.function, "- 0.5")
			f.waitRunning(k.function, 1)
			f.each(alive, syscall.SIGSTOP)
			f.killManager()
			f.each(alive, syscall.SIGCONT)
			f.waitNoPHP()
			f.startStorm(ini)
			if r := testutil.Receive(t, "an answer", a); r.err != nil {
				t.Errorf("the job in hand: %v", r.err)
			}
			f.waitRegistered(map[string]int{k.function: 1})
			testutil.WaitFor(t, "what the dead manager left to be removed", func() bool { return len(f.dirs()) == 1 })
			f.stopStorm()
		})
	}
}

// each sends a signal to workers that have not gone.
func (f *stormFleet) each(workers map[int]string, signal syscall.Signal) {
	f.tb.Helper()
	for pid, name := range workers {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			f.tb.Errorf("%v of %s: %v", signal, name, err)
		}
	}
}

// TestNextManagerEndsLeftovers kills the manager, and stops two of its workers while they
// finish their jobs; another is deaf to the signal that tells it to leave. The next
// manager with the same runtime directory kills them when their grace is over, removes
// what its predecessor has left, and performs the jobs.
func TestNextManagerEndsLeftovers(t *testing.T) {
	t.Parallel()
	f := newStorm(t)
	const ini = "worker_dir = STORMS,PHP/storm\ninclude = gostay,phpstay,alone\ngraceful_shutdown_wait_time = 2\n" +
		"[gostay]\ndedicated_count = 2\n[phpstay]\ndedicated_count = 2\n[alone]\ncommand = STORM deaf alone\nmode = standalone\ncount = 1\n"
	all := map[string]int{"gostay": 2, "phpstay": 2, "alone": 1}
	f.startStorm(ini)
	f.waitRegistered(all)
	first := f.dirs()
	f.waitAlive(5)
	answers := []<-chan answer{f.async("gostay", "- 8"), f.async("phpstay", "- 8")}
	f.waitRunning("gostay", 1)
	f.waitRunning("phpstay", 1)
	f.killManager()
	var left map[int]string
	testutil.WaitFor(t, "the idle ones to be gone", func() bool {
		left = f.everybody()
		maps.DeleteFunc(left, func(_ int, cmd string) bool { return cmd == title+"php" }) // it leaves after the last of its own
		return len(left) == 3
	})
	f.each(left, syscall.SIGSTOP)
	f.startStorm(ini)
	took := testutil.WaitFor(t, "the leftovers to be gone", func() bool {
		for pid := range left {
			if !hasGone(pid) {
				return false
			}
		}
		_, err := os.Stat(first[0])
		return err != nil
	})
	t.Logf("leftovers gone %v after the start of the next manager", took)
	if took < time.Second {
		t.Errorf("they were gone after %v, and have a grace of 2 s", took)
	}
	for _, a := range answers {
		if r := testutil.Receive(t, "an answer", a); r.err != nil {
			t.Errorf("a job in hand: %v", r.err)
		}
	}
	f.waitRegistered(all)
	f.stopStorm()
}

// dirs are the directories of managers; there is one at least.
func (f *stormFleet) dirs() []string {
	f.tb.Helper()
	found, err := filepath.Glob(filepath.Join(f.runtime, "m*"))
	if err != nil || len(found) == 0 {
		f.tb.Fatalf("directories of managers: %v, %v", found, err)
	}
	return found
}
