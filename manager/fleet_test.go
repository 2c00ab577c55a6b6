package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// fleet is a manager with real workers: the test binary in the part of a plugin.
type fleet struct {
	*Manager

	t      *testing.T
	client *gearclient.Client
	admin  *gearclient.Admin

	mu     sync.Mutex
	events []Event
}

// dedicated is a pool of the test binary, as a plugin, for one function.
func dedicated(function string, slots int) PoolPlan {
	self, _ := os.Executable()
	return PoolPlan{
		Name: function, Kind: KindPlugin, Program: self, Slots: slots, Workers: slots, Concurrency: 1,
		Functions: []FunctionPlan{{
			Name: function, Program: self, Grace: time.Minute, JobAttempts: 3,
			OnTimeout: config.Fail, OnCrash: config.Reissue,
		}},
	}
}

// command is a pool of an executable.
func command(function string, slots int, words ...string) PoolPlan {
	p := dedicated(function, slots)
	p.Kind, p.Workers, p.Concurrency, p.Functions[0].Command = KindExec, 1, slots, words
	return p
}

func settings(t *testing.T, addr string) *config.Config {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("gm%d", os.Getpid()))
	cfg, problems := config.Parse("", nil, config.Overrides{
		{Key: "host", Value: addr}, {Key: "runtime_dir", Value: dir},
	})
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
			t.Errorf("left in the runtime directory: %v", left)
			_ = os.RemoveAll(dir)
		}
	})
	return cfg
}

// startFleet starts a manager, which is stopped at the end of the test.
func startFleet(t *testing.T, addr string, pools ...PoolPlan) *fleet {
	t.Helper()
	f := &fleet{t: t, client: jobtest.NewClient(t, addr), admin: jobtest.NewAdmin(t, addr)}
	f.make(Config{Settings: settings(t, addr), Plan: &Plan{Pools: pools}})
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// make makes the manager, which is stopped at the end of the test.
func (f *fleet) make(cfg Config) {
	f.t.Helper()
	cfg.Hostname = "web1"
	cfg.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	cfg.Logger = zerolog.New(zerolog.NewTestWriter(f.t))
	cfg.OnEvent = func(e Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, e)
	}
	m, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Manager = m
	f.t.Cleanup(func() { f.stop() })
}

// stop stops the fleet and returns how long that took.
func (f *fleet) stop() time.Duration {
	f.t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := f.Stop(ctx); err != nil {
		f.t.Error(err)
	}
	return time.Since(begun)
}

// registered waits until the job server counts that many workers of a function.
func (f *fleet) registered(function string, want int) {
	f.t.Helper()
	testutil.WaitFor(f.t, fmt.Sprintf("%d workers of %s are registered", want, function), func() bool { return f.count(function) == want })
}

