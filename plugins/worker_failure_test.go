package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// function changes one function of a request.
func function(r *workerpb.RunRequest, name string, change func(*workerpb.Function)) {
	for _, f := range r.Functions {
		if f.GetName() == name {
			change(f)
		}
	}
}

// TestTimeoutFails answers at the limit, whether the handler heeds its context
// or not, and replaces the worker.
func TestTimeoutFails(t *testing.T) {
	b := setup(t)
	for _, name := range []string{"wait", "stuck"} {
		w := b.start(t, func(r *workerpb.RunRequest) {
			function(r, name, func(f *workerpb.Function) { f.TimeoutMs = 200 })
		})
		task, _ := b.submit(t, name, file(t))
		wantException(t, task, "timed out after 200ms")
		if c := w.leaves(t, "timeout"); c.GetDone() != 1 || c.GetFailed() != 1 {
			t.Errorf("%s: counters %v", name, c)
		}
	}
}

func TestWithinTheTimeout(t *testing.T) {
	b := setup(t)
	b.start(t, func(r *workerpb.RunRequest) {
		for _, f := range r.Functions {
			f.TimeoutMs = 60_000
		}
	})
	task, _ := b.submit(t, "echo", "in time")
	wantResult(t, task, "in time")
	task, _ = b.submit(t, "panic", "")
	wantException(t, task, "panic: broken")
}

// TestTimeoutReissue gives the job back, to be performed by the next worker.
func TestTimeoutReissue(t *testing.T) {
	b := setup(t)
	w := b.start(t, reissueAfter("wait"))
	path := file(t)
	task, _ := b.submit(t, "wait", path)
	crashed := hears(t, w, (*workerpb.Event).GetJobCrashed, nil)
	id := crashed.GetJob()
	if !crashed.GetTimeout() || id.GetHandle() != task.Handle().Name || id.GetServer() != b.server ||
		id.GetHash() != jobrecord.Hash("wait", "", []byte(path)) || crashed.GetFunction() != "wait" {
		t.Errorf("crashed: %v", crashed)
	}
	if err := w.Suspect(t.Context(), &workerpb.Suspects{Add: []*workerpb.SuspectJob{{Job: id, Attempts: 1}}}); err != nil {
		t.Error(err)
	}
	if c := w.leaves(t, "timeout"); c.GetDone() != 0 {
		t.Errorf("counters %v of a job that was given back", c)
	}
	stays(t, task)
	makeFile(t, path, "second try")
	b.start(t, nil)
	wantResult(t, task, "second try")
}

func reissueAfter(name string) func(r *workerpb.RunRequest) {
	return func(r *workerpb.RunRequest) {
		function(r, name, func(f *workerpb.Function) {
			f.TimeoutMs, f.OnTimeout = 200, workerpb.OnTimeout_ON_TIMEOUT_REISSUE
		})
	}
}

// TestTimeoutReissueOfAStuckJob ends the process, once its other slots have
// finished. The job is still in the record then.
func TestTimeoutReissueOfAStuckJob(t *testing.T) {
	b := setup(t)
	w := b.start(t, func(r *workerpb.RunRequest) {
		reissueAfter("stuck")(r)
		r.Slots = []*workerpb.Slot{{Record: 0}, {Record: 1}}
	})
	w.ready(t, 2)
	other, path := file(t), file(t)
	inHand, began := b.submit(t, "wait", other)
	testutil.Receive(t, "the other job", began)
	task, began := b.submit(t, "stuck", path)
	testutil.Receive(t, "the job", began)
	if r := hears(t, w, (*workerpb.Event).GetRetiring, nil); r.GetReason() != "timeout" {
		t.Errorf("retiring: %v", r)
	}
	crashed := hears(t, w, (*workerpb.Event).GetJobCrashed, nil) // before the job can run elsewhere
	if !crashed.GetTimeout() || crashed.GetJob().GetHandle() != task.Handle().Name {
		t.Errorf("crashed: %v", crashed)
	}
	if err := w.Suspect(t.Context(), &workerpb.Suspects{Add: []*workerpb.SuspectJob{{Job: crashed.GetJob(), Attempts: 1}}}); err != nil {
		t.Error(err)
	}
	stays(t, task, inHand)
	makeFile(t, other, "finished")
	wantResult(t, inHand, "finished")
	testutil.Receive(t, "the end of the process", w.Done())
	if got := w.Exit().String(); got != "exited with status 1" {
		t.Errorf("the worker %s", got)
	}
	found := false
	for i := range 2 {
		r, err := b.records.Record(i)
		if err != nil {
			t.Fatal(err)
		}
		s := r.Snapshot()
		found = found || s.Busy && s.Handle == task.Handle().Name
	}
	if !found {
		t.Error("no record has the job")
	}
	makeFile(t, path, "second try")
	b.start(t, nil)
	wantResult(t, task, "second try")
}

func TestCrashFails(t *testing.T) {
	b := setup(t)
	b.start(t, func(r *workerpb.RunRequest) {
		function(r, "crash", func(f *workerpb.Function) { f.OnCrash = workerpb.OnCrash_ON_CRASH_FAIL })
	})
	task, _ := b.submit(t, "crash", "")
	wantException(t, task, "the program that performed the job died: killed by SIGSEGV")
}

