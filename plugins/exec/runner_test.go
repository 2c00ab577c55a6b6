package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestResultIsWhatWentToStdout(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for _, c := range []struct {
		name, workload, script, want string
	}{
		{"stdin to stdout", "Hello", "cat", "Hello"},
		{"empty workload", "", "wc -c | tr -d ' '", "0\n"},
		{"empty result", "Hello", ":", ""},
		{"binary", "a\x00b\xff\n", "cat", "a\x00b\xff\n"},
		{"stdin not read", "Hello", "echo done", "done\n"},
		{"large", large, "cat", large},
		{"large, not read", large, "echo done", "done\n"},
		{"large, half read", large, "head -c 200000 | wc -c | tr -d ' '", "200000\n"},
		{"a pipe full", large[:64<<10], "cat", large[:64<<10]},
		{"a pipe full and a byte", large[:64<<10+1], "cat", large[:64<<10+1]},
		{"a buffer full", large[:bufferSize], "cat", large[:bufferSize]},
		{"a buffer full and a byte", large[:bufferSize+1], "cat", large[:bufferSize+1]},
		{"in pieces", "", "echo a; echo b >&2; echo c", "a\nc\n"},
		{"stdout closed early", "", "echo a; exec >&-; cat </dev/null >&2", "a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			job, _ := shell(c.workload, c.script)
			got, err := newTestRunner().run(t.Context(), job)
			if err != nil || got == nil || string(got) != c.want {
				t.Errorf("%d bytes %.40q, %v; want %d bytes %.40q", len(got), got, err, len(c.want), c.want)
			}
		})
	}
}

func TestExecutableKnowsItsJob(t *testing.T) {
	t.Setenv("GEARMAN_FUNCTION", "of somebody else")
	t.Setenv(plugins.CookieKey, plugins.CookieValue)
	t.Setenv("PLUGIN_PROTOCOL_VERSIONS", "1")
	t.Setenv("INHERITED", "yes")
	job, _ := shell("", "env | grep -E 'GEARMAN|PLUGIN_|INHERITED' | sort")
	got, err := newTestRunner().run(t.Context(), job)
	want := "GEARMAN_FUNCTION=fn\nGEARMAN_JOB_HANDLE=H:host:1\nGEARMAN_UNIQUE=u 1\nINHERITED=yes\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestConfiguredEnvironmentAndDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	job, _ := newTask("", "/bin/sh", "-c", `echo "$A|$HOME|$(pwd)"`)
	got, err := newRunner(shared, Config{Env: []string{"A=1"}, Dir: dir}).run(t.Context(), job)
	if want := "1||" + dir + "\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestArgumentsAreNotAShells(t *testing.T) {
	t.Parallel()
	job, _ := newTask("", "printf", "%s\n", "$HOME", "a b", "*")
	got, err := newTestRunner().run(t.Context(), job)
	if want := "$HOME\na b\n*\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestStderrIsLoggedByLine(t *testing.T) {
	t.Parallel()
	job, f := shell("", "echo one >&2; echo out; printf two >&2")
	got, err := newTestRunner().run(t.Context(), job)
	if err != nil || string(got) != "out\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if want := []string{"one", "two"}; !reflect.DeepEqual(f.stderr, want) {
		t.Errorf("got %q, want %q", f.stderr, want)
	}
}

func TestStatusOtherThanZeroIsAnError(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"exit 3":                            "exited with status 3",
		"echo result; echo bad >&2; exit 1": "exited with status 1: bad",
		"for i in 1 2 3; do echo l$i >&2; done; exit 255": "exited with status 255: l2\nl3",
	} {
		job, _ := shell("x", script)
		got, err := newRunner(shared, Config{TailLines: 2}).run(t.Context(), job)
		var exit *ExitError
		if got != nil || !errors.As(err, &exit) || err.Error() != want {
			t.Errorf("%s: got %q, %v; want %q", script, got, err, want)
		}
	}
}

func TestDeathBySignalIsACrash(t *testing.T) {
	t.Parallel()
	job, _ := shell("x", "echo result; echo ouch >&2; kill -SEGV $$")
	got, err := newTestRunner().run(t.Context(), job)
	var crash *plugins.CrashError
	if got != nil || !errors.As(err, &crash) {
		t.Fatalf("got %q, %v", got, err)
	}
	if cause := strings.Replace(crash.Cause, " (core dumped)", "", 1); cause != "killed by SIGSEGV: ouch" {
		t.Errorf("cause %q", crash.Cause)
	}
}