func (f *fleet) count(function string) int {
	f.t.Helper()
	list, err := f.admin.Status(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, s := range list {
		if s.Function == function {
			return s.Workers
		}
	}
	return 0
}

func (f *fleet) do(function, workload string) (string, error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	got, err := f.client.Do(ctx, gearclient.Request{Function: function, Workload: []byte(workload)})
	return string(got), err
}

// submitWait submits jobs that wait and returns a function that waits for their
// answers.
func (f *fleet) submitWait(n int, duration string) (answers func() []string) {
	f.t.Helper()
	var tasks []*gearclient.Task
	for range n {
		task, err := f.client.Submit(f.t.Context(), gearclient.Request{Function: "wait", Workload: []byte(duration)})
		if err != nil {
			f.t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	return func() []string {
		f.t.Helper()
		ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
		defer cancel()
		var out []string
		for _, task := range tasks {
			got, err := task.Wait(ctx)
			if err != nil {
				f.t.Fatal(err)
			}
			out = append(out, string(got))
		}
		return out
	}
}

// busy waits until that many jobs are in hand, and returns their workers' pids.
func (f *fleet) busy(want int) (pids []int) {
	f.t.Helper()
	testutil.WaitFor(f.t, fmt.Sprintf("%d jobs are in hand", want), func() bool {
		pids = nil
		for _, p := range f.Snapshot().Pools {
			for _, w := range p.Workers {
				for range w.Jobs {
					pids = append(pids, w.PID)
				}
			}
		}
		return len(pids) == want
	})
	return pids
}

// happened returns the events of type T.
func happened[T Event](f *fleet) []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return only[T](f.events)
}

func TestFleetRegisters(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		begun := time.Now()
		f := startFleet(t, addr, dedicated("echo", 20))
		f.registered("echo", 20)
		took := time.Since(begun)
		t.Logf("20 workers were registered after %v", took)
		if took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		list, err := f.admin.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for n := range 20 {
			id := fmt.Sprintf("web1/echo/%d", n+1)
			if !slices.ContainsFunc(list, func(w gearclient.WorkerInfo) bool { return w.ID == id }) {
				t.Errorf("no worker %s", id)
			}
		}
		if got, err := f.do("echo", "hello"); got != "hello" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		testutil.WaitFor(t, "the job is counted", func() bool { return f.Snapshot().Pools[0].Done == 1 })
		s := f.Snapshot()
		if len(s.Pools[0].Workers) != 20 {
			t.Errorf("snapshot %+v", s)
		}
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.Pools[0].Workers[6].PID))
		if want := "gearman-manager: echo/7\x00"; string(cmdline) != want || err != nil {
			t.Errorf("ps shows %q, %v, want %q", cmdline, err, want)
		}
	})
}

func TestStopIdleFleet(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		f := startFleet(t, addr, dedicated("echo", 50))
		f.registered("echo", 50)
		took := f.stop()
		t.Logf("50 idle workers were gone after %v", took)
		if took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		for _, e := range happened[WorkerExited](f) {
			if e.Killed != "" || !e.Exit.Success() {
				t.Errorf("exit %+v", e)
			}
		}
		if n := f.count("echo"); n != 0 {
			t.Errorf("%d workers are registered still", n)
		}
	})
}

func TestStopBusyFleet(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		f := startFleet(t, addr, dedicated("wait", 3))
		answers := f.submitWait(2, "1s")
		f.busy(2)
		took := f.stop()
		if got := answers(); got[0] != "waited" || got[1] != "waited" {
			t.Errorf("answers %q", got)
		}
		if took < 500*time.Millisecond || took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestHurry(t *testing.T) {
	f := startFleet(t, startEmbedded(t), dedicated("wait", 1))
	f.Hurry() // before Stop: nothing
	f.submitWait(1, "1h")
	pid := f.busy(1)[0]
	stopped := make(chan time.Duration, 1)
	go func() { stopped <- f.stop() }()
	testutil.WaitFor(t, "the fleet stops", func() bool { return len(happened[FleetStopping](f)) == 1 })
	f.Hurry()
	took := <-stopped
	if took < 900*time.Millisecond || took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("worker %d: %v", pid, err)
	}
}

func TestKilledWorkers(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		f := startFleet(t, addr, dedicated("wait", 6))
		f.registered("wait", 6)
		answers := f.submitWait(6, "300ms")
		for _, pid := range f.busy(6) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
		begun := time.Now()
		f.registered("wait", 6)
		testutil.WaitFor(t, "all have exited", func() bool { return len(happened[WorkerExited](f)) == 6 })
		t.Logf("the fleet was whole again after %v", time.Since(begun))
		for _, got := range answers() {
			if got != "waited" {
				t.Errorf("answer %q", got)
			}
		}
		for _, e := range happened[WorkerExited](f) {
			if e.Exit.Signal != syscall.SIGKILL || len(e.InHand) != 1 || !e.Crashed() {
				t.Errorf("exit %+v", e)
			}
		}
		if n := len(happened[JobSuspected](f)); n != 6 {
			t.Errorf("%d suspects", n)
		}
	})
}

