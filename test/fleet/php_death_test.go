package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// whole is how long a fleet may take to be whole again: 1 s is wanted, and ten
// times that allowed.
const whole = 10 * time.Second

// phpDeath is a way in which dies.php ends a job.
type phpDeath struct {
	how      string
	says     []string // what the client and the log are told
	replaced bool     // whether the worker must be another one afterwards
}

// phpDeaths are those that the client hears of by an exception.
func phpDeaths() []phpDeath {
	return []phpDeath{
		{how: "exception", says: []string{"boo from an exception", "dies.php", "8"}},
		{how: "nested", says: []string{"boo from outside", "dies.php", "13"}},
		{how: "error", says: []string{"no_such_function", "dies.php", "16"}},
		{how: "type", says: []string{"strlen", "dies.php", "18"}},
		{how: "zero", says: []string{"Division by zero", "dies.php", "20"}},
		{how: "fatal", says: []string{"redeclare dies", "dies.php"}, replaced: true},
		{how: "memory", says: []string{"memory size", "dies.php", "25"}, replaced: true},
		{how: "recursion", says: []string{"memory size", "dies.php"}, replaced: true},
		{how: "exit", says: []string{"exit"}, replaced: true},
		{how: "status", says: []string{"exit"}, replaced: true},
		{how: "text", says: []string{"exit"}, replaced: true},
		{how: "buffer", says: []string{"exit"}, replaced: true},
		{how: "user error", says: []string{"boo from the user", "dies.php", "41"}, replaced: true},
		{how: "time", says: []string{"Maximum execution time", "dies.php"}, replaced: true},
		{how: "segv", says: nil, replaced: true},
	}
}

// TestPHPDeaths ends jobs in every way in which they should not: the client is
// told, and the fleet is whole soon.
func TestPHPDeaths(t *testing.T) {
	t.Parallel()
	for _, setup := range phpSetups() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = dies,reverse\n[dies]\ndedicated_count = 1\n")
			f.waitAll("dies,reverse", 1)
			other := f.phpWorkers()["reverse/1"]
			for _, death := range phpDeaths() {
				f.checkDeath(death)
			}
			f.waitLog("boo from an exception", "#0 ", "boo from the user", "bye and thanks")
			if got := f.trace("dies", "answered"); fmt.Sprint(got) != "[complete answered before]" {
				t.Errorf("a job that exits after its answer: %q", got)
			}
			f.wantPHP("reverse", "abc", "cba")
			if now := f.phpWorkers()["reverse/1"]; now != other {
				t.Errorf("the worker of another function was replaced: %d became %d", other, now)
			}
			f.stopPHP()
		})
	}
}

// checkDeath ends a job and looks at what the client is told, and at who does
// the next one.
func (f *phpFleet) checkDeath(death phpDeath) {
	f.tb.Helper()
	before, err := f.do("dies", "pid")
	if err != nil {
		f.tb.Errorf("%s: before: %v", death.how, err)
	}
	said := f.trace("dies", death.how)
	last := said[len(said)-1]
	for _, text := range death.says {
		if !strings.HasPrefix(last, "exception ") || !strings.Contains(last, text) {
			f.tb.Errorf("%s: the client was told %q, want an exception with %q", death.how, said, text)
		}
	}
	began := time.Now()
	after, err := f.do("dies", "pid")
	if took := time.Since(began); err != nil || took > whole {
		f.tb.Errorf("%s: the next job was done after %v: %v", death.how, took, err)
	} else if death.replaced {
		f.tb.Logf("%s: the next job was done after %v; the client was told %q", death.how, took, last)
	}
	if death.replaced && before == after || death.how == "exception" && before != after {
		f.tb.Errorf("%s: the worker was %s and is %s, which is wrong", death.how, before, after)
	}
}