func TestProgressIsReported(t *testing.T) {
	t.Parallel()
	job, f := shell("", `echo 1/10 >&3; read x <"$0"; echo 2/10 >&3; printf 10/10 >&3`)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	job.command = append(job.command, fifo)
	done := make(chan error, 1)
	go func() { _, err := newTestRunner().run(t.Context(), job); done <- err }()
	select {
	case <-f.reported: // while the executable runs
	case <-time.After(time.Minute):
		t.Fatal("nothing is reported")
	}
	if err := os.WriteFile(fifo, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if first, last := f.reports[0], f.reports[len(f.reports)-1]; first != (report{1, 10}) || last != (report{10, 10}) {
		t.Errorf("got %v", f.reports)
	}
	if len(f.warnings) != 0 {
		t.Errorf("warnings: %q", f.warnings)
	}
}

func TestProgressThatIsNoneIsNotedOnce(t *testing.T) {
	t.Parallel()
	job, f := shell("", "echo half >&3; echo 3 of 10 >&3; echo 5/10 >&3; echo -1/10 >&3")
	if _, err := newTestRunner().run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if len(f.warnings) != 1 || !strings.Contains(f.warnings[0], "want NUMERATOR/DENOMINATOR") {
		t.Errorf("warnings: %q", f.warnings)
	}
	if len(f.reports) == 0 || f.reports[len(f.reports)-1] != (report{5, 10}) {
		t.Errorf("reports: %v", f.reports)
	}
}

// TestProgressNobodyWantsIsNoError has more of it than a pipe holds.
func TestProgressNobodyWantsIsNoError(t *testing.T) {
	t.Parallel()
	job, _ := shell("", "yes 1/4 | head -c 200000 >&3; echo done")
	job.status = func(uint32, uint32) error { return errors.New("connection is gone") }
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if got, err := newTestRunner().run(ctx, job); err != nil || string(got) != "done\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAResultOverTheCapIsRefused(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{10, bufferSize, 100_000} {
		job, _ := shell("", "yes") // without end: it has to be killed
		job.most = limit
		got, err := newTestRunner().run(t.Context(), job)
		var size *ResultSizeError
		if got != nil || !errors.As(err, &size) {
			t.Errorf("limit %d: got %d bytes, %v", limit, len(got), err)
			continue
		}
		if size.Max != limit || size.Size <= limit || !strings.Contains(err.Error(), strconv.FormatInt(limit, 10)) ||
			!strings.Contains(err.Error(), strconv.FormatInt(size.Size, 10)) {
			t.Errorf("limit %d: %v", limit, err)
		}
		job, _ = shell("", fmt.Sprintf("head -c %d /dev/zero", limit))
		job.most = limit
		if got, err := newTestRunner().run(t.Context(), job); err != nil || int64(len(got)) != limit {
			t.Errorf("exactly %d: got %d bytes, %v", limit, len(got), err)
		}
	}
}

func TestTheEndOfTheContextKills(t *testing.T) {
	t.Parallel()
	cause := errors.New("over its time")
	for name, script := range map[string]string{
		"stubborn":             "trap '' TERM INT; echo ready >&2; while :; do sleep 300; done",
		"a child has the pipe": "sleep 300 & echo ready >&2; wait",
		"blocked in writing":   "echo ready >&2; yes >&2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			job, _ := shell(strings.Repeat("x", 1<<20), script)
			ready := sync.OnceFunc(func() { cancel(cause) })
			job.stderr = func(string) { ready() }
			began := time.Now()
			got, err := newTestRunner().run(ctx, job)
			if got != nil || !errors.Is(err, cause) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestNothingStartsAfterTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("drained")
	cancel(cause)
	file := filepath.Join(t.TempDir(), "touched")
	job, _ := newTask("", "touch", file)
	if _, err := newTestRunner().run(ctx, job); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it ran")
	}
}

// Something that left the group holds every descriptor. It goes on, and the job
// does not wait for it.
func TestADaemonDoesNotHoldTheJob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	job, f := shell(strings.Repeat("x", 1<<20), `exec 4<&0 # a shell gives what it starts with & another stdin
		setsid sh -c 'echo $$ >"$0/new" && mv "$0/new" "$0/pid"; sleep 300' "$0" &
		while ! test -e "$0/pid"; do :; done; echo done; echo error >&2; echo 1/1 >&3`)
	job.command = append(job.command, dir)
	got, err := newTestRunner().run(t.Context(), job)
	if err != nil || string(got) != "done\n" || !reflect.DeepEqual(f.stderr, []string{"error"}) || len(f.reports) != 1 {
		t.Errorf("got %q, %v, stderr %q, reports %v", got, err, f.stderr, f.reports)
	}
	data, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	start, err := supervisor.StartTimeOf(pid)
	if err != nil {
		t.Fatalf("the daemon did not survive: %v", err)
	}
	if _, err := supervisor.KillLeftover(pid, start); err != nil {
		t.Error(err)
	}
}

