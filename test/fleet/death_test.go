package fleet

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// TestEveryWorkerKilledInAJob kills every worker while it runs a job: another
// one does the job, the client gets its answer, and the fleet is whole again.
func TestEveryWorkerKilledInAJob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, ini, function string }{
		{"plugin", "[GearmanManager]\nworker_dir = PLUGINS\nhost = SERVER\ninclude = sleep\ndedicated_count = 4\n", "sleep"},
		{"exec", "[GearmanManager]\nworker_dir = EXAMPLES\nhost = SERVER\ninclude = nap\n[nap]\ncommand = sh -c 'sleep 1; echo $$'\ndedicated_count = 4\n", "nap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			f.start(c.ini)
			f.waitRegistered(map[string]int{c.function: 4})
			var answers []<-chan answer
			for range 4 {
				answers = append(answers, f.async(c.function, "1000"))
			}
			f.waitRunning(c.function, 4)
			before := f.workers()
			for name, pid := range before {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Errorf("kill %s: %v", name, err)
				}
			}
			took := testutil.WaitFor(t, "the fleet to be whole again", func() bool {
				now := f.workers()
				for name, pid := range before {
					if now[name] == 0 || now[name] == pid {
						return false
					}
				}
				return f.registered(c.function) == 4
			})
			t.Logf("whole again after %v", took)
			if took > 10*time.Second {
				t.Errorf("the fleet was whole again after %v; 1 s is wanted and ten times that allowed", took)
			}
			for i, a := range answers {
				if r := <-a; r.err != nil {
					t.Errorf("job %d: %v", i, r.err)
				}
			}
			if n := len(f.workers()); n != len(before) {
				t.Errorf("%d workers, want %d: %v", n, len(before), f.workers())
			}
		})
	}
}

// TestManagerKilledInJobs kills the manager: its workers finish and answer
// what they have in hand, then none is left.
func TestManagerKilledInJobs(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.start("[GearmanManager]\nworker_dir = PLUGINS\nhost = SERVER\ninclude = sleep\ndedicated_count = 3\n")
	f.waitRegistered(map[string]int{"sleep": 3})
	pids := map[string]bool{}
	for _, pid := range f.workers() {
		pids[fmt.Sprint(pid)] = true
	}
	var answers []<-chan answer
	for range 2 {
		answers = append(answers, f.async("sleep", "1500"))
	}
	f.waitRunning("sleep", 2)
	f.signal(syscall.SIGKILL)
	f.waitExit()
	for i, a := range answers {
		if r := <-a; r.err != nil || !pids[r.text] {
			t.Errorf("job %d: answered %q, %v; want a process of %v that finishes", i, r.text, r.err, pids)
		}
	}
	took := f.waitNobody()
	t.Logf("nobody left %v after the last answer", took)
	if f.registered("sleep") != 0 {
		t.Error("workers are still registered")
	}
}

// TestManagerKilledAtAnyMoment kills the manager while workers start, idle,
// and print a megabyte in a job: no job is lost, no process is left.
func TestManagerKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	plugin := "[GearmanManager]\nworker_dir = PLUGINS\nhost = SERVER\ninclude = flood\ndedicated_count = 2\n"
	executable := "[GearmanManager]\nworker_dir = EXAMPLES\nhost = SERVER\ninclude = flood\n" +
		"[flood]\ndedicated_count = 2\ncommand = sh -c 'for i in 1 2 3 4; do head -c 262144 /dev/zero | tr \"\\0\" x >&2; sleep 0.3; done; echo flooded'\n"
	for name, ini := range map[string]string{"plugin": plugin, "exec": executable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("between start and ready", func(t *testing.T) { t.Parallel(); killedStarting(t, ini) })
			t.Run("idle", func(t *testing.T) { t.Parallel(); killedIdle(t, ini) })
			t.Run("in a job that prints", func(t *testing.T) { t.Parallel(); killedPrinting(t, ini) })
		})
	}
}

func killedStarting(t *testing.T, ini string) {
	t.Helper()
	f := newFleet(t)
	f.start(ini, "TORTURE_INIT=2s")
	testutil.WaitFor(t, "the workers' processes", func() bool { return len(f.workers()) > 0 })
	f.signal(syscall.SIGKILL)
	f.waitExit()
	f.waitNobody()
}

func killedIdle(t *testing.T, ini string) {
	t.Helper()
	f := newFleet(t)
	f.start(ini)
	f.waitRegistered(map[string]int{"flood": 2})
	f.signal(syscall.SIGKILL)
	f.waitExit()
	f.waitNobody()
	// A job that comes now is done by the next manager.
	a := f.async("flood", "later")
	f.start(ini)
	if r := <-a; r.err != nil || !strings.HasPrefix(r.text, "flooded") {
		t.Errorf("the job after the kill: %q, %v", r.text, r.err)
	}
}

func killedPrinting(t *testing.T, ini string) {
	t.Helper()
	f := newFleet(t)
	f.start(ini)
	f.waitRegistered(map[string]int{"flood": 2})
	a := f.async("flood", "now")
	f.waitRunning("flood", 1)
	f.signal(syscall.SIGKILL)
	f.waitExit()
	if r := <-a; r.err != nil || !strings.HasPrefix(r.text, "flooded") {
		t.Errorf("the job in hand: %q, %v", r.text, r.err)
	}
	f.waitNobody()
}

// TestJobThatKillsItsWorker has a job that kills whoever performs it: it is
// answered with an exception after its attempts, and good ones beside it are
// not hurt.
func TestJobThatKillsItsWorker(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.start("[GearmanManager]\nworker_dir = PLUGINS\nhost = SERVER\ninclude = die,echo\ncount = 3\n")
	f.waitRegistered(map[string]int{"echo": 3, "die": 3})
	for _, how := range []string{"exit", "kill"} {
		bad := f.async("die", how)
		for i := range 50 {
			text, err := f.do("echo", fmt.Sprint(i))
			if err != nil || text != fmt.Sprint(i) {
				t.Errorf("good job %d: %q, %v", i, text, err)
			}
		}
		if r := <-bad; r.err == nil {
			t.Errorf("a job that kills its worker was answered with %q", r.text)
		} else {
			t.Logf("%s: %v", how, r.err)
		}
		f.waitRegistered(map[string]int{"echo": 3, "die": 3})
	}
	if n := len(f.workers()); n != 3 {
		t.Errorf("%d workers, want 3: %v", n, maps.Collect(maps.All(f.workers())))
	}
}