// TestPHPChildrenOfJobs has a job fork: what becomes of the child is not the
// job's end.
func TestPHPChildrenOfJobs(t *testing.T) {
	t.Parallel()
	for _, setup := range phpSetups() {
		if setup.lack == "pcntl_fork" {
			continue
		}
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = dies\n")
			f.waitAll("dies", 1)
			before := f.phpWorkers()["dies/1"]
			f.wantPHP("dies", "fork", "the parent of a child that ended with 5")
			if got, err := f.do("dies", "stray"); err != nil || !strings.HasPrefix(got, "the parent of a child") {
				t.Errorf("a job whose child returns: %q, %v", got, err)
			}
			f.wantPHP("dies", "pid", strconv.Itoa(before))
			f.stopPHP()
		})
	}
}

// TestPHPWorkerKilled kills every worker in a job: others do the jobs, and the
// fleet is whole soon.
func TestPHPWorkerKilled(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = nap\ndedicated_count = 4\n")
			f.waitAll("nap", 4)
			var answers []<-chan answer
			for range 4 {
				answers = append(answers, f.async("nap", "500"))
			}
			f.waitRunning("nap", 4)
			f.killAll("nap", 4)
			for i, a := range answers {
				if r := <-a; r.err != nil {
					t.Errorf("job %d: %v", i, r.err)
				}
			}
			f.stopPHP()
		})
	}
}

// killAll kills all workers of the fleet, which are so many and perform one
// function, and waits until others stand in for them.
func (f *phpFleet) killAll(function string, n int) {
	f.tb.Helper()
	before := f.phpWorkers()
	if len(before) != n {
		f.tb.Fatalf("workers: %v, want %d", before, n)
	}
	for _, pid := range before {
		f.kill(pid)
	}
	took := testutil.WaitFor(f.tb, "the fleet to be whole again", func() bool {
		now := f.phpWorkers()
		for name, pid := range before {
			if now[name] == 0 || now[name] == pid {
				return false
			}
		}
		return f.registered(function) == n
	})
	f.tb.Logf("whole again after %v", took)
	if took > whole {
		f.tb.Errorf("whole again after %v, 1 s is wanted and ten times that allowed", took)
	}
}

// TestPHPWorkerKilledInShell kills a worker that waits for a shell which has
// inherited its connections: the job runs again before the shell is done.
func TestPHPWorkerKilledInShell(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = shell\ndedicated_count = 2\n")
			f.waitAll("shell", 2)
			note := filepath.Join(f.dir, "note")
			a := f.async("shell", note)
			f.kill(f.waitNote(note))
			began := time.Now()
			r := <-a
			if took := time.Since(began); r.err != nil || r.text != "again" || took > 5*time.Second {
				t.Errorf("%q, %v after %v; want another worker's answer at once, while the shell would sleep for 6 s", r.text, r.err, took)
			} else {
				t.Logf("ran again %v after the kill", took)
			}
			f.waitAll("shell", 2)
			f.stopPHP()
		})
	}
}

// TestPHPWorkersKilledUnderLoad kills a worker again and again, and once the
// process from which they are forked, while jobs are done: each is answered.
func TestPHPWorkersKilledUnderLoad(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = nap\ndedicated_count = 4\njob_attempts = 0\nverbose = 1\n")
			f.waitAll("nap", 4)
			var answers []<-chan answer
			for range 400 {
				answers = append(answers, f.async("nap", "10"))
			}
			for i := range 20 {
				f.waitSomeDone(answers, 15*i)
				for _, pid := range f.phpWorkers() {
					_ = syscall.Kill(pid, syscall.SIGKILL) // it may have gone
					break
				}
				if parent := f.phpParent(); i == 10 && parent != 0 {
					f.kill(parent)
				}
			}
			for i, a := range answers {
				if r := testutil.Receive(t, "an answer", a); r.err != nil {
					t.Errorf("job %d: %v", i, r.err)
				}
			}
			f.waitAll("nap", 4)
			f.stopPHP()
		})
	}
}

// waitSomeDone waits until so many of the answers are there.
func (f *phpFleet) waitSomeDone(answers []<-chan answer, n int) {
	f.tb.Helper()
	testutil.WaitFor(f.tb, fmt.Sprintf("%d jobs to be done", n), func() bool {
		done := 0
		for _, a := range answers {
			done += len(a)
		}
		return done >= n
	})
}