func TestPoisonJobOnServers(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		shared := dedicated("echo", 2) // which performs it too, as its second function
		shared.Name, shared.Shared = "*", true
		shared.Functions = append(shared.Functions, dedicated("fatal", 1).Functions...)
		f := startFleet(t, addr, shared, dedicated("fatal", 1))
		f.registered("fatal", 3)
		_, err := f.do("fatal", "x")
		var exception *gearclient.ExceptionError
		if !errors.As(err, &exception) || !strings.Contains(err.Error(), "given up after") {
			t.Errorf("got %v", err)
		}
		attempts := len(happened[WorkerExited](f)) + len(happened[StartFailed](f)) // one may have it before it is known to be ready
		t.Logf("a job with 3 attempts killed %d workers", attempts)
		if attempts < 3 || attempts > 4 {
			t.Errorf("%d attempts", attempts)
		}
		if got, err := f.do("echo", "hello"); got != "hello" || err != nil {
			t.Errorf("the others: %q, %v", got, err)
		}
	})
}

func TestCrashIsRunAgain(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		f := startFleet(t, addr, dedicated("fatalonce", 1))
		got, err := f.do("fatalonce", filepath.Join(t.TempDir(), "marker"))
		if got != "second time" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestOnCrashFail(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		plan := dedicated("fatal", 1)
		plan.Functions[0].OnCrash = config.Fail
		f := startFleet(t, addr, plan)
		_, err := f.do("fatal", "x")
		if err == nil || !strings.Contains(err.Error(), "killed by SIGKILL") {
			t.Errorf("got %v", err)
		}
	})
}

func TestTimeouts(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		fail, reissue := dedicated("wait", 1), dedicated("stuck", 2)
		fail.Functions[0].Timeout = 300 * time.Millisecond
		reissue.Functions[0].Timeout = 300 * time.Millisecond
		reissue.Functions[0].OnTimeout = config.Reissue
		reissue.Functions[0].JobAttempts = 2
		f := startFleet(t, addr, fail, reissue)
		if _, err := f.do("wait", "1h"); err == nil || !strings.Contains(err.Error(), "300ms") {
			t.Errorf("fail: %v", err)
		}
		if got, err := f.do("wait", "1ms"); got != "waited" || err != nil {
			t.Errorf("the successor: %q, %v", got, err)
		}
		if _, err := f.do("stuck", ""); err == nil || !strings.Contains(err.Error(), "given up after 2 of 2 attempts") {
			t.Errorf("reissue: %v", err)
		}
		if n := len(happened[WorkerKilled](f)); n != 0 {
			t.Errorf("%d workers were killed that deal with timeouts themselves", n)
		}
	})
}

// TestTimeoutOfStoppedWorker: a worker that cannot act is killed, and its job
// answered by whoever is given it next.
func TestTimeoutOfStoppedWorker(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		plan := dedicated("wait", 2)
		plan.Functions[0].Timeout = time.Second
		f := startFleet(t, addr, plan)
		f.registered("wait", 2)
		result := make(chan error, 1)
		go func() {
			_, err := f.do("wait", "1h")
			result <- err
		}()
		if err := syscall.Kill(f.busy(1)[0], syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err == nil || !strings.Contains(err.Error(), "longer than its timeout of 1s") {
			t.Errorf("got %v", err)
		}
		if kills := happened[WorkerKilled](f); len(kills) != 1 || kills[0].Reason != string(killTimeout) {
			t.Errorf("kills %+v", kills)
		}
	})
}

func TestRecycle(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		plan := dedicated("pid", 2)
		plan.MaxRuns = 5
		f := startFleet(t, addr, plan)
		runs := map[string]int{}
		for range 40 {
			pid, err := f.do("pid", "")
			if err != nil {
				t.Fatal(err)
			}
			runs[pid]++
		}
		for pid, n := range runs {
			if n > 5 {
				t.Errorf("worker %s did %d jobs", pid, n)
			}
		}
		// A job is counted when its answer is out.
		testutil.WaitFor(t, "40 jobs are counted", func() bool { return f.Snapshot().Pools[0].Done == 40 })
	})
}