// TestCrashReissue runs the job again until the manager says that it is enough.
func TestCrashReissue(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	task, _ := b.submit(t, "crash", "x")
	for attempt := 1; attempt <= 3; attempt++ {
		testutil.WaitFor(t, "a crash", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			n := 0
			for _, e := range w.events {
				if e.GetJobCrashed() != nil {
					n++
				}
			}
			return n == attempt
		})
		c := hears(t, w, (*workerpb.Event).GetJobCrashed, nil)
		s := &workerpb.SuspectJob{Job: c.GetJob(), Attempts: uint32(attempt), Fail: attempt == 3, Cause: "died 3 times"}
		if err := w.Suspect(t.Context(), &workerpb.Suspects{Add: []*workerpb.SuspectJob{s}}); err != nil {
			t.Fatal(err)
		}
	}
	wantException(t, task, "died 3 times")
}

// TestCrashBesideAnotherJob: a job that dies in a process of its own does not have
// to wait until it is alone.
func TestCrashBesideAnotherJob(t *testing.T) {
	b := setup(t)
	w := b.start(t, func(r *workerpb.RunRequest) { r.Slots = append(r.Slots, &workerpb.Slot{Record: 2}) })
	path := file(t)
	long, began := b.submit(t, "wait", path)
	testutil.Receive(t, "the job's beginning", began)
	task, _ := b.submit(t, "crash", "x")
	crashes := func() (all []*workerpb.JobCrashed) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range w.events {
			if c := e.GetJobCrashed(); c != nil {
				all = append(all, c)
			}
		}
		return all
	}
	for attempt := 1; attempt <= 2; attempt++ {
		testutil.WaitFor(t, "a crash", func() bool { return len(crashes()) == attempt })
		s := &workerpb.SuspectJob{Job: crashes()[0].GetJob(), Attempts: uint32(attempt), Fail: attempt == 2, Cause: "died twice"}
		if err := w.Suspect(t.Context(), &workerpb.Suspects{Add: []*workerpb.SuspectJob{s}}); err != nil {
			t.Fatal(err)
		}
	}
	wantException(t, task, "died twice")
	makeFile(t, path, "done")
	wantResult(t, long, "done")
}

