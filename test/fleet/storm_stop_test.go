package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// background submits a job that nobody waits for.
func (f *stormFleet) background(function, workload string) {
	f.tb.Helper()
	if _, err := f.client.Background(f.ctx(), gearclient.Request{Function: function, Workload: []byte(workload)}); err != nil {
		f.tb.Fatal(err)
	}
}

// waitLogged waits until the log holds a text.
func (f *stormFleet) waitLogged(text string) {
	f.tb.Helper()
	testutil.WaitFor(f.tb, fmt.Sprintf("the log to say %s", text), func() bool { return strings.Contains(f.log.String(), text) })
}

// wantExit looks that the manager has ended as it should.
func (f *stormFleet) wantExit() {
	f.tb.Helper()
	f.waitExit()
	if code := f.cmd.ProcessState.ExitCode(); code != 0 {
		f.tb.Errorf("exit code %d, want 0", code)
	}
	f.waitNoPHP()
}

// stopPools are functions of all kinds, each once with a short grace and once with a
// long one.
func stopPools(short, long int) string {
	return fmt.Sprintf("worker_dir = STORMS,PHP/storm\ninclude = gostay,goturn,phpstay,phpturn,execone,execfour\n"+
		"[gostay]\ndedicated_count = 1\ngraceful_shutdown_wait_time = %[1]d\n[goturn]\ndedicated_count = 2\ngraceful_shutdown_wait_time = %[2]d\n"+
		"[phpstay]\ndedicated_count = 1\ngraceful_shutdown_wait_time = %[1]d\n[phpturn]\ndedicated_count = 2\ngraceful_shutdown_wait_time = %[2]d\n"+
		"[execone]\ncommand = sh PERFORM\ndedicated_count = 1\ngraceful_shutdown_wait_time = %[1]d\n"+
		"[execfour]\ncommand = sh PERFORM\ndedicated_count = 2\ngraceful_shutdown_wait_time = %[2]d\n", short, long)
}

// waitStopPools waits until all of them are registered.
func (f *stormFleet) waitStopPools() {
	f.tb.Helper()
	f.waitRegistered(map[string]int{"gostay": 1, "goturn": 2, "phpstay": 1, "phpturn": 2, "execone": 1, "execfour": 2})
}

// TestStopEachItsGrace stops a fleet in which each worker has a job that takes a minute,
// or two seconds: each function's jobs have the grace of that function, what is done in
// it is answered, and the rest goes back to the queue. What an executable has started
// dies with it.
func TestStopEachItsGrace(t *testing.T) {
	t.Parallel()
	f := newStorm(t)
	f.startStorm(stopPools(1, 5))
	f.waitStopPools()
	answers := map[string]<-chan answer{}
	for _, function := range []string{"gostay", "phpstay", "execone", "goturn", "phpturn", "execfour"} {
		f.background(function, "- 60")
		f.waitRunning(function, 1)
	}
	for _, function := range []string{"goturn", "phpturn", "execfour"} {
		answers[function] = f.async(function, "- 2")
		f.waitRunning(function, 2)
	}
	f.signal(syscall.SIGTERM)
	began := time.Now()
	testutil.WaitFor(t, "the workers with the short grace to be gone", func() bool {
		alive, _ := f.census()
		n := byPool(alive)
		if n["goturn"]+n["phpturn"]+n["execfour"] < 3 {
			t.Fatalf("%v after %v: a job of those with a grace of 5 s was not waited for", n, time.Since(began))
		}
		return n["gostay"]+n["phpstay"]+n["execone"] == 0
	})
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("killed after %v, and the grace is 1 s", took)
	}
	for function, a := range answers {
		if r := testutil.Receive(t, "an answer", a); r.err != nil {
			t.Errorf("a job of %s that was done in time: %v", function, r.err)
		}
	}
	f.wantExit()
	if took := time.Since(began); took < 4900*time.Millisecond {
		t.Errorf("all were gone after %v, and the longest grace is 5 s", took)
	}
	for _, s := range f.status() {
		if want := strings.TrimRight(fmt.Sprint(s.Total, s.Running), " "); want != "1 0" {
			t.Errorf("%s: %d jobs, %d running; want the one that was not done, queued again", s.Function, s.Total, s.Running)
		}
	}
}

// TestStopTwice stops a fleet with jobs of a minute, for which there is time, and then
// tells it to hurry: one second is left.
func TestStopTwice(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			t.Parallel()
			f := newStorm(t)
			f.startBusy()
			done := []<-chan answer{f.async("goturn", "- 1"), f.async("phpturn", "- 1"), f.async("execfour", "- 1")}
			f.waitRunning("goturn", 2)
			f.signal(syscall.SIGTERM)
			for _, a := range done {
				if r := testutil.Receive(t, "an answer", a); r.err != nil {
					t.Errorf("a job that was done in time: %v", r.err)
				}
			}
			f.signal(second)
			began := time.Now()
			f.wantExit()
			took := time.Since(began)
			t.Logf("ended %v after the second signal", took)
			if took < 900*time.Millisecond || took > 10*time.Second {
				t.Errorf("ended %v after the second signal, want 1 s", took)
			}
		})
	}
}