func TestPanic(t *testing.T) {
	f := startFleet(t, startEmbedded(t), dedicated("panic", 1))
	if _, err := f.do("panic", ""); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("got %v", err)
	}
	testutil.WaitFor(t, "the worker is replaced", func() bool { return len(happened[WorkerReady](f)) == 2 })
	testutil.WaitFor(t, "the worker has left", func() bool { return len(happened[WorkerExited](f)) == 1 })
	if e := happened[WorkerExited](f)[0]; e.Retired != "panic" || e.Done != 1 || e.Failed != 1 {
		t.Errorf("exit %+v", e)
	}
	if n := len(happened[JobSuspected](f)); n != 0 {
		t.Errorf("%d suspects", n)
	}
}

func TestExecutables(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		once := `test -e "$0" && echo second time && exit; : >"$0"; kill -SEGV $$`
		f := startFleet(t, addr,
			command("lines", 4, "/usr/bin/wc", "-l"),
			command("poison", 2, "/bin/sh", "-c", "kill -KILL $$"),
			command("once", 1, "/bin/sh", "-c", once, filepath.Join(t.TempDir(), "marker")),
		)
		f.registered("lines", 4)
		if got, err := f.do("lines", "a\nb\n"); strings.TrimSpace(got) != "2" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := f.do("once", ""); strings.TrimSpace(got) != "second time" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := f.do("poison", ""); err == nil || !strings.Contains(err.Error(), "given up after 3 of 3 attempts") {
			t.Errorf("got %v", err)
		}
		if n := len(happened[JobSuspected](f)); n != 4 {
			t.Errorf("%d suspects, want 1 and 3", n)
		}
		if n := len(happened[WorkerExited](f)); n != 0 {
			t.Errorf("%d workers ended because of their executables", n)
		}
	})
}

// TestExecutableEnds: an executable that takes too long, or dies, costs its job and
// nothing else.
func TestExecutableEnds(t *testing.T) {
	onEachServer(t, func(t *testing.T, addr string) {
		t.Helper()
		fail, reissue := command("fail", 2, "/bin/sleep", "100"), command("reissue", 2, "/bin/sleep", "100")
		for _, p := range []PoolPlan{fail, reissue} {
			p.Functions[0].Timeout = 300 * time.Millisecond
		}
		reissue.Functions[0].OnTimeout, reissue.Functions[0].JobAttempts = config.Reissue, 2
		dies := command("dies", 1, "/bin/sh", "-c", "kill -SEGV $$")
		dies.Functions[0].OnCrash = config.Fail
		f := startFleet(t, addr, fail, reissue, dies)
		for function, want := range map[string]string{
			"fail":    "timed out after 300ms",
			"reissue": "given up after 2 of 2 attempts: timed out after 300ms",
			"dies":    "died: killed by SIGSEGV",
		} {
			_, err := f.do(function, "")
			var exception *gearclient.ExceptionError
			if !errors.As(err, &exception) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", function, err, want)
			}
		}
		if n := len(happened[JobSuspected](f)); n != 2 {
			t.Errorf("%d suspects, want those of reissue", n)
		}
	})
}

func TestBrokenProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho hello, I am no plugin\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	broken := dedicated("broken", 3)
	broken.Program = path
	alone := dedicated("thumbnail", 2)
	alone.Kind, alone.Program = KindStandalone, "/bin/sleep"
	alone.Functions[0].Command = []string{"/bin/sleep", "600"}
	f := startFleet(t, startEmbedded(t), broken, alone, dedicated("echo", 1))
	if got, err := f.do("echo", "hello"); got != "hello" || err != nil {
		t.Errorf("the others: %q, %v", got, err)
	}
	testutil.WaitFor(t, "several starts fail", func() bool { return len(happened[StartFailed](f)) > 4 })
	text := happened[StartFailed](f)[0].Err.Error()
	if !strings.Contains(text, path) || !strings.Contains(text, `"hello, I am no plugin"`) {
		t.Error(text)
	}
	testutil.WaitFor(t, "the programs that are supervised only run", func() bool {
		workers := f.Snapshot().Pools[1].Workers
		return len(workers) == 2 && workers[0].State == StateReady && workers[1].State == StateReady
	})
	s := f.Snapshot()
	if len(s.Pools) != 3 || s.Pools[0].Failures == 0 || !s.Pools[1].JobsUnknown || !s.Pools[2].Runs {
		t.Errorf("snapshot %+v", s)
	}
}