// waitNote waits for the process that a job notes, and for the shell that it
// starts then.
func (f *phpFleet) waitNote(note string) int {
	f.tb.Helper()
	var pid int
	testutil.WaitFor(f.tb, "a shell to sleep", func() bool {
		text, _ := os.ReadFile(note) // it is not there yet
		pid, _ = strconv.Atoi(string(text))
		for _, p := range f.phpProcesses() {
			if pid > 0 && p.Cmd == "sleep 6" {
				return true
			}
		}
		return false
	})
	return pid
}

// TestPHPParentKilled kills the process from which workers are forked, in jobs:
// no worker goes with it, and there are successors afterwards.
func TestPHPParentKilled(t *testing.T) {
	t.Parallel()
	f := newPHPFleet(t)
	f.startPHP(phpSetup{}, "worker_dir = PHP/workers\ninclude = nap\ndedicated_count = 3\n")
	f.waitAll("nap", 3)
	before := f.phpWorkers()
	a := f.async("nap", "500")
	f.waitRunning("nap", 1)
	parent := f.phpParent()
	if parent == 0 {
		t.Fatalf("no process is %sphp: %+v", title, f.phpProcesses())
	}
	f.kill(parent)
	testutil.WaitFor(t, "the parent to be gone", func() bool { return f.phpParent() != parent })
	if r := <-a; r.err != nil {
		t.Errorf("the job in hand: %v", r.err)
	}
	if now := f.phpWorkers(); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("workers were %v and are %v", before, now)
	}
	f.killAll("nap", 3)
	f.stopPHP()
}

// TestPHPFatalWithoutManager has jobs end badly after the manager was killed:
// the client is told all the same.
func TestPHPFatalWithoutManager(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		for _, c := range []struct{ name, code, want string }{
			{"exception", `trigger_error("a warning", E_USER_WARNING); throw new Exception("boo");`, "boo"},
			{"memory", `ini_set("memory_limit", "32M"); return strlen(str_repeat("x", 64 << 20));`, "memory size"},
			{"exit", `error_log("leaving"); exit(1);`, "exit"},
		} {
			t.Run(setup.name+" "+c.name, func(t *testing.T) {
				t.Parallel()
				f := newPHPFleet(t)
				f.startPHP(setup, "worker_dir = PHP/workers\ninclude = conduct\n")
				f.waitAll("conduct", 1)
				wait := fmt.Sprintf(`while (!file_exists(%q)) { usleep(5000); clearstatcache(); } `, filepath.Join(f.dir, "killed"))
				a := f.async("conduct", wait+c.code)
				f.waitRunning("conduct", 1)
				f.signal(syscall.SIGKILL)
				f.waitExit()
				f.write("killed", "")
				if r := <-a; r.err == nil || !strings.Contains(r.err.Error(), c.want) {
					t.Errorf("the client was told %q, %v; want an exception with %q", r.text, r.err, c.want)
				}
				f.waitNoPHP()
			})
		}
	}
}

// TestPHPManagerKilled kills the manager while a job prints, while one does
// not, and while nothing is done: jobs are answered, and nobody is left.
func TestPHPManagerKilled(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		for _, c := range []struct{ name, function, workload, want string }{
			{"in a job that prints", "flood", "now", "flooded now"},
			{"in a job", "nap", "1000", ""},
			{"idle", "", "", ""},
		} {
			t.Run(setup.name+" "+c.name, func(t *testing.T) {
				t.Parallel()
				f := newPHPFleet(t)
				f.startPHP(setup, "worker_dir = PHP/workers\ninclude = flood,nap\nverbose = 1\n")
				f.waitAll("flood,nap", 1)
				var a <-chan answer
				if c.function != "" {
					a = f.async(c.function, c.workload)
					f.waitRunning(c.function, 1)
				}
				f.signal(syscall.SIGKILL)
				f.waitExit()
				if c.function != "" {
					if r := <-a; r.err != nil || !strings.HasPrefix(r.text, c.want) {
						t.Errorf("the job in hand: %q, %v", r.text, r.err)
					}
				}
				f.waitNoPHP()
			})
		}
	}
}