// startBusy starts a fleet in which each function has a job of a minute.
func (f *stormFleet) startBusy() {
	f.tb.Helper()
	f.startStorm(stopPools(60, 60))
	f.waitStopPools()
	for _, function := range []string{"gostay", "phpstay", "execone", "goturn", "phpturn", "execfour"} {
		f.background(function, "- 60")
		f.waitRunning(function, 1)
	}
}

// TestStopAtOnce tells a busy fleet five times to stop: nothing is waited for. It is
// tried again where the machine was too busy to tell it so soon.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	var took time.Duration
	for range 3 {
		if took = stopAtOnce(t); took < time.Second {
			return
		}
	}
	t.Errorf("ended %v after the second signal, by the fifth: not before the second that all have after the second signal was over", took)
}

// stopAtOnce says how long after the second signal the manager ended.
func stopAtOnce(t *testing.T) time.Duration {
	t.Helper()
	f := newStorm(t)
	f.startBusy()
	f.signal(syscall.SIGTERM)
	f.waitLogged(`"fleet stops"`)
	began := time.Now()
	for n := 1; n <= 4; n++ {
		f.signal(syscall.SIGINT)
		f.waitLogged(fmt.Sprintf(`"hurry":%d`, n))
	}
	f.wantExit()
	took := time.Since(began)
	t.Logf("ended %v after the second signal, by the fifth", took)
	return took
}

// leaver is a function whose jobs leave a process behind, and answer its number.
type leaver struct{ name, ini, function, workload string }

func leavers() []leaver {
	return []leaver{
		{"plugin", "worker_dir = STORMS\ninclude = gospawn\ndedicated_count = 1\n", "gospawn", "97"},
		{"php", "worker_dir = PHP/workers\ninclude = conduct\ndedicated_count = 1\n", "conduct", `exec("sleep 97 > /dev/null 2>&1 < /dev/null & echo $!", $out); return $out[0];`},
		{"exec", "include = leave\ndedicated_count = 1\n[leave]\ncommand = sh -c 'sleep 97 > /dev/null 2>&1 < /dev/null & echo $!'\n", "leave", ""},
	}
}

// leave has a job leave a process behind, which the end of the test kills.
func (f *stormFleet) leave(l leaver) int {
	f.tb.Helper()
	text, err := f.do(l.function, l.workload)
	pid, _ := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || pid < 2 {
		f.tb.Fatalf("the job said %q, %v, want a process id", text, err)
	}
	f.tb.Cleanup(func() {
		if !hasGone(pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return pid
}

// TestGroupDies has jobs leave processes behind: they are killed with the worker, or,
// where each job is a process of its own, with the job.
func TestGroupDies(t *testing.T) {
	t.Parallel()
	for _, l := range leavers() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			f := newStorm(t)
			f.startStorm(l.ini)
			f.waitRegistered(map[string]int{l.function: 1})
			alive := f.waitAlive(1)
			pid := f.leave(l)
			f.each(alive, syscall.SIGKILL)
			testutil.WaitFor(t, "what the job has left to be killed with its worker", func() bool { return hasGone(pid) })
			f.waitAlive(1)
			f.waitRegistered(map[string]int{l.function: 1})
			pid = f.leave(l)
			f.stopStorm()
			if !hasGone(pid) {
				t.Error("what the job has left outlives the fleet")
			}
		})
	}
}

// TestGroupSpared does the same where kill_group is off: what jobs have left outlives
// their workers, and the fleet.
func TestGroupSpared(t *testing.T) {
	t.Parallel()
	for _, l := range leavers() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			f := newStorm(t)
			f.startStorm("kill_group = off\n" + l.ini)
			f.waitRegistered(map[string]int{l.function: 1})
			alive := f.waitAlive(1)
			pids := []int{f.leave(l)}
			f.each(alive, syscall.SIGKILL)
			testutil.WaitFor(t, "another worker", func() bool {
				now, _ := f.census()
				for pid := range alive {
					delete(now, pid)
				}
				return len(now) == 1
			})
			f.waitRegistered(map[string]int{l.function: 1})
			pids = append(pids, f.leave(l))
			f.signal(syscall.SIGTERM)
			f.waitExit()
			for i, pid := range pids {
				if hasGone(pid) {
					t.Errorf("what job %d has left was killed", i+1)
				}
			}
		})
	}
}