// leaveSleeping has an executable leave a process running in its group, and returns
// its number.
func leaveSleeping(t *testing.T, r *runner) int {
	t.Helper()
	job, _ := shell("", "sleep 300 & echo $!")
	got, err := r.run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(got)))
	if err != nil || pid < 2 {
		t.Fatalf("%q: %v", got, err)
	}
	return pid
}

// Unless that is not wanted.
func TestAKeptGroupOutlivesTheJob(t *testing.T) {
	t.Parallel()
	pid := leaveSleeping(t, newRunner(shared, Config{KeepGroup: true}))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 20 { // a process that was killed may be seen for a moment
		if <-tick.C; !lives(pid) {
			t.Fatal("what the job has left was killed with it")
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

// lives tells whether a process has not ended.
func lives(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(data, []byte(") Z "))
}

// What stays in the group goes with the executable.
func TestTheGroupEndsWithTheJob(t *testing.T) {
	t.Parallel()
	pid := leaveSleeping(t, newTestRunner())
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for lives(pid) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("a member of the group lives")
		}
	}
}

func TestProgramsThatCannotStart(t *testing.T) {
	t.Parallel()
	write := func(text string, mode fs.FileMode) string {
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ program, want string }{
		{"no-such-program-anywhere", "start no-such-program-anywhere: not found as an executable file in PATH"},
		{"/nonexistent/program", "/nonexistent/program: no such file"},
		{write("echo\n", 0o755), "neither a binary nor a script that begins with #!"},
		{write("#!/bin/sh\n", 0o644), "is not executable"},
		{write("#!/nonexistent/python\n", 0o755), `the interpreter "/nonexistent/python" in its first line does not exist`},
	} {
		job, _ := newTask("x", c.program)
		_, err := newTestRunner().run(t.Context(), job)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.program) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	job, _ := newTask("x")
	if _, err := newTestRunner().run(t.Context(), job); err == nil || err.Error() != `function "fn" has no command` {
		t.Errorf("no command: %v", err)
	}
}

// A program that moves within PATH is found again.
func TestAProgramThatMoves(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	t.Setenv("PATH", one+":"+two+":"+os.Getenv("PATH"))
	install := func(dir string) string {
		path := filepath.Join(dir, "moving-program")
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho "+dir+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	r := newTestRunner()
	run := func() (string, error) {
		job, _ := newTask("", "moving-program")
		got, err := r.run(t.Context(), job)
		return strings.TrimSpace(string(got)), err
	}
	path := install(one)
	if got, err := run(); err != nil || got != one {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	install(two)
	_, err := run() // where it was, it is no more
	if got, second := run(); second != nil || got != two {
		t.Errorf("got %q, %v after %v", got, second, err)
	}
}

// A program that is being written is waited for.
func TestAProgramThatIsBeingReplaced(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	written := time.AfterFunc(2*busyPause, func() { _ = w.Close() })
	defer written.Stop()
	job, _ := newTask("x", path)
	if got, err := newTestRunner().run(t.Context(), job); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestManyJobsAtOnce(t *testing.T) {
	r := newTestRunner()
	job, _ := shell("warm up", "cat")
	if _, err := r.run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	before := testutil.Descriptors(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 20 {
				n := i*20 + k
				job, f := shell(fmt.Sprint(n), "x=$(cat); echo $x; echo err $x >&2; echo $x/1000 >&3; exit $((x % 2))")
				got, err := r.run(t.Context(), job)
				var exit *ExitError
				switch {
				case n%2 == 0 && (err != nil || string(got) != fmt.Sprintln(n)):
					t.Errorf("job %d: got %q, %v", n, got, err)
				case n%2 == 1 && (!errors.As(err, &exit) || err.Error() != fmt.Sprintf("exited with status 1: err %d", n)):
					t.Errorf("job %d: %v", n, err)
				}
				if want := []report{{uint32(n), 1000}}; !reflect.DeepEqual(f.reports, want) {
					t.Errorf("job %d: reports %v", n, f.reports)
				}
			}
		})
	}
	wg.Wait()
	if after := testutil.Descriptors(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func BenchmarkJob(b *testing.B) {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		b.Fatal(err)
	}
	r := newTestRunner()
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			benchmarkJob(b, r, string(passwd))
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				benchmarkJob(b, r, string(passwd))
			}
		})
	})
}

func benchmarkJob(b *testing.B, r *runner, workload string) {
	b.Helper()
	job, _ := newTask(workload, "wc", "-l")
	got, err := r.run(b.Context(), job)
	if err != nil || len(got) == 0 {
		b.Fatalf("got %q, %v", got, err)
	}
}