// TestNoServer: work starts when a job server appears, and its absence is said
// once for the fleet.
func TestNoServer(t *testing.T) {
	addr := testutil.FreeAddr(t)
	f := startFleet(t, addr, dedicated("echo", 5))
	testutil.WaitFor(t, "the server is missed", func() bool { return len(happened[SlotLost](f)) >= 5 })
	if lost := happened[ServerLost](f); len(lost) != 1 || lost[0].Server != addr {
		t.Errorf("said %+v", lost)
	}
	jobtest.StartJobServer(t, jobserver.Config{Addr: addr})
	testutil.WaitFor(t, "the server is found", func() bool { return len(happened[ServerReached](f)) == 1 })
	if got, err := f.do("echo", "hello"); got != "hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	f.stop()
	if n := len(happened[ServerLost](f)); n != 1 {
		t.Errorf("said %d times that the server is lost", n)
	}
}

func TestStopBeforeStart(t *testing.T) {
	m, err := New(Config{Settings: settings(t, "127.0.0.1:1"), Plan: &Plan{}, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	dir := m.Dir()
	for range 2 {
		if err := m.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the runtime directory is there still")
	}
	if err := m.Start(t.Context()); err == nil {
		t.Error("a stopped manager was started")
	}
}

// TestStopWhileStarting stops a fleet from many sides at once, at every moment of
// its start.
func TestStopWhileStarting(t *testing.T) {
	addr := startEmbedded(t)
	for n := range 20 {
		f := startFleet(t, addr, dedicated("echo", 5), command("cat", 2, "cat"))
		<-time.After(time.Duration(n) * 10 * time.Millisecond)
		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() { f.stop() })
			calls.Go(func() { f.Snapshot() })
			calls.Go(f.Hurry)
		}
		calls.Wait()
		for _, p := range f.Snapshot().Pools {
			if len(p.Workers) != 0 {
				t.Errorf("left: %+v", p.Workers)
			}
		}
	}
}

// TestStopDeadline: when its context ends, Stop waits no more for jobs.
func TestStopDeadline(t *testing.T) {
	f := startFleet(t, startEmbedded(t), dedicated("wait", 2), dedicated("echo", 1))
	f.submitWait(2, "1h")
	pids := f.busy(2)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := f.Stop(ctx); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("worker %d: %v", pid, err)
		}
	}
	if kills := happened[WorkerKilled](f); len(kills) != 2 || kills[0].Reason != string(killStop) {
		t.Errorf("kills %+v", kills)
	}
}

// TestMakePlan: a plugin in a worker directory is found, asked and run.
func TestMakePlan(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	addr := startEmbedded(t)
	cfg, problems := config.Parse("", nil, config.Overrides{
		{Key: "host", Value: addr},
		{Key: "runtime_dir", Value: runtimeDir(t)},
		{Key: "worker_dir", Value: dir},
		{Key: "count", Value: "2"},
	})
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	m, err := New(Config{Settings: cfg, Logger: zerolog.New(zerolog.NewTestWriter(t))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); !errors.Is(err, ErrStarted) {
		t.Errorf("a second start: %v", err)
	}
	got, err := jobtest.NewClient(t, addr).Do(t.Context(), gearclient.Request{Function: "echo", Workload: []byte("hello")})
	if string(got) != "hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if s := m.Snapshot(); len(s.Pools) == 0 || !slices.Contains(s.Pools[0].Functions, "echo") || len(s.Pools[0].Workers) != 2 {
		t.Errorf("snapshot %+v", s)
	}
}

func TestWorkerEnv(t *testing.T) {
	t.Parallel()
	got := workerEnv([]string{"PATH=/bin", "NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=1", "LISTEN_FDS=1", "LISTEN_FDS_X=1"})
	if want := []string{"PATH=/bin", "LISTEN_FDS_X=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
