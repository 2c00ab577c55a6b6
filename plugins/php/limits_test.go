package php_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// TestLimitsOfAWorker hold while it loads its files; its parent has none of them.
func TestLimitsOfAWorker(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			before := nice(t, os.Getpid())
			l := launch(workerFile(t, t.TempDir(), "reverse", reverse+`error_log('files: ' . (posix_getrlimit()['soft openfiles']));`))
			printed := &lines{}
			l.Output = printed.add
			l.Limits = supervisor.Limits{NoFile: 123, Data: 5 << 30, SetCore: true, Nice: before + 3}
			w := b.start(t, l)
			testutil.WaitFor(t, "a line", func() bool { return strings.Contains(printed.String(), "stderr: files: 123") })
			for _, p := range b.sup.Processes() {
				files, data, priority := limit(t, p.PID(), unix.RLIMIT_NOFILE), limit(t, p.PID(), unix.RLIMIT_DATA), nice(t, p.PID())
				if p.PID() == w.PID() {
					if files != 123 || data != 5<<30 || limit(t, p.PID(), unix.RLIMIT_CORE) != 0 || priority != before+3 {
						t.Errorf("files %d, data %d, nice %d", files, data, priority)
					}
				} else if files == 123 || data == 5<<30 || priority != before {
					t.Errorf("parent: files %d, data %d, nice %d", files, data, priority)
				}
			}
		})
	}
}

// TestLimitsThatCannotBe fail the start, and nothing is left.
func TestLimitsThatCannotBe(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			l := launch(workerFile(t, t.TempDir(), "reverse", reverse))
			l.Limits.NoFile = 1 << 40 // over fs.nr_open
			_, err := b.gen.Start(t.Context(), l)
			if limit, ok := errors.AsType[*supervisor.LimitError](err); !ok || limit.Limit != "nofile" {
				t.Errorf("got %v", err)
			}
			testutil.WaitFor(t, "the end of what was started", func() bool { return len(b.sup.Processes()) <= 1 })
			if err := b.start(t, launch(workerFile(t, t.TempDir(), "reverse", reverse))).Ping(t.Context()); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

// TestTheGroupOfAWorker goes with it, or is kept.
func TestTheGroupOfAWorker(t *testing.T) {
	for name, forks := range ways() {
		for _, keep := range []bool{false, true} {
			t.Run(name+", kept: "+strconv.FormatBool(keep), func(t *testing.T) {
				b := setupPHP(t, forks, nil)
				path := filepath.Join(t.TempDir(), "pid")
				l := launch(workerFile(t, t.TempDir(), "reverse", reverse+`
					file_put_contents('`+path+`', exec('/bin/sleep 100 >/dev/null 2>&1 & echo $!'));`))
				l.KeepGroup = keep
				w := b.start(t, l)
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				member, err := strconv.Atoi(string(text))
				if err != nil {
					t.Fatal(err)
				}
				w.Release()
				finish(t, w)
				if keep {
					if err := syscall.Kill(member, syscall.SIGKILL); err != nil {
						t.Errorf("it did not live: %v", err)
					}
				}
				testutil.WaitFor(t, "the end of what the worker has started", func() bool { return syscall.Kill(member, 0) != nil })
			})
		}
	}
}

func limit(t *testing.T, pid, resource int) uint64 {
	t.Helper()
	var l unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &l); err != nil {
		t.Fatal(err)
	}
	return l.Cur
}

// nice is a process's priority; the kernel says 20 less it.
func nice(t *testing.T, pid int) int {
	t.Helper()
	n, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - n
}

// TestAResterIsAWorker drives a rest through the host.
func TestAResterIsAWorker(t *testing.T) {
	for name, forks := range ways() {
		t.Run(name, func(t *testing.T) {
			b := setupPHP(t, forks, nil)
			l := launch(workerFile(t, t.TempDir(), "reverse", reverse))
			l.Request().Limits, l.Request().Rests = &workerpb.Limits{MaxLifetimeMs: 1}, true
			w := b.start(t, l)
			var told []string
			for ev := range w.Events() {
				switch {
				case ev.GetRetiring() != nil:
					told = append(told, ev.GetRetiring().GetReason())
				case ev.GetRested() != nil:
					told = append(told, "rested")
					if err := w.Ping(t.Context()); err != nil {
						t.Error(err)
					}
					if err := w.Drain(t.Context(), "test"); err != nil {
						t.Error(err)
					}
				case ev.GetLeft() != nil:
					told = append(told, "left")
				}
			}
			if got := strings.Join(told, ", "); got != "max_lifetime, rested, left" {
				t.Error(got)
			}
			w.Release()
			testutil.Receive(t, "the end of the worker", w.Done())
		})
	}
}