// TestSuspects has jobs that are known before they run: one is answered, one
// runs alone, and one was taken back.
func TestSuspects(t *testing.T) {
	b := setup(t)
	first, second := file(t), file(t)
	bad, _ := b.submit(t, "echo", "bad")
	id := func(task *gearclient.Task, function, workload string) *workerpb.JobID {
		return &workerpb.JobID{Server: b.server, Handle: task.Handle().Name, Hash: jobrecord.Hash(function, "", []byte(workload))}
	}
	var all []*workerpb.Function
	w := b.start(t, func(r *workerpb.RunRequest) {
		r.Hold = workerpb.Hold_HOLD_REGISTERED
		r.Slots = []*workerpb.Slot{{Record: 0}, {Record: 1}}
		all = r.Functions
		r.Functions = all[:2] // without print, until its job is known
		r.Suspects = []*workerpb.SuspectJob{{Job: id(bad, "echo", "bad"), Fail: true, Cause: "died too often"}}
	})
	good, _ := b.submit(t, "echo", "good")
	err := w.Suspect(t.Context(), &workerpb.Suspects{Add: []*workerpb.SuspectJob{
		{Job: id(good, "echo", "good"), Fail: true, Cause: "not this one"},
		{Job: id(good, "echo", "another job of that name"), Fail: true, Cause: "nor that"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Suspect(t.Context(), &workerpb.Suspects{Remove: []*workerpb.JobID{id(good, "echo", "good")}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Go(t.Context(), workerpb.Hold_HOLD_NONE, 0); err != nil {
		t.Fatal(err)
	}
	wantException(t, bad, "died too often")
	wantResult(t, good, "good")

	inHand, began := b.submit(t, "wait", first)
	testutil.Receive(t, "the job", began)
	suspect, begun := b.submit(t, "print", second)
	err = w.Suspect(t.Context(), &workerpb.Suspects{Add: []*workerpb.SuspectJob{{Job: id(suspect, "print", second), Attempts: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Set(t.Context(), &workerpb.Settings{Functions: &workerpb.FunctionList{Functions: all}}); err != nil {
		t.Fatal(err)
	}
	stays(t, inHand, suspect)
	select {
	case <-begun:
		t.Error("a suspect runs beside another job")
	default:
	}
	makeFile(t, first, "done")
	wantResult(t, inHand, "done")
	testutil.Receive(t, "the suspect", begun)
	beside, _ := b.submit(t, "echo", "beside")
	stays(t, beside)
	makeFile(t, second, "survived")
	wantResult(t, suspect, "survived")
	wantResult(t, beside, "beside")
}

// TestManagerIsKilled kills the manager: the worker answers the job in hand and
// goes, whatever it prints, and whatever it was doing.
func TestManagerIsKilled(t *testing.T) {
	for name, c := range map[string]struct {
		mode string
		jobs bool
	}{"idle": {"ok", false}, "in a job that prints": {"ok", true}, "before it is ready": {"init hangs", false}} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t)
			b := &bundle{server: server, client: jobtest.NewClient(t, server)}
			manager := exec.Command(os.Args[0])
			manager.Env = append(os.Environ(), managerMode+"="+server, "PLUGINS_TEST_MANAGED="+c.mode)
			out, err := manager.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := manager.Start(); err != nil {
				t.Fatal(err)
			}
			killed := false
			kill := func() {
				if !killed {
					killed = true
					_ = manager.Process.Kill()
					_ = manager.Wait() // it was killed
				}
			}
			t.Cleanup(kill)
			var pid int
			var dir string
			if _, err := fmt.Sscan(firstLine(t, out), &pid, &dir); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			path := file(t)
			var task *gearclient.Task
			if c.jobs {
				var began <-chan struct{}
				task, began = b.submit(t, "print", path)
				testutil.Receive(t, "the job", began)
			} else if c.mode == "ok" {
				first, _ := b.submit(t, "echo", "it works")
				wantResult(t, first, "it works")
			}
			kill()
			if c.jobs {
				stays(t, task)
				if !alive(pid) {
					t.Error("the worker left with a job in hand")
				}
				makeFile(t, path, "finished")
				wantResult(t, task, "finished")
			}
			testutil.WaitFor(t, "the end of the worker", func() bool { return !alive(pid) })
		})
	}
}

// alive reports whether a process runs. One that has ended may be a zombie for
// ever, where the first process of a container does not wait for it.
func alive(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(after, "Z")
}

// TestTerminated sends SIGTERM to a worker in a job, which finishes it.
func TestTerminated(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	path := file(t)
	task, began := b.submit(t, "wait", path)
	testutil.Receive(t, "the job", began)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if err := syscall.Kill(w.PID(), s); err != nil {
			t.Fatal(err)
		}
	}
	stays(t, task)
	makeFile(t, path, "finished")
	wantResult(t, task, "finished")
	w.leaves(t, "SIGTERM")
}

// TestReleasedInAJob closes the standard input of a worker that works.
func TestReleasedInAJob(t *testing.T) {
	b := setup(t)
	w := b.start(t, nil)
	path := file(t)
	task, began := b.submit(t, "wait", path)
	testutil.Receive(t, "the job", began)
	w.Release()
	makeFile(t, path, "finished")
	wantResult(t, task, "finished")
	w.leaves(t, "manager gone")
}

// byHand runs the worker as its author does.
func byHand(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testutil.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), workerEnv("ok")...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok {
		code = exit.ExitCode()
	}
	return out.String(), errs.String(), code
}

func TestByHand(t *testing.T) {
	for _, c := range []struct {
		args           []string
		stdin          string
		stdout, stderr string // parts
		code           int
	}{
		{nil, "", "It performs: echo, wait", "", 0},
		{[]string{"help"}, "", "It performs: echo, wait", "", 0},
		{[]string{"--help"}, "", "work -h 127.0.0.1:4730", "", 0},
		{[]string{"version"}, "", filepath.Base(os.Args[0]) + " v1.2", "", 0},
		{[]string{"run", "echo"}, "hello\n", "hello\n", "", 0},
		{[]string{"run", "news"}, "abc", "partnews H:by-hand:1 ", "status: 1/3", 0},
		{[]string{"run", "news"}, "abc", "", "warning: careful", 0},
		{[]string{"run", "news"}, "abc", "", "function=news job=H:by-hand:1 size=3", 0},
		{[]string{"run", "error"}, "", "", "error: no such image", 1},
		{[]string{"run", "panic"}, "", "", "worker_main_test.go", 1},
		{[]string{"run"}, "", "", "want the name of one function", 2},
		{[]string{"run", "nothing"}, "", "", `no function "nothing" here`, 2},
		{[]string{"work", "-x"}, "", "", "flag provided but not defined: -x", 2},
		{[]string{"work", "-h", "a b"}, "", "", "cannot be in a host name", 1},
		{[]string{"dance"}, "", "", "unknown command dance", 2},
	} {
		stdout, stderr, code := byHand(t, c.stdin, c.args...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%q: code %d, %q, %q, want %d, %q, %q", c.args, code, stdout, stderr, c.code, c.stdout, c.stderr)
		}
	}
}

// TestWorkByHand performs jobs without a manager until SIGTERM, which lets it
// finish the one in hand.
func TestWorkByHand(t *testing.T) {
	server := startServer(t)
	b := &bundle{server: server, client: jobtest.NewClient(t, server)}
	cmd := exec.Command(os.Args[0], "work", "-h", server, "-n", "2")
	cmd.Env = append(os.Environ(), workerEnv("ok")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	failed, _ := b.submit(t, "error", "")
	wantException(t, failed, "no such image")
	path := file(t)
	task, began := b.submit(t, "wait", path)
	testutil.Receive(t, "the job", began)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-time.After(50 * time.Millisecond)
	makeFile(t, path, "finished")
	wantResult(t, task, "finished")
	if err := testutil.Receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
}
