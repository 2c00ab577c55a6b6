package php_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

const reverse = "function reverse($job) { return strrev($job->workload()); }"

// TestALife is the whole life of a worker of the bridge.
func TestALife(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			var pid int
			l := launch(workerFile(t, t.TempDir(), "reverse", reverse))
			l.Started = func(p *supervisor.Process) { pid = p.PID() }
			w := b.start(t, l)
			if w.PID() != pid || int(w.Hello().GetPid()) != pid || w.Name() != "reverse/3" || w.Process().PID() != pid {
				t.Errorf("pid %d, started as %d, says %d; name %q", w.PID(), pid, w.Hello().GetPid(), w.Name())
			}
			if diff := cmp.Diff([]string{"reverse"}, w.Hello().GetDescription().GetFunctions()); diff != "" {
				t.Error(diff)
			}
			if group, err := syscall.Getpgid(pid); err != nil || group != pid {
				t.Errorf("its group is %d, %v", group, err)
			}
			if title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err != nil || !strings.HasPrefix(string(title), "gearman-manager: reverse/3\x00") {
				t.Errorf("its title is %.60q, %v", title, err)
			}
			if err := w.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if err := w.Drain(t.Context(), "stop"); err != nil {
				t.Error(err)
			}
			for ev := range w.Events() {
				if _, ok := ev.GetEvent().(*workerpb.Event_Left); !ok {
					t.Errorf("unexpected: %v", ev)
				}
			}
			if err := w.Err(); err != nil {
				t.Error(err)
			}
			if err := w.Drain(t.Context(), "again"); !errors.Is(err, host.ErrEnded) {
				t.Errorf("a call after Left: %v", err)
			}
			w.Release()
			w.Release()
			testutil.Receive(t, "the end of the worker", w.Done())
			if !w.Exit().Success() || w.Exit().PID != pid {
				t.Errorf("it %v", w.Exit())
			}
		})
	}
}

// TestOutputOfAWorker has a worker print while it loads.
func TestOutputOfAWorker(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			printed := &lines{}
			l := launch(workerFile(t, t.TempDir(), "reverse", reverse+`
				echo "one\n"; fwrite(STDOUT, "two\n"); error_log("three"); fwrite(STDERR, "[four] 4\n"); trigger_error("five");
				echo 'in: ', var_export(fgets(STDIN), true), ' ', getenv('GEARMAN_WORKER'), ' ', getenv('PATH');`))
			l.Output = printed.add
			w := b.start(t, l)
			w.Release()
			finish(t, w)
			for _, want := range []string{
				"stdout: one\n", "stdout: two\n", "stderr: three\n", "stderr: [four] 4\n", "five in ", "stdout: in: false reverse/3 /usr/bin:/bin\n",
			} {
				if !strings.Contains(printed.String()+"\n", want) {
					t.Errorf("%q is not in\n%s", want, printed)
				}
			}
			if strings.Contains(printed.String(), "UTC]") {
				t.Errorf("a time is before a line:\n%s", printed)
			}
			if len(w.Tail()) < 3 || !strings.HasPrefix(w.Tail()[0], "three") {
				t.Errorf("tail %q", w.Tail())
			}
			last := strings.Join(w.LastLines(), "\n")
			for _, want := range []string{"one", "two", "three", "[four] 4", "in: false"} {
				if !strings.Contains(last, want) {
					t.Errorf("%q is not in its last lines:\n%s", want, last)
				}
			}
			if w.Exit().Code != 0 {
				t.Errorf("it %v", w.Exit())
			}
		})
	}
}

// TestAWorkerThatPrintsTooMuch is told of in two numbers: what is given and what is not.
func TestAWorkerThatPrintsTooMuch(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			printed := &lines{}
			var dropped atomic.Int64
			l := launch(workerFile(t, t.TempDir(), "reverse", reverse+`for ($i = 0; $i < 30000; $i++) { echo "$i\n"; }`))
			l.Output = printed.add
			l.Dropped = func(stream string, n int) {
				if stream != host.Stdout {
					t.Errorf("%d lines of %s", n, stream)
				}
				dropped.Add(int64(n))
			}
			w := b.start(t, l)
			w.Release()
			finish(t, w)
			given := strings.Count(printed.String()+"\n", "\n")
			if given+int(dropped.Load()) != 30000 || given < 1000 || dropped.Load() == 0 {
				t.Errorf("%d lines given, %d dropped", given, dropped.Load())
			}
			if last := w.LastLines(); len(last) == 0 || last[len(last)-1] != "29999" {
				t.Errorf("its last lines are %q", last)
			}
		})
	}
}

func TestAKilledWorker(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			w := b.start(t, launch(workerFile(t, t.TempDir(), "reverse", reverse)))
			if err := w.Kill(); err != nil {
				t.Fatal(err)
			}
			finish(t, w)
			if w.Exit().Signal != syscall.SIGKILL {
				t.Errorf("it %v", w.Exit())
			}
			if err := w.Err(); err == nil || !strings.Contains(err.Error(), "read events of reverse/3: the connection ended before the worker had left") {
				t.Errorf("the stream ended with %v", err)
			}
			if err := w.Ping(t.Context()); !errors.Is(err, host.ErrEnded) {
				t.Errorf("ping: %v", err)
			}
			if err := w.Kill(); err != nil {
				t.Errorf("killed again: %v", err)
			}
		})
	}
}

func TestAWorkerThatCannotLoad(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			dir := t.TempDir()
			for i, c := range []struct{ code, want string }{
				{"function other() {}", "reverse"},
				{"function reverse( {", "syntax error"},
				{"throw new Exception('no way');", "no way"},
				{"exit(3);", "it called exit() or die()"},
				{"undefined_function();", "undefined_function"},
				{"ini_set('memory_limit', '8M'); str_repeat('x', 9000000);", "Allowed memory size"},
			} {
				dir := filepath.Join(dir, strconv.Itoa(i)) // opcache does not look twice
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				_, err := b.gen.Start(t.Context(), launch(workerFile(t, dir, "reverse", c.code)))
				checkError[*php.StartError](t, err, "start reverse/3 with "+b.path+": ")
				checkError[*host.RefusedError](t, err, c.want)
			}
		})
	}
}

// TestTheParentDies ends the parent while workers run, and while there are none.
func TestTheParentDies(t *testing.T) {
	b := setupPHP(t, true, nil)
	l := launch(workerFile(t, t.TempDir(), "reverse", reverse))
	first := b.start(t, l)
	for range 3 {
		parent := b.parent(t)
		if err := parent.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		testutil.Receive(t, "the end of the parent", parent.Done())
		if err := b.start(t, l).Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if b.parent(t).PID() == parent.PID() {
			t.Error("the parent is the old one")
		}
	}
	if err := first.Ping(t.Context()); err != nil {
		t.Errorf("a worker of a parent that has died: %v", err)
	}
}

// TestTheParentDiesWhileItForks ends it at any moment of a start.
func TestTheParentDiesWhileItForks(t *testing.T) {
	b := setupPHP(t, true, nil)
	l := launch(workerFile(t, t.TempDir(), "reverse", reverse))
	var workers []*php.Worker
	for i := range 20 {
		b.start(t, l).Release() // so that there is a parent
		parent := b.parent(t)
		killed := make(chan error, 1)
		time.AfterFunc(time.Duration(i)*300*time.Microsecond, func() { killed <- parent.Signal(syscall.SIGKILL) })
		w := b.start(t, l)
		if err := testutil.Receive(t, "the kill", killed); err != nil {
			t.Error(err)
		}
		testutil.Receive(t, "the end of the parent", parent.Done())
		workers = append(workers, w)
	}
	for _, w := range workers {
		if err := w.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestAStoppedParent is one that does not answer.
func TestAStoppedParent(t *testing.T) {
	b := setupPHP(t, true, nil)
	l := launch(workerFile(t, t.TempDir(), "reverse", reverse))
	first := b.start(t, l)
	parent := b.parent(t)
	if err := parent.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := b.start(t, l).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	testutil.Receive(t, "the end of the parent", parent.Done())
	if err := first.Ping(t.Context()); err != nil {
		t.Errorf("a worker of a parent that was killed: %v", err)
	}
}

// parent is the process that forks.
func (b *bundle) parent(t *testing.T) *supervisor.Process {
	t.Helper()
	for _, p := range b.sup.Processes() {
		if p.Name() == "php parent" {
			return p
		}
	}
	t.Fatal("there is no parent")
	return nil
}

// TestManyAtOnce starts and ends workers side by side, while parents die.
func TestManyAtOnce(t *testing.T) {
	const count = 200
	b := setupPHP(t, true, nil)
	l := launch(workerFile(t, t.TempDir(), "reverse", reverse))
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			w, err := b.gen.Start(t.Context(), l)
			if err != nil {
				t.Error(err)
				return
			}
			if i%2 == 0 {
				_ = w.Kill()
			} else {
				_ = w.Drain(t.Context(), "stop")
			}
			for range w.Events() {
			}
			w.Release()
			<-w.Done()
			if killed := w.Exit().Signal == syscall.SIGKILL; killed != (i%2 == 0) {
				t.Errorf("worker %d %v", i, w.Exit())
			}
		})
	}
	wg.Wait()
}

func TestProbe(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			found, err := b.host.Probe(t.Context())
			if err != nil || !strings.Contains(found.Version, ".") || found.Pcntl != forks || found.SAPI != "cli" {
				t.Errorf("%+v, %v", found, err)
			}
			if n := len(b.sup.Processes()); (n == 1) != forks {
				t.Errorf("%d processes", n)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if again, err := b.host.Probe(ctx); err != nil && again != found && !errors.Is(err, context.Canceled) {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// TestNobodyRunsBeforeItIsNeeded counts processes.
func TestNobodyRunsBeforeItIsNeeded(t *testing.T) {
	b := setupPHP(t, true, nil)
	if n := len(b.sup.Processes()); n != 0 {
		t.Errorf("%d processes", n)
	}
	if info, err := os.Stat(b.dir + "/php"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Stat(b.dir + "/php/bridge.php"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOutputOfTheParent(t *testing.T) {
	b := setupPHP(t, true, func(cfg *php.Config) {
		file := workerFile(t, t.TempDir(), "prepend", `echo "hello\n"; error_log("careful");`)
		cfg.Args = []string{"-d", "auto_prepend_file=" + file.Path}
	})
	if _, err := b.host.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	testutil.WaitFor(t, "its output", func() bool {
		text := b.printed.String()
		return strings.Contains(text, "stdout: hello") && strings.Contains(text, "stderr: careful")
	})
}
